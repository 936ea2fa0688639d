"""What every screen that asks the services has in common: a question that fails becomes a notice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from textual.message import Message
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from store.errors import StoreError
from store.models import Notice
from widgets.glyphs import UNICODE, Glyphs

if TYPE_CHECKING:
    from store.clock import Clock
    from tui.keymap import Pane
    from tui.services import Services

ENDLESS: Final = ("changes", "notices", "backfill", "watching", "logs", "memories", "errand")
"""Groups of the workers that follow a stream for as long as their screen lives."""


class AskingScreen(Screen["Pane | None"]):
    """A screen whose workers ask and never touch a widget: each posts a message, or fails into a notice.

    One that is left may name the pane to go to.
    """

    @dataclass
    class FailuresChanged(Message):
        """Something failed, or works again."""

    def __init__(self, services: Services, clock: Clock, *, glyphs: Glyphs = UNICODE) -> None:
        super().__init__()
        self._services = services
        self._clock = clock
        self._glyphs = glyphs
        self._failures: dict[str, Notice] = {}

    @property
    def current_pane(self) -> Pane:
        """The pane that has the focus, or had it last: whose actions the palette offers first."""
        return "everywhere"

    @property
    def settled(self) -> bool:
        """Whether nothing is on its way to the screen, for whoever takes a picture of it."""
        underway = (each for each in self.app.workers if not each.is_finished)
        return self.is_mounted and all(each.group in ENDLESS for each in underway)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Turn a failed worker into a notice, and take the notice back when it succeeds."""
        worker = event.worker
        if event.state is WorkerState.SUCCESS and worker.group in self._failures:
            del self._failures[worker.group]
            self.post_message(self.FailuresChanged())
        elif event.state is WorkerState.ERROR and worker.error is not None:
            self._fail(worker.group, worker.description, worker.error)

    def _fail(self, group: str, doing: str, error: BaseException) -> None:
        if isinstance(error, StoreError):
            notice = Notice(severity="error", what=error.what, why=error.why, next_step=error.next_step)
        else:
            why = f"{type(error).__name__}: {error}"
            notice = Notice(severity="error", what=f"{doing} failed", why=why, next_step="^r tries again")
        self._failures[group] = notice
        self.post_message(self.FailuresChanged())
