"""What the screens ask for, answered by the store: opened, kept up to date and closed in one place."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from store.backfill_progress import watch_backfill, watch_commits
from store.backfill_running import bring_all_up_to_date
from store.errors import StoreError
from store.models import BackfillProgress, Notice
from store.opening import open_store
from store.reading_places import get_reading_place, set_reading_place
from store.recording import DatabaseSink
from tui.live_transcript import LiveTranscript

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from types import TracebackType

    from store.clock import Clock
    from store.models import DynamicTool, ListedFrom, Thread, ThreadQuery
    from store.opening import Store
    from store.rollouts.metadata import FullRead
    from store.rollouts.scan import RolloutFile
    from store.threads import Listing
    from tui.options import Options
    from widgets.transcript_source import TranscriptSource

T = TypeVar("T")

CHECK_SECONDS: Final = 60.0
"""How often the rows are compared with the files when nobody asks."""

RETRY_SECONDS: Final = 10.0
"""How long to wait after a failure before trying again."""


class Latest(Generic[T]):
    """A value that many may watch; a slow watcher sees the latest, not every one."""

    def __init__(self, value: T) -> None:
        self.value = value
        self._changed = asyncio.Event()

    def publish(self, value: T) -> None:
        """Replace the value and wake every watcher."""
        self.value = value
        self._changed.set()
        self._changed = asyncio.Event()

    async def watch(self) -> AsyncIterator[T]:
        """Yield the value at once, and the latest one whenever it was replaced."""
        while True:
            changed = self._changed
            yield self.value
            await changed.wait()


class LiveThreads:
    """Reads of threads, on whatever the store can answer from."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        self._source: ListedFrom = "database"

    async def keys(self, query: ThreadQuery) -> Listing:
        """The keys of every thread that matches."""
        listing = await self._store().threads.listing(query)
        self._source = listing.source
        return listing

    async def rows(self, keys: Sequence[int]) -> Sequence[Thread]:
        """The threads behind keys of the last listing."""
        return await self._store().threads.rows(keys, self._source)

    async def get_thread(self, thread_id: str) -> Thread:
        """One thread. Raises UnknownThread."""
        return await self._store().threads.get_thread(thread_id)

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
        self._look = asyncio.Event()
        self._progress = Latest(BackfillProgress(status="pending"))
        self._commits = Latest(0)
        self._standing: tuple[Notice, ...] = ()
        self._notices = Latest[tuple[Notice, ...]](())
        self.user_home = Path.home()
        self.launch_folder = str(Path.cwd())
        self.threads = LiveThreads(self._opened)

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
        if self._transcript is not None:
            await self._transcript.close()
        self._store = self._transcript = None
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
            for name, work in (
                ("backfill progress", self._follow_progress),
                ("commits", self._follow_commits),
                ("rows equal files", self._keep_up),
            ):
                task = asyncio.create_task(self._supervised(work, store), name=name)
                self._stack.push_async_callback(end_task, task)

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

    async def record_facts(self, file: RolloutFile, read: FullRead) -> None:
        """Write the row of a rollout that this process writes itself: the demo's."""
        if self._store is not None and self._store.state is not None:
            await DatabaseSink(self._store.state, self._clock).record_facts(file, read)

    async def look_again(self) -> None:
        """Compare the home with the index now."""
        self._look.set()

    async def backfill(self) -> AsyncIterator[BackfillProgress]:
        """Where the backfill stands, at once and whenever that changes."""
        async for progress in self._progress.watch():
            yield progress

    async def changes(self) -> AsyncIterator[None]:
        """Whenever a listing may have changed."""
        first = True
        async for _ in self._commits.watch():
            if not first:
                yield
            first = False

    async def notices(self) -> AsyncIterator[Sequence[Notice]]:
        """Everything that the person should know now."""
        async for notices in self._notices.watch():
            yield notices

    def _opened(self) -> Store:
        if self._store is None:
            raise StoreError("Nothing is open yet")
        return self._store

    async def _supervised(self, work: Callable[[Store], Awaitable[None]], store: Store) -> None:
        """Run a task for as long as the store is open; what fails is said, and tried again."""
        while True:
            try:
                await work(store)
            except StoreError as error:
                self._tell(error)
            await asyncio.sleep(RETRY_SECONDS)

    def _tell(self, error: StoreError) -> None:
        notice = Notice(severity="error", what=error.what, why=error.why, next_step=error.next_step)
        if notice not in self._notices.value:
            self._notices.publish((*self._notices.value, notice))

    async def _follow_progress(self, store: Store) -> None:
        assert store.state is not None
        async for progress in watch_backfill(store.state, self._clock):
            self._progress.publish(
                progress.model_copy(update={"checked_at": self._progress.value.checked_at})
            )

    async def _follow_commits(self, store: Store) -> None:
        assert store.state is not None
        async for _ in watch_commits(store.state):
            self._commits.publish(self._commits.value + 1)

    async def _keep_up(self, store: Store) -> None:
        assert store.files is not None
        while True:
            self._look.clear()
            found = await bring_all_up_to_date(store.home, store.files.state, self._clock)
            checked = {"checked_at": self._clock.now_ms()}
            self._progress.publish(self._progress.value.model_copy(update=checked))
            notices = (*self._standing, *found)
            if notices != self._notices.value:
                self._notices.publish(notices)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), CHECK_SECONDS)


async def end_task(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
