"""Names and memory modes that Codex keeps outside the rollouts, copied beside our rows when they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from store.codex_connection import FileStamp, file_stamp
from store.codex_state import CodexState
from store.connection import transaction
from store.search.index import write_titles
from store.session_index import FILE_NAME, names, read_session_index

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from store.home import CodexHome
    from store.models import Notice

BUSY_SECONDS: Final = 1.0
"""How long a name may wait for a database that another process migrates; the next reconcile asks again."""


def refresh_codex_threads(connection: sqlite3.Connection, home: CodexHome) -> Sequence[Notice]:
    """Copy names and memory modes if the files that hold them changed; nothing is opened when they did not.

    A database that cannot be read leaves what was known of it, and is said.
    """
    state = CodexState(home.sqlite_path, busy_seconds=BUSY_SECONDS)
    stamps = _stamps_of(home, state)
    if stamps == _known_stamps(connection):
        return ()
    from_database = state.read_names_and_modes()
    if from_database.notice is not None and from_database.database is not None:
        _add_index_names(connection, read_session_index(home.path))
        return (from_database.notice,)
    shown = names(from_database.rows, read_session_index(home.path))
    modes = {row.id: row.memory_mode for row in from_database.rows if row.memory_mode is not None}
    rows = [
        (thread_id, shown.get(thread_id), modes.get(thread_id)) for thread_id in shown.keys() | modes.keys()
    ]
    transaction(connection, lambda c: _write(c, rows, stamps))
    return ()


def _add_index_names(connection: sqlite3.Connection, index: Mapping[str, str]) -> None:
    """Without Codex's database the session index still names threads; what was known of others stays."""
    known = dict(connection.execute("SELECT thread_id, name FROM codex_threads").fetchall())
    new = [(thread_id, name) for thread_id, name in index.items() if known.get(thread_id) is None]
    if new:
        transaction(connection, lambda c: _insert_names(c, new))


def _insert_names(connection: sqlite3.Connection, names: Sequence[tuple[str, str]]) -> None:
    connection.executemany(
        "INSERT INTO codex_threads (thread_id, name) VALUES (?, ?)"
        " ON CONFLICT (thread_id) DO UPDATE SET name = excluded.name",
        names,
    )
    write_titles(connection, [thread_id for thread_id, _name in names])


def name_stamps(home: CodexHome) -> dict[str, FileStamp]:
    """What the files that hold names and memory modes are like now."""
    return _stamps_of(home, CodexState(home.sqlite_path, busy_seconds=BUSY_SECONDS))


def _stamps_of(home: CodexHome, state: CodexState) -> dict[str, FileStamp]:
    found = {FILE_NAME: file_stamp(home.path / FILE_NAME)}
    fingerprint = state.fingerprint()
    if fingerprint is not None:
        name, stamps = fingerprint
        found[name] = stamps.database
        found[f"{name}-wal"] = stamps.wal
    return {path: stamp for path, stamp in found.items() if stamp is not None}


def _known_stamps(connection: sqlite3.Connection) -> dict[str, FileStamp]:
    return {
        path: FileStamp(size, mtime_ns, inode)
        for path, size, mtime_ns, inode in connection.execute(
            "SELECT path, size, mtime_ns, inode FROM home_files"
        ).fetchall()
    }


def _write(
    connection: sqlite3.Connection,
    rows: Sequence[tuple[str, str | None, str | None]],
    stamps: dict[str, FileStamp],
) -> None:
    known = set(connection.execute("SELECT thread_id, name, memory_mode FROM codex_threads").fetchall())
    gone = {row[0] for row in known} - {row[0] for row in rows}
    new = sorted(set(rows) - known)
    connection.executemany("DELETE FROM codex_threads WHERE thread_id = ?", [(old,) for old in sorted(gone)])
    connection.executemany(
        "INSERT INTO codex_threads (thread_id, name, memory_mode) VALUES (?, ?, ?)"
        " ON CONFLICT (thread_id) DO UPDATE SET name = excluded.name, memory_mode = excluded.memory_mode",
        new,
    )
    write_titles(connection, [*gone, *(thread_id for thread_id, _name, _mode in new)])
    connection.execute("DELETE FROM home_files")
    connection.executemany(
        "INSERT INTO home_files (path, size, mtime_ns, inode) VALUES (?, ?, ?, ?)",
        [(path, *stamp) for path, stamp in stamps.items()],
    )
