"""What `rollodex memories …` prints, for people and as JSON; its times are seconds since the epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store.memories.models import MemoryJob
from tui.text_output import ID_WIDTH, notice_line
from widgets.formatting import fit, visible, visible_line, whole
from widgets.memory_run_words import result_words, run_words
from widgets.memory_words import at_time, counted_states, job_reason, phase2_reason, pipeline_name, took

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from store.memories.models import (
        ConsolidationResult,
        ExtractionResult,
        FileChange,
        JobRow,
        MemoryRun,
        Pipeline,
        RunProgress,
        ThreadMemory,
    )

_TITLE_WIDTH = 36
_JOB_COLUMNS = tuple(MemoryJob.model_fields)


# JSON


def status_object(pipelines: Sequence[Pipeline], now_s: int) -> dict[str, Any]:
    """Our pipeline, and each of Codex's."""
    ours = next(each for each in pipelines if each.owner == "rollodex")
    return {
        "rollodex": {**_pipeline_object(ours, now_s), "waiting": ours.waiting},
        "codex": [
            {
                "database": each.database,
                "managed_root": each.managed_root,
                **_pipeline_object(each, now_s),
                "waits": list(each.waits),
            }
            for each in pipelines
            if each.owner == "codex"
        ],
    }


def _pipeline_object(pipeline: Pipeline, now_s: int) -> dict[str, Any]:
    return {
        "root": pipeline.root,
        "jobs": [_job_object(row.job) for row in pipeline.jobs],
        "outputs": pipeline.outputs,
        "phase2": {
            "state": pipeline.phase2.state,
            "dirty": pipeline.phase2.dirty,
            "reason": _phase2_reason(pipeline, now_s),
        },
        "notice": None if pipeline.notice is None else notice_line(pipeline.notice),
    }


def _job_object(job: MemoryJob) -> dict[str, Any]:
    return {column: getattr(job, column) for column in _JOB_COLUMNS}


def extraction_object(result: ExtractionResult) -> dict[str, Any]:
    """What one run of phase 1 came to."""
    return {
        "outcome": result.outcome,
        "reason": result.reason,
        "claimed": result.claimed,
        "succeeded": result.succeeded,
        "no_output": result.no_output,
        "failed": result.failed,
        "skipped": dict(result.skipped),
        "failures": [{"thread_id": thread_id, "reason": reason} for thread_id, reason in result.failures],
    }


def consolidation_object(result: ConsolidationResult) -> dict[str, Any]:
    """What one run of phase 2, a rebuild or a restore came to."""
    return {
        "outcome": result.outcome,
        "reason": result.reason,
        "run": result.run_id,
        "inputs": result.inputs,
        "changed": list(result.changed),
    }


def memory_object(memory: ThreadMemory) -> dict[str, Any]:
    """One memory."""
    return memory.model_dump()


def recent_object(cwd: str, memories: Sequence[ThreadMemory]) -> dict[str, Any]:
    """The memories of one project."""
    return {"cwd": cwd, "memories": [memory_object(memory) for memory in memories]}


def history_object(runs: Sequence[MemoryRun]) -> dict[str, Any]:
    """The runs, newest first."""
    return {"runs": [run_object(run) for run in runs]}


def run_object(run: MemoryRun) -> dict[str, Any]:
    """One run."""
    return {**run.model_dump(), "changed": list(run.changed)}


def changes_object(run_id: int, changes: Sequence[FileChange]) -> dict[str, Any]:
    """What one run changed."""
    return {"run": run_id, "files": [change.model_dump() for change in changes]}


# For people


def status_lines(pipelines: Sequence[Pipeline], now_s: int) -> Iterator[str]:
    """Each pipeline: where it writes, what waits, and its jobs that are not done."""
    for number, pipeline in enumerate(pipelines):
        if number:
            yield ""
        yield from _pipeline_lines(pipeline, pipeline_name(pipeline, pipelines), now_s)


def _pipeline_lines(pipeline: Pipeline, name: str, now_s: int) -> Iterator[str]:
    database = f" ({pipeline.database})" if pipeline.database else ""
    yield f"{name}{database} · {visible_line(pipeline.root)}"
    if pipeline.notice is not None:
        yield f"  {notice_line(pipeline.notice)}"
        return
    waiting = [f"{whole(pipeline.waiting)} waiting"] if pipeline.waiting else []
    words = ", ".join([*waiting, *counted_states(pipeline.jobs)]) or "nothing waits"
    yield f"  extraction     {words}; {whole(pipeline.outputs)} outputs kept"
    yield f"  consolidation  {_phase2_reason(pipeline, now_s)}"
    for wait in pipeline.waits:
        yield f"  · {visible_line(wait)}"
    for row in pipeline.jobs:
        if row.state != "done" and row.job.kind != "memory_consolidate_global":
            yield f"  {_thread(row)}  {job_reason(row, now_s)}"


def _phase2_reason(pipeline: Pipeline, now_s: int) -> str:
    return phase2_reason(pipeline.phase2, now_s, owner=pipeline.owner)


def _thread(row: JobRow) -> str:
    if row.thread_title is None:
        return visible_line(row.job.job_key)
    return f"{visible_line(row.job.job_key)[:ID_WIDTH]}  {fit(visible_line(row.thread_title), _TITLE_WIDTH)}"


def progress_line(progress: RunProgress) -> str:
    """How far a run is."""
    of = f" {progress.done} of {progress.total}" if progress.total else ""
    return f"{progress.phase}{of}: {progress.step}"


def extraction_lines(result: ExtractionResult) -> Iterator[str]:
    """What it came to, and each failure."""
    yield result_words(result)
    for thread_id, reason in result.failures:
        yield f"  {thread_id}  {visible_line(reason)}"


def consolidation_lines(result: ConsolidationResult) -> Iterator[str]:
    """What it came to, and how to look at it and undo it."""
    yield result_words(result)
    yield from _changed_lines(result.run_id, result.changed)


def rebuild_lines(result: ConsolidationResult) -> Iterator[str]:
    """What it came to."""
    number = len(result.changed)
    yield (
        result_words(result) if result.reason else f"{whole(number)} file{'' if number == 1 else 's'} changed"
    )
    yield from _changed_lines(result.run_id, result.changed)


def restore_lines(run: MemoryRun) -> Iterator[str]:
    """What was put back."""
    number = len(run.changed)
    yield f"run {run.restores} is undone, {whole(number)} file{'' if number == 1 else 's'} put back"
    yield from _changed_lines(run.id, run.changed)


def _changed_lines(run: int | None, changed: Sequence[str]) -> Iterator[str]:
    for path in changed:
        yield f"  {visible_line(path)}"
    if run is not None and changed:
        yield f"see it: rollodex memories diff {run} · undo it: rollodex memories restore {run}"


def memory_lines(memory: ThreadMemory) -> Iterator[str]:
    """One memory, to be read."""
    yield f"{memory.thread_id}  {visible_line(memory.title or '')}"
    if memory.cwd:
        yield visible_line(memory.cwd)
    yield ""
    yield from visible(memory.trace_summary).splitlines()
    yield ""
    yield from visible(memory.memory_summary).splitlines()


def recent_lines(cwd: str, memories: Sequence[ThreadMemory]) -> Iterator[str]:
    """The memories of one project, one under the other."""
    if not memories:
        yield f"No memories of {visible_line(cwd)}"
    for number, memory in enumerate(memories):
        if number:
            yield ""
        yield from memory_lines(memory)


def history_lines(runs: Sequence[MemoryRun], now_s: int) -> Iterator[str]:
    """A run a line, newest first."""
    if not runs:
        yield "Nothing was changed yet"
    for run in runs:
        changed = f"{len(run.changed)} files" if run.changed else visible_line(run.reason or "")
        parts = (
            f"{run.id:>4}",
            f"{at_time(run.started_at, now_s):<16}",
            f"{run_words(run):<24}",
            run.status,
            run.engine or "",
            took(run.started_at, run.finished_at, short=True),
            changed,
        )
        yield "  ".join(part for part in parts if part)


def changes_lines(changes: Iterable[FileChange]) -> Iterator[str]:
    """The diffs, as `diff -u` writes them."""
    for change in changes:
        yield from visible(change.diff).splitlines() or [f"{visible_line(change.path)}: it is no text"]
