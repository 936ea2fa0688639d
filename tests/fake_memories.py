"""Memory pipelines without a store: values that the test sets, and errands that it brings to their end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from memory_values import NOW, ROOT, pipeline

from store.errors import EngineFailed
from store.memories.models import ConsolidationResult
from tui.memory_orders import ConsolidationPlan, EngineChoice, Errand, ExtractionPlan, Restore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from store.errors import RestoreRefused, StoreError
    from store.memories.models import FileChange, MemoryRun, Pipeline, RunProgress, ThreadMemory
    from tui.memory_orders import Order, Result
    from widgets.memory_artifacts import Artifact

ENGINES = (EngineChoice("extractive", costs_tokens=False), EngineChoice("codex", costs_tokens=True))
EMPTY = pipeline(waiting=0)


class FakeMemories:
    """What the screens ask of the memory pipelines; remembers the orders."""

    def __init__(self, *pipelines: Pipeline) -> None:
        self.now: Sequence[Pipeline] = pipelines or (EMPTY,)
        self.extraction = ExtractionPlan(
            None, 6, 184_000, "Rollodex's own database; nothing in ~/.codex", ENGINES
        )
        self.consolidation = ConsolidationPlan(
            ROOT, 34, 21_400, "pending: 4 new inputs since 09:13", force=False, engines=ENGINES
        )
        self.orders: list[Order] = []
        self.planned: list[Sequence[str] | None] = []
        self.errand: Errand | None = None
        self.titles: Mapping[str, str] = {}
        self.stopped = 0
        self.memory: ThreadMemory | None = None
        self.recent: Sequence[ThreadMemory] = ()
        self.all_runs: Sequence[MemoryRun] = ()
        self.run_changes: Mapping[int, Sequence[FileChange]] = {}
        self.files: Mapping[str, tuple[Artifact, str]] = {}
        self.error: StoreError | None = None
        self.refusal: RestoreRefused | None = None
        self._changed = asyncio.Event()

    # What the test does

    def show(self, *pipelines: Pipeline) -> None:
        """Have the pipelines stand elsewhere."""
        self.now = pipelines
        self._wake()

    def report(self, *reports: RunProgress) -> None:
        """Have what is carried out go on."""
        assert self.errand is not None
        for each in reports:
            self.errand.report(each)
        self._wake()

    def end(self, result: Result) -> None:
        """Have it end."""
        assert self.errand is not None
        self.errand.end(result)
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    # What the screens do

    async def pipelines(self) -> AsyncIterator[Sequence[Pipeline]]:
        while True:
            changed = self._changed
            if self.error is not None:
                raise self.error
            yield self.now
            await changed.wait()

    async def errands(self) -> AsyncIterator[Errand | None]:
        while True:
            changed = self._changed
            yield self.errand
            await changed.wait()

    async def extraction_plan(self, thread_ids: Sequence[str] | None) -> ExtractionPlan:
        self.planned.append(thread_ids)
        if thread_ids is None:
            return self.extraction
        number = len(thread_ids)
        return ExtractionPlan(tuple(thread_ids), number, number * 31_000, self.extraction.writes, ENGINES)

    async def consolidation_plan(self) -> ConsolidationPlan:
        return self.consolidation

    async def carry_out(self, order: Order) -> None:
        if self.errand is not None and not self.errand.ended:
            raise EngineFailed("Something is being carried out already")
        self.orders.append(order)
        self.errand = Errand(order, NOW, self.titles)
        if isinstance(order, Restore):
            refused = None if order.confirmed else self.refusal
            self.errand.end(refused or ConsolidationResult(outcome="succeeded", changed=("MEMORY.md",)))
        self._wake()

    async def stop(self) -> None:
        self.stopped += 1
        if self.errand is not None:
            self.end(None)

    async def thread_memory(self, thread_id: str) -> ThreadMemory | None:
        return self.memory

    async def project_memories(self, cwd: str) -> Sequence[ThreadMemory]:
        return self.recent

    async def runs(self) -> Sequence[MemoryRun]:
        return self.all_runs

    async def changes(self, run_id: int) -> Sequence[FileChange]:
        return self.run_changes[run_id]

    async def artifacts(self, root: str | None = None) -> tuple[str, Sequence[Artifact]]:
        return root or ROOT, [artifact for artifact, _ in self.files.values()]

    async def artifact(self, root: str, path: str) -> str:
        return self.files[path][1]
