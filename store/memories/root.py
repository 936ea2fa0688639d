"""The memory root: where it is, whether it is ours to write, and that one process at a time does."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from typing import TYPE_CHECKING, Final

from store.errors import MemoryRootError
from store.memories.artifacts import RAW_MEMORIES, SUMMARIES
from store.memories.root_files import RootFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    from store.home import CodexHome

LOCK_FILE: Final = "memories.lock"
"""In our state folder."""

_CANNOT_LOCK_FOLDERS: Final = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOTSUP)
"""What some network file systems answer; the lock in our state folder has to do there."""

MEMORY: Final = "MEMORY.md"
SUMMARY: Final = "memory_summary.md"


def default_root(home: CodexHome) -> Path:
    """The folder whose memories Codex reads (up to 0.169 with `version = "v1"`)."""
    return home.path / "memories"


def real_root(root: Path) -> Path:
    """The folder that a root leads to; what is journaled of it goes by this path."""
    return root.resolve()


def check_root(home: CodexHome, root: Path, folder: Path) -> None:
    """Raise MemoryRootError unless the root, which need not exist, may be written by us.

    `folder` is our state folder. Links inside the root count where a file of the pipeline would be.
    """
    real = real_root(root)
    threads = (home.sessions.resolve(), home.archived_sessions.resolve())
    if home.path.is_relative_to(real) or any(map(real.is_relative_to, threads)):
        raise _unusable(root, "it holds the threads of the Codex home")
    if real.is_relative_to(folder.resolve()) or folder.resolve().is_relative_to(real):
        raise _unusable(root, f"it is also the folder of Rollodex's own state, {folder}")
    try:
        if root.is_symlink() and not root.exists():
            raise _unusable(root, f"it is a link to {real}, which is not there")
        if root.exists():
            _check_folder(root, real)
        else:
            _check_parent(root, real)
    except OSError as error:
        raise _unusable(root, error.strerror or str(error)) from error
    _refuse_codexs(home, root)


def _check_folder(root: Path, real: Path) -> None:
    if not real.is_dir():
        raise _unusable(root, "it is not a folder")
    for name in (MEMORY, SUMMARY, RAW_MEMORIES):
        _check_kind(root, real / name, stat.S_ISREG, "a regular file")
    _check_kind(root, real / SUMMARIES, stat.S_ISDIR, "a folder")
    for folder in (real, real / SUMMARIES):
        if folder.exists() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise _unusable(root, f"{folder} may not be read and written", "Check its permissions")


def _check_kind(root: Path, path: Path, wanted: Callable[[int], bool], kind: str) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not wanted(mode):
        what = "a symbolic link, which is never followed" if stat.S_ISLNK(mode) else f"not {kind}"
        raise _unusable(root, f"{path.name} in it is {what}", f"Move {path} away, then try again")


def _check_parent(root: Path, real: Path) -> None:
    parent = next(folder for folder in real.parents if os.path.lexists(folder))
    if not parent.is_dir():
        raise _unusable(root, f"{parent} is not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise _unusable(root, f"it is not there, and {parent} may not be written", "Check its permissions")


def _refuse_codexs(home: CodexHome, root: Path) -> None:
    from store.memories.codex_pipeline import codex_owns

    why = codex_owns(home, root)
    if why is not None:
        raise MemoryRootError(
            f"{root} is not written by Rollodex",
            why=why,
            next_step="Have Codex run its own pipeline, or write elsewhere with --memory-root; Codex will not"
            " read what is there",
        )


def _unusable(
    root: Path, why: str, next_step: str = "Name another folder with --memory-root"
) -> MemoryRootError:
    return MemoryRootError(f"The memory root {root} cannot be used", why=why, next_step=next_step)


class OpenRoot:
    """The root while this process alone writes it, until `close`.

    Two locks exclude the others: a file in our state folder, and the root itself, which is the same one
    whatever state folder a process has. Neither rests on a clock, and both end with the process.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self.path = real_root(path)
        self.files: RootFiles | None = None
        """None while there is no such folder."""
        self._folder = folder
        self._lock: int | None = None

    def lock(self) -> bool:
        """Take both locks; False when another process, or another task of this one, has one.

        Raises MemoryRootError when a lock cannot be asked for.
        """
        try:
            self._lock = os.open(self._folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
            return _try_lock(self._lock) and self._open()
        except OSError as error:
            raise _unusable(self.path, f"it cannot be locked: {error.strerror or error}") from error

    def make(self) -> RootFiles:
        """The files of the root, which is made when it is not there.

        Raises MemoryRootError where it cannot be, or is another folder by now than the one that is locked.
        """
        try:
            if self.files is not None and self.files.is_elsewhere():
                raise _unusable(self.path, "it was moved or replaced meanwhile", "Try again")
            if self.files is None:
                self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
                if not self._open():
                    raise _unusable(self.path, "another Rollodex is writing it", "Try again when it is done")
        except OSError as error:
            raise _unusable(self.path, f"it cannot be made: {error.strerror or error}") from error
        assert self.files is not None
        return self.files

    def close(self) -> None:
        """Let go of both locks."""
        if self.files is not None:
            self.files.close()
            self.files = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> bool:
        with contextlib.suppress(FileNotFoundError):
            self.files = RootFiles(self.path)
        descriptor = None if self.files is None else self.files.descriptor
        if descriptor is None:
            return True
        try:
            return _try_lock(descriptor)
        except OSError as error:
            if error.errno in _CANNOT_LOCK_FOLDERS:
                return True
            raise


def _try_lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
    else:
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
