"""The consolidation killed in every step, asked for by many at once, and out of room."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from consolidating import FakeEngine, MemoryDesk, contents, memory_desk
from other_processes import Child

from store.errors import MemoryRootError
from store.memories.consolidation import consolidate
from store.memories.history import changes, list_runs, restore
from store.memories.publishing import finish_publishing
from store.memories.root_files import RootFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parents[1]

CONSOLIDATOR = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from consolidating import FakeEngine, SecondsClock, open_pipeline
import store.memories.publishing as publishing
import store.memories.root_files as root_files
import store.memories.staging as staging
from store.memories.consolidation import consolidate

home, folder, where = Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]

def stop(place):
    if place == where:
        print("stopped", flush=True)
        input()

def stopping(owner, name, *, before=None, after=None, only=1):
    original, calls = getattr(owner, name), []
    def stopping(*values, **named):
        calls.append(values)
        if len(calls) == only and before:
            stop(before)
        result = original(*values, **named)
        if len(calls) == only and after:
            stop(after)
        return result
    setattr(owner, name, stopping)

stopping(staging, "_place", after="staging", only=2)
stopping(publishing, "insert_run", before="before deciding", after="deciding")
stopping(publishing, "_settle", before="decided", after="published")
stopping(root_files.RootFiles, "write", before="between two files", only=2)
stopping(root_files.os, "replace", before="within a file", only=3)
stopping(root_files.RootFiles, "remove", before="before a removal")
stopping(publishing, "_conclude", after="concluding")

async def main():
    async with open_pipeline(home, folder, SecondsClock()) as pipeline:
        engine = FakeEngine({"skills/test/SKILL.md": "how to test"})
        result = await consolidate(pipeline, engine, report=lambda progress: stop(progress.step))
        print(result.outcome, flush=True)

asyncio.run(main())
"""

DECIDED = ("decided", "between two files", "within a file", "before a removal", "published", "concluding")
UNDECIDED = (
    "checking the root",
    "claiming",
    "reading inputs",
    "staging",
    "engine",
    "checking what the engine made",
    "before deciding",
    "deciding",
)


@contextmanager
def filled_desk(folder: Path) -> Iterator[MemoryDesk]:
    """Two memories, and a root with a file of the person's, an older result and a summary that is stale."""
    folder.mkdir(exist_ok=True)
    with memory_desk(folder) as desk:
        gone = desk.rows.thread()
        desk.rows.remove(gone)
        desk.remember("one")
        desk.remember("two")
        (desk.root / "rollout_summaries").mkdir(parents=True)
        (desk.root / "MEMORY.md").write_text("before")
        (desk.root / "notes.md").write_text("mine")
        (desk.root / "rollout_summaries" / f"{gone}.md").write_text("stale")
        yield desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[MemoryDesk]:
    with filled_desk(tmp_path / "desk") as desk:
        yield desk


@pytest.fixture
def undisturbed(tmp_path: Path) -> dict[str, bytes]:
    """What the root holds after a consolidation that nothing came between."""
    with filled_desk(tmp_path / "undisturbed") as other:
        with Child(CONSOLIDATOR, TESTS, other.home.path, other.rows.folder, "nowhere") as child:
            assert child.hear() == "succeeded"
            assert child.end() == 0
        return contents(other.root)


@contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[None]:
    """A file system of its own over a folder."""
    if os.system(f"mount -t tmpfs -o {options} tmpfs {folder} 2>/dev/null") != 0:
        pytest.skip("mounting is not allowed here; the same is tested without")
    try:
        yield
    finally:
        os.system(f"umount {folder}")


def remount(folder: Path, options: str) -> None:
    assert os.system(f"mount -o remount,{options} {folder}") == 0


def kill_at(desk: MemoryDesk, where: str) -> None:
    with Child(CONSOLIDATOR, TESTS, desk.home.path, desk.rows.folder, where) as child:
        assert child.hear() == "stopped"
        child.kill()


@pytest.mark.parametrize("where", [*UNDECIDED, *DECIDED])
async def test_killed_in_any_step_the_root_is_as_it_was_or_as_it_should_be(
    desk: MemoryDesk, undisturbed: dict[str, bytes], where: str
) -> None:
    """SIGKILL; then the next start, which finishes what was decided; then the next run, which takes over."""
    before = contents(desk.root)
    kill_at(desk, where)
    async with desk.pipeline() as pipeline:
        notices = await finish_publishing(pipeline)
        assert contents(desk.root) == (undisturbed if where in DECIDED else before)
        assert len(notices) == (where in DECIDED)
        assert await finish_publishing(pipeline) == ()
        engine = FakeEngine({"skills/test/SKILL.md": "how to test"})
        result = await consolidate(pipeline, engine)
    assert result.outcome == ("SkippedNotDirty" if where in DECIDED else "succeeded")
    assert len(engine.asked) == (where not in DECIDED)
    assert contents(desk.root) == undisturbed
    assert desk.job() == ("done", 3, None, 0)
    assert desk.runs() == [("consolidate", "done")]
    assert not (desk.rows.folder / "staging").exists()


@pytest.mark.parametrize("where", ["between two files", "published"])
async def test_the_next_run_finishes_it_as_well(
    desk: MemoryDesk, undisturbed: dict[str, bytes], where: str
) -> None:
    kill_at(desk, where)
    async with desk.pipeline() as pipeline:
        result = await consolidate(pipeline, FakeEngine())
    assert result.outcome == "SkippedNotDirty"
    assert result.reason.startswith("run 1, whose process had ended, was finished now")
    assert contents(desk.root) == undisturbed


async def test_what_a_killed_run_left_is_undone_like_any_other(desk: MemoryDesk) -> None:
    before = contents(desk.root)
    kill_at(desk, "between two files")
    async with desk.pipeline() as pipeline:
        assert (await restore(pipeline, 1)).restores == 1
    assert contents(desk.root) == before
    assert not (desk.root / "skills").exists()


@pytest.mark.parametrize("where", ["decided", "between two files", "published"])
async def test_a_file_edited_before_a_killed_run_is_finished_keeps_the_edit(
    desk: MemoryDesk, where: str
) -> None:
    """All the other files go back to what they were: none of the run is published beside the edit."""
    before = contents(desk.root)
    kill_at(desk, where)
    (desk.root / "raw_memories.md").write_text("my edit")
    async with desk.pipeline() as pipeline:
        (notice,) = await finish_publishing(pipeline)
        (run,) = await list_runs(pipeline)
    assert contents(desk.root) == before | {"raw_memories.md": b"my edit"}
    assert (run.status, notice.severity) == ("failed", "warning")
    assert notice.why.startswith("raw_memories.md was changed meanwhile")
    status, retries, error, dirty = desk.job() or ()
    assert (status, retries, dirty) == ("error", 3, 1)
    assert error == run.reason
    async with desk.pipeline() as pipeline:
        assert (await consolidate(pipeline, FakeEngine())).outcome == "succeeded"


async def test_a_root_that_is_gone_is_not_made_again_for_a_killed_run(desk: MemoryDesk) -> None:
    kill_at(desk, "between two files")
    shutil.rmtree(desk.root)
    async with desk.pipeline() as pipeline:
        (notice,) = await finish_publishing(pipeline)
    assert notice.severity == "warning"
    assert not desk.root.exists()


ASKER = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from consolidating import FakeEngine, SecondsClock, open_pipeline
from store.memories.consolidation import consolidate

home, folder, busy = Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])

async def alone(_):
    os.close(os.open(busy, os.O_CREAT | os.O_EXCL))
    with open(busy.with_name("ran"), "a") as ran:
        ran.write("x")
    await asyncio.sleep(0.2)
    os.unlink(busy)

async def main():
    async with open_pipeline(home, folder, SecondsClock()) as pipeline:
        print("ready", flush=True)
        input()
        result = await consolidate(pipeline, FakeEngine(doing=alone), force=sys.argv[5] == "force")
        print(result.outcome, flush=True)

asyncio.run(main())
"""


def test_of_twenty_processes_that_ask_at_once_one_runs(desk: MemoryDesk, tmp_path: Path) -> None:
    arguments = (TESTS, desk.home.path, desk.rows.folder, tmp_path / "busy", "")
    with ExitStack() as stack:
        children = [stack.enter_context(Child(ASKER, *arguments)) for _ in range(20)]
        assert [child.hear() for child in children] == ["ready"] * 20
        for child in children:
            child.say()
        outcomes = [child.hear() for child in children]
    assert outcomes.count("succeeded") == 1
    assert set(outcomes) <= {"succeeded", "SkippedRunning", "SkippedNotDirty"}
    assert (tmp_path / "ran").read_text() == "x"
    assert desk.job() == ("done", 3, None, 0)


def test_however_they_are_forced_never_two_run_at_once(desk: MemoryDesk, tmp_path: Path) -> None:
    """With state folders of their own as well: the root itself is locked."""
    with ExitStack() as stack:
        other = stack.enter_context(filled_desk(tmp_path / "other"))
        folders = [desk.rows.folder, other.rows.folder] * 2
        children = [
            stack.enter_context(Child(ASKER, TESTS, desk.home.path, folder, tmp_path / "busy", "force"))
            for folder in folders
        ]
        assert [child.hear() for child in children] == ["ready"] * 4
        for child in children:
            child.say()
        outcomes = [child.hear() for child in children]
    assert set(outcomes) <= {"succeeded", "SkippedRunning"}
    assert outcomes.count("succeeded") == len((tmp_path / "ran").read_text())


async def test_a_lock_alone_keeps_others_out_when_the_lease_has_run_out(desk: MemoryDesk) -> None:
    """A laptop that slept: the lease is over, its process is not."""
    with Child(CONSOLIDATOR, TESTS, desk.home.path, desk.rows.folder, UNDECIDED[5]) as child:
        assert child.hear() == "stopped"
        desk.clock.now_s += 100_000
        async with desk.pipeline() as pipeline:
            result = await consolidate(pipeline, FakeEngine(), force=True)
        assert result.outcome == "SkippedRunning"
        child.say()
        assert child.hear() == "succeeded"


@pytest.mark.parametrize("nth", [1, 2, 4])
async def test_without_room_the_rest_is_written_later(
    desk: MemoryDesk, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    engine = FakeEngine({"skills/test/SKILL.md": "how to test"})
    write, calls = RootFiles.write, []

    def full(files: RootFiles, path: str, content: bytes) -> None:
        calls.append(path)
        if len(calls) >= nth:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(files, path, content)

    async with desk.pipeline() as pipeline:
        with monkeypatch.context() as patch:
            patch.setattr(RootFiles, "write", full)
            result = await consolidate(pipeline, engine)
            assert result.outcome == "failed"
            assert "Only a part of run 1 is published" in result.reason
            assert "No space left" in result.reason
            (notice,) = await finish_publishing(pipeline)
            assert (notice.severity, "No space left" in notice.why) == ("error", True)
            with pytest.raises(MemoryRootError, match="Only a part"):
                await consolidate(pipeline, engine, force=True)
        (run,) = await list_runs(pipeline)
        assert (run.status, "only a part" in (run.reason or "")) == ("publishing", True)
        assert (desk.job() or ())[0] == "error"
        (notice,) = await finish_publishing(pipeline)
        assert notice.severity == "information"
        (run,) = await list_runs(pipeline)
        assert (run.status, run.reason) == ("done", None)
    assert contents(desk.root) == undisturbed
    assert desk.job() == ("done", 3, None, 0)
    assert any("only a part of run 1" in line for line in desk.logged())


async def test_on_a_disk_that_is_really_full(desk: MemoryDesk) -> None:
    with tmpfs(desk.root, "size=64k"):
        (desk.root / "MEMORY.md").write_text("before")
        engine = FakeEngine({"memory_summary.md": "long " * 40_000})
        async with desk.pipeline() as pipeline:
            result = await consolidate(pipeline, engine)
            assert result.outcome == "failed"
            assert "No space left" in result.reason
            remount(desk.root, "size=4m")
            await finish_publishing(pipeline)
            (run,) = await list_runs(pipeline)
            written = {change.path: change.after for change in await changes(pipeline, run.id)}
        assert run.status == "done"
        assert {path: content.decode() for path, content in contents(desk.root).items()} == written


async def test_on_a_read_only_file_system_nothing_is_begun(desk: MemoryDesk) -> None:
    with tmpfs(desk.root, "ro"):
        async with desk.pipeline() as pipeline:
            with pytest.raises(MemoryRootError, match="may not be read and written"):
                await consolidate(pipeline, FakeEngine())
    assert (desk.job() or ())[0] == "pending"
