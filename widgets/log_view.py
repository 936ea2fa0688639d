"""The rows of a log, the newest at the end, in a ring: what is being read stays put while rows come and go.

Actions for the key map: `move(±1)`, `page(±1.0)`, `page(±0.5)`, `first`, `last`, `follow`, `fold`, `wrap`,
`error(±1)`, `copy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from textual.message import Message

from store.models import LogRow
from widgets.formatting import visible_line
from widgets.log_buffer import Entry, ThreadError, is_error
from widgets.log_scroll import LogScroll

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

PAGE_OVERLAP: Final = 1


class LogView(LogScroll):
    """Follows the newest row until the person goes up, and then says how many came."""

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

    # What is shown

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

    def _came(self, anchor: tuple[int, int]) -> None:
        buffer = self.buffer
        if self._unfolded and min(self._unfolded) < buffer.first:
            self._unfolded = {number for number in self._unfolded if number >= buffer.first}
        if self._follows:
            self._cursor = buffer.end - 1
        self._settle(anchor)
        self._moved()

    def _moved(self) -> None:
        self.post_message(self.Changed())

    # The cursor

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
        self._moved()

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
        self._moved()

    def action_follow(self) -> None:
        """Follow the newest row, or stay at what is in sight."""
        if self._follows:
            self._follows = False
            self.refresh()
            self._moved()
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
        self._moved()

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

    def _clicked(self, line: int, event: events.Click) -> None:
        """Take the row; twice unfolds it."""
        self._go_to(self.buffer.at(line)[0])
        if event.chain == 2:
            self.action_fold()
