"""Rows of a log held between the tail that finds them and the screen that takes them a few times a second."""

from __future__ import annotations

from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING

from store.models import LogBatch, LogRow, Notice
from widgets.log_buffer import ROWS_KEPT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class LogFeed:
    """No message is posted for a row: whoever shows them takes what came since the last time."""

    def __init__(self, kept: int = ROWS_KEPT) -> None:
        self.received = 0
        """How many rows came in all."""
        self.began = False
        """Whether the log was looked at."""
        self.shown = False
        """Whether what it had at first is shown."""
        self._rows: deque[LogRow] = deque(maxlen=kept)
        self._notices: tuple[Notice, ...] = ()

    async def follow(self, batches: AsyncGenerator[LogBatch, None]) -> None:
        """Hold what the batches bring, until cancelled."""
        async with aclosing(batches):
            async for batch in batches:
                self._rows.extend(batch.rows)
                self.received += len(batch.rows)
                self._notices = batch.notices
                self.began = True

    def take(self) -> LogBatch:
        """What came since the last time, the newest rows of it if they are more than a screen keeps."""
        batch = LogBatch(list(self._rows), self._notices)
        self._rows.clear()
        return batch
