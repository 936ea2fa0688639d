"""Seeing a backfill to its end from one thread: working on it, or following the process that does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from store.backfill import BackfillWorker
from store.backfill_state import get_backfill_state, is_stale, reset_backfill
from store.connection import transaction
from store.errors import LeaseLost, StoreError
from store.ownership import this_process
from store.reconcile import reconcile
from store.rollouts.scan import scan_home

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from store.clock import Clock
    from store.home import CodexHome
    from store.models import BackfillProgress, Notice
    from store.ownership import Owner

POLL_SECONDS: Final = 0.25
"""How often another process's progress is looked at."""


def follow_backfill(
    connection: sqlite3.Connection,
    home: CodexHome,
    *,
    clock: Clock,
    reset: bool = False,
    report: Callable[[BackfillProgress], None] = lambda _progress: None,
) -> tuple[Notice, ...]:
    """Return when every rollout is read and the rows equal the files.

    `reset` forgets the rows first; raises StoreError when a live worker of another process is at it.
    """
    me = this_process()
    if reset:
        transaction(connection, lambda c: _reset(c, me, clock.now_ms()))
    while get_backfill_state(connection).status != "complete":
        worker = BackfillWorker(
            connection, home.path, scan_home(home.path).files, me=me, clock=clock, report=report
        )
        try:
            if worker.run():
                continue
        except LeaseLost:
            pass
        report(get_backfill_state(connection))
        time.sleep(POLL_SECONDS)
    notices = reconcile(connection, home, clock=clock).notices
    report(get_backfill_state(connection))
    return notices


def _reset(connection: sqlite3.Connection, me: Owner, now_ms: int) -> None:
    state = get_backfill_state(connection)
    if state.status == "running" and state.owner is not None and not is_stale(state, me, now_ms=now_ms):
        raise StoreError(
            "The index was not reset",
            why=f"pid {state.owner.pid} on {state.owner.host} is filling it",
            next_step="Wait until it is complete, or end that process",
        )
    reset_backfill(connection)
