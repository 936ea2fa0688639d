"""`codex app-server` over stdio: JSON-RPC, one object a line (seen with 0.105 and 0.169).

The process is held by `store.memories.leash`: it ends with the block, and with this process.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from asyncio.subprocess import Process, SubprocessStreamProtocol
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from store.errors import EngineFailed, UnsupportedOperation
from store.memories import leash
from store.redaction import redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

START_SECONDS: Final = 90.0
"""How long Codex may take to answer at first: from 0.150 on it imports its threads before."""

ANSWER_SECONDS: Final = 60.0
"""How long any other call may take."""

_LINE_BYTES: Final = 64 << 20
"""The longest line that is taken."""

_CLOSE_SECONDS: Final = 5.0
"""How long Codex may take to end by itself once nobody talks to it any more."""

_NO_SUCH_METHOD: Final = -32601


class AppServer:
    """One connection. A call raises EngineFailed, with Codex's words, when it is refused or Codex ends."""

    def __init__(self, process: Process) -> None:
        self.user_agent = ""
        """What Codex calls itself: `<client>/<version> (…)`."""
        self._process = process
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._turns: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._ended: str | None = None
        self._last_words = ""

    async def initialize(self) -> None:
        """Say who talks, and learn who answers."""
        result = await self.call(
            "initialize",
            {"clientInfo": {"name": "rollodex", "title": "Rollodex", "version": "1"}},
            seconds=START_SECONDS,
        )
        self.user_agent = str(result.get("userAgent", ""))
        self._send({"method": "initialized"})

    async def call(
        self, method: str, parameters: Mapping[str, Any], *, seconds: float = ANSWER_SECONDS
    ) -> dict[str, Any]:
        """Ask Codex for something, and wait for its result."""
        number = next(self._numbers)
        answer = self._answers[number] = self._future()
        self._send({"id": number, "method": method, "params": parameters})
        try:
            async with asyncio.timeout(seconds):
                message = await answer
        except TimeoutError:
            raise EngineFailed(f"Codex did not answer {method} within {seconds:g} s") from None
        finally:
            self._answers.pop(number, None)
        if "error" in message:
            error = message["error"]
            why = error.get("message") if isinstance(error, dict) else error
            raise EngineFailed(f"Codex refused {method}", why=redact(str(why)))
        result = message.get("result")
        return result if isinstance(result, dict) else {}

    async def turn(self, thread_id: str, prompt: str, *, seconds: float) -> str:
        """A turn to its end; why it failed, "" when it did not."""
        ended = self._turns[thread_id] = self._future()
        content = [{"type": "text", "text": prompt}]
        try:
            async with asyncio.timeout(seconds):
                await self.call("turn/start", {"threadId": thread_id, "input": content})
                turn = (await ended).get("turn")
        except TimeoutError:
            raise EngineFailed(f"Codex did not end its turn within {seconds:g} s") from None
        finally:
            self._turns.pop(thread_id, None)
        status = turn.get("status") if isinstance(turn, dict) else None
        if not isinstance(turn, dict) or status == "completed":
            return ""
        error = turn.get("error")
        why = error.get("message") if isinstance(error, dict) else None
        return redact(str(why or f"its status is {status}"))

    def check(self) -> None:
        """Raise EngineFailed when Codex has ended."""
        if self._ended is not None:
            raise EngineFailed("Codex ended before it was done", why=self._ended)

    def _future(self) -> asyncio.Future[dict[str, Any]]:
        self.check()
        return asyncio.get_running_loop().create_future()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(ConnectionError, RuntimeError):  # its end is noticed by `listen`
            self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def listen(self) -> None:
        """Take what Codex says until it ends; then nobody waits for it any more."""
        assert self._process.stdout is not None
        reason = ""
        try:
            async for line in self._process.stdout:
                self._take(line)
        except ValueError:
            reason = f"it said something longer than {_LINE_BYTES >> 20} MB"
        finally:
            self._ended = reason or self._last_words or "it gave no reason"
            error = EngineFailed("Codex ended before it was done", why=self._ended)
            for future in (*self._answers.values(), *self._turns.values()):
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # nobody may be waiting for it just now

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return  # a line of a log among the answers
        if not isinstance(message, dict):
            return
        number, method, parameters = message.get("id"), message.get("method"), message.get("params")
        if method is None:
            answer = self._answers.get(number) if isinstance(number, int) else None
            if answer is not None and not answer.done():
                answer.set_result(message)
        elif number is not None:
            # Approvals and the like: nobody is here to give them.
            self._send({"id": number, "error": {"code": _NO_SUCH_METHOD, "message": "nobody to ask"}})
        elif method == "turn/completed" and isinstance(parameters, dict):
            turn = self._turns.get(str(parameters.get("threadId")))
            if turn is not None and not turn.done():
                turn.set_result(parameters)

    async def listen_to_complaints(self) -> None:
        """Keep the last line of stderr: the reason, should Codex end."""
        assert self._process.stderr is not None
        with suppress(ValueError):
            async for line in self._process.stderr:
                words = line.decode("utf-8", "replace").strip()
                self._last_words = redact(words)[:500] or self._last_words


@asynccontextmanager
async def app_server(
    program: str, arguments: Sequence[str], environment: Mapping[str, str], cwd: Path
) -> AsyncIterator[AppServer]:
    """`codex app-server` with these arguments, greeted; ended with all that it started with the block.

    Raises EngineFailed when it cannot be started or does not answer, UnsupportedOperation on Windows.
    """
    if os.name != "posix":
        raise UnsupportedOperation(
            "Codex's own pipeline cannot be run from here",
            why="only Linux and macOS can end a program with all that it started",
            next_step="Start a session of Codex: its pipeline runs with it",
        )
    loop = asyncio.get_running_loop()
    held, lifeline = os.pipe()
    try:
        try:
            transport, protocol = await loop.subprocess_exec(
                lambda: SubprocessStreamProtocol(_LINE_BYTES, loop),
                *(sys.executable, "-I", "-S", str(Path(leash.__file__)), str(held)),
                *(program, "app-server", *arguments),
                cwd=cwd,
                env=environment,
                pass_fds=(held,),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise EngineFailed("Codex cannot be started", why=str(error)) from error
        finally:
            os.close(held)
        with suppress(BrokenPipeError):  # then there is no answer either
            os.write(lifeline, b"\n")
        process = Process(transport, protocol, loop)
        server = AppServer(process)
        listening = [
            asyncio.create_task(server.listen()),
            asyncio.create_task(server.listen_to_complaints()),
        ]
        try:
            await server.initialize()
            yield server
            await _let_end(process)
        finally:
            os.close(lifeline)
            lifeline = -1
            try:
                await _ended(process, listening)
            finally:
                transport.close()
    finally:
        if lifeline >= 0:
            os.close(lifeline)


async def _let_end(process: Process) -> None:
    """Have it close its databases and end, which both versions do once their stdin has."""
    assert process.stdin is not None
    process.stdin.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await process.wait()


async def _ended(process: Process, listening: Sequence[asyncio.Task[None]]) -> None:
    """Wait until the leash has ended everything and what was said is taken; a cancellation waits as well."""

    async def ended() -> None:
        await process.wait()
        # A process that the leash could not find may hold the pipes open for ever.
        await asyncio.wait(listening, timeout=_CLOSE_SECONDS)
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)

    waiting = asyncio.ensure_future(ended())
    cancelled: asyncio.CancelledError | None = None
    while not waiting.done():
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
