"""What phase 1 made of each thread; steps of units of work on `user.sqlite`.

What is left of threads that have no file any more is never among it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from store.memories.models import ThreadMemory
from store.memories.selection import MEMORY_IS_ON
from store.models import display_title

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_COLUMNS: Final = (
    "thread_id",
    "trace_summary",
    "memory_summary",
    "updated_at",
    "source_updated_at",
    "rollout_slug",
    "engine",
)
_SELECT: Final = (
    f"SELECT {', '.join(f'm.{column}' for column in _COLUMNS)}, t.cwd, t.rollout_path,"
    " c.name, t.title, t.first_user_message, t.preview"
    " FROM thread_memory m JOIN state.threads t ON t.id = m.thread_id"
    " LEFT JOIN state.codex_threads c ON c.thread_id = m.thread_id"
)
_NEWEST_FIRST: Final = "ORDER BY m.updated_at DESC, m.thread_id DESC"


def get_thread_memory(connection: sqlite3.Connection, thread_id: str) -> ThreadMemory | None:
    """What was made of one thread; None when nothing was, or the thread is gone."""
    found = _memories(connection, "WHERE m.thread_id = ?", thread_id)
    return found[0] if found else None


def get_last_n_thread_memories_for_cwd(
    connection: sqlite3.Connection, cwd: str, n: int
) -> list[ThreadMemory]:
    """The newest of exactly this folder."""
    return _memories(connection, f"WHERE t.cwd = ? {_NEWEST_FIRST} LIMIT ?", cwd, n)


def thread_memories(connection: sqlite3.Connection, *, limit: int = -1) -> list[ThreadMemory]:
    """All that are to be consolidated, or the newest of them; newest first.

    Those of threads whose memory was switched off since are not among them, as with Codex (from 0.106 on).
    """
    return _memories(connection, f"WHERE {MEMORY_IS_ON} {_NEWEST_FIRST} LIMIT ?", limit)


def upsert_thread_memory(
    connection: sqlite3.Connection,
    thread_id: str,
    trace_summary: str,
    memory_summary: str,
    *,
    now_s: int,
    source_updated_at: int | None = None,
    rollout_slug: str | None = None,
    engine: str | None = None,
) -> None:
    """Keep what was made of a thread; `updated_at` always advances, whatever the clock says.

    What was made of an earlier state of the thread than the one that is kept changes nothing.
    """
    connection.execute(
        f"INSERT INTO thread_memory ({', '.join(_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (thread_id) DO UPDATE SET trace_summary = excluded.trace_summary,"
        " memory_summary = excluded.memory_summary,"
        " updated_at = max(excluded.updated_at, thread_memory.updated_at + 1),"
        " source_updated_at = excluded.source_updated_at, rollout_slug = excluded.rollout_slug,"
        " engine = excluded.engine"
        " WHERE excluded.source_updated_at IS NULL"
        " OR excluded.source_updated_at >= COALESCE(thread_memory.source_updated_at, -1)",
        (thread_id, trace_summary, memory_summary, now_s, source_updated_at, rollout_slug, engine),
    )


def delete_thread_memory(connection: sqlite3.Connection, thread_id: str) -> bool:
    """Forget what was made of a thread; False when nothing was."""
    deleted = connection.execute("DELETE FROM thread_memory WHERE thread_id = ?", (thread_id,))
    return deleted.rowcount == 1


def _memories(connection: sqlite3.Connection, condition: str, *values: object) -> list[ThreadMemory]:
    return [_memory(row) for row in connection.execute(f"{_SELECT} {condition}", values).fetchall()]


def _memory(row: Sequence[Any]) -> ThreadMemory:
    cwd, rollout_path, *words = row[len(_COLUMNS) :]
    return ThreadMemory(
        **dict(zip(_COLUMNS, row, strict=False)),
        cwd=cwd,
        rollout_path=rollout_path,
        title=display_title(*words),
    )
