"""The `logs` table of one snapshot, whichever generation of Codex made it, and the SQL of a `LogQuery`.

Columns are probed: `message` became `feedback_log_body` with logs_2, `thread_id` came with 0.93,
`process_uuid` with 0.104, `estimated_bytes` with 0.105.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from store.models import LogLevel, LogRow

if TYPE_CHECKING:
    import sqlite3

    from store.models import LogOrigin, LogQuery

LEVELS: Final[tuple[LogLevel, ...]] = get_args(LogLevel)
"""Least first."""

_TEXTS: Final = ("level", "target")
_OPTIONAL_TEXTS: Final = ("module_path", "file", "thread_id", "process_uuid")
_PREFIX_END: Final = "\U0010ffff"
_WHOLE_ID: Final = 36

RowKey = tuple[Any, ...]
"""What tells a row from another of the same id in another database."""


class LogTable:
    """The table as the connection's open transaction sees it; the rowid of a row is its id."""

    def __init__(self, connection: sqlite3.Connection, columns: frozenset[str]) -> None:
        self._connection = connection
        self._columns = columns

    @classmethod
    def find(cls, connection: sqlite3.Connection) -> LogTable | None:
        """The table, or None where the database has none."""
        columns = frozenset(row[1] for row in connection.execute("PRAGMA table_info(logs)").fetchall())
        return cls(connection, columns) if columns else None

    def last_id(self) -> int:
        """The newest row's id; 0 for none."""
        return self._number("SELECT max(rowid) FROM logs")

    def given_ids(self) -> int:
        """The highest id ever given: what retention deletes does not lower it."""
        counted = self._number("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_sequence'")
        sequence = self._number("SELECT seq FROM sqlite_sequence WHERE name = 'logs'") if counted else 0
        return max(sequence, self.last_id())

    def key(self, row_id: int) -> RowKey | None:
        """What identifies the row of this id, or None when there is none."""
        columns = (*map(self._or_null, ("ts", "ts_nanos", "target")), f"substr({self._body}, 1, 200)")
        row: RowKey | None = self._connection.execute(
            f"SELECT {', '.join(columns)} FROM logs WHERE rowid = ?", (row_id,)
        ).fetchone()
        return row

    def id_behind(self, row_id: int, rows: int) -> int:
        """The id of the row that is so many behind `row_id`, or of the last one; `row_id` when none is."""
        found = self._number(
            "SELECT rowid FROM logs WHERE rowid > ? ORDER BY rowid LIMIT 1 OFFSET ?", row_id, rows - 1
        )
        return found or max(self.last_id(), row_id)

    def id_before(self, row_id: int, rows: int) -> int:
        """The id of the row that is so many before `row_id`; 0 when there are fewer."""
        return self._number(
            "SELECT rowid FROM logs WHERE rowid < ? ORDER BY rowid DESC LIMIT 1 OFFSET ?", row_id, rows - 1
        )

    def ids_within(self, query: LogQuery) -> tuple[int, int]:
        """The lowest and highest id of the query's time span, by the index on the time; (1, 0) for none."""
        sql, values = self._times(query, "")
        low, high = self._connection.execute(
            f"SELECT min(rowid), max(rowid) FROM logs WHERE {' AND '.join(sql) or '1'}", values
        ).fetchone()
        return (1, 0) if low is None else (low, high)

    def rows(
        self, query: LogQuery, origin: LogOrigin, *, above: int, upto: int, newest: int | None = None
    ) -> list[LogRow]:
        """The matching rows with `above` < id <= `upto`, ascending; only the `newest` of them if said."""
        conditions, values = self._conditions(query)
        # SQLite, left to choose, walks the whole table for a thread, or the index on the time for a slice.
        index, sign = ("", "+") if self.has_thread_index(query) else ("NOT INDEXED", "")
        descending = newest is not None
        found = self._connection.execute(
            f"SELECT {self._selected()} FROM logs {index}"
            f" WHERE {' AND '.join([f'{sign}rowid > ?', f'{sign}rowid <= ?', *conditions])}"
            f" ORDER BY rowid {'DESC' if descending else 'ASC'} LIMIT ?",
            (above, upto, *values, -1 if newest is None else newest),
        ).fetchall()
        if descending:
            found.reverse()
        return [LogRow._make((*row, origin)) for row in found]

    def shares(self, *, above: int, upto: int) -> list[tuple[str, str, str | None, int, int]]:
        """Level, target and thread with their number of rows and bytes, of the rows in that range of ids."""
        names = ", ".join(f"CAST({self._or_null(name)} AS TEXT)" for name in ("level", "target", "thread_id"))
        found: list[tuple[str, str, str | None, int, int]] = self._connection.execute(
            f"SELECT {names}, count(*), coalesce(sum({self._size}), 0) FROM logs NOT INDEXED"
            " WHERE rowid > ? AND rowid <= ? GROUP BY 1, 2, 3",
            (above, upto),
        ).fetchall()
        return found

    def count(self) -> int:
        """How many rows there are; SQLite counts them in its smallest index."""
        return self._number("SELECT count(*) FROM logs")

    def time_span(self) -> tuple[int | None, int | None]:
        """When the oldest and the newest row were written, in ms."""
        ts, nanos = self._or_null("ts"), self._or_null("ts_nanos")
        ms = f"CAST({ts} AS INTEGER) * 1000 + coalesce(CAST({nanos} AS INTEGER), 0) / 1000000"
        ends = []
        for order in ("ASC", "DESC"):
            row = self._connection.execute(
                f"SELECT {ms} FROM logs ORDER BY {ts} {order}, {nanos} {order} LIMIT 1"
            ).fetchone()
            ends.append(None if row is None else row[0])
        return ends[0], ends[1]

    def per_minute(self, newest_at: int, minutes: int) -> tuple[int, ...]:
        """How many rows were written in each of the minutes up to that of `newest_at`."""
        last = newest_at // 60_000
        ts = self._or_null("ts")
        found = dict(
            self._connection.execute(
                f"SELECT CAST({ts} AS INTEGER) / 60, count(*) FROM logs WHERE {ts} >= ? GROUP BY 1",
                ((last - minutes + 1) * 60,),
            ).fetchall()
        )
        return tuple(found.get(minute, 0) for minute in range(last - minutes + 1, last + 1))

    @staticmethod
    def has_thread_index(query: LogQuery) -> bool:
        """Whether the rows of the query are few and found by the index on the thread."""
        return bool(query.thread_ids) and not query.threadless

    @property
    def _body(self) -> str:
        """The expression of a row's text."""
        names = [name for name in ("feedback_log_body", "message") if name in self._columns]
        return f"coalesce({', '.join(names)}, '')" if names else "''"

    @property
    def _size(self) -> str:
        """The expression of a row's size in bytes."""
        return f"coalesce(nullif({self._or_null('estimated_bytes')}, 0), length({self._body}))"

    def _selected(self) -> str:
        # Any column may hold any type: the tables are not STRICT.
        return ", ".join(
            [
                "rowid",
                *(f"coalesce(CAST({self._or_null(name)} AS INTEGER), 0)" for name in ("ts", "ts_nanos")),
                *(f"coalesce(CAST({self._or_null(name)} AS TEXT), '')" for name in _TEXTS),
                f"CAST({self._body} AS TEXT)",
                *(f"CAST({self._or_null(name)} AS TEXT)" for name in _OPTIONAL_TEXTS[:2]),
                f"CAST({self._or_null('line')} AS INTEGER)",
                *(f"CAST({self._or_null(name)} AS TEXT)" for name in _OPTIONAL_TEXTS[2:]),
            ]
        )

    def _conditions(self, query: LogQuery) -> tuple[list[str], list[Any]]:
        conditions, values = self._times(query, "+")
        level = f"upper({self._or_null('level')})"
        if query.levels:
            conditions.append(f"{level} IN ({', '.join('?' * len(query.levels))})")
            values += query.levels
        if query.min_level is not None:
            below = LEVELS[: LEVELS.index(query.min_level)]
            conditions.append(f"{level} NOT IN ({', '.join('?' * len(below))})")
            values += below
        module = f"coalesce({self._or_null('module_path')}, {self._or_null('target')})"
        for expression, parts in ((module, query.modules), (self._or_null("file"), query.files)):
            if parts:
                conditions.append(_either([rf"{expression} LIKE ? ESCAPE '\'"] * len(parts)))
                values += map(_containing, parts)
        if query.thread_ids or query.threadless:
            thread = self._or_null("thread_id")
            either = []
            for thread_id in query.thread_ids:
                if len(thread_id) >= _WHOLE_ID:
                    either.append(f"{thread} = ?")
                    values.append(thread_id)
                else:
                    either.append(f"{thread} >= ? AND {thread} < ?")
                    values += (thread_id, thread_id + _PREFIX_END)
            if query.threadless:
                either.append(f"{thread} IS NULL")
            conditions.append(_either(either))
        if query.text:
            conditions.append(rf"{self._body} LIKE ? ESCAPE '\'")
            values.append(_containing(query.text))
        return conditions, values

    def _times(self, query: LogQuery, sign: str) -> tuple[list[str], list[Any]]:
        """Conditions on the time; the sign `+` keeps SQLite from finding the rows by it."""
        ts, nanos = sign + self._or_null("ts"), self._or_null("ts_nanos")
        conditions: list[str] = []
        values: list[Any] = []
        if query.from_ms is not None:
            second, ms = divmod(query.from_ms, 1000)
            conditions.append(f"{ts} >= ? AND ({ts} > ? OR {nanos} >= ?)")
            values += (second, second, ms * 1_000_000)
        if query.to_ms is not None:
            second, ms = divmod(query.to_ms, 1000)
            conditions.append(f"{ts} <= ? AND ({ts} < ? OR {nanos} < ?)")
            values += (second, second, (ms + 1) * 1_000_000)
        return conditions, values

    def _or_null(self, column: str) -> str:
        return column if column in self._columns else "NULL"

    def _number(self, sql: str, *values: int) -> int:
        row = self._connection.execute(sql, values).fetchone()
        return 0 if row is None or row[0] is None else int(row[0])


def _either(conditions: list[str]) -> str:
    return f"({' OR '.join(f'({condition})' for condition in conditions)})"


def _containing(text: str) -> str:
    for special in ("\\", "%", "_"):
        text = text.replace(special, "\\" + special)
    return f"%{text}%"
