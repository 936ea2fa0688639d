"""Finding words in the transcript that is shown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from reading import (
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
from rich.style import Style
from textual.strip import Strip

from store.errors import RolloutError
from store.needle import Needle
from widgets.found_lines import found_spans, marked, wrapped_pattern
from widgets.hits import Hits
from widgets.item_heights import ItemHeights
from widgets.transcript_view import TranscriptView

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.segment import Segment
    from textual.pilot import Pilot

    from store.models import TranscriptItem

SIZE = (80, 24)


class FindingApp(ReaderApp):
    """A reader, and how far its searches came."""

    def on_transcript_finding_found(self, message: TranscriptView.Found) -> None:
        self.messages.append(message)

    def on_transcript_finding_finding_ended(self, message: TranscriptView.FindingEnded) -> None:
        self.messages.append(message)

    @property
    def told(self) -> tuple[int | None, int] | None:
        """Which hit of how many was told last; None while the search goes on."""
        found = [message for message in self.messages if isinstance(message, TranscriptView.Found)]
        return (found[-1].number, found[-1].total) if found and found[-1].searched is None else None


def dialogue(turns: int, *, every: int = 10) -> list[TranscriptItem]:
    """Three items a turn; each so many turns, a prompt, a command's output and an answer name the needle."""
    items: list[TranscriptItem] = []
    for turn in range(turns):
        named = " with a needle" if turn % every == 0 else ""
        items += [
            prompt(3 * turn, f"question {turn}{named}"),
            shell(3 * turn + 1, f"run {turn}", f"one\ntwo{named}\nthree"),
            answer(3 * turn + 2, f"answer {turn}{named}"),
        ]
    return items


def marks(view: TranscriptView) -> list[str]:
    """What is marked on the screen, line by line."""
    found = []
    for y in range(view.size.height):
        words = [segment.text for segment in view.render_line(y) if _is_marked(segment)]
        if words:
            found.append("".join(words))
    return found


def _is_marked(segment: Segment) -> bool:
    return bool(segment.style and segment.style.underline and segment.style.bold)


def bar_marks(app: ReaderApp) -> list[int]:
    """The rows of the scroll bar with a mark."""
    lines = screen_text(app).split("\n")[1:-1]
    return [row for row, line in enumerate(lines) if line[-2:-1] == "━"]


def lines(app: ReaderApp) -> list[str]:
    """The screen without the scroll bar, which knows more heights the more was seen."""
    return [row[:-2] for row in screen_text(app).split("\n")]


def cursor_line(view: TranscriptView) -> int | None:
    return view.cursor_item.line if view.cursor_item else None


async def finding(pilot: Pilot[None], view: TranscriptView, words: str) -> None:
    view.begin_find()
    view.find(words)
    await settled(pilot)


async def test_the_nearest_hit_comes_into_sight_and_n_and_N_go_on() -> None:
    app = FindingApp(Transcript(dialogue(100)))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        view = app.view
        await finding(pilot, view, "needle")
        assert app.told == (30, 30)
        assert cursor_line(view) == 3 * 90 + 2
        assert marks(view)[-1] == "needle"

        view.action_hit(1)
        await settled(pilot)
        assert cursor_line(view) == 3 * 90 + 2
        assert "no hit below" in screen_text(app)

        for number, line in ((29, 3 * 90 + 1), (28, 3 * 90), (27, 3 * 80 + 2)):
            view.action_hit(-1)
            await settled(pilot)
            assert (app.told, cursor_line(view)) == ((number, 30), line)
        view.action_hit(1)
        await settled(pilot)
        assert app.told == (28, 30)
        assert not view.follows


async def test_a_hit_from_what_is_in_sight_on_is_the_first() -> None:
    app = FindingApp(Transcript(dialogue(100)), at=3 * 45)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await finding(pilot, app.view, "needle")
        assert cursor_line(app.view) == 3 * 50
        assert app.told == (16, 30)


async def test_what_is_in_sight_does_not_move() -> None:
    app = FindingApp(Transcript(dialogue(100)), at=3 * 48)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        before = [row.replace("▎", " ") for row in lines(app)]
        await finding(pilot, app.view, "question 50")
        assert [row.replace("▎", " ") for row in lines(app)] == before
        assert marks(app.view) == ["question 50"]


async def test_an_output_that_is_folded_away_unfolds_as_long_as_it_is_the_hit() -> None:
    app = FindingApp(Transcript(dialogue(30, every=10)))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await finding(pilot, app.view, "two with")
        assert cursor_line(app.view) == 3 * 20 + 1
        assert "two with a needle" in screen_text(app)
        app.view.action_hit(-1)
        await settled(pilot)
        assert cursor_line(app.view) == 3 * 10 + 1
        assert "two with a needle" in screen_text(app)
        app.view.scroll_to(y=app.view.max_scroll_y, animate=False)
        await settled(pilot)
        assert "two with a needle" not in screen_text(app)


async def test_lines_of_a_long_output_come_one_screen_after_the_other() -> None:
    output = "\n".join(f"{n} needle" if n in (100, 102, 200) else f"{n}" for n in range(300))
    app = FindingApp(Transcript([prompt(0, "go"), shell(1, "run", output), answer(2, "a needle")]), at=0)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await finding(pilot, app.view, "needle")
        assert app.told == (1, 2)
        assert marks(app.view) == ["needle", "needle"]
        assert "102 needle" in screen_text(app)
        app.view.action_hit(1)
        await settled(pilot)
        assert app.told == (1, 2)
        assert "200 needle" in screen_text(app)
        app.view.action_hit(1)
        await settled(pilot)
        assert app.told == (2, 2)
        app.view.action_hit(-1)
        await settled(pilot)
        assert "200 needle" in screen_text(app)


async def test_words_that_are_not_drawn_are_told() -> None:
    output = "\n".join([*map(str, range(3_000)), "needle"])
    app = FindingApp(Transcript([shell(0, "run", output), answer(1, "end")]))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await finding(pilot, app.view, "needle")
        assert app.told == (1, 1)
        assert "J shows all of it" in screen_text(app)


async def test_what_is_not_drawn_in_any_turn_is_no_hit() -> None:
    quiet = item(0, "context", label="turn_context", text="a needle")
    app = FindingApp(Transcript([quiet, answer(1, "a needle")]))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await finding(pilot, app.view, "needle")
        assert app.told == (1, 1)


async def test_going_back_leaves_everything_as_it_was() -> None:
    app = FindingApp(Transcript(dialogue(100)), at=3 * 43)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        before = lines(app)
        await finding(pilot, app.view, "two with")
        assert lines(app) != before
        app.view.end_find(back=True)
        await settled(pilot)
        assert lines(app) == before
        assert not app.view.finding


async def test_going_back_follows_the_end_again() -> None:
    app = FindingApp(Transcript(dialogue(100)))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        before = lines(app)
        await finding(pilot, app.view, "question 3")
        assert not app.view.follows
        app.view.find("")
        await settled(pilot)
        assert (lines(app), app.view.follows) == (before, True)


async def test_staying_takes_the_marks_away_and_nothing_else() -> None:
    app = FindingApp(Transcript(dialogue(100)), at=3 * 43)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await finding(pilot, app.view, "two with")
        assert marks(app.view)
        assert bar_marks(app)
        before = lines(app)
        app.view.end_find(back=False)
        await settled(pilot)
        assert not marks(app.view)
        assert not bar_marks(app)
        assert "two with a needle" in screen_text(app)
        assert lines(app) == before


async def test_words_typed_on_begin_from_where_the_person_was() -> None:
    app = FindingApp(Transcript(dialogue(100)), at=3 * 43)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        view = app.view
        view.begin_find()
        for words, line in (("q", 3 * 43), ("question 9", 3 * 90), ("question 44", 3 * 44)):
            view.find(words)
            await settled(pilot)
            assert cursor_line(view) == line, words
        view.find("question 44x")
        await settled(pilot)
        assert app.told == (None, 0)
        assert cursor_line(view) == 3 * 43


async def test_a_search_of_other_words_is_given_up() -> None:
    source = Transcript(dialogue(500))
    app = FindingApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.view.begin_find()
        app.view.find("needle")
        source.searches[0].gate.clear()
        await pilot.pause()
        app.view.find("answer 7")
        await settled(pilot)
        assert app.told == (11, 11)
        source.searches[0].gate.set()
        await pilot.pause()
        assert app.told == (11, 11)


async def test_how_far_the_search_has_come_is_told() -> None:
    source = Transcript(dialogue(500))
    app = FindingApp(source, at=0)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.view.find("needle")
        await settled(pilot)
        shares = [message.searched for message in app.messages if isinstance(message, TranscriptView.Found)]
        assert shares[-1] is None
        assert all(share is not None and 0 <= share <= 1 for share in shares[:-1])
        assert app.told == (1, 150)


async def test_the_cursor_says_which_hit_it_is_on() -> None:
    app = FindingApp(Transcript(dialogue(20)), at=0)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await finding(pilot, app.view, "with a")
        assert app.told == (1, 6)
        for number in (2, 3, None):
            app.view.action_move(1)
            await settled(pilot)
            assert app.told == (number, 6)


async def test_what_comes_later_is_found_and_moves_nothing() -> None:
    source = Transcript(dialogue(100))
    app = FindingApp(source, at=3 * 43)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await finding(pilot, app.view, "needle")
        before = lines(app)
        source.append(answer(300, "another needle"), shell(301, "x", "needle"))
        app.view.grew()
        await settled(pilot)
        assert app.told == (16, 32)
        assert lines(app)[:-2] == before[:-2]


async def test_growth_during_a_search_loses_nothing() -> None:
    source = Transcript(dialogue(100))
    app = FindingApp(source, at=0)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.view.find("needle")
        source.searches[0].gate.clear()
        await pilot.pause()
        source.append(answer(300, "another needle"))
        app.view.grew()
        await pilot.pause()
        source.searches[0].gate.set()
        await settled(pilot)
        assert app.told == (1, 31)


async def test_before_the_index_is_made_it_waits_for_it() -> None:
    source = Transcript(dialogue(100), indexed=False)
    app = FindingApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        async with asyncio.timeout(10):
            while "answer 99" not in screen_text(app):
                await pilot.pause()
        app.view.begin_find()
        app.view.find("needle")
        await pilot.pause()
        assert source.searches == []
        app.view.action_hit(-1)
        source.finish_index()
        await settled(pilot)
        assert app.told == (30, 30)


async def test_another_thread_ends_it() -> None:
    app = FindingApp(Transcript(dialogue(10)))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await finding(pilot, app.view, "needle")
        app.view.show(thread(), Transcript(dialogue(20)))
        await settled(pilot)
        assert not app.view.finding
        assert any(isinstance(message, TranscriptView.FindingEnded) for message in app.messages)
        assert marks(app.view) == []


async def test_a_file_that_goes_is_told() -> None:
    source = Transcript(dialogue(10))
    app = FindingApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        source.error = RolloutError("The rollout cannot be read")
        app.view.find("needle")
        await settled(pilot)
        assert "The rollout cannot be read" in screen_text(app)


async def test_nothing_to_find_is_told() -> None:
    app = FindingApp(Transcript(dialogue(1)))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        app.view.action_hit(1)
        assert "nothing to find yet" in screen_text(app)


async def test_the_bar_shows_hits_over_the_whole_thread() -> None:
    app = FindingApp(Transcript([answer(n, "needle" if n in (0, 500, 999) else "x") for n in range(1_000)]))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot)
        await finding(pilot, app.view, "needle")
        rows = bar_marks(app)
        assert (rows[0], rows[-1], len(rows)) == (0, 21, 3)
        assert 9 <= rows[1] <= 12


# The parts


@pytest.mark.parametrize(
    ("lines", "words", "expected"),
    [
        (["a Needle, needle"], "needle", {0: [(2, 8), (10, 16)]}),
        (["a Needle, needle"], "Needle", {0: [(2, 8)]}),
        (["日本語 needle"], "needle", {0: [(7, 13)]}),
        (["  two wo", "  rds"], "words", {0: [(6, 8)], 1: [(2, 5)]}),
        (["  two", "  words"], "two words", {0: [(2, 5)], 1: [(2, 7)]}),
        (["a.b axb"], "a.b", {0: [(0, 3)]}),
        (["a  b", "a b"], "a  b", {0: [(0, 4)]}),
        (["  needle", "  "], "needle ", {0: [(2, 8)]}),
        (["  "] * 2_000, "          x", {}),
        (["x" + " " * 90] * 2_000, "x    x    x", {}),
        (["x", "", "needle"], "needle", {2: [(0, 6)]}),
        ([], "needle", {}),
    ],
)
def test_where_words_stand(lines: Sequence[str], words: str, expected: object) -> None:
    strips = [Strip([segment]) for segment in map(_plain, lines)]
    assert found_spans(strips, wrapped_pattern(Needle(words))) == expected


def test_headings_are_left_out() -> None:
    strips = [Strip([_plain("codex")]), Strip([_plain("codex says")])]
    assert found_spans(strips, wrapped_pattern(Needle("codex")), 1) == {1: [(0, 5)]}


def test_only_the_cells_of_the_words_are_marked() -> None:
    strip = marked(Strip([_plain("日本 needle, x")]), [(5, 11)], Style(bold=True))
    assert [(segment.text, bool(segment.style and segment.style.bold)) for segment in strip] == [
        ("日本 ", False),
        ("needle", True),
        (", x", False),
    ]
    assert strip.cell_length == 14


def _plain(text: str) -> Segment:
    from rich.segment import Segment

    return Segment(text)


def test_hits_are_kept_in_order() -> None:
    hits = Hits()
    hits.add([5, 9, 7, 2])
    assert [hits.beside(at, 1) for at in (-1, 2, 6, 9)] == [2, 5, 7, None]
    assert [hits.beside(at, -1) for at in (2, 6, 100)] == [None, 5, 9]
    assert [hits.number(at) for at in (2, 3, 9)] == [1, None, 4]
    assert hits.shares([0, 3, 3, 8, 9, 10]) == [0, 2, 4]


def test_the_shares_of_heights_are_where_their_lines_fall() -> None:
    heights = ItemHeights(1_000, estimate=2)
    heights.measure(0, 1_000)
    shares = heights.shares(10)
    assert shares[-1] == 1_000
    assert [heights.at(heights.total * part // 10)[0] for part in range(10)] == shares[:-1]
    assert ItemHeights().shares(2) == [0, 0, 0]


# Pictures


def _pressing(words: str, *, back: int = 0) -> Callable[[Pilot[None]], object]:
    async def run(pilot: Pilot[None]) -> None:
        await settled(pilot)
        view = pilot.app.query_one(TranscriptView)
        await finding(pilot, view, words)
        for _ in range(back):
            view.action_hit(-1)
            await settled(pilot)

    return run


@pytest.mark.parametrize("theme", ["rollodex-dark", "rollodex-light"])
def test_hits_in_words_and_in_an_output(snap_compare: Callable[..., bool], theme: str) -> None:
    """The hit under the cursor stands out, the others are underlined, the bar shows those out of sight."""
    app = FindingApp(Transcript(dialogue(60)), theme=theme)
    assert snap_compare(app, terminal_size=SIZE, run_before=_pressing("needle", back=1))
