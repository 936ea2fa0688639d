"""Opening a rollout, plain or compressed, as a stream of its lines' bytes."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from store.errors import RolloutError
from store.rollouts.compressed import SUFFIX, DecodedStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import FileIO
    from pathlib import Path

# A named pipe put in a rollout's place must not hang the opener; neither flag exists on Windows.
_FLAGS: Final = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)


class Source:
    """An open rollout."""

    def __init__(
        self, path: Path, read: Callable[[int], bytes], size: int | None, stream: DecodedStream | None = None
    ) -> None:
        self.size = size
        """Of the lines, in bytes; None where a compressed file does not say."""
        self._path = path
        self._read = read
        self._stream = stream

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of the lines, none at the end. Raises RolloutError when the system refuses."""
        try:
            return self._read(size)
        except OSError as error:
            raise unreadable(self._path, error) from error

    @property
    def damage(self) -> str | None:
        """Why the source ended before its end, if it did."""
        return None if self._stream is None else self._stream.damage


@contextmanager
def open_decoded(path: Path, *, offset: int = 0) -> Iterator[Source]:
    """Open the rollout at `path` for reading from decoded byte `offset`.

    In a compressed file everything before `offset` is decoded first. Raises RolloutError when the file cannot
    be opened or is not a regular one.
    """
    try:
        descriptor = open_regular(path)
    except OSError as error:
        raise unreadable(path, error) from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        yield _source(path, file, offset)


def open_regular(path: Path | str) -> int:
    """A file descriptor for reading `path`. Raises OSError, also when it is anything but a regular file."""
    descriptor = os.open(path, _FLAGS)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))


def _source(path: Path, file: FileIO, offset: int) -> Source:
    try:
        if path.name.endswith(SUFFIX):
            stream = DecodedStream(file)
            stream.skip(offset)
            return Source(path, stream.read, stream.size, stream)
        file.seek(offset)
        return Source(path, partial(os.read, file.fileno()), os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path | str, error: OSError) -> RolloutError:
    """The error for a rollout that the system will not let us read."""
    return RolloutError(
        f"Cannot read {path}",
        why=error.strerror or str(error),
        next_step="Check that the file is still there and that you may read it",
    )
