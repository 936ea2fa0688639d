"""Both memory pipelines in the demo home: what Codex's own has left, and that ours can be tried."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from building import BEGIN_MS
from store_fixtures import FixedClock

from store.demo import demo_home
from store.home import find_home
from store.memories.codex_pipeline import read_codex_pipelines
from store.memories.codex_rules import HOUR, TODAY
from store.memories.consolidation import consolidate
from store.memories.engines import make_engine
from store.memories.extraction import extract
from store.memories.models import PHASE2, STAGE1
from store.memories.pipeline import MemoryPipeline
from store.memories.root import default_root
from store.memories.selection import Stage1Limits
from store.memories.status import read_pipelines
from store.opening import bring_up_to_date, open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from store.home import CodexHome
    from store.memories.models import Pipeline

NOW_S = BEGIN_MS // 1000 + 400 * 86_400


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> CodexHome:
    folder = tmp_path_factory.mktemp("demo") / ".codex"
    demo_home(folder, NOW_S * 1000)
    return find_home(folder, env={})


@pytest.fixture(scope="module")
def codexs(home: CodexHome) -> Pipeline:
    (pipeline,) = read_codex_pipelines(home, now_s=NOW_S)
    return pipeline


@pytest.fixture
async def ours(home: CodexHome, tmp_path: Path) -> AsyncIterator[MemoryPipeline]:
    clock = FixedClock(NOW_S * 1000)
    async with open_store(home, tmp_path / "state", clock) as store:
        await bring_up_to_date(store)
        assert store.user is not None
        assert store.files is not None
        yield MemoryPipeline(home, store.user, store.files.state, default_root(home), clock)


def rows(home: CodexHome, database: str, query: str) -> list[sqlite3.Row]:
    with closing(sqlite3.connect(f"file:{home.path}/{database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(query).fetchall()


def test_codexs_extractions_are_in_every_state_and_those_that_failed_say_why(codexs: Pipeline) -> None:
    jobs = [row for row in codexs.jobs if row.job.kind == STAGE1]

    assert {row.state for row in jobs} == {"done", "running", "abandoned", "waits", "retriable", "gave up"}
    failed = [row.job for row in jobs if row.job.status == "error"]
    assert all(job.last_error and job.retry_at is not None for job in failed)
    assert codexs.waiting == 2  # what was abandoned and what may be tried again
    assert codexs.notice is None
    assert not any("config.toml does not" in line for line in codexs.waits)


def test_codexs_consolidation_rests_with_something_new_to_read(codexs: Pipeline) -> None:
    assert codexs.phase2.state == "cooling down"
    assert codexs.phase2.new_inputs == 1
    assert codexs.phase2.last_success_at is not None
    assert codexs.phase2.cooldown_until == codexs.phase2.last_success_at + (TODAY.cooldown_s or 0)


def test_codexs_jobs_are_as_its_rules_make_them(home: CodexHome, codexs: Pipeline) -> None:
    threads = {row["id"]: row for row in rows(home, "state_5.sqlite", "SELECT * FROM threads")}
    assert TODAY.idle_hours is not None
    for job in (row.job for row in codexs.jobs):
        assert job.worker_id in threads
        assert job.worker_id != job.job_key
        assert job.started_at is not None
        assert threads[job.worker_id]["created_at"] <= job.started_at < NOW_S
        if job.kind == PHASE2:
            continue
        thread = threads[job.job_key]
        assert thread["source"] in ("cli", "vscode")
        assert (thread["archived"], thread["memory_mode"]) == (0, "enabled")
        assert job.input_watermark == thread["updated_at"] <= job.started_at - TODAY.idle_hours * HOUR
        assert (job.last_success_watermark == job.input_watermark) is (job.status == "done")
        assert (job.lease_until is not None) is (job.finished_at is None) is (job.status == "running")


def test_codexs_folder_has_what_its_last_consolidation_read(home: CodexHome, codexs: Pipeline) -> None:
    root = home.path / "memories_v2"
    assert codexs.root == str(root)
    outputs = rows(home, "memories_v2_1.sqlite", "SELECT * FROM stage1_outputs")
    assert len(outputs) == codexs.outputs
    read = {row["thread_id"]: row["rollout_summary"] for row in outputs if row["selected_for_phase2"]}
    assert len(read) == codexs.outputs - codexs.phase2.new_inputs

    files = {path.name: path.read_text("utf-8") for path in (root / "rollout_summaries").iterdir()}
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\w{4}-[a-z0-9_]{1,60}\.md", name) for name in files
    )
    by_thread = {text.split("\n", 1)[0].removeprefix("thread_id: "): text for text in files.values()}
    assert by_thread.keys() == read.keys()
    for thread_id, text in by_thread.items():
        assert text.endswith(f"\n\n{read[thread_id]}")

    summary = (root / "memory_summary.md").read_text("utf-8")
    assert summary.startswith("v1\n")
    assert len(summary.encode()) < 10_000
    headings = re.findall(r"^## (.+)$", summary, re.MULTILINE)
    assert headings == ["User Profile", "User preferences", "General Tips", "What's in Memory"]
    assert all(f"rollout_summaries/{name}" in summary for name in files)


async def test_ours_finds_threads_that_wait_and_consolidates_into_a_folder_of_its_own(
    home: CodexHome, ours: MemoryPipeline
) -> None:
    pipeline, _ = await read_pipelines(ours)
    assert pipeline.waiting is not None
    assert pipeline.waiting >= 20
    assert pipeline.jobs == ()

    engine = make_engine("extractive", home=home)
    limits = Stage1Limits(max_claimed=3)
    extracted = await extract(ours, engine, limits=limits, report=lambda _: None)
    assert (extracted.succeeded, extracted.failed) == (3, 0)
    result = await consolidate(ours, engine)

    assert (result.outcome, result.inputs) == ("succeeded", 3)
    assert {"MEMORY.md", "memory_summary.md", "raw_memories.md"} <= set(result.changed)
    assert (home.path / "memories" / "MEMORY.md").stat().st_size > 500
