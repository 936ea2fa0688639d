"""What Codex's own state database says, whichever version of Codex wrote it; read only, never raising.

Columns are probed on every read, in the same snapshot as the SELECT. `*_ms` columns came with 0.130,
`preview` with 0.140, `name` and `history_mode` with 0.150; a column that a version does not have is None.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from store import codex_connection
from store.codex_connection import BUSY_SECONDS, CodexDatabases, DatabaseFingerprint
from store.errors import CodexDatabaseError
from store.models import DynamicTool, Notice

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

KNOWN_MIGRATION = 62
"""The last migration of the state database that this program was written against (Codex 0.169)."""


class CodexThreadRow(NamedTuple):
    """One row of Codex's `threads`; times in ms since the epoch, texts as Codex wrote them."""

    id: str
    rollout_path: str
    """Absolute, and of the home as it was then; see `relative_rollout_path`."""
    created_at: int | None
    updated_at: int | None
    source: str | None
    """A word, or an object as JSON text."""
    model_provider: str | None
    cwd: str | None
    title: str | None
    sandbox_policy: str | None
    """JSON text of a policy or, from 0.169 on, of a permission profile; sometimes a bare word."""
    approval_mode: str | None
    tokens_used: int | None
    git_sha: str | None
    git_branch: str | None
    git_origin_url: str | None
    cli_version: str | None
    first_user_message: str | None
    preview: str | None
    name: str | None
    memory_mode: str | None
    model: str | None
    reasoning_effort: str | None
    agent_nickname: str | None
    agent_role: str | None
    history_mode: str | None
    thread_source: str | None
    archived: bool


class NameAndMode(NamedTuple):
    """What of a thread stands in the database alone."""

    id: str
    name: str | None
    memory_mode: str | None


class SpawnEdge(NamedTuple):
    """A sub-agent thread and the thread that spawned it (0.130 and later)."""

    parent_thread_id: str
    child_thread_id: str
    status: str | None


class CodexBackfill(NamedTuple):
    """Codex's own `backfill_state` (0.101 and later); times in ms since the epoch."""

    status: str
    last_watermark: str | None
    last_success_at: int | None
    updated_at: int | None


@dataclass(frozen=True, slots=True)
class FromCodex(Generic[T]):
    """What was read; where a notice says why it could not be, `rows` is empty."""

    rows: T
    database: str | None
    """Its file name, or None when there is none."""
    notice: Notice | None = None


CodexThreads = FromCodex[dict[str, CodexThreadRow]]


class CodexState:
    """A view of the state database in Codex's SQLite home.

    Each call finds the newest database, opens it, reads in one snapshot and closes it, so a database that was
    replaced, migrated or removed in between is met as it is now. Calls block for up to `busy_seconds` on a
    locked database; run them away from the event loop. Safe to call from several threads.
    """

    def __init__(self, sqlite_path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._sqlite_path = sqlite_path
        self._busy_seconds = busy_seconds

    def databases(self) -> CodexDatabases:
        """The databases that are there now.

        Raises:
            CodexDatabaseError: the folder cannot be listed.
        """
        return codex_connection.find_databases(self._sqlite_path)

    def fingerprint(self) -> tuple[str, DatabaseFingerprint] | None:
        """Name and stamps of the state database, None without one; while they stay equal, so do its rows."""
        try:
            path = self.databases().state
        except CodexDatabaseError:
            return None
        return None if path is None else (path.name, codex_connection.fingerprint(path))

    def read_threads(self) -> CodexThreads:
        """All threads by id."""
        return self._read(_threads, {})

    def read_names_and_modes(self) -> FromCodex[list[NameAndMode]]:
        """Only what no rollout holds, for every thread; cheap enough for 100,000 of them."""
        return self._read(_names_and_modes, [])

    def read_backfill(self) -> FromCodex[CodexBackfill | None]:
        """How far Codex's own import came; None before 0.101."""
        return self._read(_backfill, None)

    def read_migration(self) -> FromCodex[int | None]:
        """The last migration applied: the database's schema version."""
        return self._read(_migration, None)

    def read_spawn_edges(self) -> FromCodex[list[SpawnEdge]]:
        """Which thread spawned which; empty before 0.130."""
        return self._read(_spawn_edges, [])

    def read_dynamic_tools(self, thread_id: str) -> FromCodex[tuple[DynamicTool, ...]]:
        """The thread's dynamic tools in their order; empty for the paginated threads of 0.169."""
        return self._read(lambda connection: _dynamic_tools(connection, thread_id), ())

    def _read(self, unit: Callable[[sqlite3.Connection], T], empty: T) -> FromCodex[T]:
        name = None
        try:
            path = self.databases().state
            if path is None:
                return FromCodex(empty, None, _no_database(self._sqlite_path))
            name = path.name
            return FromCodex(codex_connection.read(path, unit, busy_seconds=self._busy_seconds), name)
        except CodexDatabaseError as error:
            notice = Notice(severity="warning", what=error.what, why=error.why, next_step=error.next_step)
            return FromCodex(empty, name, notice)


def relative_rollout_path(text: str) -> str | None:
    """The path below a Codex home of a rollout path as Codex stored it, whichever home that was.

    A moved or copied home makes every absolute path stale; what follows the last `sessions` or
    `archived_sessions` stays true. None when neither is in it. Windows separators are understood.
    """
    for separator in (r"/", r"[/\\]"):
        parts = re.split(separator, text)
        for index in range(len(parts) - 2, -1, -1):
            if parts[index] in ("sessions", "archived_sessions"):
                below = [part for part in parts[index:] if part not in ("", ".")]
                return None if ".." in below or len(below) < 2 else "/".join(below)
    return None


def _no_database(sqlite_path: Path) -> Notice:
    return Notice(
        severity="information",
        what=f"Codex keeps no state database in {sqlite_path}",
        why="Codex before 0.105 has none unless asked to, or it lies elsewhere",
        next_step="Threads are read from the rollouts; give --sqlite-home if it lies elsewhere",
    )


def _columns(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    return frozenset(row[1] for row in connection.execute(f"PRAGMA table_info({table})").fetchall())


def _threads_columns(connection: sqlite3.Connection) -> frozenset[str]:
    columns = _columns(connection, "threads")
    if {"id", "rollout_path"} <= columns:
        return columns
    migration = _migration(connection)
    newer = migration is not None and migration > KNOWN_MIGRATION
    raise CodexDatabaseError(
        "Codex's state database has no threads that this program can read",
        why=f"it is at migration {migration}, newer than this program knows ({KNOWN_MIGRATION})"
        if newer
        else "its table `threads` is missing or has no id and rollout_path",
        next_step="Update Rollodex; threads are read from the rollouts meanwhile"
        if newer
        else "Threads are read from the rollouts meanwhile",
    )


def _cast(columns: frozenset[str], kind: str, *names: str) -> str:
    """The first of these columns that is there, as this kind; SQLite columns hold any type."""
    for name in names:
        if name in columns:
            return f"CAST({name} AS {kind})"
    return "NULL"


def _milliseconds(columns: frozenset[str], name: str) -> str:
    """A time in ms; the `_ms` column is NULL in rows that an older Codex wrote."""
    found = [
        term for column, term in ((f"{name}_ms", f"{name}_ms"), (name, f"{name} * 1000")) if column in columns
    ]
    return f"CAST(COALESCE({', '.join(found)}, NULL) AS INTEGER)" if found else "NULL"


_INTEGERS = frozenset({"tokens_used", "archived"})
_FALLBACKS = {"preview": ("preview", "first_user_message", "title")}


def _threads(connection: sqlite3.Connection) -> dict[str, CodexThreadRow]:
    columns = _threads_columns(connection)
    terms = []
    for field in CodexThreadRow._fields:
        if field in ("created_at", "updated_at"):
            terms.append(_milliseconds(columns, field))
        elif field == "rollout_path":
            terms.append("COALESCE(CAST(rollout_path AS TEXT), '')")
        else:
            kind = "INTEGER" if field in _INTEGERS else "TEXT"
            terms.append(_cast(columns, kind, *_FALLBACKS.get(field, (field,))))
    cursor = connection.execute(f"SELECT {', '.join(terms)} FROM threads WHERE id IS NOT NULL")
    return {row[0]: CodexThreadRow._make((*row[:-1], bool(row[-1]))) for row in cursor.fetchall()}


def _names_and_modes(connection: sqlite3.Connection) -> list[NameAndMode]:
    columns = _threads_columns(connection)
    terms = ", ".join(_cast(columns, "TEXT", field) for field in NameAndMode._fields)
    rows = connection.execute(f"SELECT {terms} FROM threads WHERE id IS NOT NULL").fetchall()
    return list(map(NameAndMode._make, rows))


def _migration(connection: sqlite3.Connection) -> int | None:
    if not {"version", "success"} <= _columns(connection, "_sqlx_migrations"):
        return None
    row = connection.execute(
        "SELECT max(CAST(version AS INTEGER)) FROM _sqlx_migrations WHERE success"
    ).fetchone()
    return None if row is None else row[0]


def _backfill(connection: sqlite3.Connection) -> CodexBackfill | None:
    columns = _columns(connection, "backfill_state")
    if not {"id", "status"} <= columns:
        return None
    terms = [
        "COALESCE(CAST(status AS TEXT), '')",
        _cast(columns, "TEXT", "last_watermark"),
        _milliseconds(columns, "last_success_at"),
        _milliseconds(columns, "updated_at"),
    ]
    row = connection.execute(f"SELECT {', '.join(terms)} FROM backfill_state WHERE id = 1").fetchone()
    return None if row is None else CodexBackfill._make(row)


def _spawn_edges(connection: sqlite3.Connection) -> list[SpawnEdge]:
    columns = _columns(connection, "thread_spawn_edges")
    if not {"parent_thread_id", "child_thread_id"} <= columns:
        return []
    terms = ", ".join(_cast(columns, "TEXT", field) for field in SpawnEdge._fields)
    rows = connection.execute(
        f"SELECT {terms} FROM thread_spawn_edges"
        " WHERE parent_thread_id IS NOT NULL AND child_thread_id IS NOT NULL"
    ).fetchall()
    return list(map(SpawnEdge._make, rows))


def _dynamic_tools(connection: sqlite3.Connection, thread_id: str) -> tuple[DynamicTool, ...]:
    columns = _columns(connection, "thread_dynamic_tools")
    if not {"thread_id", "position", "name"} <= columns:
        return ()
    terms = [
        "CAST(position AS INTEGER)",
        "CAST(name AS TEXT)",
        _cast(columns, "TEXT", "description"),
        _cast(columns, "TEXT", "input_schema"),
        _cast(columns, "INTEGER", "defer_loading"),
        _cast(columns, "TEXT", "namespace"),
    ]
    rows = connection.execute(
        f"SELECT {', '.join(terms)} FROM thread_dynamic_tools"
        " WHERE thread_id = ? AND position IS NOT NULL AND name IS NOT NULL ORDER BY position",
        (thread_id,),
    ).fetchall()
    return tuple(
        DynamicTool(
            position=position,
            name=name,
            description=description,
            input_schema=_json_or_text(input_schema),
            defer_loading=None if defer_loading is None else bool(defer_loading),
            namespace=namespace,
        )
        for position, name, description, input_schema, defer_loading, namespace in rows
    )


def _json_or_text(text: str | None) -> Any:
    if text is None:
        return None
    with suppress(ValueError, RecursionError):
        return json.loads(text)
    return text
