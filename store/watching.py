"""Watching the rollouts of a home: what changed is told within moments, whatever happens to the watcher.

Events only say where to look. What raises them may lose some without a word, die, or run out of watches; so
it is checked by what a reconcile finds that it did not tell of, started again, and given up for polling.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final, TypeAlias

from store.errors import StoreError
from store.filesystems import NETWORK_TYPES, filesystem_type
from store.models import Notice, WatchStatus
from store.native_events import Top, WatcherDied, native_events
from store.polling import FOLDER_SECONDS, poll
from store.rollouts.scan import ACTIVE_FOLDER, ARCHIVE_FOLDER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
    from pathlib import Path

    from store.changes import Latest
    from store.clock import Clock
    from store.home import CodexHome
    from store.reconcile import Reconciled
    from store.refreshing import Touched

    Events: TypeAlias = Callable[[Sequence[Top]], AsyncGenerator[Touched, None]]

MANY: Final = 2_000
"""From so many touched places on, the whole home is compared: events have probably been lost."""

SETTLE_SECONDS: Final = 2.0
"""How long after many places were touched the home is compared once more."""

TOPS_SECONDS: Final = 0.5
"""How often it is looked whether the two folders are still those that are watched."""

BACK_OFF_SECONDS: Final = (0.5, 2.0, 8.0)
"""How long to wait before a watcher that died is started again; after that, polling."""

POLLING_SECONDS: Final = 600.0
"""How long to poll before the watcher is tried again."""

STRIKES: Final = 2
"""How many reconciles in a row may find what the watcher did not tell of."""

_NAMES: Final = {"nfs": "NFS", "nfs4": "NFS", "cifs": "SMB", "smb3": "SMB", "smbfs": "SMB", "afpfs": "AFP"}


class Watcher:
    """Has touched rollouts looked at, for as long as `run` runs.

    `apply` brings their rows up to date; `check` asks for a reconcile, after which `checked` is to be called;
    `live` names the rollouts to look at where there are no events.
    """

    def __init__(
        self,
        home: CodexHome,
        status: Latest[WatchStatus],
        *,
        apply: Callable[[Touched], Awaitable[Reconciled]],
        check: Callable[[], None],
        live: Callable[[], Awaitable[frozenset[str]]],
        clock: Clock,
        events: Events = native_events,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        kind_of: Callable[[Path], str | None] = filesystem_type,
    ) -> None:
        self._home = home
        self._status = status
        self._apply = apply
        self._check = check
        self._live = live
        self._clock = clock
        self._events = events
        self._pause = pause
        self._kind_of = kind_of
        self._again = asyncio.Event()
        self._watching = False
        self._excused = True
        self._strikes = 0
        self._settles_at: float | None = None

    async def run(self) -> None:
        """Watch, or poll, until cancelled."""
        kind = await asyncio.to_thread(self._kind_of, self._home.sessions)
        while kind in NETWORK_TYPES:
            await self._poll(_on_network(self._home, kind))
        deaths = 0
        while True:
            began = self._clock.monotonic()
            try:
                await self._watch()
                deaths = 0
                continue
            except WatcherDied as error:
                died = error
            if self._clock.monotonic() - began > POLLING_SECONDS:
                deaths = 0
            if died.for_good or deaths == len(BACK_OFF_SECONDS):
                await self._poll(_given_up(died))
                deaths = 0
            else:
                self._status.publish(WatchStatus(mode="catching up"))
                await self._pause(BACK_OFF_SECONDS[deaths])
                deaths += 1

    def checked(self, unheard: int) -> None:
        """A reconcile is done, and found so many changes that are too old not to have been told of."""
        if not self._watching:
            return
        self._status.publish(WatchStatus(mode="live"))
        if self._excused:
            self._excused = False
        elif unheard:
            self._strikes += 1
            self._again.set()
        else:
            self._strikes = 0

    async def _watch(self) -> None:
        """Until the folders are others, or the watcher is distrusted. Raises WatcherDied."""
        if self._strikes >= STRIKES:
            self._strikes = 0
            raise WatcherDied("changes of its files raise no events", for_good=True)
        self._again.clear()
        tops = self._tops()
        tasks = [
            asyncio.create_task(self._take_events(tops), name="events of rollouts"),
            asyncio.create_task(self._look_after(tops), name="folders of rollouts"),
            asyncio.create_task(self._again.wait(), name="watcher distrusted"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._watching = False
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _take_events(self, tops: Sequence[Top]) -> None:
        if not tops:
            self._begin()
            await asyncio.Event().wait()
        async with aclosing(self._events(tops)) as events:
            async for touched in events:
                if not self._watching:
                    self._begin()
                if len(touched) > MANY:
                    self._excused = True
                    self._settles_at = self._clock.monotonic() + SETTLE_SECONDS
                    self._check()
                elif touched:
                    await self._take(touched)
        raise WatcherDied("it ended")

    def _begin(self) -> None:
        """It watches from now on; what happened before that is for a reconcile to find."""
        self._watching = self._excused = True
        self._check()

    async def _take(self, touched: Touched) -> None:
        try:
            done = await self._apply(touched)
        except StoreError:
            # The reconcile tries the same, and says what is wrong when it fails as well.
            self._check()
        else:
            if done.left:
                self._check()

    async def _look_after(self, tops: Sequence[Top]) -> None:
        while self._tops() == tops:
            await self._pause(TOPS_SECONDS)
            if self._settles_at is not None and self._clock.monotonic() >= self._settles_at:
                self._settles_at = None
                self._check()

    async def _poll(self, notice: Notice) -> None:
        """Poll for a while."""
        self._status.publish(WatchStatus(mode="polling", notice=notice))
        self._check()
        ends = self._clock.monotonic() + POLLING_SECONDS
        async with aclosing(poll(self._home.path, self._live, self._pause)) as looks:
            async for touched in looks:
                await self._take(touched)
                if self._clock.monotonic() > ends:
                    return

    def _tops(self) -> tuple[Top, ...]:
        """The two folders as far as they are there."""
        tops = []
        for path in (ACTIVE_FOLDER, ARCHIVE_FOLDER):
            with suppress(OSError):
                real = os.path.realpath(self._home.path / path, strict=True)
                status = os.stat(real)  # noqa: PTH116  # a Path costs more than the call
                tops.append(Top(real, path, status.st_dev, status.st_ino))
        return tuple(tops)


def _on_network(home: CodexHome, kind: str) -> Notice:
    return Notice(
        severity="information",
        what=f"Polling every {FOLDER_SECONDS} s",
        why=f"{home.given} is on {_NAMES.get(kind, kind)}, where other machines' changes raise no events",
    )


def _given_up(died: WatcherDied) -> Notice:
    return Notice(
        severity="warning", what=f"Polling every {FOLDER_SECONDS} s", why=died.why, next_step=died.next_step
    )
