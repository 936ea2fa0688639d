"""The files of a root, and how they are changed."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from consolidating import FakeEngine, MemoryDesk, contents, memory_desk
from hypothesis import given
from hypothesis import strategies as st

from store.errors import MemoryRootError
from store.memories import root_files
from store.memories.consolidation import consolidate
from store.memories.publishing import finish_publishing, plan
from store.memories.rebuilding import rebuild
from store.memories.root_files import NotAFile, RootFiles, digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.memories.models import ConsolidationResult


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[MemoryDesk]:
    with memory_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def files(tmp_path: Path) -> Iterator[RootFiles]:
    folder = tmp_path / "root"
    folder.mkdir()
    with closing(RootFiles(folder)) as files:
        yield files


@pytest.fixture(params=["open folders", "paths"])
def either(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RootFiles]:
    """Both ways to go about it: folders held open, and, where those cannot be, paths."""
    if request.param == "paths":
        monkeypatch.setattr(root_files, "_AT", False)
    folder = tmp_path / "root"
    folder.mkdir()
    with closing(RootFiles(folder)) as files:
        yield files


def test_files_are_written_read_and_removed_with_their_folders(either: RootFiles) -> None:
    either.write("a/b/c.md", b"one")
    either.write("a/b/c.md", b"two")
    either.write("top.md", b"")
    assert either.read("a/b/c.md") == b"two"
    assert either.read("top.md") == b""
    assert either.read("none.md") is either.read("no/such.md") is None
    assert [entry.path for entry in either.entries()] == ["top.md", "a/b/c.md"]
    either.remove("a/b/c.md")
    either.remove("a/b/c.md")
    assert [entry.name for entry in either.path.iterdir()] == ["top.md"]


def test_links_and_special_files_are_neither_read_nor_written(either: RootFiles, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret.md").write_text("secret")
    (either.path / "file.md").symlink_to(elsewhere / "secret.md")
    (either.path / "dangling.md").symlink_to(elsewhere / "made.md")
    (either.path / "folder").symlink_to(elsewhere)
    os.mkfifo(either.path / "pipe")
    (either.path / "real").mkdir()
    for path in ("file.md", "dangling.md", "folder/secret.md", "folder/new.md", "pipe", "real"):
        with pytest.raises(NotAFile):
            either.read(path)
        with pytest.raises(NotAFile):
            either.write(path, b"x")
    assert {entry.path: entry.refused for entry in either.entries()} == {
        "file.md": "a symbolic link",
        "dangling.md": "a symbolic link",
        "folder": "a symbolic link",
        "pipe": "no regular file",
    }
    assert contents(elsewhere) == {"secret.md": b"secret"}
    either.remove("file.md")
    assert contents(elsewhere) == {"secret.md": b"secret"}


@pytest.mark.parametrize("path", ["../out.md", "a/../../out.md", "a/./b.md"])
def test_no_path_leads_out(either: RootFiles, path: str) -> None:
    (either.path / "a").mkdir()
    with pytest.raises(NotAFile):
        either.write(path, b"x")
    assert not (either.path.parent / "out.md").exists()


def test_names_that_are_no_text_and_huge_files_are_left_alone(files: RootFiles) -> None:
    descriptor = os.open(os.path.join(os.fsencode(files.path), b"\xff.md"), os.O_CREAT | os.O_WRONLY)  # noqa: PTH118 - bytes
    os.close(descriptor)
    with (files.path / "huge.md").open("wb") as huge:
        huge.truncate(root_files.LARGEST_FILE + 1)
    (entry, other) = files.entries()
    assert (other.path, other.refused) == ("\udcff.md", "its name is not UTF-8")
    assert entry.refused == ""
    with pytest.raises(NotAFile, match="larger than 64 MiB"):
        files.read("huge.md")


def test_a_listing_is_bounded(files: RootFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root_files, "MOST_ENTRIES", 3)
    for number in range(5):
        files.write(f"{number}.md", b"")
    listed = list(files.entries())
    assert [entry.refused for entry in listed] == ["", "", "", "past the first 3 entries"]
    deep = files.path.joinpath(*"abcdefghijklmnopqrstuvwxyz")
    deep.mkdir(parents=True)
    monkeypatch.setattr(root_files, "MOST_ENTRIES", 100)
    assert any("more than 16 folders deep" in entry.refused for entry in files.entries())


def test_a_file_keeps_its_mode_and_a_new_one_is_private(files: RootFiles) -> None:
    files.write("new.md", b"x")
    (files.path / "shared.md").write_text("x")
    (files.path / "shared.md").chmod(0o664)
    files.write("shared.md", b"y")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files.path.iterdir()}
    assert modes == {"new.md": 0o600, "shared.md": 0o664}


def test_what_a_killed_write_left_is_swept(files: RootFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", die)
        patch.setattr(root_files, "_remove", lambda *_: None)
        with pytest.raises(Killed):
            files.write("a/b.md", b"x")
    assert len(list((files.path / "a").iterdir())) == 1
    files.sweep("a/b.md")
    files.sweep("no/such.md")
    assert not list((files.path / "a").iterdir())


TREES = st.dictionaries(st.sampled_from(["a.md", "b.md", "c/d.md", "c/e.md"]), st.binary(max_size=3))


@given(before=TREES, after=TREES)
def test_a_plan_leads_from_any_files_to_any_other(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, bytes], after: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("root")
    with closing(RootFiles(folder)) as files:
        for path, content in before.items():
            files.write(path, content)
        changes = plan(files, {**dict.fromkeys(before), **after})
        for change in changes:
            if change.after is None:
                files.remove(change.path)
            else:
                files.write(change.path, change.after)
        assert contents(folder) == after
        assert plan(files, {**dict.fromkeys(before), **after}) == []


def test_a_plan_refuses_what_is_not_what_was_seen(files: RootFiles) -> None:
    files.write("a.md", b"now")
    assert len(plan(files, {"a.md": b"new"}, {"a.md": digest(b"now")})) == 1
    for seen in ({}, {"a.md": digest(b"then")}):
        with pytest.raises(MemoryRootError, match="was changed while the engine ran"):
            plan(files, {"a.md": b"new"}, seen)
    with pytest.raises(MemoryRootError, match="was changed while the engine ran"):
        plan(files, {"gone.md": b"new"}, {"gone.md": digest(b"then")})
    files.remove("a.md")
    (files.path / "a.md").symlink_to("b.md")
    with pytest.raises(MemoryRootError, match="is a symbolic link"):
        plan(files, {"a.md": b"new"})


async def rebuilt(desk: MemoryDesk) -> ConsolidationResult:
    async with desk.pipeline() as pipeline:
        return await rebuild(pipeline)


async def test_rebuilding_makes_the_artifacts_and_touches_nothing_else(desk: MemoryDesk) -> None:
    gone, thread = desk.remember("one"), desk.remember("two")
    async with desk.pipeline() as pipeline:
        await consolidate(pipeline, FakeEngine())
    whole = contents(desk.root)
    (desk.root / "raw_memories.md").write_text("spoiled")
    (desk.root / "rollout_summaries" / f"{thread}.md").unlink()
    (desk.root / "rollout_summaries" / "mine.md").write_text("mine")
    desk.rows.remove(gone)
    result = await rebuilt(desk)
    assert (result.outcome, result.inputs) == ("succeeded", 1)
    assert set(result.changed) == {
        "raw_memories.md",
        f"rollout_summaries/{gone}.md",
        f"rollout_summaries/{thread}.md",
    }
    after = contents(desk.root)
    assert after["rollout_summaries/mine.md"] == b"mine"
    assert after[f"rollout_summaries/{thread}.md"] == whole[f"rollout_summaries/{thread}.md"]
    assert after["MEMORY.md"] == whole["MEMORY.md"]
    assert (await rebuilt(desk)).changed == ()
    assert desk.runs() == [("consolidate", "done"), ("rebuild", "done")]


async def test_rebuilding_waits_for_a_consolidation(desk: MemoryDesk) -> None:
    desk.remember("one")
    results = []

    async def meanwhile(_: object) -> None:
        results.append(await rebuilt(desk))

    async with desk.pipeline() as pipeline:
        await consolidate(pipeline, FakeEngine(doing=meanwhile))
    assert [result.outcome for result in results] == ["SkippedRunning"]
    assert "left of its lease" in results[0].reason


async def test_with_nothing_to_finish_nothing_is_touched(desk: MemoryDesk) -> None:
    async with desk.pipeline() as pipeline:
        assert await finish_publishing(pipeline) == ()
    assert not (desk.rows.folder / "memories.lock").exists()
