"""Codex's own memory pipeline, run by the real Codex when we ask for it."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from codex_program import INSTALL_SECONDS, Codex, eventually
from scripted_model import Command, Gate, Message, Refused

from store.home import find_home
from store.memories.codex_own import Patience, run_codex_pipeline
from store.memories.codex_pipeline import codex_owns, read_codex_pipelines
from store.memories.codex_precheck import precheck

if TYPE_CHECKING:
    from pathlib import Path

    from store.home import CodexHome
    from store.memories.models import CodexRun, Pipeline, RunProgress

pytestmark = pytest.mark.timeout(INSTALL_SECONDS + 120)

THREADS = 2
IDLE_SECONDS = 14 * 3600

EXTRACTION = "Analyze this rollout and produce JSON with…"
CONSOLIDATIONS = (
    "Consolidate the supplied rollout summaries…",
    "## Memory Writing Agent: Phase 2 (Consolidation)…",
)
"""How the prompts of Codex's own agents begin: of both versions, of 0.169, of 0.105."""

SUMMARY = """v1

## User Profile
Works on parsers.

## User preferences
- Short answers.

## General Tips
- Run the tests.

## What's in Memory
- Nothing else.
"""
"""Has all that Codex 0.169 looks for."""


def home_of(codex: Codex) -> CodexHome:
    return find_home(codex.home, env={})


@pytest.fixture
async def idle(codex: Codex) -> Codex:
    """A Codex whose home holds threads that have rested since yesterday, with a database that knows."""
    async with codex.app_server() as server:
        for number in range(THREADS):
            thread = await server.start_thread(codex.work)
            assert await server.turn(thread, f"Question {number}") == "completed"
    # Codex takes the time of a thread that it imports from its file.
    for path in codex.home.glob("*.sqlite*"):
        path.unlink()
    for number, path in enumerate(sorted((codex.home / "sessions").rglob("*.jsonl"))):
        at = time.time() - IDLE_SECONDS - number
        os.utime(path, (at, at))
    with (codex.home / "config.toml").open("a") as config:
        config.write('[memories]\nextract_model = "gpt-5-codex"\nconsolidation_model = "gpt-5-codex"\n')
        config.write("max_rollouts_per_startup = 8\n")
    await imported(codex)
    return codex


async def imported(codex: Codex) -> None:
    """Have Codex import its threads: 0.105 does so beside its first session, later ones before it."""

    async def status() -> object:
        try:
            with closing(sqlite3.connect(codex.home / "state_5.sqlite")) as connection:
                return connection.execute("SELECT status FROM backfill_state").fetchone()
        except sqlite3.OperationalError as error:
            return error

    async with codex.app_server() as server:
        await server.start_thread(codex.work)
        await eventually(status, lambda found: found == ("complete",))


def answer(thread: str) -> Message:
    memory = {"raw_memory": f"raw {thread}", "rollout_summary": f"summary {thread}", "rollout_slug": thread}
    return Message(json.dumps(memory))


def consolidate_well(codex: Codex) -> Path:
    """Have the agent write a valid summary; where it does."""
    path = codex.home / ("memories_v2" if codex.newest else "memories") / "memory_summary.md"
    write = Command(f"cat > memory_summary.md <<'EOF'\n{SUMMARY}EOF")
    for prompt in CONSOLIDATIONS:
        codex.model.script(prompt, [write], [Message("Done.")])
    return path


async def run(
    codex: Codex, progress: list[RunProgress] | None = None, patience: Patience | None = None
) -> CodexRun:
    return await run_codex_pipeline(
        home_of(codex),
        now_s=lambda: int(time.time()),
        report=(progress if progress is not None else []).append,
        program=str(codex.program),
        patience=patience or Patience(),
        # Below the folder for temporary files Codex makes no program for its sandbox.
        environment=codex.environment | {"TMPDIR": str(codex.work)},
    )


def in_use(codex: Codex) -> Pipeline:
    pipeline, *_ = read_codex_pipelines(home_of(codex), now_s=int(time.time()))
    return pipeline


async def test_it_runs_to_the_end_and_is_shown_as_it_ended(idle: Codex) -> None:
    home = home_of(idle)
    summary = consolidate_well(idle)
    root = summary.parent
    assert codex_owns(home, root) is None
    progress: list[RunProgress] = []

    result = await run(idle, progress)

    assert (result.outcome, result.reason, result.version) == ("succeeded", "", idle.version)
    assert (result.succeeded, result.failed, result.consolidation) == (THREADS, 0, "done")
    assert result.arguments == ("app-server", "-c", "features.memories=true")
    assert {told.step for told in progress} >= {"starting Codex", "extracted", "consolidated"}
    assert summary.read_text() == SUMMARY

    pipeline = in_use(idle)
    assert pipeline.root == str(root)
    assert (pipeline.outputs, pipeline.waiting, pipeline.managed_root) == (THREADS, 0, True)
    assert {row.state for row in pipeline.jobs} == {"done"}
    assert pipeline.phase2.state == ("cooling down" if idle.newest else "done")
    assert (pipeline.phase2.dirty, pipeline.phase2.new_inputs) == (False, 0)
    assert "Codex's own pipeline writes there" in (codex_owns(home, root) or "")


async def test_no_thread_of_ours_is_left_in_the_list(idle: Codex) -> None:
    consolidate_well(idle)

    result = await run(idle)

    listed = [path.name for path in (idle.home / "sessions").rglob("*.jsonl")]
    ours = [name for name in listed if result.thread_id is not None and result.thread_id in name]
    archived = list((idle.home / "archived_sessions").glob("*.jsonl"))
    assert ours == []
    assert len(archived) == (1 if idle.newest else 0)


async def test_asked_again_it_takes_nothing_for_the_reason_that_was_told_before(idle: Codex) -> None:
    consolidate_well(idle)
    await run(idle)
    told = precheck(home_of(idle), now_s=int(time.time()))

    result = await run(idle, patience=Patience(claim=3, start=2))

    assert result.outcome == "skipped"
    assert (result.succeeded, result.failed, result.consolidation) == (0, 0, None)
    reasons = result.reason.split("; ")
    assert "No thread is due for extraction" in reasons[0]
    assert ("Codex lets it rest" if idle.newest else "Nothing new is there") in reasons[1]
    assert set(reasons) <= set(told)


async def test_extractions_that_fail_are_told_with_codexs_reason(idle: Codex) -> None:
    idle.model.script(EXTRACTION, [Message("no JSON")])

    result = await run(idle)

    assert (result.outcome, result.succeeded, result.failed) == ("failed", 0, THREADS)
    assert f"{THREADS} of {THREADS} extractions failed" in result.reason
    assert len(result.failures) == THREADS
    assert all("line 1" in reason for _, reason in result.failures)
    rows = [row for row in in_use(idle).jobs if row.job.kind == "memory_stage1"]
    assert {row.state for row in rows} == {"waits"}
    assert {row.job.retry_remaining for row in rows} == {2}
    assert any(f"{THREADS} extractions failed" in line for line in in_use(idle).waits)


async def test_a_model_that_cannot_be_had_is_the_reason(idle: Codex) -> None:
    for prompt in (EXTRACTION, "Reply with…"):
        idle.model.script(prompt, [Refused(401, "no such key")])

    result = await run(idle)

    assert result.outcome == "failed"
    assert "no such key" in result.reason or any("401" in reason for _, reason in result.failures)


async def test_cancelled_it_ends_codex_and_leaves_the_lease_as_it_says(idle: Codex) -> None:
    gate = Gate()
    idle.model.script(EXTRACTION, [gate, answer("a")])
    progress: list[RunProgress] = []
    running = asyncio.create_task(run(idle, progress))
    async with asyncio.timeout(60):
        await gate.reached.wait()

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    gate.opened.set()

    pipeline = in_use(idle)
    states = [row.state for row in pipeline.jobs if row.job.kind == "memory_stage1"]
    assert "running" in states
    assert any("a lease is all that tells" in line for line in pipeline.waits)
    database = idle.home / (pipeline.database or "")
    with closing(sqlite3.connect(database)) as connection:  # nobody holds it
        connection.execute("PRAGMA locking_mode = exclusive")
        connection.execute("BEGIN EXCLUSIVE")
