"""The line above the list where words to filter by are typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

if TYPE_CHECKING:
    from textual.app import ComposeResult


class FilterBox(Horizontal):
    """One line, there while it is typed in or holds words."""

    DEFAULT_CSS = """
    FilterBox { height: 1; padding: 0 1; display: none; }
    FilterBox > Static { width: 2; color: $text-muted; }
    FilterBox > Input { background: $surface; &:focus { background-tint: $surface 0%; } }
    """

    @dataclass
    class Changed(Message):
        """Other words are in the box."""

        words: str

        def can_replace(self, message: Message) -> bool:
            """Only the last words matter."""
            return isinstance(message, FilterBox.Changed)

    @dataclass
    class Left(Message):
        """The words are as wanted: on to the list."""

    def __init__(self, prompt: str = "/", placeholder: str = "words  cwd:~/src/app  source:cli") -> None:
        super().__init__()
        self._prompt = prompt
        self._placeholder = placeholder

    def compose(self) -> ComposeResult:
        """Make the line."""
        yield Static(self._prompt, markup=False)
        yield Input(placeholder=self._placeholder, compact=True, select_on_focus=False)

    @property
    def words(self) -> str:
        """What is in the box."""
        return self.query_one(Input).value

    @property
    def editing(self) -> bool:
        """Whether the person is typing in it."""
        return self.query_one(Input).has_focus

    def edit(self, typed: str = "") -> None:
        """Open the box and type this at the end, or have the next words take the place of the old."""
        self.display = True
        box = self.query_one(Input)
        box.focus()
        if typed:
            box.cursor_position = len(box.value)
            box.insert_text_at_cursor(typed)
        else:
            box.action_select_all()

    def clear(self) -> None:
        """Take the words away and close the box."""
        self.query_one(Input).value = ""
        self.display = False

    def leave(self) -> None:
        """Stop typing; the box stays while it holds words."""
        self.display = bool(self.words)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Pass the words on."""
        event.stop()
        self.post_message(self.Changed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on to the list."""
        event.stop()
        self.post_message(self.Left())
