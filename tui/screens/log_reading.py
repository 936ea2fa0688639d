"""The browser's questions about logs and errors, and where their answers go."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from textual import getters, work
from textual.message import Message

from store.models import LogQuery, LogRow
from tui.log_filter import SOURCES
from tui.logs_pane import LogsPane
from tui.panes import TranscriptPane
from tui.screens.reading import ReadingScreen
from tui.screens.sheet import SheetScreen
from tui.thread_errors import next_error, thread_error, thread_errors
from widgets.log_health_view import LogHealthView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.models import LogHealth, Thread
    from tui.keymap import Pane
    from tui.log_feed import LogFeed
    from tui.log_filter import LogFilter
    from widgets.log_buffer import ThreadError
    from widgets.log_view import LogView
    from widgets.transcript_source import TranscriptSource

BACKFILL: Final = 2_000
"""Rows that are there already when the pane begins to follow."""
ROWS_WALKED: Final = 500
"""The newest warnings and errors of a thread's log that are walked from its transcript."""


class LogReadingScreen(ReadingScreen):
    """A screen with a Logs pane beside a reader."""

    @dataclass
    class ErrorsFound(Message):
        """What failed in a thread, as its rollout has it."""

        thread: Thread
        errors: Sequence[ThreadError]

    @dataclass
    class ErrorFound(Message):
        """The next error of a thread by time, in its transcript or in its log."""

        thread: Thread
        by: int
        error: ThreadError | LogRow | None

    @dataclass
    class HealthRead(Message):
        """What fills the logs."""

        logs: Sequence[LogHealth]

    logs = getters.query_one(LogsPane)
    reader = getters.query_one(TranscriptPane)

    _found: ReadingScreen.TranscriptFound | None = None
    """The transcript that the reader shows."""
    _walked: tuple[int, LogRow] | None = None
    """The row of the log that was walked to last, and from which item."""

    def action_pane(self, pane: Pane) -> None:
        """Go to a pane."""
        raise NotImplementedError

    def log_begins(self) -> None:
        """Follow the log: the store is open."""
        self.logs.follow()

    def thread_shown(self, thread: Thread | None) -> None:
        """Another thread is under the cursor of the list, or the same one as it is now."""
        self.logs.show_thread(thread)
        if self.logs.filter.tied and thread is not None:
            self._show_errors_of(thread)

    def transcript_found(self, found: ReadingScreen.TranscriptFound) -> None:
        """A transcript can be asked for its errors."""
        self._found, self._walked = found, None
        if found.thread.id == self.logs.filter.thread_id:
            self._find_errors(found.thread, found.source)

    def _show_errors_of(self, thread: Thread) -> None:
        found = self._found
        if found is not None and found.thread.id == thread.id:
            self._find_errors(thread, found.source)
        else:
            self._find_transcript(thread)

    @work(exclusive=True, group="logs", exit_on_error=False, description="Following the log")
    async def _follow_log(self, feed: LogFeed, chosen: LogFilter) -> None:
        query, origins = chosen.query()
        await feed.follow(self._services.logs(query, origins, BACKFILL))

    @work(exclusive=True, group="errors", exit_on_error=False, description="Reading a thread's errors")
    async def _find_errors(self, thread: Thread, source: TranscriptSource) -> None:
        self.post_message(self.ErrorsFound(thread, await thread_errors(source)))

    @work(exclusive=True, group="walk", exit_on_error=False, description="Looking for the next error")
    async def _walk(
        self, thread: Thread, source: TranscriptSource, position: int, at: int | None, by: int
    ) -> None:
        await source.indexed()
        positions = source.errors
        place = bisect_right(positions, position) if by > 0 else bisect_left(positions, position) - 1
        ahead = await thread_error(source, positions[place]) if 0 <= place < len(positions) else None
        query = LogQuery(min_level="WARN", thread_ids=(thread.id,))
        rows: Sequence[LogRow] = ()
        async with aclosing(self._services.logs(query, SOURCES, ROWS_WALKED)) as batches:
            async for batch in batches:
                rows = batch.rows
                break
        walked = self._walked[1] if self._walked is not None and self._walked[0] == position else None
        self.post_message(self.ErrorFound(thread, by, next_error(ahead, rows, at, by, walked)))

    @work(exclusive=True, group="health", exit_on_error=False, description="Measuring the log")
    async def _measure_log(self) -> None:
        self.post_message(self.HealthRead(await self._services.log_health()))

    def on_logs_pane_rows_wanted(self, message: LogsPane.RowsWanted) -> None:
        """Follow the rows that the pane is to show."""
        self._follow_log(message.feed, message.filter)

    def on_logs_pane_tied(self, message: LogsPane.Tied) -> None:
        """Set the thread's own errors among its rows."""
        thread = self.logs.filter.thread
        if message.tied and thread is not None:
            self._show_errors_of(thread)

    def on_logs_pane_health_wanted(self) -> None:
        """Measure the log."""
        self._measure_log()

    def on_log_reading_screen_health_read(self, message: HealthRead) -> None:
        """Show what fills the log over everything."""
        body = LogHealthView(glyphs=self.logs.glyphs)
        self.app.push_screen(SheetScreen("What fills the log", body))
        body.call_after_refresh(body.show, message.logs, self._clock.now_ms())

    def on_log_reading_screen_errors_found(self, message: ErrorsFound) -> None:
        """Set them among the rows of the log."""
        self.logs.show_errors(message.thread.id, message.errors)

    def on_log_view_error_reached(self, message: LogView.ErrorReached) -> None:
        """Let the reader go along."""
        if self.reader.thread is not None and self.reader.thread.id == self.logs.filter.thread_id:
            self.reader.go_to(message.error.position)

    def on_logs_pane_error_wanted(self, message: LogsPane.ErrorWanted) -> None:
        """Go to an error in the transcript."""
        self.action_pane("transcript")
        self.reader.go_to(message.position)

    def on_transcript_pane_error_wanted(self, message: TranscriptPane.ErrorWanted) -> None:
        """Look for the next error, in the transcript and in the log."""
        found = self._found
        if found is not None and self.reader.thread is not None and self.reader.thread.id == found.thread.id:
            self._walk(found.thread, found.source, message.position, message.at, message.by)

    def on_log_reading_screen_error_found(self, message: ErrorFound) -> None:
        """Go there."""
        error = message.error
        if isinstance(error, LogRow):
            self._walked = self.reader.position, error
            self.logs.show_thread(message.thread)
            if not self.logs.filter.tied:
                self.logs.tie(True)
            self.logs.go_to(error)
            self.action_pane("logs")
        elif error is not None:
            self.reader.go_to(error.position)
        else:
            self.reader.say_no_error(message.by)
