"""Who writes memories: what an engine is asked for, and which engines there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from store.errors import EngineFailed, UnsupportedOperation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from store.home import CodexHome
    from store.memories.models import ThreadMemory
    from store.models import Thread, TranscriptItem


@dataclass(frozen=True, slots=True)
class ExtractionRequest:
    """One thread to be made a memory of."""

    thread: Thread
    items: Sequence[TranscriptItem]
    """Messages and tool calls of the thread itself, in order, cut to the token budget."""
    left_out: int
    """About how many prompts and tool calls between the head and the tail the budget left out."""
    system: str
    """The prompt `stage_one_system.md`, filled in."""
    prompt: str
    """The prompt `stage_one_input.md`, filled in with the same items."""


@dataclass(frozen=True, slots=True)
class ConsolidationRequest:
    """All memories to be consolidated, and the folder to do it in."""

    staging: Path
    """A copy of the root with the new artifacts in it; nothing else may be written."""
    memories: Sequence[ThreadMemory]
    """Newest first."""
    prompt: str
    """The prompt `consolidation.md`, filled in."""


class Engine(Protocol):
    """Raises EngineFailed with the reason, UnsupportedOperation before anything was started.

    Whatever it starts ends when the call is cancelled, and when this process dies.
    """

    @property
    def name(self) -> str:
        """As in the option: `extractive`, `codex`, `command:PROGRAM`."""
        ...

    @property
    def costs_tokens(self) -> bool:
        """Whether a model is asked that somebody pays for, as far as is known."""
        ...

    async def extract(self, request: ExtractionRequest, say: Callable[[str], None]) -> str:
        """Return the answer: JSON text with `rollout_summary`, `raw_memory` and maybe `rollout_slug`.

        `say` is told what the engine prints on the way; foreign text.
        """
        ...

    async def consolidate(self, request: ConsolidationRequest, say: Callable[[str], None]) -> None:
        """Leave `MEMORY.md` and `memory_summary.md` in the staging folder."""
        ...


@runtime_checkable
class CheckedEngine(Protocol):
    """An engine that can tell before any work is claimed whether it can be run here."""

    async def check(self) -> None:
        """Raise UnsupportedOperation, or EngineFailed, where it certainly cannot be run; costs no tokens."""
        ...


async def check_engine(engine: Engine) -> None:
    """Raise what the engine would raise before it starts anything: UnsupportedOperation or EngineFailed."""
    if isinstance(engine, CheckedEngine):
        await engine.check()


def make_engine(
    name: str,
    *,
    home: CodexHome,
    network: bool = False,
    readable: Sequence[Path] = (),
    program: str | None = None,
    seconds: float | None = None,
) -> Engine:
    """The engine of this name: `extractive`, `codex`, or `command:` with a command line; nothing is started.

    `network` and `readable` (the only folders to be read) are for a command. `program` is the Codex program,
    that of PATH without it. `seconds` limits each call. Raises EngineFailed for a name that is none,
    UnsupportedOperation where a limit that was asked for could not be kept.
    """
    # Each engine loads what the others can do without, and their modules know this one.
    if name == "extractive":
        from store.memories.extractive import Extractive

        return Extractive()
    from store.memories.codex_engine import NAME, CodexEngine
    from store.memories.command_engine import PREFIX, CommandEngine
    from store.memories.running import TIME_LIMIT_SECONDS

    limit = TIME_LIMIT_SECONDS if seconds is None else seconds
    if name.startswith(PREFIX):
        return CommandEngine(name.removeprefix(PREFIX), network=network, readable=readable, seconds=limit)
    if name != NAME:
        raise EngineFailed(
            f"There is no engine {name!r}", next_step=f"Use extractive, {NAME} or {PREFIX}PROGRAM"
        )
    if network or readable:
        raise UnsupportedOperation(
            "Codex keeps to its own sandbox",
            why="which folders may be read and whether there is a network can only be said for a command",
            next_step="Leave --engine-network and --engine-read out",
        )
    return CodexEngine(home, program=program or "codex", seconds=limit)
