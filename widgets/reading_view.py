"""What is read from its end: a cursor on a part of it; what is in sight stays put until the person moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from rich.segment import Segment
from textual.geometry import Size
from textual.strip import Strip

from widgets.glyphs import ASCII, UNICODE, Glyphs
from widgets.strip_view import StripView

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

    from rich.style import Style
    from textual import events

    from widgets.code_lines import Line

GUTTER: Final = 2
"""Cells left of the text: the cursor's bar and a blank."""


class ReadingView(StripView):
    """Parts of several lines each, drawn line by line; a subclass knows where they lie and what they say."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"reading--bar", "reading--notice"}
    DEFAULT_CSS = """
    ReadingView {
        scrollbar-gutter: stable;
        & > .reading--bar { color: $text-disabled; }
        &:focus > .reading--bar { color: $accent; }
        & > .reading--notice { color: $text-muted; background: $panel; }
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
        """`zone` is the time zone of the times shown; None is the person's own."""
        super().__init__(id=id, classes=classes)
        self._zone = zone
        self._glyphs = glyphs
        self._cursor = 0
        self._follows = True
        self._new = 0
        self._note = ""
        self._settling = False

    @property
    def follows(self) -> bool:
        """Whether the end is in sight and stays so when more comes."""
        return self._follows

    def note(self, note: str) -> None:
        """Say something in the last line until the person goes on."""
        if note != self._note:
            self._note = note
            self.refresh()

    # Where the lines are

    @property
    def _total(self) -> int:
        """How many lines there are."""
        raise NotImplementedError

    def _anchor(self) -> tuple[int, int]:
        """What must not move: a part, and where its lines are on the screen."""
        raise NotImplementedError

    def _settle(self, anchor: tuple[int, int]) -> None:
        """Measure what is in sight, and put the anchor, or the end, back where it was."""
        raise NotImplementedError

    @property
    def _height(self) -> int:
        return max(1, self.scrollable_content_region.height)

    def _place(self, line: int) -> None:
        self._settling = True
        try:
            self.virtual_size = Size(self.scrollable_content_region.width, self._total)
            # Forced: the scroll bar of this height may not be there yet.
            self.scroll_to(y=max(0, min(line, self.max_scroll_y)), animate=False, force=True)
        finally:
            self._settling = False
        self.refresh()

    def _follow(self) -> None:
        self._follows, self._new = True, 0

    def _moved(self) -> None:
        """The person is elsewhere, or other lines are there."""

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
        self._moved()

    def on_resize(self) -> None:
        """Wrap anew and stay at the same part, or at the end."""
        self._settle(self._anchor())

    def styles_changed(self) -> None:
        """Draw in the new theme."""
        self._settle(self._anchor())

    # What Textual's own scrolling is here

    def action_move(self, by: int) -> None:
        """To the part beside, or by a line."""
        raise NotImplementedError

    def action_page(self, pages: float) -> None:
        """Turn so many pages."""
        raise NotImplementedError

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

    def on_click(self, event: events.Click) -> None:
        """Take the line that was clicked; the notice in the last line leads to the end."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        line = round(self.scroll_y) + offset.y
        if offset.y == self._height - 1 and self._bottom():
            self.action_last()
        elif line < self._total:
            self._clicked(line, event)

    def _clicked(self, line: int, event: events.Click) -> None:
        raise NotImplementedError

    # Drawing

    def words_instead(self, width: int) -> Iterable[Line]:
        """Say what stands where there are no lines."""
        raise NotImplementedError

    def _body(self, line: int) -> tuple[Strip, bool]:
        """Return a line, and whether the cursor's bar stands beside it."""
        raise NotImplementedError

    def _bottom(self) -> str:
        """Return what the last line of the screen says, if anything."""
        raise NotImplementedError

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width = self.scrollable_content_region.width
        bottom = self._bottom()
        if bottom and y == self._height - 1:
            words = f"{' ' * GUTTER}-- {bottom} -- "
            style = self.get_component_rich_style("reading--notice")
            return self.grounded(Strip([Segment(words, style)]), width)
        if not self._total:
            lines = list(self.words_instead(width - GUTTER))
            body = Strip(lines[y]) if y < len(lines) else Strip([])
            return self.grounded(Strip.join([Strip([Segment(" " * GUTTER)]), body]), width)
        line = round(self.scroll_y) + y
        if line >= self._total:
            return Strip.blank(width, self.rich_style)
        body, at_cursor = self._body(line)
        bar = " " if not at_cursor else "|" if self._glyphs is ASCII else "▎"
        left = Strip(self._left(bar, self.get_component_rich_style("reading--bar")))
        return self.grounded(Strip.join([left, body]), width)

    def _left(self, bar: str, style: Style) -> list[Segment]:
        return [Segment(bar, style), Segment(" ")]
