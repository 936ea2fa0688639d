"""The frozen values of the memory pipeline that cross to the screens and the command line.

Times are seconds since the epoch, UTC: the unit of Codex's own tables, which are shown beside ours.
"""

from __future__ import annotations

from typing import Literal

from store.models import Frozen, Notice

STAGE1: Literal["memory_stage1"] = "memory_stage1"
"""Kind of a phase-1 job; its key is a thread id."""

PHASE2: Literal["memory_consolidate_global"] = "memory_consolidate_global"
"""Kind of the one phase-2 job; its key is `global`."""

GLOBAL = "global"

JobStatus = Literal["pending", "running", "done", "error"]

JobState = Literal["pending", "running", "abandoned", "done", "waits", "retriable", "gave up"]
"""A job as a person sees it. `abandoned`: it says running, and its lease has run out or its owner is dead.
`waits`: it failed, and is not tried before `retry_at`; `retriable`: it failed, and may be tried now;
`gave up`: it failed, and no retry remains."""

ClaimOutcome = Literal[
    "Claimed",
    "SkippedUpToDate",
    "SkippedRunning",
    "SkippedRetryBackoff",
    "SkippedRetryExhausted",
    "SkippedNotDirty",
]

PipelineOwner = Literal["rollodex", "codex"]

Phase2State = Literal["none", "pending", "running", "abandoned", "done", "error", "cooling down"]
"""`none`: there is no job. `cooling down`: Codex (0.130 and later) waits some hours after each success."""

RunKind = Literal["consolidate", "rebuild", "restore", "import"]
RunStatus = Literal["publishing", "done", "failed"]


class MemoryJob(Frozen):
    """One row of a `jobs` table, ours or Codex's, with the names that the columns have in both.

    `status` is a JobStatus, or what else stands in Codex's table.
    """

    kind: str
    job_key: str
    status: str
    worker_id: str | None = None
    """Ours: `store.ownership.worker_id`; Codex's: the thread whose start-up claimed it."""
    ownership_token: str | None = None
    started_at: int | None = None
    finished_at: int | None = None
    lease_until: int | None = None
    retry_at: int | None = None
    retry_remaining: int = 0
    last_error: str | None = None
    input_watermark: int | None = None
    last_success_watermark: int | None = None


class JobRow(Frozen):
    """A job as the screens list it."""

    job: MemoryJob
    state: JobState
    owner: PipelineOwner
    host: str | None = None
    """Where it runs, and in which process, where that is known."""
    pid: int | None = None
    thread_title: str | None = None
    """What the screens call the thread; None where the job has none, or the thread is gone."""
    cwd: str | None = None


class Phase2(Frozen):
    """Where consolidation stands, and why it waits."""

    state: Phase2State = "none"
    dirty: bool = False
    """Whether there is something to consolidate, as far as the database tells."""
    job: MemoryJob | None = None
    host: str | None = None
    pid: int | None = None
    new_inputs: int = 0
    """Outputs that came or changed since the last success."""
    new_since: int | None = None
    """When the first of them came."""
    cooldown_until: int | None = None
    last_success_at: int | None = None


class Pipeline(Frozen):
    """One pipeline's jobs and outputs: ours, or Codex's in one of its databases."""

    owner: PipelineOwner
    root: str
    """The folder of its artifacts, as an absolute path."""
    database: str | None = None
    """The file name of Codex's database."""
    managed_root: bool = False
    """Whether Codex owns the root: its jobs table has rows, or the root holds its git baseline."""
    jobs: tuple[JobRow, ...] = ()
    """The consolidation first, then the newest first."""
    outputs: int = 0
    waiting: int | None = None
    """Threads that extraction would take now; None where that is not known."""
    waits: tuple[str, ...] = ()
    """Why what waits does so, a line each, in words without times that go stale."""
    phase2: Phase2 = Phase2()
    notice: Notice | None = None
    """Why nothing could be read."""


class ThreadMemory(Frozen):
    """What phase 1 made of one thread."""

    thread_id: str
    trace_summary: str
    """The rollout summary."""
    memory_summary: str
    """The raw memory."""
    updated_at: int
    source_updated_at: int | None = None
    """The thread's `updated_at`, in seconds, that it was made of; None when it was written by hand."""
    rollout_slug: str | None = None
    engine: str | None = None
    cwd: str | None = None
    rollout_path: str | None = None
    """Of the thread as it is now, relative to the Codex home."""
    title: str | None = None


class MemoryRun(Frozen):
    """One run that changed, or was to change, files of a memory root."""

    id: int
    kind: RunKind
    root: str
    engine: str | None
    status: RunStatus
    reason: str | None
    restores: int | None
    """The run that this one undid."""
    inputs: int
    started_at: int
    finished_at: int | None
    changed: tuple[str, ...] = ()
    """Paths of the files that it wrote or removed, relative to the root."""


class FileChange(Frozen):
    """What a run did to one file of the root; None is no file."""

    path: str
    before: str | None
    after: str | None
    diff: str
    """Unified, empty where a side is no text."""


class ExtractionResult(Frozen):
    """What one run of phase 1 came to."""

    outcome: Literal["succeeded", "failed"] | ClaimOutcome
    """`succeeded` also when nothing was to be done for some; a Skipped… where all were skipped for it."""
    reason: str = ""
    claimed: int = 0
    succeeded: int = 0
    no_output: int = 0
    failed: int = 0
    skipped: tuple[tuple[ClaimOutcome, int], ...] = ()
    """How many were not claimed, by outcome."""
    failures: tuple[tuple[str, str], ...] = ()
    """Thread id and reason."""


class ConsolidationResult(Frozen):
    """What one run of phase 2 came to."""

    outcome: Literal["succeeded", "failed"] | ClaimOutcome
    reason: str = ""
    run_id: int | None = None
    inputs: int = 0
    changed: tuple[str, ...] = ()
    """Paths of the files of the root that are others now."""


class CodexRun(Frozen):
    """What Codex's own pipeline came to when it was asked to run."""

    outcome: Literal["succeeded", "failed", "skipped"]
    """`skipped`: it took nothing, for the reason given."""
    reason: str = ""
    arguments: tuple[str, ...] = ()
    """What `codex` was started with."""
    version: str | None = None
    """Of the Codex that ran."""
    thread_id: str | None = None
    """The thread that was made for it; None where none was left behind."""
    succeeded: int = 0
    """Extractions, as is `failed`."""
    failed: int = 0
    failures: tuple[tuple[str, str], ...] = ()
    """Thread id and reason."""
    consolidation: str | None = None
    """The status of its job when that was taken in this run; None when it was not."""


class RunProgress(Frozen):
    """How far a run of either phase is; told as it goes."""

    phase: Literal["extraction", "consolidation"]
    step: str
    """In a few words: `reading inputs`, `engine`, `publishing`, …"""
    done: int = 0
    total: int = 0
    thread_id: str | None = None
    output: str = ""
    """What the engine has just said; foreign text."""
