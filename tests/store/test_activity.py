"""Activity: what a rollout's open turn and the system's own tables say together."""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from building import BEGIN_MS, HomeBuilder
from other_processes import Child

from store.activity import GONE_MS, SILENT_MS, TurnRow, activities, judge
from store.backfill_following import follow_backfill
from store.rollouts.envelope import RolloutItem, encode_line
from store.writer_locks import FOLDER, Writer, Writers, find_writers

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from store_fixtures import FixedClock

    from store.models import ActivityState

NOW = BEGIN_MS
ID = "01a2058a-5433-7000-8000-000000000001"
SOMEBODY = Writers({ID: Writer(4711, NOW - 3_600_000)})
NOBODY = Writers(all_seen=True)
LEFT = Writers(left_locks=frozenset({ID}))
HIDDEN = Writers()


@pytest.mark.parametrize(
    ("turn", "quiet_ms", "writers", "expected"),
    [
        (True, 0, SOMEBODY, "working"),
        (True, SILENT_MS - 1, SOMEBODY, "working"),
        (True, SILENT_MS, SOMEBODY, "silent"),
        (False, 0, SOMEBODY, "open"),
        (False, 0, NOBODY, "ended"),
        (False, 0, HIDDEN, "unknown"),
        (True, GONE_MS - 1, NOBODY, "working"),
        (True, GONE_MS, NOBODY, "died"),
        (True, GONE_MS, LEFT, "died"),
        (True, GONE_MS, HIDDEN, "working"),
        (True, SILENT_MS, HIDDEN, "unknown"),
        (True, 100, Writers({ID: Writer(None)}), "working"),
    ],
)
def test_what_is_done_with_a_thread(
    turn: bool, quiet_ms: int, writers: Writers, expected: ActivityState
) -> None:
    row = TurnRow(ID, NOW - quiet_ms, NOW - 60_000 if turn else None, None, None)
    found = judge(row, writers, NOW)
    assert found.state == expected
    assert found.pid == (4711 if writers is SOMEBODY else None)
    assert found.since == (NOW - 60_000 if expected == "working" else NOW - quiet_ms)


def test_a_silent_thread_says_since_when_its_call_waits() -> None:
    row = TurnRow(ID, NOW - SILENT_MS, NOW - 90_000, "exec_command make e2e", NOW - SILENT_MS - 5)
    found = judge(row, SOMEBODY, NOW)
    assert (found.state, found.pending, found.since) == (
        "silent",
        "exec_command make e2e",
        NOW - SILENT_MS - 5,
    )


def test_a_turn_left_open_by_a_process_before_is_not_that_of_the_one_that_resumed() -> None:
    row = TurnRow(ID, NOW - 60_000, NOW - 90_000, "exec_command make", NOW - 61_000)
    found = judge(row, Writers({ID: Writer(5, NOW - 10_000)}), NOW)
    assert (found.state, found.pid, found.pending) == ("open", 5, None)


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who holds a lock")

HOLDER = """
import fcntl, os, sys
from pathlib import Path
Path("/proc/self/comm").write_text(sys.argv[1])
files = []
for path in sys.argv[3:]:
    files.append(open(path, sys.argv[2]))
    if path.endswith(".lock"):
        fcntl.flock(files[-1], fcntl.LOCK_EX)
print(os.getpid(), flush=True)
input()
"""


@contextmanager
def holding(*paths: Path, name: str = "codex", mode: str = "ab") -> Iterator[int]:
    """Another process with this name that has these files open, and the locks among them locked."""
    with Child(HOLDER, name, mode, *paths) as child:
        yield int(child.hear())


def lock_of(builder: HomeBuilder, thread_id: str) -> Path:
    path = builder.path / FOLDER / f"{thread_id}.lock"
    path.parent.mkdir(exist_ok=True)
    path.touch()
    return path


@linux
def test_the_holder_of_a_lock_is_the_writer_and_its_death_leaves_the_lock(builder: HomeBuilder) -> None:
    one, other = builder.add("a"), builder.add("b")
    lock = lock_of(builder, one)
    lock_of(builder, other)
    (builder.path / FOLDER / ".coordination.lock").touch()
    with holding(lock, name="anything") as pid:
        found = find_writers(builder.path)
        assert found.found[one].pid == pid
        started_at = found.found[one].started_at
        assert started_at is not None
        assert abs(started_at - lock.stat().st_mtime_ns // 1_000_000) < 60_000
        assert found.surely_none(other)
        assert not found.surely_none(one)
    assert find_writers(builder.path).left_locks == {one, other}


def test_looking_neither_opens_nor_takes_a_lock(
    builder: HomeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = lock_of(builder, builder.add("a"))
    opened: list[str] = []
    real = os.open

    def noting(path: Any, *args: Any, **more: Any) -> int:
        opened.append(str(path))
        return real(path, *args, **more)

    monkeypatch.setattr(os, "open", noting)
    monkeypatch.setattr(fcntl, "flock", lambda *_: pytest.fail("a lock was tried"))
    find_writers(builder.path)
    assert str(lock) not in opened


@linux
def test_before_there_were_locks_the_rollout_held_open_for_writing_tells(builder: HomeBuilder) -> None:
    written, read, foreign = builder.add("a"), builder.add("b"), builder.add("c")
    with (
        holding(builder.file(written)) as pid,
        holding(builder.file(read), mode="rb"),
        holding(builder.file(foreign), name="tail"),
    ):
        found = find_writers(builder.path)
    assert {thread_id: writer.pid for thread_id, writer in found.found.items()} == {written: pid}


@linux
def test_a_home_behind_a_link_is_the_same_home(builder: HomeBuilder, tmp_path: Path) -> None:
    thread_id = builder.add("a")
    real = tmp_path / "sessions elsewhere"
    (builder.path / "sessions").rename(real)
    (builder.path / "sessions").symlink_to(real)
    link = tmp_path / "link"
    link.symlink_to(builder.path)
    (file,) = real.glob(f"**/*{thread_id}.jsonl")
    with holding(file) as pid:
        assert find_writers(link).found[thread_id].pid == pid


class FakeProc:
    """A /proc of our making."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "stat").parent.mkdir(parents=True)
        (path / "stat").write_text("cpu 1\nbtime 1700000000\n")
        (path / "locks").write_text("")

    def process(self, pid: int, name: str) -> Path:
        folder = self.path / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "comm").write_text(name + "\n")
        return folder


def test_a_process_that_hides_its_files_may_write_any_thread_without_a_lock(
    builder: HomeBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proc = FakeProc(tmp_path / "proc")
    proc.process(7, "codex")
    real = os.listdir

    def hiding(path: object) -> list[str]:
        if str(path).endswith("7/fd"):
            raise PermissionError(13, "Permission denied")
        return real(path)  # type: ignore[call-overload, no-any-return]  # it takes what it is given

    monkeypatch.setattr(os, "listdir", hiding)
    left = builder.add("a")
    lock_of(builder, left)
    found = find_writers(builder.path, proc.path)
    assert not found.surely_none(builder.add("b"))
    assert found.surely_none(left)


def test_where_there_is_no_lock_table_nothing_is_sure(builder: HomeBuilder, tmp_path: Path) -> None:
    thread_id = builder.add("a")
    lock_of(builder, thread_id)
    assert not find_writers(builder.path, tmp_path / "nowhere").surely_none(thread_id)


def test_a_lock_under_another_device_number_is_confirmed_by_the_open_file(
    builder: HomeBuilder, tmp_path: Path
) -> None:
    """On btrfs and overlays the table names another device than the file says."""
    one, other = (lock_of(builder, builder.add(prompt)) for prompt in "ab")
    proc = FakeProc(tmp_path / "proc")
    lines = [
        f"{n}: FLOCK  ADVISORY  WRITE {n} 00:99:{lock.stat().st_ino} 0 EOF"
        for n, lock in ((8, one), (9, other))
    ]
    lines.append(f"3: -> FLOCK  ADVISORY  WRITE 10 00:99:{other.stat().st_ino} 0 EOF")
    (proc.path / "locks").write_text("\n".join(lines))
    (proc.process(8, "codex") / "fd/3").symlink_to(one)
    (proc.process(9, "other") / "fd/3").symlink_to(tmp_path / "another file")
    found = find_writers(builder.path, proc.path)
    assert {thread_id: writer.pid for thread_id, writer in found.found.items()} == {builder.ids[0]: 8}
    assert found.left_locks == {builder.ids[1]}


def test_the_rows_tell_which_threads_are_at_work(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    working, resting, _ended = (builder.add(prompt) for prompt in ("a", "b", "c"))
    begun = RolloutItem("event_msg", {"type": "task_started", "turn_id": "t"})
    with builder.file(working).open("ab") as file:
        file.write(encode_line(begun, clock.now_ms()))
    follow_backfill(connection, builder.home, clock=clock)
    writers = Writers({working: Writer(1), resting: Writer(2)}, all_seen=True)
    found = activities(connection, writers, clock.now_ms() + 1)
    assert {thread_id: each.state for thread_id, each in found.items()} == {
        working: "working",
        resting: "open",
    }
    assert found[working].since == clock.now_ms()
