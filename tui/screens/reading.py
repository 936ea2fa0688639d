"""The browser's questions to the services: workers that post what they found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from textual import work
from textual.message import Message

from tui.details import read_details
from tui.listing import Listed, View, read_found, read_listing
from tui.screens.asking import AskingScreen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from store.models import BackfillProgress, ListedFrom, Notice, Thread, WatchStatus
    from tui.found import Found
    from widgets.thread_details import Details
    from widgets.transcript_source import TranscriptSource

STREAMS: Final = ("changes", "notices", "backfill", "watching")


class ReadingScreen(AskingScreen):
    """A screen that reads threads and follows the home."""

    @dataclass
    class ListingRead(Message):
        """A listing came; `cursor_key` is where the cursor goes if its keys are new ones."""

        listed: Listed
        cursor_key: int | None

    @dataclass
    class TranscriptFound(Message):
        """A thread's transcript can be read; `line` is where to, or where the person left it."""

        thread: Thread
        source: TranscriptSource
        line: int | None

    @dataclass
    class DetailsRead(Message):
        """Everything known of a thread, for the inspector or for a sheet."""

        details: Details
        on_a_sheet: bool

    @dataclass
    class ThreadFound(Message):
        """A thread that was asked for by its id."""

        thread: Thread

    @dataclass
    class NoticesChanged(Message):
        """What the person should know now."""

        notices: Sequence[Notice]

    @dataclass
    class WatchingChanged(Message):
        """The threads follow their files sooner, or later."""

        status: WatchStatus

    @dataclass
    class BackfillMoved(Message):
        """The backfill stands elsewhere."""

        progress: BackfillProgress

        def can_replace(self, message: Message) -> bool:
            """Only where it stands now matters."""
            return isinstance(message, ReadingScreen.BackfillMoved)

    @dataclass
    class HomeChanged(Message):
        """A listing may have changed."""

        def can_replace(self, message: Message) -> bool:
            """Once is enough."""
            return isinstance(message, ReadingScreen.HomeChanged)

    @dataclass
    class ProjectFound(Message):
        """What "this project" is now."""

        folder: str | None

    @property
    def _streams(self) -> dict[str, Callable[[], object]]:
        return dict(
            zip(
                STREAMS,
                (self._follow_changes, self._follow_notices, self._follow_backfill, self._follow_watching),
                strict=True,
            )
        )

    @work(exclusive=True, group="listing", exit_on_error=False, description="Listing the threads")
    async def _read_listing(
        self,
        view: View,
        unfolded: tuple[str, ...],
        selected: str | None,
        source: ListedFrom | None,
        found: Found | None,
    ) -> None:
        services = self._services
        listed = (await read_listing(services, view, unfolded)).with_found(found)
        cursor_key = None
        if selected is not None and source is not None and source != listed.source:
            cursor_key = (await services.threads.get_thread(selected)).key
        asks = not view.asked.query.is_empty
        # An empty list that the search may yet fill is no answer.
        if listed.keys or not asks:
            self.post_message(self.ListingRead(listed, cursor_key))
        if asks:
            listed = listed.with_found(await read_found(services.threads, services.search, view))
            self.post_message(self.ListingRead(listed, cursor_key))

    @work(exclusive=True, group="changes", exit_on_error=False, description="Following the home")
    async def _follow_changes(self) -> None:
        async for _ in self._services.changes():
            self.post_message(self.HomeChanged())

    @work(exclusive=True, group="notices", exit_on_error=False, description="Following the notices")
    async def _follow_notices(self) -> None:
        async for notices in self._services.notices():
            self.post_message(self.NoticesChanged(notices))

    @work(exclusive=True, group="backfill", exit_on_error=False, description="Following the backfill")
    async def _follow_backfill(self) -> None:
        async for progress in self._services.backfill():
            self.post_message(self.BackfillMoved(progress))

    @work(exclusive=True, group="watching", exit_on_error=False, description="Following the watcher")
    async def _follow_watching(self) -> None:
        async for status in self._services.watching():
            self.post_message(self.WatchingChanged(status))

    @work(exclusive=True, group="refresh", exit_on_error=False, description="Looking at the home again")
    async def _look_again(self) -> None:
        await self._services.look_again()
        self.post_message(self.HomeChanged())

    @work(exclusive=True, group="project", exit_on_error=False, description="Finding this project")
    async def _find_project(self, cwd_under_cursor: str | None) -> None:
        folder: str | None = self._services.launch_folder
        here = View(project=folder, archived="any").query()
        if not (await self._services.threads.keys(here)).total:
            folder = cwd_under_cursor
        self.post_message(self.ProjectFound(folder))

    @work(exclusive=True, group="transcript", exit_on_error=False, description="Opening the transcript")
    async def _find_transcript(self, thread: Thread, line: int | None = None) -> None:
        if line is None:
            line = await self._services.reading_place(thread.id)
        source = await self._services.transcript(thread)
        self.post_message(self.TranscriptFound(thread, source, line))

    @work(exclusive=True, group="details", exit_on_error=False, description="Reading the details")
    async def _find_details(self, thread: Thread, *, on_a_sheet: bool) -> None:
        details = await read_details(self._services, thread, self._clock.now_ms())
        self.post_message(self.DetailsRead(details, on_a_sheet))

    @work(group="place", exit_on_error=False, description="Keeping the reading place")
    async def _keep_place(self, thread_id: str, line: int | None) -> None:
        await self._services.keep_reading_place(thread_id, line)

    @work(exclusive=True, group="thread", exit_on_error=False, description="Looking for the thread")
    async def _find_thread(self, thread_id: str) -> None:
        self.post_message(self.ThreadFound(await self._services.threads.get_thread(thread_id)))
