"""What the runs of the memory pipeline changed, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import getters, work
from textual.message import Message

from tui import keymap
from tui.panes import ScrollingPane
from tui.screens.list_and_text import ListAndTextScreen
from widgets.memory_diff import MemoryDiff
from widgets.memory_history import RunList

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType

    from store.memories.models import FileChange, MemoryRun


class RunsPane(RunList, inherit_bindings=False):
    """The runs, with the keys of the registry."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("history")]


class DiffPane(MemoryDiff, ScrollingPane, inherit_bindings=False):
    """What a run changed, with the keys of the registry."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("history")]


class MemoryHistoryScreen(ListAndTextScreen):
    """The runs, the newest first, and what the one under the cursor changed."""

    HEADING = "What the runs changed"

    @dataclass
    class RunsRead(Message):
        """The runs there are."""

        runs: Sequence[MemoryRun]

    @dataclass
    class ChangesRead(Message):
        """What a run changed."""

        run: MemoryRun
        changes: Sequence[FileChange]

    runs = getters.query_one(RunsPane)
    diff = getters.query_one(DiffPane)

    def make_list(self) -> RunsPane:
        """Make the list of runs."""
        return RunsPane(glyphs=self._glyphs)

    def make_text(self) -> DiffPane:
        """Make what shows the changes."""
        return DiffPane(glyphs=self._glyphs)

    def on_mount(self) -> None:
        """Read the runs, now and whenever a job has changed."""
        self.follow_memories()

    def on_memory_asking_screen_memories_read(self) -> None:
        """Look whether there is another run."""
        self._read_runs()

    @work(exclusive=True, group="runs", exit_on_error=False, description="Reading the runs")
    async def _read_runs(self) -> None:
        self.post_message(self.RunsRead(await self._services.memories.runs()))

    @work(exclusive=True, group="run-changes", exit_on_error=False, description="Reading what a run changed")
    async def _read_changes(self, run: MemoryRun) -> None:
        self.post_message(self.ChangesRead(run, await self._services.memories.changes(run.id)))

    def on_memory_history_screen_runs_read(self, message: RunsRead) -> None:
        """Show them."""
        self.runs.show_runs(message.runs, self._clock.now_ms() // 1000)

    def on_memory_history_screen_changes_read(self, message: ChangesRead) -> None:
        """Show them, if they are still wanted."""
        if self.runs.current_run == message.run:
            self.diff.show(message.run, message.changes, self._clock.now_ms() // 1000)

    def on_virtual_list_cursor_moved(self) -> None:
        """Show what the run under the cursor changed."""
        run = self.runs.current_run
        if run is None:
            self.diff.clear()
        elif run != self.diff.run:
            self.diff.show(run, None, self._clock.now_ms() // 1000)
            self._read_changes(run)

    @property
    def run_meant(self) -> MemoryRun | None:
        """The run under the cursor."""
        return self.runs.current_run

    def action_file(self, by: int) -> None:
        """Go to the next or the previous file."""
        self.diff.action_file(by)
