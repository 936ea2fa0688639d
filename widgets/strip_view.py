"""A scrolling pane of ready-made lines, the ground that the reading widgets stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from widgets.tones import TONE_CLASSES, TONE_CSS, Tones, tones_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.segment import Segment


class StripView(ScrollView, can_focus=True):
    """Lines of a known width, drawn one by one; subclasses say how many there are and build them."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(TONE_CLASSES)
    DEFAULT_CSS = """
    StripView {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;
        background: $surface;
        color: $foreground;
    }
    """ + TONE_CSS.format(widget="StripView")

    _tones: Tones | None = None

    @property
    def tones(self) -> Tones:
        """The styles of the theme now."""
        if self._tones is None:
            self._tones = tones_of(self)
        return self._tones

    def notify_style_update(self) -> None:
        """Draw everything again in the new theme."""
        super().notify_style_update()
        tones = self._tones
        self._tones = None
        if tones is not None and tones != self.tones:
            self.styles_changed()

    def styles_changed(self) -> None:
        """The tones are others now: build the lines again."""

    def scroll_to(
        self, x: float | None = None, y: float | None = None, *, animate: bool = True, **options: Any
    ) -> None:
        """Go there at once: lines may come or go on the way, and text that glides cannot be read."""
        super().scroll_to(x, y, animate=False, **options)

    def grounded(self, strip: Strip, width: int) -> Strip:
        """Return a line of exactly this width on the pane's own colours."""
        return strip.adjust_cell_length(width).apply_style(self.rich_style)


class LinesView(StripView):
    """A pane whose lines all fit in memory; `build` makes them for a width."""

    def __init__(self, *, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(name=name, id=id, classes=classes)
        self._lines: Sequence[Strip] = ()
        self._built_for = 0

    def build(self, width: int) -> Iterable[Sequence[Segment]]:
        """Make the lines, each at most `width` cells."""
        raise NotImplementedError

    def rebuild(self) -> None:
        """Make the lines again and stay at the same one."""
        width = self.scrollable_content_region.width
        if not self.is_attached or width <= 0:
            return
        self._built_for = width
        self._lines = [Strip(line) for line in self.build(width)]
        self.virtual_size = Size(width, len(self._lines))
        self.refresh()

    def on_resize(self) -> None:
        """Wrap anew when the width is another."""
        if self.scrollable_content_region.width != self._built_for:
            self.rebuild()

    def styles_changed(self) -> None:
        """Draw in the new theme."""
        self.rebuild()

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        width = self.size.width
        line = self.scroll_offset.y + y
        if line >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        return self.grounded(self._lines[line], width)

    @property
    def text(self) -> str:
        """All lines as plain text."""
        return "\n".join(strip.text.rstrip() for strip in self._lines)
