"""The line over a transcript where words to find in it are typed, and what was found of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Static

from widgets.filter_box import FilterBox

if TYPE_CHECKING:
    from textual.app import ComposeResult


class FindBox(FilterBox):
    """A filter box that says at its end how many there are."""

    DEFAULT_CSS = """
    FindBox > Input { width: 1fr; }
    FindBox > #found { width: auto; padding: 0 0 0 1; }
    """

    def __init__(self) -> None:
        super().__init__("/", "words in this thread")

    def compose(self) -> ComposeResult:
        """Make the line."""
        yield from super().compose()
        yield Static(id="found", markup=False)

    def say(self, words: str) -> None:
        """Say how many there are."""
        self.query_one("#found", Static).update(words)
