"""A run as it goes: bounded, following, and never moving what is being read."""

from __future__ import annotations

from typing import Any

import pytest
from memory_values import EOF_ERROR, NOW, thread_id
from reading import WidgetApp, screen_text

from store.errors import EngineFailed
from store.memories.models import ConsolidationResult, ExtractionResult, RunProgress
from widgets.glyphs import ASCII
from widgets.memory_run_view import LONGEST_LINE, MemoryRunView

TITLES = {thread_id(1): "One", thread_id(2): "Two"}


def progress(output: str = "", **fields: Any) -> RunProgress:
    given = {"phase": "extraction", "step": "engine", "done": 1, "total": 4, "thread_id": thread_id(1)}
    return RunProgress(output=output, **{**given, **fields})


def follows(view: MemoryRunView) -> bool:
    return view.output.follows


def top_line(view: MemoryRunView) -> str:
    return view.output.render_line(0).text.strip()


async def test_how_far_it_is_and_what_it_does() -> None:
    view = MemoryRunView()
    async with WidgetApp(view, framed=False).run_test(size=(60, 12)) as pilot:
        view.begin("Extracting 4 threads", NOW, TITLES)
        await pilot.pause()
        assert view.running
        assert view.head.text.split("\n")[0].split("   ")[0] == " ● Extracting 4 threads"
        assert view.head.text.split("\n")[1] == "   starting"
        view.add(progress(), NOW + 200)
        view.draw_what_came()
        head = view.head.text.split("\n")
        assert head[0].endswith("  3 min 20 s")
        assert head[1].endswith("━━━  1 of 4") or head[1].endswith("───  1 of 4")
        assert head[2] == "   engine · One"


async def test_output_stands_below_the_name_of_its_thread() -> None:
    view = MemoryRunView()
    async with WidgetApp(view, framed=False).run_test(size=(60, 12)) as pilot:
        view.begin("Extracting", NOW, TITLES)
        view.add(progress("a\nb\n"), NOW)
        view.add(progress("c"), NOW)
        view.add(progress("d", thread_id=thread_id(2)), NOW)
        view.add(progress("e", thread_id=None), NOW)
        await pilot.pause()
        assert view.output.lines == ["One", "a", "b", "c", "Two", "d", "e"]


async def test_it_is_drawn_by_the_clock_and_not_by_the_line() -> None:
    view = MemoryRunView()
    async with WidgetApp(view, framed=False).run_test(size=(60, 12)) as pilot:
        view.begin("Extracting", NOW, TITLES)
        view.add(progress("hello"), NOW)
        while "hello" not in screen_text(pilot.app):
            await pilot.pause(0.02)


async def test_only_the_newest_lines_are_kept_and_the_rest_counted() -> None:
    view = MemoryRunView(kept=100)
    async with WidgetApp(view, framed=False).run_test(size=(100, 12)) as pilot:
        view.begin("Consolidating", NOW)
        for number in range(50):
            lines = "\n".join(f"line {number * 10 + one}" for one in range(10))
            view.add(progress(lines, phase="consolidation", thread_id=None), NOW + 1)
        view.draw_what_came()
        await pilot.pause()
        assert view.output.lines == [f"line {number}" for number in range(400, 500)]
        assert "400 earlier lines are gone" in view.head.text
        view.add(progress("x" * 5_000_000, thread_id=None), NOW + 1)
        view.draw_what_came()
        assert len(view.output.lines[-1]) == LONGEST_LINE + 1


async def test_who_scrolls_up_stays_at_his_line_while_others_come_and_go() -> None:
    view = MemoryRunView(kept=100)
    async with WidgetApp(view, framed=False).run_test(size=(60, 14)) as pilot:
        view.begin("Consolidating", NOW)
        view.output.say("\n".join(f"line {number}" for number in range(100)))
        view.draw_what_came()
        await pilot.pause()
        assert follows(view)
        view.output.scroll_to(y=50)
        await pilot.pause()
        assert top_line(view) == "line 50"
        view.output.say("\n".join(f"more {number}" for number in range(30)))
        view.draw_what_came()
        await pilot.pause()
        assert top_line(view) == "line 50"
        assert not follows(view)
        view.output.say("\n".join(f"most {number}" for number in range(60)))
        view.draw_what_came()
        await pilot.pause()
        # The line is gone; the oldest that is kept takes its place.
        assert top_line(view) == "line 90"
        view.output.scroll_end(animate=False)
        await pilot.pause()
        view.output.say("the end")
        view.draw_what_came()
        await pilot.pause()
        assert follows(view)


async def test_another_width_wraps_anew_and_still_follows() -> None:
    view = MemoryRunView()
    async with WidgetApp(view, framed=False).run_test(size=(80, 12)) as pilot:
        view.begin("Consolidating", NOW)
        view.output.say("\n".join(f"{number} " + "word " * 12 for number in range(40)))
        view.draw_what_came()
        await pilot.resize_terminal(30, 12)
        await pilot.pause()
        assert view.output.virtual_size.height > 80
        assert follows(view)


async def test_what_came_while_the_pane_was_hidden_is_drawn_when_it_comes_back() -> None:
    view = MemoryRunView()
    async with WidgetApp(view, framed=False).run_test(size=(60, 12)) as pilot:
        view.begin("Consolidating", NOW)
        view.display = False
        await pilot.pause()
        view.add(progress("hello"), NOW)
        view.finish(ConsolidationResult(outcome="succeeded", inputs=1), NOW + 1)
        view.display = True
        await pilot.pause()
        assert "hello" in screen_text(pilot.app)


async def test_titles_may_come_after_the_beginning_and_a_consolidation_counts_nothing() -> None:
    view, titles = MemoryRunView(), dict[str, str]()
    async with WidgetApp(view, framed=False).run_test(size=(90, 12)) as pilot:
        view.begin("Extracting", NOW, titles)
        titles.update(TITLES)
        view.add(progress("said", done=3), NOW + 1)
        view.draw_what_came()
        assert "3 of 4" in view.head.text
        assert set(view.output.lines) & set(TITLES.values())
        view.add(RunProgress(phase="consolidation", step="writing", total=4), NOW + 2)
        await pilot.pause()
        view.draw_what_came()
        assert "of 4" not in view.head.text


@pytest.mark.parametrize(
    ("result", "head", "step"),
    [
        (
            ConsolidationResult(outcome="succeeded", inputs=2),
            "✓ 2 memories consolidated, no file changed",
            "",
        ),
        (ConsolidationResult(outcome="failed", reason="no auth"), "✗ Consolidation failed: no auth", ""),
        (ConsolidationResult(outcome="SkippedRunning", reason="pid 5"), "◌ Running elsewhere: pid 5", ""),
        (
            ExtractionResult(
                outcome="succeeded", succeeded=1, failed=1, failures=((thread_id(2), EOF_ERROR),)
            ),
            "! 1 memory extracted, 1 failed",
            "",
        ),
        (
            EngineFailed("codex ended", why="status 1", next_step="Log in"),
            "✗ codex ended",
            "",
        ),
        (None, "! Stopped", "What was extracted before is kept."),
    ],
)
async def test_how_it_ended_stays(result: Any, head: str, step: str) -> None:
    view = MemoryRunView()
    async with WidgetApp(view, framed=False).run_test(size=(90, 12)) as pilot:
        view.begin("Extracting", NOW, TITLES)
        view.add(progress("said", done=4), NOW + 1)
        view.stopping()
        view.finish(result, NOW + 2)
        await pilot.pause()
        view.go_on(NOW + 500)
        lines = [line.strip() for line in view.head.text.split("\n")]
        expected = head.replace("codex ended", "Codex ended")
        assert lines[0].removesuffix("2 s").rstrip() == expected
        assert lines[2] == step
        assert not view.running
        if isinstance(result, ExtractionResult):
            assert view.output.lines[-1] == f"✗ Two: {EOF_ERROR}"
        if isinstance(result, EngineFailed):
            assert view.output.lines[-2:] == ["status 1.", "Log in."]


async def test_stopping_is_said_until_it_has_ended() -> None:
    view = MemoryRunView(glyphs=ASCII)
    async with WidgetApp(view, framed=False).run_test(size=(60, 12)) as pilot:
        view.begin("Extracting", NOW, TITLES)
        view.stopping()
        view.add(progress(), NOW + 1)
        view.draw_what_came()
        await pilot.pause()
        assert view.head.text.split("\n")[-1].strip() == "stopping the engine"
        assert view.head.text.isascii()


async def test_a_second_run_begins_empty() -> None:
    view = MemoryRunView()
    async with WidgetApp(view, framed=False).run_test(size=(60, 12)) as pilot:
        view.begin("First", NOW)
        view.add(progress("old"), NOW)
        view.finish(None, NOW)
        view.begin("Second", NOW + 10)
        await pilot.pause()
        assert view.output.lines == []
        assert "old" not in screen_text(pilot.app)
        assert "of 4" not in view.head.text


@pytest.mark.parametrize("width", [24, 80])
async def test_foreign_text_is_only_text(width: int) -> None:
    evil = "\x1b[2J\u202e[@click=app.quit]x[/]\x00"
    view = MemoryRunView()
    async with WidgetApp(view).run_test(size=(width, 20)) as pilot:
        view.begin(evil, NOW, {thread_id(1): evil})
        view.add(progress(evil + "\n日本語" * 40, step=evil), NOW)
        view.finish(EngineFailed(evil, why=evil), NOW)
        await pilot.pause()
        text = screen_text(pilot.app)
        assert "␛[2J" in text
        assert not any(character in text for character in "\x1b\u202e\x00")
