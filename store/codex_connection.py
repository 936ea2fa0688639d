"""Opening Codex's own SQLite files for one read, without writing to them or standing in Codex's way.

Rule of the process: only `_copied` opens one of these files by a plain handle, and only while no
connection to it is open here. Closing any handle to a file drops every POSIX lock that the process holds
on it, SQLite's among them.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
import tempfile
import threading
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from urllib.parse import quote

from store.errors import CodexDatabaseError
from store.filesystems import on_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

BUSY_SECONDS = 5.0
"""How long a read waits for a process that migrates, vacuums or recovers the database."""

_FILES_ONLY = "Threads are read from the rollouts meanwhile"
_COPY_ATTEMPTS = 3


class FileStamp(NamedTuple):
    """What tells one state of a file from another."""

    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class DatabaseFingerprint:
    """Equal fingerprints: nothing was committed in between. A commit may touch the `-wal` alone."""

    database: FileStamp | None
    wal: FileStamp | None


@dataclass(frozen=True, slots=True)
class CodexDatabases:
    """The newest generation of each family, as full paths."""

    state: Path | None
    logs: Path | None
    memories: tuple[Path, ...]
    """`memories_v2_<n>` before `memories_<n>`; Codex 0.169 keeps both."""


_NAME = re.compile(r"(state|logs|memories|memories_v2)(?:_([0-9]+))?\.sqlite")


def find_databases(sqlite_path: Path) -> CodexDatabases:
    """The databases in Codex's SQLite home: the highest `state_<n>.sqlite`, else `state.sqlite`, and so on.

    Codex removes older generations when it starts, but one that it could not remove, or that an older
    Codex is still using, may lie beside the newest.

    Raises:
        CodexDatabaseError: the folder is there but cannot be listed.
    """
    newest: dict[str, tuple[int, Path]] = {}
    try:
        with os.scandir(sqlite_path) as entries:
            for entry in entries:
                match = _NAME.fullmatch(entry.name)
                if match is None or not entry.is_file():
                    continue
                family, number = match[1], int(match[2] or -1)
                if family not in newest or number > newest[family][0]:
                    newest[family] = (number, sqlite_path / entry.name)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise CodexDatabaseError(
            f"Codex's databases in {sqlite_path} cannot be looked for",
            why=error.strerror or str(error),
            next_step=_FILES_ONLY,
        ) from error
    paths = {family: path for family, (_, path) in newest.items()}
    return CodexDatabases(
        state=paths.get("state"),
        logs=paths.get("logs"),
        memories=tuple(paths[family] for family in ("memories_v2", "memories") if family in paths),
    )


def file_stamp(path: Path) -> FileStamp | None:
    """The stamp of a file, or None when it cannot be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return FileStamp(found.st_size, found.st_mtime_ns, found.st_ino)


def fingerprint(path: Path) -> DatabaseFingerprint:
    """The fingerprint of a database; never opens it."""
    real = Path(os.path.realpath(path))
    return DatabaseFingerprint(file_stamp(real), file_stamp(_beside(real, "-wal")))


def read(path: Path, unit: Callable[[sqlite3.Connection], T], *, busy_seconds: float = BUSY_SECONDS) -> T:
    """Run one unit of reading in one read transaction on a connection that is closed before this returns.

    The unit must hold no cursor when it returns. It is run again when the first way to open the file turns
    out not to do. A database at rest is read as `immutable`: a plain read-only connection would leave an
    empty `-wal` and a `-shm` behind. One that has a `-wal` is read with SQLite's own locks. One whose
    `-wal` cannot be used where it lies (no `-shm`, and none can be made; or on a network, where machines do
    not share one) is read from a private copy.

    Raises:
        CodexDatabaseError: it is missing, empty, locked, damaged, or may not be read.
    """
    real = Path(os.path.realpath(path))
    try:
        return _read(real, unit, busy_seconds)
    except sqlite3.Error as error:
        raise explained(path, error) from error
    except OSError as error:
        raise CodexDatabaseError(
            f"Codex's database {path.name} cannot be read",
            why=error.strerror or str(error),
            next_step=_FILES_ONLY,
        ) from error


def _read(path: Path, unit: Callable[[sqlite3.Connection], T], busy_seconds: float) -> T:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise CodexDatabaseError(f"Codex's database {path.name} is not a regular file", next_step=_FILES_ONLY)
    if found.st_size == 0:
        # SQLite deletes the -wal beside an empty main file, even on a read-only connection.
        raise CodexDatabaseError(
            f"Codex's database {path.name} is empty",
            why="nothing was ever written to it",
            next_step=_FILES_ONLY,
        )
    at_rest = stamps_at_rest(path)
    if at_rest is not None:
        try:
            result = _run(path, unit, "mode=ro&immutable=1", busy_seconds)
        except (sqlite3.Error, CodexDatabaseError):
            if stamps_at_rest(path) == at_rest:
                raise
        else:
            if stamps_at_rest(path) == at_rest:
                return result
    if not on_network(path):
        try:
            return _run(path, unit, "mode=ro", busy_seconds)
        except sqlite3.Error as error:
            if not wants_a_copy(error):
                raise
    with _copied(path, busy_seconds) as copy:
        return _run(copy, unit, "mode=rw", busy_seconds)


def stamps_at_rest(path: Path) -> DatabaseFingerprint | None:
    """The stamps of a database whose main file holds everything, else None."""
    stamps = DatabaseFingerprint(file_stamp(path), file_stamp(_beside(path, "-wal")))
    if stamps.database is None or (stamps.wal is not None and stamps.wal.size > 0):
        return None
    return None if _beside(path, "-journal").exists() else stamps


def _run(path: Path, unit: Callable[[sqlite3.Connection], T], mode: str, busy_seconds: float) -> T:
    with opened(path, mode, busy_seconds) as connection:
        # One snapshot: the columns that the unit probes are those that its SELECT meets.
        connection.execute("BEGIN")
        try:
            return unit(connection)
        except UnicodeDecodeError as error:
            raise malformed_schema() from error


@contextmanager
def opened(path: Path, mode: str, busy_seconds: float) -> Iterator[sqlite3.Connection]:
    """A connection that only reads, closed with the block; `mode` is the query of its URI.

    Raises what SQLite and the file system report, untranslated.
    """
    uri = f"file://{quote(os.fsencode(path))}?{mode}"
    with (
        _connection_counted(path, busy_seconds),
        closing(
            # A tail is read on whichever thread is free, by one at a time.
            sqlite3.connect(
                uri, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False
            )
        ) as connection,
    ):
        connection.text_factory = _decode
        connection.execute("PRAGMA query_only = 1")
        connection.execute("PRAGMA trusted_schema = 0")
        yield connection


def malformed_schema() -> sqlite3.DatabaseError:
    """What a UnicodeDecodeError of a read means: SQLite quotes such a schema, and Python decodes strictly."""
    return sqlite3.DatabaseError("its schema is malformed")


_decode = partial(str, encoding="utf-8", errors="replace")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


_SHARED_MEMORY_ERRORS = frozenset(
    {
        sqlite3.SQLITE_IOERR_SHMOPEN,
        sqlite3.SQLITE_IOERR_SHMSIZE,
        sqlite3.SQLITE_IOERR_SHMLOCK,
        sqlite3.SQLITE_IOERR_SHMMAP,
    }
)


def wants_a_copy(error: sqlite3.Error) -> bool:
    """Whether the error says that the `-wal` cannot be used where it lies."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code in _SHARED_MEMORY_ERRORS or code & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


FileId = tuple[int, int]
_turn = threading.Condition()
_connections: Counter[FileId] = Counter()
_being_copied: set[FileId] = set()


def file_id(path: Path) -> FileId:
    """The device and inode of the file at a path. Raises OSError when there is none."""
    found = path.stat()
    return found.st_dev, found.st_ino


@contextmanager
def _connection_counted(path: Path, busy_seconds: float) -> Iterator[None]:
    """Count a connection to the file, once no copy of it is being taken."""
    file = file_id(path)
    with _turn:
        if not _turn.wait_for(lambda: file not in _being_copied, busy_seconds):
            raise _busy_here(path)
        _connections[file] += 1
    try:
        yield
    finally:
        with _turn:
            _connections[file] -= 1
            if not _connections[file]:
                del _connections[file]
            _turn.notify_all()


@contextmanager
def _no_connection(path: Path, busy_seconds: float) -> Iterator[None]:
    """Keep the file free of connections of this process."""
    file = file_id(path)
    with _turn:
        if not _turn.wait_for(lambda: file not in _connections and file not in _being_copied, busy_seconds):
            raise _busy_here(path)
        _being_copied.add(file)
    try:
        yield
    finally:
        with _turn:
            _being_copied.discard(file)
            _turn.notify_all()


def _busy_here(path: Path) -> CodexDatabaseError:
    return CodexDatabaseError(
        f"Codex's database {path.name} is busy",
        why="another part of Rollodex is reading it",
        next_step=_FILES_ONLY,
    )


@contextmanager
def _copied(path: Path, busy_seconds: float) -> Iterator[Path]:
    """A private copy of the database with its `-wal` or `-journal`, both from one moment."""
    with tempfile.TemporaryDirectory(prefix="rollodex-") as folder:
        target = Path(folder) / "copy.sqlite"
        with _no_connection(path, busy_seconds):
            for _ in range(_COPY_ATTEMPTS):
                before = _copy_stamps(path)
                for suffix in _COPIED_SUFFIXES:
                    _copy_file(_beside(path, suffix), _beside(target, suffix))
                if _copy_stamps(path) == before:
                    break
            else:
                raise CodexDatabaseError(
                    f"Codex's database {path.name} cannot be read where it lies",
                    why="it kept changing while a copy was taken",
                    next_step=_FILES_ONLY,
                )
        yield target


_COPIED_SUFFIXES = ("", "-wal", "-journal")


def _copy_stamps(path: Path) -> tuple[FileStamp | None, ...]:
    return tuple(file_stamp(_beside(path, suffix)) for suffix in _COPIED_SUFFIXES)


def _copy_file(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        return


_REASONS: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: ("is locked", "another process is migrating, repairing or compacting it"),
    sqlite3.SQLITE_LOCKED: ("is locked", "another process is migrating, repairing or compacting it"),
    sqlite3.SQLITE_CORRUPT: ("is damaged", "SQLite finds its pages malformed"),
    sqlite3.SQLITE_NOTADB: ("is damaged", "the file is not an SQLite database"),
}


def explained(path: Path, error: sqlite3.Error) -> CodexDatabaseError:
    """Our error for what SQLite reports of the file."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    what, why = _REASONS.get(code, ("cannot be read", str(error)))
    return CodexDatabaseError(f"Codex's database {path.name} {what}", why=why, next_step=_FILES_ONLY)
