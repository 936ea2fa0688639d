"""What the person sees when Rollodex cannot start: what happened, why, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from tui import keymap
from widgets.formatting import visible_line
from widgets.glyphs import UNICODE, Glyphs
from widgets.key_bar import Key, KeyBar

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from store.errors import StoreError


class ErrorScreen(Screen[None]):
    """One failure, in the middle of the screen; leaving it means trying again."""

    CSS_PATH = "error.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("error")]

    def __init__(self, error: StoreError, *, glyphs: Glyphs = UNICODE) -> None:
        super().__init__()
        self._error = error
        self._glyphs = glyphs

    def compose(self) -> ComposeResult:
        """Make the words."""
        error = self._error
        with Vertical():
            yield Static(
                Content.assemble(
                    (f"{self._glyphs.failed} ", "$text-error"), (visible_line(error.what), "bold $text")
                )
            )
            if error.why:
                yield Static(Content(visible_line(error.why)))
            if error.next_step:
                yield Static(Content.styled(visible_line(error.next_step), "$text"))
        bar = KeyBar()
        bar.show(
            [Key(keymap.shown(action.keys[0]), action.label, action.run) for action in keymap.footer("error")]
        )
        yield bar

    def action_retry(self) -> None:
        """Try again."""
        self.dismiss()
