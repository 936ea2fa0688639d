"""Where the items of a transcript are on the screen: what is being read never moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip

from widgets.glyphs import ASCII, UNICODE, Glyphs
from widgets.strip_view import StripView
from widgets.transcript_layout import TranscriptLayout
from widgets.transcript_rendering import Look

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

    from widgets.code_lines import Line

GUTTER = 2
"""Cells left of the items: the cursor's bar and a blank."""

PAGE_OVERLAP = 2
"""Lines of a page that stay in sight when turning it."""


class TranscriptScroll(StripView):
    """A layout of items, drawn; a subclass reads the items that `read_what_is_missing` asks for."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"transcript--bar", "transcript--notice"}
    DEFAULT_CSS = """
    TranscriptScroll {
        scrollbar-gutter: stable;
        & > .transcript--bar { color: $text-disabled; }
        &:focus > .transcript--bar { color: $accent; }
        & > .transcript--notice { color: $text-muted; background: $panel; }
    }
    """
    ALLOW_SELECT = False

    def __init__(
        self,
        *,
        zone: tzinfo | None = None,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._zone = zone
        self._glyphs = glyphs
        self._layout = TranscriptLayout()
        self._cursor = 0
        self._follows = True
        self._settling = False
        self._new_below = 0
        self._note = ""

    def read_what_is_missing(self) -> None:
        """Called whenever other items may have come into sight."""
        raise NotImplementedError

    def words_instead(self) -> Iterable[Line]:
        """What stands where there are no items."""
        raise NotImplementedError

    @property
    def _height(self) -> int:
        return max(1, self.scrollable_content_region.height)

    @property
    def _page(self) -> int:
        return self._height + PAGE_OVERLAP

    @property
    def follows(self) -> bool:
        """Whether the end is in sight and stays so when the thread grows."""
        return self._follows

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
        self.refresh()
        self.read_what_is_missing()

    def _keep(self, anchor: tuple[int, int]) -> None:
        position, row = anchor
        if self._follows or not self._layout.count:
            self._place(self._layout.heights.total)
        else:
            self._place(self._layout.heights.top(min(position, self._layout.count - 1)) - row)

    def _place(self, line: int) -> None:
        self._settling = True
        try:
            self.virtual_size = Size(self.scrollable_content_region.width, self._layout.heights.total)
            # Forced: the scroll bar of this height may not be there yet.
            self.scroll_to(y=max(0, min(line, self.max_scroll_y)), animate=False, force=True)
        finally:
            self._settling = False
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow what the wheel, the keys or the scroll bar did."""
        super().watch_scroll_y(old_value, new_value)
        if self._settling or round(old_value) == round(new_value):
            return
        self._note = ""
        self._follows = round(new_value) >= self.max_scroll_y
        if self._follows:
            self._new_below = 0
        self._settle(self._anchor())

    def on_resize(self) -> None:
        """Wrap anew and stay at the same item."""
        self._settle(self._anchor())

    def styles_changed(self) -> None:
        """Draw in the new theme."""
        self._settle(self._anchor())

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
        self.refresh()

    def _say(self, note: str) -> None:
        """Say something in the last line until the person goes on."""
        self._note = note
        self.refresh()

    def action_first(self) -> None:
        """To the beginning."""
        raise NotImplementedError

    def action_last(self) -> None:
        """To the end."""
        raise NotImplementedError

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
        """To the beginning."""
        self.action_first()

    def action_scroll_end(self) -> None:
        """To the end."""
        self.action_last()

    # Drawing

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width = self.scrollable_content_region.width
        bottom = self._bottom()
        if bottom and y == self._height - 1:
            notice = f"{' ' * GUTTER}-- {bottom} -- "
            style = self.get_component_rich_style("transcript--notice")
            return self.grounded(Strip([Segment(notice, style)]), width)
        line = round(self.scroll_y) + y
        if not self._layout.heights.total:
            words = list(self.words_instead())
            body = Strip(words[y - 1]) if 1 <= y <= len(words) else Strip([])
            return self.grounded(Strip.join([Strip([Segment(" " * GUTTER)]), body]), width)
        if line >= self._layout.heights.total:
            return Strip.blank(width, self.rich_style)
        position, within = self._layout.heights.at(line)
        strips = self._layout.strips(position)
        bar = " "
        if position == self._cursor and not (within == 0 and strips and not strips[0].text.strip()):
            bar = "|" if self._glyphs is ASCII else "▎"
        left = Strip([Segment(bar, self.get_component_rich_style("transcript--bar")), Segment(" ")])
        if strips is None:
            body = Strip([Segment("…" if within == 0 else "", self.tones.muted)])
        else:
            body = strips[within] if within < len(strips) else Strip([])
        return self.grounded(Strip.join([left, body]), width)

    def _bottom(self) -> str:
        if self._note:
            return self._note
        if self._new_below and not self._follows:
            return f"{self._new_below} new below {self._glyphs.dot} G"
        return ""
