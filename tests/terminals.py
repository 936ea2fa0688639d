"""Rollodex in a real terminal: what is typed there, and what is seen."""

from __future__ import annotations

import codecs
import errno
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest
from other_processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS: Final = 30.0
"""The longest that a test waits for what takes far less."""


@dataclass
class Terminal:
    """Rollodex in a terminal of its own."""

    process: subprocess.Popen[bytes]
    descriptor: int
    seen: str = ""
    _decoder: codecs.IncrementalDecoder = field(default_factory=codecs.getincrementaldecoder("utf-8"))

    def until(self, text: str) -> str:
        """Read until this is on the terminal; all that was read."""
        deadline = time.monotonic() + SECONDS
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if not self._read():
                break
        assert text in self.seen, self.seen
        return self.seen

    def type(self, keys: bytes) -> None:
        os.write(self.descriptor, keys)

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        return self.process.wait(SECONDS)

    def _read(self) -> bool:
        if not select.select([self.descriptor], [], [], SECONDS)[0]:
            raise AssertionError(f"nothing more came after {self.seen!r}")
        try:
            data = os.read(self.descriptor, 65536)
        except OSError as error:
            if error.errno != errno.EIO:  # how Linux says that the other side was closed
                raise
            return False
        self.seen += self._decoder.decode(data)
        return bool(data)


@dataclass
class Terminals:
    """Opens terminals, and closes what is left of them."""

    opened: list[Terminal]

    def run(self, *arguments: str) -> Terminal:
        """`rollodex` with these arguments, as the foreground process of a terminal of its own."""
        ours, theirs = os.openpty()
        code = (
            "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
            "from tui.cli import main; sys.argv[0] = 'rollodex'; main()"
        )
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        os.close(theirs)
        self.opened.append(Terminal(process, ours))
        return self.opened[-1]


@pytest.fixture
def terminals() -> Iterator[Terminals]:
    if os.name != "posix":
        pytest.skip("there is no pty")
    made = Terminals([])
    yield made
    for terminal in made.opened:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.descriptor)
