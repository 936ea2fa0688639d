"""Where the logs are: Codex's, found anew at each look, our own, or a database that the person named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.codex_connection import find_databases
from store.errors import CodexDatabaseError, LogDatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from store.codex_connection import CodexDatabases
    from store.models import LogOrigin


@dataclass(frozen=True, slots=True)
class LogSource:
    """One log, whose database may not exist yet or may become another one."""

    origin: LogOrigin
    place: Path
    """Where it is looked for, for messages."""
    find: Callable[[], Path | None]
    """The database as it is now; None while there is none. Raises CodexDatabaseError."""


def codex_logs(sqlite_path: Path) -> LogSource:
    """Codex's log: `logs_<n>.sqlite` (0.113 and later), before that a table of its state database."""

    folder = _Folder(sqlite_path)

    def find() -> Path | None:
        databases = folder.databases()
        return _with_content(databases.logs) or _with_content(databases.state)

    return LogSource("codex", sqlite_path, find)


class _Folder:
    """Codex's databases in a folder, listed again only when an entry came or went."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mtime_ns: int | None = None
        self._settled = False
        self._found: CodexDatabases | None = None

    def databases(self) -> CodexDatabases:
        try:
            mtime_ns = self._path.stat().st_mtime_ns
        except OSError:
            mtime_ns = None
        # What came within the same tick of the file system's clock leaves the time equal: look once more.
        if self._found is None or not self._settled or mtime_ns != self._mtime_ns:
            self._found = find_databases(self._path)
            self._settled = mtime_ns is not None and mtime_ns == self._mtime_ns
            self._mtime_ns = mtime_ns
        return self._found


def rollodex_logs(state: Path) -> LogSource:
    """What our own store wrote down, in our state database."""
    return LogSource("rollodex", state, lambda: _with_content(state))


def log_file(path: Path) -> LogSource:
    """The log in a database that the person named."""
    return LogSource("file", path, lambda: _with_content(path))


def _with_content(path: Path | None) -> Path | None:
    """The path, unless nothing was written there yet."""
    try:
        return path if path is not None and path.stat().st_size > 0 else None
    except OSError:
        return None


def unreadable(path: Path, error: CodexDatabaseError) -> LogDatabaseError:
    """The error of a log that cannot be read."""
    return LogDatabaseError(
        f"The log in {path} cannot be read",
        why=error.why or error.what,
        next_step="Try again; nothing else depends on it",
    )
