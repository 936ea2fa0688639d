"""A thread that `thread/revert` (0.169) spread over several rollouts: one row, one conversation."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
import zstandard
from building import BEGIN_MS, thread_id, turn_items

from store.database import Database
from store.discrepancies import list_open
from store.models import ThreadQuery
from store.reconcile import reconcile
from store.refreshing import Touched, refresh_rows
from store.rollouts.envelope import RolloutItem, encode_line, rollout_name
from store.rollouts.scan import rollout_id_in_name, scan_home
from store.rollouts.transcript import Transcript
from store.threads import Threads

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from building import HomeBuilder
    from store_fixtures import FixedClock

    from store.models import Thread

FORK = thread_id(900, BEGIN_MS + 900_000)
FOLDER = "sessions/2026/09/21"


class Reverted:
    """A thread asked "one" and "two", reverted before "two", twice; and its files, the oldest first."""

    def __init__(self, builder: HomeBuilder) -> None:
        self.builder = builder
        self.id = thread_id(1, BEGIN_MS)
        self.files: list[Path] = []
        self._size = 0
        first = self._write(rollout_name(self.id, BEGIN_MS), {}, "one")
        kept = first.stat().st_size
        with first.open("ab") as file:
            file.writelines(encode_line(item, BEGIN_MS + 500) for item in turn_items("two", "Yes.", "t"))
        self.go_on("two again", kept)
        self.go_on("two at last", self.bare)

    @property
    def bare(self) -> int:
        """How long the newest rollout was before its first turn."""
        return self._size

    def go_on(self, prompt: str, kept: int) -> None:
        """Revert to where the newest rollout was so long, and ask anew."""
        at_ms = BEGIN_MS + len(self.files) * 100_000
        base = rollout_id_in_name(self.files[-1].name)
        name = rollout_name(f"{self.id}_{thread_id(5, at_ms)}", at_ms)
        self._write(name, {"history_base": {"thread_id": base, "end_byte_offset": kept}}, prompt)

    def fork(self) -> None:
        """Fork the thread as it is now, without a turn."""
        base, size = rollout_id_in_name(self.files[-1].name), self.files[-1].stat().st_size
        meta = {"history_base": {"thread_id": base, "end_byte_offset": size}, "forked_from_id": self.id}
        self._write(rollout_name(FORK, BEGIN_MS + 900_000), {"id": FORK, **meta}, None)

    def _write(self, name: str, meta: dict[str, object], prompt: str | None) -> Path:
        path = self.builder.path / FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        payload = {"id": self.id, "timestamp": "2026-09-21T14:13:20.000Z", "cwd": "/w", **meta}
        first = encode_line(RolloutItem("session_meta", payload), BEGIN_MS)
        self._size = len(first)
        items = turn_items(prompt, f"{prompt}?", "t") if prompt is not None else []
        path.write_bytes(first + b"".join(encode_line(item, BEGIN_MS) for item in items))
        self.files.append(path)
        return path

    def place(self, path: Path) -> str:
        """A path as rows have it."""
        return path.relative_to(self.builder.path).as_posix()


@pytest.fixture
def reverted(builder: HomeBuilder) -> Reverted:
    return Reverted(builder)


def row(connection: sqlite3.Connection) -> tuple[object, ...]:
    """The only row: which file, which words, how many turns."""
    ((*found,),) = connection.execute(
        "SELECT rollout_path, title, first_user_message, preview, turns FROM threads"
    ).fetchall()
    return tuple(found)


def problems(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return [(each.kind, each.where) for each in list_open(connection)]


async def conversation(threads: Threads, thread: Thread, home: Path) -> list[tuple[str | None, bool]]:
    bases = await threads.base_paths(thread)
    path = home / thread.rollout_path
    with Transcript.open(path, thread_id=thread.id, resolve_base=bases.get) as transcript:
        items = list(transcript.all_items())
        for position, item in enumerate(items):
            if item.lines:
                assert transcript.position_of_line(item.line, item.rollout_id or item.thread_id) == position
        return [(item.text, item.inherited) for item in items if item.role == "user" or item.failed]


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_whatever_is_read_first_the_row_is_the_newest_rollouts_with_the_firsts_words(
    reverted: Reverted, connection: sqlite3.Connection, clock: FixedClock, order: Sequence[int]
) -> None:
    home = reverted.builder.home
    contents = [(path, path.read_bytes()) for path in reverted.files]
    for path in reverted.files:
        path.unlink()
    for number in order:
        path, data = contents[number]
        path.write_bytes(data)
        paths = frozenset({reverted.place(path)})
        assert refresh_rows(connection, home, Touched(paths), clock=clock).read == 1
    expected = (reverted.place(reverted.files[2]), "one", "one", "one", 1)
    assert row(connection) == expected
    with reverted.files[2].open("ab") as file:
        file.writelines(encode_line(item, BEGIN_MS + 900) for item in turn_items("more", "Yes.", "t2"))
    assert reconcile(connection, home, clock=clock).read == 1
    assert row(connection) == (*expected[:4], 2)
    assert problems(connection) == []


def test_all_at_once_is_the_same(
    reverted: Reverted, connection: sqlite3.Connection, clock: FixedClock
) -> None:
    reconcile(connection, reverted.builder.home, clock=clock)
    assert row(connection) == (reverted.place(reverted.files[2]), "one", "one", "one", 1)
    assert reconcile(connection, reverted.builder.home, clock=clock).read == 0
    assert problems(connection) == []


def test_archiving_moves_every_rollout_and_reads_none(
    reverted: Reverted, connection: sqlite3.Connection, clock: FixedClock
) -> None:
    home = reverted.builder.home
    reconcile(connection, home, clock=clock)
    archive = home.path / "archived_sessions"
    archive.mkdir()
    for path in reverted.files:
        path.rename(archive / path.name)
    done = reconcile(connection, home, clock=clock)
    assert (done.moved, done.pruned, done.read) == (3, 0, 0)
    assert row(connection)[:2] == (f"archived_sessions/{reverted.files[2].name}", "one")
    known = connection.execute("SELECT COUNT(*) FROM rollouts WHERE path LIKE 'archived%'").fetchone()
    assert known == (3,)
    assert problems(connection) == []


def test_a_rollout_that_went_while_another_came_is_not_taken_for_it(
    reverted: Reverted, connection: sqlite3.Connection, clock: FixedClock
) -> None:
    home = reverted.builder.home
    newest = reverted.files[2].read_bytes()
    reverted.files[2].unlink()
    reconcile(connection, home, clock=clock)
    reverted.files[2].write_bytes(newest)
    reverted.files[1].unlink()
    done = reconcile(connection, home, clock=clock)
    assert (done.moved, done.pruned) == (0, 1)
    assert row(connection)[:2] == (reverted.place(reverted.files[2]), "one")
    reverted.files[2].unlink()
    reconcile(connection, home, clock=clock)
    assert row(connection) == (reverted.place(reverted.files[0]), "one", "one", "one", 2)


def test_two_files_of_one_rollout_are_duplicates(
    reverted: Reverted, connection: sqlite3.Connection, clock: FixedClock
) -> None:
    archive = reverted.builder.path / "archived_sessions"
    archive.mkdir()
    for path in reverted.files[1:]:
        (archive / path.name).write_bytes(path.read_bytes())
    reconcile(connection, reverted.builder.home, clock=clock)
    assert row(connection)[0] == reverted.place(reverted.files[2])
    assert sorted(problems(connection)) == [
        ("duplicate_file", f"archived_sessions/{path.name}") for path in reverted.files[1:]
    ]


@pytest.mark.parametrize("listed_from", ["database", "files"])
async def test_a_reverted_thread_and_its_fork_tell_what_was_kept(
    reverted: Reverted,
    connection: sqlite3.Connection,
    state: Path,
    clock: FixedClock,
    listed_from: str,
) -> None:
    home = reverted.builder.home
    reverted.fork()
    reconcile(connection, home, clock=clock)
    first = reverted.files[0]
    async with Database.open(state) as database:
        threads = Threads(home, database if listed_from == "database" else None, clock)
        for base in ("plain", "archived", "compressed", "missing"):
            if base == "archived":
                first = first.rename(home.path / "archived_sessions" / first.name)
            elif base == "compressed":
                packed = first.with_name(f"{first.name}.zst")
                packed.write_bytes(zstandard.compress(first.read_bytes()))
                first.unlink()
                first = packed
            elif base == "missing":
                first.unlink()
            (home.path / "archived_sessions").mkdir(exist_ok=True)
            thread = await threads.get_thread(reverted.id)
            assert thread.rollout_path == reverted.place(reverted.files[2])
            kept = await conversation(threads, thread, home.path)
            fork = await conversation(threads, await threads.get_thread(FORK), home.path)
            if base == "missing":
                assert "is not here" in (kept[0][0] or "")
                assert [text for text, _ in kept[1:]] == ["two at last"]
            else:
                assert kept == [("one", True), ("two at last", False)]
                assert fork == [("one", True), ("two at last", True)]


async def test_the_files_alone_list_it_alike(reverted: Reverted, clock: FixedClock) -> None:
    threads = Threads(reverted.builder.home, None, clock)
    page = await threads.list_threads(ThreadQuery())
    (thread,) = page.items
    assert (thread.rollout_path, thread.title) == (reverted.place(reverted.files[2]), "one")
    reverted.files[0].unlink()
    (thread,) = (await threads.list_threads(ThreadQuery())).items
    assert (thread.rollout_path, thread.title) == (reverted.place(reverted.files[2]), "two again")


def test_without_the_original_the_reverted_rollouts_are_read(
    reverted: Reverted, connection: sqlite3.Connection, clock: FixedClock
) -> None:
    reverted.files[0].unlink()
    reconcile(connection, reverted.builder.home, clock=clock)
    assert row(connection) == (reverted.place(reverted.files[2]), "two again", "two again", "two again", 1)
    assert {file.thread_id for file in scan_home(reverted.builder.path).files} == {reverted.id}


async def test_a_fork_without_a_turn_has_its_parents_preview(
    reverted: Reverted, connection: sqlite3.Connection, state: Path, clock: FixedClock
) -> None:
    reverted.fork()
    reconcile(connection, reverted.builder.home, clock=clock)
    async with Database.open(state) as database:
        fork = await Threads(reverted.builder.home, database, clock).get_thread(FORK)
    assert (fork.title, fork.first_user_message, fork.preview) == (None, None, "one")
