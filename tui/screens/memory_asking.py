"""What the memory pipelines are told to do from any screen: nothing before a sheet was answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.message import Message

from store.errors import RestoreRefused, StoreError
from store.memories.models import STAGE1
from tui.memory_orders import Restore
from tui.memory_questions import (
    about_codex_alone,
    about_consolidation,
    about_extraction,
    about_stopping,
    about_undoing,
)
from tui.screens.asking import AskingScreen
from tui.screens.choice import ChoiceScreen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.memories.models import JobRow, MemoryRun, Pipeline
    from tui.memory_orders import Errand, Order
    from tui.screens.choice import Question


class MemoryAskingScreen(AskingScreen):
    """A screen with the keys of the memory pipelines."""

    SHOWS_ERRANDS: ClassVar[bool] = True
    """Whether it says itself how an order ended, or has the screen that does shown."""

    @dataclass
    class MemoriesRead(Message):
        """Where the pipelines stand."""

        pipelines: Sequence[Pipeline]

        def can_replace(self, message: Message) -> bool:
            """Only where they stand now matters."""
            return isinstance(message, MemoryAskingScreen.MemoriesRead)

    @dataclass
    class ErrandMoved(Message):
        """What is carried out has gone on."""

        errand: Errand

        def can_replace(self, message: Message) -> bool:
            """The errand knows all that was reported."""
            return isinstance(message, MemoryAskingScreen.ErrandMoved) and message.errand is self.errand

    # What a screen says of itself

    @property
    def threads_to_extract(self) -> Sequence[str] | None:
        """The threads that the person named; None: what waits."""
        return None

    @property
    def jobs_to_retry(self) -> Sequence[JobRow]:
        """The jobs that are meant."""
        return ()

    @property
    def at_codex(self) -> bool:
        """Whether the person looks at Codex's own pipeline."""
        return False

    @property
    def root_meant(self) -> str | None:
        """The folder that the person looks at; None: ours."""
        return None

    @property
    def run_meant(self) -> MemoryRun | None:
        """The run under the cursor; None: the newest."""
        return None

    def order_begun(self) -> None:
        """An order is being carried out: show how."""

    # Following

    @work(exclusive=True, group="memories", exit_on_error=False, description="Following the memory jobs")
    async def follow_memories(self) -> None:
        """Tell where the pipelines stand for as long as the screen lives."""
        async for pipelines in self._services.memories.pipelines():
            self.post_message(self.MemoriesRead(pipelines))

    @work(exclusive=True, group="errand", exit_on_error=False, description="Following what runs")
    async def follow_errand(self) -> None:
        """Tell how far what is carried out has come for as long as the screen lives."""
        async for errand in self._services.memories.errands():
            if errand is not None:
                self.post_message(self.ErrandMoved(errand))

    # Asking first

    async def _ask(self, question: Question[Order]) -> Order | None:
        """Ask, and begin with what is answered."""
        order = await self.app.push_screen_wait(ChoiceScreen(question, glyphs=self._glyphs))
        if order is not None:
            await self._services.memories.carry_out(order)
            self.order_begun()
        return order

    @work(exclusive=True, group="order", exit_on_error=False, description="Preparing an extraction")
    async def _extract(self, thread_ids: Sequence[str] | None) -> None:
        await self._ask(about_extraction(await self._services.memories.extraction_plan(thread_ids)))

    @work(exclusive=True, group="order", exit_on_error=False, description="Preparing a consolidation")
    async def _consolidate(self) -> None:
        plan = await self._services.memories.consolidation_plan()
        await self._ask(about_consolidation(plan, self._services.user_home))

    @work(exclusive=True, group="order", exit_on_error=False, description="Looking at Codex's pipeline")
    async def _run_codex(self) -> None:
        await self._ask(about_codex_alone(await self._services.memories.consolidation_plan()))

    @work(exclusive=True, group="order", exit_on_error=False, description="Undoing a run")
    async def _undo(self, run: MemoryRun | None) -> None:
        memories, user_home = self._services.memories, self._services.user_home
        if run is None:
            undoable = (each for each in await memories.runs() if each.status == "done" and each.changed)
            run = next(undoable, None)
        if run is None or not run.changed:
            self.notify("No file has been changed that could be put back.", markup=False)
            return
        refused: StoreError | None = None
        while True:
            order = await self._ask(about_undoing(run, user_home, refused))
            if not isinstance(order, Restore):
                return
            refused = await self._refusal(order)
            if refused is None or order.confirmed:
                return

    async def _refusal(self, order: Restore) -> RestoreRefused | None:
        """Wait for the end of an undoing, and return why it was refused."""
        async for errand in self._services.memories.errands():
            if errand is None or errand.order != order:
                return None
            if errand.ended:
                if isinstance(errand.result, RestoreRefused):
                    return errand.result
                if isinstance(errand.result, StoreError) and not self.SHOWS_ERRANDS:
                    raise errand.result
                return None
        return None

    @work(exclusive=True, group="stop", exit_on_error=False, description="Stopping what runs")
    async def _stop(self) -> None:
        await self._services.memories.stop()

    # Actions

    def action_extract(self) -> None:
        """Ask whether threads are to be made memories of."""
        self._extract(self.threads_to_extract)

    def action_consolidate(self) -> None:
        """Ask whether the memories are to be consolidated."""
        if self.at_codex:
            self._run_codex()
        else:
            self._consolidate()

    def action_retry(self) -> None:
        """Ask whether what failed is to be tried again."""
        jobs = self.jobs_to_retry
        if self.at_codex:
            self._run_codex()
        elif threads := [row.job.job_key for row in jobs if row.job.kind == STAGE1]:
            self._extract(threads)
        elif jobs:
            self._consolidate()
        else:
            self.notify("No job has failed.", markup=False)

    def action_undo(self) -> None:
        """Ask whether a run is to be undone."""
        self._undo(self.run_meant)

    def action_stop(self) -> None:
        """Ask whether what runs is to be stopped."""
        self.app.push_screen(ChoiceScreen(about_stopping(), glyphs=self._glyphs), self._stop_if)

    def _stop_if(self, answer: bool | None) -> None:
        if answer:
            self.stopping()
            self._stop()

    def stopping(self) -> None:
        """What runs is being stopped."""

    def action_changes(self) -> None:
        """Show what the runs changed."""
        from tui.screens.memory_history import MemoryHistoryScreen

        self.app.push_screen(MemoryHistoryScreen(self._services, self._clock, glyphs=self._glyphs))

    def action_artifacts(self) -> None:
        """Show the files of the memory folder."""
        from tui.screens.memory_files import MemoryFilesScreen

        self.app.push_screen(
            MemoryFilesScreen(self._services, self._clock, root=self.root_meant, glyphs=self._glyphs)
        )
