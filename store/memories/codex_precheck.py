"""What a run of Codex's own pipeline would skip and cost, told before it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from store.memories.codex_pipeline import read_codex_pipelines
from store.memories.codex_rules import TODAY, read_settings
from store.memories.codex_tables import BUSY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from store.home import CodexHome
    from store.memories.codex_rules import Settings
    from store.memories.models import Pipeline

_LEAST_PERCENT: Final = 25
"""Codex's default of `min_rate_limit_remaining_percent` (0.130 and later)."""


def precheck(home: CodexHome, *, now_s: int, busy_seconds: float = BUSY_SECONDS) -> tuple[str, ...]:
    """What would make Codex skip something, and what it costs, a line each; never raises."""
    settings = read_settings(home.path)
    pipeline = in_use(home, read_codex_pipelines(home, now_s=now_s, busy_seconds=busy_seconds))
    return (*_skips(pipeline), *_settings(settings), *_costs(pipeline, settings))


def in_use(home: CodexHome, pipelines: Sequence[Pipeline]) -> Pipeline | None:
    """The one that Codex would run; None when it has not made its database yet."""
    folder = "memories" if read_settings(home.path).version == "v1" else "memories_v2"
    preferred = (pipeline for pipeline in pipelines if pipeline.root == str(home.path / folder))
    return next(preferred, pipelines[0] if pipelines else None)


def why_nothing_ran(pipeline: Pipeline | None, *, extracted: bool) -> list[str]:
    """Why Codex, asked to run, did not consolidate, nor extract unless it did."""
    reasons = [line.rstrip(".") for line in _skips(pipeline)]
    if not extracted and not reasons:
        return ["Codex took no job, and its databases do not tell why"]
    return reasons


def _skips(pipeline: Pipeline | None) -> Iterator[str]:
    if pipeline is None:
        yield "Codex has no memory tables here yet: what is due is not known"
        return
    if pipeline.notice is not None:
        yield f"{pipeline.notice.what}: what is due is not known"
        return
    if pipeline.waiting is None:
        yield "How many threads are due for extraction is not known"
    elif not pipeline.waiting:
        yield "No thread is due for extraction: none has rested long enough with something new in it"
    running = sum(row.state == "running" for row in pipeline.jobs)
    if running:
        yield f"{running} of its jobs say running: left alone until they end or their lease runs out"
    phase2 = pipeline.phase2
    if phase2.state == "cooling down":
        yield "Consolidation is not due: Codex lets it rest for 6 hours after each success"
    elif phase2.job is not None and phase2.state == "error":
        yield "Consolidation failed last: unless a thread is extracted first, it waits for its next try"
    elif not phase2.dirty and phase2.state in ("none", "done"):
        yield "Nothing new is there to consolidate, unless a thread is extracted first"


def _settings(settings: Settings) -> Iterator[str]:
    if settings.problem:
        yield f"config.toml cannot be read ({settings.problem}): Codex may refuse to start"
    elif not settings.feature:
        yield "config.toml does not turn memories on: they are for this one run (-c features.memories=true)"
    least = settings.table.get("min_rate_limit_remaining_percent", _LEAST_PERCENT)
    yield (
        "With a ChatGPT account, Codex 0.130 and later skip everything while less than"
        f" {least} % of a rate limit is left; how much is left is not known here"
    )


def _costs(pipeline: Pipeline | None, settings: Settings) -> Iterator[str]:
    per_start = settings.per_start(TODAY)
    most = f"up to {per_start.value}" if per_start is not None else "some"
    due = None if pipeline is None else pipeline.waiting
    if due is not None and per_start is not None and due <= per_start.value:
        most = str(due)
    yield (
        f"It costs tokens: extractions ({most}), a consolidation by an agent and, with Codex 0.116 and later,"
        " one short turn that starts them, in a thread that is archived afterwards"
    )
