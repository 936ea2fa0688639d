"""The command line as a person or a script meets it: in processes of its own."""

from __future__ import annotations

import ctypes
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from building import HomeBuilder

COMMAND = [sys.executable, "-P", "-m", "tui.cli"]


@pytest.fixture
def builder(tmp_path: Path) -> HomeBuilder:
    path = tmp_path / "codex"
    path.mkdir()
    builder = HomeBuilder(path)
    parent = builder.add(
        "Port the parser", turns=2, originator="codex_exec", git={"branch": "main", "commit_hash": "abc"}
    )
    builder.add("old one", archived=True)
    builder.add("look around", parent=parent)
    builder.add("\x1b]0;owned\x07 [red]title[/] \u202ereversed")
    return builder


def run(
    builder: HomeBuilder, *arguments: str, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "CODEX_HOME": str(builder.path),
        "ROLLODEX_STATE_DIR": str(builder.path.parent / "state"),
        "TZ": "UTC",
        **environment,
    }
    done = subprocess.run(
        [*COMMAND, *arguments], env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if check:
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    return done


def as_json(builder: HomeBuilder, *arguments: str) -> Any:
    return json.loads(run(builder, *arguments, "--json").stdout)


def test_threads_as_json_has_every_field(builder: HomeBuilder) -> None:
    page = as_json(builder, "threads")
    assert (page["schema_version"], page["source"], page["total"], page["next_cursor"]) == (
        1,
        "database",
        3,
        None,
    )
    assert page["hidden"] == {"archived": 1}
    thread = page["threads"][-1]
    assert thread["id"] == builder.ids[0]
    assert thread["rollout_path"] == str(builder.file(builder.ids[0]).relative_to(builder.path))
    assert thread["created_at"] == "2026-09-21T14:13:20.000Z"
    assert thread["title"] == thread["display_title"] == thread["first_user_message"] == "Port the parser"
    assert (thread["name"], thread["parent_thread_id"], thread["source_detail"]) == (None, None, None)
    assert thread["tokens"] == {
        "input": 90,
        "cached_input": 5,
        "output": 10,
        "reasoning_output": 2,
        "total": 100,
    }
    assert thread["git"] == {"sha": "abc", "branch": "main", "origin_url": None}
    assert thread["sandbox_policy"] == {"type": "read-only"}
    child = page["threads"][1]
    assert (child["source"], child["parent_thread_id"]) == ("subagent", builder.ids[0])
    assert child["source_detail"]["subagent"]["thread_spawn"]["depth"] == 1
    wanted = (
        "id rollout_path archived compressed index created_at updated_at cwd title name display_title"
        " first_user_message preview source source_detail parent_thread_id forked_from_id agent_nickname"
        " agent_role model_provider model reasoning_effort cli_version originator sandbox_policy"
        " approval_mode tokens_used tokens git size_bytes turns messages bad_lines"
    )
    assert set(wanted.split()) <= thread.keys()


def test_the_first_listing_reads_heads_and_a_backfill_the_rest(builder: HomeBuilder) -> None:
    assert as_json(builder, "backfill", "--status") | {"updated_at": None} == {
        "schema_version": 1,
        "status": "pending",
        "step": None,
        "owner": None,
        "last_watermark": None,
        "last_success_at": None,
        "updated_at": None,
        "done": 0,
        "total": 0,
        "failed": 0,
        "failures": [],
    }
    assert {t["index"] for t in as_json(builder, "threads", "--archived", "any")["threads"]} <= {
        "heads",
        "full",
    }
    done = as_json(builder, "backfill")
    assert (done["status"], done["step"], done["done"], done["total"], done["failed"]) == (
        "complete",
        "full",
        4,
        4,
        0,
    )
    rows = as_json(builder, "threads", "--archived", "any")["threads"]
    assert {row["index"] for row in rows} == {"full"}
    assert {row["id"]: row["turns"] for row in rows}[builder.ids[0]] == 2
    again = as_json(builder, "backfill", "--reset")
    assert (again["status"], again["done"]) == ("complete", 4)


def test_filters_and_pages(builder: HomeBuilder) -> None:
    assert [t["id"] for t in as_json(builder, "threads", "--archived", "yes")["threads"]] == [builder.ids[1]]
    assert as_json(builder, "threads", "--source", "subagent")["total"] == 1
    assert as_json(builder, "threads", "--provider", "nobody")["total"] == 0
    assert as_json(builder, "threads", "--search", "PARSER")["total"] == 1
    assert as_json(builder, "threads", "--cwd", "/home/dev/app")["total"] == 3
    seen, cursor = [], None
    while True:
        page = as_json(
            builder, "threads", "--limit", "1", "--archived", "any", *(["--cursor", cursor] if cursor else [])
        )
        seen += [thread["id"] for thread in page["threads"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == builder.ids[::-1]
    files = as_json(builder, "threads", "--from-files", "--archived", "any")
    assert files["source"] == "files"
    assert [thread["id"] for thread in files["threads"]] == seen


def test_show(builder: HomeBuilder) -> None:
    shown = as_json(builder, "show", builder.ids[0])
    assert shown["thread"]["id"] == builder.ids[0]
    assert shown["dynamic_tools"] == []
    messages = [(i["line"], i["role"], i["text"]) for i in shown["items"] if i["kind"] == "message"]
    assert messages == [
        (3, "user", "Port the parser"),
        (5, "assistant", "Fixed."),
        (11, "user", "Port the parser again 1"),
        (13, "assistant", "Fixed."),
    ]
    assert "Port the parser" in run(builder, "show", builder.ids[0]).stdout
    assert "2 turns · 4 messages" in run(builder, "show", builder.ids[0]).stdout
    assert "1 turn · 2 messages" in run(builder, "show", builder.ids[1]).stdout
    assert "Port the parser" in run(builder, "show", "--markdown", builder.ids[0]).stdout
    assert run(builder, "show", "--raw", builder.ids[0]).stdout == builder.file(builder.ids[0]).read_text()


def test_nothing_foreign_reaches_a_terminal(builder: HomeBuilder) -> None:
    """On a terminal escape sequences are shown as pictures, in every form of output."""
    hostile = builder.ids[3]
    for arguments in (
        ["threads"],
        ["show", hostile],
        ["show", "--markdown", hostile],
        ["show", "--raw", hostile],
    ):
        text = on_a_terminal(builder, *arguments)
        assert "owned" in text
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "\u202e" not in text


def on_a_terminal(builder: HomeBuilder, *arguments: str) -> str:
    ours, theirs = pty.openpty()
    env = {
        **os.environ,
        "CODEX_HOME": str(builder.path),
        "ROLLODEX_STATE_DIR": str(builder.path.parent / "state"),
    }
    with subprocess.Popen(
        [*COMMAND, *arguments], env=env, stdout=theirs, stdin=subprocess.DEVNULL
    ) as process:
        os.close(theirs)
        pieces = []
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            pieces.append(piece)
    os.close(ours)
    assert process.returncode == 0
    return b"".join(pieces).decode()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["show", "nope"], 1, "There is no thread nope"),
        (["show", "0"], 1, "More than one thread begins with 0"),
        (["threads", "--cursor", "rubbish"], 2, "is not a page cursor"),
        (["--codex-home", "/no/such/home", "threads"], 1, "/no/such/home"),
        (["threads", "--codex-home", "/etc/passwd"], 1, "/etc/passwd"),
    ],
)
def test_errors_are_one_line_that_says_what_why_and_what_next(
    builder: HomeBuilder, arguments: list[str], code: int, said: str
) -> None:
    done = run(builder, *arguments, check=False)
    assert done.returncode == code
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("rollodex: ")
    assert said in line


def without_the_rights_of_root() -> None:
    """In the child: even root may only read what a file's mode lets its owner read."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
            assert libc.prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP


@pytest.mark.skipif(sys.platform != "linux", reason="root can be held back on Linux only")
@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_home_that_may_not_be_read_is_one_line_too(builder: HomeBuilder, how: str) -> None:
    builder.path.chmod(0)
    state = str(builder.path.parent / "state")
    done = subprocess.run(
        [*COMMAND, "threads", "--state-dir", state]
        + (["--codex-home", str(builder.path)] if how == "option" else []),
        env={**os.environ, "CODEX_HOME": str(builder.path)},
        preexec_fn=without_the_rights_of_root,
        capture_output=True,
        text=True,
        check=False,
    )
    builder.path.chmod(0o700)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "permission denied" in line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["threads"], ["show", "--raw", "ID"], ["backfill"]])
def test_output_that_cannot_be_written_is_one_line_too(builder: HomeBuilder, arguments: list[str]) -> None:
    arguments = [builder.ids[0] if word == "ID" else word for word in arguments]
    env = {
        **os.environ,
        "CODEX_HOME": str(builder.path),
        "ROLLODEX_STATE_DIR": str(builder.path.parent / "state"),
    }
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, *arguments], env=env, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("rollodex: The output cannot be written: ")


def test_the_screens_need_a_terminal(builder: HomeBuilder) -> None:
    done = run(builder, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("rollodex: The screens need a terminal: ")


def screens(builder: HomeBuilder, *arguments: str, signal_when_drawn: int = 0) -> tuple[int, bytes]:
    """Start the screens on a terminal; their exit code and all that they wrote."""
    ours, theirs = pty.openpty()
    env = {
        **os.environ,
        "CODEX_HOME": str(builder.path),
        "ROLLODEX_STATE_DIR": str(builder.path.parent / "state"),
        "TERM": "xterm-256color",
    }
    written = b""
    with subprocess.Popen(
        [*COMMAND, *arguments], env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            written += piece
            if signal_when_drawn and b"Port the parser" in written:
                process.send_signal(signal_when_drawn)
                signal_when_drawn = 0
    os.close(ours)
    return process.returncode, written


def test_a_theme_that_is_not_there_names_those_that_are(builder: HomeBuilder) -> None:
    code, written = screens(builder, "--theme", "mauve")
    assert code == 2
    assert b"'mauve' is none of " in written
    assert b"rollodex-dark" in written.replace(b"\r\n", b"")
    assert b"Traceback" not in written


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(builder: HomeBuilder, number: int) -> None:
    code, written = screens(builder, signal_when_drawn=number)
    assert code == 128 + number
    assert written.rindex(b"\x1b[?1049l") > written.rindex(b"\x1b[?1049h")
    assert written.rindex(b"\x1b[?1003l") > written.rindex(b"\x1b[?1003h")


def test_a_folder_is_meant_from_where_one_is(builder: HomeBuilder, tmp_path: Path) -> None:
    here, gone = tmp_path / "here" / "below", tmp_path / "gone"
    builder.add("in a folder above", cwd=str(here.parent))
    here.mkdir(parents=True)
    env = {
        **os.environ,
        "CODEX_HOME": str(builder.path),
        "ROLLODEX_STATE_DIR": str(tmp_path / "state"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }

    def listed_from(folder: Path) -> subprocess.CompletedProcess[str]:
        program = (
            f"import os; os.chdir({str(folder)!r})\n"
            + ("os.rmdir(os.getcwd())\n" if folder == gone else "")
            + "import sys; sys.argv[1:] = ['threads', '--json', '--cwd', '..']\n"
            "from tui.cli import main; main()\n"
        )
        return subprocess.run(
            [sys.executable, "-P", "-c", program], env=env, capture_output=True, text=True, check=False
        )

    assert [t["title"] for t in json.loads(listed_from(here).stdout)["threads"]] == ["in a folder above"]
    gone.mkdir()
    done = listed_from(gone)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "the current folder is no longer there" in line


def test_a_config_that_cannot_be_read_is_said(builder: HomeBuilder) -> None:
    (builder.path / "config.toml").write_text("[[[")
    for command in ("threads", "backfill"):
        done = run(builder, command, check=False)
        assert done.returncode == 0
        (line,) = done.stderr.splitlines()
        assert f"{builder.path / 'config.toml'} cannot be read" in line


def test_wrong_usage_is_exit_code_2(builder: HomeBuilder) -> None:
    assert run(builder, "threads", "--archived", "perhaps", check=False).returncode == 2
    assert run(builder, "nonsense", check=False).returncode == 2
    assert run(builder, "threads", "--limit", "0", check=False).returncode == 2


def test_a_state_folder_that_cannot_be_made_lists_from_the_files(builder: HomeBuilder) -> None:
    blocked = builder.path.parent / "file"
    blocked.write_text("")
    done = run(builder, "threads", "--json", "--state-dir", str(blocked / "state"), check=False)
    assert done.returncode == 0
    page = json.loads(done.stdout)
    assert (page["source"], len(page["threads"])) == ("files", 3)
    (line,) = done.stderr.splitlines()
    assert str(blocked / "state") in line


def test_a_database_of_a_later_rollodex_is_refused(builder: HomeBuilder) -> None:
    import sqlite3

    run(builder, "threads")
    database = sqlite3.connect(builder.path.parent / "state" / "user.sqlite")
    database.execute("PRAGMA user_version = 999")
    database.close()
    done = run(builder, "threads", check=False)
    assert done.returncode == 1
    assert "newer" in done.stderr.lower() or "later" in done.stderr.lower()


def test_a_closed_pipe_ends_quietly(builder: HomeBuilder) -> None:
    for i in range(300):
        builder.add(f"task number {i} with quite a long title that fills the pipe's buffer " + "x" * 400)
    env = {
        **os.environ,
        "CODEX_HOME": str(builder.path),
        "ROLLODEX_STATE_DIR": str(builder.path.parent / "state"),
    }
    with subprocess.Popen(
        [*COMMAND, "threads", "--all", "--json"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_nothing_is_written_in_the_codex_home(builder: HomeBuilder) -> None:
    def listing() -> list[tuple[str, int]]:
        return sorted((str(p), p.lstat().st_mtime_ns) for p in builder.path.rglob("*"))

    before = listing()
    run(builder, "threads")
    run(builder, "backfill")
    run(builder, "show", builder.ids[0])
    assert listing() == before


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["threads"], ["backfill"], ["backfill", "--status"]]
)
def test_headless_commands_never_import_textual(builder: HomeBuilder, arguments: list[str]) -> None:
    program = (
        "import sys; from tui.cli import rollodex\n"
        f"try: rollodex({arguments!r})\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "loaded = [name for name in sys.modules if name.partition('.')[0] in ('textual', 'watchfiles')]\n"
        "assert not loaded, loaded\n"
    )
    env = {
        **os.environ,
        "CODEX_HOME": str(builder.path),
        "ROLLODEX_STATE_DIR": str(builder.path.parent / "state"),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
