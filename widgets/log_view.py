"""The rows of a log, the newest at the end, in a ring: what is being read stays put while rows come and go.

Actions for the key map: `move(±1)`, `page(±1.0)`, `page(±0.5)`, `first`, `last`, `follow`, `fold`, `wrap`,
`error(±1)`, `copy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from rich.segment import Segment
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from store.models import LogRow
from widgets.code_lines import worded
from widgets.formatting import moment, visible_line, whole
from widgets.glyphs import ASCII, UNICODE, Glyphs
from widgets.log_buffer import ROWS_KEPT, Entry, LogBuffer, ThreadError, is_error
from widgets.log_rendering import LogLook, row_lines
from widgets.strip_view import StripView

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from textual import events

    from widgets.code_lines import Line

GUTTER: Final = 2
"""Cells left of the rows: the cursor's bar and a blank."""

PAGE_OVERLAP: Final = 1
DRAWN_KEPT: Final = 512
MEASURED_KEPT: Final = 2_000
"""Rows whose height is remembered while they are wrapped; those far from the screen go first."""


class LogView(StripView):
    """Follows the newest row until the person goes up, and then says how many came."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"log--bar", "log--notice"}
    DEFAULT_CSS = """
    LogView {
        scrollbar-gutter: stable;
        & > .log--bar { color: $text-disabled; }
        &:focus > .log--bar { color: $accent; }
        & > .log--notice { color: $text-muted; background: $panel; }
    }
    """
    ALLOW_SELECT = False

    @dataclass
    class Changed(Message):
        """It follows or not, has the cursor elsewhere, or has other rows."""

        def can_replace(self, message: Message) -> bool:
            """Once is enough."""
            return isinstance(message, LogView.Changed)

    @dataclass
    class ErrorReached(Message):
        """The cursor was walked to an error that is in the thread's transcript."""

        error: ThreadError

    @dataclass
    class NoErrorFound(Message):
        """There is no further error among the rows."""

        by: int

    def __init__(
        self,
        *,
        zone: tzinfo | None = None,
        glyphs: Glyphs = UNICODE,
        kept: int = ROWS_KEPT,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        """`zone` is the time zone of the times shown; None is the person's own."""
        super().__init__(id=id, classes=classes)
        self.buffer = LogBuffer(kept)
        self._zone = zone
        self._glyphs = glyphs
        self._now = 0
        self._cursor = 0
        self._follows = True
        self._new = 0
        self._wrap = False
        self._unfolded: set[int] = set()
        self._drawn: LRUCache[int, list[Strip]] = LRUCache(DRAWN_KEPT)
        self._look: LogLook | None = None
        self._settling = False
        self._note = ""
        self._warning = ""
        self._words: tuple[str, ...] = ()

    # What is shown

    @property
    def follows(self) -> bool:
        """Whether the newest row stays in sight."""
        return self._follows

    @property
    def new(self) -> int:
        """How many rows came since it stopped following."""
        return self._new

    @property
    def wraps(self) -> bool:
        """Whether messages take as many lines as they need."""
        return self._wrap

    @property
    def cursor_row(self) -> Entry | None:
        """The row under the cursor."""
        return self.buffer[self._cursor] if len(self.buffer) else None

    def append(self, rows: Sequence[LogRow], now: int) -> None:
        """Add rows that came; `now` tells whether times need their dates."""
        if not rows:
            return
        self._now = now
        anchor = self._anchor()
        self.buffer.append(rows)
        if not self._follows:
            self._new += len(rows)
        self._came(anchor)

    def show_errors(self, errors: Sequence[ThreadError]) -> None:
        """Set a thread's own errors among its rows, by time."""
        under, top = self.cursor_row, self._anchor()
        first = self.buffer[top[0]] if len(self.buffer) else None
        self.buffer.show_errors(errors)
        self._unfolded.clear()
        self._drawn.clear()
        places = [None if entry is None else self.buffer.number_of(entry) for entry in (first, under)]
        self._cursor = self.buffer.first if places[1] is None else places[1]
        self._came((self.buffer.first if places[0] is None else places[0], top[1]))

    def clear(self) -> None:
        """Forget every row, and follow what comes."""
        self.buffer.clear()
        self._unfolded.clear()
        self._drawn.clear()
        self._follows, self._new, self._note = True, 0, ""
        self._cursor = self.buffer.first
        self._settle((self.buffer.first, 0))

    def say(self, *words: str) -> None:
        """Say this while there are no rows, in lines of plain text, the first one bright."""
        if words != self._words:
            self._words = words
            self.refresh()

    def warn(self, warning: str) -> None:
        """Say what keeps the log from being read in the last line, until it no longer does."""
        if warning != self._warning:
            self._warning = visible_line(warning)
            self.refresh()

    def go_to_row(self, row: LogRow) -> bool:
        """Put the cursor on a row of a log; returns whether it is there."""
        same = (
            number
            for number, each in enumerate(self.buffer.rows, self.buffer.first)
            if isinstance(each, LogRow) and (each.origin, each.id) == (row.origin, row.id)
        )
        number = next(same, None)
        if number is not None:
            self._go_to(number)
        return number is not None

    def note(self, note: str) -> None:
        """Say something in the last line until the person goes on."""
        if note != self._note:
            self._note = note
            self.refresh()

    # Where the rows are

    @property
    def _height(self) -> int:
        return max(1, self.scrollable_content_region.height)

    def _came(self, anchor: tuple[int, int]) -> None:
        buffer = self.buffer
        if self._unfolded and min(self._unfolded) < buffer.first:
            self._unfolded = {number for number in self._unfolded if number >= buffer.first}
        if self._follows:
            self._cursor = buffer.end - 1
        self._settle(anchor)
        self.post_message(self.Changed())

    def _anchor(self) -> tuple[int, int]:
        """The first row in sight, and how many of its lines are above the screen."""
        return self.buffer.at(round(self.scroll_y))

    def _settle(self, anchor: tuple[int, int]) -> None:
        """Measure what is in sight, and put the anchor, or the end, back where it was."""
        width = self.scrollable_content_region.width - GUTTER
        if not self.is_attached or width <= 0:
            return
        self._look_again(width)
        self._keep(anchor)
        if self._wrap or self._unfolded:
            for _ in range(self._height + 1):
                if not self._measure_window():
                    break
                self._keep(anchor)
            if len(self._drawn) and self.buffer.total > len(self.buffer) + MEASURED_KEPT:
                self._forget_far(anchor)
        self._keep_cursor_in_sight()
        self.refresh()

    def _look_again(self, width: int) -> None:
        dates = bool(len(self.buffer)) and self._day(self.buffer[self.buffer.first].at) != self._day(
            self._now
        )
        look = LogLook(width, self.tones, self._zone, self._glyphs, self._wrap, dates)
        if look == self._look:
            return
        self._look = look
        self._drawn.clear()
        self.buffer.forget_heights()
        for number in self._unfolded:
            self.buffer.set_height(number, len(self._strips(number)))

    def _day(self, at: int) -> int:
        return moment(at, self._zone).toordinal()

    def _window(self) -> tuple[int, int]:
        top = round(self.scroll_y)
        return self.buffer.at(top)[0], self.buffer.at(top + self._height - 1)[0]

    def _measure_window(self) -> bool:
        if not len(self.buffer):
            return False
        first, last = self._window()
        numbers = range(first, last + 1) if self._wrap else [n for n in self._unfolded if first <= n <= last]
        changed = [self.buffer.set_height(number, len(self._strips(number))) for number in numbers]
        return any(changed)

    def _forget_far(self, anchor: tuple[int, int]) -> None:
        first, last = self._window()
        self.buffer.forget_heights(first, last)
        for number in self._unfolded:
            self.buffer.set_height(number, len(self._strips(number)))
        self._keep(anchor)

    def _keep(self, anchor: tuple[int, int]) -> None:
        buffer = self.buffer
        number, within = anchor
        if self._follows:
            self._place(buffer.total)
        elif number < buffer.first:
            self._place(0)
        else:
            self._place(buffer.top(number) + within)

    def _place(self, line: int) -> None:
        self._settling = True
        try:
            self.virtual_size = Size(self.scrollable_content_region.width, self.buffer.total)
            # Forced: the scroll bar of this height may not be there yet.
            self.scroll_to(y=max(0, min(line, self.max_scroll_y)), animate=False, force=True)
        finally:
            self._settling = False

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow what the wheel or the scroll bar did: up lets go, down to the end takes hold again."""
        super().watch_scroll_y(old_value, new_value)
        if self._settling or round(old_value) == round(new_value):
            return
        self._note = ""
        if round(new_value) >= self.max_scroll_y:
            self._follow()
        else:
            self._follows = False
        self._settle(self._anchor())
        self.post_message(self.Changed())

    def watch_has_focus(self, has_focus: bool) -> None:
        """The pane may have another height now."""
        super().watch_has_focus(has_focus)
        self.refresh()

    def on_resize(self) -> None:
        """Stay at the same row, or at the end."""
        self._settle(self._anchor())

    def styles_changed(self) -> None:
        """Draw in the new theme."""
        self._settle(self._anchor())

    # The cursor

    def _keep_cursor_in_sight(self) -> None:
        if len(self.buffer):
            first, last = self._window()
            if self.buffer.top(first) < round(self.scroll_y) and first < last:
                first += 1
            self._cursor = max(first, min(self._cursor, last))

    def _follow(self) -> None:
        self._follows, self._new = True, 0
        self._cursor = max(self.buffer.first, self.buffer.end - 1)

    def _go_to(self, number: int) -> None:
        """Put the cursor on a row, which comes into sight as far as it fits."""
        buffer = self.buffer
        if not len(buffer):
            return
        self._note = ""
        self._cursor = max(buffer.first, min(number, buffer.end - 1))
        if self._cursor == buffer.end - 1 and self._cursor not in self._unfolded:
            self._follow()
            self._settle(self._anchor())
        else:
            self._follows = False
            top, bottom = round(self.scroll_y), round(self.scroll_y) + self._height
            begin = buffer.top(self._cursor)
            end = begin + buffer.height(self._cursor)
            if end > bottom:
                top = min(begin, end - self._height)
            self._settle(buffer.at(min(top, begin)))
        self.post_message(self.Changed())

    def action_move(self, by: int) -> None:
        """Go to the row beside; within a row that is higher than the screen, by one line."""
        begin = self.buffer.top(self._cursor)
        end = begin + self.buffer.height(self._cursor)
        top, bottom = round(self.scroll_y), round(self.scroll_y) + self._height
        if (by > 0 and end > bottom) or (by < 0 and begin < top):
            self.scroll_to(y=top + by, animate=False)
        else:
            self._go_to(self._cursor + by)

    def action_page(self, pages: float) -> None:
        """Turn so many pages."""
        lines = max(1, round(abs(pages) * self._height) - (PAGE_OVERLAP if abs(pages) >= 1 else 0))
        line = self.buffer.top(self._cursor) + (lines if pages > 0 else -lines)
        self._go_to(self.buffer.at(line)[0])

    def action_first(self) -> None:
        """Go to the oldest row that is kept."""
        self._go_to(self.buffer.first)

    def action_last(self) -> None:
        """Go to the newest row, and follow."""
        self._note = ""
        self._follow()
        self._settle(self._anchor())
        self.post_message(self.Changed())

    def action_follow(self) -> None:
        """Follow the newest row, or stay at what is in sight."""
        if self._follows:
            self._follows = False
            self.refresh()
            self.post_message(self.Changed())
        else:
            self.action_last()

    def action_fold(self) -> None:
        """Show everything that the row under the cursor says, or its message alone."""
        if not len(self.buffer):
            return
        anchor, number = self._anchor(), self._cursor
        self._unfolded ^= {number}
        self._drawn.discard(number)
        # What is being read must not run away.
        self._follows = False
        self.buffer.set_height(number, len(self._strips(number)))
        self._settle(anchor)
        self._go_to(number)

    def action_wrap(self) -> None:
        """Wrap the messages, or cut them at the edge."""
        anchor = self._anchor()
        self._wrap = not self._wrap
        self._settle(anchor)
        self.post_message(self.Changed())

    def action_error(self, by: int) -> None:
        """Go to the next or the previous warning, error, or error of the thread itself."""
        number = self._cursor + by
        while self.buffer.first <= number < self.buffer.end:
            entry = self.buffer[number]
            if is_error(entry):
                self._go_to(number)
                if isinstance(entry, ThreadError):
                    self.post_message(self.ErrorReached(entry))
                return
            number += by
        self.post_message(self.NoErrorFound(by))

    def action_copy(self) -> None:
        """Copy the whole body of the row under the cursor."""
        row = self.cursor_row
        if row is not None:
            self.app.copy_to_clipboard(row.body)
            self.note("copied")

    def action_scroll_up(self) -> None:
        """Up."""
        self.action_move(-1)

    def action_scroll_down(self) -> None:
        """Down."""
        self.action_move(1)

    def action_page_up(self) -> None:
        """A page up."""
        self.action_page(-1.0)

    def action_page_down(self) -> None:
        """A page down."""
        self.action_page(1.0)

    def action_scroll_home(self) -> None:
        """To the oldest row."""
        self.action_first()

    def action_scroll_end(self) -> None:
        """To the newest row."""
        self.action_last()

    def on_click(self, event: events.Click) -> None:
        """Take the row that was clicked; twice unfolds it."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == self._height - 1 and self._bottom():
            self.action_last()
            return
        line = round(self.scroll_y) + offset.y
        if line < self.buffer.total:
            self._go_to(self.buffer.at(line)[0])
            if event.chain == 2:
                self.action_fold()

    # Drawing

    def _strips(self, number: int) -> list[Strip]:
        strips = self._drawn.get(number)
        if strips is None:
            assert self._look is not None
            lines = row_lines(self.buffer[number], self._look, unfolded=number in self._unfolded)
            strips = [Strip(line) for line in lines]
            self._drawn[number] = strips
        return strips

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width = self.scrollable_content_region.width
        bottom = self._bottom()
        if bottom and y == self._height - 1:
            words = f"{' ' * GUTTER}-- {bottom} -- "
            return self.grounded(Strip([Segment(words, self.get_component_rich_style("log--notice"))]), width)
        line = round(self.scroll_y) + y
        if not len(self.buffer):
            words_instead = self._words_instead(width - GUTTER)
            body = Strip(words_instead[y]) if y < len(words_instead) else Strip([])
            return self.grounded(Strip.join([Strip([Segment(" " * GUTTER)]), body]), width)
        if line >= self.buffer.total or self._look is None:
            return Strip.blank(width, self.rich_style)
        number, within = self.buffer.at(line)
        strips = self._strips(number)
        bar = " " if number != self._cursor else "|" if self._glyphs is ASCII else "▎"
        left = Strip([Segment(f"{bar} ", self.get_component_rich_style("log--bar"))])
        body = strips[within] if within < len(strips) else Strip([])
        return self.grounded(Strip.join([left, body]), width)

    def _bottom(self) -> str:
        warning = f"{self._glyphs.warning} {self._warning}" if self._warning and len(self.buffer) else ""
        parts = [part for part in (self._note, warning) if part]
        if self._new and not self._follows:
            parts.append(f"{whole(self._new)} new below {self._glyphs.dot} f")
        return f" {self._glyphs.dot} ".join(parts)

    def _words_instead(self, width: int) -> list[Line]:
        tones = self.tones
        return [
            line
            for number, text in enumerate(self._words)
            for line in worded(visible_line(text), max(8, width), tones.muted if number else tones.text)
        ]
