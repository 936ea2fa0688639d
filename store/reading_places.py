"""Where each thread was left when it was last read; steps of units of work on `user.sqlite`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


def get_reading_place(connection: sqlite3.Connection, thread_id: str) -> int | None:
    """The rollout line at which the thread was left; None when it was left at its end, or never read."""
    row = connection.execute("SELECT line FROM reading_places WHERE thread_id = ?", (thread_id,)).fetchone()
    return None if row is None else row[0]


def set_reading_place(
    connection: sqlite3.Connection, thread_id: str, line: int | None, *, now_ms: int
) -> None:
    """Remember where the thread was left; None is its end, wherever that will be."""
    if line is None:
        connection.execute("DELETE FROM reading_places WHERE thread_id = ?", (thread_id,))
        return
    connection.execute(
        "INSERT INTO reading_places (thread_id, line, updated_at) VALUES (?, ?, ?)"
        " ON CONFLICT (thread_id) DO UPDATE SET line = excluded.line, updated_at = excluded.updated_at",
        (thread_id, line, now_ms),
    )
