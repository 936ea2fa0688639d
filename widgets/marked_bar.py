"""A scroll bar that shows where in all of the lines something stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.segment import Segment, Segments
from rich.style import Style
from textual.scrollbar import ScrollBar, ScrollBarRender

if TYPE_CHECKING:
    from collections.abc import Collection

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

MARK: Final = "━"
ASCII_MARK: Final = "="


class MarkedBar(ScrollBar):
    """Textual's bar, with a mark on some of its rows."""

    def __init__(self, *, thickness: int, glyph: str) -> None:
        super().__init__(vertical=True, name="vertical", thickness=thickness)
        self._glyph = glyph
        self._marks: Collection[int] = ()
        self._style = Style.null()

    def mark(self, rows: Collection[int], style: Style) -> None:
        """Mark these rows, counted from the top, in the colour of a style."""
        if (rows, style) != (self._marks, self._style):
            self._marks, self._style = rows, style
            self.refresh()

    def _render_bar(self, scrollbar_style: Style) -> RenderableType:
        bar = super()._render_bar(scrollbar_style)
        if not self._marks or not isinstance(bar, ScrollBarRender):
            return bar
        return _Marked(bar, self._marks, Segment(self._glyph * self.thickness, self._style))


class _Marked:
    """A bar of which some rows say something else."""

    def __init__(self, bar: ScrollBarRender, rows: Collection[int], mark: Segment) -> None:
        self._bar = bar
        self._rows = rows
        self._mark = mark

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for part in self._bar.__rich_console__(console, options):
            if isinstance(part, Segments):
                yield Segments(
                    [
                        self._over(segment) if row in self._rows else segment
                        for row, segment in enumerate(part.segments)
                    ],
                    new_lines=True,
                )

    def _over(self, segment: Segment) -> Segment:
        ground = segment.style or Style.null()
        behind = ground.color if ground.reverse else ground.bgcolor
        style = Style(color=(self._mark.style or ground).color, bgcolor=behind, meta=ground.meta)
        return Segment(self._mark.text, style)
