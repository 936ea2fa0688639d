"""An engine that is any program: the prompt on its stdin, its answer on its stdout, in a sandbox of ours."""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from store.errors import EngineFailed
from store.memories.running import TIME_LIMIT_SECONDS, Program, run
from store.redaction import redact
from store.sandbox import FullAccess, ReadOnly, Restricted, WorkspaceWrite, sandboxed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from store.memories.engines import ConsolidationRequest, ExtractionRequest

PREFIX = "command:"


class CommandEngine:
    """A program of the person's; it may read, and write in the staging copy alone.

    Its environment is ours, with `ROLLODEX_PHASE` set to `extraction` or `consolidation`.
    """

    def __init__(
        self,
        command: str,
        *,
        network: bool = False,
        readable: Sequence[Path] = (),
        seconds: float = TIME_LIMIT_SECONDS,
    ) -> None:
        """`command` is split as a shell would; with `readable`, only that and what it needs can be read."""
        self.name = f"{PREFIX}{redact(command)}"
        self._argv = _split(command)
        self.costs_tokens = network
        """Without the network nobody can be asked who is paid for it."""
        self._network = network
        self._access = (
            Restricted(readable_roots=tuple(str(root.absolute()) for root in readable))
            if readable
            else FullAccess()
        )
        self._seconds = seconds

    async def extract(self, request: ExtractionRequest, say: Callable[[str], None]) -> str:
        """What the program printed; it works in an empty folder, where nothing can be written."""
        with tempfile.TemporaryDirectory(prefix="rollodex-") as folder:
            policy = ReadOnly(access=self._access, network_access=self._network)
            program = await self._program(policy, Path(folder), "extraction")
            return await run(program, f"{request.system}\n\n{request.prompt}", say)

    async def consolidate(self, request: ConsolidationRequest, say: Callable[[str], None]) -> None:
        """Let the program work in the staging copy."""
        policy = WorkspaceWrite(
            read_only_access=self._access,
            network_access=self._network,
            exclude_slash_tmp=True,
            exclude_tmpdir_env_var=True,
        )
        program = await self._program(policy, request.staging, "consolidation")
        await run(program, request.prompt, say, answers=False)

    async def check(self) -> None:
        """Raise UnsupportedOperation where the program is not there or cannot be kept in a sandbox."""
        with tempfile.TemporaryDirectory(prefix="rollodex-") as folder:
            await self._program(ReadOnly(access=self._access), Path(folder), "extraction")

    async def _program(
        self,
        policy: ReadOnly | WorkspaceWrite,
        folder: Path,
        phase: Literal["extraction", "consolidation"],
    ) -> Program:
        return Program(
            await asyncio.to_thread(sandboxed, self._argv, policy, cwd=folder),
            folder,
            self.name,
            {**os.environ, "ROLLODEX_PHASE": phase},
            self._seconds,
        )


def _split(command: str) -> list[str]:
    """As a shell would, with `~` and relative paths taken from where we are. Raises EngineFailed."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise EngineFailed(f"{PREFIX}{redact(command)} cannot be read", why=str(error)) from error
    if not words:
        raise EngineFailed(
            "No program is named", next_step=f"Write {PREFIX}PROGRAM, with its arguments if it has any"
        )
    program, *arguments = map(_expanded, words)
    return [str(Path(program).absolute()) if os.sep in program else program, *map(_from_here, arguments)]


def _expanded(word: str) -> str:
    with suppress(RuntimeError):  # of nobody's home; a shell leaves it as it is, too
        return str(Path(word).expanduser()) if word.startswith("~") else word
    return word


def _from_here(word: str) -> str:
    """The word with the path in it whole: the program works elsewhere. A folder is told by its "/"."""
    option, equals, name = word.rpartition("=") if word.startswith("-") else ("", "", word)
    if "\0" in name or not os.access(name, os.R_OK) or (Path(name).is_dir() and os.sep not in name):
        return word
    return f"{option}{equals}{Path(name).absolute()}"
