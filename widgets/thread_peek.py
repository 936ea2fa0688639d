"""A thread in a line, over its transcript, and in three, where there is no room beside the list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

from widgets.formatting import count, cut, shorten_path, visible_line
from widgets.glyphs import UNICODE, Glyphs

if TYPE_CHECKING:
    from pathlib import Path

    from store.models import Thread


class ThreadFacts(Widget):
    """Where the thread ran, on which branch and model, and how long it became."""

    DEFAULT_CSS = """
    ThreadFacts { width: 1fr; height: 1; padding: 0 2; color: $text-muted; }
    """

    def __init__(self, *, user_home: Path, glyphs: Glyphs = UNICODE) -> None:
        super().__init__()
        self._user_home = user_home
        self._glyphs = glyphs
        self._thread: Thread | None = None

    def show(self, thread: Thread | None) -> None:
        """Show a thread, or nothing."""
        self._thread = thread
        self.refresh()

    def render(self) -> Content:
        """Draw the line."""
        return Content(self.facts(self._thread)) if self._thread else Content("")

    def facts(self, thread: Thread) -> str:
        """Return the facts that are known, cut to the width."""
        width = self.content_size.width
        parts = [
            shorten_path(thread.cwd, width // 2, self._user_home) if thread.cwd else "",
            visible_line(thread.git.branch or ""),
            visible_line(" ".join(filter(None, (thread.model, thread.reasoning_effort)))),
            f"{thread.turns} {'turn' if thread.turns == 1 else 'turns'}" if thread.turns is not None else "",
            f"{count(thread.tokens_used)} tokens" if thread.tokens_used else "",
        ]
        return cut(f" {self._glyphs.dot} ".join(filter(None, parts)), width)


class ThreadPeek(ThreadFacts):
    """Title; the facts; the beginning of what was asked."""

    DEFAULT_CSS = """
    ThreadPeek { height: 3; display: none; }
    """

    def render(self) -> Content:
        """Draw the rows."""
        thread, width = self._thread, self.content_size.width
        if thread is None:
            return Content("")
        asked = visible_line(thread.first_user_message or thread.preview or "")
        return Content("\n").join(
            [
                Content.styled(cut(visible_line(thread.display_title), width), "$text"),
                Content(self.facts(thread)),
                Content(cut(asked, width)),
            ]
        )
