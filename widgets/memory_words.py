"""What the memory pipeline says of itself: states, waits and failures in words; no Textual in it.

Times are seconds since the epoch, as in the pipeline's tables; `zone` is the person's own unless given.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

from store.memories.models import STAGE1
from widgets.formatting import cut, duration, moment, visible_line, whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from store.memories.models import (
        JobRow,
        JobState,
        MemoryJob,
        Phase2,
        Pipeline,
        PipelineOwner,
    )

Mark = Literal["failed", "warning", "working", "silent", "fine"]
"""Which of the glyphs a state has; the worst comes first where one stands for many."""

_WORST_FIRST: Final[tuple[Mark, ...]] = ("failed", "warning", "working", "silent", "fine")

LONGEST_REASON: Final = 2_000
"""Characters of an error in a sentence; the job itself shows all of it."""

NO_REASON: Final = "no reason was recorded"

# What Codex 0.101 to 0.169 writes as `last_error` of its consolidation.
_CODEX_REASONS: Final = {
    "failed_claim": "the job could not be claimed",
    "failed_sandbox_policy": "the sandbox could not be set up",
    "failed_load_stage1_outputs": "the memories could not be read",
    "failed_sync_artifacts": "the files could not be written",
    "failed_rebuild_raw_memories": "raw_memories.md could not be written",
    "failed_spawn_agent": "the agent could not be started",
    "failed_subscribe_status": "the agent could not be followed",
    "failed_agent": "the agent failed",
    "failed_prepare_workspace": "the folder could not be prepared",
    "failed_sync_workspace_inputs": "the inputs could not be written to the folder",
    "failed_workspace_status": "the folder's git status could not be read",
    "failed_workspace_diff_file": "the folder's diff could not be written",
    "failed_confirm_ownership": "another process had taken the job over",
    "failed_workspace_commit": "the folder's git baseline could not be committed",
    "failed_invalid_artifacts": "what the agent wrote was not valid",
}


# Times

_HALF_A_DAY: Final = 12 * 3600


def at_time(then_s: int, now_s: int, zone: tzinfo | None = None) -> str:
    """Return when: "10:12", "tomorrow 10:12", "20 Sep 10:12", "20 Sep 2025".

    The clock alone says it within half a day, whatever midnight lies between.
    """
    then, now = moment(then_s * 1000, zone), moment(now_s * 1000, zone)
    clock = f"{then:%H:%M}"
    day = then.date()
    if day == now.date() or abs(then_s - now_s) < _HALF_A_DAY:
        return clock
    if day == now.date() + timedelta(days=1):
        return f"tomorrow {clock}"
    if day == now.date() - timedelta(days=1):
        return f"yesterday {clock}"
    return f"{then.day} {then:%b} {clock}" if then.year == now.year else f"{then.day} {then:%b %Y}"


def span(seconds: int) -> str:
    """Return how long in one unit: "40 s", "52 min", "5 h", "2 d"; what is over is "0 s"."""
    seconds = max(0, seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 90 * 60:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 48 * 3600 else f"{seconds // 86_400} d"


def ago(then_s: int, now_s: int) -> str:
    """Return how long ago: "just now", "52 min ago"."""
    return "just now" if now_s - then_s < 1 else f"{span(now_s - then_s)} ago"


def took(started_at: int | None, finished_at: int | None, *, short: bool = False) -> str:
    """Return how long something took: "41 s", "3 min 20 s", or, `short`, "3 min"; "" for unknown."""
    if started_at is None or finished_at is None or finished_at < started_at:
        return ""
    seconds = finished_at - started_at
    return span(seconds) if short or seconds < 60 else duration(seconds * 1000)


# Jobs

_STATE_WORDS: Final[dict[JobState, str]] = {
    "waits": "failed",
    "retriable": "failed",
    "gave up": "gave up",
    "abandoned": "abandoned",
    "running": "running",
    "pending": "pending",
    "done": "done",
}
"""In the order in which they are counted: what went wrong first."""
_STATE_MARKS: Final[dict[JobState, Mark]] = {
    "pending": "silent",
    "running": "working",
    "abandoned": "warning",
    "done": "fine",
    "waits": "failed",
    "retriable": "failed",
    "gave up": "failed",
}


def job_state_words(state: JobState) -> str:
    """Return a job's state in a word or two; when a failed one is tried again is said elsewhere."""
    return _STATE_WORDS[state]


def job_mark(state: JobState) -> Mark:
    """Return which glyph a job's state has."""
    return _STATE_MARKS[state]


def job_name(row: JobRow) -> str:
    """Return what a job is about: its thread's title, else the thread's id, or that it consolidates."""
    if row.job.kind != STAGE1:
        return "consolidation"
    return visible_line(row.thread_title or row.job.job_key)


def job_reason(row: JobRow, now_s: int, *, zone: tzinfo | None = None, longest: int = LONGEST_REASON) -> str:
    """Return in a sentence where a job stands, and why; of an error at most `longest` cells, or none at 0."""
    job = row.job
    match row.state:
        case "pending":
            since = " since it last ended" if job.finished_at is not None else ""
            return f"pending: it has not been started{since}"
        case "running":
            return _running(job, row.host, row.pid, now_s)
        case "abandoned":
            return _abandoned(job, row.host, row.pid, now_s, zone, row.owner)
        case "done":
            return "done" if job.finished_at is None else f"done {ago(job.finished_at, now_s)}"
        case "waits" | "retriable" | "gave up":
            return _failed(job, now_s, zone, longest, row.owner)


def next_try(
    job: MemoryJob, now_s: int, zone: tzinfo | None = None, *, owner: PipelineOwner = "rollodex"
) -> str:
    """Return when a failed job may be tried again: "next try 10:12", "can be tried now", "no retry left"."""
    if job.retry_remaining <= 0:
        return "no retry left"
    if job.retry_at is not None and job.retry_at > now_s:
        return f"next try {at_time(job.retry_at, now_s, zone)}"
    return "can be tried now" if owner == "rollodex" else "next try when Codex starts"


def last_error(job: MemoryJob) -> str:
    """Return a job's error as one line; what Codex's reasons mean, in words."""
    error = visible_line(job.last_error or "").rstrip(".") or NO_REASON
    meaning = _CODEX_REASONS.get(error)
    return error if meaning is None else f"{meaning} ({error})"


def _running(job: MemoryJob, host: str | None, pid: int | None, now_s: int) -> str:
    parts = ["running" if host is None else f"running on {visible_line(host)}"]
    if pid is not None:
        parts.append(f"pid {pid}")
    if job.lease_until is not None:
        parts.append(f"lease {span(job.lease_until - now_s)} left")
    return ", ".join(parts)


def _abandoned(
    job: MemoryJob, host: str | None, pid: int | None, now_s: int, zone: tzinfo | None, owner: PipelineOwner
) -> str:
    where = "" if host is None else f" on {visible_line(host)}"
    if job.lease_until is not None and job.lease_until <= now_s:
        whose = "its lease" if pid is None else f"the lease of pid {pid}{where}"
        what = f"{whose} ran out {_when(job.lease_until, now_s, zone)}"
    else:
        what = "its process has ended" if pid is None else f"pid {pid}{where} has ended"
    who = "the next run" if owner == "rollodex" else "Codex's next start"
    return f"abandoned: {what}; {who} takes it over"


def _when(then_s: int, now_s: int, zone: tzinfo | None) -> str:
    time = at_time(then_s, now_s, zone)
    return time if time[0].isalpha() else f"at {time}"


def _failed(job: MemoryJob, now_s: int, zone: tzinfo | None, longest: int, owner: PipelineOwner) -> str:
    error = f": {cut(last_error(job), max(8, longest))}" if longest else ""
    return f"failed{error}, {next_try(job, now_s, zone, owner=owner)}"


# Phase 2

_PHASE2_MARKS: Final[dict[str, Mark]] = {
    "none": "silent",
    "pending": "silent",
    "running": "working",
    "abandoned": "warning",
    "done": "fine",
    "error": "failed",
    "cooling down": "silent",
}


def phase2_mark(phase2: Phase2) -> Mark:
    """Return which glyph consolidation has."""
    return "silent" if phase2.state == "done" and phase2.dirty else _PHASE2_MARKS[phase2.state]


def phase2_reason(
    phase2: Phase2,
    now_s: int,
    *,
    zone: tzinfo | None = None,
    longest: int = LONGEST_REASON,
    owner: PipelineOwner = "rollodex",
) -> str:
    """Return in a sentence where consolidation stands, and why; of an error at most `longest` cells."""
    job = phase2.job
    match phase2.state:
        case "running" if job is not None:
            return _running(job, phase2.host, phase2.pid, now_s)
        case "abandoned" if job is not None:
            return _abandoned(job, phase2.host, phase2.pid, now_s, zone, owner)
        case "error" if job is not None:
            return _failed(job, now_s, zone, longest, owner)
        case "cooling down" if phase2.cooldown_until is not None:
            return f"cooling down until {at_time(phase2.cooldown_until, now_s, zone)}"
        case "pending":
            return _pending(phase2, now_s, zone)
        case "none" | "done" if phase2.dirty:
            return _pending(phase2, now_s, zone)
        case "none" | "done":
            return "nothing to consolidate"
        case state:
            return "failed" if state == "error" else state


def _pending(phase2: Phase2, now_s: int, zone: tzinfo | None) -> str:
    if not phase2.new_inputs:
        return "pending: what it was made of has changed"
    since = "" if phase2.new_since is None else f" since {at_time(phase2.new_since, now_s, zone)}"
    return f"pending: {counted(phase2.new_inputs, 'new input')}{since}"


# A whole pipeline


@dataclass(frozen=True, slots=True)
class PipelineLine:
    """What one line says of the pipelines; `parts` with the most important first."""

    mark: Mark
    parts: tuple[str, ...]
    right: str = ""

    @property
    def text(self) -> str:
        """The parts as one text."""
        return " · ".join(self.parts)


def pipeline_name(pipeline: Pipeline, pipelines: Sequence[Pipeline] = ()) -> str:
    """Return whose pipeline it is; of two of Codex's the one by the name of its folder."""
    if pipeline.owner == "rollodex":
        return "Rollodex"
    twins = [each for each in pipelines if each.owner == "codex"]
    if len(twins) < 2:
        return "Codex"
    return f"Codex {visible_line(pipeline.root.rstrip('/').rpartition('/')[2])}"


def count_jobs(jobs: Sequence[JobRow]) -> dict[JobState, int]:
    """Return how many extractions there are in each state; states without any are left out."""
    counts: dict[JobState, int] = dict.fromkeys(_STATE_WORDS, 0)
    for row in jobs:
        counts[row.state] += row.job.kind == STAGE1
    return {state: number for state, number in counts.items() if number}


def counted_states(jobs: Sequence[JobRow]) -> tuple[str, ...]:
    """Return how many extractions there are, by the words of their states: `4 failed`, `16 done`."""
    numbers: dict[str, int] = {}
    for state, number in count_jobs(jobs).items():
        words = job_state_words(state)
        numbers[words] = numbers.get(words, 0) + number
    return tuple(f"{whole(number)} {words}" for words, number in numbers.items())


def extraction_parts(pipeline: Pipeline, now_s: int, *, zone: tzinfo | None = None) -> tuple[str, ...]:
    """Return what is to be said of extraction, most important first; nothing where all is done."""
    counts = count_jobs(pipeline.jobs)
    said = []
    if failed := counts.pop("waits", 0) + counts.pop("retriable", 0):
        said.append((failed, f"failed, {_first_retry(pipeline.jobs, now_s, zone)}"))
    said += [(number, job_state_words(state)) for state, number in counts.items() if state != "done"]
    # The first of them says what is counted.
    return tuple(
        f"{whole(number)} {words}" if at else f"{counted(number, 'extraction')} {words}"
        for at, (number, words) in enumerate(said)
    )


def _first_retry(jobs: Sequence[JobRow], now_s: int, zone: tzinfo | None) -> str:
    failed = [row for row in jobs if row.job.kind == STAGE1 and row.state in ("waits", "retriable")]
    first = min(failed, key=lambda row: 0 if row.state == "retriable" else row.job.retry_at or 0)
    return next_try(first.job, now_s, zone, owner=first.owner)


def pipeline_mark(pipeline: Pipeline) -> Mark:
    """Return the glyph of the worst thing of a pipeline."""
    marks = {job_mark(row.state) for row in pipeline.jobs if row.job.kind == STAGE1}
    marks.add(phase2_mark(pipeline.phase2))
    if pipeline.notice is not None:
        marks.add("failed" if pipeline.notice.severity == "error" else "warning")
    if pipeline.phase2.state == "none" and pipeline.outputs and not pipeline.phase2.dirty:
        marks.add("fine")
    worst = next(mark for mark in _WORST_FIRST if mark in marks)
    return "fine" if worst == "silent" and "fine" in marks and not pipeline.phase2.dirty else worst


def consolidation_part(
    pipeline: Pipeline, now_s: int, *, zone: tzinfo | None = None, longest: int = LONGEST_REASON
) -> str:
    """Return what is to be said of consolidation beside other things; "" for nothing."""
    phase2 = pipeline.phase2
    done = phase2.last_success_at
    if phase2.state in ("none", "done") and not phase2.dirty:
        return "" if done is None else f"consolidated {ago(done, now_s)}"
    words = phase2_reason(phase2, now_s, zone=zone, longest=longest, owner=pipeline.owner)
    if phase2.state == "cooling down" and done is not None:
        return f"consolidated {ago(done, now_s)}, {words}"
    return f"consolidation {words}"


def pipeline_line(
    pipelines: Sequence[Pipeline], now_s: int, *, zone: tzinfo | None = None, longest: int = 60
) -> PipelineLine:
    """Return the one line about all pipelines: the worst first, ours before Codex's where equal.

    Of an error at most `longest` cells are quoted, so that the next try keeps its place.
    """
    ranked = sorted(pipelines, key=lambda each: (_rank(each), each.owner != "rollodex"))
    parts: list[str] = []
    for pipeline in ranked:
        said = _said(pipeline, now_s, zone, longest)
        # Ours needs a name only where it might be taken for Codex's.
        if said and (parts or pipeline.owner == "codex"):
            said[0] = f"{pipeline_name(pipeline, pipelines)}: {said[0]}"
        parts += said
    waiting = next((each.waiting for each in pipelines if each.waiting is not None), None)
    right = f"{whole(waiting)} waiting" if waiting else ""
    if not parts:
        return PipelineLine("silent", ("no memories yet",), right)
    return PipelineLine(pipeline_mark(ranked[0]), tuple(parts), right)


def _said(pipeline: Pipeline, now_s: int, zone: tzinfo | None, longest: int) -> list[str]:
    if pipeline.notice is not None:
        return [visible_line(pipeline.notice.what)]
    extraction = extraction_parts(pipeline, now_s, zone=zone)
    consolidation = consolidation_part(pipeline, now_s, zone=zone, longest=longest)
    busy = phase2_mark(pipeline.phase2) in ("failed", "warning", "working")
    order = [consolidation, *extraction] if busy else [*extraction[:1], consolidation, *extraction[1:]]
    parts = [part for part in order if part]
    return parts or ([counted(pipeline.outputs, "memory")] if pipeline.outputs else [])


def _rank(pipeline: Pipeline) -> int:
    empty = not pipeline.jobs and not pipeline.outputs and pipeline.notice is None
    return len(_WORST_FIRST) if empty else _WORST_FIRST.index(pipeline_mark(pipeline))


def counted(number: int, noun: str) -> str:
    """Return how many of something: "1 memory", "4 new inputs"."""
    plural = noun if number == 1 else f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{whole(number)} {plural}"
