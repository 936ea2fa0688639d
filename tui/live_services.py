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

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from types import TracebackType

    from store.clock import Clock
    from store.models import DynamicTool, ListedFrom, Thread, ThreadQuery
    from store.opening import Store
    from store.threads import Listing
    from tui.options import Options

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
        await self._stack.aclose()

    async def open(self) -> None:
        """Find the home, open the store and start to keep it up to date. Raises StoreError."""
        await self._stack.aclose()
        self._store = None
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
                self._stack.push_async_callback(_end, asyncio.create_task(work(store), name=name))

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
            wait = CHECK_SECONDS
            try:
                found = await bring_all_up_to_date(store.home, store.files.state, self._clock)
            except StoreError as error:
                found = (Notice(severity="error", what=error.what, why=error.why, next_step=error.next_step),)
                wait = RETRY_SECONDS
            else:
                checked = {"checked_at": self._clock.now_ms()}
                self._progress.publish(self._progress.value.model_copy(update=checked))
            notices = (*self._standing, *found)
            if notices != self._notices.value:
                self._notices.publish(notices)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), wait)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
