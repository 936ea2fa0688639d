"""A list on the left and the text of what is under its cursor on the right, over the screen it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import getters
from textual.containers import Horizontal, Vertical

from tui import keymap
from tui.screens.memory_asking import MemoryAskingScreen
from widgets.glyphs import ASCII
from widgets.key_bar import Key, KeyBar
from widgets.notice_bar import NoticeBar

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.widget import Widget


class ListAndTextScreen(MemoryAskingScreen):
    """Where it is narrow, the one that has the focus is shown."""

    CSS_PATH = "list_and_text.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("history")]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - Textual declares it on the instance
    HEADING: ClassVar[str] = ""
    SHOWS_ERRANDS = False

    notice_bar = getters.query_one(NoticeBar)
    list_frame = getters.query_one("#list", Vertical)
    text_frame = getters.query_one("#text", Vertical)
    keys = getters.query_one(KeyBar)

    def make_list(self) -> Widget:
        """Make the list."""
        raise NotImplementedError

    def make_text(self) -> Widget:
        """Make what shows the text."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Make the two panes."""
        yield NoticeBar(glyphs=self._glyphs)
        with Horizontal():
            with Vertical(id="list", classes="pane") as frame:
                frame.border_title = self.HEADING
                yield self.make_list()
            with Vertical(id="text", classes="pane") as frame:
                frame.border_subtitle = "esc closes"
                yield self.make_text()
        yield KeyBar()

    def on_mount(self) -> None:
        """Begin in the list."""
        self._focus(self.list_frame)
        self.keys.show(
            [
                Key(keymap.shown(action.keys[0], ascii_only=self._glyphs is ASCII), action.label, action.run)
                for action in keymap.footer("history")
            ]
        )

    def on_asking_screen_failures_changed(self) -> None:
        """Show what fails now."""
        self.notice_bar.show(list(self._failures.values()))

    def action_read(self) -> None:
        """Go to the text, or back to the list."""
        self._focus(self.list_frame if self._reading else self.text_frame)

    def action_close_one(self) -> None:
        """Go back to the list, or close."""
        if self._reading:
            self._focus(self.list_frame)
        elif not self.notice_bar.dismiss():
            self.dismiss()

    @property
    def _reading(self) -> bool:
        return self.focused is not None and self.focused.parent is self.text_frame

    def _focus(self, frame: Vertical) -> None:
        self.set_class(frame is self.text_frame, "-reading")
        frame.children[0].focus()
