"""Our pipeline as the screens and the command line show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from store.memories.jobs import all_jobs, is_dirty, lease_is_live
from store.memories.models import PHASE2, STAGE1, JobRow, JobState, Phase2, Phase2State, Pipeline
from store.memories.selection import Stage1Limits, select_candidates
from store.models import display_title
from store.ownership import parse_worker_id

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from store.memories.models import MemoryJob
    from store.ownership import Owner

_THREADS: Final = (
    "SELECT j.job_key, t.cwd, c.name, t.title, t.first_user_message, t.preview"
    f" FROM jobs j JOIN state.threads t ON j.kind = '{STAGE1}' AND t.id = j.job_key"
    " LEFT JOIN state.codex_threads c ON c.thread_id = t.id"
)


def read_pipeline(
    connection: sqlite3.Connection,
    root: Path,
    *,
    now_s: int,
    me: Owner,
    limits: Stage1Limits | None = None,
) -> Pipeline:
    """Jobs, outputs and what waits, in one reading of `user.sqlite`; jobs of threads that are gone are not
    among them.
    """
    threads = {key: (cwd, display_title(*words)) for key, cwd, *words in connection.execute(_THREADS)}
    jobs = all_jobs(connection)
    rows = [
        _row(job, threads.get(job.job_key, (None, None)), now_s=now_s, me=me)
        for job in jobs
        if job.kind != STAGE1 or job.job_key in threads
    ]
    live = [row.job.job_key for row in rows if row.job.kind == STAGE1 and row.state == "running"]
    waiting = select_candidates(connection, now_s=now_s, limits=limits or Stage1Limits(), live=live)
    (outputs,) = connection.execute(
        "SELECT COUNT(*) FROM thread_memory m JOIN state.threads t ON t.id = m.thread_id"
    ).fetchone()
    return Pipeline(
        owner="rollodex",
        root=str(root),
        jobs=tuple(rows),
        outputs=outputs,
        waiting=len(waiting),
        phase2=_phase2(connection, next((row for row in rows if row.job.kind == PHASE2), None)),
    )


def job_state(job: MemoryJob, *, live: bool, now_s: int) -> JobState:
    """The job as a person sees it; `live`: somebody has it."""
    match job.status:
        case "running":
            return "running" if live else "abandoned"
        case "error":
            if job.retry_remaining <= 0:
                return "gave up"
            return "waits" if job.retry_at is not None and job.retry_at > now_s else "retriable"
        case "done":
            return "done"
        case _:
            return "pending"


def _row(job: MemoryJob, thread: tuple[str | None, str | None], *, now_s: int, me: Owner) -> JobRow:
    cwd, title = thread
    owner = parse_worker_id(job.worker_id or "") if job.status == "running" else None
    return JobRow(
        job=job,
        state=job_state(job, live=lease_is_live(job, me, now_s=now_s), now_s=now_s),
        owner="rollodex",
        host=None if owner is None else owner.host,
        pid=None if owner is None else owner.pid,
        thread_title=title,
        cwd=cwd,
    )


def _phase2(connection: sqlite3.Connection, row: JobRow | None) -> Phase2:
    last_began, last_success_at = connection.execute(
        "SELECT started_at, finished_at FROM memory_runs WHERE kind = 'consolidate' AND status = 'done'"
        " ORDER BY id DESC LIMIT 1"
    ).fetchone() or (-1, None)
    new_inputs, new_since = connection.execute(
        "SELECT COUNT(*), min(m.updated_at) FROM thread_memory m"
        " JOIN state.threads t ON t.id = m.thread_id WHERE m.updated_at > ?",
        (last_began,),
    ).fetchone()
    if row is None:
        return Phase2(new_inputs=new_inputs, new_since=new_since, last_success_at=last_success_at)
    dirty = is_dirty(row.job)
    state: Phase2State
    match row.state:
        case "running" | "abandoned":
            state = row.state
        case "waits" | "retriable" | "gave up":
            state = "error"
        case _:
            state = "pending" if dirty else "done"
    return Phase2(
        state=state,
        dirty=dirty,
        job=row.job,
        host=row.host,
        pid=row.pid,
        new_inputs=new_inputs if dirty else 0,
        new_since=new_since if dirty else None,
        last_success_at=last_success_at,
    )
