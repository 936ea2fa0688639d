"""The line under a search box: what is not understood of the query, or how it may go on."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from widgets.formatting import visible_line
from widgets.glyphs import UNICODE, Glyphs


class QueryNote(Static):
    """A line or two, there only while there is something to say."""

    DEFAULT_CSS = """
    QueryNote { height: auto; max-height: 4; padding: 0 1 0 3; display: none; color: $text-muted; }
    """

    def __init__(self, *, glyphs: Glyphs = UNICODE) -> None:
        super().__init__(markup=False)
        self._glyphs = glyphs
        self.words = ""

    def explain(self, what: str, *rest: str) -> None:
        """Say what is not understood, and what would be; the words may quote the query."""
        said = [visible_line(text).rstrip(".") + "." for text in rest if text]
        title = visible_line(what)
        self.words = " ".join([f"{title}.", *said])
        shown = [Content.styled(f"{self._glyphs.warning} {title}.", "$text-warning"), *map(Content, said)]
        self.update(Content(" ").join(shown))
        self.display = True

    def clear(self) -> None:
        """Say nothing."""
        self.words = ""
        self.display = False
