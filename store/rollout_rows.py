"""Rows made from rollouts: what reads of them write, and what happens to the rows of those that go.

Every function is one step of a unit of work: it runs on a connection that is already in its transaction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal

from store.discrepancies import compare_rows, record, resolve
from store.own_logs import log
from store.rollouts.scan import is_reverted, rollout_id_in_name, rollout_order, thread_id_in_name
from store.search.index import (
    Written,
    forget_found,
    forget_title,
    move_found,
    write_found,
    write_titles,
)
from store.thread_rows import FACT_COLUMNS, WORDS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from store.models import DynamicTool
    from store.rollouts.metadata import RolloutFacts
    from store.rollouts.scan import RolloutFile
    from store.rollouts.searchable import Found

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

_fact_values = attrgetter(*FACT_COLUMNS)

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

_READ_ANEW: Final = "UPDATE rollouts SET step = 'heads', parsed_bytes = 0, fold = NULL WHERE path = ?"


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

    @property
    def rollout_id(self) -> str | None:
        """What is the same for the file wherever it is moved, and compressed or not."""
        return rollout_id_in_name(self.path) or self.thread_id

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
    found: Found | None = None
    """What a full read found to search."""
    base: KnownRollout | None = None
    """What an incremental read went on from; it is written only where the database still says so."""


_SELECT_KNOWN: Final = "SELECT path, thread_id, size, mtime_ns, inode, step, parsed_bytes FROM rollouts"


def known_rollouts(connection: sqlite3.Connection) -> dict[str, KnownRollout]:
    """Every rollout the database knows, by path."""
    return {row[0]: KnownRollout(*row) for row in connection.execute(_SELECT_KNOWN).fetchall()}


def known_near(
    connection: sqlite3.Connection, paths: Collection[str], folders: Iterable[str] = ()
) -> dict[str, KnownRollout]:
    """The rollouts known at these paths, in these folders, and elsewhere of the same threads."""
    ids = [wanted for path in paths if (wanted := thread_id_in_name(path)) is not None]
    found = _known_among(connection, list(paths))
    for condition, values in (
        (f"thread_id IN ({', '.join('?' * len(ids))})", ids),
        *(("path > ? AND path < ?", [f"{folder}/", f"{folder}0"]) for folder in folders),
    ):
        rows = connection.execute(f"{_SELECT_KNOWN} WHERE {condition}", values).fetchall()
        found.update((row[0], KnownRollout(*row)) for row in rows)
    return found


def load_fold(connection: sqlite3.Connection, path: str) -> bytes | None:
    """The state from which reading the rollout at `path` goes on."""
    row = connection.execute("SELECT fold FROM rollouts WHERE path = ?", (path,)).fetchone()
    return None if row is None else row[0]


def write_read(connection: sqlite3.Connection, read: RolloutRead, *, now_ms: int) -> bool:
    """Write what one read found; False when the database knows the file better: nothing was written."""
    return write_reads(connection, [read], now_ms=now_ms) == 1


def write_reads(connection: sqlite3.Connection, reads: Sequence[RolloutRead], *, now_ms: int) -> int:
    """Write what a batch of reads found, each of another file; returns how many of them were written.

    What the database already knows better is left as it is.
    """
    known = _known_among(connection, [read.file.path for read in reads])
    news = [read for read in reads if (old := known.get(read.file.path)) is None or _goes_on(old, read)]
    connection.executemany(_UPSERT_ROLLOUT, [_rollout_row(read) for read in news])
    lacking = write_found(
        connection,
        [
            Written(read.file.path, read.found, read.parsed_bytes, _time(read))
            for read in news
            if read.found is not None
        ],
    )
    connection.executemany(_READ_ANEW, [(path,) for path in lacking])
    whole = [read for read in news if read.complete]
    _resolve_what_came_back(connection, whole, known, now_ms)
    contested = _contested(connection, [read.facts.thread_id for read in whole])
    shown = [
        read
        for read in whole
        if read.facts.thread_id not in contested
        or _shown_path(connection, read.facts.thread_id, now_ms=now_ms) == read.file.path
    ]
    rows = [(read, _thread_row(connection, read)) for read in shown]
    _record_drift(connection, [pair for pair in rows if pair[0].file.path in known], known, now_ms)
    connection.executemany(_UPSERT, [row for _read, row in rows])
    for read in whole:
        if read.facts.thread_id in contested:
            _give_words(connection, read)
    for read in shown:
        if read.facts.tools:
            insert_tools(connection, read.facts.thread_id, read.facts.tools)
    write_titles(connection, [read.facts.thread_id for read in whole])
    return len(news)


def _known_among(connection: sqlite3.Connection, paths: Sequence[str]) -> dict[str, KnownRollout]:
    rows = connection.execute(
        f"{_SELECT_KNOWN} WHERE path IN ({', '.join('?' * len(paths))})", paths
    ).fetchall()
    return {row[0]: KnownRollout(*row) for row in rows}


def _rollout_row(read: RolloutRead) -> tuple[object, ...]:
    file, problems = read.file, read.facts.problems
    return (
        file.path,
        read.facts.thread_id,
        file.size,
        file.mtime_ns,
        file.inode,
        read.step if read.complete else "heads",
        read.decoded_bytes,
        read.parsed_bytes,
        read.fold,
        f"{problems[0].reason} (line {problems[0].line + 1})" if problems else None,
    )


def _thread_row(connection: sqlite3.Connection, read: RolloutRead) -> tuple[object, ...]:
    facts, file = read.facts, read.file
    if is_reverted(file.path):
        facts = _keeping_row_words(connection, facts)
    return (
        facts.thread_id,
        file.path,
        file.archived,
        file.compressed,
        read.step,
        facts.created_at,
        _time(read),
        file.size,
        *_fact_values(facts),
    )


def _time(read: RolloutRead) -> int:
    """When the thread was last written to."""
    told = read.facts.updated_at
    return told if told is not None else read.file.mtime_ns // 1_000_000


def _keeping_row_words(connection: sqlite3.Connection, facts: RolloutFacts) -> RolloutFacts:
    """The facts with the title, first message and preview that the thread's row has already."""
    words = connection.execute(
        f"SELECT {', '.join(WORDS)} FROM threads WHERE id = ?", (facts.thread_id,)
    ).fetchone()
    kept = zip(WORDS, words or (), strict=False)
    return replace(facts, **{name: word for name, word in kept if word is not None})


def _give_words(connection: sqlite3.Connection, read: RolloutRead) -> None:
    """Give a reverted thread's row the words of its first rollout, where this is that one."""
    paths = [
        row[0]
        for row in connection.execute(
            "SELECT path FROM rollouts WHERE thread_id = ? AND step <> 'failed'", (read.facts.thread_id,)
        )
    ]
    order = rollout_order(read.file.path)
    if order != min(map(rollout_order, paths)) or order == max(map(rollout_order, paths)):
        return
    connection.execute(
        f"UPDATE threads SET {', '.join(f'{name} = COALESCE(?, {name})' for name in WORDS)} WHERE id = ?",
        (*(getattr(read.facts, name) for name in WORDS), read.facts.thread_id),
    )


def _resolve_what_came_back(
    connection: sqlite3.Connection,
    reads: Sequence[RolloutRead],
    known: Mapping[str, KnownRollout],
    now_ms: int,
) -> None:
    """Close what was recorded of files that are there again, or can be read again."""
    open_places = {
        row[0]
        for row in connection.execute(
            "SELECT place FROM discrepancies"
            " WHERE resolved_at IS NULL AND kind IN ('stale_row', 'unreadable_file')"
        )
    }
    for read in reads:
        path = read.file.path
        if path in open_places:
            old = known.get(path)
            _resolve_at(connection, "stale_row", read.facts.thread_id, path, now_ms)
            _resolve_at(connection, "unreadable_file", None if old is None else old.thread_id, path, now_ms)


def _contested(connection: sqlite3.Connection, thread_ids: Sequence[str]) -> set[str]:
    """Those of the threads that have more than one file."""
    rows = connection.execute(
        f"SELECT thread_id FROM rollouts WHERE thread_id IN ({', '.join('?' * len(thread_ids))})"
        " AND step <> 'failed' GROUP BY thread_id HAVING COUNT(*) > 1",
        thread_ids,
    ).fetchall()
    return {row[0] for row in rows}


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
        if known.inode != read.file.inode or read.file.mtime_ns >= known.mtime_ns:
            return True
        # All of an earlier state says more than the two ends of a later one, and reading goes on from it.
        return known.step == "heads" and known.parsed_bytes == 0 and read.step == "full"
    if read.step == "heads":
        return known.step == "heads" and known.parsed_bytes == 0
    return known.step == "heads" or read.parsed_bytes >= known.parsed_bytes


def _record_drift(
    connection: sqlite3.Connection,
    rows: Sequence[tuple[RolloutRead, tuple[object, ...]]],
    known: Mapping[str, KnownRollout],
    now_ms: int,
) -> None:
    """Record where the rows about to be replaced disagree with the files that they were made from."""
    ids = [read.facts.thread_id for read, _row in rows]
    found = {
        row[:2]: row
        for row in connection.execute(
            f"SELECT {', '.join(_ROW_COLUMNS)} FROM threads WHERE id IN ({', '.join('?' * len(ids))})", ids
        )
    }
    for read, now in rows:
        path = read.file.path
        before = found.get((read.facts.thread_id, path))
        if before is None or before == now:
            continue
        differences = compare_rows(
            dict(zip(_ROW_COLUMNS, before, strict=True)),
            dict(zip(_ROW_COLUMNS, now, strict=True)),
            file_changed=not known[path].same_file(read.file),
        )
        for field, expected, wrong in differences:
            record(
                connection,
                kind="field_drift",
                thread_id=read.facts.thread_id,
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
    """Which of the thread's files is shown: of its newest rollout, else by `_rank`.

    Other files of one and the same rollout are recorded as `duplicate_file`; earlier rollouts of a reverted
    thread are what it goes on from.
    """
    rows = connection.execute(
        "SELECT path, COALESCE(decoded_bytes, size) FROM rollouts WHERE thread_id = ? AND step <> 'failed'",
        (thread_id,),
    ).fetchall()
    if len(rows) < 2:
        return rows[0][0] if rows else None
    ranked = sorted(rows, key=lambda row: _rank(*row))
    for _, files in groupby((row[0] for row in ranked), rollout_order):
        *others, best = files
        for path in others:
            record(
                connection,
                kind="duplicate_file",
                thread_id=thread_id,
                place=path,
                field="",
                expected=best,
                found=path,
                now_ms=now_ms,
            )
    shown: str = ranked[-1][0]
    return shown


def _rank(path: str, length: int) -> tuple[object, ...]:
    """Newest rollout, then larger decoded length, then active, then plain."""
    return (rollout_order(path), length, not is_archived_path(path), not is_compressed_path(path), path)


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
    move_found(connection, old.path, file.path)
    connection.execute(
        "UPDATE rollouts SET path = ?, size = ?, mtime_ns = ?, inode = ? WHERE path = ?",
        (file.path, file.size, file.mtime_ns, file.inode, old.path),
    )
    connection.execute(
        "UPDATE threads SET rollout_path = ?, archived = ?, compressed = ? WHERE id = ? AND rollout_path = ?",
        (file.path, file.archived, file.compressed, old.thread_id, old.path),
    )
    resolve(connection, kind="duplicate_file", thread_id=old.thread_id, place=old.path, now_ms=now_ms)


def forget_rollout(connection: sqlite3.Connection, path: str, *, now_ms: int) -> str | None:
    """Forget a file that another of the same thread has taken the place of; the thread keeps its row.

    Returns the id of the thread.
    """
    row = connection.execute("DELETE FROM rollouts WHERE path = ? RETURNING thread_id", (path,)).fetchone()
    if row is None:
        return None
    forget_found(connection, path)
    thread_id: str | None = row[0]
    for kind in ("duplicate_file", "unreadable_file"):
        _resolve_at(connection, kind, thread_id, path, now_ms)
    return thread_id


def prune_rollout(
    connection: sqlite3.Connection, path: str, *, now_ms: int, thread_id: str | None = None
) -> None:
    """Forget a rollout that is gone, and the thread that showed it.

    Where another file of the same thread is known, that one has to be read again: its fingerprint is cleared.
    `thread_id` is for a row whose file is not known any more.
    """
    thread_id = forget_rollout(connection, path, now_ms=now_ms) or thread_id
    shown = (thread_id, path)
    forget_title(connection, *shown)
    gone = connection.execute("DELETE FROM threads WHERE id = ? AND rollout_path = ?", shown)
    if gone.rowcount != 1:
        return
    connection.execute("UPDATE rollouts SET mtime_ns = -1 WHERE thread_id = ?", (thread_id,))
    log(
        connection,
        "INFO",
        __name__,
        f"pruned the thread whose rollout is gone: {path}",
        thread_id=thread_id,
        now_ms=now_ms,
    )
    record(
        connection,
        kind="stale_row",
        thread_id=thread_id,
        place=path,
        field="rollout_path",
        found=path,
        now_ms=now_ms,
    )
