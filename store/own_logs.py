"""Our own log: what the store does by itself (backfill, prune, discrepancy, jobs), for people to look up.

Each function is a step of a unit of work on our state database; nothing is written where nothing happened.
"""

from __future__ import annotations

import os
import uuid
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

    from store.models import LogLevel

KEPT_MS: Final = 10 * 86_400_000
KEPT_BYTES: Final = 10 * 1024 * 1024

PRUNED_EVERY: Final = 256
"""Rows between two prunings."""

LONGEST_MESSAGE: Final = 4_000
_ROW_BYTES: Final = 150
"""About what a row takes beside its texts."""


def log(
    connection: sqlite3.Connection,
    level: LogLevel,
    target: str,
    message: str,
    *,
    thread_id: str | None = None,
    now_ms: int,
) -> None:
    """Add a row; `target` is the module that speaks."""
    if len(message) > LONGEST_MESSAGE:
        message = message[: LONGEST_MESSAGE - 1] + "…"
    row_id = connection.execute(
        "INSERT INTO logs (ts, ts_nanos, level, target, message, module_path, thread_id, process_uuid)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            now_ms // 1000,
            now_ms % 1000 * 1_000_000,
            level,
            target,
            message.encode("utf-8", "backslashreplace").decode(),
            target,
            thread_id,
            _process_uuid(os.getpid()),
        ),
    ).lastrowid
    if row_id is None or row_id % PRUNED_EVERY == 1:
        prune(connection, now_ms=now_ms)


def prune(connection: sqlite3.Connection, *, now_ms: int) -> None:
    """Delete the rows that are too old, and the oldest of those that are too many."""
    connection.execute("DELETE FROM logs WHERE ts < ?", ((now_ms - KEPT_MS) // 1000,))
    connection.execute(
        "DELETE FROM logs WHERE id <= (SELECT id FROM"
        " (SELECT id, sum(octets) OVER (ORDER BY id DESC) AS kept FROM"
        "  (SELECT id, ? + length(CAST(message AS BLOB)) AS octets FROM logs))"
        " WHERE kept > ? ORDER BY id DESC LIMIT 1)",
        (_ROW_BYTES, KEPT_BYTES),
    )


@cache
def _process_uuid(pid: int) -> str:
    """Who writes, in Codex's own form (0.104 and later)."""
    return f"pid:{pid}:{uuid.uuid4()}"
