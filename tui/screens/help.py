"""Every key, over the screen they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from tui import keymap
from widgets.help_panel import HelpPanel, Section

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType


class HelpScreen(ModalScreen[None]):
    """The keys of every pane, from the registry."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("help")]

    def compose(self) -> ComposeResult:
        """Make the panel."""
        with VerticalScroll() as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc closes"
            yield HelpPanel(
                [
                    Section(
                        keymap.TITLES[pane],
                        tuple((action.shown_keys, action.description) for action in keymap.actions(pane)),
                    )
                    for pane in keymap.PANES
                    if pane not in ("help", "error")
                ]
            )

    def action_close_one(self) -> None:
        """Close the help."""
        self.dismiss()
