"""Rollouts read by a second process, while the first reads others and writes rows.

Run as `python -P -m store.reading_ahead`: each request on standard input is a pickled `Request`, each answer
on standard output a pickled list, both behind their length. It ends when its input does, so it never outlives
its parent.
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

from store.errors import RolloutError
from store.rollout_rows import RolloutRead
from store.rollouts.metadata import read_full, read_heads

if TYPE_CHECKING:
    from types import TracebackType

    from store.rollouts.scan import RolloutFile

_LENGTH: Final = struct.Struct("<Q")

ReadOrReason = RolloutRead | str
"""What a rollout says, or why it cannot be read."""


@dataclass(frozen=True, slots=True)
class Request:
    """Files to be read, each from its beginning to its end (or its head and tail)."""

    home: Path
    files: tuple[RolloutFile, ...]
    full: bool


def read_all(request: Request) -> list[ReadOrReason]:
    """Read every file of a request, in this process."""
    return [_read(request.home, file, full=request.full) for file in request.files]


def _read(home: Path, file: RolloutFile, *, full: bool) -> ReadOrReason:
    try:
        if not full:
            heads = read_heads(home, file)
            return RolloutRead(file, "heads", heads.facts, heads.decoded_bytes)
        read = read_full(home, file)
    except RolloutError as error:
        return error.why or error.what
    return RolloutRead(
        file,
        "full",
        read.facts,
        read.decoded_bytes,
        parsed_bytes=read.parsed_bytes,
        fold=read.fold,
        found=read.found,
    )


class SecondReader:
    """The second process, with one request at a time under way; where it fails, the files are read here."""

    def __init__(self) -> None:
        environment = dict(os.environ)
        environment["PYTHONPATH"] = str(Path(__file__).resolve().parent.parent)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "store.reading_ahead"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._waiting: Request | None = None

    @property
    def pid(self) -> int:
        """The second process."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What it still reads nobody waits for.
        self._process.kill()
        self._process.communicate()

    def ask(self, request: Request) -> None:
        """Begin to have a request answered; `answer` gives what came of it."""
        self._waiting = request
        try:
            _send(self._pipe(self._process.stdin), request)
        except OSError:
            self._process.kill()

    def answer(self) -> list[ReadOrReason]:
        """Wait for the request that was asked last."""
        request, self._waiting = self._waiting, None
        assert request is not None
        try:
            answer = _receive(self._pipe(self._process.stdout))
        except (OSError, EOFError, pickle.UnpicklingError):
            return read_all(request)
        return list(answer)

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe


def _send(pipe: IO[bytes], value: object) -> None:
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    pipe.write(_LENGTH.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    # Only ever what the process on the other side, our own child or parent, has written.
    return pickle.loads(data)


def main() -> None:
    """Answer requests until there are no more."""
    source, target = sys.stdin.buffer, sys.stdout.buffer
    try:
        while True:
            _send(target, read_all(_receive(source)))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        pass


if __name__ == "__main__":
    main()
