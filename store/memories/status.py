"""Our pipeline as the screens and the command line show it."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

from store.connection import connect_reader, snapshot
from store.memories.jobs import all_jobs, is_dirty, lease_is_live, waiting_threads
from store.memories.models import PHASE2, STAGE1, JobRow, JobState, Phase2, Phase2State, Pipeline
from store.memories.selection import Stage1Limits
from store.models import display_title
from store.ownership import parse_worker_id, this_process

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from store.memories.models import MemoryJob
    from store.memories.pipeline import MemoryPipeline
    from store.ownership import Owner

_THREADS: Final = (
    "SELECT j.job_key, t.cwd, c.name, t.title, t.first_user_message, t.preview"
    f" FROM jobs j JOIN state.threads t ON j.kind = '{STAGE1}' AND t.id = j.job_key"
    " LEFT JOIN state.codex_threads c ON c.thread_id = t.id"
)


async def read_pipelines(
    pipeline: MemoryPipeline, *, limits: Stage1Limits | None = None
) -> tuple[Pipeline, ...]:
    """Ours first, then one for each of Codex's databases that has a pipeline. Raises DatabaseError."""
    # Headless callers that only ask for ours do without its imports.
    from store.memories.codex_pipeline import folder_codex_reads, read_codex_pipelines

    now_s = pipeline.now_s()
    ours = await pipeline.database.read(
        lambda c: read_pipeline(c, pipeline.root, now_s=now_s, me=this_process(), limits=limits)
    )
    read = await asyncio.to_thread(folder_codex_reads, pipeline.home)
    if len({await asyncio.to_thread(os.path.realpath, folder) for folder in (pipeline.root, read)}) > 1:
        ours = ours.model_copy(update={"waits": (f"Codex does not read this folder: it reads {read}",)})
    codexs = await asyncio.to_thread(
        read_codex_pipelines, pipeline.home, now_s=now_s, titles=partial(thread_titles, pipeline.state)
    )
    return (ours, *codexs)


def thread_titles(state: Path, thread_ids: Sequence[str]) -> dict[str, tuple[str | None, str | None]]:
    """What the screens call threads, and their cwd, by id; threads that are not there are left out."""
    with closing(connect_reader(state)) as connection:
        rows = snapshot(connection, lambda c: c.execute(_TITLES, (json.dumps(thread_ids),)).fetchall())
    return {thread_id: (display_title(*words), cwd) for thread_id, cwd, *words in rows}


_TITLES: Final = (
    "SELECT t.id, t.cwd, c.name, t.title, t.first_user_message, t.preview FROM threads t"
    " LEFT JOIN codex_threads c ON c.thread_id = t.id WHERE t.id IN (SELECT value FROM json_each(?))"
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
    waiting = waiting_threads(connection, me, now_s=now_s, limits=limits or Stage1Limits())
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


def job_state(job: MemoryJob, me: Owner, *, now_s: int) -> JobState:
    """The job as a person sees it."""
    match job.status:
        case "running":
            return "running" if lease_is_live(job, me, now_s=now_s) else "abandoned"
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
        state=job_state(job, me, now_s=now_s),
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
