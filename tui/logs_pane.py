"""The Logs pane: one line that grows with the focus, what it shows, and how far it has come."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final

from textual import getters
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message

from tui import keymap, wording
from tui.log_feed import LogFeed
from tui.log_filter import LogFilter
from widgets.filter_box import FilterBox
from widgets.formatting import visible_line, whole
from widgets.glyphs import UNICODE, Glyphs
from widgets.log_buffer import is_error
from widgets.log_strip import RECENT_MINUTES, TITLE, LogStanding, LogStrip
from widgets.log_view import LogView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer

    from store.clock import Clock
    from store.models import LogRow, Notice, Thread
    from widgets.log_buffer import Entry, ThreadError

DRAINS_A_SECOND: Final = 12
TYPING: Final = 0.12
"""Seconds between the last letter in the box and the rows."""
TOLD_EVERY: Final = 15.0
"""Seconds after which what went wrong lately is counted anew though nothing came."""


class LogRows(LogView, inherit_bindings=False):
    """The rows, with the keys of the pane."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("logs")]

    @property
    def _pane(self) -> LogsPane:
        pane = self.parent
        assert isinstance(pane, LogsPane)
        return pane

    def action_level(self, by: int) -> None:
        """Show more levels, or fewer."""
        self._pane.look(replace(self._pane.filter, min_level=self._pane.filter.level(by)))

    def action_tie(self) -> None:
        """Show the rows of the thread under the cursor of the list, or all again."""
        self._pane.tie(not self._pane.filter.tied)

    def action_keep(self) -> None:
        """Type words to keep matching rows only."""
        self._pane.box.edit()

    def action_details(self) -> None:
        """Ask what fills the log."""
        self.post_message(LogsPane.HealthWanted())


class LogsPane(Vertical):
    """Shows what a feed brings; the screen fills the feed when it is asked to."""

    DEFAULT_CSS = """
    LogsPane {
        height: 1;
        border-title-color: $foreground;
        border-title-style: none;
        border-subtitle-color: $text-muted;
        & > LogRows { height: 0; }
        & > FilterBox { height: 0; }
    }
    LogsPane:focus-within {
        height: 12;
        border: round $border;
        & > LogStrip { display: none; }
        & > LogRows { height: 1fr; }
        & > FilterBox { height: 1; }
    }
    """

    strip = getters.query_one(LogStrip)
    box = getters.query_one(FilterBox)
    rows = getters.query_one(LogRows)

    @dataclass
    class RowsWanted(Message):
        """Have the feed follow the rows that the filter asks for, and nothing else."""

        feed: LogFeed
        filter: LogFilter

    @dataclass
    class Tied(Message):
        """The rows are those of the thread under the cursor of the list now, or no longer."""

        tied: bool

    @dataclass
    class HealthWanted(Message):
        """What fills the log."""

    @dataclass
    class ErrorWanted(Message):
        """An error of the thread's transcript, where the log has no rows."""

        position: int

    @dataclass
    class StandingChanged(Message):
        """Something went wrong lately, or no longer."""

        def can_replace(self, message: Message) -> bool:
            """Only what holds now matters."""
            return isinstance(message, LogsPane.StandingChanged)

    def __init__(self, clock: Clock, *, glyphs: Glyphs = UNICODE) -> None:
        super().__init__(id="logs")
        self._clock = clock
        self.glyphs = glyphs
        self.filter = LogFilter()
        self._feed = LogFeed()
        self._begun = False
        self._told_at = 0.0
        self._typing: Timer | None = None
        self._notices: Sequence[Notice] = ()
        self._wrong: Counter[tuple[int, bool]] = Counter()
        """What went wrong, by minute and whether it is more than a warning."""
        self._last_wrong: Entry | None = None
        self._last: Entry | None = None
        self._errors: Sequence[ThreadError] | None = None
        self._target: LogRow | None = None
        self._error_walked = -1

    def compose(self) -> ComposeResult:
        """Make the one line, the box and the rows."""
        yield LogStrip(glyphs=self.glyphs)
        yield FilterBox("&", "words  module:exec  file:turn.rs  source:rollodex")
        yield LogRows(glyphs=self.glyphs)

    def on_mount(self) -> None:
        """Take what came, a few times a second."""
        self.set_interval(1 / DRAINS_A_SECOND, self._drain)
        self._say()

    # What is shown

    @property
    def received(self) -> int:
        """How many rows came since it began anew."""
        return self._feed.received

    @property
    def settled(self) -> bool:
        """Whether nothing is on its way, for whoever takes a picture."""
        return self._typing is None and self._feed.shown

    @property
    def state(self) -> str:
        """What went wrong lately, in as little as a tab has room for."""
        errors, warnings = self._counts()
        if errors:
            return f"{self.glyphs.failed} {whole(errors)}"
        return f"{self.glyphs.warning} {whole(warnings)}" if warnings else ""

    def follow(self) -> None:
        """Begin anew: ask for the rows that the filter means."""
        self._begun = True
        self._feed = LogFeed()
        self._wrong.clear()
        self._last = self._last_wrong = self._errors = self._target = None
        self._error_walked = -1
        self._notices = ()
        self.rows.clear()
        self._say()
        self.post_message(self.RowsWanted(self._feed, self.filter))

    def look(self, new: LogFilter) -> None:
        """Show what another filter means."""
        before, self.filter = self.filter, new
        if self._begun and (new.query(), new.thread_id) != (before.query(), before.thread_id):
            self.follow()
        else:
            self._say()

    def tie(self, tied: bool) -> None:
        """Show the rows of the thread under the cursor of the list only, or all of them."""
        if tied and self.filter.thread is None:
            self.rows.note("no thread is under the cursor of the list")
            return
        self.look(replace(self.filter, tied=tied))
        self.post_message(self.Tied(tied))

    def show_thread(self, thread: Thread | None) -> None:
        """Say which thread is under the cursor of the list."""
        self.look(replace(self.filter, thread=thread))

    def show_errors(self, thread_id: str, errors: Sequence[ThreadError]) -> None:
        """Set the errors of the transcript that the rows are tied to among them."""
        if thread_id == self.filter.thread_id:
            self._errors = errors
            self.rows.show_errors(errors)
            self._say()

    def go_to(self, row: LogRow) -> None:
        """Put the cursor on a row, as soon as it is there."""
        self._target = row
        self._find_target()

    def leave_box(self) -> None:
        """Stop typing; the box stays while it holds words."""
        self.box.leave()
        self.rows.focus()

    def clear_words(self) -> None:
        """Keep every row again."""
        self.box.clear()

    def _drain(self) -> None:
        batch = self._feed.take()
        told = batch.notices != self._notices
        self._notices = batch.notices
        if batch.rows:
            self.rows.append(batch.rows, self._clock.now_ms())
            for row in batch.rows:
                if is_error(row):
                    self._wrong[row.at // 60_000, row.level.upper() != "WARN"] += 1
                    self._last_wrong = row
            self._last = batch.rows[-1]
            self._find_target()
        due = self._clock.monotonic() - self._told_at >= TOLD_EVERY
        if batch.rows or told or due or not self._feed.shown:
            self._feed.shown = self._feed.began
            self._say()

    def _find_target(self) -> None:
        target = self._target
        if target is not None and self.rows.go_to_row(target):
            self._target = None

    def _counts(self) -> tuple[int, int]:
        since = self._clock.now_ms() // 60_000 - RECENT_MINUTES
        for minute, worse in [key for key in self._wrong if key[0] <= since]:
            del self._wrong[minute, worse]
        errors, warnings = (
            sum(number for (_, worse), number in self._wrong.items() if worse is wanted)
            for wanted in (True, False)
        )
        return errors, warnings

    def _say(self) -> None:
        self._told_at = self._clock.monotonic()
        errors, warnings = self._counts()
        rows, trouble = (
            self.rows,
            next((each for each in self._notices if each.severity != "information"), None),
        )
        words = wording.why_no_rows(
            self.filter, self._notices, self._errors, began=self._feed.began, glyphs=self.glyphs
        )
        rows.say(*words)
        rows.warn(
            "" if trouble is None else f"{trouble.what}: {trouble.why}" if trouble.why else trouble.what
        )
        which = wording.which_rows(self.filter)
        if not rows.follows:
            following = f"{whole(rows.new)} new" if rows.new else "not following"
        else:
            following = "follow"
        self.strip.show(
            LogStanding(
                row=self._last_wrong if self._wrong else self._last,
                errors=errors,
                warnings=warnings,
                which=(*which, following),
                words=words[0],
                trouble="" if trouble is None else trouble.what,
            )
        )
        dot = f" {self.glyphs.dot} "
        self.border_title = Content(dot.join([TITLE, *map(visible_line, which)]))
        self.border_subtitle = Content(following + ("" if rows.follows else " ( f )"))
        self.post_message(self.StandingChanged())

    # What came

    def on_log_view_changed(self, message: LogView.Changed) -> None:
        """Say whether it follows."""
        message.stop()
        self._say()

    def on_log_view_no_error_found(self, message: LogView.NoErrorFound) -> None:
        """Walk the transcript's errors where the log has no rows; else say that there is no more."""
        message.stop()
        if self.rows.buffer.total or not self._errors:
            self.rows.note(f"no error {'below' if message.by > 0 else 'above'}")
            return
        walked = self._error_walked + message.by
        if self._error_walked < 0 and message.by < 0:
            walked = len(self._errors) - 1
        if 0 <= walked < len(self._errors):
            self._error_walked = walked
            self.post_message(self.ErrorWanted(self._errors[walked].position))

    def on_filter_box_changed(self, message: FilterBox.Changed) -> None:
        """Keep what matches, once the typing pauses."""
        message.stop()
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(TYPING, lambda: self._typed(message.words))

    def _typed(self, words: str) -> None:
        self._typing = None
        self.look(replace(self.filter, words=words))

    def on_filter_box_left(self, message: FilterBox.Left) -> None:
        """Go from the box to the rows."""
        message.stop()
        self.leave_box()
