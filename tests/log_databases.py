"""Log databases as the eras of Codex make them, and another process that writes to one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal

from other_processes import Child

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LogEra = Literal["0.93", "0.105", "0.130"]

BEGIN_S = 1_795_389_000
THREAD = "01a20587-d7ca-76a1-bf3c-1800055a9be6"
OTHER_THREAD = "01a20588-6758-7fb2-a28b-d3f9528b35ce"

_COLUMNS: dict[str, str] = {
    "0.93": "message TEXT, module_path TEXT, file TEXT, line INTEGER, thread_id TEXT",
    "0.105": """message TEXT, module_path TEXT, file TEXT, line INTEGER, thread_id TEXT, process_uuid TEXT,
        estimated_bytes INTEGER NOT NULL DEFAULT 0""",
    "0.130": """feedback_log_body TEXT, module_path TEXT, file TEXT, line INTEGER, thread_id TEXT,
        process_uuid TEXT, estimated_bytes INTEGER NOT NULL DEFAULT 0""",
}


def log_schema(era: LogEra = "0.130") -> str:
    """The statements that make the table and its indexes."""
    return f"""
        CREATE TABLE logs (id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER NOT NULL,
            ts_nanos INTEGER NOT NULL, level TEXT NOT NULL, target TEXT NOT NULL, {_COLUMNS[era]});
        CREATE INDEX idx_logs_ts ON logs(ts DESC, ts_nanos DESC, id DESC);
        CREATE INDEX idx_logs_thread_id ON logs(thread_id);
    """


def make_log(path: Path, *messages: str, era: LogEra = "0.130", journal: str = "wal") -> None:
    """A log at rest: closed cleanly, everything in its main file."""
    with log_writer(path) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.executescript(log_schema(era))
        write_rows(connection, messages)


def log_writer(path: Path) -> closing[sqlite3.Connection]:
    """A connection that writes as Codex's own does."""
    return closing(sqlite3.connect(path, isolation_level=None))


def write_rows(connection: sqlite3.Connection, messages: Iterable[str], **columns: Any) -> None:
    """Add a row for each message, in one transaction; the first of a log is of `BEGIN_S`, and so on."""
    names = {row[1] for row in connection.execute("PRAGMA table_info(logs)")}
    body = "feedback_log_body" if "feedback_log_body" in names else "message"
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM logs").fetchone()
    connection.execute("BEGIN IMMEDIATE")
    for number, message in enumerate(messages, last):
        row = {
            "ts": BEGIN_S + number,
            "ts_nanos": 5_000_000,
            "level": "INFO",
            "target": "codex_core::session",
            body: message,
            "module_path": "codex_core::session",
            "file": "core/src/session.rs",
            "line": 7,
        } | columns
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO logs ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
    connection.execute("COMMIT")


WRITER = """
import sqlite3, sys, time
path, batches, size, pause = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
connection = sqlite3.connect(path, isolation_level=None, timeout=30)
connection.execute("PRAGMA synchronous = NORMAL")
print("ready", flush=True)
input()
number, due = 0, time.monotonic()
for _ in range(batches):
    rows = [(1795389000 + n // 1000, n % 1000 * 1000000, f"row {n} " + "x" * 150) for n in
            range(number, number + size)]
    number += size
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO logs (ts, ts_nanos, level, target, feedback_log_body)"
                           " VALUES (?, ?, 'INFO', 'codex_core::session', ?)", rows)
    if len(sys.argv) > 5:
        connection.execute("DELETE FROM logs WHERE id <= (SELECT max(id) FROM logs) - ?", (int(sys.argv[5]),))
    connection.execute("COMMIT")
    due += pause
    time.sleep(max(0, due - time.monotonic()))
print("done", flush=True)
"""


def writing_process(
    path: Path, *, batches: int, size: int, pause: float = 0, kept: int | None = None
) -> Child:
    """A process that says "ready", told to go writes batches of rows "row 0 …" and so on, then says "done".

    With `kept`, it deletes older rows than so many in the same transaction, as Codex's retention does.
    """
    return Child(WRITER, path, batches, size, pause, *([] if kept is None else [kept]))
