"""The line of tabs of a narrow screen, each carrying the state of its pane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.style import Style
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    PaneTabs { height: 1; padding: 0 1; color: $text-muted; display: none;
        link-style: none; link-color: $text-muted; link-background: $background;
        link-background-hover: $block-cursor-blurred-background; link-style-hover: none;
        link-color-hover: $text; }
    """

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
        line = self._line(states=True)
        return line if line.cell_length <= self.content_size.width else self._line(states=False)

    def _line(self, *, states: bool) -> Content:
        return Content("   ").join(self._tab(tab, states=states) for tab in self._tabs)

    def _tab(self, tab: Tab, *, states: bool) -> Content:
        style = "bold $accent" if tab.pane == self._current else ""
        title = Content.styled(f"{tab.number} {tab.title}", style)
        state = f" {tab.state}" if states and tab.state else ""
        return (title + state).stylize(Style.from_meta({"@click": f"screen.pane('{tab.pane}')"}))
