"""What every part of the memory pipeline works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from store.clock import Clock
    from store.database import Database
    from store.home import CodexHome


@dataclass(frozen=True, slots=True)
class MemoryPipeline:
    """Our pipeline for one home and one root."""

    home: CodexHome
    database: Database
    """`user.sqlite`; its units find the threads as `state.threads`."""
    folder: Path
    """Our state folder: staging copies and locks are made there."""
    root: Path
    """The folder of the artifacts; may not exist yet."""
    clock: Clock

    def now_s(self) -> int:
        """The time in seconds since the epoch."""
        return self.clock.now_ms() // 1000
