"""Rows of a log by a `LogQuery`, newest first in bounded slices, so that no read of a huge log lasts long."""

from __future__ import annotations

import heapq
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from store import codex_connection
from store.errors import CodexDatabaseError
from store.log_sources import unreadable
from store.log_table import LogTable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence

    from store.log_sources import LogSource
    from store.models import LogOrigin, LogQuery, LogRow

T = TypeVar("T")

SLICE_ROWS: Final = 5_000
"""How many rows one read transaction looks at."""


_BY_TIME: Final = attrgetter("ts", "ts_nanos")


class Read(Protocol):
    """Runs one unit of reading in one read transaction."""

    def __call__(self, unit: Callable[[sqlite3.Connection], T], /) -> T:
        """What the unit returns."""


def merged(logs: Iterable[Sequence[LogRow]]) -> list[LogRow]:
    """Rows of several logs by time; each log's own order is kept."""
    return list(heapq.merge(*logs, key=_BY_TIME))


def query_logs(
    source: LogSource,
    query: LogQuery,
    *,
    limit: int,
    before_id: int | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> list[LogRow]:
    """The newest matching rows in the order of their ids, at most `limit`; none where there is no log yet.

    `before_id` asks for rows older than one that is known. `stopping` is asked between slices; what was found
    until then is returned.

    Raises:
        LogDatabaseError: the log is there and cannot be read.
    """
    path = source.place
    try:
        found = source.find()
        if found is None:
            return []
        path = found

        def read(unit: Callable[[sqlite3.Connection], T]) -> T:
            return codex_connection.read(path, unit)

        return newest_rows(read, query, source.origin, limit=limit, before_id=before_id, stopping=stopping)
    except CodexDatabaseError as error:
        raise unreadable(path, error) from error


def newest_rows(
    read: Read,
    query: LogQuery,
    origin: LogOrigin,
    *,
    limit: int,
    before_id: int | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> list[LogRow]:
    """`query_logs` on one database."""

    def bounds(connection: sqlite3.Connection) -> tuple[int, int, list[LogRow] | None]:
        table = LogTable.find(connection)
        if table is None or limit <= 0:
            return 1, 0, []
        last = table.last_id() if before_id is None else before_id - 1
        if table.has_thread_index(query):
            return 1, 0, table.rows(query, origin, above=0, upto=last, newest=limit)
        if query.from_ms is None and query.to_ms is None:
            return 1, last, None
        low, high = table.ids_within(query)
        return low, min(high, last), None

    low, high, rows = read(bounds)
    if rows is not None:
        return rows
    slices: list[list[LogRow]] = []
    missing = limit
    while missing > 0 and high >= low and not stopping():

        def older(
            connection: sqlite3.Connection, high: int = high, missing: int = missing
        ) -> tuple[int, list[LogRow]]:
            table = LogTable.find(connection)
            if table is None:
                return 0, []
            below = max(table.id_before(high + 1, SLICE_ROWS) - 1, low - 1)
            return below, table.rows(query, origin, above=below, upto=high, newest=missing)

        high, rows = read(older)
        slices.append(rows)
        missing -= len(rows)
    return [row for found in reversed(slices) for row in found]
