"""The line at the bottom: the keys that matter now, each of them clickable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.style import Style
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Sequence

KEPT_AT_THE_END = 2
"""The last entries, help and quit, stay where the line is too narrow for all."""


@dataclass(frozen=True, slots=True)
class Key:
    """One entry: the key, what it does in a word, and Textual's name of the action."""

    key: str
    label: str
    action: str


class KeyBar(Widget):
    """Keys from left to right; what does not fit goes from the middle, never a part of an entry."""

    DEFAULT_CSS = """
    KeyBar { height: 1; padding: 0 1; background: $footer-background; color: $footer-description-foreground;
        link-style: none; link-color: $footer-description-foreground; link-background: $footer-background;
        link-background-hover: $block-cursor-blurred-background; link-style-hover: none;
        link-color-hover: $text; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._keys: Sequence[Key] = ()

    def show(self, keys: Sequence[Key]) -> None:
        """Show these keys."""
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def render(self) -> Content:
        """Draw as many keys as fit."""
        entries = [
            Content.assemble((key.key, "$footer-key-foreground"), f" {key.label}").stylize(
                Style.from_meta({"@click": key.action})
            )
            for key in self._keys
        ]
        last = entries[-KEPT_AT_THE_END:]
        shown = entries[:-KEPT_AT_THE_END]
        while shown and self._width([*shown, *last]) > self.content_size.width:
            shown.pop()
        return Content("  ").join([*shown, *last])

    @staticmethod
    def _width(entries: Sequence[Content]) -> int:
        return sum(entry.cell_length + 2 for entry in entries) - 2
