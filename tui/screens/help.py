"""Every key, over the screen they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from tui import keymap
from widgets.help_panel import HelpPanel, Section

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from tui.keymap import Pane


SHOWN: Final[tuple[Pane, ...]] = (
    "everywhere",
    "threads",
    "filter",
    "transcript",
    "find",
    "logs",
    "memory",
    "history",
    "choice",
    "copy",
    "sheet",
)


class HelpScreen(ModalScreen[None]):
    """The keys of every pane, from the registry."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("help")]

    def __init__(self, *, ascii_only: bool = False) -> None:
        super().__init__()
        self._ascii_only = ascii_only

    def compose(self) -> ComposeResult:
        """Make the panel."""
        with VerticalScroll() as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc closes"
            yield HelpPanel(
                [
                    Section(
                        title,
                        tuple(
                            (action.shown_keys(ascii_only=self._ascii_only), action.description)
                            for action in actions
                        ),
                    )
                    for title, actions in keymap.sections(SHOWN)
                ]
            )

    def on_resize(self, event: events.Resize) -> None:
        """Make the box as wide as the columns that fit."""
        box = self.query_one(VerticalScroll)
        around = box.gutter.width + box.scrollbar_size_vertical
        box.styles.width = self.query_one(HelpPanel).width_for(event.size.width - around) + around

    def action_close_one(self) -> None:
        """Close the help."""
        self.dismiss()
