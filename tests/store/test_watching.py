"""The watcher: told where to look, it looks; whatever becomes of what tells it, nothing stays unseen."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import pytest

from store.changes import Latest
from store.errors import DatabaseBusy
from store.models import WatchStatus
from store.native_events import Top, WatcherDied, died, touched_by
from store.polling import Archive, latest_days, poll
from store.reconcile import Reconciled
from store.refreshing import Touched
from store.watching import BACK_OFF_SECONDS, MANY, POLLING_SECONDS, SETTLE_SECONDS, TOPS_SECONDS, Watcher

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
    from pathlib import Path

    from building import HomeBuilder
    from store_fixtures import FixedClock


class Source:
    """Stands where watchfiles stands: each start takes the next script of touched places and deaths."""

    def __init__(self) -> None:
        self.started: list[tuple[str, ...]] = []
        self.queue: asyncio.Queue[Touched | WatcherDied] = asyncio.Queue()

    async def __call__(self, tops: Sequence[Top]) -> AsyncGenerator[Touched, None]:
        self.started.append(tuple(top.path for top in tops))
        yield Touched()
        while True:
            told = await self.queue.get()
            if isinstance(told, WatcherDied):
                raise told
            yield told


@dataclass
class Desk:
    """A watcher with its surroundings; time passes only when the test lets it."""

    watcher: Watcher
    source: Source
    status: Latest[WatchStatus]
    clock: FixedClock
    applied: list[Touched] = field(default_factory=list)
    checks: int = 0
    waits: list[float] = field(default_factory=list)
    sleepers: list[tuple[float, asyncio.Event]] = field(default_factory=list)
    fails: bool = False
    left: int = 0

    async def settle(self) -> None:
        """Let everything run that can run now; threads included."""
        for _ in range(30):
            await asyncio.sleep(0)
            await asyncio.to_thread(lambda: None)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, waking each sleeper in its turn."""
        ends = self.clock.monotonic() + seconds
        await self.settle()
        while due := [each for each in self.sleepers if each[0] <= ends + 1e-9]:
            at, event = min(due, key=lambda each: each[0])
            self.sleepers.remove((at, event))
            self.clock.ms = max(self.clock.ms, round(at * 1000))
            event.set()
            await self.settle()
        self.clock.ms = round(ends * 1000)

    def has_started(self, times: int) -> bool:
        return len(self.source.started) == times

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                await self.settle()


@pytest.fixture
async def desk(builder: HomeBuilder, clock: FixedClock) -> AsyncIterator[Make]:
    """Makes watchers on a home with one thread; `kind` is the file system that it seems to lie on."""
    builder.add("a")
    running: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def make(kind: str = "ext4") -> AsyncIterator[Desk]:
        source, status = Source(), Latest(WatchStatus(mode="catching up"))

        async def apply(touched: Touched) -> Reconciled:
            made.applied.append(touched)
            if made.fails:
                raise DatabaseBusy("The database is busy")
            return Reconciled(files=0, read=0, pruned=0, moved=0, left=made.left)

        def check() -> None:
            made.checks += 1

        async def live() -> frozenset[str]:
            return frozenset({"sessions/live"})

        async def pause(seconds: float) -> None:
            made.waits.append(seconds)
            event = asyncio.Event()
            made.sleepers.append((clock.monotonic() + seconds, event))
            await event.wait()

        watcher = Watcher(
            builder.home,
            status,
            apply=apply,
            check=check,
            live=live,
            clock=clock,
            events=source,
            pause=pause,
            kind_of=lambda _path: kind,
        )
        made = Desk(watcher, source, status, clock)
        task = asyncio.create_task(watcher.run())
        running.append(task)
        await made.until(lambda: bool(source.started) or status.value.mode == "polling")
        await made.settle()
        yield made

    yield make
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


Make: TypeAlias = "Callable[..., AbstractAsyncContextManager[Desk]]"
SOME = Touched(frozenset({"sessions/2026/01/01/rollout-x.jsonl"}))
MANY_PATHS = Touched(frozenset(f"sessions/rollout-{n}.jsonl" for n in range(MANY + 1)))


async def test_what_is_touched_is_looked_at_and_it_is_live_once_all_was_compared(desk: Make) -> None:
    async with desk() as d:
        assert (d.checks, d.status.value.mode) == (1, "catching up")
        d.watcher.checked(7)
        assert d.status.value == WatchStatus(mode="live")
        d.source.queue.put_nowait(SOME)
        await d.until(lambda: d.applied == [SOME])
        assert d.checks == 1
        assert d.source.started == [("sessions",)]


async def test_a_flood_is_compared_as_a_whole_at_once_and_when_it_is_over(desk: Make) -> None:
    async with desk() as d:
        d.watcher.checked(0)
        d.source.queue.put_nowait(MANY_PATHS)
        await d.until(lambda: d.checks == 2)
        assert d.applied == []
        d.watcher.checked(400)
        await d.pass_time(SETTLE_SECONDS + TOPS_SECONDS)
        assert d.checks == 3
        assert len(d.source.started) == 1, "what a flood lost is not held against the watcher"


@pytest.mark.parametrize(("fails", "left"), [(True, 0), (False, 1)])
async def test_what_could_not_be_done_at_once_is_left_to_a_reconcile(
    desk: Make, fails: bool, left: int
) -> None:
    async with desk() as d:
        d.fails, d.left = fails, left
        d.source.queue.put_nowait(SOME)
        await d.until(lambda: d.checks == 2)
        assert d.applied == [SOME]


async def test_a_watcher_that_dies_is_started_again_and_at_last_given_up(desk: Make) -> None:
    async with desk() as d:
        for number, wait in enumerate(BACK_OFF_SECONDS, 1):
            d.watcher.checked(0)
            d.source.queue.put_nowait(WatcherDied("the watcher failed: out of luck"))
            await d.until(lambda: d.status.value.mode == "catching up")
            assert d.waits[-1] == wait
            await d.pass_time(wait)
            await d.until(partial(d.has_started, number + 1))
            assert d.checks == number + 1, "what happened meanwhile is compared"
        d.source.queue.put_nowait(WatcherDied("the watcher failed: out of luck"))
        await d.until(lambda: d.status.value.mode == "polling")
        notice = d.status.value.notice
        assert notice is not None
        assert (notice.what, notice.why) == ("Polling every 5 s", "the watcher failed: out of luck")
        await d.until(lambda: bool(d.applied))
        await d.pass_time(POLLING_SECONDS + 2)
        await d.until(lambda: len(d.source.started) == len(BACK_OFF_SECONDS) + 2)


async def test_a_full_table_of_watches_is_polled_at_once_and_says_what_to_do(desk: Make) -> None:
    async with desk() as d:
        limit = died(OSError('OS file watch limit reached. about ["/x"] (Error { kind: MaxFilesWatch })'))
        d.source.queue.put_nowait(limit)
        await d.until(lambda: d.status.value.mode == "polling")
        notice = d.status.value.notice
        assert notice is not None
        assert "fs.inotify.max_user_watches" in notice.why
        assert "sysctl" in notice.next_step
        assert len(d.source.started) == 1
        await d.until(lambda: bool(d.applied))
        assert d.applied[0] == Touched(frozenset({"sessions/live"}), d.applied[0].folders)


async def test_what_reconciles_find_untold_has_it_started_again_and_then_given_up(desk: Make) -> None:
    async with desk() as d:
        d.watcher.checked(3)
        d.watcher.checked(0)
        d.watcher.checked(1)
        await d.until(lambda: len(d.source.started) == 2)
        await d.settle()
        d.watcher.checked(1)
        assert d.status.value.mode == "live", "the first comparison after a start finds what was before it"
        d.watcher.checked(1)
        await d.until(lambda: d.status.value.mode == "polling")
        assert d.status.value.notice is not None
        assert d.status.value.notice.why == "changes of its files raise no events"


async def test_one_reconcile_that_finds_all_told_clears_it(desk: Make) -> None:
    async with desk() as d:
        d.watcher.checked(0)
        for number in range(2, 5):
            d.watcher.checked(1)
            await d.until(partial(d.has_started, number))
            await d.settle()
            d.watcher.checked(0)
            d.watcher.checked(0)
        assert d.status.value.mode == "live"


async def test_a_network_is_polled_from_the_start_and_says_so(desk: Make, builder: HomeBuilder) -> None:
    async with desk("nfs4") as d:
        await d.until(lambda: bool(d.applied))
        notice = d.status.value.notice
        assert notice is not None
        assert (notice.severity, notice.what) == ("information", "Polling every 5 s")
        assert notice.why == f"{builder.path} is on NFS, where other machines' changes raise no events"
        await d.pass_time(POLLING_SECONDS * 1.5)
        assert d.source.started == []
        assert d.status.value.mode == "polling"


async def test_folders_that_come_later_and_folders_that_are_others_are_watched(
    desk: Make, builder: HomeBuilder, tmp_path: Path
) -> None:
    async with desk() as d:
        (builder.path / "archived_sessions").mkdir()
        await d.pass_time(TOPS_SECONDS)
        await d.until(lambda: d.source.started[1:] == [("sessions", "archived_sessions")])
        await d.settle()
        assert d.checks == 2
        (builder.path / "sessions").rename(tmp_path / "elsewhere")
        (builder.path / "sessions").symlink_to(tmp_path / "elsewhere")
        await d.pass_time(TOPS_SECONDS)
        await d.until(lambda: len(d.source.started) == 3)
        (builder.path / "sessions").unlink()
        await d.pass_time(TOPS_SECONDS)
        await d.until(lambda: d.source.started[3:] == [("archived_sessions",)])


def test_events_at_real_paths_are_told_by_their_names_in_the_home() -> None:
    tops = (
        Top("/disk/s", "sessions", 1, 1),
        Top("/home/a/.codex/archived_sessions", "archived_sessions", 1, 2),
    )
    touched = touched_by(
        [
            "/disk/s/2026/01/02/rollout-a.jsonl",
            "/disk/s/2026/01/02/rollout-a.jsonl.zst",
            "/disk/s/2026/01/02/.rollout-materialize-1",
            "/disk/s/2026/01",
            "/disk/s",
            "/disk/sessions-of-somebody/rollout-b.jsonl",
            "/home/a/.codex/archived_sessions/rollout-c.jsonl",
            "/home/a/.codex/history.jsonl",
        ],
        tops,
    )
    assert touched.paths == {
        "sessions/2026/01/02/rollout-a.jsonl",
        "sessions/2026/01/02/rollout-a.jsonl.zst",
        "archived_sessions/rollout-c.jsonl",
    }
    assert touched.folders == {"sessions/2026/01", "sessions"}


async def test_live_files_are_polled_every_2_s_and_day_folders_every_5(builder: HomeBuilder) -> None:
    builder.add("a")
    (day,) = latest_days(builder.path)
    second = 0
    told: dict[int, tuple[bool, bool]] = {}

    async def live() -> frozenset[str]:
        return frozenset({"live"})

    async def pause(seconds: float) -> None:
        nonlocal second
        second += round(seconds)

    async for touched in poll(builder.path, live, pause):
        told[second] = (bool(touched.paths), day in touched.folders)
        if second >= 10:
            break
    assert [at for at, (paths, _) in told.items() if paths] == [0, 2, 4, 6, 8, 10]
    assert [at for at, (_, folders) in told.items() if folders] == [0, 5, 10]


def test_the_latest_days_are_those_of_the_calendar(tmp_path: Path) -> None:
    for day in ("2024/12/31", "2025/01/02", "2025/01/10", *(f"2025/02/{n:02}" for n in range(1, 8))):
        (tmp_path / "sessions" / day).mkdir(parents=True)
    (tmp_path / "sessions/2025/02/notes").mkdir()
    days = {f"sessions/2025/02/{n:02}" for n in range(1, 8)} | {"sessions/2025/01/10"}
    assert latest_days(tmp_path) == days
    assert latest_days(tmp_path / "nothing") == frozenset()


def test_the_archive_is_listed_only_when_something_came_or_went(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    assert not archive.changed()
    (tmp_path / "archived_sessions").mkdir()
    assert archive.changed()
    assert not archive.changed()
