"""The tables of Codex's own memory pipeline, in whichever of its databases they are; read only.

They are in the state database up to 0.13x and in databases of their own from 0.140 on. The columns of each
are probed: their order and number differ by version. Times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from store import codex_connection
from store.codex_connection import find_databases
from store.errors import CodexDatabaseError
from store.memories.codex_rules import DAY, LAST_MIGRATION, MAX_AGE_DAYS, rules_of
from store.memories.models import PHASE2, MemoryJob
from store.redaction import redact

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from store.home import CodexHome
    from store.memories.codex_rules import Family, Rules

BUSY_SECONDS: Final = 1.0
"""How long a look waits for a database that another process migrates or repairs; the next look asks again."""

FOLDERS: Final[dict[Family, str]] = {
    "memories_v2": "memories_v2",
    "memories": "memories",
    "state": "memories",
}
"""Where the artifacts of each family are, in the home."""


@dataclass(frozen=True, slots=True)
class Database:
    """One of Codex's databases that may hold the tables."""

    family: Family
    path: Path
    root: Path


@dataclass(frozen=True, slots=True)
class Output:
    """What of a row of `stage1_outputs` counts here."""

    source_updated_at: int
    generated_at: int
    selected: int | None
    """The `source_updated_at` that the last successful consolidation read (0.106 and later)."""
    blank: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What stands in one database."""

    rules: Rules
    newer: bool = False
    """Whether it was migrated further than this program knows."""
    jobs: tuple[MemoryJob, ...] = ()
    """The consolidation first, then the newest first."""
    outputs: Mapping[str, Output] = field(default_factory=dict)
    """By thread."""

    @property
    def phase2(self) -> MemoryJob | None:
        """The consolidation."""
        return next((job for job in self.jobs if job.kind == PHASE2), None)


def databases(home: CodexHome) -> tuple[Database, ...]:
    """The databases that may hold the tables, today's first. Raises CodexDatabaseError."""
    found = find_databases(home.sqlite_path)
    paths: list[tuple[Family, Path]] = [
        ("memories_v2" if path.name.startswith("memories_v2") else "memories", path)
        for path in found.memories
    ]
    if found.state is not None:
        paths.append(("state", found.state))
    return tuple(Database(family, path, home.path / FOLDERS[family]) for family, path in paths)


def read_database(database: Database, *, busy_seconds: float = BUSY_SECONDS) -> Found | None:
    """What stands in it; None when it has none of the tables. Raises CodexDatabaseError."""
    return codex_connection.read(
        database.path, lambda connection: _found(connection, database.family), busy_seconds=busy_seconds
    )


Considered = list[tuple[str, int]]
"""Id and `updated_at` of threads, the newest first."""


def considered_threads(
    all_databases: Sequence[Database], now_s: int, *, busy_seconds: float = BUSY_SECONDS
) -> Considered | None:
    """The threads that an extraction could take, of as many days as it may be told to look back.

    None when there is no state database that can be read.
    """
    state = next((database for database in all_databases if database.family == "state"), None)
    if state is None:
        return None
    oldest_s = now_s - MAX_AGE_DAYS * DAY
    try:
        return codex_connection.read(
            state.path, lambda connection: _considered(connection, oldest_s), busy_seconds=busy_seconds
        )
    except CodexDatabaseError:
        return None


def _columns(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    return frozenset(row[1] for row in connection.execute(f"PRAGMA table_info({table})").fetchall())


def _found(connection: sqlite3.Connection, family: Family) -> Found | None:
    job_columns, output_columns = _columns(connection, "jobs"), _columns(connection, "stage1_outputs")
    has_jobs = {"kind", "job_key", "status"} <= job_columns
    has_outputs = {"thread_id", "source_updated_at"} <= output_columns
    if not has_jobs and not has_outputs:
        return None
    migration = _migration(connection)
    return Found(
        rules_of(family, migration),
        newer=migration is not None and migration > LAST_MIGRATION.get(family, migration),
        jobs=_jobs(connection, job_columns) if has_jobs else (),
        outputs=_outputs(connection, output_columns) if has_outputs else {},
    )


def _migration(connection: sqlite3.Connection) -> int | None:
    if not {"version", "success"} <= _columns(connection, "_sqlx_migrations"):
        return None
    row = connection.execute(
        "SELECT max(CAST(version AS INTEGER)) FROM _sqlx_migrations WHERE success"
    ).fetchone()
    version: int | None = row[0]
    return version


_TEXTS: Final = frozenset({"kind", "job_key", "status", "worker_id", "ownership_token", "last_error"})


def _jobs(connection: sqlite3.Connection, columns: frozenset[str]) -> tuple[MemoryJob, ...]:
    fields = [name for name in MemoryJob.model_fields if name in columns]
    terms = [f"CAST({name} AS {'TEXT' if name in _TEXTS else 'INTEGER'})" for name in fields]
    rows = connection.execute(
        f"SELECT {', '.join(terms)} FROM jobs"
        " WHERE kind IS NOT NULL AND job_key IS NOT NULL AND status IS NOT NULL"
    ).fetchall()
    jobs = []
    for row in rows:
        job = MemoryJob(**{name: value for name, value in zip(fields, row, strict=True) if value is not None})
        # Codex writes what a server said as it is.
        jobs.append(job.model_copy(update={"last_error": redact(job.last_error)}) if job.last_error else job)
    jobs.sort(key=lambda job: (job.kind != PHASE2, -(job.started_at or job.finished_at or 0), job.job_key))
    return tuple(jobs)


def _outputs(connection: sqlite3.Connection, columns: frozenset[str]) -> dict[str, Output]:
    def integer(name: str) -> str:
        return f"CAST({name} AS INTEGER)" if name in columns else "NULL"

    texts = [name for name in ("raw_memory", "rollout_summary") if name in columns]
    size = " + ".join(f"length(trim(COALESCE({name}, '')))" for name in texts) or "1"
    source, generated = integer("source_updated_at"), integer("generated_at")
    selected = integer("selected_for_phase2_source_updated_at")
    rows = connection.execute(
        f"SELECT CAST(thread_id AS TEXT), {source}, {generated}, {selected}, {size} FROM stage1_outputs"
        " WHERE thread_id IS NOT NULL"
    ).fetchall()
    return {
        thread_id: Output(source or 0, generated or 0, selected, blank=not size)
        for thread_id, source, generated, selected, size in rows
    }


def _considered(connection: sqlite3.Connection, oldest_s: int) -> Considered | None:
    """Codex's filter: not archived, begun by a person in a terminal or an editor, memory mode enabled."""
    columns = _columns(connection, "threads")
    if not {"id", "updated_at", "archived", "source"} <= columns:
        return None
    updated = "COALESCE(updated_at_ms / 1000, updated_at)" if "updated_at_ms" in columns else "updated_at"
    updated = f"CAST({updated} AS INTEGER)"
    where = ["id IS NOT NULL", f"{updated} >= ?", "archived = 0", "source IN ('cli', 'vscode')"]
    shown = next((name for name in ("preview", "first_user_message") if name in columns), None)
    if shown is not None:
        where.append(f"{shown} <> ''")
    if "memory_mode" in columns:
        where.append("memory_mode = 'enabled'")
    return connection.execute(
        f"SELECT CAST(id AS TEXT), {updated} FROM threads WHERE {' AND '.join(where)} ORDER BY 2 DESC",
        (oldest_s,),
    ).fetchall()
