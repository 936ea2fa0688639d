"""The log pane's widgets: the ring, what stays in sight while rows come and go, and how a row is drawn."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import pytest
from reading import AT, TONES, WidgetApp, screen_text, tone_of
from textual.events import MouseScrollDown, MouseScrollUp

from store.models import LogRow
from widgets.formatting import visible
from widgets.glyphs import ASCII, UNICODE, Glyphs
from widgets.log_buffer import LogBuffer, ThreadError, is_error
from widgets.log_rendering import LogLook, row_lines
from widgets.log_strip import LogStanding, LogStrip
from widgets.log_view import LogView

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from widgets.log_buffer import Entry

CHAIN = 'session_loop{thread_id=01a2}:turn{model="a:{b}" id=7}: '
PATCH = "ToolCall: apply_patch *** Begin Patch\n*** Update File: a.py\n@@\n-old\n+new\n*** End Patch"


def row(number: int, body: str = "", **fields: object) -> LogRow:
    """A row of every second; what is not given is as Codex writes it."""
    given: dict[str, object] = {
        "id": number,
        "ts": AT // 1000 + number,
        "ts_nanos": 5_000_000,
        "level": "INFO",
        "target": "codex_core::session::turn",
        "body": body or f"event {number}",
        "module_path": "codex_core::session::turn",
        "file": "core/src/session/turn.rs",
        "line": 535,
        "thread_id": "0199aaaa-0000-7000-8000-000000000001",
        "process_uuid": "pid:4711:9a",
        "origin": "codex",
        **fields,
    }
    return LogRow(**given)  # type: ignore[arg-type]  # a dict of mixed values


def rows(first: int, end: int) -> list[LogRow]:
    return [row(number) for number in range(first, end)]


class LogApp(WidgetApp):
    """A log view and the messages that it posted."""

    def __init__(self, *, kept: int = 50_000, glyphs: Glyphs = UNICODE) -> None:
        self.view = LogView(zone=UTC, kept=kept, glyphs=glyphs)
        super().__init__(self.view)

    def on_log_view_error_reached(self, message: LogView.ErrorReached) -> None:
        self.messages.append(message)

    def on_log_view_no_error_found(self, message: LogView.NoErrorFound) -> None:
        self.messages.append(message)

    def feed(self, *many: LogRow) -> None:
        self.view.append(many, AT)

    async def do(self, pilot: Pilot[None], action: str) -> None:
        await self.view.run_action(action)
        await pilot.pause()

    @property
    def lines(self) -> list[str]:
        """What stands in the frame, without the gutter."""
        return [self.view.render_line(y).text.rstrip() for y in range(self.view.size.height)]

    @property
    def events(self) -> list[str]:
        """The messages in sight."""
        return [line.split("turn", 1)[1].strip() for line in self.lines if "turn" in line]


# The ring


def test_a_ring_keeps_the_newest_and_says_how_many_lines_went() -> None:
    buffer = LogBuffer(kept=10)
    assert buffer.append(rows(0, 8)) == 0
    assert buffer.append(rows(8, 13)) == 3
    assert (buffer.first, buffer.end, len(buffer)) == (3, 13, 10)
    assert [entry.body for entry in buffer.rows] == [f"event {n}" for n in range(3, 13)]
    assert buffer[3].body == "event 3"
    buffer.append(rows(13, 113))
    assert (buffer.first, buffer.end) == (103, 113)


def test_lines_and_rows_find_each_other_whatever_the_heights() -> None:
    buffer = LogBuffer(kept=50)
    buffer.append(rows(0, 60))
    for number, lines in ((12, 4), (13, 2), (40, 7), (59, 3)):
        assert buffer.set_height(number, lines)
    assert not buffer.set_height(40, 7)
    expected = [(n, line) for n in range(10, 60) for line in range(buffer.height(n))]
    assert buffer.total == len(expected) == 50 + 3 + 1 + 6 + 2
    assert [buffer.at(line) for line in range(buffer.total)] == expected
    for number in range(10, 60):
        assert expected[buffer.top(number)] == (number, 0)
    assert buffer.at(-3) == (10, 0)
    assert buffer.at(10_000) == (59, 2)


def test_what_is_evicted_takes_all_of_its_lines_along() -> None:
    buffer = LogBuffer(kept=5)
    buffer.append(rows(0, 5))
    buffer.set_height(1, 4)
    buffer.set_height(4, 3)
    assert buffer.append(rows(5, 7)) == 1 + 4
    assert buffer.total == 5 + 2
    assert buffer.at(2) == (4, 0)


def test_errors_of_the_thread_stand_among_its_rows_by_time() -> None:
    buffer = LogBuffer()
    errors = [ThreadError(AT + 1_500, 3, "exit 1"), ThreadError(AT + 60_000, 9, "failed")]
    buffer.show_errors(errors)
    assert len(buffer) == 0
    buffer.append(rows(0, 4))
    assert [entry.body for entry in buffer.rows] == [
        "event 0", "event 1", "exit 1", "event 2", "event 3", "failed",
    ]  # fmt: skip
    buffer.show_errors(errors[:1])
    assert [entry.body for entry in buffer.rows][-1] == "event 3"
    assert [is_error(entry) for entry in buffer.rows].count(True) == 1


# Following and staying put


def wheel(kind: type[MouseScrollUp] | type[MouseScrollDown]) -> MouseScrollUp | MouseScrollDown:
    return kind(None, 5, 5, 0, 0, 0, shift=False, meta=False, ctrl=False)


async def test_it_follows_the_end() -> None:
    app = LogApp()
    async with app.run_test(size=(80, 12)) as pilot:
        app.feed(*rows(0, 100))
        await pilot.pause()
        assert app.events[-1] == "event 99"
        app.feed(*rows(100, 105))
        await pilot.pause()
        assert app.events == [f"event {n}" for n in range(95, 105)]
        assert app.view.follows


async def test_going_up_lets_go_and_new_rows_are_counted() -> None:
    app = LogApp()
    async with app.run_test(size=(80, 12)) as pilot:
        app.feed(*rows(0, 100))
        await app.do(pilot, "move(-1)")
        assert not app.view.follows
        before = app.events
        app.feed(*rows(100, 112))
        await pilot.pause()
        assert app.events == before[:-1]
        assert app.lines[-1] == "  -- 12 new below · f --"
        await app.do(pilot, "follow")
        assert (app.view.follows, app.view.new) == (True, 0)
        assert app.events[-1] == "event 111"


async def test_the_wheel_lets_go_and_takes_hold_again() -> None:
    app = LogApp()
    async with app.run_test(size=(80, 12)) as pilot:
        app.feed(*rows(0, 100))
        await pilot.pause()
        app.view.post_message(wheel(MouseScrollUp))
        await pilot.pause()
        assert not app.view.follows
        for _ in range(3):
            app.view.post_message(wheel(MouseScrollDown))
        await pilot.pause()
        assert app.view.follows


async def test_what_is_read_stays_put_while_old_rows_are_evicted() -> None:
    app = LogApp(kept=200)
    async with app.run_test(size=(80, 12)) as pilot:
        app.feed(*rows(0, 200))
        await pilot.pause()
        app.view.scroll_to(y=150)
        await pilot.pause()
        before = app.events[:-1]
        for first in range(200, 320, 30):
            app.feed(*rows(first, first + 30))
            await pilot.pause()
            assert app.events == before
        assert app.view.new == 120
        app.feed(*rows(320, 500))
        await pilot.pause()
        # Gone for good: the oldest that is kept.
        assert app.events[0] == "event 300"


async def test_the_cursor_goes_with_the_keys_and_pages() -> None:
    app = LogApp()
    async with app.run_test(size=(80, 12)) as pilot:
        app.feed(*rows(0, 100))
        await app.do(pilot, "first")
        assert app.view.cursor_row == row(0)
        assert app.events[0] == "event 0"
        await app.do(pilot, "page(1.0)")
        assert app.view.cursor_row == row(9)
        await app.do(pilot, "move(3)")
        assert app.view.cursor_row == row(12)
        await app.do(pilot, "last")
        assert app.view.cursor_row == row(99)


# Wrapping and unfolding


async def test_wrapped_rows_keep_the_end_in_sight_and_the_anchor_in_place() -> None:
    app = LogApp()
    async with app.run_test(size=(80, 12)) as pilot:
        app.feed(*(row(n, f"event {n} " + "word " * (n % 40)) for n in range(200)))
        await app.do(pilot, "wrap")
        assert any(line.strip().startswith("word") for line in app.lines)
        assert app.view.follows
        assert "event 199" in "\n".join(app.lines)
        await app.do(pilot, "page(-1.0)")
        await app.do(pilot, "page(-1.0)")
        top = app.lines[0]
        app.feed(row(200, "more"))
        await pilot.pause()
        assert app.lines[0] == top
        assert app.lines[-1] == "  -- 1 new below · f --"


async def test_unfolding_shows_all_of_it_and_lets_go() -> None:
    app = LogApp()
    async with app.run_test(size=(100, 20)) as pilot:
        app.feed(*rows(0, 30), row(30, CHAIN + "the message\nits second line"))
        await app.do(pilot, "fold")
        assert not app.view.follows
        text = "\n".join(app.lines)
        for part in (
            "its second line",
            "session_loop{thread_id=01a2}",
            'turn{model="a:{b}" id=7}',
            "core/src/session/turn.rs:535",
            "Codex's log #30 · thread 0199aaaa-0000-7000-8000-000000000001 · pid:4711:9a",
        ):
            assert part in text
        app.feed(*rows(31, 60))
        await pilot.pause()
        assert "its second line" in "\n".join(app.lines)
        await app.do(pilot, "fold")
        assert "session_loop" not in "\n".join(app.lines)


async def test_a_row_higher_than_the_screen_is_read_line_by_line() -> None:
    app = LogApp()
    async with app.run_test(size=(100, 12)) as pilot:
        app.feed(row(0, "\n".join(f"line {n}" for n in range(40))), row(1))
        await app.do(pilot, "first")
        await app.do(pilot, "fold")
        for _ in range(50):
            await app.do(pilot, "move(1)")
            if "line 39" in "\n".join(app.lines):
                break
        else:
            pytest.fail("the last line never came into sight")
        assert app.view.cursor_row == row(0, app.view.cursor_row.body if app.view.cursor_row else "")


# Errors


async def test_errors_are_walked_whoever_wrote_them() -> None:
    app = LogApp()
    async with app.run_test(size=(80, 12)) as pilot:
        app.feed(*rows(0, 5), row(5, "odd", level="WARN"), *rows(6, 50), row(50, "bad", level="FATAL"))
        app.view.show_errors([ThreadError(AT + 20_500, 7, "exit 1")])
        await app.do(pilot, "first")
        walked = []
        for _ in range(3):
            await app.do(pilot, "error(1)")
            assert app.view.cursor_row is not None
            walked.append(app.view.cursor_row.body)
        assert walked == ["odd", "exit 1", "bad"]
        assert [m.error.position for m in app.messages if isinstance(m, LogView.ErrorReached)] == [7]
        await app.do(pilot, "error(1)")
        assert isinstance(app.messages[-1], LogView.NoErrorFound)
        await app.do(pilot, "error(-1)")
        assert app.view.cursor_row == ThreadError(AT + 20_500, 7, "exit 1")


async def test_the_body_is_copied_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    app = LogApp()
    copied: list[str] = []
    async with app.run_test(size=(80, 12)) as pilot:
        monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
        app.feed(row(0, CHAIN + "x" * 10_000))
        await app.do(pilot, "copy")
        assert copied == [CHAIN + "x" * 10_000]
        assert "-- copied --" in app.lines[-1]


# Drawing


def drawn(
    entry: Entry, *, width: int = 100, unfolded: bool = False, wrap: bool = False, dates: bool = False
) -> list[str]:
    look = LogLook(width, TONES, UTC, wrap=wrap, dates=dates)
    return ["".join(s.text for s in line) for line in row_lines(entry, look, unfolded=unfolded)]


@pytest.mark.parametrize(
    ("level", "mark", "tone"),
    [
        ("INFO", "  INFO", "muted"),
        ("debug", "  DEBUG", "muted"),
        ("WARN", "! WARN", "warn"),
        ("ERROR", "✗ ERROR", "bad"),
        ("CRITICAL", "✗ CRIT…", "bad"),
    ],
)
def test_only_what_is_wrong_is_coloured(level: str, mark: str, tone: str) -> None:
    (line,) = row_lines(row(0, "m", level=level), LogLook(100, TONES, UTC), unfolded=False)
    assert line[1].text.rstrip() == mark
    assert tone_of(line[1]) == tone


def test_a_row_is_one_line_of_its_message_alone() -> None:
    assert drawn(row(0, CHAIN + "first\n  second")) == ["14:13:20   INFO  turn                 first second"]
    assert drawn(row(0, CHAIN + "first"), dates=True)[0].startswith("09-21 14:13:20")
    (narrow,) = drawn(row(0, CHAIN + "word " * 30), width=50)
    assert narrow.endswith("…")
    assert len(narrow) <= 50


def test_an_applied_patch_is_drawn_as_a_diff() -> None:
    look = LogLook(100, TONES, UTC)
    lines = row_lines(row(0, CHAIN + PATCH), look, unfolded=True)
    tones = {tone_of(segment): segment.text for line in lines for segment in line}
    assert tones["added"] == "new"
    assert tones["removed"] == "old"


def test_foreign_text_stays_text() -> None:
    evil = "[red]\x1b[31m\u202eevil\x07[/red]"
    for unfolded in (False, True):
        for wrap in (False, True):
            text = "\n".join(
                drawn(row(0, CHAIN + evil, target=evil, file=evil), unfolded=unfolded, wrap=wrap)
            )
            assert visible(evil) in text
            assert not set(text) & {"\x1b", "\x07", "\u202e"}


@pytest.mark.parametrize("width", [8, 20, 59, 120])
@pytest.mark.parametrize("wrap", [False, True])
def test_no_line_is_wider_than_it_may(width: int, wrap: bool) -> None:
    for body in ("日本語" * 80, "x" * 5_000, CHAIN + "w " * 300, ""):
        folded = drawn(row(0, body), width=max(width, 28), wrap=wrap)
        assert len(folded) == 1 or wrap
        assert folded


def test_ascii_marks() -> None:
    look = LogLook(60, TONES, UTC, ASCII)
    for level in ("WARN", "ERROR", "INFO"):
        lines = row_lines(row(0, CHAIN + "long " * 40, level=level), look, unfolded=True)
        assert "".join(segment.text for line in lines for segment in line).isascii()


# The one line


class StripApp(WidgetApp):
    def __init__(self) -> None:
        self.strip = LogStrip(zone=UTC)
        super().__init__(self.strip, framed=False)


@pytest.mark.parametrize(
    ("standing", "line"),
    [
        (
            LogStanding(
                row(0, CHAIN + "Unknown model gpt-5", level="WARN", target="a::model_info"),
                warnings=2,
                which=("this thread", "follow"),
            ),
            " 3 Logs      ! 2 warnings in 10 min · 14:13:20 WARN model_info: Unknown…  this thread · follow",
        ),
        (
            LogStanding(row(0, "out", level="ERROR"), errors=1, warnings=1),
            " 3 Logs      ✗ 1 error, 1 warning in 10 min · 14:13:20 ERROR turn: out",
        ),
        (LogStanding(words="no rows from INFO on"), " 3 Logs      ◌ no rows from INFO on"),
        (LogStanding(trouble="locked by pid 7"), " 3 Logs      ! locked by pid 7"),
    ],
)
async def test_the_one_line(standing: LogStanding, line: str) -> None:
    app = StripApp()
    async with app.run_test(size=(95, 3)) as pilot:
        app.strip.show(standing)
        await pilot.pause()
        assert app.strip.text == line


async def test_the_one_line_keeps_what_went_wrong_where_it_is_narrow() -> None:
    app = StripApp()
    async with app.run_test(size=(50, 3)) as pilot:
        app.strip.show(
            LogStanding(row(0, "out " * 30, level="ERROR"), errors=3, which=("this thread", "follow"))
        )
        await pilot.pause()
        assert "✗ 3 errors in 10 min" in app.strip.text
        assert "…" in app.strip.text
        assert len(app.strip.text) <= 50


async def test_words_stand_where_there_are_no_rows() -> None:
    app = LogApp()
    async with app.run_test(size=(60, 8)) as pilot:
        app.view.say("No log rows yet.", "They show as they are written.")
        await pilot.pause()
        assert "No log rows yet." in screen_text(app)
        app.feed(row(0))
        await pilot.pause()
        assert "No log rows yet." not in screen_text(app)
