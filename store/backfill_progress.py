"""Progress of the backfill as a stream, whoever does the work."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from store.backfill_state import get_backfill_state
from store.ownership import this_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from store.changes import Changes
    from store.clock import Clock
    from store.database import Database
    from store.models import BackfillProgress

RATE_SECONDS: Final = 4.0
"""Over how long the rate is taken."""


class RateMeter:
    """Files a second, and the time left, from the counts of the last few seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int, int]] = deque()
        self._step: str | None = None

    def measure(self, progress: BackfillProgress) -> BackfillProgress:
        """The progress with its rate; unknown until two counts of one step are known."""
        if progress.status != "running":
            self._samples.clear()
            return progress
        if progress.step != self._step or (self._samples and progress.done < self._samples[-1][1]):
            self._samples.clear()
            self._step = progress.step
        now = self._clock.monotonic()
        self._samples.append((now, progress.done, progress.bytes_done))
        while len(self._samples) > 2 and now - self._samples[0][0] > RATE_SECONDS:
            self._samples.popleft()
        then, files, size = self._samples[0]
        elapsed = now - then
        files, size = progress.done - files, progress.bytes_done - size
        if elapsed <= 0 or files <= 0:
            return progress
        # Reading a head costs a file; reading in full costs its bytes.
        if progress.step == "full" and size > 0:
            left = (progress.bytes_total - progress.bytes_done) / size
        else:
            left = (progress.total - progress.done) / files
        return progress.model_copy(update={"rate": files / elapsed, "seconds_left": max(0.0, left * elapsed)})


async def watch_backfill(
    database: Database, changes: Changes, clock: Clock
) -> AsyncIterator[BackfillProgress]:
    """Yield where the backfill stands, at once and after every checkpoint of whoever works on it."""
    me = this_process()
    meter = RateMeter(clock)
    async for _ in changes.stream(at_once=True):
        progress = await database.read(lambda c: get_backfill_state(c, me=me))
        yield meter.measure(progress)
