"""Runs, what one changed, and the files of the root."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from memory_values import NOW, ROOT, TITLES, change, run, thread_id
from reading import WidgetApp, screen_text, settled

from store.errors import MemoryRootError
from store.memories.models import FileChange
from widgets.glyphs import ASCII
from widgets.memory_artifacts import LONGEST_TEXT, Artifact, ArtifactList, ArtifactReader
from widgets.memory_diff import MOST_ROWS, MemoryDiff
from widgets.memory_history import RunList

if TYPE_CHECKING:
    from textual.widget import Widget

EVIL = "\x1b[2J\u202e[@click=app.quit]x[/]\x00"
ERROR = MemoryRootError("~/.codex/memories cannot be read", why="Permission denied", next_step="Look at it")


def lines(widget: Widget) -> list[str]:
    return [line for y in range(widget.size.height) if (line := widget.render_line(y).text.strip())]


# Runs


async def test_each_run_says_when_what_with_what_and_which_files() -> None:
    runs = RunList(zone=UTC)
    shown = [
        run(14, kind="restore", restores=12, engine=None, inputs=0, changed=("MEMORY.md",)),
        run(13, status="failed", reason="no\nauth", changed=()),
        run(12, changed=()),
    ]
    async with WidgetApp(runs, framed=False).run_test(size=(120, 8)) as pilot:
        assert lines(runs) == ["Reading the runs…"]
        runs.show_runs(shown, NOW)
        await settled(pilot)
        rows = [" ".join(line.split()) for line in lines(runs)]
        assert rows == [
            "✓ 14 14:08 undo of run 12 41 s 1 file: MEMORY.md",
            "✗ 13 14:08 consolidation extractive 41 s 34 read no auth",
            "✓ 12 14:08 consolidation extractive 41 s 34 read no file changed",
        ]
        runs.select(12)
        runs.show_runs([run(15), *shown], NOW)
        await settled(pilot)
        assert runs.current_run is not None
        assert runs.current_run.id == 12
        runs.show_runs([], NOW)
        await settled(pilot)
        assert lines(runs)[0] == "No run has changed a file yet."


# What a run changed


async def diff_of(*changes: FileChange, width: int = 80, **fields: Any) -> list[str]:
    view = MemoryDiff(zone=UTC)
    async with WidgetApp(view, framed=False).run_test(size=(width, 20)) as pilot:
        view.show(run(**fields), changes, NOW)
        await pilot.pause()
        return [line[1:] for line in view.text.split("\n")]


async def test_each_file_with_its_changed_lines() -> None:
    changes = (change("MEMORY.md", "a\nb\n--- c\n", "a\nB\n"), change("new.md", None, "x\n"))
    assert await diff_of(*changes) == [
        "✓ run 12 · consolidation · 14:08 · extractive · took 41 s · 34 memories read",
        "",
        "MEMORY.md  changed  +1 -2",
        "@@ -1,3 +1,2 @@",
        "  a",
        "- b",
        "- --- c",
        "+ B",
        "",
        "new.md  new  +1",
        "@@ -0,0 +1 @@",
        "+ x",
    ]


async def test_what_is_no_text_is_said_so() -> None:
    rows = await diff_of(FileChange(path="x.bin", before="12345", after=None, diff=""))
    assert rows[2:] == ["x.bin  removed", "no text to compare (5 B before)"]
    rows = await diff_of(FileChange(path="x.bin", before="12", after="1234", diff=""))
    assert rows[3] == "no text to compare (2 B before, 4 B after)"


async def test_a_run_without_changes_says_why() -> None:
    assert (await diff_of(changed=()))[1] == "It changed no file."
    assert (await diff_of())[1] == "What the files held is no longer kept: MEMORY.md, memory_summary.md"
    assert (await diff_of(status="failed", reason="no\x1b auth", changed=()))[1] == "no␛ auth"


async def test_a_huge_diff_is_bounded() -> None:
    rows = await diff_of(change("raw_memories.md", None, "x\n" * 30_000))
    assert len(rows) == MOST_ROWS + 4
    assert rows[-1] == "… the rest is left out"
    rows = await diff_of(change("raw_memories.md", None, "x" * 5_000_000))
    assert len(rows) < MOST_ROWS


async def test_from_file_to_file() -> None:
    view = MemoryDiff(zone=UTC)
    changes = [change(f"{number}.md", "a\n" * 10, "b\n" * 10) for number in range(3)]
    async with WidgetApp(view, framed=False).run_test(size=(80, 10)) as pilot:
        view.show(run(), changes, NOW)
        await pilot.pause()
        seen = []
        for by in (1, 1, 1, 1, -1, -1, -1):
            view.action_file(by)
            await pilot.pause()
            seen.append(view.render_line(0).text.split()[0])
        assert seen == ["0.md", "1.md", "2.md", "2.md", "1.md", "0.md", "0.md"]


async def test_reading_and_failing_are_said_and_the_same_run_stays() -> None:
    view = MemoryDiff(zone=UTC, glyphs=ASCII)
    async with WidgetApp(view, framed=False).run_test(size=(80, 8)) as pilot:
        view.show(run(), None, NOW)
        await pilot.pause()
        assert "reading what it changed~" in view.text
        view.show(run(), (change("a.md", "a\n" * 30, "b\n" * 30),), NOW)
        await pilot.pause()
        view.scroll_to(y=20)
        view.show(run(), (change("a.md", "a\n" * 30, "b\n" * 30),), NOW + 1)
        await pilot.pause()
        assert view.scroll_y == 20
        view.show_error(ERROR)
        await pilot.pause()
        assert "~/.codex/memories cannot be read: Permission denied. Look at it." in view.text
        assert view.text.isascii()
        view.clear()
        assert (view.text, view.run) == ("", None)


# Files of the root


async def test_files_with_their_threads_sizes_and_ages() -> None:
    files = ArtifactList(user_home=Path("/home/me"), zone=UTC)
    summary = f"rollout_summaries/{thread_id(1)}.md"
    shown = [Artifact("MEMORY.md", 8_200, NOW - 300), Artifact(summary, 900, None, TITLES[0])]
    async with WidgetApp(files, framed=False).run_test(size=(80, 8)) as pilot:
        assert lines(files) == ["Reading the memory folder…"]
        files.show_artifacts(ROOT, shown, NOW)
        await settled(pilot)
        rows = [" ".join(line.split()) for line in lines(files)]
        assert rows == ["MEMORY.md 8.2 kB 5m", f"summary of {TITLES[0]} 900 B"]
        files.action_last()
        files.show_artifacts(ROOT, [Artifact("A.md", 1), *shown], NOW)
        await settled(pilot)
        assert files.current_artifact == shown[1]
        files.show_error(ERROR)
        await settled(pilot)
        assert lines(files) == ["~/.codex/memories cannot be read", "Permission denied", "Look at it"]
        files.show_artifacts(ROOT, [], NOW)
        await settled(pilot)
        assert lines(files)[0] == "~/.codex/memories holds no memories yet."


async def text_of(path: str, text: str | None, width: int = 60) -> str:
    reader = ArtifactReader()
    async with WidgetApp(reader, framed=False).run_test(size=(width, 20)) as pilot:
        reader.show(path, text)
        await pilot.pause()
        return "\n".join(line[1:] for line in reader.text.split("\n"))


async def test_markdown_is_set_and_anything_else_is_as_it_is() -> None:
    assert await text_of("MEMORY.md", "# One\n\n- *two*\n") == "One\n\n• two"
    assert await text_of("notes.txt", "# One\n\n- *two*\n") == "# One\n\n- *two*\n"
    assert await text_of("MEMORY.md", None) == "reading…"
    assert await text_of("MEMORY.md", " \n") == "(empty)"


async def test_a_long_file_is_shown_as_written_and_cut() -> None:
    text = "".join(f"## Thread {number}\n\n- **bold** words\n\n" for number in range(12_000))
    shown = await text_of("raw_memories.md", text)
    assert shown.startswith("## Thread 0\n\n- **bold** words")
    left_out = f"{len(text) - LONGEST_TEXT:,}"
    assert shown.split("\n")[-1] == f"… {left_out} more characters are in the file"


async def test_the_same_file_again_stays_where_it_was_read() -> None:
    reader = ArtifactReader()
    async with WidgetApp(reader, framed=False).run_test(size=(40, 6)) as pilot:
        reader.show("a.txt", "line\n" * 50)
        await pilot.pause()
        reader.scroll_to(y=20)
        reader.show("a.txt", "line\n" * 60)
        await pilot.pause()
        assert (reader.scroll_y, reader.path) == (20, "a.txt")
        reader.show("b.txt", "line\n" * 50)
        await pilot.pause()
        assert reader.scroll_y == 0
        reader.show_error("b.txt", ERROR)
        await pilot.pause()
        assert "Permission denied" in reader.text
        reader.clear()
        assert (reader.text, reader.path) == ("", "")


@pytest.mark.parametrize("width", [24, 80, 158])
async def test_foreign_text_is_only_text(width: int) -> None:
    runs, diff, files, reader = RunList(), MemoryDiff(), ArtifactList(), ArtifactReader()
    shown = run(engine=EVIL, reason=EVIL, changed=(EVIL,))
    for widget in (runs, diff, files, reader):
        async with WidgetApp(widget).run_test(size=(width, 20)) as pilot:
            runs.show_runs([shown, run(13, status="failed", reason=EVIL)], NOW)
            diff.show(shown, [change(EVIL, EVIL, EVIL * 2)], NOW)
            files.show_artifacts(f"/{EVIL}", [Artifact(EVIL, 1, None, EVIL), Artifact(EVIL + "2", 1)], NOW)
            reader.show(f"{EVIL}.md", EVIL)
            await settled(pilot)
            text = screen_text(pilot.app)
            assert not any(character in text for character in "\x1b\u202e\x00")
            assert "␛" in text or (widget is runs and width < 80)
