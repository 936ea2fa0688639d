"""What may be copied of a thread: one letter each, or the line under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal, get_args

from tui import keymap
from tui.screens.choice import Answer, ChoiceScreen, Question
from widgets.formatting import cut, visible_line
from widgets.glyphs import UNICODE, Glyphs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.binding import BindingType

What = Literal["id", "command", "message", "path"]

LABELS: Final[Mapping[What, str]] = {
    "id": "i  the thread's id",
    "command": "r  the command that resumes it",
    "message": "m  the message under the cursor",
    "path": "p  the path of its rollout",
}
SHOWN: Final = 200
"""Characters of a text that the sheet shows."""


class CopyScreen(ChoiceScreen[What]):
    """Asks what is copied; `texts` are those that are known by now."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("copy")]

    def __init__(self, title: str, texts: Mapping[What, str], *, glyphs: Glyphs = UNICODE) -> None:
        question: Question[What] = Question(
            "Copy",
            [visible_line(title)],
            [
                Answer(LABELS[what], what, [("copies", cut(visible_line(texts[what][:SHOWN]), SHOWN))])
                for what in get_args(What)
                if what in texts
            ],
        )
        super().__init__(question, glyphs=glyphs)
        self._texts = texts

    def action_copy(self, what: What) -> None:
        """Answer with one of them."""
        if what in self._texts:
            self.dismiss(what)
        else:
            self.notify("There is no message under the cursor of the transcript.", markup=False)
