"""Every key there is, in as many columns as fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.geometry import Size

BETWEEN = 3
"""Blanks between two columns."""


@dataclass(frozen=True, slots=True)
class Section:
    """The keys of one pane: (keys, what they do)."""

    title: str
    lines: tuple[tuple[str, str], ...]


class HelpPanel(Widget):
    """Sections one below the other, wrapped into columns of about the same height."""

    DEFAULT_CSS = """
    HelpPanel { height: auto; color: $text-muted; }
    """

    def __init__(self, sections: Sequence[Section]) -> None:
        super().__init__()
        self._sections = sections
        self._keys_width = max(len(keys) for section in sections for keys, _ in section.lines)
        self._width = (
            self._keys_width + 2 + max(len(what) for section in sections for _, what in section.lines)
        )

    def width_for(self, room: int) -> int:
        """Return the width of as many columns as there is room for."""
        return self._columns(room) * (self._width + BETWEEN) - BETWEEN

    def _columns(self, width: int) -> int:
        return max(1, min(3, (width + BETWEEN) // (self._width + BETWEEN)))

    def _rows(self, width: int) -> list[Content]:
        """Return the drawn lines for a width."""
        columns = self._columns(width)
        blocks = [self._block(section) for section in self._sections]
        height = max(*map(len, blocks), -(-sum(map(len, blocks)) // columns)) if columns > 1 else 10**6
        filled: list[list[Content]] = [[]]
        for block in blocks:
            if filled[-1] and len(filled[-1]) + len(block) > height and len(filled) < columns:
                filled.append([])
            filled[-1] += block
        blank = Content(" " * self._width)
        rows = []
        for row in range(max(map(len, filled))):
            cells = [column[row] if row < len(column) else blank for column in filled]
            rows.append(Content(" " * BETWEEN).join(cells))
        return rows

    def _block(self, section: Section) -> list[Content]:
        lines = [Content.styled(section.title, "bold $text").pad_right(self._width - len(section.title))]
        for keys, what in section.lines:
            line = Content.assemble((keys.rjust(self._keys_width), "$text"), "  " + what)
            lines.append(line.pad_right(self._width - line.cell_length))
        return [*lines, Content(" " * self._width)]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return how many lines the columns take."""
        return len(self._rows(width))

    def render(self) -> Content:
        """Draw the columns."""
        return Content("\n").join(self._rows(self.content_size.width))
