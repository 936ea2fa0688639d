"""What runs did, and undoing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from consolidating import FakeEngine, MemoryDesk, contents, memory_desk
from memory_rows import ME, NOW

from store.errors import RestoreRefused, UnknownRun
from store.memories import jobs
from store.memories.consolidation import consolidate
from store.memories.history import changes, list_runs, restore
from store.memories.publishing import KEPT_RUNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.memories.engines import ConsolidationRequest
    from store.memories.models import MemoryRun


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[MemoryDesk]:
    with memory_desk(tmp_path) as desk:
        (desk.root / "rollout_summaries").mkdir(parents=True)
        (desk.root / "MEMORY.md").write_text("by hand\n")
        yield desk


async def run(desk: MemoryDesk, words: str) -> int:
    """Consolidate once more, with another MEMORY.md; the run's number."""
    async with desk.pipeline() as pipeline:
        result = await consolidate(pipeline, FakeEngine({"MEMORY.md": words}), force=True)
    assert result.run_id is not None
    return result.run_id


async def undo(desk: MemoryDesk, run_id: int, *, confirmed: bool = False) -> MemoryRun:
    async with desk.pipeline() as pipeline:
        return await restore(pipeline, run_id, confirmed=confirmed)


async def test_a_run_says_what_it_did_to_each_file(desk: MemoryDesk) -> None:
    thread = desk.remember("one")
    run_id = await run(desk, "line\nby hand")
    async with desk.pipeline() as pipeline:
        found = {change.path: change for change in await changes(pipeline, run_id)}
        (listed,) = await list_runs(pipeline)
        with pytest.raises(UnknownRun, match="no run 99"):
            await changes(pipeline, 99)
    assert listed.changed == tuple(sorted(found))
    assert found["MEMORY.md"].before == "by hand\n"
    assert found["MEMORY.md"].diff == (
        "--- a/MEMORY.md\n+++ b/MEMORY.md\n@@ -1 +1,2 @@\n-by hand\n+line\n+by hand\n"
        "\\ No newline at end of file\n"
    )
    summary = found[f"rollout_summaries/{thread}.md"]
    assert summary.before is None
    assert summary.diff.startswith(f"--- /dev/null\n+++ b/rollout_summaries/{thread}.md\n@@ -0,0 +1,")


async def test_undoing_brings_every_file_back_and_is_undone_as_well(desk: MemoryDesk) -> None:
    desk.remember("one")
    before = contents(desk.root)
    first = await run(desk, "first")
    after = contents(desk.root)
    undone = await undo(desk, first)
    assert (undone.kind, undone.restores, undone.status) == ("restore", first, "done")
    assert contents(desk.root) == before
    with pytest.raises(RestoreRefused, match="already as they were"):
        await undo(desk, first)
    again = await undo(desk, undone.id)
    assert contents(desk.root) == after
    assert again.restores == undone.id
    assert desk.runs() == [("consolidate", "done"), ("restore", "done"), ("restore", "done")]


async def test_undoing_an_older_run_needs_a_confirmation(desk: MemoryDesk) -> None:
    desk.remember("one")
    first = await run(desk, "first")
    await run(desk, "second")
    with pytest.raises(RestoreRefused, match=r"MEMORY\.md changed since"):
        await undo(desk, first)
    assert (desk.root / "MEMORY.md").read_text() == "second"
    assert (await undo(desk, first, confirmed=True)).restores == first
    assert contents(desk.root) == {"MEMORY.md": b"by hand\n"}


async def test_an_edit_since_is_lost_only_when_confirmed_and_comes_back(desk: MemoryDesk) -> None:
    desk.remember("one")
    first = await run(desk, "first")
    (desk.root / "memory_summary.md").write_text("my edit")
    with pytest.raises(RestoreRefused, match=r"memory_summary\.md changed since, and would be lost"):
        await undo(desk, first)
    undone = await undo(desk, first, confirmed=True)
    assert not (desk.root / "memory_summary.md").exists()
    await undo(desk, undone.id)
    assert (desk.root / "memory_summary.md").read_text() == "my edit"


async def test_nothing_is_undone_while_a_consolidation_runs(desk: MemoryDesk) -> None:
    desk.remember("one")
    first = await run(desk, "first")
    refused = []

    async def meanwhile(_: ConsolidationRequest) -> None:
        with pytest.raises(RestoreRefused) as caught:
            await undo(desk, first, confirmed=True)
        refused.append(str(caught.value))

    async with desk.pipeline() as pipeline:
        await consolidate(pipeline, FakeEngine(doing=meanwhile), force=True)
    assert "60 min left of its lease" in refused[0]


async def test_nothing_is_undone_while_a_lease_lives(desk: MemoryDesk) -> None:
    desk.remember("one")
    first = await run(desk, "first")
    claim = desk.rows.do(jobs.try_claim_global_phase2_job, ME, now_s=NOW, force=True)
    assert claim.outcome == "Claimed"
    with pytest.raises(RestoreRefused, match="left of its lease"):
        await undo(desk, first, confirmed=True)
    desk.clock.now_s += jobs.LEASE_SECONDS
    await undo(desk, first)


async def test_a_run_of_another_root_is_undone_there(desk: MemoryDesk, tmp_path: Path) -> None:
    desk.remember("one")
    first = await run(desk, "first")
    async with desk.pipeline(tmp_path / "elsewhere") as pipeline:
        with pytest.raises(RestoreRefused, match="--memory-root"):
            await restore(pipeline, first)
    assert not (tmp_path / "elsewhere").exists()


async def test_only_the_last_runs_keep_what_they_replaced(desk: MemoryDesk) -> None:
    desk.remember("one")
    runs = [await run(desk, f"{number}") for number in range(KEPT_RUNS + 2)]
    unchanged = await run(desk, f"{KEPT_RUNS + 1}")
    async with desk.pipeline() as pipeline:
        listed = {each.id: each.changed for each in await list_runs(pipeline)}
        assert await changes(pipeline, runs[1]) == []
        assert (await changes(pipeline, runs[2]))[0].before == "1"
    assert [run_id for run_id in runs if listed[run_id]] == runs[2:]
    assert listed[unchanged] == ()
    with pytest.raises(RestoreRefused, match="older than the last 20 runs"):
        await undo(desk, runs[0], confirmed=True)
    assert list(listed) == sorted(listed, reverse=True)
