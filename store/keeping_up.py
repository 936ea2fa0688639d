"""Keeping the rows equal to the files while somebody looks: watched, compared now and then, names copied."""

from __future__ import annotations

import asyncio
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

from store import codex_threads
from store.backfill_running import bring_all_up_to_date
from store.connection import connect_writer
from store.filesystems import on_network
from store.models import Checked
from store.polling import live_rollouts
from store.refreshing import refresh
from store.watching import Watcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.changes import Changes, Latest
    from store.clock import Clock
    from store.database import Database
    from store.home import CodexHome
    from store.models import Notice, WatchStatus
    from store.reconcile import Reconciled
    from store.refreshing import Touched

CHECK_SECONDS: Final = 60.0
"""How often the rows are compared with all files when nothing asks for it."""

NAMES_SECONDS: Final = 2.0
NAMES_SHARE: Final = 20
"""Names are copied at most this often, and never for more than a twentieth of the time: Codex writes to the
database that holds them all the time, and all of it has to be read."""


class KeepingUp:
    """The work of three tasks; each raises StoreError when the database fails, and may be begun again."""

    def __init__(
        self,
        home: CodexHome,
        database: Database,
        clock: Clock,
        changes: Changes,
        status: Latest[WatchStatus],
        checked: Latest[Checked],
    ) -> None:
        self._home = home
        self._database = database
        self._clock = clock
        self._changes = changes
        self._look = asyncio.Event()
        self._checked = checked
        self._watcher = Watcher(
            home, status, apply=self._refresh, check=self.look_again, live=self._live, clock=clock
        )

    def look_again(self) -> None:
        """Compare the rows with all files now."""
        self._look.set()

    async def watch(self) -> None:
        """Have rows follow their files within moments."""
        await self._watcher.run()

    async def compare(self) -> None:
        """Backfill, then compare the rows with all files every minute and whenever it is asked for."""
        while True:
            self._look.clear()
            done = await bring_all_up_to_date(self._home, self._database.path, self._clock)
            self._changes.look()
            self._checked.publish(Checked(at_ms=self._clock.now_ms(), notices=done.notices))
            self._watcher.checked(done.unheard)
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._look.wait()

    async def follow_names(self) -> None:
        """Copy names and memory modes soon after Codex changed them."""
        pause = (
            CHECK_SECONDS if await asyncio.to_thread(on_network, self._home.sqlite_path) else NAMES_SECONDS
        )
        seen = await asyncio.to_thread(codex_threads.name_stamps, self._home)
        took = 0.0
        while True:
            await asyncio.sleep(max(pause, took * NAMES_SHARE))
            began = self._clock.monotonic()
            stamps = await asyncio.to_thread(codex_threads.name_stamps, self._home)
            if stamps != seen:
                seen = stamps
                await asyncio.to_thread(self._copy_names)
                self._changes.look()
            took = self._clock.monotonic() - began

    def _copy_names(self) -> Sequence[Notice]:
        with closing(connect_writer(self._database.path)) as connection:
            return codex_threads.refresh_codex_threads(connection, self._home)

    async def _refresh(self, touched: Touched) -> Reconciled:
        done = await asyncio.to_thread(refresh, self._database.path, self._home, touched, clock=self._clock)
        if done.read or done.pruned or done.moved:
            self._changes.look()
        return done

    async def _live(self) -> frozenset[str]:
        return await self._database.read(live_rollouts)
