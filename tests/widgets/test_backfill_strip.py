"""The backfill's line and its twelve rows: every state in words, never going back."""

from __future__ import annotations

import re
from datetime import UTC
from typing import TYPE_CHECKING, Any

import pytest
from reading import AT
from textual.app import App, ComposeResult
from textual.widgets import Static

from store.errors import DatabaseBusy
from store.models import BackfillFailure, BackfillOwner, BackfillProgress
from tui.themes import THEMES
from widgets.backfill_strip import RATES_KEPT, BackfillStrip
from widgets.glyphs import ASCII, UNICODE, Glyphs

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

OWNER = BackfillOwner(host="workbench", boot_id="b", pid=4711, started_at=AT, token="t")
FAILURES = (
    BackfillFailure(path="sessions/2026/09/20/rollout-a.jsonl", reason="Permission denied"),
    BackfillFailure(path="sessions/2026/09/19/rollout-\x1b[31m.jsonl", reason="the first line is no JSON"),
)


def progress(**fields: Any) -> BackfillProgress:
    """A backfill in the midst of its first step, unless said otherwise."""
    given = {
        "status": "running",
        "step": "heads",
        "owner": OWNER,
        "owner_is_this_process": True,
        "started_at": AT,
        "done": 7_310,
        "total": 12_408,
        "rate": 3_200.0,
        "seconds_left": 2.0,
    }
    return BackfillProgress.model_validate({**given, **fields})


COMPLETE = progress(
    status="complete",
    step="full",
    done=12_408,
    last_success_at=AT - 7_200_000,
    checked_at=AT - 14_000,
    owner=None,
)


class StripApp(App[None]):
    """A strip under something else that can have the focus."""

    CSS = "#above { height: 1fr; }"

    def __init__(self, glyphs: Glyphs = UNICODE) -> None:
        super().__init__()
        for known in THEMES:
            self.register_theme(known)
        self.theme = "rollodex-dark"
        self.strip = BackfillStrip(home="~/.codex", zone=UTC, glyphs=glyphs)
        self.above = Static("the panes", id="above")
        self.above.can_focus = True

    def compose(self) -> ComposeResult:
        yield self.above
        yield self.strip

    def on_mount(self) -> None:
        self.above.focus()


async def line_of(*shown: BackfillProgress, width: int = 110, glyphs: Glyphs = UNICODE) -> str:
    app = StripApp(glyphs)
    async with app.run_test(size=(width, 24)) as pilot:
        for one in shown:
            app.strip.show(one, AT)
        await pilot.pause()
        assert app.strip.size.height == 1
        return app.strip.text


async def rows_of(*shown: BackfillProgress, width: int = 100, now: int = AT) -> list[str]:
    app = StripApp()
    async with app.run_test(size=(width, 24)) as pilot:
        app.strip.focus()
        for one in shown:
            app.strip.show(one, now)
        await pilot.pause()
        assert app.strip.outer_size.height == 12
        return [line[1:] for line in app.strip.text.split("\n")]


async def test_one_line_says_step_bar_counts_rate_and_time_left() -> None:
    assert await line_of(progress()) == (
        " 4 Backfill  ● ━━━━━━━━━───────  1 of 2 heads · 7,310 of 12,408 · 3.2k files/s · 2 s left"
    )


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (progress(status="pending", step=None, total=0), " 4 Backfill  ◌ waiting to begin"),
        (progress(owner_is_this_process=False), r" 4 Backfill  ● ━+─+  1 of 2 heads · .* left +by pid 4711"),
        (
            progress(step="full", rate=None, seconds_left=None),
            r" 4 Backfill  ● .*2 of 2 full · 7,310 of 12,408",
        ),
        (COMPLETE, r" 4 Backfill  ✓ complete · 12,408 of 12,408 +checked 14 s ago"),
        (COMPLETE.model_copy(update={"checked_at": None}), r" 4 Backfill  ✓ complete .* +finished 2 h ago"),
        (
            COMPLETE.model_copy(update={"failed": 3}),
            r" 4 Backfill  ! complete · 12,408 of 12,408 · 3 could not be read +checked 14 s ago",
        ),
    ],
)
async def test_each_state_has_its_words(shown: BackfillProgress, line: str) -> None:
    assert re.fullmatch(line, await line_of(shown))


async def test_ages_go_on_and_nothing_is_made_again_while_they_read_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = StripApp()
    async with app.run_test(size=(110, 24)):
        app.strip.show(COMPLETE.model_copy(update={"checked_at": AT}), AT)
        assert app.strip.text.endswith("checked just now")
        made: list[str] = []
        rebuild = app.strip.rebuild

        def counted() -> None:
            made.append("again")
            rebuild()

        monkeypatch.setattr(app.strip, "rebuild", counted)
        app.strip.go_on(AT + 900)
        assert not made
        app.strip.go_on(AT + 10_000)
        assert made == ["again"]
        assert app.strip.text.endswith("checked 10 s ago")


@pytest.mark.parametrize(("width", "end"), [(62, "3.2k files/s"), (48, "7,310 of 12,408"), (24, "1 of 2…")])
async def test_what_matters_least_goes_first_where_it_is_narrow(width: int, end: str) -> None:
    line = await line_of(progress(owner_is_this_process=False), width=width)
    assert line.endswith(end)
    assert len(line) <= width


async def test_ascii_marks() -> None:
    line = await line_of(progress(), glyphs=ASCII)
    assert line.isascii()
    assert "#########......." in line


async def test_it_grows_with_the_focus_and_shrinks_without() -> None:
    app = StripApp()
    async with app.run_test(size=(100, 24)) as pilot:
        app.strip.show(progress(), AT)
        app.strip.focus()
        await pilot.pause()
        assert app.strip.outer_size.height == 12
        assert "Reading ~/.codex: 7,310 of 12,408 threads listed. You can read them now." in app.strip.text
        app.above.focus()
        await pilot.pause()
        assert app.strip.outer_size.height == 1
        assert app.strip.text.startswith(" 4 Backfill  ●")


async def test_all_of_it_in_the_second_step() -> None:
    shown = progress(
        step="full",
        done=3_102,
        rate=200.0,
        seconds_left=61.0,
        bytes_done=640_000_000,
        bytes_total=1_600_000_000,
        last_success_at=AT - 86_400_000,
        failed=3,
        failures=FAILURES,
    )
    rows = await rows_of(shown.model_copy(update={"rate": 100.0}), shown)
    assert rows == [
        "Reading ~/.codex in full: 3,102 of 12,408 threads. You can read any of them now.",
        "",
        f"1 of 2 heads  {'━' * 40}  12,408 of 12,408",
        f"2 of 2 full   {'━' * 10}{'─' * 30}  3,102 of 12,408 · 640 MB of 1.6 GB",
        "rate          200 files/s · 1 min 1 s left  ▅█",
        "read by       this Rollodex · pid 4711 on workbench",
        "last success  2026-09-20 14:13:20 · 1 d ago",
        "3 could not be read",
        "✗ sessions/2026/09/20/rollout-a.jsonl",
        "    Permission denied",
        "✗ sessions/2026/09/19/rollout-␛[31m.jsonl",
        "    the first line is no JSON",
        "and 1 more",
    ]


async def test_another_process_at_work_is_named() -> None:
    rows = await rows_of(progress(owner_is_this_process=False))
    assert "read by       another Rollodex · pid 4711 on workbench" in rows


async def test_when_it_is_complete_the_last_success_is_said() -> None:
    rows = await rows_of(COMPLETE)
    assert rows[0] == "Every thread of ~/.codex is read: 12,408 of 12,408 threads."
    assert rows[3] == f"2 of 2 full   {'━' * 40}  12,408 of 12,408"
    assert rows[-2:] == ["last success  2026-09-21 12:13:20 · 2 h ago", "checked       14 s ago"]


async def test_it_never_goes_back_within_a_step() -> None:
    rows = await rows_of(progress(done=7_310), progress(done=7_000))
    assert "7,310 of 12,408" in rows[0]
    rows = await rows_of(progress(done=7_310), progress(step="full", done=5))
    assert "5 of 12,408" in rows[0]


async def test_rates_are_kept_for_a_while_only() -> None:
    shown = [progress(rate=float(rate)) for rate in range(3 * RATES_KEPT)]
    rows = await rows_of(*shown, width=140)
    sparks = rows[4].split()[-1]
    assert len(sparks) == RATES_KEPT
    assert sparks[-1] == "█"


async def test_failures_scroll() -> None:
    many = tuple(BackfillFailure(path=f"sessions/rollout-{n}.jsonl", reason="torn") for n in range(50))
    app = StripApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.strip.focus()
        app.strip.show(progress(failed=50, failures=many), AT)
        await pilot.pause()
        await pilot.press("end")
        await pilot.pause()
        assert "torn" in app.strip.render_line(app.strip.size.height - 1).text
        app.above.focus()
        await pilot.pause()
        assert app.strip.scroll_y == 0


async def test_an_error_says_what_why_and_what_next() -> None:
    error = DatabaseBusy(
        "The index cannot be written", why="locked for 30 s by pid 4711", next_step="Trying again in 10 s"
    )
    app = StripApp()
    async with app.run_test(size=(110, 24)) as pilot:
        app.strip.show_error(error)
        await pilot.pause()
        assert app.strip.text == (
            " 4 Backfill  ✗ The index cannot be written: locked for 30 s by pid 4711. Trying again in 10 s."
        )
        app.strip.focus()
        await pilot.pause()
        assert [row.strip() for row in app.strip.text.split("\n")] == [
            "✗ The index cannot be written",
            "locked for 30 s by pid 4711",
            "Trying again in 10 s",
        ]
        app.strip.show(progress(), AT)
        assert "cannot be written" not in app.strip.text


SHOWN = {
    "running": progress(
        step="full",
        done=3_102,
        bytes_done=640_000_000,
        bytes_total=1_600_000_000,
        failed=2,
        failures=FAILURES,
        rate=320.0,
        seconds_left=29.0,
        owner_is_this_process=False,
    ),
    "complete": COMPLETE,
}


@pytest.mark.parametrize("state", SHOWN)
@pytest.mark.parametrize("width", [58, 120])
def test_with_the_focus(snap_compare: Callable[..., bool], state: str, width: int) -> None:
    """Twelve rows in a frame: the sentence, both steps with bars, the rates, whose work it is, failures."""
    app = StripApp()

    async def show(pilot: Pilot[None]) -> None:
        app.strip.focus()
        for number in range(40):
            rate = 200.0 + number * 3 + 100 * (number % 7)
            app.strip.show(SHOWN[state].model_copy(update={"rate": rate}), AT)
        await pilot.pause()

    assert snap_compare(app, terminal_size=(width, 14), run_before=show)


@pytest.mark.parametrize("state", SHOWN)
def test_without_the_focus(snap_compare: Callable[..., bool], state: str) -> None:
    """One line: title, glyph, the counts, and at the right whose work it is or how fresh."""
    app = StripApp()

    async def show(pilot: Pilot[None]) -> None:
        app.strip.show(SHOWN[state], AT)
        await pilot.pause()

    assert snap_compare(app, terminal_size=(100, 4), run_before=show)
