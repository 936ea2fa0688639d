"""What every part of the memory pipeline works on."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from store.connection import connect_writer, transaction
from store.own_logs import log

if TYPE_CHECKING:
    from pathlib import Path

    from store.clock import Clock
    from store.database import Database
    from store.home import CodexHome
    from store.models import LogLevel


@dataclass(frozen=True, slots=True)
class MemoryPipeline:
    """Our pipeline for one home and one root."""

    home: CodexHome
    database: Database
    """`user.sqlite`; its units find the threads as `state.threads`, read-only."""
    state: Path
    """The state database, which holds our own log."""
    root: Path
    """The folder of the artifacts; may not exist yet."""
    clock: Clock

    @property
    def folder(self) -> Path:
        """Our state folder: staging copies and locks are made there."""
        return self.state.parent

    def now_s(self) -> int:
        """The time in seconds since the epoch."""
        return self.clock.now_ms() // 1000

    async def log(self, level: LogLevel, target: str, message: str, *, thread_id: str | None = None) -> None:
        """Add a row to our own log; `target` is the module that speaks. Raises DatabaseError."""
        unit = partial(
            log,
            level=level,
            target=target,
            message=message,
            thread_id=thread_id,
            now_ms=self.clock.now_ms(),
        )
        await asyncio.to_thread(self._write_state, unit)

    def _write_state(self, unit: partial[None]) -> None:
        with closing(connect_writer(self.state)) as connection:
            transaction(connection, unit)
