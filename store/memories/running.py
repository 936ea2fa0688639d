"""An engine's program on a leash: it ends when its time is up, when nobody waits, or with this process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from store.errors import EngineFailed, UnsupportedOperation
from store.memories import leash
from store.redaction import redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

TIME_LIMIT_SECONDS: Final = 20 * 60.0
"""How long one call of an engine may take, unless it is told otherwise."""

ANSWER_BYTES: Final = 4 << 20
"""The longest answer: a thousand times what a memory is."""

OUTPUT_BYTES: Final = 64 << 20
"""How much a program may print altogether before it is taken to be out of its mind."""

_TOLD_AT_ONCE: Final = 8 << 10
"""How many characters are told at once; a longer line is not told: a secret cut in two is not known."""

_TELL_SECONDS: Final = 0.1
"""How long what was printed waits for more, so that a flood is told a few times a second."""

_REASON_CHARACTERS: Final = 500

_PIPE_BYTES: Final = 64 << 10
"""What a pipe holds, as a rule."""

_STOP_SECONDS: Final = 10.0
"""How long the leash may take to end everything; only a process that the kernel cannot end takes longer."""


@dataclass(frozen=True, slots=True)
class Program:
    """What is to be run, and within which bounds."""

    argv: Sequence[str]
    cwd: Path
    name: str
    """What messages call it."""
    environment: Mapping[str, str] | None = None
    """All of it; None is our own."""
    seconds: float = TIME_LIMIT_SECONDS


async def run(program: Program, prompt: str, say: Callable[[str], None], *, answers: bool = True) -> str:
    """Run the program with the prompt on its stdin; what it printed to stdout when it `answers`, else "".

    `say` is told whole lines of what it prints, of many at once only the last, with secrets masked. Raises
    EngineFailed when it cannot be started, fails, or goes past a bound. However this ends, the program and
    whatever it started have ended before (`store.memories.leash` says how far that goes on each platform).
    """
    if os.name != "posix":
        raise UnsupportedOperation(
            f"{program.name} cannot be run on this system",
            why="only Linux and macOS can end a program with all that it started",
            next_step="Use the engine `extractive`",
        )
    held, lifeline = os.pipe()
    running = _Running(program, say, answers=answers, lifeline=lifeline)
    arguments = [sys.executable, "-I", "-S", str(Path(leash.__file__)), str(held), *program.argv]
    async with _pipe_of(prompt) as stdin:
        try:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: running,
                *arguments,
                cwd=program.cwd,
                env=program.environment,
                stdin=stdin,
                pass_fds=(held,),
                start_new_session=True,
            )
        except BaseException as error:
            running.let_go()
            if isinstance(error, OSError | ValueError):
                raise EngineFailed(f"{program.name} cannot be started", why=str(error)) from error
            raise
        finally:
            os.close(held)
        try:
            with suppress(BrokenPipeError):  # the leash may have been killed by now
                os.write(lifeline, b"\n")
            async with asyncio.timeout(program.seconds):
                await asyncio.shield(running.ended)
        except TimeoutError:
            running.stop(f"it did not end within {_duration(program.seconds)}")
        finally:
            await _end(running)
    return running.answer()


@asynccontextmanager
async def _pipe_of(text: str) -> AsyncIterator[int]:
    """The reading end of a pipe with this text; who stops reading early is not waited for."""
    loop = asyncio.get_running_loop()
    rest = memoryview(text.encode("utf-8", "replace"))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def write() -> None:
        nonlocal rest
        with suppress(BlockingIOError):
            rest = rest[os.write(writing, rest[:_PIPE_BYTES]) :]
        if not rest:
            close()

    def close() -> None:
        if loop.remove_writer(writing):
            os.close(writing)

    loop.add_writer(writing, write)
    try:
        yield reading
    finally:
        close()
        os.close(reading)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:g} s"


def _ending(code: int | None) -> str:
    """What an exit code says, as a shell's and the leash's: past 128 it is a signal."""
    if code is not None and code > 128:
        with suppress(ValueError):
            return f"it was ended by {signal.Signals(code - 128).name}"
    return f"it ended with code {code}"


class _Running(asyncio.SubprocessProtocol):
    """One program on its leash: what it prints, and whether it has ended."""

    def __init__(self, program: Program, say: Callable[[str], None], *, answers: bool, lifeline: int) -> None:
        self._name = program.name
        self._say = say
        self._kept = bytearray() if answers else None
        self._lifeline: int | None = lifeline
        self._printed = 0
        self._lines = {1: _Lines(), 2: _Lines()}
        self._failure = ""
        self._untold = ""
        self._telling: asyncio.TimerHandle | None = None
        self._closing: asyncio.TimerHandle | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the leash has ended and all that was printed has been taken."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.SubprocessTransport", transport)

    def let_go(self) -> None:
        """Have everything ended; what it still prints is not taken."""
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def stop(self, failure: str) -> None:
        """Have everything ended for this reason; the first one counts."""
        self._failure = self._failure or failure
        self.let_go()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if self._lifeline is None:
            return
        self._tell_soon(self._lines[fd].take(data))
        self._printed += len(data)
        if fd == 1 and self._kept is not None:
            self._kept += data
            if len(self._kept) > ANSWER_BYTES:
                self.stop(f"its answer is longer than {ANSWER_BYTES >> 20} MB")
        if self._printed > OUTPUT_BYTES:
            self.stop(f"it printed more than {OUTPUT_BYTES >> 20} MB")

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if self._lifeline is not None and fd in self._lines:
            self._tell_soon(self._lines[fd].take(b"", end=True))

    def process_exited(self) -> None:
        # A process that the leash could not find may hold the pipes open for ever.
        self._closing = asyncio.get_running_loop().call_later(_STOP_SECONDS, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._telling, self._closing):
            if timer is not None:
                timer.cancel()
        self._tell()
        self.transport.close()
        if not self.ended.done():
            self.ended.set_result(None)

    def answer(self) -> str:
        """What was printed; raises EngineFailed unless it is all of what a program printed that succeeded."""
        code = self.transport.get_returncode()
        if not self._failure and code == 0:
            return bytes(self._kept or b"").decode("utf-8", "replace")
        said = self._lines[2].last or self._lines[1].last
        why = self._failure or redact(said)[:_REASON_CHARACTERS] or _ending(code)
        raise EngineFailed(f"{self._name} failed", why=why)

    def _tell_soon(self, lines: str) -> None:
        if not lines:
            return
        self._untold = _last_lines(f"{self._untold}{lines}\n")
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_TELL_SECONDS, self._tell)

    def _tell(self) -> None:
        self._telling = None
        if self._untold:
            untold, self._untold = self._untold, ""
            self._say(redact(untold).rstrip("\n"))


def _last_lines(text: str) -> str:
    """As many whole lines of the end as are told at once."""
    return text if len(text) <= _TOLD_AT_ONCE else text[-_TOLD_AT_ONCE:].partition("\n")[2]


class _Lines:
    """One stream, taken by whole lines."""

    def __init__(self) -> None:
        self._begun = b""
        self._skips = False
        self.last = ""
        """The last line that is not blank."""

    def take(self, data: bytes, *, end: bool = False) -> str:
        """The lines that became whole, the last of them where they are many."""
        if self._skips:
            _, newline, data = data.partition(b"\n")
            self._skips = not newline
        whole, _, begun = (self._begun + data + b"\n" * end).rpartition(b"\n")
        if len(begun) > _TOLD_AT_ONCE:
            begun, self._skips = b"", True
        self._begun = begun
        text = _last_lines(whole.decode("utf-8", "replace")).strip("\n")
        self.last = next((line for line in reversed(text.splitlines()) if line.strip()), self.last).strip()
        return text


async def _end(running: _Running) -> None:
    """Have everything ended, and wait until it has; a cancellation meanwhile waits as well."""

    async def ended() -> None:
        running.let_go()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.shield(running.ended)
        except TimeoutError:
            running.transport.close()
            await running.ended

    ending = asyncio.ensure_future(ended())
    cancelled: asyncio.CancelledError | None = None
    while not ending.done():
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
