"""What a pane says when it has nothing to show: what is so, why, and how to widen."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from widgets.formatting import visible_line


class EmptyState(Widget):
    """A title and a few quiet lines, in the middle of the pane."""

    DEFAULT_CSS = """
    EmptyState {
        height: 1fr; padding: 1 4; content-align: center middle; text-align: center; color: $text-muted;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._title = ""
        self._lines: tuple[str, ...] = ()

    def say(self, title: str, *lines: str) -> None:
        """Show these words; they may quote foreign text."""
        self._title, self._lines = visible_line(title), tuple(visible_line(line) for line in lines)
        self.refresh(layout=True)

    @property
    def words(self) -> str:
        """Everything said, line by line."""
        return "\n".join((self._title, *self._lines))

    def render(self) -> Content:
        """Draw the words."""
        title = Content.styled(self._title, "$text")
        return Content("\n").join([title, Content(""), *map(Content, self._lines)]) if self._lines else title
