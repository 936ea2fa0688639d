"""The database half of recording: a recorder's rollout becomes the row that a backfill would make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.rollout_rows import RolloutRead, write_read

if TYPE_CHECKING:
    from store.clock import Clock
    from store.database import Database
    from store.rollouts.metadata import FullRead
    from store.rollouts.scan import RolloutFile


class DatabaseSink:
    """Writes recorded rollouts into a state database; a `RolloutSink`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record_facts(self, file: RolloutFile, read: FullRead) -> None:
        """Write the row and the tools of `file`, unless the database knows more of it already.

        Raises DatabaseError.
        """
        rollout = RolloutRead(
            file,
            "full",
            read.facts,
            read.decoded_bytes,
            parsed_bytes=read.parsed_bytes,
            fold=read.fold,
            found=read.found,
        )
        now_ms = self._clock.now_ms()
        await self._database.write(lambda connection: write_read(connection, rollout, now_ms=now_ms))
