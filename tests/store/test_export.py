"""Exports: which part of a thread, masked how, written where."""

from __future__ import annotations

import errno
import json
import os
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from conversation_lines import OWN, answered, asked, called, event, line, meta, response, returned
from exporting import KEY, source_of, text_of

from store.errors import ExportError
from store.export.exporting import export, preview
from store.export.models import ExportProgress, Selection
from store.export.writing import default_name
from store.models import DynamicTool, Git, Thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.export.models import ExportReport


def turn(number: int, prompt: str, answer: str) -> bytes:
    """A turn as Codex writes it: begun and set up before its prompt."""
    return (
        event("task_started", turn_id=f"t{number}")
        + line("turn_context", {"turn_id": f"t{number}", "cwd": "/w", "model": "gpt-5.4"})
        + asked(prompt)
        + response("reasoning", summary=[{"type": "summary_text", "text": f"thinking {number}"}])
        + called(f"c{number}", f"ls {number}")
        + returned(f"c{number}", f"listed {number}")
        + answered(answer)
        + event("task_complete", turn_id=f"t{number}")
    )


THREE = meta() + turn(1, "one?", "One.") + turn(2, "two?", "Two.") + turn(3, "three?", "Three.")


def items_of(text: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(text)["items"]
    return items


def said(items: list[dict[str, Any]]) -> list[str]:
    return [item["text"] for item in items if item["kind"] == "message"]


def test_the_json_form_is_that_of_show(tmp_path: Path) -> None:
    from store.export.json_form import transcript_chunks
    from store.rollouts.transcript import Transcript

    source = source_of(tmp_path, THREE)
    with Transcript.open(source.home / "rollout.jsonl", thread_id=OWN) as transcript:
        shown = "".join(transcript_chunks(source.thread, (), transcript.all_items()))
    assert text_of(source, format="json")[0] == shown


def test_from_one_prompt_to_another(tmp_path: Path) -> None:
    source = source_of(tmp_path, THREE)
    whole = items_of(text_of(source, format="json")[0])
    parts = [
        items_of(text_of(source, format="json", from_prompt=number, to_prompt=number)[0])
        for number in (1, 2, 3)
    ]
    assert [said(part) for part in parts] == [["one?", "One."], ["two?", "Two."], ["three?", "Three."]]
    assert [item["label"] for item in parts[1][:2]] == ["task_started", "turn_context"]
    assert parts[0] + parts[1] + parts[2] == whole
    assert items_of(text_of(source, format="json", from_prompt=2)[0]) == parts[1] + parts[2]
    assert items_of(text_of(source, format="json", to_prompt=2)[0]) == parts[0] + parts[1]


def test_what_was_said_while_a_turn_ran_does_not_take_the_turn_along(tmp_path: Path) -> None:
    data = (
        meta()
        + event("task_started", turn_id="t")
        + asked("go")
        + called("c")
        + returned("c", "x")
        + asked("faster")
        + answered("Done.")
    )
    source = source_of(tmp_path, data)
    assert said(items_of(text_of(source, format="json", from_prompt=2)[0])) == ["faster", "Done."]
    first = items_of(text_of(source, format="json", to_prompt=1)[0])
    assert [item["kind"] for item in first][-2:] == ["message", "tool"]


@pytest.mark.parametrize(
    ("data", "asked_for", "words"),
    [
        (THREE, {"from_prompt": 4}, "There is no prompt 4: the thread has 3."),
        (THREE, {"to_prompt": 0}, "There is no prompt 0: the thread has 3."),
        (meta() + asked("a"), {"to_prompt": 2}, "There is no prompt 2: the thread has one only."),
        (meta(), {"from_prompt": 1}, "There is no prompt 1: the thread has none."),
        (THREE, {"from_prompt": 3, "to_prompt": 2}, "Prompt 3 comes after prompt 2. Name the earlier"),
    ],
)
def test_prompts_that_are_not_there(
    tmp_path: Path, data: bytes, asked_for: dict[str, int], words: str
) -> None:
    with pytest.raises(ExportError, match=words):
        text_of(source_of(tmp_path, data), **asked_for)
    with pytest.raises(ExportError):
        export(source_of(tmp_path, data), Selection(**asked_for), folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize("form", ["markdown", "json", "html"])
def test_without_tools_and_reasoning(tmp_path: Path, form: str) -> None:
    source = source_of(tmp_path, THREE)
    whole, all_of_it = text_of(source, format=form)
    short, less = text_of(source, format=form, tools=False, reasoning=False)
    assert all(words in whole for words in ("thinking 2", "listed 2", "ls 2", "two?", "Two."))
    assert not any(words in short for words in ("thinking", "listed", "ls 2"))
    assert "two?" in short
    assert all_of_it.items - less.items == 6
    if form != "json":
        assert "Without tool calls. Without reasoning." in short
        assert "Without" not in whole
        assert all_of_it.items == 12
        assert (
            "Prompts 2 to 3. Without tool calls."
            in text_of(source, format=form, from_prompt=2, tools=False)[0]
        )
        assert "Prompt 2 only." in text_of(source, format=form, from_prompt=2, to_prompt=2)[0]


def test_a_document_without_tools_has_no_dynamic_tools_either(tmp_path: Path) -> None:
    source = source_of(tmp_path, meta())
    schema = {"properties": {"password": {"default": "hunter2-hunter2"}}, "api_key": KEY}
    source = type(source)(
        source.home, source.thread, (DynamicTool(position=0, name="t", description=KEY, input_schema=schema),)
    )
    (tool,) = json.loads(text_of(source, format="json")[0])["dynamic_tools"]
    assert tool["description"] == "[redacted: api key]"
    assert tool["input_schema"]["api_key"] == "[redacted: secret]"
    assert json.loads(text_of(source, format="json", tools=False)[0])["dynamic_tools"] == []


SECRETS = (
    meta()
    + asked(f"use {KEY} and ghp_abcdefghijklmnopqrstuvwxyz0123456789")
    + called("c", "curl -H 'Authorization: Bearer abcdef0123456789abcdef'")
    + returned("c", f"{KEY}\n{KEY}\nDB_PASSWORD=correct-horse-7")
    + answered("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----")
)
ALL_SECRETS = (KEY, "ghp_abcdefg", "abcdef0123456789abcdef", "correct-horse", "MIIEvQIBADAN")


def masked_of(report: ExportReport) -> dict[str, tuple[int, list[tuple[int | None, int, str]]]]:
    return {
        kind.kind: (kind.count, [(place.line, place.count, place.begins) for place in kind.places])
        for kind in report.masked
    }


@pytest.mark.parametrize("form", ["markdown", "json", "html"])
def test_secrets_are_masked_unless_asked(tmp_path: Path, form: str) -> None:
    source = source_of(tmp_path, SECRETS)
    text, report = text_of(source, format=form)
    assert not any(secret in text for secret in ALL_SECRETS)
    assert text.count("[redacted: api key]") == 3
    assert masked_of(report) == {
        "api key": (2, [(1, 1, "sk-p"), (3, 1, "sk-p")]),
        "authorization": (1, [(3, 1, "")]),
        "github token": (1, [(1, 1, "ghp_")]),
        "password": (1, [(3, 1, "")]),
        "private key": (1, [(5, 1, "")]),
    }
    if form != "json":
        assert "6 secrets are masked." in text
    assert preview(source, Selection.model_validate({"format": form})) == report
    whole, nothing = text_of(source, format=form, secrets=True)
    assert all(secret in whole for secret in ALL_SECRETS)
    assert (nothing.masked, "masked" in whole.lower().split("</style>")[-1]) == ((), False)


def test_what_is_said_of_the_thread_is_masked_too(tmp_path: Path) -> None:
    source = source_of(
        tmp_path,
        meta(),
        title=f"use {KEY}",
        cwd=f"/w/{KEY}",
        git=Git(origin_url="https://me:s3cr3t-word@example.org/a.git"),
        source_detail={"subagent": {"api_key": "q7w8e9r0t1y2u3i4"}},
        sandbox_policy=["mode", {"note": KEY}],
        created_at=1_790_000_000_000,
    )
    for form in ("markdown", "json", "html"):
        text, report = text_of(source, format=form)
        assert KEY not in text
        assert "s3cr3t" not in text
        assert "q7w8e9r0" not in text
        assert masked_of(report)["api key"] == (1, [(None, 1, "sk-p")])
    assert default_name(source.thread, "html") == "2026-09-21-use-redacted-api-key-01a20586-b453.html"
    told = json.loads(text_of(source, format="json")[0])["thread"]
    assert told["sandbox_policy"] == ["mode", {"note": "[redacted: api key]"}]


def test_a_report_never_tells_a_secret(tmp_path: Path) -> None:
    report = text_of(source_of(tmp_path, SECRETS), format="json")[1].model_dump_json()
    assert not any(secret[:5] in report for secret in ALL_SECRETS)


def test_places_are_bounded_and_all_are_counted(tmp_path: Path) -> None:
    data = meta() + b"".join(event("agent_message", message=f"{n} {KEY}") for n in range(250))
    (masked,) = text_of(source_of(tmp_path, data))[1].masked
    assert (masked.count, len(masked.places)) == (250, 200)


def test_a_name_is_made_of_day_title_and_id() -> None:
    def name(title: str | None, **fields: Any) -> str:
        given = {"key": 1, "id": OWN, "rollout_path": "x", "title": title, "created_at": 1_790_000_000_000}
        return default_name(Thread.model_validate(given | fields), "markdown")

    assert name("Fix: the (flaky) test!") == "2026-09-21-fix-the-flaky-test-01a20586-b453.md"
    assert name("../../etc/passwd\x00\n") == "2026-09-21-etc-passwd-01a20586-b453.md"
    assert name("日本語のテスト", created_at=None) == "日本語のテスト-01a20586-b453.md"
    assert name(None) == "2026-09-21-no-prompt-yet-01a20586-b453.md"
    assert name("\ud800\x1b🙂") == "2026-09-21-thread-01a20586-b453.md"
    assert name("x", id="../x", created_at=1 << 60) == "x-x.md"
    assert len(name("word " * 500).encode()) < 100
    assert len(name("語" * 500).encode()) < 100


def test_a_file_is_private_and_never_replaced_unasked(tmp_path: Path) -> None:
    source = source_of(tmp_path, THREE)
    selection = Selection()
    report = export(source, selection, folder=tmp_path)
    written = tmp_path / default_name(source.thread, "markdown")
    assert report.file == str(written)
    assert report.size == written.stat().st_size
    assert written.stat().st_mode & 0o777 == 0o600
    assert written.read_text() == text_of(source)[0]
    written.write_text("mine")
    for path in (None, tmp_path, written):
        with pytest.raises(ExportError, match="there is a file already"):
            export(source, selection, path, folder=tmp_path)
    assert written.read_text() == "mine"
    written.chmod(0o644)
    export(source, selection, written, folder=tmp_path, force=True)
    assert written.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [written.name, "home"]


def test_one_that_appears_meanwhile_is_not_replaced_either(tmp_path: Path) -> None:
    source = source_of(tmp_path, THREE)
    target = tmp_path / "x.md"

    def appear(_: ExportProgress) -> None:
        target.write_text("mine")

    with pytest.raises(ExportError, match="there is a file already"):
        export(source, Selection(), target, folder=tmp_path, report=appear)
    assert target.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "x.md"]


def test_a_file_system_without_links_holds_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    source = source_of(tmp_path, THREE)
    target = tmp_path / "x.md"
    export(source, Selection(), target, folder=tmp_path)
    assert (target.read_text(), target.stat().st_mode & 0o777) == (text_of(source)[0], 0o600)
    with pytest.raises(ExportError, match="there is a file already"):
        export(source, Selection(), target, folder=tmp_path)


def test_places_that_are_refused(tmp_path: Path) -> None:
    source = source_of(tmp_path, THREE)
    link = tmp_path / "link.md"
    kept = tmp_path / "kept.md"
    kept.write_text("mine")
    link.symlink_to(kept)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "into").symlink_to(source.home)
    for path, force, words in (
        (source.home / "x.md", False, "in the Codex home"),
        (source.home / "rollout.jsonl", True, "in the Codex home"),
        (tmp_path / "into" / "x.md", True, "in the Codex home"),
        (source.home, False, "in the Codex home"),
        (tmp_path / "pipe", True, "no file that could be replaced"),
        (tmp_path / "none" / "x.md", False, "No such file or directory"),
        (kept / "x.md", False, "Not a directory"),
        (tmp_path / ("x" * 300), False, "File name too long"),
        (tmp_path / "a\0b", False, "null"),
        (link, False, "there is a file already"),
    ):
        with pytest.raises(ExportError, match=words):
            export(source, Selection(), path, folder=tmp_path, force=force)
    assert (source.home / "rollout.jsonl").read_bytes() == THREE
    export(source, Selection(), link, folder=tmp_path, force=True)
    assert (kept.read_text(), link.is_symlink()) == ("mine", False)


def test_an_export_that_is_given_up_leaves_nothing_behind(tmp_path: Path) -> None:
    class GivenUp(Exception):
        pass

    def give_up(progress: ExportProgress) -> None:
        if progress.step == "writing":
            raise GivenUp

    with pytest.raises(GivenUp):
        export(source_of(tmp_path, THREE), Selection(), folder=tmp_path, report=give_up)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "x.md"
    target.write_text("mine")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportError, match="No space left on device"):
        export(source_of(tmp_path, THREE), Selection(), target, folder=tmp_path, force=True)
    assert target.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "x.md"]


@pytest.mark.parametrize("form", ["markdown", "json", "html"])
def test_memory_does_not_grow_with_the_rollout(tmp_path: Path, form: str) -> None:
    def peak(turns: int) -> int:
        output = "0123456789abcdef " * 1_000
        one = asked("go") + called("c") + returned("c", output) + answered("done")
        source = source_of(tmp_path, meta() + one * turns)
        selection = Selection.model_validate({"format": form, "secrets": True})
        tracemalloc.start()
        try:
            size = export(source, selection, folder=tmp_path, force=True).size
            assert size > turns * len(output)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    assert peak(400) < peak(100) + (1 << 20)


def test_progress_is_told_in_bytes_then_in_items(tmp_path: Path) -> None:
    told: list[ExportProgress] = []
    preview(source_of(tmp_path, meta() + asked("go") + answered("x") * 200), Selection(), report=told.append)
    assert told[0].step == "reading"
    writing = [progress for progress in told if progress.step == "writing"]
    assert [progress.done for progress in writing] == list(range(0, writing[0].total, 64))
    assert writing[0].total > 100


@pytest.fixture(autouse=True)
def private_by_default() -> Iterator[None]:
    """Modes have to come from us, not from what the person's umask happens to be."""
    before = os.umask(0)
    yield
    os.umask(before)
