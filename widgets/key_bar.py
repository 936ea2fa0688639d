"""The line at the bottom: the keys that matter now, each of them clickable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

KEPT_AT_THE_END = 2
"""The last entries, help and quit, stay where the line is too narrow for all."""

BETWEEN = 2
"""Blanks between two entries."""


@dataclass(frozen=True, slots=True)
class Key:
    """One entry: the key, what it does in a word, and Textual's name of the action."""

    key: str
    label: str
    action: str

    @property
    def width(self) -> int:
        """How many cells the entry takes."""
        return cell_len(self.key) + 1 + len(self.label)


class KeyBar(Widget):
    """Keys from left to right; what does not fit goes from the middle, never a part of an entry."""

    DEFAULT_CSS = """
    KeyBar { height: 1; padding: 0 1; background: $footer-background; color: $footer-description-foreground; }
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
        entries = (
            Content.assemble((key.key, "$footer-key-foreground"), f" {key.label}") for key in self._fitting()
        )
        return Content(" " * BETWEEN).join(entries)

    async def on_click(self, event: events.Click) -> None:
        """Do what the key under the pointer does, for whatever has the focus."""
        left = self.gutter.left
        for key in self._fitting():
            if left <= event.x < left + key.width:
                await self.app.run_action(key.action, default_namespace=self.screen.focused or self.screen)
            left += key.width + BETWEEN

    def _fitting(self) -> Sequence[Key]:
        shown, last = list(self._keys[:-KEPT_AT_THE_END]), self._keys[-KEPT_AT_THE_END:]
        room = self.content_size.width + BETWEEN
        while shown and sum(key.width + BETWEEN for key in (*shown, *last)) > room:
            shown.pop()
        return [*shown, *last]
