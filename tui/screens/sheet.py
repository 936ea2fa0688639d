"""Something to be read, over the screen it belongs to: a thread's details, an item's raw lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from tui import keymap
from widgets.formatting import visible_line

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.widget import Widget


class SheetScreen(ModalScreen[None]):
    """One scrolling widget in a frame with a title."""

    CSS_PATH = "sheet.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("sheet")]

    def __init__(self, title: str, body: Widget) -> None:
        super().__init__()
        self._heading = title
        self._body = body

    def compose(self) -> ComposeResult:
        """Make the frame."""
        with Vertical() as frame:
            frame.border_title = Content(visible_line(self._heading))
            frame.border_subtitle = Content("esc closes")
            yield self._body

    def on_mount(self) -> None:
        """Let the keys scroll what is read."""
        self._body.focus()

    def action_close_one(self) -> None:
        """Close the sheet."""
        self.dismiss()
