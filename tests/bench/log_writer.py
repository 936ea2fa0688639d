"""Writes a log as a busy Codex would: `python -m tests.bench.log_writer PATH LINES_A_SECOND SECONDS`.

The table is made when it is not there. Rows come in transactions of a hundredth of a second; when it is told
to go by a line on its input, it writes, and then prints how many rows it wrote.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from contextlib import closing

SCHEMA = """
    CREATE TABLE IF NOT EXISTS logs (id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER NOT NULL,
        ts_nanos INTEGER NOT NULL, level TEXT NOT NULL, target TEXT NOT NULL, feedback_log_body TEXT,
        module_path TEXT, file TEXT, line INTEGER, thread_id TEXT, process_uuid TEXT,
        estimated_bytes INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX IF NOT EXISTS idx_logs_ts ON logs(ts DESC, ts_nanos DESC, id DESC);
    CREATE INDEX IF NOT EXISTS idx_logs_thread_id ON logs(thread_id);
"""
CHAIN = 'session_loop{thread_id=01a20586}:turn{model="gpt-5.4" turn.id=01a20587}:run_turn: '
COMMITS_A_SECOND = 100


def write(path: str, rate: int, seconds: float) -> int:
    """Offer so many rows a second for so long; returns how many were written."""
    number = 0
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(SCHEMA)
        print("ready", flush=True)
        sys.stdin.readline()
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            due = round((passed + 1 / COMMITS_A_SECOND) * rate)
            rows = [_row(n) for n in range(number, due)]
            number = max(number, due)
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO logs (ts, ts_nanos, level, target, feedback_log_body, module_path, file, line,"
                " thread_id, estimated_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            connection.execute("COMMIT")
            time.sleep(1 / COMMITS_A_SECOND)
    return number


def _row(number: int) -> tuple[object, ...]:
    body = f"{CHAIN}event number={number} {'x' * (number % 200)}"
    level = ("TRACE", "DEBUG", "INFO", "INFO", "WARN")[number % 5]
    place = ("codex_core::session", "core/src/session.rs", 535)
    return (
        1_795_389_000 + number // 1000,
        0,
        level,
        f"codex_core::t{number % 40}",
        body,
        *place,
        None,
        len(body),
    )


if __name__ == "__main__":
    print(write(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])), flush=True)
