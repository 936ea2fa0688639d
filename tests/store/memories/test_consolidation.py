"""Phase 2: what it claims, reads, hands to an engine and publishes."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

import pytest
from consolidating import FakeEngine, MemoryDesk, contents, memory_desk
from memory_rows import HOUR, ME, NOW

import store.memories.consolidation
from store.errors import EngineFailed, MemoryRootError, UnsupportedOperation
from store.memories import jobs
from store.memories.consolidation import consolidate
from store.memories.history import list_runs
from store.memories.root_files import RootFiles
from store.memories.staging import LARGEST_RESULT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.memories.engines import ConsolidationRequest
    from store.memories.models import ConsolidationResult, RunProgress

SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[MemoryDesk]:
    with memory_desk(tmp_path) as desk:
        yield desk


async def run(desk: MemoryDesk, engine: FakeEngine, *, force: bool = False) -> ConsolidationResult:
    async with desk.pipeline() as pipeline:
        return await consolidate(pipeline, engine, force=force)


async def test_all_memories_are_consolidated_and_published(desk: MemoryDesk) -> None:
    first, second = desk.remember("one"), desk.remember("two")
    engine = FakeEngine()
    steps: list[RunProgress] = []
    async with desk.pipeline() as pipeline:
        result = await consolidate(pipeline, engine, report=steps.append)
        (history,) = await list_runs(pipeline)
    assert (result.outcome, result.inputs) == ("succeeded", 2)
    assert set(result.changed) == {
        "MEMORY.md",
        "memory_summary.md",
        "raw_memories.md",
        f"rollout_summaries/{first}.md",
        f"rollout_summaries/{second}.md",
    }
    assert sorted(contents(desk.root)) == sorted(result.changed)
    assert (desk.root / "MEMORY.md").read_text() == "# two one\n"
    assert desk.job() == ("done", 3, None, 0)
    assert (history.id, history.kind, history.status) == (result.run_id, "consolidate", "done")
    assert (history.engine, history.inputs, history.root) == ("fake", 2, str(desk.root))
    assert [step.step for step in steps][-2:] == ["publishing", "done"]
    assert any(step.output == "working\n" for step in steps)
    assert not list((desk.rows.folder / "staging").glob("*"))


async def test_the_engine_gets_the_artifacts_and_what_the_root_holds(desk: MemoryDesk) -> None:
    desk.remember("one")
    (desk.root / "notes").mkdir(parents=True)
    (desk.root / "MEMORY.md").write_text("by hand")
    (desk.root / "notes" / "mine.md").write_text("mine")
    (desk.root / ".hidden").mkdir()
    (desk.root / ".hidden" / "config").write_text("hidden")
    for old in ("raw_memories", "user/memory", "0123456789abcdef0123456789abcdef/memory"):
        (desk.root / old).mkdir(parents=True)
        (desk.root / old / "old.md").write_text("old")
    before = contents(desk.root)
    engine = FakeEngine()
    assert (await run(desk, engine)).outcome == "succeeded"
    assert set(engine.found) == {
        "MEMORY.md",
        "notes/mine.md",
        "raw_memories.md",
        f"rollout_summaries/{engine.asked[0].memories[0].thread_id}.md",
    }
    assert "memories of 1 threads" in engine.asked[0].prompt
    after = contents(desk.root)
    assert {path: after[path] for path in before if path != "MEMORY.md"} == {
        path: content for path, content in before.items() if path != "MEMORY.md"
    }


async def test_nothing_new_is_not_consolidated_again_unless_forced(desk: MemoryDesk) -> None:
    desk.remember("one")
    engine = FakeEngine()
    assert (await run(desk, engine)).outcome == "succeeded"
    skipped = await run(desk, engine)
    assert (skipped.outcome, skipped.reason) == (
        "SkippedNotDirty",
        "nothing is new since the last consolidation",
    )
    forced = await run(desk, engine, force=True)
    assert (forced.outcome, forced.changed) == ("succeeded", ())
    assert len(engine.asked) == 2
    assert desk.runs() == [("consolidate", "done")] * 2


async def test_without_a_summary_in_the_root_it_is_due(desk: MemoryDesk) -> None:
    desk.remember("one")
    await run(desk, FakeEngine())
    (desk.root / "memory_summary.md").unlink()
    assert (await run(desk, FakeEngine())).changed == ("memory_summary.md",)


async def test_in_an_empty_home_nothing_is_asked_and_nothing_made(desk: MemoryDesk) -> None:
    engine = FakeEngine()
    assert (await run(desk, engine)).outcome == "SkippedNotDirty"
    assert not desk.root.exists()
    assert (await run(desk, engine, force=True)).changed == ("raw_memories.md",)
    assert engine.asked == []


async def test_a_thread_that_is_gone_leaves_the_artifacts(desk: MemoryDesk) -> None:
    gone, stays = desk.remember("one"), desk.remember("two")
    await run(desk, FakeEngine())
    desk.rows.remove(gone)
    desk.rows.do(jobs.enqueue_global_consolidation, 0)
    result = await run(desk, FakeEngine())
    assert f"rollout_summaries/{gone}.md" in result.changed
    assert [path.stem for path in (desk.root / "rollout_summaries").iterdir()] == [stays]
    assert gone not in (desk.root / "raw_memories.md").read_text()


async def test_a_thread_whose_memory_was_switched_off_since_is_not_given_to_the_engine(
    desk: MemoryDesk,
) -> None:
    off, polluted, on = desk.remember("off"), desk.remember("polluted"), desk.remember("on")
    await run(desk, FakeEngine())
    desk.rows.state.execute("UPDATE threads SET memory_mode = 'disabled' WHERE id = ?", (off,))
    desk.rows.state.execute(
        "INSERT INTO codex_threads (thread_id, memory_mode) VALUES (?, 'polluted')", (polluted,)
    )
    engine = FakeEngine()
    result = await run(desk, engine, force=True)
    assert [memory.thread_id for memory in engine.asked[0].memories] == [on]
    assert {f"rollout_summaries/{thread}.md" for thread in (off, polluted)} < set(result.changed)
    assert off not in (desk.root / "raw_memories.md").read_text()


async def test_what_comes_while_the_engine_runs_is_for_the_next_run(desk: MemoryDesk) -> None:
    desk.remember("one", updated_at=NOW - HOUR)
    late: list[str] = []

    async def more_comes(_: ConsolidationRequest) -> None:
        if not late:
            late.append(desk.remember("two", updated_at=NOW - 100 * HOUR))

    engine = FakeEngine(doing=more_comes)
    assert (await run(desk, engine)).inputs == 1
    assert desk.job() == ("done", 3, None, 1)
    assert (await run(desk, engine)).inputs == 2
    assert desk.job() == ("done", 3, None, 0)
    assert (await run(desk, engine)).outcome == "SkippedNotDirty"


async def test_a_live_lease_is_never_passed(desk: MemoryDesk) -> None:
    desk.remember("one")
    claim = desk.rows.do(jobs.try_claim_global_phase2_job, ME, now_s=NOW)
    assert claim.outcome == "Claimed"
    result = await run(desk, FakeEngine(), force=True)
    assert result.outcome == "SkippedRunning"
    assert result.reason == f"pid {os.getpid()} on {ME.host} runs it, with 60 min left of its lease"


async def test_a_back_off_holds_unless_forced(desk: MemoryDesk) -> None:
    desk.remember("one")

    async def fails(_: ConsolidationRequest) -> None:
        raise EngineFailed("The engine stumbled", why=f"over {SECRET}")

    result = await run(desk, FakeEngine(doing=fails))
    assert (result.outcome, SECRET in result.reason) == ("failed", False)
    assert result.reason.startswith("The engine stumbled: over [redacted")
    status, retries, error, dirty = desk.job() or ()
    assert (status, retries, dirty) == ("error", 2, 1)
    assert error == result.reason
    assert not desk.root.exists()
    waits = await run(desk, FakeEngine())
    assert waits.outcome == "SkippedRetryBackoff"
    assert waits.reason.endswith("it may be tried again in 60 min")
    assert (await run(desk, FakeEngine(), force=True)).outcome == "succeeded"
    assert not any(SECRET in line for line in desk.logged())


async def test_an_engine_that_cannot_be_started_costs_no_retry(desk: MemoryDesk) -> None:
    desk.remember("one")

    async def cannot(_: ConsolidationRequest) -> None:
        raise UnsupportedOperation("There is no sandbox here")

    assert (await run(desk, FakeEngine(doing=cannot))).outcome == "failed"
    assert desk.job() == ("error", 3, "There is no sandbox here.", 1)
    assert (await run(desk, FakeEngine())).outcome == "succeeded"


async def test_a_mistake_of_an_engine_is_recorded_and_raised(desk: MemoryDesk) -> None:
    desk.remember("one")

    async def breaks(_: ConsolidationRequest) -> None:
        raise ZeroDivisionError("by nought")

    with pytest.raises(ZeroDivisionError):
        await run(desk, FakeEngine(doing=breaks))
    assert desk.job() == ("error", 2, "ZeroDivisionError: by nought", 1)


async def test_cancelling_ends_the_engine_and_gives_the_job_back(desk: MemoryDesk) -> None:
    desk.remember("one")
    ended = asyncio.Event()
    started = asyncio.Event()

    async def hangs(_: ConsolidationRequest) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.ensure_future(run(desk, FakeEngine(doing=hangs)))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
    assert desk.job() == ("error", 3, "cancelled", 1)
    assert not desk.root.exists()
    assert (await run(desk, FakeEngine())).outcome == "succeeded"


async def test_cancelling_while_it_publishes_leaves_nothing_half_done(
    desk: MemoryDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.remember("one")
    begun, go_on = threading.Event(), threading.Event()
    write = RootFiles.write

    def waits(files: RootFiles, path: str, content: bytes) -> None:
        begun.set()
        assert go_on.wait(10)
        write(files, path, content)

    monkeypatch.setattr(RootFiles, "write", waits)
    task = asyncio.ensure_future(run(desk, FakeEngine()))
    await asyncio.to_thread(begun.wait)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(contents(desk.root)) == 4
    assert (desk.runs(), desk.job()) == ([("consolidate", "done")], ("done", 3, None, 0))


@pytest.mark.parametrize("replaced", [True, False])
async def test_a_root_moved_away_meanwhile_is_not_written(desk: MemoryDesk, *, replaced: bool) -> None:
    desk.remember("one")
    desk.root.mkdir()

    async def the_person_moves_it(_: ConsolidationRequest) -> None:
        desk.root.rename(desk.root.with_name("moved"))
        if replaced:
            desk.root.mkdir()

    result = await run(desk, FakeEngine(doing=the_person_moves_it))
    assert result.outcome == "failed"
    assert "it was moved or replaced meanwhile" in result.reason
    assert contents(desk.root.with_name("moved")) == {}
    assert (desk.runs(), desk.root.exists()) == ([], replaced)


async def test_a_lost_lease_ends_the_engine_and_publishes_nothing(
    desk: MemoryDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.remember("one")
    monkeypatch.setattr(store.memories.consolidation, "HEARTBEAT_SECONDS", 0.01)
    ended = asyncio.Event()

    async def loses(_: ConsolidationRequest) -> None:
        desk.rows.user.execute("UPDATE jobs SET ownership_token = 'another' WHERE job_key = 'global'")
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    result = await run(desk, FakeEngine(doing=loses))
    assert ended.is_set()
    assert result.outcome == "failed"
    assert "another process has taken the job over" in result.reason
    assert desk.job() == ("running", 3, None, 1)
    assert (desk.runs(), desk.root.exists()) == ([], False)


async def test_the_heartbeat_renews_the_lease(desk: MemoryDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.remember("one")
    monkeypatch.setattr(store.memories.consolidation, "HEARTBEAT_SECONDS", 0.01)

    async def takes_long(_: ConsolidationRequest) -> None:
        desk.clock.now_s += 1000
        async with asyncio.timeout(10):
            while lease() == NOW + jobs.LEASE_SECONDS:  # noqa: ASYNC110 - it stands in a database
                await asyncio.sleep(0.01)
        assert lease() == NOW + 1000 + jobs.LEASE_SECONDS

    def lease() -> int:
        (until,) = desk.rows.user.execute("SELECT lease_until FROM jobs WHERE job_key = 'global'").fetchone()
        return int(until)

    result = await run(desk, FakeEngine(doing=takes_long))
    assert (result.outcome, result.reason) == ("succeeded", "")


async def test_a_lease_lost_without_a_heartbeat_is_found_when_deciding(desk: MemoryDesk) -> None:
    desk.remember("one")

    async def loses(_: ConsolidationRequest) -> None:
        desk.rows.user.execute("UPDATE jobs SET ownership_token = 'another' WHERE job_key = 'global'")

    assert (await run(desk, FakeEngine(doing=loses))).outcome == "failed"
    assert (desk.runs(), contents(desk.root)) == ([], {})


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"MEMORY.md": None}, "there is no MEMORY.md"),
        ({"memory_summary.md": " \n"}, "memory_summary.md is empty"),
        ({"notes.bin": b"\xff\xfe\x00"}, "can't decode"),
        ({"big.md": b"x" * (LARGEST_RESULT + 1)}, "big.md is larger than 4 MiB"),
    ],
)
async def test_what_cannot_be_published_is_not(
    desk: MemoryDesk, files: dict[str, bytes | str | None], why: str
) -> None:
    desk.remember("one")
    (desk.root).mkdir()
    (desk.root / "MEMORY.md").write_text("before")

    result = await run(desk, FakeEngine(files))
    assert result.outcome == "failed"
    assert why in result.reason
    assert contents(desk.root) == {"MEMORY.md": b"before"}


@pytest.mark.parametrize("name", ["MEMORY.md", "notes/link.md", "folder", "pipe"])
async def test_an_engine_cannot_publish_what_is_no_regular_file(desk: MemoryDesk, name: str) -> None:
    desk.remember("one")
    secret = desk.home.path / "auth.json"
    secret.write_text("secret")

    def plant(request: ConsolidationRequest) -> None:
        target = request.staging / name
        target.parent.mkdir(exist_ok=True)
        target.unlink(missing_ok=True)
        if name == "pipe":
            os.mkfifo(target)
        else:
            target.symlink_to(desk.home.path if name == "folder" else secret)

    result = await run(desk, FakeEngine(then=plant))
    assert result.outcome == "failed"
    assert name in result.reason
    assert secret.read_text() == "secret"
    assert not desk.root.exists()


async def test_the_engine_has_no_say_in_the_artifacts_and_in_hidden_files(desk: MemoryDesk) -> None:
    thread = desk.remember("one")
    engine = FakeEngine(
        {"raw_memories.md": "mine now", f"rollout_summaries/{thread}.md": "mine", ".cache/x": "scratch"}
    )
    assert (await run(desk, engine)).outcome == "succeeded"
    assert "## Thread" in (desk.root / "raw_memories.md").read_text()
    assert "summary of one" in (desk.root / "rollout_summaries" / f"{thread}.md").read_text()
    assert not (desk.root / ".cache").exists()


async def test_every_published_file_is_redacted(desk: MemoryDesk) -> None:
    desk.remember(f"the key is {SECRET}")
    engine = FakeEngine({"skills/deploy/SKILL.md": f"export KEY={SECRET}\n"})
    assert (await run(desk, engine)).outcome == "succeeded"
    published = contents(desk.root)
    assert len(published) == 5
    assert not any(SECRET.encode() in content for content in published.values())
    assert not any(SECRET.encode() in content for content in engine.found.values())


async def test_an_edit_made_while_the_engine_runs_is_never_overwritten(desk: MemoryDesk) -> None:
    desk.remember("one")
    desk.root.mkdir()
    (desk.root / "MEMORY.md").write_text("before")

    async def the_person_edits(_: ConsolidationRequest) -> None:
        (desk.root / "MEMORY.md").write_text("my edit")

    result = await run(desk, FakeEngine(doing=the_person_edits))
    assert result.outcome == "failed"
    assert result.reason.startswith("MEMORY.md was changed while the engine ran")
    assert contents(desk.root) == {"MEMORY.md": b"my edit"}
    assert desk.runs() == []
    engine = FakeEngine()
    assert (await run(desk, engine)).outcome == "succeeded"
    assert engine.found["MEMORY.md"] == b"my edit"


async def test_an_edit_of_what_the_engine_left_alone_stays(desk: MemoryDesk) -> None:
    desk.remember("one")
    desk.root.mkdir()
    (desk.root / "notes.md").write_text("before")

    async def the_person_edits(_: ConsolidationRequest) -> None:
        (desk.root / "notes.md").write_text("my edit")

    assert (await run(desk, FakeEngine(doing=the_person_edits))).outcome == "succeeded"
    assert (desk.root / "notes.md").read_text() == "my edit"


async def test_a_root_that_codex_takes_over_meanwhile_is_left_alone(desk: MemoryDesk) -> None:
    desk.remember("one")

    async def codex_begins(_: ConsolidationRequest) -> None:
        (desk.root / ".codex-baseline").mkdir(parents=True)

    result = await run(desk, FakeEngine(doing=codex_begins))
    assert result.outcome == "failed"
    assert "Codex" in result.reason
    assert contents(desk.root) == {}
    with pytest.raises(MemoryRootError, match="--memory-root"):
        await run(desk, FakeEngine(), force=True)
