"""Going on with a thread: nothing is started before a sheet was answered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from textual import work

from store.codex_cli.models import ResumePlan
from tui.going_on_questions import about_going_on
from tui.hand_over import hand_over
from tui.screens.asking import AskingScreen
from tui.screens.choice import ChoiceScreen
from tui.screens.copying import CopyScreen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.models import Thread
    from tui.app import RollodexApp
    from tui.screens.copying import What

NO_THREAD: Final = "No thread is under the cursor."


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

    @property
    def words_meant(self) -> str | None:
        """What the item of that thread says that is under the cursor."""
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

    # Copying

    @work(exclusive=True, group="copy", exit_on_error=False, description="Copying")
    async def _copy(self, thread: Thread, words: str | None) -> None:
        actions = self._services.actions
        texts: dict[What, str] = {
            "id": thread.id,
            "command": f"codex resume {thread.id}, with its folder before it",
            "path": actions.rollout(thread),
        }
        if words:
            texts["message"] = words
        what = await self.app.push_screen_wait(CopyScreen(thread.display_title, texts, glyphs=self._glyphs))
        if what is None:
            return
        text = (await actions.plan_resume(thread)).command if what == "command" else texts[what]
        self.notify(actions.copy(text, self._write).words, markup=False)

    def _write(self, text: str) -> None:
        # Not App.copy_to_clipboard, which fails on a lone surrogate and does not know which terminal it is.
        app = cast("RollodexApp", self.app)
        app.write_to_terminal(text)

    # Actions

    def action_resume(self) -> None:
        """Ask whether the thread goes on in Codex."""
        thread = self.thread_meant
        if thread is None:
            self.notify(NO_THREAD, markup=False)
        else:
            self._resume(thread)

    def action_copy(self) -> None:
        """Ask what of the thread is copied."""
        thread = self.thread_meant
        if thread is None:
            self.notify(NO_THREAD, markup=False)
        else:
            self._copy(thread, self.words_meant)
