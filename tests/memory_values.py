"""Memory jobs, pipelines, runs and memories at a fixed time, for the tests of what shows them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from store.memories.models import (
    GLOBAL,
    PHASE2,
    STAGE1,
    FileChange,
    JobRow,
    MemoryJob,
    MemoryRun,
    Phase2,
    Pipeline,
    ThreadMemory,
)

if TYPE_CHECKING:
    from store.memories.models import JobState

NOW = 1_790_000_000
"""2026-09-21 14:13:20 UTC, in seconds."""

HOUR = 3600
ROOT = "/home/me/.codex/memories"
EOF_ERROR = "EOF while parsing a string at line 1 column 400"

_STATUS: dict[JobState, str] = {
    "pending": "pending",
    "done": "done",
    "running": "running",
    "abandoned": "running",
}


def thread_id(number: int) -> str:
    """The id of a thread."""
    return f"0199aaaa-0000-7000-8000-{number:012d}"


def job_row(number: int = 1, state: JobState = "done", **fields: Any) -> JobRow:
    """An extraction in some state, as its columns would be; `fields` are the job's or the row's."""
    job: dict[str, Any] = {
        "kind": STAGE1,
        "job_key": thread_id(number),
        "status": _STATUS.get(state, "error"),
        "worker_id": f"4711:{NOW}:b:devbox",
        "started_at": NOW - 2 * HOUR,
        "finished_at": NOW - 2 * HOUR + 41,
        "retry_remaining": 3,
        "input_watermark": NOW - 20 * HOUR,
        "last_success_watermark": NOW - 20 * HOUR if state == "done" else None,
    }
    if state in ("running", "abandoned"):
        over = state == "abandoned"
        begun = NOW - (2 * HOUR if over else 8 * 60)
        job |= {"started_at": begun, "finished_at": None, "lease_until": begun + HOUR}
    elif state in ("waits", "retriable", "gave up"):
        retry_at = NOW + 40 * 60 if state == "waits" else NOW - HOUR
        left = 0 if state == "gave up" else 2
        job |= {"last_error": EOF_ERROR, "retry_at": retry_at, "retry_remaining": left}
    row: dict[str, Any] = {"owner": "rollodex", "thread_title": f"Thread {number}", "cwd": "/home/me/src/app"}
    if state in ("running", "abandoned"):
        row |= {"host": "devbox", "pid": 4711}
    for name, value in fields.items():
        (job if name in MemoryJob.model_fields else row)[name] = value
    return JobRow(job=MemoryJob(**job), state=state, **row)


def global_row(state: JobState = "pending", **fields: Any) -> JobRow:
    """The consolidation in some state."""
    return job_row(
        0, state, **{"kind": PHASE2, "job_key": GLOBAL, "thread_title": None, "cwd": None, **fields}
    )


def phase2(state: str = "pending", **fields: Any) -> Phase2:
    """Where consolidation stands, with a job that fits."""
    states: dict[str, JobState] = {"running": "running", "abandoned": "abandoned", "error": "waits"}
    job = None if state == "none" else global_row(states.get(state, "done")).job
    given: dict[str, Any] = {"state": state, "job": job}
    if state in ("running", "abandoned"):
        given |= {"host": "devbox", "pid": 4711}
    if state == "pending":
        given |= {"dirty": True, "new_inputs": 4, "new_since": NOW - 5 * HOUR}
    return Phase2(**{**given, **fields})


def pipeline(*jobs: JobRow, **fields: Any) -> Pipeline:
    """Our pipeline with these jobs."""
    return Pipeline(**{"owner": "rollodex", "root": ROOT, "jobs": jobs, **fields})


def codex_pipeline(*jobs: JobRow, **fields: Any) -> Pipeline:
    """Codex's pipeline with these jobs."""
    rows = tuple(row.model_copy(update={"owner": "codex"}) for row in jobs)
    given = {"owner": "codex", "database": "memories_1.sqlite", "managed_root": True, "jobs": rows}
    return Pipeline(**{"root": ROOT, **given, **fields})


TITLES = (
    "Fix the flaky stage-1 test",
    "Port the parser to the new grammar",
    "nightly: bump dependencies",
    "Rewrite the importer so that it never holds the whole archive in memory",
    "Leases for jobs",
    "日本語のスレッド、幅の広い文字",
)


def busy_jobs() -> tuple[JobRow, ...]:
    """One job in each state and more, as the screens list them."""
    states: tuple[JobState, ...] = ("running", "waits", "retriable", "gave up", "abandoned", "done")
    folders = ("app", "app", "infra", "importer", "app", "web")
    rows = [
        job_row(number, state, thread_title=title, cwd=f"/home/me/src/{folder}")
        for number, (state, title, folder) in enumerate(zip(states, TITLES, folders, strict=True), 1)
    ]
    gone = job_row(
        7, "done", thread_title=None, cwd=None, finished_at=NOW - HOUR, started_at=NOW - HOUR - 200
    )
    begun = {number: NOW - number * 5 * HOUR for number in range(8, 13)}
    done = (job_row(n, "done", started_at=at, finished_at=at + 3 * n) for n, at in begun.items())
    return (global_row("pending", started_at=None, finished_at=None), *rows, gone, *done)


def run(number: int = 12, **fields: Any) -> MemoryRun:
    """A consolidation that changed two files."""
    given: dict[str, Any] = {
        "id": number,
        "kind": "consolidate",
        "root": ROOT,
        "engine": "extractive",
        "status": "done",
        "reason": None,
        "restores": None,
        "inputs": 34,
        "started_at": NOW - 300,
        "finished_at": NOW - 259,
        "changed": ("MEMORY.md", "memory_summary.md"),
    }
    return MemoryRun(**{**given, **fields})


def change(path: str, before: str | None, after: str | None) -> FileChange:
    """What a run did to a file, with the diff that it comes with."""
    sides = ((before or "").splitlines(keepends=True), (after or "").splitlines(keepends=True))
    diff = "".join(difflib.unified_diff(*sides, f"a/{path}", f"b/{path}"))
    return FileChange(path=path, before=before, after=after, diff=diff)


def memory(number: int = 1, **fields: Any) -> ThreadMemory:
    """What was made of a thread."""
    given: dict[str, Any] = {
        "thread_id": thread_id(number),
        "trace_summary": "The claim read **before** it took the lock.\n\n- fixed in `store/jobs.py`",
        "memory_summary": "- Tests of claims need `BEGIN IMMEDIATE`.\n- The user prefers small commits.",
        "updated_at": NOW - 3 * HOUR,
        "source_updated_at": NOW - 20 * HOUR,
        "engine": "extractive",
        "cwd": "/home/me/src/app",
        "title": f"Thread {number}",
    }
    return ThreadMemory(**{**given, **fields})
