"""Synchronous connections to our own databases, and the units of work done on them."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from store.errors import DatabaseBusy, DatabaseCorrupt, DatabaseError, ReadInterrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

BUSY_WAIT_MS = 5_000
"""How long a unit waits for the write lock before `DatabaseBusy`."""

BUSY_SLICE_MS = 100
"""A wait is cut in slices, so that a unit nobody waits for any more gives up soon."""

DAMAGE_SUFFIX = ".damaged"
"""Ends the name of the marker that a damaged database leaves for the next start."""


def connect_writer(path: Path, *, beside: Path | None = None) -> sqlite3.Connection:
    """Open an existing database for reading and writing: WAL, NORMAL, foreign keys on, no implicit BEGIN.

    `beside` is our state database, to be read as the schema `state` in the same statements: a unit that
    writes takes no lock on it. Raises DatabaseError when it cannot be opened, DatabaseCorrupt when it is no
    database.
    """
    connection = _connect(path, "rw", BUSY_SLICE_MS)
    with _closed_on_error(connection, path):
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA journal_mode = WAL")
        _attach(connection, beside)
    return connection


def connect_reader(path: Path, *, beside: Path | None = None) -> sqlite3.Connection:
    """Open an existing database for reading only, with `beside` as for a writer.

    Raises DatabaseError when it cannot be opened, DatabaseCorrupt when it is no database.
    """
    connection = _connect(path, "ro", BUSY_WAIT_MS)
    with _closed_on_error(connection, path):
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA schema_version")
        _attach(connection, beside)
    return connection


def _attach(connection: sqlite3.Connection, beside: Path | None) -> None:
    if beside is not None:
        # BEGIN IMMEDIATE takes the write lock of every attached database that may be written.
        connection.execute("ATTACH DATABASE ? AS state", (f"{beside.absolute().as_uri()}?mode=ro",))


def transaction(
    connection: sqlite3.Connection,
    unit: Callable[[sqlite3.Connection], T],
    *,
    abandoned: Callable[[], bool] = lambda: False,
) -> T:
    """Run `unit` between BEGIN IMMEDIATE and COMMIT; any error rolls all of it back and is raised.

    `abandoned` is asked while the lock is waited for: once it is true the unit is not begun. Raises
    DatabaseBusy when another process keeps the lock, and what else SQLite reports of the file as a
    DatabaseError.
    """
    with translated(database_path(connection)):
        _begin_immediate(connection, abandoned)
        try:
            result = unit(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk and I/O errors roll back by themselves
                connection.execute("ROLLBACK")
            raise
    return result


def snapshot(connection: sqlite3.Connection, unit: Callable[[sqlite3.Connection], T]) -> T:
    """Run `unit` in one read transaction, so that all it reads is of one moment, and end that transaction.

    Raises ReadInterrupted when the connection was interrupted, and what else SQLite reports of the file as a
    DatabaseError.
    """
    with translated(database_path(connection)):
        connection.execute("BEGIN")
        try:
            return unit(connection)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def database_path(connection: sqlite3.Connection) -> Path:
    """The file that the connection is open on."""
    (_, _, name) = connection.execute("PRAGMA database_list").fetchone()
    return Path(name)


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite reports of the file into our errors; mistakes in our own SQL stay what they are."""
    try:
        yield
    except sqlite3.Error as error:
        ours = store_error(error, path)
        if ours is None:
            raise
        raise ours from error


def store_error(error: sqlite3.Error, path: Path) -> DatabaseError | None:
    """Our error for a failure that lies in the file or the machine; None for one that lies in the code.

    A damaged file is marked for the next start, which sets it aside.
    """
    extended = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    why = str(error)
    match extended & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
            return _busy(path)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            # Without the marker the next start still finds most damage by itself.
            with contextlib.suppress(OSError):
                path.with_name(path.name + DAMAGE_SUFFIX).touch(mode=0o600)
            return DatabaseCorrupt(
                f"{path} is damaged",
                why=why,
                next_step="Start Rollodex again: it sets the file aside and makes a new one",
            )
        case sqlite3.SQLITE_FULL:
            return DatabaseError(
                f"{path} cannot grow",
                why="the disk or the quota is full",
                next_step="Make room there and try again; what was written before is safe",
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_CANTOPEN:
            return DatabaseError(
                f"{path} cannot be {'written' if extended & 0xFF == sqlite3.SQLITE_READONLY else 'opened'}",
                why=why,
                next_step=f"Check the permissions of {path.parent}, or choose another with --state-dir",
            )
        case sqlite3.SQLITE_IOERR:
            return DatabaseError(
                f"{path} cannot be read or written",
                why=f"{why} ({getattr(error, 'sqlite_errorname', 'SQLITE_IOERR')})",
                next_step="Check the disk, then start Rollodex again",
            )
        case sqlite3.SQLITE_INTERRUPT:
            return ReadInterrupted(f"A read of {path} was stopped", why="nobody waits for it any more")
        case _:
            return None


def _busy(path: Path) -> DatabaseBusy:
    return DatabaseBusy(
        f"{path} is locked",
        why=f"another process has held the write lock for more than {BUSY_WAIT_MS / 1000:g} s",
        next_step="Try again; if it stays locked, end the other Rollodex that uses this folder",
    )


def _begin_immediate(connection: sqlite3.Connection, abandoned: Callable[[], bool]) -> None:
    waited_ms = 0
    while not abandoned():
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            waited_ms += BUSY_SLICE_MS
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or waited_ms >= BUSY_WAIT_MS:
                raise
        else:
            if not abandoned():
                return
            connection.execute("ROLLBACK")
    raise DatabaseBusy(f"{database_path(connection)} was locked", why="nobody waits for this write any more")


def _connect(path: Path, mode: str, busy_ms: int) -> sqlite3.Connection:
    with translated(path):
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=busy_ms / 1000,
            isolation_level=None,
            # Opened and used on one thread, interrupted and finally collected on another.
            check_same_thread=False,
        )


@contextlib.contextmanager
def _closed_on_error(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    try:
        with translated(path):
            yield
    except BaseException:
        connection.close()
        raise
