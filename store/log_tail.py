"""Following logs: every row that comes, once and in order, whatever happens to the databases meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Event, Lock
from typing import TYPE_CHECKING, Final, NamedTuple

from store.errors import CodexDatabaseError
from store.followed_database import FollowedDatabase
from store.log_queries import SLICE_ROWS, merged, newest_rows
from store.log_sources import unreadable
from store.log_table import LogTable
from store.models import LogBatch, Notice

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from store.errors import LogDatabaseError
    from store.log_sources import LogSource
    from store.log_table import RowKey
    from store.models import LogQuery, LogRow

BACKFILL_ROWS: Final = 200
"""How many rows there already are a tail begins with, as Codex's own `logs_client`."""

POLL_SECONDS: Final = 0.5


class LogTail:
    """Follows one log or several from now on, beginning with the newest rows that are there.

    Its methods may be called from any thread.
    """

    def __init__(
        self, sources: Sequence[LogSource], query: LogQuery, *, backfill: int = BACKFILL_ROWS
    ) -> None:
        self._stopped = Event()
        self._lock = Lock()
        self._tails = [_SourceTail(source, query, backfill, self._stopped) for source in sources]
        self._backfill = backfill
        self._began = False

    def poll(self) -> LogBatch:
        """What came since the last poll. Rows of several logs are merged by time."""
        with self._lock:
            if self._stopped.is_set():
                return LogBatch([])
            batches = [tail.poll() for tail in self._tails]
            rows = merged(batch.rows for batch in batches)
            if not self._began:
                self._began = True
                rows = rows[max(0, len(rows) - self._backfill) :]
            return LogBatch(
                rows,
                tuple(notice for batch in batches for notice in batch.notices),
                any(batch.more for batch in batches),
            )

    def stop(self) -> None:
        """Have a poll that is under way end soon, and let every later one find nothing."""
        self._stopped.set()

    def close(self) -> None:
        """Let go of the databases."""
        self.stop()
        with self._lock:
            for tail in self._tails:
                tail.close()


async def tail_logs(
    sources: Sequence[LogSource],
    query: LogQuery,
    *,
    backfill: int = BACKFILL_ROWS,
    poll_seconds: float = POLL_SECONDS,
) -> AsyncGenerator[LogBatch, None]:
    """Yield what there is and then what comes, as batches of rows or with changed notices.

    Close it (`contextlib.aclosing`) to let go of the databases.
    """
    tail = LogTail(sources, query, backfill=backfill)
    notices: tuple[Notice, ...] | None = None
    try:
        while True:
            batch = await _poll(tail)
            if batch.rows or batch.notices != notices:
                notices = batch.notices
                yield batch
            if not batch.more:
                await asyncio.sleep(poll_seconds)
    finally:
        await asyncio.to_thread(tail.close)


async def _poll(tail: LogTail) -> LogBatch:
    polling = asyncio.ensure_future(asyncio.to_thread(tail.poll))
    try:
        return await asyncio.shield(polling)
    except asyncio.CancelledError:
        tail.stop()
        await asyncio.wait([polling])
        raise


class _Slice(NamedTuple):
    """What one read finds behind a place."""

    rows: list[LogRow]
    place: int
    key: RowKey | None
    behind: bool
    """Whether there is more behind it."""
    no_table: bool = False


class _SourceTail:
    """One log. Its place is the id of the last row that was looked at, with that row's key."""

    def __init__(self, source: LogSource, query: LogQuery, backfill: int, stopped: Event) -> None:
        self._source = source
        self._query = query
        self._backfill = backfill
        self._stopped = stopped
        self._database: FollowedDatabase | None = None
        self._place: int | None = None
        """None until the rows that are already there were read."""
        self._key: RowKey | None = None
        self._other_file = False
        """Whether the file that the place is of has been taken away since."""
        self._behind = False
        self._no_table = False

    def poll(self) -> LogBatch:
        rows: list[LogRow] = []
        path = self._source.place
        try:
            found = self._source.find()
            if self._database is not None and (found != self._database.path or self._database.was_replaced()):
                rows += self._last_rows(self._database)
            if found is None:
                # Whatever comes is new, unless a log has been followed before.
                self._place = self._place or 0
                return LogBatch(rows, (_none_yet(path),))
            path = found
            if self._database is None:
                self._database = FollowedDatabase(found)
            if self._place is None:
                rows += self._begin(self._database)
            elif self._behind or self._database.changed():
                rows += self._read_on(self._database)
        except CodexDatabaseError as error:
            return LogBatch(rows, (_cannot(unreadable(path, error)),))
        return LogBatch(rows, (_none_yet(path),) if self._no_table else (), self._behind)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _begin(self, database: FollowedDatabase) -> list[LogRow]:
        """Set the place before reading what is already there: what comes meanwhile is for the next poll."""

        def end(connection: sqlite3.Connection) -> _Slice:
            table = LogTable.find(connection)
            if table is None:
                return _Slice([], 0, None, behind=False, no_table=True)
            last = table.last_id()
            return _Slice([], last, table.key(last), behind=True)

        place = database.read(end)
        rows = newest_rows(
            database.read,
            self._query,
            self._source.origin,
            limit=self._backfill,
            before_id=place.place + 1,
            stopping=self._stopped.is_set,
        )
        self._go_to(place)
        return rows

    def _read_on(self, database: FollowedDatabase) -> list[LogRow]:
        found = database.read(self._behind_place)
        self._go_to(found)
        return found.rows

    def _behind_place(self, connection: sqlite3.Connection) -> _Slice:
        """The matching rows of the next slice. Changes nothing here: a read may be run again."""
        table = LogTable.find(connection)
        if table is None:
            # Dropped by a migration, or not made yet: whatever table comes is another one.
            return _Slice([], 0, None, behind=False, no_table=True)
        place = self._valid_place(table)
        end = table.id_behind(place, SLICE_ROWS)
        if end == place:
            return _Slice([], place, self._key if place else None, behind=False)
        rows = table.rows(self._query, self._source.origin, above=place, upto=end)
        return _Slice(rows, end, table.key(end), behind=end < table.last_id())

    def _valid_place(self, table: LogTable) -> int:
        """The place, or 0 where this is not the table that it is of.

        Retention may have deleted the row at the place, even the newest of all; no id is given twice.
        """
        place = self._place or 0
        key = table.key(place) if place else None
        same = not self._other_file if key is None else key == self._key
        return place if same and table.given_ids() >= place else 0

    def _go_to(self, found: _Slice) -> None:
        self._place, self._key = found.place, found.key
        self._behind, self._no_table = found.behind, found.no_table
        self._other_file = False

    def _last_rows(self, database: FollowedDatabase) -> list[LogRow]:
        """What was committed to a file before it was taken away: the open connection still has it."""
        rows: list[LogRow] = []
        if self._place is not None and database.connected:
            # What cannot be read of a file that is gone is gone as well.
            with suppress(CodexDatabaseError):
                rows += self._read_on(database)
                while self._behind and not self._stopped.is_set():
                    rows += self._read_on(database)
        database.close()
        self._database = None
        self._other_file = self._behind = True
        return rows


def _none_yet(path: Path) -> Notice:
    return Notice(
        severity="information",
        what=f"There is no log in {path} yet",
        next_step="Rows show as soon as one is written",
    )


def _cannot(error: LogDatabaseError) -> Notice:
    return Notice(
        severity="warning",
        what=error.what,
        why=error.why,
        next_step="Its rows follow as soon as it can be read",
    )
