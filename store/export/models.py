"""What an export is asked for, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from store.models import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from store.models import DynamicTool, Thread

Format = Literal["markdown", "json", "html"]


@dataclass(frozen=True, slots=True)
class ExportSource:
    """A thread and where it is read from."""

    home: Path
    """The real path of the Codex home."""
    thread: Thread
    tools: tuple[DynamicTool, ...] = ()
    bases: Mapping[str, Path] = field(default_factory=dict)
    """The rollouts that its history goes on from (`Threads.base_paths`)."""


class Selection(Frozen):
    """What of a thread goes into the document, and in which form."""

    format: Format = "markdown"
    from_prompt: int | None = None
    """The first prompt, counted from 1 as the transcript shows them; None from the beginning."""
    to_prompt: int | None = None
    """The last prompt, with all that follows it up to the next; None to the end."""
    tools: bool = True
    reasoning: bool = True
    secrets: bool = False
    """Leave secrets as they are."""


class MaskedPlace(Frozen):
    """Where secrets of one kind were masked."""

    thread_id: str
    """The thread whose rollout has the line: of what a fork inherits, another one."""
    line: int | None
    """As in the JSON form, counted from 0; None for what is said of the thread itself (title, folder, …)."""
    count: int
    """Different ones."""
    begins: str
    """The first characters of one, four at most; empty where they would tell too much."""


class Masked(Frozen):
    """The secrets of one kind that were masked."""

    kind: str
    count: int
    places: tuple[MaskedPlace, ...]
    """The first of them: see `store.export.masking.PLACES_KEPT`."""


class ExportReport(Frozen):
    """What was written, or would be."""

    file: str | None
    """None where nothing was written to a file."""
    format: Format
    items: int
    size: int
    """In bytes."""
    masked: tuple[Masked, ...]


class ExportProgress(NamedTuple):
    """How far an export has come: in bytes while the rollout is indexed, then in items."""

    step: Literal["reading", "writing"]
    done: int
    total: int
