"""The one row that says how far the backfill is and who works on it.

Semantics follow Codex's own `backfill_state` (0.101 and later, state_5.sqlite), with an owner and a lease of
its own added, so that a dead worker's work is taken over at once. Every function is a step of a unit of work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from store.errors import LeaseLost
from store.models import BackfillFailure, BackfillOwner, BackfillProgress, BackfillStep
from store.own_logs import log
from store.ownership import Owner, is_ours, lease_is_stale

if TYPE_CHECKING:
    import sqlite3

    from store.models import LogLevel

LEASE_SECONDS: Final = 900
"""How long a worker may be silent before another takes over, in seconds (Codex's own figure)."""

SHOWN_FAILURES: Final = 200
"""How many failures a progress report names; the count is of all of them."""

_NO_OWNER: Final = (
    "owner_host = NULL, owner_boot_id = NULL, owner_pid = NULL, owner_started_at = NULL, owner_token = NULL,"
    " lease_until = NULL"
)

_COLUMNS: Final = (
    "status, step, owner_host, owner_boot_id, owner_pid, owner_started_at, owner_token, lease_until,"
    " last_watermark, last_success_at, updated_at, started_at, done, total, failed, bytes_done, bytes_total"
)


def get_backfill_state(connection: sqlite3.Connection, *, me: Owner | None = None) -> BackfillProgress:
    """Where the backfill stands; `pending` when it never ran. Rates are for the caller to add."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM backfill_state WHERE id = 1").fetchone()
    if row is None:
        return BackfillProgress(status="pending")
    owner = None
    if row[6] is not None:
        owner = BackfillOwner(host=row[2], boot_id=row[3], pid=row[4], started_at=row[5], token=row[6])
    failures: tuple[BackfillFailure, ...] = ()
    if row[14]:
        failures = tuple(
            BackfillFailure(path=path, reason=problem or "it cannot be read")
            for path, problem in connection.execute(
                "SELECT path, problem FROM rollouts WHERE step = 'failed' ORDER BY path DESC LIMIT ?",
                (SHOWN_FAILURES,),
            ).fetchall()
        )
    return BackfillProgress(
        status=row[0],
        step=row[1],
        owner=owner,
        owner_is_this_process=owner is not None and me is not None and is_ours(owner.host, owner.pid, me),
        lease_until=row[7],
        last_watermark=row[8],
        last_success_at=row[9],
        updated_at=row[10],
        started_at=row[11],
        done=row[12],
        total=row[13],
        failed=row[14],
        bytes_done=row[15],
        bytes_total=row[16],
        failures=failures,
    )


def is_stale(
    progress: BackfillProgress, me: Owner, *, now_ms: int, lease_seconds: int = LEASE_SECONDS
) -> bool:
    """Whether a running backfill has nobody behind it any more."""
    held = progress.owner
    owner = None if held is None else Owner(held.host, held.boot_id, held.pid, held.started_at, held.token)
    return lease_is_stale(owner, progress.lease_until, now_ms=now_ms, lease_ms=lease_seconds * 1000, me=me)


def try_claim_backfill(
    connection: sqlite3.Connection, me: Owner, *, now_ms: int, lease_seconds: int = LEASE_SECONDS
) -> bool:
    """Take the backfill over; False when it is complete or a live worker owns it."""
    connection.execute(
        "INSERT INTO backfill_state (id, status, updated_at) VALUES (1, 'pending', ?) ON CONFLICT DO NOTHING",
        (now_ms,),
    )
    state = get_backfill_state(connection)
    if state.status == "complete":
        return False
    if state.status == "running" and not is_stale(state, me, now_ms=now_ms, lease_seconds=lease_seconds):
        return False
    connection.execute(
        "UPDATE backfill_state SET status = 'running', owner_host = ?, owner_boot_id = ?, owner_pid = ?,"
        " owner_started_at = ?, owner_token = ?, lease_until = ?, updated_at = ?,"
        " started_at = COALESCE(started_at, ?) WHERE id = 1",
        (me.host, me.boot_id, me.pid, me.started_at, me.token, now_ms + lease_seconds * 1000, now_ms, now_ms),
    )
    goes_on = f"goes on, {state.step} step, {state.done} of {state.total} done" if state.step else "begins"
    log(connection, "INFO", __name__, f"the backfill {goes_on}", now_ms=now_ms)
    return True


def mark_backfill_running(
    connection: sqlite3.Connection,
    me: Owner,
    step: BackfillStep,
    *,
    total: int,
    bytes_total: int,
    done: int,
    bytes_done: int,
    now_ms: int,
    lease_seconds: int = LEASE_SECONDS,
) -> None:
    """Begin a step, or go on with it; a step that was not under way begins without a watermark.

    Raises LeaseLost when another worker took over.
    """
    changed = connection.execute(
        "UPDATE backfill_state SET status = 'running',"
        " last_watermark = CASE WHEN step IS ? THEN last_watermark END,"
        " failed = CASE WHEN step IS ? THEN failed ELSE 0 END,"
        " started_at = CASE WHEN step IS ? THEN started_at ELSE ? END,"
        " step = ?, done = ?, total = ?, bytes_done = ?, bytes_total = ?, updated_at = ?, lease_until = ?"
        " WHERE id = 1 AND owner_token = ?",
        (
            step,
            step,
            step,
            now_ms,
            step,
            done,
            total,
            bytes_done,
            bytes_total,
            now_ms,
            now_ms + lease_seconds * 1000,
            me.token,
        ),
    ).rowcount
    _check_owned(changed)


def checkpoint_backfill(
    connection: sqlite3.Connection,
    me: Owner,
    watermark: str | None,
    *,
    files: int,
    size: int,
    failed: int,
    now_ms: int,
    lease_seconds: int = LEASE_SECONDS,
) -> None:
    """Count a batch as done and renew the lease.

    `watermark` None keeps the old one (a file read in part).

    Raises LeaseLost when another worker took over: the batch it came with is rolled back.
    """
    changed = connection.execute(
        "UPDATE backfill_state SET last_watermark = COALESCE(?, last_watermark), done = done + ?,"
        " bytes_done = bytes_done + ?, failed = failed + ?, updated_at = ?, lease_until = ?"
        " WHERE id = 1 AND status = 'running' AND owner_token = ?",
        (watermark, files, size, failed, now_ms, now_ms + lease_seconds * 1000, me.token),
    ).rowcount
    _check_owned(changed)


def release_backfill(
    connection: sqlite3.Connection, me: Owner, *, now_ms: int, failure: str | None = None
) -> None:
    """Give the work back unfinished, so that the next worker goes on at once."""
    released = connection.execute(
        f"UPDATE backfill_state SET status = 'pending', {_NO_OWNER}, updated_at = ?"
        " WHERE id = 1 AND status = 'running' AND owner_token = ?",
        (now_ms, me.token),
    ).rowcount
    if released:
        level: LogLevel = "INFO" if failure is None else "ERROR"
        why = "before its end" if failure is None else f"by a failure: {failure}"
        log(connection, level, __name__, f"the backfill stopped {why}", now_ms=now_ms)


def mark_backfill_complete(connection: sqlite3.Connection, me: Owner, *, now_ms: int) -> None:
    """Everything is read. Raises LeaseLost when another worker took over."""
    changed = connection.execute(
        f"UPDATE backfill_state SET status = 'complete', last_success_at = ?, updated_at = ?, {_NO_OWNER}"
        " WHERE id = 1 AND owner_token = ?",
        (now_ms, now_ms, me.token),
    ).rowcount
    _check_owned(changed)
    state = get_backfill_state(connection)
    log(
        connection,
        "INFO",
        __name__,
        f"the backfill is complete: {state.total} rollouts, {state.failed} of them unreadable",
        now_ms=now_ms,
    )


def reset_backfill(connection: sqlite3.Connection) -> None:
    """Forget everything that the rollouts can rebuild."""
    for table in (
        "threads",
        "rollouts",
        "folders",
        "codex_threads",
        "home_files",
        "discrepancies",
        "backfill_state",
    ):
        connection.execute(f"DELETE FROM {table}")


def list_is_complete(progress: BackfillProgress) -> bool:
    """Whether the database holds a row for every thread: the heads step is behind it."""
    return progress.status == "complete" or progress.step == "full"


def _check_owned(changed: int) -> None:
    if changed != 1:
        raise LeaseLost(
            "The backfill was stopped",
            why="another process has taken it over",
            next_step="Nothing is lost: the other process goes on from the last checkpoint",
        )
