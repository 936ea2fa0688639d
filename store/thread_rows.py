"""Rows of the state database: what one read of a rollout writes, and what a `Thread` is made from.

Every function here is one step of a unit of work: it runs on a connection that is already in its transaction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from store.discrepancies import compare_rows, record, resolve
from store.models import Git, Thread, Tokens

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from store.models import DynamicTool
    from store.rollouts.metadata import RolloutFacts
    from store.rollouts.scan import RolloutFile

FACT_COLUMNS: Final = (
    "cwd",
    "title",
    "first_user_message",
    "preview",
    "source",
    "source_detail",
    "parent_thread_id",
    "forked_from_id",
    "history_base",
    "agent_nickname",
    "agent_role",
    "model_provider",
    "model",
    "reasoning_effort",
    "cli_version",
    "originator",
    "sandbox_policy",
    "approval_mode",
    "memory_mode",
    "tokens_used",
    "tokens_input",
    "tokens_cached_input",
    "tokens_output",
    "tokens_reasoning_output",
    "git_sha",
    "git_branch",
    "git_origin_url",
    "turns",
    "messages",
    "bad_lines",
    "unknown_records",
)
"""Columns of `threads` that have the name of the fact that they hold."""

_ROW_COLUMNS: Final = (
    "id",
    "rollout_path",
    "archived",
    "compressed",
    "index_state",
    "created_at",
    "updated_at",
    "size_bytes",
    *FACT_COLUMNS,
)

_UPSERT: Final = (
    f"INSERT INTO threads ({', '.join(_ROW_COLUMNS)}) VALUES ({', '.join('?' * len(_ROW_COLUMNS))})"
    f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in _ROW_COLUMNS[1:])}"
)

_UPSERT_ROLLOUT: Final = """
    INSERT INTO rollouts
        (path, thread_id, size, mtime_ns, inode, step, decoded_bytes, parsed_bytes, fold, problem)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (path) DO UPDATE SET
        thread_id = excluded.thread_id, size = excluded.size, mtime_ns = excluded.mtime_ns,
        inode = excluded.inode, step = excluded.step, decoded_bytes = excluded.decoded_bytes,
        parsed_bytes = excluded.parsed_bytes, fold = excluded.fold, problem = excluded.problem
"""


@dataclass(frozen=True, slots=True)
class KnownRollout:
    """What the database knows of one rollout file."""

    path: str
    thread_id: str | None
    size: int
    mtime_ns: int
    inode: int
    step: Literal["heads", "full", "failed"]
    parsed_bytes: int

    def same_file(self, file: RolloutFile) -> bool:
        """Whether the file is as it was when it was read."""
        return (self.size, self.mtime_ns, self.inode) == (file.size, file.mtime_ns, file.inode)


@dataclass(frozen=True, slots=True)
class RolloutRead:
    """What one read of a rollout found, ready to be written."""

    file: RolloutFile
    step: Literal["heads", "full"]
    facts: RolloutFacts
    decoded_bytes: int | None
    parsed_bytes: int = 0
    fold: bytes | None = None
    complete: bool = True
    """False while a huge file is only read in part: its row stays as the heads step made it."""
    base: KnownRollout | None = None
    """What an incremental read went on from; it is written only where the database still says so."""


def known_rollouts(connection: sqlite3.Connection) -> dict[str, KnownRollout]:
    """Every rollout the database knows, by path."""
    rows = connection.execute(
        "SELECT path, thread_id, size, mtime_ns, inode, step, parsed_bytes FROM rollouts"
    ).fetchall()
    return {row[0]: KnownRollout(*row) for row in rows}


def known_rollout(connection: sqlite3.Connection, path: str) -> KnownRollout | None:
    """What the database knows of the rollout at `path`."""
    row = connection.execute(
        "SELECT path, thread_id, size, mtime_ns, inode, step, parsed_bytes FROM rollouts WHERE path = ?",
        (path,),
    ).fetchone()
    return None if row is None else KnownRollout(*row)


def load_fold(connection: sqlite3.Connection, path: str) -> bytes | None:
    """The state from which reading the rollout at `path` goes on."""
    row = connection.execute("SELECT fold FROM rollouts WHERE path = ?", (path,)).fetchone()
    return None if row is None else row[0]


def write_read(connection: sqlite3.Connection, read: RolloutRead, *, now_ms: int) -> bool:
    """Write what a read found; False when the database already knows the file better: nothing was written."""
    file = read.file
    known = known_rollout(connection, file.path)
    if known is not None and not _goes_on(known, read):
        return False
    thread_id = read.facts.thread_id
    connection.execute(
        _UPSERT_ROLLOUT,
        (
            file.path,
            thread_id,
            file.size,
            file.mtime_ns,
            file.inode,
            read.step if read.complete else "heads",
            read.decoded_bytes,
            read.parsed_bytes,
            read.fold,
            _problem_text(read.facts),
        ),
    )
    if not read.complete:
        return True
    if known is None:
        _resolve_at(connection, "stale_row", thread_id, file.path, now_ms)
    elif known.step == "failed":
        _resolve_at(connection, "unreadable_file", known.thread_id, file.path, now_ms)
    if _shown_path(connection, thread_id, now_ms=now_ms) == file.path:
        _write_thread(connection, read, known, now_ms=now_ms)
    return True


def _resolve_at(
    connection: sqlite3.Connection, kind: str, thread_id: str | None, path: str, now_ms: int
) -> None:
    field = "rollout_path" if kind == "stale_row" else None
    resolve(connection, kind=kind, thread_id=thread_id, place=path, field=field, now_ms=now_ms)


def _goes_on(known: KnownRollout, read: RolloutRead) -> bool:
    """Whether a read is newer than what is known, or goes further into the same file."""
    if read.base is not None and read.base != known:
        return False
    if known.step == "failed" or not known.same_file(read.file):
        return read.file.mtime_ns >= known.mtime_ns or known.inode != read.file.inode
    if read.step == "heads":
        return known.step == "heads" and known.parsed_bytes == 0
    return known.step == "heads" or read.parsed_bytes >= known.parsed_bytes


def _write_thread(
    connection: sqlite3.Connection, read: RolloutRead, known: KnownRollout | None, *, now_ms: int
) -> None:
    facts, file = read.facts, read.file
    values = {
        "id": facts.thread_id,
        "rollout_path": file.path,
        "archived": file.archived,
        "compressed": file.compressed,
        "index_state": read.step,
        "created_at": facts.created_at,
        "updated_at": facts.updated_at if facts.updated_at is not None else file.mtime_ns // 1_000_000,
        "size_bytes": file.size,
        **{column: getattr(facts, column) for column in FACT_COLUMNS},
    }
    if known is not None:
        _record_drift(connection, values, file_changed=not known.same_file(file), now_ms=now_ms)
    connection.execute(_UPSERT, tuple(values.values()))
    if facts.tools:
        insert_tools(connection, facts.thread_id, facts.tools)


def _record_drift(
    connection: sqlite3.Connection, values: Mapping[str, Any], *, file_changed: bool, now_ms: int
) -> None:
    """Record where the row that is about to be replaced disagrees with the file that it was made from."""
    path = values["rollout_path"]
    row = connection.execute(
        f"SELECT {', '.join(_ROW_COLUMNS)} FROM threads WHERE id = ? AND rollout_path = ?",
        (values["id"], path),
    ).fetchone()
    if row is None:
        return
    found = dict(zip(_ROW_COLUMNS, row, strict=True))
    for field, expected, wrong in compare_rows(found, values, file_changed=file_changed):
        record(
            connection,
            kind="field_drift",
            thread_id=values["id"],
            place=path,
            field=field,
            expected=expected,
            found=wrong,
            now_ms=now_ms,
        )


def insert_tools(connection: sqlite3.Connection, thread_id: str, tools: Iterable[DynamicTool]) -> None:
    """Add the thread's dynamic tools; what is there stays."""
    connection.executemany(
        "INSERT INTO thread_dynamic_tools"
        " (thread_id, position, name, description, input_schema, defer_loading, namespace)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (thread_id, position) DO NOTHING",
        [
            (
                thread_id,
                tool.position,
                tool.name,
                tool.description,
                None if tool.input_schema is None else json.dumps(tool.input_schema, ensure_ascii=False),
                tool.defer_loading,
                tool.namespace,
            )
            for tool in tools
        ],
    )


def write_failure(connection: sqlite3.Connection, file: RolloutFile, reason: str, *, now_ms: int) -> None:
    """Remember a rollout that could not be read, so that it is not opened again until it changes."""
    connection.execute(
        _UPSERT_ROLLOUT,
        (file.path, file.thread_id, file.size, file.mtime_ns, file.inode, "failed", None, 0, None, reason),
    )
    record(
        connection,
        kind="unreadable_file",
        thread_id=file.thread_id,
        place=file.path,
        field="",
        expected="a rollout that can be read",
        found=reason,
        now_ms=now_ms,
    )


def _shown_path(connection: sqlite3.Connection, thread_id: str, *, now_ms: int) -> str | None:
    """Which of the thread's files is shown: larger decoded length, then active, then plain.

    The others are recorded as `duplicate_file`.
    """
    rows = connection.execute(
        "SELECT path, COALESCE(decoded_bytes, size) FROM rollouts WHERE thread_id = ? AND step <> 'failed'",
        (thread_id,),
    ).fetchall()
    if len(rows) < 2:
        return rows[0][0] if rows else None
    ranked = sorted(
        rows, key=lambda row: (row[1], not is_archived_path(row[0]), not is_compressed_path(row[0]), row[0])
    )
    shown: str = ranked[-1][0]
    for path, _length in ranked[:-1]:
        record(
            connection,
            kind="duplicate_file",
            thread_id=thread_id,
            place=path,
            field="",
            expected=shown,
            found=path,
            now_ms=now_ms,
        )
    return shown


def is_archived_path(path: str) -> bool:
    """Whether a rollout's path lies in the archive."""
    return path.startswith("archived_sessions/")


def is_compressed_path(path: str) -> bool:
    """Whether a rollout's name says that it is compressed."""
    return path.endswith(".zst")


def move_rollout(
    connection: sqlite3.Connection, old: KnownRollout, file: RolloutFile, *, now_ms: int
) -> None:
    """Follow a file that was moved, archived or unarchived, without reading it again."""
    connection.execute("DELETE FROM rollouts WHERE path = ?", (file.path,))
    connection.execute(
        "UPDATE rollouts SET path = ?, size = ?, mtime_ns = ?, inode = ? WHERE path = ?",
        (file.path, file.size, file.mtime_ns, file.inode, old.path),
    )
    connection.execute(
        "UPDATE threads SET rollout_path = ?, archived = ?, compressed = ? WHERE rollout_path = ?",
        (file.path, file.archived, file.compressed, old.path),
    )
    resolve(connection, kind="duplicate_file", thread_id=old.thread_id, place=old.path, now_ms=now_ms)


def forget_rollout(connection: sqlite3.Connection, path: str, *, now_ms: int) -> None:
    """Forget a file that another of the same thread has taken the place of; the thread keeps its row."""
    row = connection.execute("DELETE FROM rollouts WHERE path = ? RETURNING thread_id", (path,)).fetchone()
    if row is not None:
        for kind in ("duplicate_file", "unreadable_file"):
            _resolve_at(connection, kind, row[0], path, now_ms)


def prune_rollout(connection: sqlite3.Connection, path: str, *, now_ms: int) -> None:
    """Forget a rollout that is gone, and the thread that showed it.

    Where another file of the same thread is known, that one has to be read again: its fingerprint is cleared.
    """
    forget_rollout(connection, path, now_ms=now_ms)
    gone = connection.execute("DELETE FROM threads WHERE rollout_path = ? RETURNING id", (path,)).fetchone()
    if gone is None:
        return
    connection.execute("UPDATE rollouts SET mtime_ns = -1 WHERE thread_id = ?", gone)
    record(
        connection,
        kind="stale_row",
        thread_id=gone[0],
        place=path,
        field="rollout_path",
        found=path,
        now_ms=now_ms,
    )


def _problem_text(facts: RolloutFacts) -> str | None:
    if not facts.problems:
        return None
    first = facts.problems[0]
    return f"{first.reason} (line {first.line + 1})"


_SELECT_COLUMNS: Final = (
    "key",
    "id",
    "rollout_path",
    "archived",
    "compressed",
    "index_state",
    "created_at",
    "updated_at",
    "cwd",
    "title",
    "first_user_message",
    "preview",
    "source",
    "source_detail",
    "parent_thread_id",
    "forked_from_id",
    "agent_nickname",
    "agent_role",
    "model_provider",
    "model",
    "reasoning_effort",
    "cli_version",
    "originator",
    "sandbox_policy",
    "approval_mode",
    "tokens_used",
    "tokens_input",
    "tokens_cached_input",
    "tokens_output",
    "tokens_reasoning_output",
    "git_sha",
    "git_branch",
    "git_origin_url",
    "size_bytes",
    "turns",
    "messages",
    "bad_lines",
)

SELECT_THREAD: Final = (
    f"SELECT {', '.join('t.' + c for c in _SELECT_COLUMNS)},"
    " c.name AS name, COALESCE(c.memory_mode, t.memory_mode) AS memory_mode,"
    " (SELECT COUNT(*) FROM threads k WHERE k.parent_thread_id = t.id) AS children"
    " FROM threads t LEFT JOIN codex_threads c ON c.thread_id = t.id"
)
_SELECTED: Final = (*_SELECT_COLUMNS, "name", "memory_mode", "children")


def thread_from_row(row: Sequence[Any]) -> Thread:
    """A `Thread` from a row of `SELECT_THREAD`."""
    return make_thread(dict(zip(_SELECTED, row, strict=True)))


def thread_from_facts(
    key: int, file: RolloutFile, facts: RolloutFacts, *, name: str | None, full: bool
) -> Thread:
    """A `Thread` straight from its file, for listings that no database backs."""
    values: dict[str, Any] = {
        column: getattr(facts, column)
        for column in FACT_COLUMNS
        if column not in ("history_base", "unknown_records")
    }
    values.update(
        key=key,
        id=facts.thread_id,
        rollout_path=file.path,
        archived=file.archived,
        compressed=file.compressed,
        index_state="full" if full else "heads",
        created_at=facts.created_at,
        updated_at=facts.updated_at if facts.updated_at is not None else file.mtime_ns // 1_000_000,
        size_bytes=file.size,
        name=name,
        children=0,
    )
    return make_thread(values)


def make_thread(values: dict[str, Any]) -> Thread:
    """A `Thread` from column values; JSON texts become JSON values."""
    return Thread(
        index=values.pop("index_state"),
        tokens=Tokens(
            input=values.pop("tokens_input"),
            cached_input=values.pop("tokens_cached_input"),
            output=values.pop("tokens_output"),
            reasoning_output=values.pop("tokens_reasoning_output"),
            total=values["tokens_used"],
        ),
        git=Git(
            sha=values.pop("git_sha"),
            branch=values.pop("git_branch"),
            origin_url=values.pop("git_origin_url"),
        ),
        source_detail=_json(values.pop("source_detail")),
        sandbox_policy=_json(values.pop("sandbox_policy")),
        **values,
    )


def _json(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
