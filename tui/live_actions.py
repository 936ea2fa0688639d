"""What is done with threads from the screens: by Codex's own commands, and by marks of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.clipboard import copy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from store.codex_cli.models import GoOn, ResumePlan
    from store.models import Thread
    from store.opening import Store
    from tui.clipboard import Copied


class LiveActions:
    """Actions on the threads of the store that is open."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    async def plan_resume(
        self, thread: Thread, *, verb: GoOn = "resume", cwd: Path | None = None
    ) -> ResumePlan:
        """Everything that is to be known before the terminal is handed over. Raises StoreError."""
        from store.codex_cli.resuming import plan_resume

        return await plan_resume(self._store(), thread, verb=verb, cwd=cwd)

    def rollout(self, thread: Thread) -> str:
        """The path of the file that the thread is in. Raises StoreError."""
        return str(self._store().home.path / thread.rollout_path)

    def copy(self, text: str, write: Callable[[str], None]) -> Copied:
        """Send a text to the terminal's clipboard, or write it to a file. Raises StoreError."""
        files = self._store().files
        return copy(text, write=write, folder=None if files is None else files.folder)
