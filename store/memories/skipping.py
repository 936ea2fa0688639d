"""Why a job was not claimed, in words for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.ownership import parse_worker_id

if TYPE_CHECKING:
    from store.memories.models import ClaimOutcome, MemoryJob


def skipped_reason(outcome: ClaimOutcome, job: MemoryJob | None, *, now_s: int) -> str:
    """Why a consolidation was not claimed."""
    match outcome:
        case "SkippedRunning" if job is not None and job.status == "running":
            return who_runs(job, now_s=now_s)
        case "SkippedRunning":
            return "another Rollodex is writing the memory root"
        case "SkippedRetryBackoff" if job is not None and job.retry_at is not None:
            return f"it failed ({job.last_error}); it may be tried again in {minutes(job.retry_at - now_s)}"
        case "SkippedRetryExhausted" if job is not None:
            return f"it failed ({job.last_error}), and no retry is left until there are new inputs"
        case "SkippedNotDirty":
            return "nothing is new since the last consolidation"
        case _:
            return outcome


def who_runs(job: MemoryJob, *, now_s: int) -> str:
    """Who has a running job, and until when."""
    owner = parse_worker_id(job.worker_id or "")
    who = "another process" if owner is None else f"pid {owner.pid} on {owner.host}"
    if job.lease_until is None or job.lease_until <= now_s:
        return f"{who} runs it"
    return f"{who} runs it, with {minutes(job.lease_until - now_s)} left of its lease"


def minutes(seconds: int) -> str:
    """How long it is until then; so many minutes are enough."""
    return f"{seconds} s" if seconds < 90 else f"{-(-seconds // 60)} min"
