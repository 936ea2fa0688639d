"""Where the rows of a log are on the screen, and how they are drawn there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.segment import Segment
from textual.cache import LRUCache
from textual.strip import Strip

from widgets.code_lines import worded
from widgets.formatting import moment, visible_line, whole
from widgets.glyphs import UNICODE, Glyphs
from widgets.log_buffer import ROWS_KEPT, LogBuffer
from widgets.log_rendering import LogLook, row_lines
from widgets.reading_view import GUTTER, ReadingView

if TYPE_CHECKING:
    from datetime import tzinfo

    from rich.style import Style

    from widgets.code_lines import Line

DRAWN_KEPT: Final = 512
MEASURED_KEPT: Final = 2_000
"""Rows whose height is remembered while they are wrapped; those far from the screen go first."""


class LogScroll(ReadingView):
    """A ring of rows, of which those in sight are drawn."""

    def __init__(
        self,
        *,
        zone: tzinfo | None = None,
        glyphs: Glyphs = UNICODE,
        kept: int = ROWS_KEPT,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(zone=zone, glyphs=glyphs, id=id, classes=classes)
        self.buffer = LogBuffer(kept)
        self._now = 0
        self._wrap = False
        self._unfolded: set[int] = set()
        self._drawn: LRUCache[int, list[Strip]] = LRUCache(DRAWN_KEPT)
        self._look: LogLook | None = None
        self._warning = ""
        self._words: tuple[str, ...] = ()

    @property
    def _total(self) -> int:
        return self.buffer.total

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

    def watch_has_focus(self, has_focus: bool) -> None:
        """The pane may have another height now."""
        super().watch_has_focus(has_focus)
        self.refresh()

    # The cursor

    def _keep_cursor_in_sight(self) -> None:
        if len(self.buffer):
            first, last = self._window()
            if self.buffer.top(first) < round(self.scroll_y) and first < last:
                first += 1
            self._cursor = max(first, min(self._cursor, last))

    def _follow(self) -> None:
        super()._follow()
        self._cursor = max(self.buffer.first, self.buffer.end - 1)

    # Drawing

    def _strips(self, number: int) -> list[Strip]:
        strips = self._drawn.get(number)
        if strips is None:
            assert self._look is not None
            lines = row_lines(self.buffer[number], self._look, unfolded=number in self._unfolded)
            strips = [Strip(line) for line in lines]
            self._drawn[number] = strips
        return strips

    def _body(self, line: int) -> tuple[Strip, bool]:
        number, within = self.buffer.at(line)
        if self._look is None:
            return Strip([]), False
        strips = self._strips(number)
        return strips[within] if within < len(strips) else Strip([]), number == self._cursor

    def _left(self, bar: str, style: Style) -> list[Segment]:
        return [Segment(f"{bar} ", style)]

    def _bottom(self) -> str:
        warning = f"{self._glyphs.warning} {self._warning}" if self._warning and len(self.buffer) else ""
        parts = [part for part in (self._note, warning) if part]
        if self._new and not self._follows:
            parts.append(f"{whole(self._new)} new below {self._glyphs.dot} f")
        return f" {self._glyphs.dot} ".join(parts)

    def words_instead(self, width: int) -> list[Line]:
        """Say what it was told to say, in lines of plain text, the first one bright."""
        tones = self.tones
        return [
            line
            for number, text in enumerate(self._words)
            for line in worded(visible_line(text), max(8, width), tones.muted if number else tones.text)
        ]
