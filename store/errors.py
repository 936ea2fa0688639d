"""What can go wrong, written for the person who reads it."""

from __future__ import annotations


class StoreError(Exception):
    """A failure that says what happened, why, and what to do next.

    `str(error)` is one line for stderr or a notice; the parts serve an error screen.
    """

    def __init__(self, what: str, *, why: str = "", next_step: str = "") -> None:
        self.what = what
        self.why = why
        self.next_step = next_step
        super().__init__(self._line())

    def _line(self) -> str:
        line = self.what if not self.why else f"{self.what}: {self.why}"
        line = line.rstrip(".") + "."
        return f"{line} {self.next_step.rstrip('.')}." if self.next_step else line


class HomeError(StoreError):
    """The Codex home is missing, not a folder, or may not be read."""


class StateFolderError(StoreError):
    """Our own state folder cannot be made, written or locked."""


class DatabaseError(StoreError):
    """One of our own databases cannot be used."""


class DatabaseBusy(DatabaseError):
    """Another process held the write lock for longer than we wait."""


class DatabaseCorrupt(DatabaseError):
    """One of our own databases is damaged; the next start sets it aside and makes a new one."""


class ReadInterrupted(DatabaseError):
    """A read was stopped because nobody waits for it any more."""


class NewerDatabase(DatabaseError):
    """The database was written by a later Rollodex than this one."""


class SqliteTooOld(DatabaseError):
    """The SQLite library that this Python links lacks what the schema needs."""


class CodexDatabaseError(StoreError):
    """One of Codex's own databases cannot be read; the files still can."""


class LogDatabaseError(StoreError):
    """A log cannot be read now."""


class RolloutError(StoreError):
    """A rollout cannot be opened or read at all."""


class UnknownThread(StoreError):
    """No thread has this id, or more than one begins with it."""


class BadCursor(StoreError):
    """A page cursor that this list did not hand out."""


class LeaseLost(StoreError):
    """Another worker owns the work now; nothing was written."""


class UnsupportedOperation(StoreError):
    """What was asked for cannot be done here (keep a program in its sandbox, say); nothing was started."""


class MemoryRootError(StoreError):
    """The memory root cannot be used, or is not ours to write."""


class EngineFailed(StoreError):
    """An engine could not be run, or did not do what it was asked for."""


class RestoreRefused(StoreError):
    """A run cannot be undone as things are; nothing was changed."""


class MemoryDisabled(StoreError):
    """Codex, or the thread itself, says that no memory is to be made of it."""


class ConfigError(StoreError):
    """Rollodex's own configuration cannot be used."""


class UnknownRun(StoreError):
    """No run of the memory pipeline has this number."""


class BadMark(StoreError):
    """A tag or a name that cannot be one."""


class ActionRefused(StoreError):
    """Codex is not asked for something that it would not do, or that would do harm; nothing was started."""


class ExportError(StoreError):
    """What was to be exported or copied cannot be written as asked; what was there is as it was."""
