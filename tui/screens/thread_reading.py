"""The reader and the inspector of the browser: one thread, what it says and all that is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import getters
from textual.containers import Vertical
from textual.content import Content

from tui.screens.log_reading import LogReadingScreen
from tui.screens.sheet import SheetScreen
from tui.transcript_frame import TranscriptFrame
from widgets.formatting import visible_line
from widgets.raw_view import RawView
from widgets.thread_details import ThreadDetails
from widgets.thread_peek import ThreadFacts

if TYPE_CHECKING:
    from store.models import Thread
    from tui.panes import TranscriptPane
    from tui.screens.reading import ReadingScreen


class ThreadReadingScreen(LogReadingScreen):
    """A screen that shows one thread at a time."""

    facts = getters.query_one("#transcript > ThreadFacts", ThreadFacts)
    transcript_frame = getters.query_one(TranscriptFrame)
    inspector = getters.query_one("#inspector > ThreadDetails", ThreadDetails)
    inspector_frame = getters.query_one("#inspector", Vertical)
    _wanted: tuple[str, int | None] | None = None
    """The thread shown last, and the line from which: who moves on from there is not brought back."""

    def show_tabs(self) -> None:
        """Another thread is read: say so in the tabs."""
        raise NotImplementedError

    # What came

    def on_reading_screen_transcript_found(self, message: ReadingScreen.TranscriptFound) -> None:
        """Show the transcript, from its end or from where it was left."""
        self.name_transcript(message.thread)
        if self.inspector_frame.display:
            self._find_details(message.thread, on_a_sheet=False)
        self.reader.show(message.thread, message.source, "end" if message.line is None else message.line)
        self.transcript_found(message)
        self.show_tabs()

    def on_reading_screen_details_read(self, message: ReadingScreen.DetailsRead) -> None:
        """Show the details beside the transcript, or over everything."""
        if message.on_a_sheet:
            body = ThreadDetails(glyphs=self._glyphs)
            self.app.push_screen(SheetScreen("Details", body))
            body.call_after_refresh(body.show, message.details)
        else:
            self.inspector.show(message.details)

    def on_transcript_view_place_left(self, message: TranscriptPane.PlaceLeft) -> None:
        """Remember where the person was."""
        self._keep_place(message.thread_id, message.line)

    def on_transcript_view_parent_wanted(self, message: TranscriptPane.ParentWanted) -> None:
        """Go to the parent."""
        self._find_thread(message.thread_id)

    def on_transcript_view_details_wanted(self, message: TranscriptPane.DetailsWanted) -> None:
        """Show everything known of the thread."""
        if self.inspector_frame.display:
            self.inspector.focus()
        else:
            self._find_details(message.thread, on_a_sheet=True)

    def on_transcript_view_raw_read(self, message: TranscriptPane.RawRead) -> None:
        """Show an item's lines as they are in the file."""
        body = RawView()
        self.app.push_screen(SheetScreen(f"Line {message.item.line + 1} of the rollout", body))
        body.call_after_refresh(body.show, "", message.text)

    def on_transcript_view_read_failed(self, message: TranscriptPane.ReadFailed) -> None:
        """Say what could not be read."""
        self._fail("raw", "Reading lines", message.error)

    # What is shown

    def read_thread(self, thread: Thread, line: int | None = None) -> None:
        """Show a thread, or what has become of the one that is shown; from a line if one is wanted."""
        shown, (wanted, self._wanted) = self.reader.thread, (self._wanted, (thread.id, line))
        if shown is None or (shown.id, shown.rollout_path) != (thread.id, thread.rollout_path):
            self._find_transcript(thread, line)
            return
        if line is not None and wanted != self._wanted:
            self.reader.show_line(line)
        if shown != thread:
            self.name_transcript(thread)
            self.reader.grew(thread)
        if self.inspector_frame.display and self.inspector.thread != thread:
            self._find_details(thread, on_a_sheet=False)

    def read_nothing(self) -> None:
        """Empty the reader and what is beside it."""
        self.workers.cancel_group(self, "transcript")
        self.workers.cancel_group(self, "details")
        self.name_transcript(None)
        self.reader.clear()
        self.inspector.clear()
        self.show_tabs()

    def name_transcript(self, thread: Thread | None) -> None:
        """Say in the frame which thread is read."""
        title = [Content("2 Transcript")]
        if thread is not None:
            title.append(Content(visible_line(thread.display_title)))
        self.transcript_frame.border_title = Content(f" {self._glyphs.dot} ").join(title)
        self.facts.show(thread)
