"""Going on with a thread: nothing is started before a sheet was answered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual import work

from store.codex_cli.models import ResumePlan
from tui.going_on_questions import about_going_on
from tui.hand_over import hand_over
from tui.screens.asking import AskingScreen
from tui.screens.choice import ChoiceScreen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.models import Thread


class GoingOnScreen(AskingScreen):
    """A screen with the keys that go on with a thread."""

    # What a screen says of itself

    @property
    def thread_meant(self) -> Thread | None:
        """The thread that is read, or is under the cursor."""
        raise NotImplementedError

    def watch_thread(self, thread: Thread) -> None:
        """Show the end of the thread, and what comes."""
        raise NotImplementedError

    # Resuming

    @work(exclusive=True, group="resume", exit_on_error=False, description="Going on with the thread")
    async def _resume(self, thread: Thread) -> None:
        plan = await self._services.actions.plan_resume(thread)
        question = about_going_on(plan, await self._instead(plan), self._services.user_home)
        way = await self.app.push_screen_wait(ChoiceScreen(question, glyphs=self._glyphs))
        if way == "watch":
            self.watch_thread(thread)
        elif isinstance(way, ResumePlan):
            await self._go_on(way)

    async def _instead(self, plan: ResumePlan) -> Sequence[ResumePlan]:
        """The plans for what can be done where this one cannot."""
        actions, launched = self._services.actions, Path(self._services.launch_folder)
        if plan.program is None:
            return ()
        folder = None if plan.cwd_there else launched
        if "fork" in plan.alternatives:
            return [await actions.plan_resume(plan.thread, verb="fork", cwd=folder)]
        return [] if folder is None else [await actions.plan_resume(plan.thread, cwd=folder)]

    async def _go_on(self, plan: ResumePlan) -> None:
        code = await hand_over(self.app, plan.argv, cwd=plan.cwd, environment=plan.environment)
        if code:
            how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
            self.notify(f"Codex has ended {how}.", severity="warning", markup=False)
        await self._services.look_again()

    # Actions

    def action_resume(self) -> None:
        """Ask whether the thread goes on in Codex."""
        thread = self.thread_meant
        if thread is None:
            self.notify("No thread is under the cursor.", markup=False)
        else:
            self._resume(thread)
