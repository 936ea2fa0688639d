"""The panes of the browser: widgets with the keys of the registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from textual.message import Message

from tui import keymap
from widgets.backfill_strip import BackfillStrip
from widgets.memory_strip import MemoryStrip
from widgets.strip_view import LinesView
from widgets.thread_list import ThreadList
from widgets.transcript_view import TranscriptView
from widgets.type_ahead import GAP, TypeAhead

if TYPE_CHECKING:
    from textual import events
    from textual.binding import BindingType
    from textual.timer import Timer

MOVES: Final = "jkgG"


class ThreadsPane(ThreadList, inherit_bindings=False):
    """The list of threads; letters typed in quick succession are words to filter by, not keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("threads")]

    _held: Timer | None = None
    _released: str | None = None

    @dataclass
    class Typed(Message):
        """Letters of a word that is being typed."""

        text: str

    @property
    def holding(self) -> bool:
        """Whether a letter is held back."""
        return self._held is not None

    def on_mount(self) -> None:
        """Begin without a word."""
        self._typing = TypeAhead(MOVES)

    def on_key(self, event: events.Key) -> None:
        """Hold a letter back until it is known to be no part of a word."""
        letter = event.character
        if letter is None or not letter.isalpha():
            return
        if event.key == self._released:
            self._released = None
            return
        verdict, text = self._typing.press(letter, event.time)
        if verdict == "act":
            return
        event.stop()
        if self._held is not None:
            self._held.stop()
            self._held = None
        if verdict == "hold":
            self._held = self.set_timer(GAP, lambda: self._release(event.key))
        else:
            self.post_message(self.Typed(text))

    def _release(self, key: str) -> None:
        self._held = None
        self._released = key
        self.app.simulate_key(key)


class ScrollingPane(LinesView, inherit_bindings=False):
    """A pane of lines that only scrolls."""

    def action_move(self, rows: int) -> None:
        """Scroll by some rows."""
        self.scroll_relative(y=rows, animate=False)

    def action_page(self, pages: float) -> None:
        """Scroll by some windows."""
        self.scroll_relative(y=round(pages * self.scrollable_content_region.height), animate=False)

    def action_first(self) -> None:
        """Scroll to the beginning."""
        self.scroll_home(animate=False)

    def action_last(self) -> None:
        """Scroll to the end."""
        self.scroll_end(animate=False)


class BackfillPane(BackfillStrip, ScrollingPane, inherit_bindings=False):
    """How far the reading of the home has come."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("backfill")]


class MemoryPane(MemoryStrip, ScrollingPane, inherit_bindings=False):
    """Where the memory pipelines stand."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("memory")]

    @dataclass
    class Opened(Message):
        """The memory screen is wanted."""

    def action_open(self) -> None:
        """Ask for the memory screen."""
        self.post_message(self.Opened())

    def action_states(self) -> None:
        """Ask for the memory screen, which lists the jobs by their states."""
        self.post_message(self.Opened())


class TranscriptPane(TranscriptView, inherit_bindings=False):
    """The reader."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("transcript")]

    @dataclass
    class ErrorWanted(Message):
        """The error behind an item, or before it, by time: in the transcript or in the log."""

        position: int
        at: int | None
        by: int

    @dataclass
    class WordsWanted(Message):
        """The person wants to type words to find."""

    @property
    def position(self) -> int:
        """The place of the item under the cursor."""
        return self._cursor

    def action_error(self, by: int) -> None:
        """Go to the next or the previous error, of the transcript alone until it is read to its end."""
        item = self.cursor_item
        if item is None or self._source is not self._whole:
            super().action_error(by)
        else:
            self.post_message(self.ErrorWanted(self._cursor, item.at, by))

    def action_find(self) -> None:
        """Type words to find."""
        self.post_message(self.WordsWanted())

    def say_no_error(self, by: int) -> None:
        """Say that there is none."""
        self.note(f"no error {'below' if by > 0 else 'above'}")
