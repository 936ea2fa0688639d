"""What happens to our databases when processes die, disks fill and files break."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from other_processes import Child

from store import connection as connection_module
from store import state_folder
from store.clock import SystemClock
from store.connection import DAMAGE_SUFFIX, connect_reader, connect_writer, transaction
from store.database import Database
from store.errors import DatabaseBusy, DatabaseCorrupt, DatabaseError, StateFolderError
from store.migrate import migrate, migrations_in
from store.state_folder import StateFiles, prepare

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

NOBODY = 65534

CLOCK = SystemClock()

HOLDS_THE_WRITE_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
input()
connection.execute("ROLLBACK")
print("released", flush=True)
input()
connection.execute("INSERT INTO home_files VALUES ('theirs', 1, 2, 3)")
print("written", flush=True)
"""

PREPARES = """
import sys
from pathlib import Path
from store.clock import SystemClock
from store.state_folder import prepare
print("ready", flush=True)
input()
print(len(prepare(Path(sys.argv[1]), SystemClock()).notices), flush=True)
"""


@pytest.fixture
def files(tmp_path: Path) -> StateFiles:
    return prepare(tmp_path / "state", CLOCK)


@pytest.fixture
def reachable_folder() -> Iterator[Path]:
    """A folder that another user can reach, as pytest's own cannot."""
    folder = Path(tempfile.mkdtemp(prefix="rollodex-faults-")).resolve()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("may not mount a small disk here: needs root on Linux")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill_up(disk: Path) -> Path:
    """A file that takes all the room there is."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    assert shutil.disk_usage(disk).free == 0
    return ballast


def add(connection: sqlite3.Connection, path: str = "ours") -> None:
    connection.execute("INSERT INTO home_files VALUES (?, 1, 2, 3)", (path,))


def paths(connection: sqlite3.Connection) -> list[str]:
    return [path for (path,) in connection.execute("SELECT path FROM home_files ORDER BY path")]


def read(path: Path) -> list[str]:
    with closing(connect_reader(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return paths(connection)


def test_a_process_killed_inside_a_transaction_leaves_what_was_committed(files: StateFiles) -> None:
    killed_at_work = """
import sys
from pathlib import Path
from store.connection import connect_writer, transaction
connection = connect_writer(Path(sys.argv[1]))
connection.execute("PRAGMA cache_size = 1")  # so that unfinished pages reach the log
def rows(prefix):
    return ((prefix + str(n), 1, 2, 3) for n in range(20_000))
insert = "INSERT INTO home_files VALUES (?, ?, ?, ?)"
transaction(connection, lambda c: c.executemany(insert, rows("whole ")))
def unit(connection):
    connection.executemany(insert, rows("torn "))
    print("inside", flush=True)
    input()
transaction(connection, unit)
"""
    with Child(killed_at_work, files.state) as child:
        assert child.hear() == "inside"
        child.kill()

    again = prepare(files.folder, CLOCK)

    assert again.notices == ()
    found = read(files.state)
    assert len(found) == 20_000
    assert all(path.startswith("whole ") for path in found)
    with closing(connect_writer(files.state)) as connection:
        transaction(connection, add)


def test_a_process_killed_while_it_prepares_frees_the_lock(
    files: StateFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    holds = """
import sys
from pathlib import Path
from store.state_folder import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    input()
"""
    with Child(holds, files.folder) as child:
        assert child.hear() == "held"
        monkeypatch.setattr(state_folder, "LOCK_WAIT_S", 0.1)
        with pytest.raises(StateFolderError, match="is locked: another Rollodex has been preparing it"):
            prepare(files.folder, CLOCK)
        child.kill()

    assert prepare(files.folder, CLOCK).notices == ()


def test_many_processes_make_the_folder_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with ExitStack() as stack:
        children = [stack.enter_context(Child(PREPARES, folder)) for _ in range(4)]
        assert [child.hear() for child in children] == ["ready"] * 4
        for child in children:
            child.say()
        assert [child.hear() for child in children] == ["0"] * 4
        assert [child.end() for child in children] == [0] * 4

    assert read(folder / "state_1.sqlite") == []


def test_a_damaged_database_is_set_aside_once_by_processes_that_start_at_once(files: StateFiles) -> None:
    files.state.write_bytes(os.urandom(8192))
    with ExitStack() as stack:
        children = [stack.enter_context(Child(PREPARES, files.folder)) for _ in range(3)]
        assert [child.hear() for child in children] == ["ready"] * 3
        for child in children:
            child.say()
        assert sorted(child.hear() for child in children) == ["0", "0", "1"]

    assert len(list(files.folder.glob("*.corrupt-*"))) == 1


def test_processes_that_migrate_at_once_migrate_once(tmp_path: Path) -> None:
    steps = tmp_path / "steps"
    steps.mkdir()
    (steps / "0001_log.sql").write_text("CREATE TABLE log (entry TEXT NOT NULL) STRICT;")
    path = tmp_path / "own.sqlite"
    path.touch()
    with closing(connect_writer(path)) as connection:
        migrate(connection, migrations_in(steps))
    (steps / "0002_entry.sql").write_text("INSERT INTO log VALUES ('second');")
    (steps / "0003_entry.sql").write_text("INSERT INTO log VALUES ('third');")
    migrates = """
import sys
from pathlib import Path
from store.connection import connect_writer
from store.migrate import migrate, migrations_in
connection = connect_writer(Path(sys.argv[1]))
print("ready", flush=True)
input()
print(migrate(connection, migrations_in(Path(sys.argv[2])))[1], flush=True)
"""
    with ExitStack() as stack:
        children = [stack.enter_context(Child(migrates, path, steps)) for _ in range(3)]
        assert [child.hear() for child in children] == ["ready"] * 3
        with closing(connect_writer(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for child in children:
                child.say()
            connection.execute("ROLLBACK")
        assert [child.hear() for child in children] == ["3"] * 3

    with closing(connect_reader(path)) as connection:
        assert connection.execute("SELECT entry FROM log").fetchall() == [("second",), ("third",)]


async def test_a_write_cancelled_while_another_process_has_the_lock_leaves_no_lock(
    files: StateFiles,
) -> None:
    with Child(HOLDS_THE_WRITE_LOCK, files.state) as child:
        assert child.hear() == "held"
        async with Database.open(files.state) as database:
            write = asyncio.create_task(database.write(add))
            await asyncio.sleep(0)
            write.cancel()
            with pytest.raises(asyncio.CancelledError):
                await write

            child.say()
            assert await asyncio.to_thread(child.hear) == "released"
            child.say()
            assert await asyncio.to_thread(child.hear) == "written"

            assert await database.write(paths) == ["theirs"]


async def test_a_lock_that_another_process_keeps_is_explained(
    files: StateFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "BUSY_WAIT_MS", 200)
    with Child(HOLDS_THE_WRITE_LOCK, files.state) as child:
        assert child.hear() == "held"
        async with Database.open(files.state) as database:
            with pytest.raises(DatabaseBusy, match="another process has held the write lock for more than"):
                await database.write(add)
            assert await database.read(paths) == [], "readers go on meanwhile"
            child.say()
            assert await asyncio.to_thread(child.hear) == "released"
            await database.write(add)


def damaged_contents(path: Path) -> dict[str, bytes]:
    whole = path.read_bytes()
    return {
        "random": os.urandom(len(whole)),
        "text": b"this was never a database\n" * 400,
        "short": whole[:50],
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "first page gone": bytes(4096) + whole[4096:],
    }


@pytest.mark.parametrize("damage", ["random", "text", "short", "truncated", "empty", "first page gone"])
@pytest.mark.parametrize("name", ["state_1.sqlite", "user.sqlite"])
def test_a_damaged_database_is_set_aside_and_made_anew(files: StateFiles, name: str, damage: str) -> None:
    path = files.folder / name
    content = damaged_contents(path)[damage]
    path.write_bytes(content)

    again = prepare(files.folder, CLOCK)

    (kept,) = (file for file in files.folder.glob("*.corrupt-*") if file.suffix not in ("-wal", "-shm"))
    assert kept.read_bytes() == content
    (notice,) = again.notices
    assert notice.severity == ("warning" if name.startswith("state") else "error")
    assert notice.why.startswith(f"{name}: ")
    assert str(kept) in notice.next_step
    with closing(connect_writer(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,)
    assert prepare(files.folder, CLOCK).notices == ()


def break_inside(path: Path) -> None:
    """Damage that no look at the start of the file finds."""
    with closing(connect_writer(path)) as connection:
        rows = ((f"path {n}", 1, 2, 3) for n in range(5_000))
        transaction(connection, lambda c: c.executemany("INSERT INTO home_files VALUES (?, ?, ?, ?)", rows))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    break_rows(path)


def break_rows(path: Path) -> None:
    """Damage the rows that were written last, and no schema."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size * 3 // 4 // 4096 * 4096)
        file.write(b"\xa5" * (size // 8))


async def test_damage_met_while_in_use_is_mended_by_the_next_start(files: StateFiles) -> None:
    break_inside(files.state)
    assert prepare(files.folder, CLOCK).notices == (), "a start does not read the whole file"

    async with Database.open(files.state) as database:
        with pytest.raises(DatabaseCorrupt, match="Start Rollodex again"):
            await database.read(paths)
    (notice,) = prepare(files.folder, CLOCK).notices

    assert notice.why == "state_1.sqlite: it was found damaged while in use"
    assert read(files.state) == []
    assert not list(files.folder.glob(f"*{DAMAGE_SUFFIX}"))


def test_only_the_newest_damaged_index_is_kept(files: StateFiles) -> None:
    for content in (b"first" * 1000, b"second" * 1000):
        files.state.write_bytes(content)
        prepare(files.folder, CLOCK)

    (kept,) = files.folder.glob("*.corrupt-*")
    assert kept.read_bytes() == b"second" * 1000


def test_a_false_alarm_does_not_cost_what_cannot_be_rebuilt(files: StateFiles) -> None:
    marker = files.user.with_name(files.user.name + DAMAGE_SUFFIX)
    marker.touch()

    assert prepare(files.folder, CLOCK).notices == ()

    assert not marker.exists()
    assert not list(files.folder.glob("*.corrupt-*"))


def test_a_user_database_that_is_damaged_within_is_set_aside(files: StateFiles) -> None:
    with closing(connect_writer(files.user)) as connection:
        rows = ((f"thread {n}", 1, 2) for n in range(5_000))
        connection.executemany("INSERT INTO reading_places VALUES (?, ?, ?)", rows)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    break_rows(files.user)
    files.user.with_name(files.user.name + ".bak").touch()
    with closing(connect_reader(files.user)) as connection, pytest.raises(DatabaseCorrupt):
        connection_module.snapshot(
            connection, lambda c: c.execute("SELECT sum(line) FROM reading_places").fetchone()
        )

    (notice,) = prepare(files.folder, CLOCK).notices

    assert notice.severity == "error"
    assert "user.sqlite.bak" in notice.next_step


@pytest.mark.skipif(os.name != "posix", reason="folder modes are POSIX's")
@pytest.mark.parametrize("there_before", [False, True])
def test_a_folder_that_may_not_be_written_is_explained(reachable_folder: Path, there_before: bool) -> None:
    folder = reachable_folder / "state"
    if there_before:
        prepare(folder, CLOCK)
    # Root is not held up by modes: it becomes another user once all is imported.
    tries = f"""
import asyncio, fcntl, importlib.resources, json, os, sys
from pathlib import Path
from store.clock import SystemClock
from store.errors import StoreError
from store.state_folder import prepare
if os.getuid() == 0:
    os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})
try:
    prepare(Path(sys.argv[1]), SystemClock())
except StoreError as error:
    print(json.dumps([type(error).__name__, error.what, error.why, error.next_step]), flush=True)
"""
    if os.getuid() != 0:
        (folder if there_before else reachable_folder).chmod(0o500)
    with Child(tries, folder) as child:
        kind, what, why, next_step = json.loads(child.hear())
    if os.getuid() != 0:
        (folder if there_before else reachable_folder).chmod(0o755)

    assert kind == StateFolderError.__name__
    assert what == f"{folder} cannot be used for Rollodex's own state"
    assert why == "Permission denied"
    assert "--state-dir" in next_step


def test_a_full_disk_stops_a_write_and_costs_nothing_written_before(small_disk: Path) -> None:
    files = prepare(small_disk / "state", CLOCK)
    with closing(connect_writer(files.state)) as connection:
        transaction(connection, add)
        ballast = fill_up(small_disk)

        def fill(connection: sqlite3.Connection) -> None:
            for n in range(50_000):
                add(connection, f"path {n}")

        with pytest.raises(DatabaseError, match="the disk or the quota is full") as raised:
            transaction(connection, fill)
        assert not connection.in_transaction
        assert "Make room" in raised.value.next_step

        ballast.unlink()
        transaction(connection, lambda c: add(c, "after"))

    assert read(files.state) == ["after", "ours"]


def test_a_full_disk_at_the_first_start_leaves_nothing_half_made(small_disk: Path) -> None:
    ballast = fill_up(small_disk)

    with pytest.raises((DatabaseError, StateFolderError)) as raised:
        prepare(small_disk / "state", CLOCK)
    assert raised.value.next_step
    ballast.unlink()

    assert prepare(small_disk / "state", CLOCK).notices == ()


@pytest.mark.skipif(os.name != "posix", reason="needs resource limits")
def test_a_write_that_the_system_refuses_is_explained(files: StateFiles) -> None:
    limited = """
import json, resource, signal, sys
from pathlib import Path
from store.connection import connect_writer, transaction
from store.errors import DatabaseError
connection = connect_writer(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
rows = ((f"path {n}", 1, 2, 3) for n in range(50_000))
try:
    transaction(connection, lambda c: c.executemany("INSERT INTO home_files VALUES (?, ?, ?, ?)", rows))
except DatabaseError as error:
    print(json.dumps([error.what, error.why, error.next_step, connection.in_transaction]), flush=True)
"""
    with Child(limited, files.state) as child:
        what, why, next_step, in_transaction = json.loads(child.hear())

    assert what == f"{files.state} cannot be read or written"
    assert why.startswith("disk I/O error (SQLITE_IOERR")
    assert "Check the disk" in next_step
    assert not in_transaction
    assert read(files.state) == []
