"""Three rows about the thread under the cursor, where there is no room for the transcript beside the list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

from widgets.formatting import count, cut, shorten_path, visible_line
from widgets.glyphs import UNICODE, Glyphs

if TYPE_CHECKING:
    from pathlib import Path

    from store.models import Thread


class ThreadPeek(Widget):
    """Title; folder, branch, model and tokens; the beginning of what was asked."""

    DEFAULT_CSS = """
    ThreadPeek { height: 3; padding: 0 2; color: $text-muted; display: none; }
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
        """Draw the rows."""
        thread, width = self._thread, self.content_size.width
        if thread is None:
            return Content("")
        facts = [
            shorten_path(thread.cwd, width // 2, self._user_home) if thread.cwd else "",
            visible_line(thread.git.branch or ""),
            visible_line(" ".join(filter(None, (thread.model, thread.reasoning_effort)))),
            f"{count(thread.tokens_used)} tokens" if thread.tokens_used else "",
        ]
        asked = visible_line(thread.first_user_message or thread.preview or "")
        dot = f" {self._glyphs.dot} "
        return Content("\n").join(
            [
                Content.styled(cut(visible_line(thread.display_title), width), "$text"),
                Content(cut(dot.join(filter(None, facts)), width)),
                Content(cut(asked, width)),
            ]
        )
