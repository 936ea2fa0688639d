"""Which folders are a root that we may write, its locks, and what is brought over once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from consolidating import FakeEngine, MemoryDesk, contents, memory_desk

from store.errors import MemoryRootError
from store.memories.consolidation import consolidate
from store.memories.history import restore
from store.memories.rebuilding import rebuild
from store.memories.root import OpenRoot, check_root, default_root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.memories.models import ConsolidationResult

SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[MemoryDesk]:
    with memory_desk(tmp_path) as desk:
        yield desk


async def run(desk: MemoryDesk, root: Path | None = None) -> ConsolidationResult:
    async with desk.pipeline(root) as pipeline:
        return await consolidate(pipeline, FakeEngine(), force=True)


async def test_a_root_may_be_missing_or_anywhere(desk: MemoryDesk, tmp_path: Path) -> None:
    desk.remember("one")
    assert default_root(desk.home) == desk.root
    elsewhere = tmp_path / "not" / "there" / "yet"
    assert (await run(desk, elsewhere)).outcome == "succeeded"
    assert "MEMORY.md" in contents(elsewhere)
    assert elsewhere.stat().st_mode & 0o777 == 0o700
    assert not desk.root.exists()


async def test_a_root_may_be_a_link_that_the_person_made(desk: MemoryDesk, tmp_path: Path) -> None:
    desk.remember("one")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    desk.root.symlink_to(elsewhere)
    result = await run(desk)
    assert result.outcome == "succeeded"
    assert desk.root.is_symlink()
    assert sorted(contents(elsewhere)) == sorted(result.changed)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ("file", "it is not a folder"),
        ("dangling", "it is a link to"),
        ("below a file", "is not a folder"),
        ("home", "it holds the threads"),
        ("above home", "it holds the threads"),
        ("sessions", "it holds the threads"),
        ("archive", "it holds the threads"),
        ("state", "Rollodex's own state"),
    ],
)
async def test_what_cannot_be_a_root(desk: MemoryDesk, tmp_path: Path, made: str, why: str) -> None:
    desk.remember("one")
    (desk.home.path / "sessions").mkdir()
    (tmp_path / "archive").mkdir()
    desk.home.archived_sessions.symlink_to(tmp_path / "archive")
    (tmp_path / "file").write_text("a file")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    root = {
        "below a file": tmp_path / "file" / "memories",
        "home": desk.home.path,
        "above home": desk.home.path.parent,
        "sessions": desk.home.sessions / "memories",
        "state": desk.rows.folder / "memories",
    }.get(made, tmp_path / made)
    with pytest.raises(MemoryRootError, match=why):
        await run(desk, root)
    assert (desk.job() or ())[0] == "pending"
    assert not (tmp_path / "nowhere").exists()


async def test_a_root_without_permission(desk: MemoryDesk) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; a read-only file system is tested among the faults")
    desk.remember("one")
    desk.root.mkdir(mode=0o500)
    with pytest.raises(MemoryRootError, match="may not be read and written"):
        await run(desk)


@pytest.mark.parametrize("name", ["MEMORY.md", "memory_summary.md", "raw_memories.md", "rollout_summaries"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
async def test_a_link_in_the_place_of_a_file_is_refused_before_the_engine(
    desk: MemoryDesk, tmp_path: Path, name: str, kind: str
) -> None:
    desk.remember("one")
    desk.root.mkdir()
    secret = tmp_path / "secret"
    secret.write_text("secret")
    if kind == "link":
        (desk.root / name).symlink_to(secret)
    else:
        os.mkfifo(desk.root / name)
    engine = FakeEngine()
    async with desk.pipeline() as pipeline:
        with pytest.raises(MemoryRootError, match=f"{name} in it is"):
            await consolidate(pipeline, engine)
        with pytest.raises(MemoryRootError):
            await rebuild(pipeline)
        with pytest.raises(MemoryRootError):
            await restore(pipeline, 1)
    assert engine.asked == []
    assert secret.read_text() == "secret"


async def test_what_else_is_odd_in_a_root_stays_out_of_it(desk: MemoryDesk, tmp_path: Path) -> None:
    desk.remember("one")
    desk.root.mkdir()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").write_text("secret")
    (desk.root / "linked").symlink_to(tmp_path / "secrets")
    (desk.root / "linked.md").symlink_to(tmp_path / "secrets" / "key")
    os.mkfifo(desk.root / "pipe")
    with (desk.root / "huge.md").open("wb") as huge:
        huge.truncate(1 << 40)
    os.close(os.open(os.fsencode(desk.root) + b"/\xff\xfe.md", os.O_CREAT))
    before = set(desk.root.iterdir())
    engine = FakeEngine()
    async with desk.pipeline() as pipeline:
        assert (await consolidate(pipeline, engine)).outcome == "succeeded"
    assert all(b"secret" not in content for content in engine.found.values())
    assert len(engine.found) == 2
    assert before < set(desk.root.iterdir())
    assert (desk.root / "linked.md").is_symlink()


async def test_a_root_of_codexs_is_refused_by_name(desk: MemoryDesk) -> None:
    desk.remember("one")
    (desk.root / ".codex-baseline").mkdir(parents=True)
    with pytest.raises(MemoryRootError, match="Have Codex run its own pipeline"):
        check_root(desk.home, desk.root, desk.rows.folder)
    assert list(desk.root.iterdir()) == [desk.root / ".codex-baseline"]


def test_both_locks_exclude_others(desk: MemoryDesk, tmp_path: Path) -> None:
    desk.root.mkdir()
    (tmp_path / "another state").mkdir()
    with OpenRoot(desk.root, desk.rows.folder) as root:
        assert root.lock()
        for path, folder in (
            (desk.root, desk.rows.folder),
            (desk.root, tmp_path / "another state"),
            (tmp_path / "another root", desk.rows.folder),
        ):
            with OpenRoot(path, folder) as other:
                assert not other.lock()
    with OpenRoot(desk.root, desk.rows.folder) as root:
        assert root.lock()


def old_folder(desk: MemoryDesk) -> Path:
    folder = desk.root / "user" / "memory"
    folder.mkdir(parents=True)
    (folder / "MEMORY.md").write_text(f"old memories, {SECRET}")
    (folder / "skills").mkdir()
    (folder / "skills" / "a.md").write_text("a skill")
    (folder / "link.md").symlink_to("/etc/hostname")
    (desk.root / "0123456789abcdef0123").mkdir()
    (desk.root / "0123456789abcdef0123" / "b.md").write_text("a bucket")
    return folder


async def test_the_old_folder_is_brought_over_once(desk: MemoryDesk) -> None:
    old_folder(desk)
    before = contents(desk.root)
    async with desk.pipeline() as pipeline:
        engine = FakeEngine()
        assert (await consolidate(pipeline, engine)).outcome == "SkippedNotDirty"
        after = contents(desk.root)
        assert {path: after[path] for path in before} == before
        assert sorted(set(after) - set(before)) == ["MEMORY.md", "skills/a.md"]
        assert after["MEMORY.md"].startswith(b"old memories, [redacted")
        assert desk.runs() == [("import", "done")]
        await restore(pipeline, 1)
        assert contents(desk.root) == before
        await consolidate(pipeline, engine)
    assert contents(desk.root) == before


@pytest.mark.parametrize("own", ["MEMORY.md", "memory_summary.md", "raw_memories.md", "rollout_summaries"])
async def test_a_root_with_memories_of_its_own_gets_nothing_brought_over(desk: MemoryDesk, own: str) -> None:
    old_folder(desk)
    if own == "rollout_summaries":
        (desk.root / own).mkdir()
    else:
        (desk.root / own).write_text("own")
    before = contents(desk.root)
    async with desk.pipeline() as pipeline:
        await consolidate(pipeline, FakeEngine())
    assert contents(desk.root) == before
    assert desk.runs() == []


async def test_an_old_folder_behind_a_link_is_not_followed(desk: MemoryDesk, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "memory").mkdir(parents=True)
    (tmp_path / "elsewhere" / "memory" / "MEMORY.md").write_text("secret")
    desk.root.mkdir()
    (desk.root / "user").symlink_to(tmp_path / "elsewhere")
    async with desk.pipeline() as pipeline:
        await consolidate(pipeline, FakeEngine())
    assert contents(desk.root) == {}
