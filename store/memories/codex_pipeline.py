"""Codex's own memory pipeline beside ours: its jobs with their states, and why what waits does so.

Times are seconds since the epoch.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from store.errors import CodexDatabaseError
from store.memories.codex_rules import DAY, HOUR, SCAN_LIMIT, read_settings
from store.memories.codex_tables import BUSY_SECONDS, FOLDERS, considered_threads, databases, read_database
from store.memories.codex_waits import waits
from store.memories.models import PHASE2, STAGE1, JobRow, Phase2, Pipeline
from store.models import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from store.home import CodexHome
    from store.memories.codex_rules import Rules, Settings
    from store.memories.codex_tables import Considered, Database, Found, Output
    from store.memories.models import JobState, MemoryJob, Phase2State

    Titles = Callable[[Sequence[str]], Mapping[str, tuple[str | None, str | None]]]
    """Title and cwd of those of the threads with these ids that are known."""


def read_codex_pipelines(
    home: CodexHome, *, now_s: int, titles: Titles = lambda _: {}, busy_seconds: float = BUSY_SECONDS
) -> tuple[Pipeline, ...]:
    """One pipeline for each database of Codex's that has the tables, with or without rows; today's first.

    Never raises for what it finds: a database that cannot be read is a pipeline with a notice.
    """
    try:
        all_databases = databases(home)
    except CodexDatabaseError as error:
        return (_unreadable(home.path / FOLDERS["memories"], None, error),)
    settings = read_settings(home.path)
    read = [(database, _read(database, busy_seconds)) for database in all_databases]
    families = {database.family for database in all_databases}
    threads = None
    if not any(
        database.family == "state" and isinstance(found, CodexDatabaseError) for database, found in read
    ):
        threads = considered_threads(all_databases, now_s, busy_seconds=busy_seconds)
    pipelines = []
    for database, found in read:
        if isinstance(found, CodexDatabaseError):
            # From 0.140 on the state database holds no jobs.
            if database.family != "state" or families == {"state"}:
                pipelines.append(_unreadable(database.root, database, found))
        elif found is not None:
            chosen = "memories" if settings.version == "v1" else "memories_v2"
            at_rest = "memories_v2" in families and database.family != chosen
            pipelines.append(_pipeline(database, found, settings, threads, now_s, titles, at_rest=at_rest))
    return tuple(pipelines)


def _read(database: Database, busy_seconds: float) -> Found | CodexDatabaseError | None:
    try:
        return read_database(database, busy_seconds=busy_seconds)
    except CodexDatabaseError as error:
        return error


def codex_owns(home: CodexHome, root: Path, *, busy_seconds: float = BUSY_SECONDS) -> str | None:
    """Why the root is Codex's to write, as the end of "…: "; None when it is not.

    It is when it is the root of a database whose jobs table has rows, or when it holds the git baseline that
    Codex (0.130 and later) keeps there. Where that cannot be known, it is not ours to write either.
    """
    real = _real(root)
    try:
        for database in databases(home):
            if real.is_relative_to(_real(database.root)):
                found = read_database(database, busy_seconds=busy_seconds)
                if found is not None and found.jobs:
                    jobs = "1 job" if len(found.jobs) == 1 else f"{len(found.jobs)} jobs"
                    return f"Codex's own pipeline writes there ({jobs} in {database.path.name})"
    except CodexDatabaseError as error:
        why = f", {error.why}" if error.why else ""
        return f"whether Codex's own pipeline writes there cannot be known ({error.what}{why})"
    managed = any(real.is_relative_to(_real(home.path / folder)) for folder in FOLDERS.values())
    baseline = _baseline(real, managed=managed)
    return None if baseline is None else f"Codex's own pipeline writes there (it keeps its {baseline} there)"


def folder_codex_reads(home: CodexHome) -> Path:
    """Whose memories Codex gives to its threads, by its databases and `[memories] version` (0.169)."""
    try:
        families = {database.family for database in databases(home)}
    except CodexDatabaseError:
        families = set()
    v2 = "memories_v2" in families and read_settings(home.path).version == "v2"
    return home.path / FOLDERS["memories_v2" if v2 else "memories"]


_BASELINE: Final = b"Initialize Codex git baseline"
"""The message of the commit that Codex makes."""


def _baseline(root: Path, *, managed: bool) -> str | None:
    """What in the root is Codex's baseline; a repository in another place may be the person's own."""
    if (root / ".codex-baseline").exists():
        return ".codex-baseline"
    git = root / ".git"
    if not git.exists():
        return None
    try:
        codexs = managed or _BASELINE in (git / "logs" / "HEAD").read_bytes()
    except OSError:
        codexs = False
    return ".git" if codexs else None


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _unreadable(root: Path, database: Database | None, error: CodexDatabaseError) -> Pipeline:
    return Pipeline(
        owner="codex",
        root=str(root),
        database=None if database is None else database.path.name,
        managed_root=_baseline(root, managed=True) is not None,
        notice=Notice(
            severity="warning",
            what=error.what,
            why=error.why,
            next_step="Codex's memory jobs are shown again once it can be read",
        ),
    )


def _pipeline(
    database: Database,
    found: Found,
    settings: Settings,
    threads: Considered | None,
    now_s: int,
    titles: Titles,
    *,
    at_rest: bool,
) -> Pipeline:
    ids = [job.job_key for job in found.jobs if job.kind == STAGE1]
    known = titles(ids) if ids else {}
    rows = []
    for job in found.jobs:
        title, cwd = known.get(job.job_key, (None, None)) if job.kind == STAGE1 else (None, None)
        state = job_state(job, found.rules, now_s)
        rows.append(JobRow(job=job, state=state, owner="codex", thread_title=title, cwd=cwd))
    phase2 = phase2_of(found, now_s)
    return Pipeline(
        owner="codex",
        root=str(database.root),
        database=database.path.name,
        managed_root=bool(found.jobs) or _baseline(database.root, managed=True) is not None,
        jobs=tuple(rows),
        outputs=len(found.outputs),
        waiting=0 if at_rest else count_waiting(found, settings, threads, now_s),
        waits=waits(found.rules, settings, rows, phase2, newer=found.newer, at_rest=at_rest),
        phase2=phase2,
    )


def job_state(job: MemoryJob, rules: Rules, now_s: int) -> JobState:
    """What Codex's next start makes of a job. Its lease is the only sign of life: no process is recorded."""
    if job.status == "running":
        return "running" if _leased(job, now_s) else "abandoned"
    if job.status == "done":
        return "done"
    if job.status != "error":
        return "pending"
    # From 0.130 on a consolidation is tried again however often it has failed.
    if job.retry_remaining <= 0 and (job.kind != PHASE2 or rules.by_watermark is not False):
        return "gave up"
    return "waits" if job.retry_at is not None and job.retry_at > now_s else "retriable"


def _leased(job: MemoryJob, now_s: int) -> bool:
    return job.status == "running" and job.lease_until is not None and job.lease_until > now_s


def phase2_of(found: Found, now_s: int) -> Phase2:
    """Where Codex's consolidation stands."""
    job, rules = found.phase2, found.rules
    new = [output.generated_at for output in _new_inputs(found)]
    since = min(new, default=None)
    if job is None:
        return Phase2(new_inputs=len(new), new_since=since, dirty=bool(new))
    # A failure keeps its reason until the next claim; what is enqueued meanwhile touches neither.
    succeeded_at = job.finished_at if _succeeded(job) else None
    cooldown_until = None
    if succeeded_at is not None and rules.cooldown_s and succeeded_at + rules.cooldown_s > now_s:
        cooldown_until = succeeded_at + rules.cooldown_s
    state: Phase2State
    match job_state(job, rules, now_s):
        case ("running" | "abandoned") as begun:
            state = begun
        case _ if cooldown_until is not None:
            state = "cooling down"
        case ("done" | "pending") as ended:
            state = ended
        case _:
            state = "error"
    advanced = (job.input_watermark or 0) > (job.last_success_watermark or 0)
    return Phase2(
        state=state,
        dirty=advanced if rules.by_watermark else bool(new),
        job=job,
        new_inputs=len(new),
        new_since=since,
        cooldown_until=cooldown_until,
        last_success_at=succeeded_at,
    )


def _succeeded(job: MemoryJob) -> bool:
    """Whether what the job says of its last run is of a success; it is still said once more is enqueued."""
    return job.status in ("done", "pending") and job.last_error is None and job.finished_at is not None


def _new_inputs(found: Found) -> list[Output]:
    """The outputs that no successful consolidation has read, as far as the tables tell."""
    job = found.phase2
    outputs = [output for output in found.outputs.values() if not output.blank]
    if job is None or job.last_success_watermark is None:
        return outputs
    if _succeeded(job):
        # Its inputs were read when it began, maybe in the second in which the last of them was made.
        return [output for output in outputs if output.generated_at > (job.started_at or 0)]
    if any(output.selected is not None for output in outputs):
        return [output for output in outputs if output.selected != output.source_updated_at]
    return [output for output in outputs if output.source_updated_at > (job.last_success_watermark or 0)]


def count_waiting(found: Found, settings: Settings, threads: Considered | None, now_s: int) -> int | None:
    """Threads that Codex's extraction would take now, were there no limit per start; None when unknown."""
    idle, age = settings.idle_hours(found.rules), settings.age_days(found.rules)
    if idle is None or age is None or threads is None:
        return None
    oldest, newest = now_s - age.value * DAY, now_s - idle.value * HOUR
    jobs = {job.job_key: job for job in found.jobs if job.kind == STAGE1}
    scanned = [thread for thread in threads if oldest <= thread[1] <= newest][:SCAN_LIMIT]
    return sum(_takes(at, found.outputs.get(key), jobs.get(key), now_s) for key, at in scanned)


def _takes(updated_at: int, output: Output | None, job: MemoryJob | None, now_s: int) -> bool:
    """Codex's claim of a thread (0.101 to 0.169)."""
    if output is not None and output.source_updated_at >= updated_at:
        return False
    if job is None:
        return True
    if job.last_success_watermark is not None and job.last_success_watermark >= updated_at:
        return False
    if _leased(job, now_s):
        return False
    grown = updated_at > (-1 if job.input_watermark is None else job.input_watermark)
    return grown or (job.retry_remaining > 0 and (job.retry_at is None or job.retry_at <= now_s))
