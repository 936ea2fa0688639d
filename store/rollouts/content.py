"""The bytes of a rollout at any offset, plain or compressed."""

from __future__ import annotations

import io
import os
import stat
import tempfile
import threading
from typing import TYPE_CHECKING, Final, Protocol

import zstandard

from store.errors import RolloutError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typing_extensions import Buffer

MAX_SPOOL: Final = 4 << 30
"""Of a compressed rollout no more is unpacked than this, in bytes."""

_IN_MEMORY: Final = 8 << 20
_BLOCK: Final = 1 << 20


class Content(Protocol):
    """A rollout's decoded bytes; offsets are those of the plain file, whatever it is stored as."""

    problem: str | None
    """Why what lies behind the last byte given cannot be read; None while nothing is wrong."""

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
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise RolloutError(
            f"The rollout {path.name} cannot be opened",
            why=error.strerror or str(error),
            next_step="Refresh the list",
        ) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise RolloutError(f"The rollout {path.name} cannot be read", why="it is not a regular file")
    plain = PlainContent(path, descriptor, status)
    return CompressedContent(plain) if path.suffix == ".zst" else plain


def reader_from(content: Content, offset: int, end: int | None) -> Callable[[int], bytes]:
    """What `lines.split` reads from: the bytes from `offset` up to `end`, or to the content's own end."""

    def read(size: int) -> bytes:
        nonlocal offset
        data = content.read(offset, size if end is None else max(0, min(size, end - offset)))
        offset += len(data)
        return data

    return read


class PlainContent:
    """A `.jsonl`. It stays open, so it can be read to its end when it is deleted or moved meanwhile."""

    problem: str | None = None

    def __init__(self, path: Path, descriptor: int, status: os.stat_result) -> None:
        self._path = path
        self._descriptor = descriptor
        self._identity = (status.st_dev, status.st_ino)
        self._largest = status.st_size
        self._lock = threading.Lock()

    def size(self) -> int:
        """The file's size now."""
        size = os.fstat(self._descriptor).st_size
        self._largest = max(self._largest, size)
        return size

    def extent(self) -> int:
        """The file's size now."""
        return self.size()

    def read(self, offset: int, size: int) -> bytes:
        """Read, one thread at a time: Windows has no read that leaves the file position alone."""
        try:
            with self._lock:
                os.lseek(self._descriptor, offset, os.SEEK_SET)
                return os.read(self._descriptor, size)
        except OSError as error:
            self.problem = error.strerror or str(error)
            return b""

    def replaced(self) -> bool:
        """Compare what the path names with what is open."""
        try:
            status = self._path.stat()
        except OSError:
            return True
        return (status.st_dev, status.st_ino) != self._identity or status.st_size < self._largest

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class CompressedContent:
    """A `.jsonl.zst`, unpacked as far as it was asked for into a temporary file that has no name."""

    problem: str | None = None

    def __init__(self, packed: PlainContent) -> None:
        self._packed = packed
        self._lock = threading.Lock()
        self._spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 close() closes it
        self._unpacker = zstandard.ZstdDecompressor().stream_reader(
            io.BufferedReader(PackedStream(packed), _BLOCK), read_across_frames=True
        )
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
            except (zstandard.ZstdError, OSError) as error:
                self._end(str(error))
                return
            self._unpacked += len(data)
            if not data:
                self._end(self._packed.problem)
            elif self._unpacked >= MAX_SPOOL:
                self._end(f"it unpacks to more than {MAX_SPOOL >> 30} GiB")

    def _end(self, problem: str | None) -> None:
        self._whole = True
        self.problem = problem

    def replaced(self) -> bool:
        """Compare what the path names with what is open."""
        return self._packed.replaced()

    def close(self) -> None:
        """Close the file and drop what was unpacked."""
        self._spool.close()
        self._packed.close()


class PackedStream(io.RawIOBase):
    """A compressed file as the unpacker reads it, from its first byte on."""

    def __init__(self, packed: PlainContent) -> None:
        self._packed = packed
        self._at = 0

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill the buffer with the next bytes; none at the end, or when the file cannot be read further."""
        target = memoryview(buffer).cast("B")
        data = self._packed.read(self._at, len(target))
        target[: len(data)] = data
        self._at += len(data)
        return len(data)
