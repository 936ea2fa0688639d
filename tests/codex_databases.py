"""State databases as Codex makes them, and another process that works on one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Era = Literal["0.93", "0.105", "0.130", "0.169"]

_BASE = """
    id TEXT PRIMARY KEY, rollout_path TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    source TEXT NOT NULL, model_provider TEXT NOT NULL, cwd TEXT NOT NULL, title TEXT NOT NULL,
    sandbox_policy TEXT NOT NULL, approval_mode TEXT NOT NULL, tokens_used INTEGER NOT NULL DEFAULT 0,
    has_user_event INTEGER NOT NULL DEFAULT 0, archived INTEGER NOT NULL DEFAULT 0, archived_at INTEGER,
    git_sha TEXT, git_branch TEXT, git_origin_url TEXT"""
_ADDED: dict[str, str] = {
    "0.93": "",
    "0.105": """, cli_version TEXT NOT NULL DEFAULT '', first_user_message TEXT NOT NULL DEFAULT '',
    agent_nickname TEXT, agent_role TEXT""",
    "0.130": """, memory_mode TEXT NOT NULL DEFAULT 'enabled', model TEXT, reasoning_effort TEXT,
    agent_path TEXT, created_at_ms INTEGER, updated_at_ms INTEGER, thread_source TEXT""",
    "0.169": """, preview TEXT NOT NULL DEFAULT '', history_mode TEXT NOT NULL DEFAULT 'legacy', name TEXT""",
}
_MIGRATION: dict[str, int] = {"0.93": 3, "0.105": 17, "0.130": 31, "0.169": 62}

_ROW: dict[str, Any] = {
    "rollout_path": "/home/dev/.codex/sessions/2026/11/22/rollout-x.jsonl",
    "created_at": 1_795_389_000,
    "updated_at": 1_795_389_060,
    "source": "cli",
    "model_provider": "openai",
    "cwd": "/home/dev/src",
    "title": "Fix the test",
    "sandbox_policy": '{"type":"read-only"}',
    "approval_mode": "never",
}


def schema(era: Era) -> str:
    """The statements that make the database as this Codex leaves it, without rows."""
    eras = list(_ADDED)
    added = "".join(_ADDED[name] for name in eras[: eras.index(era) + 1])
    return f"""
        CREATE TABLE threads ({_BASE}{added});
        CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
            installed_on TIMESTAMP, success BOOLEAN NOT NULL, checksum BLOB NOT NULL,
            execution_time BIGINT NOT NULL);
        INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
            VALUES ({_MIGRATION[era]}, 'last', 1, x'00', 1);
    """


MEMORY_TABLES = """
    CREATE TABLE stage1_outputs (thread_id TEXT PRIMARY KEY, source_updated_at INTEGER NOT NULL,
        raw_memory TEXT NOT NULL, rollout_summary TEXT NOT NULL, generated_at INTEGER NOT NULL,
        rollout_slug TEXT, usage_count INTEGER, last_usage INTEGER,
        selected_for_phase2 INTEGER NOT NULL DEFAULT 0, selected_for_phase2_source_updated_at INTEGER);
    CREATE TABLE jobs (kind TEXT NOT NULL, job_key TEXT NOT NULL, status TEXT NOT NULL, worker_id TEXT,
        ownership_token TEXT, started_at INTEGER, finished_at INTEGER, lease_until INTEGER, retry_at INTEGER,
        retry_remaining INTEGER NOT NULL, last_error TEXT, input_watermark INTEGER,
        last_success_watermark INTEGER, PRIMARY KEY (kind, job_key));
"""
"""The memory pipeline's tables, in whichever database (0.106 and later)."""

_JOB: dict[str, Any] = {"kind": "memory_stage1", "status": "done", "retry_remaining": 3}
_CONSOLIDATION: dict[str, Any] = _JOB | {"kind": "memory_consolidate_global", "job_key": "global"}
_OUTPUT: dict[str, Any] = {"raw_memory": "raw", "rollout_summary": "summary", "generated_at": 1_795_389_000}


def make_memories(path: Path, migration: int = 2, *, journal: str = "wal") -> sqlite3.Connection:
    """An open database with the memory pipeline's tables; added to a state database where there is one."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.executescript(MEMORY_TABLES)
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations'").fetchall():
        connection.execute("CREATE TABLE _sqlx_migrations (version BIGINT, success BOOLEAN NOT NULL)")
    connection.execute("DELETE FROM _sqlx_migrations")
    columns = [row[1] for row in connection.execute("PRAGMA table_info(_sqlx_migrations)")]
    values = {"version": migration, "success": 1, "description": "last", "checksum": b"", "execution_time": 1}
    insert(connection, "_sqlx_migrations", {name: values[name] for name in columns if name in values})
    return connection


def insert_job(connection: sqlite3.Connection, thread_id: str, **columns: Any) -> None:
    """Add an extraction."""
    insert(connection, "jobs", _JOB | {"job_key": thread_id} | columns)


def insert_consolidation(connection: sqlite3.Connection, **columns: Any) -> None:
    """Add the consolidation."""
    insert(connection, "jobs", _CONSOLIDATION | columns)


def insert_output(connection: sqlite3.Connection, thread_id: str, **columns: Any) -> None:
    """Add what an extraction made."""
    insert(connection, "stage1_outputs", _OUTPUT | {"thread_id": thread_id} | columns)


def insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    """Add a row."""
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))


def insert_thread(connection: sqlite3.Connection, thread_id: Any, **columns: Any) -> None:
    """Add a row, with what it does not say taken from a usual one."""
    insert(connection, "threads", {"id": thread_id, **_ROW, **columns})


def make_database(path: Path, era: Era = "0.169", *thread_ids: str, journal: str = "wal") -> None:
    """A database at rest: closed cleanly, everything in its main file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.executescript(schema(era))
        for thread_id in thread_ids:
            insert_thread(connection, thread_id)


_WORKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    connection.execute(statement).fetchall()
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def other_process(path: Path, *statements: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has run these statements on the database and keeps its connection open."""
    with subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(path), *statements],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def insert_statement(thread_id: str) -> str:
    """The statement of `insert_thread`, for another process."""
    row = {"id": thread_id, **_ROW}
    values = ", ".join(repr(value) for value in row.values())
    return f"INSERT INTO threads ({', '.join(row)}) VALUES ({values})"
