"""Keeping the rows equal to the files while the screens are open: a worker process, and small reconciles."""

from __future__ import annotations

import asyncio
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

from store.backfill_process import OTHER_WORKER, command
from store.backfill_state import get_backfill_state
from store.connection import connect_writer
from store.errors import StoreError
from store.folders import known_devices
from store.ownership import our_worker
from store.reconcile import QUICK_BYTES, Reconciled, compare, reconcile
from store.rollout_rows import known_rollouts
from store.rollouts.scan import scan_home

if TYPE_CHECKING:
    from pathlib import Path

    from store.clock import Clock
    from store.home import CodexHome

STOP_SECONDS: Final = 5.0
"""How long the worker process may take to finish its batch when it is told to stop."""

OTHER_WORKER_SECONDS: Final = 1.0
"""How long to wait before asking again whether the other worker is still alive."""


async def bring_all_up_to_date(home: CodexHome, state: Path, clock: Clock) -> Reconciled:
    """Backfill and reconcile until the rows equal the files; much of it happens in a process of its own.

    Returns the last reconcile. While a live worker of another process does the backfill, this waits, and
    takes over if it dies. Raises StoreError when the database cannot be used.
    """
    while True:
        done = await asyncio.to_thread(_small_reconcile, home, state, clock)
        if done is not None:
            return done
        code, said = await _run_worker(home, state)
        if code == OTHER_WORKER:
            await asyncio.sleep(OTHER_WORKER_SECONDS)
        elif code != 0:
            raise StoreError(
                "The backfill stopped",
                why=said or f"its process ended with code {code}",
                next_step="It goes on from its last checkpoint the next time",
            )


def _small_reconcile(home: CodexHome, state: Path, clock: Clock) -> Reconciled | None:
    """Reconcile here when there is little to read; None when that is work for the worker process."""
    with closing(connect_writer(state)) as connection:
        if get_backfill_state(connection).status != "complete":
            return None
        scan = scan_home(home.path)
        if compare(scan, known_rollouts(connection), known_devices(connection)).unread > QUICK_BYTES:
            return None
        return reconcile(connection, home, clock=clock, scan=scan)


async def _run_worker(home: CodexHome, state: Path) -> tuple[int, str]:
    """Run the worker to its end; a cancelled await stops it at its next checkpoint."""
    arguments, environment = command(home, state)
    process = await asyncio.create_subprocess_exec(
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        # ^C on the terminal is for the screens to understand, not for the worker.
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    try:
        with our_worker(process.pid):
            said = await process.stderr.read()
            return await process.wait(), said.decode("utf-8", "replace").strip().rpartition("\n")[2]
    finally:
        if process.returncode is None:
            process.stdin.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
