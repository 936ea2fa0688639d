"""The line of tabs of a narrow screen, each carrying the state of its pane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.message import Message
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

BETWEEN = 3
"""Blanks between two tabs."""


@dataclass(frozen=True, slots=True)
class Tab:
    """One pane: its name in the code, its number and title, and its state in a word."""

    pane: str
    number: str
    title: str
    state: str = ""


class PaneTabs(Widget):
    """Tabs from left to right; states go first where the line is too narrow."""

    DEFAULT_CSS = """
    PaneTabs { height: 1; padding: 0 1; color: $text-muted; display: none; }
    """

    @dataclass
    class Chosen(Message):
        """A tab was clicked."""

        pane: str

    def __init__(self) -> None:
        super().__init__()
        self._tabs: Sequence[Tab] = ()
        self._current = ""

    def show(self, tabs: Sequence[Tab], current: str) -> None:
        """Show these tabs, one of them as the current one."""
        if (tabs, current) != (self._tabs, self._current):
            self._tabs, self._current = tabs, current
            self.refresh()

    def render(self) -> Content:
        """Draw the tabs."""
        return Content(" " * BETWEEN).join(self._drawn())

    async def on_click(self, event: events.Click) -> None:
        """Go to the pane whose tab is under the pointer."""
        left = self.gutter.left
        for tab, drawn in zip(self._tabs, self._drawn(), strict=True):
            if left <= event.x < left + drawn.cell_length:
                self.post_message(self.Chosen(tab.pane))
            left += drawn.cell_length + BETWEEN

    def _drawn(self) -> list[Content]:
        tabs = [self._tab(tab, state=f" {tab.state}" if tab.state else "") for tab in self._tabs]
        if sum(tab.cell_length + BETWEEN for tab in tabs) - BETWEEN > self.content_size.width:
            return [self._tab(tab) for tab in self._tabs]
        return tabs

    def _tab(self, tab: Tab, state: str = "") -> Content:
        style = "bold $accent" if tab.pane == self._current else ""
        return Content.styled(f"{tab.number} {tab.title}", style) + state
