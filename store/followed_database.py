"""An SQLite file of Codex's that is read again whenever something was committed to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from store import codex_connection
from store.errors import CodexDatabaseError
from store.filesystems import on_network

if TYPE_CHECKING:
    from collections.abc import Callable

    from store.codex_connection import DatabaseFingerprint, FileId

T = TypeVar("T")

BUSY_SECONDS = 1.0
"""How long a read waits for a lock: the next look may have more luck."""


class FollowedDatabase:
    """Asked whether it changed, and read, in turns; no read transaction outlives a read.

    While the file has a `-wal`, one connection stays open and `PRAGMA data_version` tells of commits.
    Otherwise the stamps of the files tell, and each read is one of `codex_connection.read`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._real = Path(os.path.realpath(path))
        self._file: FileId | None = None
        self._stack = ExitStack()
        self._connection: sqlite3.Connection | None = None
        self._version: int | None = None
        self._stamps: DatabaseFingerprint | None = None
        self._settled = False

    @property
    def connected(self) -> bool:
        """Whether a connection stays open: through it the file can be read even after it was taken away."""
        return self._connection is not None

    def was_replaced(self) -> bool:
        """Whether the file that was read is no longer the one at its path."""
        if self._file is None:
            return False
        try:
            return codex_connection.file_id(self._real) != self._file
        except OSError:
            return True

    def changed(self) -> bool:
        """Whether anything may have been committed since the last read; microseconds where nothing was."""
        if self._connection is not None:
            try:
                return self._data_version(self._connection) != self._version
            except sqlite3.Error:
                return True  # the read will say why
        # A commit within the same tick of the file system's clock leaves the stamps equal: look once more.
        return not self._settled or codex_connection.fingerprint(self._real) != self._stamps

    def read(self, unit: Callable[[sqlite3.Connection], T]) -> T:
        """Run one unit of reading in one read transaction.

        Raises:
            CodexDatabaseError: the file is missing, empty, locked, damaged, or may not be read.
        """
        try:
            if self._connection is not None or self._connect():
                return self._read_connected(unit)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                self._disconnect()
            raise codex_connection.explained(self.path, error) from error
        except OSError as error:
            self._disconnect()
            raise _unreadable(self.path, error.strerror or str(error)) from error
        stamps = codex_connection.fingerprint(self._real)
        if stamps.database is not None:
            self._file = self._file_id()
        result = codex_connection.read(self.path, unit, busy_seconds=BUSY_SECONDS)
        self._settled = stamps == self._stamps
        self._stamps = stamps
        return result

    def close(self) -> None:
        """Let go of the file."""
        self._disconnect()
        self._file = None

    def _connect(self) -> bool:
        """Open the connection that stays, where there is a `-wal` to be followed."""
        if codex_connection.stamps_at_rest(self._real) is not None or on_network(self._real):
            return False
        before = self._file_id()
        try:
            opened = codex_connection.opened(self._real, "mode=ro", BUSY_SECONDS)
            connection = self._stack.enter_context(opened)
            self._version = self._data_version(connection)
        except sqlite3.Error as error:
            self._disconnect()
            if codex_connection.wants_a_copy(error):
                return False
            raise
        if self._file_id() != before:
            self._disconnect()
            raise _unreadable(self.path, "it is being replaced")
        self._file = before
        self._connection = connection
        return True

    def _read_connected(self, unit: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection
        assert connection is not None
        version = self._data_version(connection)
        connection.execute("BEGIN")
        try:
            result = unit(connection)
        except UnicodeDecodeError as error:
            raise codex_connection.malformed_schema() from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        self._version = version
        return result

    def _disconnect(self) -> None:
        self._stack.close()
        self._connection = None
        self._stamps = None
        self._settled = False

    def _file_id(self) -> FileId:
        return codex_connection.file_id(self._real)

    @staticmethod
    def _data_version(connection: sqlite3.Connection) -> int:
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        return int(version)


def _unreadable(path: Path, why: str) -> CodexDatabaseError:
    return CodexDatabaseError(f"Codex's database {path.name} cannot be read", why=why)
