"""A virtual list over rows that are all at hand, which says in words why it has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip

from widgets.formatting import cut
from widgets.row_source import Row
from widgets.tones import TONE_CLASSES, TONE_CSS, Tones, tones_of
from widgets.virtual_list import VirtualList

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RowT = TypeVar("RowT", bound=Row)


class HeldRows(Generic[RowT]):
    """A source over rows in memory."""

    def __init__(self, rows: Iterable[RowT]) -> None:
        self._rows = {row.key: row for row in rows}
        self.keys: Sequence[int] = tuple(self._rows)

    async def rows(self, keys: Sequence[int]) -> Sequence[RowT]:
        """Return the rows behind these keys."""
        return [self._rows[key] for key in keys if key in self._rows]


class WordedList(VirtualList[RowT]):
    """A list with the tones of the theme; `words` stand in its middle while it has no rows."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(TONE_CLASSES)
    DEFAULT_CSS = TONE_CSS.format(widget="WordedList")

    _tones: Tones | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """What is said while nothing is listed, the first line bright."""
        raise NotImplementedError

    @property
    def tones(self) -> Tones:
        """The styles of the theme now."""
        if self._tones is None:
            self._tones = tones_of(self)
        return self._tones

    def notify_style_update(self) -> None:
        """Draw in the new theme."""
        super().notify_style_update()
        self._tones = None

    def render_line(self, y: int) -> Strip:
        """Draw a row, or a line of the words where there is none."""
        if self.keys:
            # Tones have no background of their own.
            return super().render_line(y).apply_style(self.rich_style)
        words, width = self.words, self.size.width
        at = y - max(0, (self.size.height - len(words)) // 2)
        if not 0 <= at < len(words):
            return Strip.blank(width, self.rich_style)
        text = cut(words[at], width - 2)
        style = self.tones.muted if at else self.tones.text
        line = [Segment(" " * ((width - cell_len(text)) // 2)), Segment(text, style)]
        return Strip(line).adjust_cell_length(width).apply_style(self.rich_style)
