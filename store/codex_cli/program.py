"""Finding the `codex` program, its version, and the environment in which it finds a home."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from store.codex_cli.models import CodexProgram
from store.errors import EngineFailed, HomeError
from store.home import find_home
from store.models import Notice
from store.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from store.home import CodexHome

PROGRAM: Final = "codex"

_PROBE_SECONDS: Final = 20.0
_COMMAND: Final = re.compile(r"^ {2}([a-z][a-z-]*) ", re.MULTILINE)
"""A subcommand in the help, which stands before what it does."""
_KILL_SECONDS: Final = 5.0
_REASON_CHARACTERS: Final = 500

NOT_INSTALLED: Final = Notice(
    severity="error",
    what="Codex is not installed here",
    why="there is no program `codex` on PATH",
    next_step="Install it (npm install -g @openai/codex), or put its folder on PATH",
)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command that ended came to."""

    code: int
    out: str
    reason: str
    """The last that it said on stderr, secrets masked."""


_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def takes_id(thread_id: str) -> bool:
    """Whether Codex takes this for an id: a rollout may say anything, also what would be an option."""
    return _UUID.fullmatch(thread_id) is not None


NO_ID: Final = Notice(
    severity="error",
    what="Codex cannot find this thread by its id",
    why="the id in its rollout is no UUID",
    next_step="It can still be read and exported",
)


async def find_program(program: str | None, environment: Mapping[str, str]) -> CodexProgram | None:
    """The `codex` on PATH, or the one named, with its version and commands; None where there is none."""
    path = shutil.which(program or PROGRAM, path=environment.get("PATH"))
    if path is None:
        return None
    path = os.path.abspath(path)  # noqa: ASYNC240, PTH100  # touches no disk, and a link keeps its name
    # Not in the person's home: even for its help, Codex makes folders where it is at home.
    with tempfile.TemporaryDirectory(prefix="rollodex-") as folder:
        surroundings = {**environment, "CODEX_HOME": folder}
        version, usage = await asyncio.gather(
            _said((path, "--version"), surroundings, folder), _said((path, "--help"), surroundings, folder)
        )
    match = re.search(r"\b\d+\.\d+\.\d+\S*", version)
    return CodexProgram(
        path=path,
        version=match[0] if match else None,
        commands=frozenset(_COMMAND.findall(usage)),
    )


async def _said(argv: Sequence[str], environment: Mapping[str, str], cwd: str) -> str:
    try:
        return (await run(argv, environment, cwd, _PROBE_SECONDS)).out
    except EngineFailed:
        return ""


def home_environment(home: CodexHome, environment: Mapping[str, str]) -> dict[str, str]:
    """What must be set for Codex to work in this home, and with its databases, where it would not anyway."""
    try:
        at_home = find_home(None, env=environment).path == home.path
    except HomeError:
        at_home = False
    needed = {} if at_home else {"CODEX_HOME": str(home.path)}
    if find_home(home.path, env=environment).sqlite_path != home.sqlite_path:
        needed["CODEX_SQLITE_HOME"] = str(home.sqlite_path)
    return needed


async def run(argv: Sequence[str], environment: Mapping[str, str], cwd: str | Path, seconds: float) -> Ran:
    """Run a command to its end, without a terminal. Raises EngineFailed when it cannot start or does not end.

    It is in a session of its own: a ^C that is meant for us does not stop it half-way.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise EngineFailed("Codex cannot be started", why=str(error)) from error
    talking = asyncio.ensure_future(process.communicate())
    try:
        async with asyncio.timeout(seconds):
            out, err = await asyncio.shield(talking)
    except TimeoutError:
        raise EngineFailed("Codex did not end", why=f"it was ended after {seconds:g} s") from None
    finally:
        if process.returncode is None:
            await _end(process)
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
    code = process.returncode
    assert code is not None
    return Ran(code, out.decode("utf-8", "replace"), _reason(err.decode("utf-8", "replace")))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask it to end, which lets it close its databases, and end it where it does not."""
    with suppress(ProcessLookupError):
        process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(_KILL_SECONDS):
                await process.wait()
        if process.returncode is None:
            process.kill()
    await process.wait()


def _reason(complaints: str) -> str:
    """The last line that is no warning."""
    lines = [line.strip() for line in complaints.splitlines()]
    told = [line for line in lines if line and not line.startswith("WARNING:")]
    return redact(told[-1].removeprefix("Error: "))[:_REASON_CHARACTERS] if told else ""
