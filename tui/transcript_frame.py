"""The Transcript pane: a thread's facts, or the words to find in it, over what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import getters
from textual.containers import Vertical

from tui.panes import TranscriptPane
from widgets.find_box import FindBox
from widgets.formatting import whole
from widgets.glyphs import UNICODE, Glyphs
from widgets.thread_peek import ThreadFacts

if TYPE_CHECKING:
    from pathlib import Path

    from textual.app import ComposeResult

    from widgets.filter_box import FilterBox


class TranscriptFrame(Vertical):
    """Has the find box take the place of the facts, so that no line of the thread moves."""

    DEFAULT_CSS = """
    TranscriptFrame.-finding > ThreadFacts { display: none; }
    """

    box = getters.query_one(FindBox)
    reader = getters.query_one(TranscriptPane)

    def __init__(self, *, user_home: Path, glyphs: Glyphs = UNICODE) -> None:
        super().__init__(id="transcript", classes="pane")
        self._user_home = user_home
        self._glyphs = glyphs

    def compose(self) -> ComposeResult:
        """Make the facts, the box and the reader."""
        yield ThreadFacts(user_home=self._user_home, glyphs=self._glyphs)
        yield FindBox()
        yield TranscriptPane(glyphs=self._glyphs)

    @property
    def finding(self) -> bool:
        """Whether there is something to close: words are typed or looked for."""
        return self.box.editing or self.reader.finding

    def on_transcript_pane_words_wanted(self, message: TranscriptPane.WordsWanted) -> None:
        """Have them typed in the place of the facts."""
        message.stop()
        self.reader.begin_find()
        self.box.edit()
        self.add_class("-finding")

    def leave_box(self) -> None:
        """Stop typing; the box stays while it holds words."""
        self.box.leave()
        self.set_class(self.box.display, "-finding")

    def close(self) -> None:
        """Look for nothing more: who is still typing goes back to where they were, others stay."""
        editing = self.box.editing
        self.reader.end_find(back=editing)
        self._clear()
        if editing:
            self.reader.focus()

    def _clear(self) -> None:
        self.box.clear()
        self.box.say("")
        self.remove_class("-finding")

    def on_filter_box_changed(self, message: FilterBox.Changed) -> None:
        """Find the words so far."""
        message.stop()
        if not message.words:
            self.box.say("")
        self.reader.find(message.words)

    def on_filter_box_left(self, message: FilterBox.Left) -> None:
        """Go from the box to what was found."""
        message.stop()
        if self.box.words:
            self.leave_box()
            self.reader.focus()
        else:
            self.close()

    def on_transcript_finding_found(self, message: TranscriptPane.Found) -> None:
        """Say how many there are."""
        message.stop()
        self.box.say(self._words(message))

    def on_transcript_finding_finding_ended(self, message: TranscriptPane.FindingEnded) -> None:
        """Another thread is shown: show its facts."""
        message.stop()
        editing = self.box.editing
        self._clear()
        if editing:
            self.reader.focus()

    def _words(self, found: TranscriptPane.Found) -> str:
        total = whole(found.total)
        if found.searched is not None:
            return f"{total} so far {self._glyphs.dot} {found.searched:.0%}"
        if not found.total:
            return "not in this thread"
        if found.number is None:
            return f"{total} {'hit' if found.total == 1 else 'hits'} {self._glyphs.dot} n N"
        return f"{whole(found.number)} of {total} {self._glyphs.dot} n N"
