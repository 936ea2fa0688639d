"""Where the items of a transcript are on the screen: what is being read never moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.strip import Strip

from widgets.glyphs import UNICODE, Glyphs
from widgets.reading_view import GUTTER, ReadingView
from widgets.transcript_layout import TranscriptLayout
from widgets.transcript_rendering import Look

if TYPE_CHECKING:
    from datetime import tzinfo

PAGE_OVERLAP = 2
"""Lines of a page that stay in sight when turning it."""


class TranscriptScroll(ReadingView):
    """A layout of items, drawn; a subclass reads the items that `read_what_is_missing` asks for."""

    def __init__(
        self,
        *,
        zone: tzinfo | None = None,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(zone=zone, glyphs=glyphs, id=id, classes=classes)
        self._layout = TranscriptLayout()

    def read_what_is_missing(self) -> None:
        """Called whenever other items may have come into sight."""
        raise NotImplementedError

    @property
    def _total(self) -> int:
        return self._layout.heights.total

    @property
    def _page(self) -> int:
        return self._height + PAGE_OVERLAP

    def _window(self, margin: int) -> tuple[int, int]:
        """The first and last item in sight, and so many lines above and below."""
        heights, top = self._layout.heights, round(self.scroll_y)
        return heights.at(top - margin)[0], heights.at(top + self._height + margin)[0]

    def _anchor(self) -> tuple[int, int]:
        """The item that must not move, and the row of the screen that its first line is on."""
        heights, top = self._layout.heights, round(self.scroll_y)
        position, line = heights.at(top)
        row = -line
        # One whose height is only guessed would drag along what is known below it.
        first, first_row = position, row
        while position < self._layout.count and row < self._height:
            if heights.is_measured(position) and heights.height(position):
                return position, row
            row += heights.height(position)
            position += 1
        return first, first_row

    def _settle(self, anchor: tuple[int, int]) -> None:
        """Measure what is in sight, and put the anchor (or the end) back where it was."""
        layout, region = self._layout, self.scrollable_content_region
        if not self.is_attached or region.width <= GUTTER:
            return
        layout.look(Look(region.width - GUTTER, self.tones, self._zone, self._glyphs))
        self._keep(anchor)
        for _ in range(2 * self._height):
            first, last = self._window(self._height)
            # Every item of the span, whatever comes first.
            changed = [layout.measure(position) for position in range(first, min(last + 1, layout.count))]
            self._keep(anchor)
            if not any(changed):
                break
        layout.forget_far(*self._window(self._height))
        self._keep_cursor_in_sight()
        self._moved()
        self.refresh()
        self.read_what_is_missing()

    def _keep(self, anchor: tuple[int, int]) -> None:
        position, row = anchor
        if self._follows or not self._layout.count:
            self._place(self._layout.heights.total)
        else:
            self._place(self._layout.heights.top(min(position, self._layout.count - 1)) - row)

    # The cursor

    def _is_shown(self, position: int) -> bool:
        item = self._layout.item(position)
        return item is None or not self._layout.is_hidden(item)

    def _last_shown(self) -> int:
        position = self._layout.count - 1
        while position > 0 and not self._is_shown(position):
            position -= 1
        return max(0, position)

    def _keep_cursor_in_sight(self) -> None:
        if not self._layout.count:
            self._cursor = 0
            return
        first, last = self._layout.heights.at(round(self.scroll_y))[0], self._window(0)[1]
        if self._layout.heights.top(last) >= round(self.scroll_y) + self._height and last > first:
            last -= 1
        self._cursor = max(first, min(self._cursor, last))
        for step in (1, -1):
            position = self._cursor
            while first <= position <= last and not self._is_shown(position):
                position += step
            if first <= position <= last:
                self._cursor = position
                return

    def _beside(self, by: int) -> int | None:
        position = self._cursor + by
        while 0 <= position < self._layout.count:
            if self._is_shown(position):
                return position
            position += by
        return None

    def action_move(self, by: int) -> None:
        """Go to the item beside if it is in sight, else scroll by one line, so that the eye can follow."""
        self._note = ""
        heights, top = self._layout.heights, round(self.scroll_y)
        if not self._layout.count:
            return
        start = heights.top(self._cursor) - top
        end = start + heights.height(self._cursor)
        all_read = end <= self._height if by > 0 else start >= 0
        beside = self._beside(by)
        if all_read and beside is not None:
            self._cursor = beside
            start = heights.top(beside) - top
            end = start + heights.height(beside)
        if (by > 0 and end > self._height) or (by < 0 and start < 0) or beside is None:
            self.scroll_to(y=top + by, animate=False)
        self._moved()
        self.refresh()

    def action_page(self, pages: float) -> None:
        """Turn so many pages."""
        lines = round(abs(pages) * self._height)
        if abs(pages) >= 1:
            lines = max(1, lines - PAGE_OVERLAP)
        self.scroll_to(y=round(self.scroll_y) + (lines if pages > 0 else -lines), animate=False)

    def _keep_at(self, position: int, row: int) -> None:
        """Put an item's first line on a row of the screen, the cursor on it."""
        self._follows = False
        self._settle((position, row))
        self._cursor = position
        self._follows = round(self.scroll_y) >= self.max_scroll_y
        self._moved()
        self.refresh()

    # Drawing

    def _body(self, line: int) -> tuple[Strip, bool]:
        position, within = self._layout.heights.at(line)
        strips = self._layout.strips(position)
        if strips is None:
            body = Strip([Segment("…" if within == 0 else "", self.tones.muted)])
        else:
            body = self._drawn(position, within, strips[within]) if within < len(strips) else Strip([])
        blank_above = within == 0 and bool(strips) and not body.text.strip()
        return body, position == self._cursor and not blank_above

    def _drawn(self, position: int, within: int, strip: Strip) -> Strip:
        """Return a line of an item as it is shown now."""
        del position, within
        return strip

    def _bottom(self) -> str:
        if self._note:
            return self._note
        if self._new and not self._follows:
            return f"{self._new} new below {self._glyphs.dot} G"
        return ""
