"""What the person can have the memory pipelines do, what is to be known before, and what became of it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.errors import StoreError
    from store.memories.models import (
        CodexRun,
        ConsolidationResult,
        ExtractionResult,
        MemoryRun,
        RunProgress,
    )

    Result = ExtractionResult | ConsolidationResult | CodexRun | MemoryRun | StoreError | None

REPORTS_KEPT: Final = 2_000
"""Of a run that says more, the oldest go first."""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine that may be asked."""

    name: str
    """As `--engine` takes it: `extractive`, `codex`, `command:PROGRAM`."""
    costs_tokens: bool


@dataclass(frozen=True, slots=True)
class Extract:
    """Make memories of threads: of those named, or of what waits."""

    engine: str
    thread_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Consolidate:
    """Consolidate the memories in a root."""

    engine: str
    root: str
    force: bool = False


@dataclass(frozen=True, slots=True)
class Restore:
    """Put back what a run replaced; `confirmed` also over files that have changed since."""

    run_id: int
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class RunCodex:
    """Have Codex run its own pipeline."""


Order = Extract | Consolidate | Restore | RunCodex


@dataclass(frozen=True, slots=True)
class ExtractionPlan:
    """What an extraction would take."""

    thread_ids: tuple[str, ...] | None
    """None: what waits."""
    threads: int
    tokens: int
    """About how many an engine would be given."""
    writes: str
    """Where the memories are stored."""
    engines: Sequence[EngineChoice]


@dataclass(frozen=True, slots=True)
class ConsolidationPlan:
    """What a consolidation would take, and who owns the root."""

    root: str
    memories: int
    tokens: int
    """About how many an engine would be given."""
    needed: str
    """Where consolidation stands, in words; it is forced where there is nothing to do or a back-off holds."""
    force: bool
    engines: Sequence[EngineChoice]
    new: bool = True
    """Whether something has come since the last one."""
    owned: str | None = None
    """Why the root is Codex's."""
    elsewhere: str = ""
    """The folder that is written instead, when the root is Codex's."""
    codex_skips: Sequence[str] = ()
    """What would make Codex's own pipeline skip."""


class Errand:
    """An order as it is carried out; what it reports is kept for whoever looks later."""

    def __init__(self, order: Order, begun_at: int, titles: Mapping[str, str] | None = None) -> None:
        self.order = order
        self.begun_at = begun_at
        """In seconds since the epoch."""
        self.titles = dict(titles or {})
        """What its threads are called, by id; filled in once that is known."""
        self.ended = False
        self.result: Result = None
        """What it came to; None also where the person stopped it."""
        self.noticed = False
        """Whether the person has seen how it ended."""
        self._reports: deque[RunProgress] = deque(maxlen=REPORTS_KEPT)
        self._told = 0

    def report(self, progress: RunProgress) -> None:
        """Take in how far it is."""
        self._reports.append(progress)
        self._told += 1

    def end(self, result: Result) -> None:
        """It is over."""
        self.result, self.ended = result, True

    def after(self, seen: int) -> tuple[list[RunProgress], int]:
        """Return the reports after the first `seen`, as far as they are kept, and how many there were."""
        new = min(self._told - seen, len(self._reports))
        return list(islice(self._reports, len(self._reports) - new, None)), self._told
