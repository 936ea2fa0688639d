"""Who writes memories: what an engine is asked for, and which engines there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from store.memories.models import ThreadMemory
    from store.models import Thread, TranscriptItem


@dataclass(frozen=True, slots=True)
class ExtractionRequest:
    """One thread to be made a memory of."""

    thread: Thread
    items: Sequence[TranscriptItem]
    """Messages and tool calls of the thread itself, in order, cut to the token budget."""
    left_out: int
    """How many items between the head and the tail the budget left out."""
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
