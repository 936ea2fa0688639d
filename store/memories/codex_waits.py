"""Why Codex's own memory pipeline waits, in words that are true of the version that wrote its database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from store.memories.codex_rules import HOUR
from store.memories.models import STAGE1

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from store.memories.codex_rules import Rules, Settings
    from store.memories.models import JobRow, JobState, MemoryJob, Phase2

_FAILURES: Final = {
    "failed_claim": "it could not take the job",
    "failed_sandbox_policy": "it could not make a sandbox for the agent",
    "failed_load_stage1_outputs": "it could not read what was extracted",
    "failed_sync_artifacts": "it could not write the agent's inputs",
    "failed_rebuild_raw_memories": "it could not write the agent's inputs",
    "failed_sync_workspace_inputs": "it could not write the agent's inputs",
    "failed_prepare_workspace": "it could not make its folder ready",
    "failed_workspace_status": "it could not compare its folder with its last commit",
    "failed_workspace_diff_file": "it could not compare its folder with its last commit",
    "failed_workspace_commit": "it could not commit what the agent wrote",
    "failed_spawn_agent": "it could not start the agent",
    "failed_subscribe_status": "it lost sight of the agent",
    "failed_agent": "the agent did not end well",
    "failed_confirm_ownership": "another session had taken the job over",
    "failed_invalid_artifacts": "the agent left no valid memory_summary.md",
}
"""What `last_error` of a consolidation says, by Codex's words for it."""


def why_failed(job: MemoryJob) -> str:
    """Codex's own reason, and what that means where it is a bare name."""
    reason = job.last_error or "Codex gives no reason"
    return f"{reason}: {_FAILURES[reason]}" if reason in _FAILURES else reason


def waits(
    rules: Rules,
    settings: Settings,
    rows: Sequence[JobRow],
    phase2: Phase2,
    *,
    newer: bool = False,
    at_rest: bool = False,
) -> tuple[str, ...]:
    """A line for each reason, none with a time that goes stale.

    `newer`: the database is of a later Codex than this program knows. `at_rest`: Codex uses another one now.
    """
    return (
        *_doubts(rules, newer=newer),
        *_settings(settings, at_rest=at_rest),
        *_extraction(rules, settings),
        *_jobs(rows),
        *_consolidation(rules, phase2),
    )


def _doubts(rules: Rules, *, newer: bool) -> Iterator[str]:
    if newer:
        yield "A newer Codex than this program knows has written this database: what follows is true of 0.169"
    if rules.by_watermark is None:
        yield f"Codex {rules.versions} has written this database: what it waits for is only known in part"


def _settings(settings: Settings, *, at_rest: bool) -> Iterator[str]:
    if settings.problem:
        yield f"config.toml cannot be read ({settings.problem}): what it sets for memories is not known"
    elif not settings.feature:
        yield "config.toml does not turn the feature `memories` on: without it Codex starts neither phase"
    if not settings.generates:
        yield "config.toml says generate_memories = false: threads made under it are not extracted"
    if at_rest:
        chosen = f"memories {settings.version}"
        yield f"Going by config.toml, Codex 0.169 uses {chosen}: it leaves this database alone"


def _extraction(rules: Rules, settings: Settings) -> Iterator[str]:
    yield f"Codex extracts only when a session starts{_window(rules, settings)}"
    per_start = settings.per_start(rules)
    if per_start is not None:
        threads = _count(per_start.value, "thread")
        yield f"Each start of a session takes at most {threads} ({per_start.origin})"


def _window(rules: Rules, settings: Settings) -> str:
    """Which threads it takes, as far as that is known."""
    idle, age = settings.idle_hours(rules), settings.age_days(rules)
    known = []
    if idle is not None:
        known.append(f"idle for {_count(idle.value, 'hour')} or more ({idle.origin})")
    if age is not None:
        known.append(f"at most {_count(age.value, 'day')} old ({age.origin})")
    return f", from threads {', '.join(known)}" if known else ""


def _jobs(rows: Sequence[JobRow]) -> Iterator[str]:
    def count(state: JobState) -> int:
        return sum(row.state == state for row in rows if row.job.kind == STAGE1)

    if found := count("running"):
        yield (
            f"{_count(found, 'extraction')} {_says(found)} running; Codex records the thread that began it,"
            " not the process, so a lease is all that tells whether it still does"
        )
    if found := count("abandoned"):
        yield (
            f"{_count(found, 'extraction')} {_says(found)} running with a lease that has run out:"
            " taken over when a session next starts"
        )
    if found := count("waits"):
        failed = _count(found, "extraction")
        yield f"{failed} failed: tried again by the first session after the next try's time"
    if found := count("retriable"):
        yield f"{_count(found, 'extraction')} failed: tried again when a session next starts"
    if found := count("gave up"):
        failed = _count(found, "extraction")
        yield f"{failed} failed for the last time: tried again only when the thread has grown"


def _consolidation(rules: Rules, phase2: Phase2) -> Iterator[str]:
    job = phase2.job
    match phase2.state:
        case "running":
            yield "Consolidation says running; no other begins before it ends or its lease runs out"
        case "abandoned":
            yield (
                "Consolidation says running with a lease that has run out:"
                " taken over when a session next starts"
            )
        case "error" if job is not None:
            if job.retry_remaining <= 0 and rules.by_watermark:
                again = "for the last time, until the next extraction"
            elif job.retry_at is not None:
                again = "and is tried again by the first session after the next try's time"
            else:
                again = "and is tried again when a session next starts"
            yield f"Consolidation failed ({why_failed(job)}) {again}"
        case "cooling down":
            hours = _count((rules.cooldown_s or 0) // HOUR, "hour")
            yield f"Consolidation rests for {hours} after each success, whatever was extracted meanwhile"
        case "pending":
            yield "Consolidation is due when a session next starts"
        case "done" if rules.cooldown_s is None:
            yield f"Whether Codex {rules.versions} rests after a success is not known"
        case _:
            pass


def _count(number: int, word: str) -> str:
    return f"1 {word}" if number == 1 else f"{number} {word}s"


def _says(number: int) -> str:
    return "says" if number == 1 else "say"
