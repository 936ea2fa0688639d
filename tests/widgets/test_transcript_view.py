"""The reader: it asks for what is near the screen, stays where it is, and says what it is doing."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from reading import (
    PARENT_ID,
    THREAD_ID,
    ReaderApp,
    Transcript,
    answer,
    item,
    prompt,
    screen_text,
    settled,
    shell,
    thread,
)

from store.errors import RolloutError
from widgets.transcript_view import TranscriptView

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from store.models import TranscriptItem

SIZE = (80, 24)


def dialogue(turns: int) -> list[TranscriptItem]:
    """Five items a turn, of different heights."""
    items: list[TranscriptItem] = []
    for turn in range(turns):
        line = 5 * turn
        items += [
            prompt(line, f"question {turn}"),
            item(line + 1, "reasoning", text=f"thought {turn}"),
            shell(line + 2, f"run {turn}", "one\ntwo", exit_code=0 if turn % 7 else 1, failed=turn % 7 == 0),
            item(line + 3, "event", label="token_count", text="12,345 tokens"),
            answer(line + 4, "\n\n".join(f"answer {turn}.{part}" for part in range(turn % 6 + 1))),
        ]
    return items


def rows(app: ReaderApp) -> list[str]:
    """The lines of the view, without frame, gutter and scroll bar."""
    return [line[3:-2].rstrip() for line in screen_text(app).split("\n")[1:-1]]


def drawn(view: TranscriptView) -> list[str]:
    """What the view would draw now."""
    return [view.render_line(y).text[2:].strip() for y in range(view.size.height)]


def row_of(app: ReaderApp, text: str) -> int:
    """The row of the screen that says something."""
    return next(number for number, row in enumerate(rows(app)) if row.strip() == text)


def cursor(view: TranscriptView) -> TranscriptItem:
    """The item under the cursor."""
    found = view.cursor_item
    assert found is not None
    return found


# What is asked for


async def test_only_items_near_the_screen_are_asked_for() -> None:
    source = Transcript(dialogue(2_000))
    app = ReaderApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        assert min(start for start, _ in source.asked) >= 10_000 - 120
        assert rows(app)[-1].strip() == "answer 1999.1"

        source.asked.clear()
        app.view.action_page(-1.0)
        await settled(pilot)
        assert all(start >= 10_000 - 200 for start, _ in source.asked)

        source.asked.clear()
        app.view.scroll_to(y=app.view.max_scroll_y // 2, animate=False)
        await settled(pilot)
        assert 0 < sum(stop - start for start, stop in source.asked) < 200
        assert "…" not in rows(app)


async def test_scrolling_back_and_forth_asks_for_nothing_twice() -> None:
    source = Transcript(dialogue(100))
    app = ReaderApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        for _ in range(2):
            app.view.action_page(-1.0)
            await settled(pilot)
        source.asked.clear()
        for pages in (1.0, -1.0, 1.0, -0.5, 0.5):
            app.view.action_page(pages)
            await settled(pilot)
        assert source.asked == []


async def test_every_line_passes_once_when_scrolling_up_line_by_line() -> None:
    """Heights that were guessed are put right without the text in sight moving."""
    items = dialogue(60)
    app = ReaderApp(Transcript(items))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        seen = drawn(app.view)
        while app.view.scroll_y > 0:
            before = drawn(app.view)
            app.view.scroll_to(y=app.view.scroll_y - 1, animate=False)
            await app.workers.wait_for_complete()
            after = drawn(app.view)
            assert after[1:] == before[:-1]
            seen.insert(0, after[0])
        assert [row for row in seen if row.startswith("question")] == [f"question {n}" for n in range(60)]
        assert [row for row in seen if row.startswith("answer")] == [
            f"answer {turn}.{part}" for turn in range(60) for part in range(turn % 6 + 1)
        ]


async def test_a_jump_into_the_unknown_settles_on_whole_items() -> None:
    app = ReaderApp(Transcript(dialogue(500)))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        for place in (0.25, 0.9, 0.1):
            app.view.scroll_to(y=round(app.view.max_scroll_y * place), animate=False)
            await settled(pilot)
            shown = [row.strip() for row in rows(app) if row.strip().startswith("question")]
            numbers = [int(text.split()[1]) for text in shown]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


# Where it opens


async def test_it_opens_at_the_end_with_the_last_prompt_and_answer_in_sight() -> None:
    app = ReaderApp(Transcript(dialogue(30)))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        assert row_of(app, "question 29") < row_of(app, "answer 29.5")
        assert app.view.follows
        assert cursor(app.view).line == 149


async def test_it_opens_at_a_line_and_says_where_it_was_left() -> None:
    app = ReaderApp(Transcript(dialogue(200)), at=5 * 77)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        assert row_of(app, "question 77") == 2
        assert cursor(app.view).line == 385
        for _ in range(2):
            app.view.action_prompt(1)
            await settled(pilot)
        app.view.leave()
        await pilot.pause()
        assert app.messages == [TranscriptView.PlaceLeft(THREAD_ID, 5 * 79)]

        app.view.show(thread(), Transcript(dialogue(200)), 5 * 79)
        await settled(pilot)
        assert row_of(app, "question 79") == 2


async def test_a_thread_left_at_its_end_is_left_at_no_line() -> None:
    app = ReaderApp(Transcript(dialogue(30)))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.view.show(thread(id=PARENT_ID), Transcript(dialogue(3)))
        await settled(pilot)
        assert app.messages == [TranscriptView.PlaceLeft(THREAD_ID, None)]


# Before there is an index


async def test_the_last_screen_is_drawn_before_the_index_and_stays_put_when_it_comes() -> None:
    source = Transcript(dialogue(300), indexed=False, screen=40)
    app = ReaderApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert row_of(app, "question 299") < row_of(app, "answer 299.5")
        assert source.asked == []
        app.view.action_page(-0.5)
        app.view.action_move(-1)
        await pilot.pause()
        before, under = rows(app), cursor(app.view).line

        source.finish_index()
        await settled(pilot)
        assert rows(app) == before
        assert cursor(app.view).line == under
        assert app.view.max_scroll_y > 500


async def test_the_first_screen_serves_for_going_to_the_beginning() -> None:
    source = Transcript(dialogue(300), indexed=False, screen=40)
    app = ReaderApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.view.action_first()
        await pilot.pause()
        await pilot.pause()
        assert row_of(app, "question 0") == 2
        before = rows(app)
        source.finish_index()
        await settled(pilot)
        assert rows(app) == before


async def test_what_was_unfolded_stays_unfolded_when_the_index_comes() -> None:
    source = Transcript([*dialogue(50), shell(250, "make", "built it")], indexed=False)
    app = ReaderApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.view.action_fold()
        await pilot.pause()
        assert "built it" in screen_text(app)
        source.finish_index()
        await settled(pilot)
        assert "built it" in screen_text(app)


# Moving


async def test_down_goes_item_by_item_then_line_by_line() -> None:
    long = answer(1, "\n\n".join(f"part {part}" for part in range(40)))
    app = ReaderApp(Transcript([prompt(0, "go on"), long, shell(2, "ls")]), at=0)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        assert cursor(app.view).line == 0
        await pilot.press("down")
        assert cursor(app.view).line == 1
        tops = []
        while cursor(app.view).line == 1:
            tops.append(app.view.scroll_y)
            app.view.action_move(1)
        assert tops[0] <= 1
        assert all(later - earlier == 1 for earlier, later in pairwise(tops))
        await pilot.pause()
        assert rows(app)[-1].startswith("+ exec ls")
        while app.view.scroll_y:
            app.view.action_move(-1)
        app.view.action_move(-1)
        assert cursor(app.view).line == 0


async def test_jumps_between_prompts_errors_and_tools() -> None:
    app = ReaderApp(Transcript(dialogue(30)))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        lines: list[int] = []
        for action, by in (
            (app.view.action_prompt, -1),
            (app.view.action_prompt, -1),
            (app.view.action_error, -1),
            (app.view.action_error, -1),
            (app.view.action_error, 1),
            (app.view.action_tool, 1),
            (app.view.action_tool, -1),
        ):
            action(by)
            await settled(pilot)
            lines.append(cursor(app.view).line)
        # Turns 21 and 28 fail; a turn is five lines, its call the third.
        assert lines == [145, 140, 107, 72, 107, 112, 107]


async def test_a_jump_with_nothing_left_says_so_and_stays() -> None:
    app = ReaderApp(Transcript(dialogue(3)))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        place = app.view.scroll_y
        app.view.action_prompt(1)
        await pilot.pause()
        assert "-- no prompt below --" in screen_text(app)
        assert app.view.scroll_y == place
        await pilot.press("up")
        assert "no prompt below" not in screen_text(app)


async def test_quiet_events_take_no_line_until_everything_is_unfolded() -> None:
    app = ReaderApp(Transcript(dialogue(2)))
    async with app.run_test(size=(80, 40)) as pilot:
        await settled(pilot)
        assert "12,345 tokens" not in screen_text(app)
        app.view.action_unfold_all()
        await settled(pilot)
        assert screen_text(app).count("12,345 tokens") == 2
        assert "thought 1" in screen_text(app)
        app.view.action_fold_all()
        await settled(pilot)
        assert "12,345 tokens" not in screen_text(app)


async def test_folding_keeps_the_line_of_the_cursor() -> None:
    app = ReaderApp(Transcript(dialogue(60)), at=5 * 30)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.view.action_tool(1)
        app.view.action_page(-0.5)
        await settled(pilot)
        line = cursor(app.view).line
        row = row_of(app, "+ exec run 30 · exit 0 · 2 lines")
        app.view.action_fold()
        await settled(pilot)
        assert row_of(app, "- exec run 30 · exit 0 · 2 lines") == row
        assert cursor(app.view).line == line
        app.view.action_unfold_all()
        await settled(pilot)
        assert cursor(app.view).line == line


async def test_a_click_takes_an_item_and_its_first_line_folds_it() -> None:
    app = ReaderApp(Transcript(dialogue(4)), at=0)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await pilot.click(TranscriptView, offset=(6, row_of(app, "question 1")))
        assert cursor(app.view).line == 5
        fold = row_of(app, "+ exec run 1 · exit 0 · 2 lines")
        await pilot.click(TranscriptView, offset=(6, fold))
        await settled(pilot)
        assert rows(app)[fold].startswith("- exec run 1")
        assert cursor(app.view).line == 7


async def test_the_wheel_scrolls_and_the_cursor_stays_in_sight() -> None:
    app = ReaderApp(Transcript(dialogue(60)))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        before = app.view.scroll_y
        for _ in range(30):
            app.view._scroll_up_for_pointer(animate=False)
        await settled(pilot)
        assert app.view.scroll_y < before
        assert not app.view.follows
        top = app.view._layout.heights.top(app.view._cursor)
        assert app.view.scroll_y <= top + 2 < app.view.scroll_y + 24


async def test_a_resize_keeps_the_item_on_top() -> None:
    app = ReaderApp(Transcript(dialogue(60)), at=5 * 30)
    async with app.run_test(size=(120, 40)) as pilot:
        await settled(pilot)
        assert row_of(app, "question 30") == 2
        await pilot.resize_terminal(58, 20)
        await settled(pilot)
        assert row_of(app, "question 30") == 2


# Growth


async def test_it_stays_at_the_end_when_the_thread_grows() -> None:
    source = Transcript(dialogue(30))
    app = ReaderApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        source.append(answer(150, "one more"), answer(151, "and the last"))
        app.view.grew()
        await settled(pilot)
        assert rows(app)[-1].strip() == "and the last"
        assert cursor(app.view).line == 151
        assert "new below" not in screen_text(app)


async def test_it_stays_put_and_counts_what_is_new_below() -> None:
    source = Transcript(dialogue(30))
    app = ReaderApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.view.action_page(-1.0)
        await settled(pilot)
        before = rows(app)
        source.append(answer(150, "more"), item(151, "event", label="token_count"), answer(152, "last"))
        app.view.grew()
        await settled(pilot)
        assert rows(app)[:-1] == before[:-1]
        assert rows(app)[-1].strip() == "-- 2 new below · G --"
        app.view.action_last()
        await settled(pilot)
        assert rows(app)[-1].strip() == "last"
        assert "new below" not in screen_text(app)


async def test_an_output_that_comes_later_joins_its_call() -> None:
    source = Transcript([prompt(0, "wait"), shell(1, "sleep 60", None, exit_code=None)])
    app = ReaderApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        assert rows(app)[3] == "+ exec sleep 60 · no output"
        source.all[1] = shell(1, "sleep 60", "done\n", lines=(1, 2), duration_ms=60_000)
        app.view.grew()
        await settled(pilot)
        assert rows(app)[3] == "+ exec sleep 60 · exit 0 · 1 min · 1 line"


async def test_a_great_deal_that_is_new_is_counted_without_being_decoded() -> None:
    source = Transcript(dialogue(30))
    app = ReaderApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.view.action_first()
        await settled(pilot)
        source.asked.clear()
        source.append(*dialogue(300)[150:])
        app.view.grew()
        await settled(pilot)
        assert rows(app)[-1].strip() == "-- 1350 new below · G --"
        assert all(stop <= 150 for _, stop in source.asked)


async def test_a_rollout_that_became_shorter_leaves_what_is_still_there() -> None:
    source = Transcript(dialogue(30))
    app = ReaderApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        del source.all[20:]
        app.view.grew()
        await settled(pilot)
        assert rows(app)[-1].strip() == "answer 3.3"
        assert cursor(app.view).line == 19


# What it says when there is nothing to read


async def test_reading_is_said_only_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Transcript([], indexed=False)
    app = ReaderApp(source)
    waits: list[float] = []
    real = TranscriptView.set_timer

    def timer(view: TranscriptView, delay: float, callback: object = None, **options: object) -> object:
        waits.append(delay)
        return real(view, 0.001, callback, **options)  # type: ignore[arg-type] # the rest of its arguments

    monkeypatch.setattr(TranscriptView, "set_timer", timer)
    async with app.run_test(size=SIZE) as pilot:
        assert "Reading" not in screen_text(app)
        while "Reading" not in screen_text(app):
            await pilot.pause(0.01)
        assert "Reading sessions/2026/09/21/rollout-x.jsonl …" in screen_text(app)
        assert waits == [0.3]
        source.finish_index()
        await settled(pilot)
        assert "(no prompt yet)" in screen_text(app)


async def test_a_thread_without_a_prompt_says_so() -> None:
    app = ReaderApp(Transcript([item(0, "context", label="session_meta", text="codex")]))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        assert rows(app)[1].strip() == "(no prompt yet)"


async def test_a_file_that_went_is_said_with_what_to_do() -> None:
    source = Transcript(dialogue(500))
    app = ReaderApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        source.error = RolloutError(
            "The rollout is gone",
            why="it was deleted a moment ago",
            next_step="Press ^r to read the list again",
        )
        app.view.scroll_to(y=0, animate=False)
        await settled(pilot)
        assert [row.strip() for row in rows(app)[1:4]] == [
            "✗ The rollout is gone",
            "it was deleted a moment ago",
            "Press ^r to read the list again",
        ]
        # Nothing of this moves anything any more.
        for action in (app.view.action_first, app.view.action_fold, app.view.action_unfold_all):
            action()
        app.view.action_move(1)
        await settled(pilot)
        assert "The rollout is gone" in screen_text(app)


async def test_a_failure_that_nobody_foresaw_is_said_too() -> None:
    source = Transcript(dialogue(500))
    app = ReaderApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        source.error = LookupError("line 7")
        app.view.scroll_to(y=0, animate=False)
        await settled(pilot)
        assert "✗ This transcript cannot be shown" in screen_text(app)
        assert "LookupError: line 7" in screen_text(app)


async def test_another_thread_replaces_one_that_is_still_being_read() -> None:
    slow = Transcript(dialogue(10), indexed=False)
    app = ReaderApp(slow, at=5)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.view.show(thread(id=PARENT_ID), Transcript([prompt(0, "the other one")]))
        slow.finish_index()
        await settled(pilot)
        assert "the other one" in screen_text(app)
        assert "question" not in screen_text(app)


# What it asks of the screen around it


async def test_raw_details_and_parent_are_asked_for() -> None:
    app = ReaderApp(Transcript(dialogue(2)), thread(forked_from_id=PARENT_ID))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.view.action_raw()
        await settled(pilot)
        app.view.action_details()
        app.view.action_parent()
        await pilot.pause()
        raw, details, parent = app.messages
        assert isinstance(raw, TranscriptView.RawRead)
        assert '"answer 1.0\\n\\nanswer 1.1"' in raw.text
        assert isinstance(details, TranscriptView.DetailsWanted)
        assert details.thread.id == THREAD_ID
        assert parent == TranscriptView.ParentWanted(PARENT_ID)


async def test_raw_lines_that_cannot_be_read_are_told() -> None:
    source = Transcript(dialogue(2))
    app = ReaderApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        source.error = RolloutError("The rollout is gone")
        app.view.action_raw()
        await settled(pilot)
        failed = app.messages[-1]
        assert isinstance(failed, TranscriptView.ReadFailed)
        assert failed.error.what == "The rollout is gone"
        assert "answer 1.1" in screen_text(app)


async def test_a_thread_without_a_parent_says_so() -> None:
    app = ReaderApp(Transcript(dialogue(2)))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.view.action_parent()
        await pilot.pause()
        assert "-- this thread has no parent --" in screen_text(app)


@pytest.mark.parametrize("size", [(20, 4), (3, 3), (58, 10), (200, 60)])
async def test_any_size_of_the_screen_will_do(size: tuple[int, int]) -> None:
    app = ReaderApp(Transcript(dialogue(20)))
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        for action in (app.view.action_first, app.view.action_unfold_all, app.view.action_last):
            action()
            await settled(pilot)
        app.view.action_page(-1.0)
        await settled(pilot)
        assert app.view.scroll_y >= 0


# Pictures

ANSWER = """\
The claim **reads** before it takes the lock, so two workers see the same row (see
[claim.py](store/claim.py:12)).

1. `BEGIN` was deferred
2. the read came first

```python
def claim(connection):
    connection.execute("BEGIN IMMEDIATE")  # the lock first
    return connection.execute(NEXT).fetchone()
```

| runs | before | after |
|---|---:|---:|
| failed | 12 | 0 |

> One thing is left: 日本語 in a test name.
"""
PATCH = """\
*** Begin Patch
*** Update File: store/claim.py
@@ def claim
-    row = read(connection)
     lock(connection)
+    row = read(connection)
*** End Patch"""
STORY = [
    item(0, "context", label="session_meta", text="codex_cli_rs · Codex 0.169.0"),
    item(1, "context", role="user", text="<environment_context>\n<cwd>/w</cwd>", injected=True),
    prompt(2, "the stage-1 test is flaky again, why?\nsee tests/test_stage1.py"),
    item(3, "reasoning", text="**Looking for the claim**\n\nIt reads first."),
    answer(4, "I'll look at how the claim takes its lock.", phase="commentary"),
    shell(5, "rg -n BEGIN store", "store/claim.py:12: BEGIN\n" * 42, duration_ms=100),
    shell(6, "pytest -q tests/test_stage1.py", "1 failed", exit_code=1, failed=True, duration_ms=3_400),
    item(7, "tool", tool="apply_patch", text=PATCH, output="Success", exit_code=0),
    item(8, "event", label="token_count", text="12,345 tokens"),
    answer(9, ANSWER, phase="final_answer"),
    item(10, "compaction", text="We fixed the claim.\nThe test passes."),
    prompt(11, "now undo it", rolled_back=True),
    answer(12, "Undone.", rolled_back=True),
    item(13, "event", label="turn_aborted", text="turn aborted · interrupted", failed=True),
    prompt(14, "thanks. run everything once more"),
    shell(15, "pytest -q", None, exit_code=None),
]
FORK = [
    *(one.model_copy(update={"inherited": True, "thread_id": PARENT_ID}) for one in STORY[:5]),
    prompt(1, "and from here another way"),
    answer(2, "Another way it is.", phase="final_answer"),
]


async def ready(pilot: Pilot[None]) -> None:
    """Wait for the picture."""
    await settled(pilot)


async def unfolded(pilot: Pilot[None]) -> None:
    """Unfold everything."""
    await settled(pilot)
    pilot.app.query_one(TranscriptView).action_unfold_all()
    await settled(pilot)


@pytest.mark.parametrize("size", [(58, 48), (100, 46), (140, 46)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_reading(snap_compare: Callable[..., bool], size: tuple[int, int]) -> None:
    """The end in sight: prompts on a band with their time at the right, calls one line each, the failed one
    in red, the final answer set as markdown, the rolled-back turn struck, the bar at the last item."""
    assert snap_compare(ReaderApp(Transcript(STORY)), terminal_size=size, run_before=ready)


def test_reading_in_light(snap_compare: Callable[..., bool]) -> None:
    """The same in the light theme."""
    app = ReaderApp(Transcript(STORY), theme="rollodex-light")
    assert snap_compare(app, terminal_size=(100, 46), run_before=ready)


def test_reading_without_colour(snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything can be told apart by words and marks alone."""
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(ReaderApp(Transcript(STORY)), terminal_size=(100, 46), run_before=ready)


def test_unfolded(snap_compare: Callable[..., bool]) -> None:
    """From the beginning, all unfolded: context, reasoning, a command with its output below a short rule."""
    app = ReaderApp(
        Transcript([*STORY[:5], shell(5, "git diff | head -3", "one\ntwo\nthree"), *STORY[6:8]]), at=0
    )
    assert snap_compare(app, terminal_size=(90, 40), run_before=unfolded)


def test_a_fork(snap_compare: Callable[..., bool]) -> None:
    """What is inherited stands under a rule that names the parent; another one begins the fork's own part."""
    assert snap_compare(ReaderApp(Transcript(FORK)), terminal_size=(80, 24), run_before=ready)


def test_new_below(snap_compare: Callable[..., bool]) -> None:
    """The last line says how many items are new and which key goes there; the rest has not moved."""
    source = Transcript(STORY)

    async def grow(pilot: Pilot[None]) -> None:
        await settled(pilot)
        view = pilot.app.query_one(TranscriptView)
        view.action_page(-1.0)
        await settled(pilot)
        source.append(answer(16, "All green."), prompt(17, "good"))
        view.grew()
        await settled(pilot)

    assert snap_compare(ReaderApp(source), terminal_size=(80, 24), run_before=grow)


def test_a_lost_file(snap_compare: Callable[..., bool]) -> None:
    """What happened in red, why, and what to do next."""
    source = Transcript(STORY)
    source.error = RolloutError(
        "The rollout cannot be read",
        why="Permission denied",
        next_step="Make the file readable, then press ^r",
    )
    assert snap_compare(ReaderApp(source), terminal_size=(60, 10), run_before=ready)


def test_no_prompt_yet(snap_compare: Callable[..., bool]) -> None:
    """A thread in which nothing was asked yet says just that."""
    assert snap_compare(ReaderApp(Transcript(STORY[:1])), terminal_size=(60, 10), run_before=ready)
