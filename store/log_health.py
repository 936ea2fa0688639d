"""What fills a log, and what its database takes on disk: counted newest rows first, within a budget."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from store import codex_connection
from store.errors import CodexDatabaseError
from store.log_sources import unreadable
from store.log_table import LogTable
from store.models import LogHealth, LogShare

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from store.clock import Clock
    from store.log_sources import LogSource

BUDGET_SECONDS: Final = 1.0
MINUTES: Final = 60
LARGEST: Final = 50
"""How many targets and threads are named."""

SLICE_ROWS: Final = 20_000


def log_health(
    source: LogSource, clock: Clock, *, budget_seconds: float = BUDGET_SECONDS, minutes: int = MINUTES
) -> LogHealth | None:
    """Measure a log in one snapshot; None where there is none.

    Once the budget is spent the shares are of the newest rows alone, which the result says.

    Raises:
        LogDatabaseError: the log is there and cannot be read.
    """
    path = source.place
    try:
        found = source.find()
        if found is None:
            return None
        path = found
        until = clock.monotonic() + budget_seconds
        return codex_connection.read(
            path, lambda connection: _measured(connection, path, clock, until, minutes)
        )
    except CodexDatabaseError as error:
        raise unreadable(path, error) from error


def _measured(
    connection: sqlite3.Connection, path: Path, clock: Clock, until: float, minutes: int
) -> LogHealth | None:
    table = LogTable.find(connection)
    if table is None:
        return None
    last = table.last_id()
    levels: _Shares = _Shares()
    targets: _Shares = _Shares()
    threads: _Shares = _Shares()
    high = last
    while high > 0 and (high == last or clock.monotonic() < until):
        below = table.id_before(high + 1, SLICE_ROWS) - 1
        for level, target, thread, rows, size in table.shares(above=below, upto=high):
            levels.add(level, rows, size)
            targets.add(target, rows, size)
            threads.add(thread, rows, size)
        high = below
    oldest, newest = table.time_span()
    stamps = codex_connection.fingerprint(path)
    given = table.given_ids()
    rows = table.count()
    return LogHealth(
        path=str(path),
        rows=rows,
        counted_rows=sum(levels.rows.values()),
        counted_size=sum(levels.sizes.values()),
        by_level=levels.largest(),
        by_target=targets.largest(LARGEST),
        by_thread=threads.largest(LARGEST),
        last_id=given,
        churn=given - rows,
        oldest_at=oldest,
        newest_at=newest,
        per_minute=() if newest is None else table.per_minute(newest, minutes),
        file_size=0 if stamps.database is None else stamps.database.size,
        wal_size=0 if stamps.wal is None else stamps.wal.size,
        page_size=_pragma(connection, "page_size"),
        pages=_pragma(connection, "page_count"),
        free_pages=_pragma(connection, "freelist_count"),
    )


class _Shares:
    """Rows and bytes by name."""

    def __init__(self) -> None:
        self.rows: Counter[str | None] = Counter()
        self.sizes: Counter[str | None] = Counter()

    def add(self, name: str | None, rows: int, size: int) -> None:
        self.rows[name] += rows
        self.sizes[name] += size

    def largest(self, most: int | None = None) -> tuple[LogShare, ...]:
        return tuple(LogShare(name, self.rows[name], size) for name, size in self.sizes.most_common(most))


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    row: tuple[Any, ...] = connection.execute(f"PRAGMA {name}").fetchone()
    return int(row[0])
