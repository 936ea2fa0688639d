"""What `user.sqlite` keeps of threads whose files are gone: hidden at once, deleted for good much later.

Hidden they are because every view joins the threads that are there; a file that comes back finds its rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from store.backfill_state import get_backfill_state, list_is_complete
from store.memories.jobs import enqueue_global_consolidation
from store.memories.models import STAGE1

if TYPE_CHECKING:
    import sqlite3

KEPT_SECONDS: Final = 90 * 86_400

_KEPT: Final = {
    "thread_memory": "thread_id",
    "jobs": "job_key",
    "reading_places": "thread_id",
    "stars": "thread_id",
    "tags": "thread_id",
    "local_names": "thread_id",
}
"""Every table with rows of threads, and the column that holds the thread's id."""

_CONDITIONS: Final = {"jobs": f"kind = '{STAGE1}'"}


def note_missing_threads(connection: sqlite3.Connection, *, now_s: int) -> bool:
    """Note which threads are gone and which came back, and delete what was of those gone for 90 days.

    A unit of work on `user.sqlite`, for after a reconcile: while the list is incomplete nothing is gone.
    Returns whether memories were hidden or came back; the consolidation is dirty then.
    """
    if not list_is_complete(get_backfill_state(connection)):
        return False
    there = "SELECT id FROM state.threads"
    back = _ids(connection, f"SELECT thread_id FROM missing_threads WHERE thread_id IN ({there})")
    gone = _ids(
        connection,
        " UNION ".join(
            f"SELECT {column} FROM {table} WHERE {_CONDITIONS.get(table, '1')}"
            f" AND {column} NOT IN ({there}) AND {column} NOT IN (SELECT thread_id FROM missing_threads)"
            for table, column in _KEPT.items()
        ),
    )
    connection.executemany("DELETE FROM missing_threads WHERE thread_id = ?", back)
    connection.executemany(
        "INSERT INTO missing_threads (thread_id, since) VALUES (?, ?)", [(*thread, now_s) for thread in gone]
    )
    for (thread_id,) in _ids(
        connection, "SELECT thread_id FROM missing_threads WHERE since <= ?", now_s - KEPT_SECONDS
    ):
        for table, column in _KEPT.items():
            condition = _CONDITIONS.get(table, "1")
            connection.execute(f"DELETE FROM {table} WHERE {condition} AND {column} = ?", (thread_id,))
        connection.execute("DELETE FROM missing_threads WHERE thread_id = ?", (thread_id,))
    remembered = {
        thread
        for thread in (*back, *gone)
        if connection.execute("SELECT 1 FROM thread_memory WHERE thread_id = ?", thread).fetchone()
    }
    if remembered:
        enqueue_global_consolidation(connection, 0)
    return bool(remembered)


def _ids(connection: sqlite3.Connection, sql: str, *values: object) -> list[tuple[str]]:
    return connection.execute(sql, values).fetchall()
