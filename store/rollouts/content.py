"""The bytes of a rollout at any offset, plain or compressed, for as long as it is open."""

from __future__ import annotations

import os
import tempfile
import threading
from typing import TYPE_CHECKING, Final, Protocol

from store.rollouts.compressed import SUFFIX, DecodedStream
from store.rollouts.source import open_regular, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_SPOOL: Final = 4 << 30
"""Of a compressed rollout no more is unpacked than this, in bytes."""

_IN_MEMORY: Final = 8 << 20
_BLOCK: Final = 1 << 17  # what is lost before a damaged place, too: zstd tells of it a whole read late


class Content(Protocol):
    """A rollout's decoded bytes; offsets are those of the plain file, whatever it is stored as."""

    @property
    def problem(self) -> str | None:
        """Why what lies behind the last byte given cannot be read; None while nothing is wrong."""
        ...

    def size(self) -> int:
        """How many bytes there are now; unpacks all of a compressed rollout to know it."""
        ...

    def extent(self) -> int:
        """How many bytes are known to be there, at no cost."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only where the content ends."""
        ...

    def replaced(self) -> bool:
        """The path names another file now, or the file was cut: offsets mean nothing any more."""
        ...

    def close(self) -> None:
        """Let the file go."""
        ...


def open_content(path: Path) -> Content:
    """Open the rollout at `path`; raises RolloutError when it cannot be."""
    try:
        descriptor = open_regular(path)
    except OSError as error:
        raise unreadable(path, error) from error
    file = _OpenFile(path, descriptor)
    return CompressedContent(file) if path.name.endswith(SUFFIX) else PlainContent(file)


def reader_from(content: Content, offset: int, end: int | None) -> Callable[[int], bytes]:
    """What `lines.split` reads from: the bytes from `offset` up to `end`, or to the content's own end."""

    def read(size: int) -> bytes:
        nonlocal offset
        data = content.read(offset, size if end is None else max(0, min(size, end - offset)))
        offset += len(data)
        return data

    return read


class _OpenFile:
    """A file that stays open, so that it can be read to its end when it is deleted or moved meanwhile."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.stream = os.fdopen(descriptor, "rb", buffering=0)
        self._path = path
        status = os.fstat(descriptor)
        self._identity = (status.st_dev, status.st_ino)
        self._largest = status.st_size

    def size(self) -> int:
        try:
            size = os.fstat(self.stream.fileno()).st_size
        except OSError:
            return self._largest
        self._largest = max(self._largest, size)
        return size

    def replaced(self) -> bool:
        try:
            status = self._path.stat()
        except OSError:
            return True
        return (status.st_dev, status.st_ino) != self._identity or status.st_size < self._largest


class PlainContent:
    """A `.jsonl`."""

    def __init__(self, file: _OpenFile) -> None:
        self.problem: str | None = None
        self._file = file
        self._lock = threading.Lock()

    def size(self) -> int:
        """The file's size now."""
        return self._file.size()

    def extent(self) -> int:
        """The file's size now."""
        return self._file.size()

    def read(self, offset: int, size: int) -> bytes:
        """Read, one thread at a time: Windows has no read that leaves the file position alone."""
        try:
            with self._lock:
                self._file.stream.seek(offset)
                return self._file.stream.read(size) or b""
        except OSError as error:
            self.problem = error.strerror or str(error)
            return b""

    def replaced(self) -> bool:
        """Compare what the path names with what is open."""
        return self._file.replaced()

    def close(self) -> None:
        """Close the file."""
        self._file.stream.close()


class CompressedContent:
    """A `.jsonl.zst`, unpacked as far as it was asked for into a temporary file that has no name."""

    def __init__(self, file: _OpenFile) -> None:
        self.problem: str | None = None
        self._file = file
        self._lock = threading.Lock()
        self._unpacker = DecodedStream(file.stream)
        self._spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 close() closes it
        self._unpacked = 0
        self._whole = False

    def size(self) -> int:
        """The unpacked size; unpacks all of it."""
        with self._lock:
            self._unpack(MAX_SPOOL)
            return self._unpacked

    def extent(self) -> int:
        """What is unpacked so far."""
        return self._unpacked

    def read(self, offset: int, size: int) -> bytes:
        """Unpack as far as needed, and read from what is unpacked."""
        with self._lock:
            self._unpack(min(offset + size, MAX_SPOOL))
            self._spool.seek(offset)
            return self._spool.read(size)

    def _unpack(self, wanted: int) -> None:
        while self._unpacked < wanted and not self._whole:
            try:
                data = self._unpacker.read(_BLOCK)
                self._spool.seek(self._unpacked)
                self._spool.write(data)
            except OSError as error:
                self._end(error.strerror or str(error))
                return
            self._unpacked += len(data)
            if not data:
                self._end(self._unpacker.damage)
            elif self._unpacked >= MAX_SPOOL:
                self._end(f"it unpacks to more than {MAX_SPOOL >> 30} GiB")

    def _end(self, problem: str | None) -> None:
        self._whole = True
        self.problem = problem

    def replaced(self) -> bool:
        """Compare what the path names with what is open."""
        return self._file.replaced()

    def close(self) -> None:
        """Close the file and drop what was unpacked."""
        self._spool.close()
        self._file.stream.close()
