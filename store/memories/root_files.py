"""The files of a memory root, or of a copy of one: read and written without following a link inside it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LARGEST_FILE: Final = 64 * 1024 * 1024
"""Bytes of a file that is still read; larger ones are left alone."""

DEEPEST: Final = 16
MOST_ENTRIES: Final = 20_000

_AT: Final = os.open in os.supports_dir_fd and os.scandir in os.supports_fd
"""Whether folders can be held open (not on Windows), so that none can be exchanged for a link meanwhile."""

_FOLDER: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_READ: Final = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class NotAFile(OSError):
    """Something else than a regular file of a size that is read stands where one is to be."""

    def __init__(self, path: str, kind: str) -> None:
        super().__init__(f"{path} is {kind}")
        self.path = path
        self.kind = kind
        """`a symbolic link`, `a folder`, …"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in the folder that is no folder itself."""

    path: str
    """Relative, with "/" between its parts; not valid UTF-8 text where its bytes are none."""
    refused: str = ""
    """Why it is neither read nor written; empty for a regular file."""


@dataclass(frozen=True, slots=True)
class _Place:
    """An open folder; where none can be held open, its path."""

    descriptor: int | None
    prefix: str = ""

    def name(self, name: str) -> str:
        return os.path.join(self.prefix, name)  # noqa: PTH118 - relative to a descriptor, or a whole path


class RootFiles:
    """The files below one folder, which may itself be reached through a link; closed by `close`.

    Paths are relative to it, with "/" between their parts.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError when there is no such folder, or it may not be read."""
        self.path = path.resolve(strict=True)
        self.descriptor = os.open(self.path, _FOLDER) if _AT else None
        if not _AT:
            os.scandir(self.path).close()

    def close(self) -> None:
        """Let the folder go."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def is_elsewhere(self) -> bool:
        """Whether the folder that is open is not the one at the path any more; raises OSError."""
        if self.descriptor is None:
            return False
        try:
            return not os.path.samestat(os.fstat(self.descriptor), self.path.stat())
        except FileNotFoundError:
            return True

    def entries(self, *, without: Callable[[str], bool] = lambda _: False) -> Iterator[Entry]:
        """Everything that is no folder, nearest the top first, in the order of names.

        Folders for which `without` holds, and hidden ones, are not entered. What cannot be listed, or
        lies beyond the bounds, is said as refused.
        """
        waiting = deque([""])
        seen = 0
        while waiting:
            folder = waiting.popleft()
            try:
                found = self._list(folder)
            except OSError as error:
                yield Entry(folder or ".", error.strerror or str(error))
                continue
            for name, mode in found:
                path = f"{folder}/{name}" if folder else name
                seen += 1
                if seen > MOST_ENTRIES:
                    yield Entry(path, f"past the first {MOST_ENTRIES} entries")
                    return
                if not stat.S_ISDIR(mode):
                    yield Entry(path, _refusal(path, mode))
                elif name.startswith(".") or without(path):
                    continue
                elif path.count("/") >= DEEPEST:
                    yield Entry(path, f"more than {DEEPEST} folders deep")
                else:
                    waiting.append(path)

    def read(self, path: str, *, limit: int = LARGEST_FILE) -> bytes | None:
        """Return the content; None when there is no such file.

        Raises NotAFile for anything but a regular file of at most `limit` bytes, and OSError.
        """
        try:
            with self._folder_of(path) as (place, name):
                mode = os.lstat(name, dir_fd=place.descriptor).st_mode
                if not stat.S_ISREG(mode):
                    raise NotAFile(path, _kind(mode))
                descriptor = os.open(name, _READ, dir_fd=place.descriptor)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise NotAFile(path, _kind(mode))
            content = file.read(limit + 1)
        if len(content) > limit:
            raise NotAFile(path, f"larger than {limit >> 20} MiB")
        return content

    def write(self, path: str, content: bytes) -> None:
        """Replace or make the file in one step, safe on the disk when this returns; raises OSError."""
        with self._folder_of(path, make=True) as (place, name):
            at = place.descriptor
            mode = 0o600
            with contextlib.suppress(FileNotFoundError):
                found = os.lstat(name, dir_fd=at).st_mode
                if not stat.S_ISREG(found):
                    raise NotAFile(path, _kind(found))
                mode = stat.S_IMODE(found)
            temporary = place.name(_temporary(path))
            _remove(temporary, at)
            descriptor = os.open(temporary, _CREATE, 0o600, dir_fd=at)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    if _AT:
                        os.fchmod(descriptor, mode)
                    os.fsync(descriptor)
                os.replace(temporary, name, src_dir_fd=at, dst_dir_fd=at)
            except BaseException:
                _remove(temporary, at)
                raise
            _sync(at)

    def remove(self, path: str) -> None:
        """Remove the file, and the folders that this leaves empty; none there is fine. Raises OSError."""
        with contextlib.suppress(FileNotFoundError), self._folder_of(path) as (place, name):
            _remove(name, place.descriptor)
            _sync(place.descriptor)
        folder = path
        with contextlib.suppress(OSError):  # not empty, most often
            while folder := folder.rpartition("/")[0]:
                with self._folder_of(folder) as (place, name):
                    os.rmdir(name, dir_fd=place.descriptor)

    def sweep(self, path: str) -> None:
        """Remove what a killed `write` of this file has left."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), self._folder_of(path) as (place, _):
            _remove(place.name(_temporary(path)), place.descriptor)

    def _list(self, folder: str) -> list[tuple[str, int]]:
        with self._opened(folder) as place:
            within = place.prefix if place.descriptor is None else place.descriptor
            with os.scandir(within) as found:
                listed = [(entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in found]
        return sorted(listed)

    @contextlib.contextmanager
    def _folder_of(self, path: str, *, make: bool = False) -> Iterator[tuple[_Place, str]]:
        """The folder of a file, and what the file is called from there."""
        folder, _, name = path.rpartition("/")
        with self._opened(folder, make=make) as place:
            yield place, place.name(name)

    @contextlib.contextmanager
    def _opened(self, folder: str, *, make: bool = False) -> Iterator[_Place]:
        place = _Place(self.descriptor, "" if _AT else str(self.path))
        try:
            for name in filter(None, folder.split("/")):
                if name in (".", ".."):
                    raise NotAFile(folder, "outside")
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(place.name(name), 0o700, dir_fd=place.descriptor)
                place, before = _enter(place, name, folder), place
                self._let_go(before)
            yield place
        finally:
            self._let_go(place)

    def _let_go(self, place: _Place) -> None:
        if place.descriptor is not None and place.descriptor != self.descriptor:
            os.close(place.descriptor)


def is_hidden(path: str) -> bool:
    """Whether the file's name, or that of a folder above it, begins with a dot."""
    return path.startswith(".") or "/." in path


def digest(content: bytes) -> bytes:
    """What tells one content from every other."""
    return hashlib.sha256(content).digest()


def _enter(place: _Place, name: str, folder: str) -> _Place:
    path = place.name(name)
    mode = os.lstat(path, dir_fd=place.descriptor).st_mode
    if not stat.S_ISDIR(mode):
        raise NotAFile(folder, _kind(mode))
    if place.descriptor is None:
        return _Place(None, path)
    return _Place(os.open(path, _FOLDER, dir_fd=place.descriptor))


def _refusal(path: str, mode: int) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    return "" if stat.S_ISREG(mode) else _kind(mode)


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a file" if stat.S_ISREG(mode) else "no regular file"


def _temporary(path: str) -> str:
    """The same each time, so that what a killed process left is found."""
    return f".rollodex-{hashlib.sha256(path.encode()).hexdigest()[:16]}.tmp"


def _remove(name: str, at: int | None) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=at)


def _sync(at: int | None) -> None:
    if at is not None:
        os.fsync(at)
