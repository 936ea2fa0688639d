"""Jobs of the memory pipeline: who may do what now, and what came of it.

Functions are steps of one unit of work on `user.sqlite`: those that write belong in one `BEGIN IMMEDIATE`
transaction, so that claims of many processes follow each other. Semantics are those of Codex's own jobs
(0.104, `state/src/runtime/memories.rs`); times are seconds since the epoch.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from store.errors import MemoryDisabled, UnknownThread
from store.memories.models import GLOBAL, PHASE2, STAGE1, MemoryJob
from store.memories.outputs import delete_thread_memory, upsert_thread_memory
from store.memories.selection import select_candidates
from store.ownership import is_known_dead, parse_worker_id, worker_id

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from store.memories.models import ClaimOutcome
    from store.memories.selection import Stage1Limits
    from store.ownership import Owner

LEASE_SECONDS: Final = 3_600
HEARTBEAT_SECONDS: Final = 90
RETRIES: Final = 3
RETRY_DELAY_SECONDS: Final = 3_600
MAX_RUNNING: Final = 64
"""Fresh phase-1 jobs that all processes together may have running."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What came of asking for a job."""

    outcome: ClaimOutcome
    job_key: str
    ownership_token: str | None = None
    input_watermark: int | None = None
    job: MemoryJob | None = None
    """What kept it from being claimed: the job as it stands. None where the cap did."""


def claim_stage1_jobs_for_startup(
    connection: sqlite3.Connection,
    me: Owner,
    *,
    now_s: int,
    limits: Stage1Limits,
    tried: Collection[str] = (),
) -> list[Claim]:
    """Claim the threads that phase 1 is to read, newest first; the name is Codex's, nothing runs at start.

    `tried` are those that this run has had, whatever came of them.
    """
    running = sum(1 for job in _running(connection, STAGE1) if lease_is_live(job, me, now_s=now_s))
    free = min(limits.max_claimed, limits.max_running - running)
    not_now = [*_live_keys(connection, me, now_s), *tried]
    found = select_candidates(connection, now_s=now_s, limits=limits, live=not_now)
    return [
        _claim(connection, _job(connection, STAGE1, thread_id), STAGE1, thread_id, me, watermark, now_s)
        for thread_id, watermark in found[: max(0, free)]
    ]


def waiting_threads(
    connection: sqlite3.Connection, me: Owner, *, now_s: int, limits: Stage1Limits
) -> list[str]:
    """The threads that phase 1 would read now, however many run already, newest first."""
    live = _live_keys(connection, me, now_s)
    return [
        thread_id for thread_id, _ in select_candidates(connection, now_s=now_s, limits=limits, live=live)
    ]


def try_claim_stage1_job(
    connection: sqlite3.Connection,
    thread_id: str,
    me: Owner,
    *,
    now_s: int,
    max_running: int = MAX_RUNNING,
    forced: bool = False,
    engine: str | None = None,
) -> Claim:
    """Claim one thread whatever its age, source and idleness; its last line's time is the watermark.

    `forced`: the person has named the thread, so no back-off holds, and what another engine than `engine`
    made of it does not count as done. Raises UnknownThread, and MemoryDisabled whoever asks.
    """
    row = connection.execute(
        "SELECT t.updated_at / 1000, COALESCE(t.memory_mode, 'enabled'), COALESCE(c.memory_mode, 'enabled'),"
        " m.source_updated_at, m.engine FROM state.threads t"
        " LEFT JOIN state.codex_threads c ON c.thread_id = t.id"
        " LEFT JOIN thread_memory m ON m.thread_id = t.id WHERE t.id = ?",
        (thread_id,),
    ).fetchone()
    if row is None:
        raise UnknownThread(f"There is no thread {thread_id}")
    watermark, own_mode, codex_mode, made_of, made_by = row
    if {own_mode, codex_mode} != {"enabled"}:
        mode = own_mode if own_mode != "enabled" else codex_mode
        raise MemoryDisabled(
            f"No memory is made of thread {thread_id}",
            why=f"its memory mode in Codex is {mode!r}",
            next_step="Switch memories on for it in Codex",
        )
    job = _job(connection, STAGE1, thread_id)
    if job is not None and lease_is_live(job, me, now_s=now_s):
        return Claim("SkippedRunning", thread_id, job=job)
    succeeded = None if job is None else job.last_success_watermark
    again = forced and engine is not None and made_by is not None and made_by != engine
    if not again and max(_or_before(made_of), _or_before(succeeded)) >= watermark:
        return Claim("SkippedUpToDate", thread_id, job=job)
    if job is not None and not forced and _or_before(job.input_watermark) >= watermark:
        held = _held_back(job, now_s)
        if held is not None:
            return Claim(held, thread_id, job=job)
    others = (each for each in _running(connection, STAGE1) if each.job_key != thread_id)
    if sum(1 for each in others if lease_is_live(each, me, now_s=now_s)) >= max_running:
        return Claim("SkippedRunning", thread_id)
    return _claim(connection, job, STAGE1, thread_id, me, watermark, now_s)


def mark_stage1_job_succeeded(
    connection: sqlite3.Connection,
    thread_id: str,
    token: str,
    *,
    now_s: int,
    trace_summary: str,
    memory_summary: str,
    rollout_slug: str | None = None,
    engine: str | None = None,
) -> bool:
    """Keep what was made of the thread, and ask for a consolidation; False when the job is not ours now."""
    job = _finish_stage1(connection, thread_id, token, now_s)
    if job is None:
        return False
    upsert_thread_memory(
        connection,
        thread_id,
        trace_summary,
        memory_summary,
        now_s=now_s,
        source_updated_at=job.input_watermark,
        rollout_slug=rollout_slug,
        engine=engine,
    )
    enqueue_global_consolidation(connection, job.input_watermark or 0)
    return True


def mark_stage1_job_succeeded_no_output(
    connection: sqlite3.Connection, thread_id: str, token: str, *, now_s: int
) -> bool:
    """The thread holds nothing to remember; what was kept of it before goes. False when not ours now."""
    job = _finish_stage1(connection, thread_id, token, now_s)
    if job is None:
        return False
    if delete_thread_memory(connection, thread_id):
        enqueue_global_consolidation(connection, job.input_watermark or 0)
    return True


def mark_stage1_job_failed(
    connection: sqlite3.Connection,
    thread_id: str,
    token: str,
    *,
    now_s: int,
    reason: str,
    retry_delay_s: int = RETRY_DELAY_SECONDS,
    spends_retry: bool = True,
) -> bool:
    """Record why it failed, and when it may be tried again; False when the job is not ours now."""
    return _fail(connection, STAGE1, thread_id, token, now_s, reason, retry_delay_s, spends_retry)


def enqueue_global_consolidation(connection: sqlite3.Connection, watermark: int) -> None:
    """Make the consolidation dirty: its input watermark rises with every call, by one at least."""
    connection.execute(
        "INSERT INTO jobs (kind, job_key, status, retry_remaining, input_watermark, last_success_watermark)"
        " VALUES (?, ?, 'pending', ?, ?, 0) ON CONFLICT (kind, job_key) DO UPDATE SET"
        " status = CASE status WHEN 'running' THEN status ELSE 'pending' END,"
        " retry_at = CASE status WHEN 'running' THEN retry_at END,"
        " retry_remaining = max(retry_remaining, excluded.retry_remaining),"
        " input_watermark = max(excluded.input_watermark, COALESCE(input_watermark, 0) + 1)",
        (PHASE2, GLOBAL, RETRIES, max(1, watermark)),
    )


def try_claim_global_phase2_job(
    connection: sqlite3.Connection, me: Owner, *, now_s: int, force: bool = False
) -> Claim:
    """Claim the one consolidation; `force` also when nothing is new, and past a back-off."""
    job = get_global_phase2_job(connection)
    if job is not None and lease_is_live(job, me, now_s=now_s):
        return Claim("SkippedRunning", GLOBAL, job=job)
    if job is None or not is_dirty(job):
        if not force:
            return Claim("SkippedNotDirty", GLOBAL, job=job)
        # Until it has succeeded it is due: what fails or dies is tried again without being forced.
        enqueue_global_consolidation(connection, 0)
        job = get_global_phase2_job(connection)
    if job is not None and not force:
        held = _held_back(job, now_s)
        if held is not None:
            return Claim(held, GLOBAL, job=job)
    watermark = 0 if job is None else job.input_watermark or 0
    return _claim(connection, job, PHASE2, GLOBAL, me, watermark, now_s)


def heartbeat_global_phase2_job(connection: sqlite3.Connection, token: str, *, now_s: int) -> bool:
    """Renew the lease; False when the job is not ours any more."""
    return _changed(
        connection,
        "UPDATE jobs SET lease_until = ? WHERE kind = ? AND job_key = ? AND status = 'running'"
        " AND ownership_token = ?",
        (now_s + LEASE_SECONDS, PHASE2, GLOBAL, token),
    )


def owns_global_phase2_job(connection: sqlite3.Connection, token: str) -> bool:
    """Whether the job is still ours."""
    job = get_global_phase2_job(connection)
    return job is not None and job.status == "running" and job.ownership_token == token


def mark_global_phase2_job_succeeded(
    connection: sqlite3.Connection, token: str, watermark: int, *, now_s: int, even_failed: bool = False
) -> bool:
    """All inputs up to the watermark are consolidated; False when the job is not ours any more.

    `even_failed`: what failed was the publishing, which has been finished since.
    """
    return _changed(
        connection,
        "UPDATE jobs SET status = 'done', finished_at = ?, lease_until = NULL, retry_at = NULL,"
        " last_error = NULL, retry_remaining = ?,"
        " last_success_watermark = max(COALESCE(last_success_watermark, 0), ?)"
        " WHERE kind = ? AND job_key = ? AND (status = 'running' OR status = 'error' AND ?)"
        " AND ownership_token = ?",
        (now_s, RETRIES, watermark, PHASE2, GLOBAL, even_failed, token),
    )


def mark_global_phase2_job_failed(
    connection: sqlite3.Connection,
    token: str,
    *,
    now_s: int,
    reason: str,
    retry_delay_s: int = RETRY_DELAY_SECONDS,
    spends_retry: bool = True,
) -> bool:
    """Record why it failed, and when it may be tried again; False when the job is not ours any more."""
    return _fail(connection, PHASE2, GLOBAL, token, now_s, reason, retry_delay_s, spends_retry)


def get_global_phase2_job(connection: sqlite3.Connection) -> MemoryJob | None:
    """The consolidation's row; None before anything was extracted."""
    return _job(connection, PHASE2, GLOBAL)


def is_dirty(job: MemoryJob) -> bool:
    """Whether a consolidation has inputs that no success has seen (Codex up to 0.115, and ours)."""
    return (job.input_watermark or 0) > (job.last_success_watermark or 0)


def lease_is_live(job: MemoryJob, me: Owner, *, now_s: int) -> bool:
    """Whether somebody has the job.

    Nobody has it when the lease has run out, when it ends further ahead than one whole lease (the clock went
    back), or when its owner is known to be dead.
    """
    if job.status != "running" or job.lease_until is None:
        return False
    if not now_s < job.lease_until <= now_s + LEASE_SECONDS:
        return False
    owner = parse_worker_id(job.worker_id or "")
    return owner is None or not is_known_dead(owner, me)


def all_jobs(connection: sqlite3.Connection) -> list[MemoryJob]:
    """Every job, the consolidation first, then the newest first."""
    return _jobs(connection, "1 ORDER BY kind <> ?, started_at DESC, job_key DESC", (PHASE2,))


_COLUMNS: Final = tuple(MemoryJob.model_fields)


def _jobs(connection: sqlite3.Connection, condition: str, values: tuple[object, ...]) -> list[MemoryJob]:
    rows = connection.execute(f"SELECT {', '.join(_COLUMNS)} FROM jobs WHERE {condition}", values).fetchall()
    return [MemoryJob(**dict(zip(_COLUMNS, row, strict=True))) for row in rows]


def _job(connection: sqlite3.Connection, kind: str, key: str) -> MemoryJob | None:
    found = _jobs(connection, "kind = ? AND job_key = ?", (kind, key))
    return found[0] if found else None


def _running(connection: sqlite3.Connection, kind: str) -> list[MemoryJob]:
    return _jobs(connection, "kind = ? AND status = 'running'", (kind,))


def _live_keys(connection: sqlite3.Connection, me: Owner, now_s: int) -> list[str]:
    return [job.job_key for job in _running(connection, STAGE1) if lease_is_live(job, me, now_s=now_s)]


def _or_before(watermark: int | None) -> int:
    return -1 if watermark is None else watermark


def _held_back(job: MemoryJob, now_s: int) -> ClaimOutcome | None:
    if job.retry_remaining <= 0:
        return "SkippedRetryExhausted"
    return "SkippedRetryBackoff" if job.retry_at is not None and job.retry_at > now_s else None


def _claim(
    connection: sqlite3.Connection,
    job: MemoryJob | None,
    kind: str,
    key: str,
    me: Owner,
    watermark: int,
    now_s: int,
) -> Claim:
    token = str(uuid.uuid4())
    grown = job is None or _or_before(job.input_watermark) < watermark
    retries = RETRIES if job is None or grown else job.retry_remaining
    connection.execute(
        "INSERT INTO jobs (kind, job_key, status, worker_id, ownership_token, started_at, lease_until,"
        " retry_remaining, input_watermark, last_success_watermark)"
        " VALUES (?, ?, 'running', ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, job_key) DO UPDATE SET"
        " status = excluded.status, worker_id = excluded.worker_id,"
        " ownership_token = excluded.ownership_token, started_at = excluded.started_at,"
        " finished_at = NULL, lease_until = excluded.lease_until, retry_at = NULL, last_error = NULL,"
        " retry_remaining = excluded.retry_remaining, input_watermark = excluded.input_watermark",
        (
            *(kind, key, worker_id(me), token, now_s, now_s + LEASE_SECONDS, retries, watermark),
            0 if kind == PHASE2 else None,
        ),
    )
    return Claim("Claimed", key, ownership_token=token, input_watermark=watermark)


def _finish_stage1(
    connection: sqlite3.Connection, thread_id: str, token: str, now_s: int
) -> MemoryJob | None:
    """Mark the job done and return it as it was; None when the token is not its own."""
    job = _job(connection, STAGE1, thread_id)
    if job is None or job.status != "running" or job.ownership_token != token:
        return None
    connection.execute(
        "UPDATE jobs SET status = 'done', finished_at = ?, lease_until = NULL, retry_at = NULL,"
        " last_error = NULL, last_success_watermark = input_watermark WHERE kind = ? AND job_key = ?",
        (now_s, STAGE1, thread_id),
    )
    return job


def _fail(
    connection: sqlite3.Connection,
    kind: str,
    key: str,
    token: str,
    now_s: int,
    reason: str,
    retry_delay_s: int,
    spends_retry: bool,
) -> bool:
    return _changed(
        connection,
        "UPDATE jobs SET status = 'error', finished_at = ?, lease_until = NULL, retry_at = ?,"
        " retry_remaining = max(0, retry_remaining - ?), last_error = ?"
        " WHERE kind = ? AND job_key = ? AND status = 'running' AND ownership_token = ?",
        (now_s, now_s + retry_delay_s, spends_retry, reason, kind, key, token),
    )


def _changed(connection: sqlite3.Connection, sql: str, values: tuple[object, ...]) -> bool:
    return connection.execute(sql, values).rowcount == 1
