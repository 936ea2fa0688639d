"""The backfill killed, shared and blocked, in processes of its own."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from other_processes import Child

from store.backfill_following import follow_backfill
from store.backfill_process import command
from store.backfill_state import get_backfill_state
from store.clock import SystemClock
from store.connection import connect_writer
from store.reconcile import reconcile
from store.state_folder import prepare

if TYPE_CHECKING:
    from pathlib import Path

    from building import HomeBuilder
    from store_fixtures import FixedClock

WORKER = """
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
import store.backfill
from store.backfill import BackfillWorker
from store.batches import read_files
from store.clock import SystemClock
from store.connection import connect_writer
from store.ownership import this_process
from store.rollouts.scan import scan_home

store.backfill.read_files = partial(read_files, batch_files=1)
home, state, pausing = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "pausing"

def report(progress):
    print(progress.step, progress.done, flush=True)
    if pausing:
        input()

with closing(connect_writer(state)) as connection:
    worker = BackfillWorker(
        connection, home, scan_home(home).files, me=this_process(), clock=SystemClock(), report=report
    )
    print("claimed" if worker.run() else "refused", flush=True)
"""


def everything(state: Path) -> list[tuple[object, ...]]:
    """All rows but for their numbers, once the file has been checked."""
    with closing(sqlite3.connect(state)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        threads = connection.execute("SELECT * FROM threads ORDER BY id").fetchall()
        files = connection.execute(
            "SELECT path, thread_id, size, step, parsed_bytes, fold FROM rollouts ORDER BY path"
        ).fetchall()
    return [row[1:] for row in threads] + files


@pytest.fixture
def filled(builder: HomeBuilder) -> HomeBuilder:
    for i in range(5):
        builder.add(f"task {i}", turns=i + 1, archived=i == 2)
    return builder


@pytest.mark.parametrize("checkpoints", [1, 3, 5, 6, 8, 10])
def test_a_killed_worker_loses_at_most_a_batch(
    filled: HomeBuilder, state: Path, tmp_path: Path, clock: FixedClock, checkpoints: int
) -> None:
    """SIGKILL after any number of checkpoints: the next start takes over at once and ends where it should."""
    undisturbed = prepare(tmp_path / "undisturbed", clock).state
    with Child(WORKER, filled.path, undisturbed, "steady") as child:
        while (line := child.hear()) != "claimed":
            assert line
    with Child(WORKER, filled.path, state, "pausing") as child:
        for number in range(checkpoints):
            step, done = child.hear().split()
            if number < checkpoints - 1:
                child.say()
        child.kill()
    with closing(connect_writer(state)) as connection:
        left = get_backfill_state(connection)
    assert (left.status, left.step, left.done) == ("running", step, int(done))
    with Child(WORKER, filled.path, state, "steady") as child:
        first = child.hear().split()
        # It goes on behind the last checkpoint, in the same step or at the beginning of the next.
        assert first in ([step, str(int(done) + 1)], ["full", "1"], ["claimed"])
        while first != ["claimed"]:
            first = child.hear().split()
            assert first
    assert everything(state) == everything(undisturbed)


def test_of_two_workers_one_works_and_the_other_watches(
    filled: HomeBuilder, state: Path, clock: FixedClock
) -> None:
    with Child(WORKER, filled.path, state, "pausing") as first:
        assert first.hear() == "heads 1"
        with Child(WORKER, filled.path, state, "steady") as second:
            assert second.hear() == "refused"
        seen = []
        with Child(WATCHER, filled.path, state) as watcher:
            seen.append(watcher.hear())
            first.say()
            for _ in range(8):
                assert first.hear()
                first.say()
            assert first.hear() == "full 5"
            first.say()
            while (line := watcher.hear()) != "done":
                assert line
                seen.append(line)
    assert seen[0] == "running heads 1"
    assert seen[-1].startswith("complete")
    assert sum(row[0] in filled.ids for row in everything(state)) == 5


WATCHER = """
import sys
from contextlib import closing
from pathlib import Path
from store.backfill_following import follow_backfill
from store.backfill_process import command
from store.clock import SystemClock
from store.connection import connect_writer
from store.home import CodexHome

home = Path(sys.argv[1])
with closing(connect_writer(Path(sys.argv[2]))) as connection:
    follow_backfill(
        connection,
        CodexHome(path=home, given=home, sqlite_path=home),
        clock=SystemClock(),
        report=lambda p: print(p.status, p.step, p.done, flush=True),
    )
print("done", flush=True)
"""


def test_a_worker_process_ends_when_its_parent_is_gone(filled: HomeBuilder, state: Path) -> None:
    """The screens' worker holds nothing open and no lease once nobody reads what it does."""
    arguments, environment = command(filled.home, state)
    reader, writer = os.pipe()
    pid = os.posix_spawn(
        arguments[0], arguments, environment, file_actions=[(os.POSIX_SPAWN_DUP2, reader, 0)]
    )
    os.close(reader)
    os.close(writer)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    with closing(connect_writer(state)) as connection:
        assert get_backfill_state(connection).status in ("pending", "complete")


def test_an_unreadable_folder_keeps_its_rows(
    filled: HomeBuilder, connection: sqlite3.Connection, clock: FixedClock
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads every folder; the same rule is tested by a scan that could not list it")
    follow_backfill(connection, filled.home, clock=clock)
    day = filled.file(filled.ids[0]).parent
    day.chmod(0)
    try:
        found = reconcile(connection, filled.home, clock=clock)
    finally:
        day.chmod(0o700)
    assert found.pruned == 0
    assert found.notices
    assert connection.execute("SELECT COUNT(*) FROM threads").fetchone() == (5,)


def test_a_folder_unmounted_and_back_costs_nothing(
    filled: HomeBuilder, connection: sqlite3.Connection, clock: FixedClock, tmp_path: Path
) -> None:
    """A real mount where that is allowed: rows stay while it is away, and nothing is read when it is back."""
    day = filled.file(filled.ids[0]).parent
    aside = tmp_path / "aside"
    shutil.move(day, aside)
    day.mkdir()
    if os.system(f"mount -t tmpfs tmpfs {day} 2>/dev/null") != 0:
        pytest.skip("mounting is not allowed here; the same rule is tested by a device that changed")
    try:
        for file in aside.iterdir():
            shutil.copy2(file, day)
        follow_backfill(connection, filled.home, clock=clock)
        before = connection.execute("SELECT * FROM threads ORDER BY id").fetchall()
        assert len(before) == 5
    finally:
        os.system(f"umount {day}")
    away = reconcile(connection, filled.home, clock=clock)
    assert (away.pruned, away.read) == (0, 0)
    assert "mounted" in away.notices[0].why
    assert connection.execute("SELECT * FROM threads ORDER BY id").fetchall() == before


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_killed_at_random_moments_it_always_ends_as_if_undisturbed(
    builder: HomeBuilder, tmp_path: Path, clock: FixedClock
) -> None:
    """The real worker process, with its second reader, killed 60 times at moments drawn by a seed."""
    for i in range(1500):
        builder.add(f"task {i}", turns=1 + i % 4, archived=i % 7 == 0)
    undisturbed = prepare(tmp_path / "undisturbed", clock).state
    with closing(connect_writer(undisturbed)) as connection:
        follow_backfill(connection, builder.home, clock=clock)
    wanted = everything(undisturbed)
    moments = random.Random(1)
    interrupted = 0
    for number in range(60):
        state = prepare(tmp_path / f"state {number}", clock).state
        arguments, environment = command(builder.home, state)
        with subprocess.Popen(arguments, env=environment, stdin=subprocess.PIPE) as process:
            time.sleep(moments.uniform(0.2, 2.0))
            process.kill()
        with closing(connect_writer(state)) as connection:
            interrupted += get_backfill_state(connection).status == "running"
            follow_backfill(connection, builder.home, clock=SystemClock())
            assert get_backfill_state(connection).status == "complete"
        assert everything(state) == wanted
    assert interrupted > 10
