"""Backfill: every rollout of the home into the database, resumable, under a lease.

Two steps over the same files, newest first: *heads* gives a complete, sorted list within moments, *full*
reads the rest. One batch is one transaction with its checkpoint, so that a kill loses at most one batch.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Final

from store import backfill_state
from store.batches import read_files
from store.connection import transaction
from store.reading_ahead import SecondReader
from store.rollout_rows import known_rollouts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from store.batches import Batch
    from store.clock import Clock
    from store.models import BackfillProgress, BackfillStep
    from store.ownership import Owner
    from store.rollouts.scan import RolloutFile


SHARED_FROM: Final = 2000
"""From how many files on a second process is worth its start."""


class BackfillWorker:
    """Works through the files of one home, for as long as it holds the lease.

    `stopping` is asked between batches; a worker that stops gives the lease back. `report` is told of each
    batch.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        home: Path,
        files: Sequence[RolloutFile],
        *,
        me: Owner,
        clock: Clock,
        stopping: Callable[[], bool] = lambda: False,
        report: Callable[[BackfillProgress], None] = lambda _progress: None,
        lease_seconds: int = backfill_state.LEASE_SECONDS,
    ) -> None:
        self._connection = connection
        self._home = home
        self._files = sorted(files, key=lambda file: file.path, reverse=True)
        self._me = me
        self._clock = clock
        self._stopping = stopping
        self._report = report
        self._lease_seconds = lease_seconds

    def run(self, *, last_step: BackfillStep = "full") -> bool:
        """Claim and work; False when it is complete already, or a live worker owns it.

        Raises LeaseLost when another worker took over meanwhile.
        """
        if not transaction(self._connection, self._claim):
            return False
        done = False
        failure: str | None = None
        try:
            done = self._work(last_step)
        except Exception as error:
            failure = str(error)
            raise
        finally:
            if not done:
                transaction(
                    self._connection,
                    lambda c: backfill_state.release_backfill(
                        c, self._me, now_ms=self._clock.now_ms(), failure=failure
                    ),
                )
        return True

    def _claim(self, connection: sqlite3.Connection) -> bool:
        return backfill_state.try_claim_backfill(
            connection, self._me, now_ms=self._clock.now_ms(), lease_seconds=self._lease_seconds
        )

    def _work(self, last_step: BackfillStep) -> bool:
        """True when the whole of it is complete."""
        state = backfill_state.get_backfill_state(self._connection)
        if state.step != "full":
            if not self._step("heads", state.last_watermark if state.step == "heads" else None):
                return False
            self._begin("full", None)
            if last_step == "heads":
                return False
        if not self._step("full", state.last_watermark if state.step == "full" else None):
            return False
        transaction(
            self._connection,
            lambda c: backfill_state.mark_backfill_complete(c, self._me, now_ms=self._clock.now_ms()),
        )
        return True

    def _begin(self, step: BackfillStep, watermark: str | None) -> list[RolloutFile]:
        todo = [file for file in self._files if watermark is None or file.path < watermark]
        size = sum(file.size for file in self._files)
        transaction(
            self._connection,
            lambda c: backfill_state.mark_backfill_running(
                c,
                self._me,
                step,
                total=len(self._files),
                bytes_total=size,
                done=len(self._files) - len(todo),
                bytes_done=size - sum(file.size for file in todo),
                now_ms=self._clock.now_ms(),
                lease_seconds=self._lease_seconds,
            ),
        )
        return todo

    def _step(self, step: BackfillStep, watermark: str | None) -> bool:
        todo = self._begin(step, watermark)
        known = known_rollouts(self._connection)
        with SecondReader() if len(todo) >= SHARED_FROM else nullcontext() as second:
            read = read_files(self._connection, self._home, todo, known, full=step == "full", second=second)
            for batch in read:
                transaction(self._connection, partial(self._checkpoint, batch=batch))
                self._report(backfill_state.get_backfill_state(self._connection))
                if self._stopping():
                    read.close()
                    return False
        return True

    def _checkpoint(self, connection: sqlite3.Connection, batch: Batch) -> None:
        now_ms = self._clock.now_ms()
        batch.write(connection, now_ms=now_ms)
        backfill_state.checkpoint_backfill(
            connection,
            self._me,
            batch.watermark,
            files=batch.files,
            size=batch.size,
            failed=batch.failed,
            now_ms=now_ms,
            lease_seconds=self._lease_seconds,
        )
