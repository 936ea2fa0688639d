"""`rollodex export` as a person or a script meets it: in processes of its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from building import HomeBuilder
from click.testing import CliRunner
from conversation_lines import answered, asked
from exporting import KEY, Page
from other_processes import ROOT

from store.clock import SystemClock
from store.export.exporting import export, export_source
from store.export.models import ExportProgress, Selection
from store.home import find_home
from store.models import ThreadQuery
from store.opening import bring_up_to_date, open_store
from tui.cli import rollodex
from tui.export_command import _stoppable

if TYPE_CHECKING:
    from store.export.models import ExportSource, Format

COMMAND = [sys.executable, "-P", "-m", "tui.cli", "export"]
CORPUS = ROOT.parent / "shared/corpus"
FORMS: tuple[Format, ...] = ("markdown", "html", "json")
HOMES = sorted(path.parent.name for path in CORPUS.glob("*/sessions"))


@pytest.fixture
def builder(tmp_path: Path) -> HomeBuilder:
    path = tmp_path / "codex"
    path.mkdir()
    (tmp_path / "here").mkdir()
    builder = HomeBuilder(path)
    builder.add("Port the parser", turns=3, answer=f"Ported with {KEY}.")
    return builder


def here(builder: HomeBuilder) -> Path:
    return builder.path.parent / "here"


def run(
    builder: HomeBuilder, *arguments: str, code: int = 0, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *arguments],
        env={
            **os.environ,
            "CODEX_HOME": str(builder.path),
            "ROLLODEX_STATE_DIR": str(builder.path.parent / "state"),
            "PYTHONPATH": str(ROOT),
        },
        cwd=folder or here(builder),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def test_a_thread_is_written_here_and_never_over_another(builder: HomeBuilder) -> None:
    (thread_id,) = builder.ids
    name = f"2026-09-21-port-the-parser-{thread_id[:13]}.md"
    said = run(builder, thread_id[:20]).stdout.splitlines()
    (file,) = here(builder).iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == (name, 0o600)
    assert said == [
        f"Wrote {name}: 6 items, {file.stat().st_size} B.",
        "3 secrets masked:",
        "  api key · 3 · line 5 (sk-p…), line 13 (sk-p…), line 21 (sk-p…)",
    ]
    again = run(builder, thread_id, code=1)
    assert again.stderr == (
        f"rollodex: {name} is not written: there is a file already."
        " Name another one, or have it replaced (--force).\n"
    )
    run(builder, thread_id, "--force", "--to-prompt", "1")
    assert "Prompt 1 only. 1 secret is masked." in file.read_text()


def test_the_report_as_json(builder: HomeBuilder) -> None:
    (thread_id,) = builder.ids
    out = here(builder) / "x.html"
    arguments = (thread_id, "--format", "html", "--out", str(out), "--json", "--from-prompt", "2")
    report: dict[str, Any] = json.loads(run(builder, *arguments).stdout)
    assert report == {
        "schema_version": 1,
        "file": str(out),
        "format": "html",
        "items": 4,
        "size": out.stat().st_size,
        "masked": [
            {
                "kind": "api key",
                "count": 2,
                "places": [
                    {"thread_id": thread_id, "line": line, "count": 1, "begins": "sk-p"} for line in (13, 21)
                ],
            }
        ],
    }
    assert "Ported with [redacted: api key]." in Page(out.read_text()).of("p")


def test_what_is_printed_is_only_the_document(builder: HomeBuilder) -> None:
    (thread_id,) = builder.ids
    done = run(builder, thread_id, "--format", "json", "--out", "-", "--with-secrets")
    assert json.loads(done.stdout)["thread"]["id"] == thread_id
    assert KEY in done.stdout
    assert done.stderr == "rollodex: Secrets in it were not masked.\n"
    assert list(here(builder).iterdir()) == []


def test_wrong_usage(builder: HomeBuilder) -> None:
    (thread_id,) = builder.ids
    for arguments, words in (
        (("--from-prompt", "3", "--to-prompt", "2"), "comes after"),
        (("--json", "--out", "-"), "there is none"),
        (("--to-prompt", "0"), "--to-prompt"),
    ):
        done = CliRunner().invoke(rollodex, ["export", thread_id, *arguments])
        assert done.exit_code == 2
        assert words in done.output
    missing = run(builder, thread_id, "--to-prompt", "4", code=1)
    assert missing.stderr == "rollodex: There is no prompt 4: the thread has 3.\n"
    assert list(here(builder).iterdir()) == []


def test_nothing_is_left_in_the_codex_home(builder: HomeBuilder) -> None:
    (thread_id,) = builder.ids
    assert "in the Codex home" in run(builder, thread_id, code=1, folder=builder.path / "sessions").stderr


async def test_an_export_that_nobody_waits_for_ends() -> None:
    begun, go_on = threading.Event(), threading.Event()
    ended: list[BaseException] = []

    def work(told: Any) -> None:
        begun.set()
        go_on.wait(30)
        try:
            told(ExportProgress("writing", 0, 1))
        except BaseException as error:
            ended.append(error)
            raise

    task = asyncio.create_task(_stoppable(work))
    await asyncio.to_thread(begun.wait, 30)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [type(error).__name__ for error in ended] == ["_Stopped"]


def test_an_interrupt_leaves_nothing_behind(builder: HomeBuilder) -> None:
    (thread_id,) = builder.ids
    with builder.file(thread_id).open("ab") as file:
        file.write((asked("more") + answered("x " * 2_000)) * 6_000)
    env = {
        **os.environ,
        "CODEX_HOME": str(builder.path),
        "ROLLODEX_STATE_DIR": str(builder.path.parent / "state"),
        "PYTHONPATH": str(ROOT),
    }
    process = subprocess.Popen(
        [*COMMAND, thread_id], cwd=here(builder), env=env, stderr=subprocess.PIPE, text=True
    )
    with process:
        while not any(here(builder).iterdir()):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
    # The last of it may be on its way to the disk when the interrupt is heard: then all of it is there.
    left = [path.suffix for path in here(builder).iterdir()]
    assert (code, left) in ((130, []), (0, [".md"]))


@pytest.mark.corpus
@pytest.mark.skipif(not HOMES, reason="the homes that real Codex versions wrote are not here")
@pytest.mark.parametrize("name", HOMES)
async def test_every_thread_of_real_homes_in_every_form(name: str, tmp_path: Path) -> None:
    shutil.copytree(CORPUS / name, tmp_path / "home", symlinks=True)
    home = find_home(tmp_path / "home")
    out = tmp_path / "out"
    out.mkdir()
    async with open_store(home, tmp_path / "state", SystemClock()) as store:
        await bring_up_to_date(store)
        page = await store.threads.list_threads(ThreadQuery(archived="any"), limit=10_000)
        assert page.items
        for thread in page.items:
            source = await export_source(store.threads, home.path, thread)
            _export_in_every_form(source, out)


def _export_in_every_form(source: ExportSource, out: Path) -> None:
    reports = {form: export(source, Selection(format=form), folder=out) for form in FORMS}
    markdown, page, whole = (Path(reports[form].file or "").read_text() for form in FORMS)
    assert markdown.startswith("# ")
    assert source.thread.id in Page(page).of("dd")
    assert len(json.loads(whole)["items"]) == reports["json"].items
    assert reports["markdown"].items == reports["html"].items <= reports["json"].items
