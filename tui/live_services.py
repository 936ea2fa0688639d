"""What the screens ask for, answered by the store: opened, kept up to date and closed in one place."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from store.backfill_progress import watch_backfill
from store.changes import Changes, Latest
from store.errors import StoreError
from store.models import BackfillProgress, Checked, Notice, WatchStatus
from store.opening import note_missing, open_store
from store.reading_places import get_reading_place, set_reading_place
from tui.live_actions import LiveActions
from tui.live_memories import LiveMemories
from tui.live_search import LiveSearch
from tui.live_transcript import LiveTranscript

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from types import TracebackType

    from store.clock import Clock
    from store.database import Database
    from store.home import CodexHome
    from store.keeping_up import KeepingUp
    from store.log_sources import LogSource
    from store.models import (
        Activity,
        DynamicTool,
        ListedFrom,
        LogBatch,
        LogHealth,
        LogOrigin,
        LogQuery,
        Thread,
        ThreadQuery,
    )
    from store.opening import Store
    from store.threads import Listing
    from tui.options import Options
    from widgets.transcript_source import TranscriptSource

RETRY_SECONDS: Final = 10.0
"""How long to wait after a failure before trying again."""

FIRST_ROWS_SECONDS: Final = 2.0
"""How long the first rows may take before all else begins without them."""

LOG_POLL_SECONDS: Final = 0.2
"""Seconds between two looks at the log; one that finds nothing takes microseconds."""


class LiveThreads:
    """Reads of threads, on whatever the store can answer from."""

    def __init__(self, store: Callable[[], Store], activity: Latest[Mapping[str, Activity]]) -> None:
        self._store = store
        self._activity = activity
        self._source: ListedFrom = "database"
        self.read = asyncio.Event()
        """Set once rows were read: what is not needed for them may begin."""

    async def keys(self, query: ThreadQuery) -> Listing:
        """The keys of every thread that matches."""
        listing = await self._store().threads.listing(query)
        self._source = listing.source
        return listing

    async def rows(self, keys: Sequence[int]) -> Sequence[Thread]:
        """The threads behind keys of the last listing."""
        threads = await self._store().threads.rows(keys, self._source)
        self.read.set()
        return [self._at(thread) for thread in threads]

    async def get_thread(self, thread_id: str) -> Thread:
        """One thread. Raises UnknownThread."""
        return self._at(await self._store().threads.get_thread(thread_id))

    def _at(self, thread: Thread) -> Thread:
        """The thread with what Codex is doing with it."""
        activity = self._activity.value.get(thread.id)
        return thread if activity is None else thread.model_copy(update={"activity": activity})

    async def get_dynamic_tools(self, thread_id: str) -> Sequence[DynamicTool]:
        """The tools that the client gave the thread. Raises UnknownThread."""
        threads = self._store().threads
        return await threads.get_dynamic_tools(await threads.get_thread(thread_id))


class LiveServices:
    """The services of one home; `async with` closes what `open` opened, tasks first."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._stack = AsyncExitStack()
        self._store: Store | None = None
        self._transcript: LiveTranscript | None = None
        self._keeping_up: KeepingUp | None = None
        self._changes = Changes()
        self._progress = Latest(BackfillProgress(status="pending"))
        self._status = Latest(WatchStatus(mode="catching up"))
        self._checked = Latest(Checked())
        self._standing: tuple[Notice, ...] = ()
        self._failures: tuple[Notice, ...] = ()
        self._notices = Latest[tuple[Notice, ...]](())
        self.user_home = Path.home()
        self.launch_folder = str(Path.cwd())
        self._activity: Latest[Mapping[str, Activity]] = Latest({})
        self.threads = LiveThreads(self._opened, self._activity)
        self.memories = LiveMemories(self._opened, self._changes)
        self.actions = LiveActions(self._opened)
        self.search = LiveSearch(self._opened, self._activity, clock)

    @property
    def home(self) -> Path:
        """The Codex home, as the person named it."""
        return self._store.home.given if self._store is not None else self._options.home_as_named()

    async def __aenter__(self) -> LiveServices:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        await self.memories.close()
        if self._transcript is not None:
            await self._transcript.close()
        self._store = self._transcript = self._keeping_up = None
        await self._stack.aclose()

    async def open(self) -> None:
        """Find the home, open the store and start to keep it up to date. Raises StoreError."""
        await self._close()
        home = self._options.home()
        folder = self._options.state_folder(home)
        self._store = store = await self._stack.enter_async_context(open_store(home, folder, self._clock))
        self._standing = (*home.notices, *store.notices)
        self._notices.publish(self._standing)
        if store.state is not None:
            task = asyncio.create_task(self._follow(home, store.state), name="everything followed")
            self._stack.push_async_callback(end_task, task)

    async def _follow(self, home: CodexHome, state: Database) -> None:
        """Keep the rows equal to the files and tell the screens, until cancelled."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_ROWS_SECONDS):
                await self.threads.read.wait()
        keeping_up, follow_activity = await asyncio.to_thread(_what_follows)
        keeping = keeping_up(home, state, self._clock, self._changes, self._status, self._checked)
        self._keeping_up = keeping
        work: dict[str, Callable[[], Awaitable[None]]] = {
            "changes": lambda: self._changes.follow(state),
            "backfill progress": lambda: self._follow_progress(state),
            "rollouts watched": keeping.watch,
            "rollouts compared": keeping.compare,
            "names copied": keeping.follow_names,
            "activity": lambda: follow_activity(home, state, self._clock, self._changes, self._activity),
            "watching told": self._follow_status,
            "checks told": self._follow_checks,
            **self.memories.work,
        }
        async with asyncio.TaskGroup() as group:
            for name, begin in work.items():
                group.create_task(self._supervised(name, begin), name=name)

    async def transcript(self, thread: Thread) -> TranscriptSource:
        """What a thread says. The transcript before it is closed. Raises StoreError."""
        store = self._opened()
        before, self._transcript = self._transcript, None
        if before is not None:
            await before.close()
        bases = await store.threads.base_paths(thread)
        opened = await LiveTranscript.open(store.home.path / thread.rollout_path, thread.id, bases)
        self._transcript = opened
        return opened

    async def reading_place(self, thread_id: str) -> int | None:
        """The line at which the person left a thread; None is its end."""
        user = self._opened().user
        return None if user is None else await user.read(lambda c: get_reading_place(c, thread_id))

    async def keep_reading_place(self, thread_id: str, line: int | None) -> None:
        """Remember the line at which the person left a thread."""
        user = self._opened().user
        if user is not None:
            now_ms = self._clock.now_ms()
            await user.write(lambda c: set_reading_place(c, thread_id, line, now_ms=now_ms))

    @property
    def activity(self) -> Mapping[str, Activity]:
        """What Codex is doing, by thread id."""
        return self._activity.value

    async def look_again(self) -> None:
        """Compare the home with the index now."""
        if self._keeping_up is not None:
            self._keeping_up.look_again()

    async def backfill(self) -> AsyncIterator[BackfillProgress]:
        """Where the backfill stands, at once and whenever that changes."""
        async for progress in self._progress.watch():
            yield progress

    async def changes(self) -> AsyncIterator[None]:
        """Whenever a listing may have changed."""
        async for _ in self._changes.stream():
            yield

    async def watching(self) -> AsyncIterator[WatchStatus]:
        """How soon the rows follow the files, at once and whenever that changes."""
        async for status in self._status.watch():
            yield status

    def logs(
        self, query: LogQuery, origins: Sequence[LogOrigin], backfill: int
    ) -> AsyncGenerator[LogBatch, None]:
        """The newest matching rows of the named logs, then those that come."""
        from store.log_tail import tail_logs

        sources = [source for source in self._log_sources() if source.origin in origins]
        return tail_logs(sources, query, backfill=backfill, poll_seconds=LOG_POLL_SECONDS)

    async def log_health(self) -> Sequence[LogHealth]:
        """What fills Codex's log, and our own. Raises LogDatabaseError."""
        from store.log_health import log_health

        found = [await asyncio.to_thread(log_health, each, self._clock) for each in self._log_sources()]
        return [health for health in found if health is not None]

    def _log_sources(self) -> list[LogSource]:
        from store.log_sources import codex_logs, rollodex_logs

        store = self._opened()
        own = [] if store.files is None else [rollodex_logs(store.files.state)]
        return [codex_logs(store.home.sqlite_path), *own]

    async def notices(self) -> AsyncIterator[Sequence[Notice]]:
        """Everything that the person should know now."""
        async for notices in self._notices.watch():
            yield notices

    def _opened(self) -> Store:
        if self._store is None:
            raise StoreError("Nothing is open yet")
        return self._store

    async def _supervised(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a task for as long as the store is open; what fails is said, and tried again."""
        while True:
            try:
                await work()
            except StoreError as error:
                self._tell(error)
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
                self._tell(StoreError(f"A task has failed ({name})", why=why, next_step="It is begun again"))
            await asyncio.sleep(RETRY_SECONDS)

    def _tell(self, error: StoreError) -> None:
        notice = Notice(severity="error", what=error.what, why=error.why, next_step=error.next_step)
        if notice not in self._failures:
            self._failures = (*self._failures, notice)
            self._show_notices()

    def _show_notices(self) -> None:
        watching = self._status.value.notice
        told = () if watching is None else (watching,)
        notices = (*self._standing, *told, *self._checked.value.notices, *self._failures)
        if notices != self._notices.value:
            self._notices.publish(notices)

    async def _follow_progress(self, state: Database) -> None:
        async for progress in watch_backfill(state, self._changes, self._clock):
            self._progress.publish(progress.model_copy(update={"checked_at": self._checked.value.at_ms}))

    async def _follow_status(self) -> None:
        async for _ in self._status.watch():
            self._show_notices()

    async def _follow_checks(self) -> None:
        async for checked in self._checked.watch():
            self._failures = () if checked.at_ms is None else await note_missing(self._opened())
            self._show_notices()
            self._progress.publish(self._progress.value.model_copy(update={"checked_at": checked.at_ms}))


def _what_follows() -> tuple[type[KeepingUp], Callable[..., Awaitable[None]]]:
    """What keeps up with the files, loaded away from the event loop: it costs as much as the first rows."""
    from store.activity import follow_activity
    from store.keeping_up import KeepingUp

    return KeepingUp, follow_activity


async def end_task(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
