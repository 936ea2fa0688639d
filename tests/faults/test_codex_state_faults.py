"""Codex's state database locked, damaged, replaced, migrated, out of reach: a notice, never an exception."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import tempfile
import threading
import warnings
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from codex_databases import insert_statement, insert_thread, make_database, other_process

from store import codex_connection
from store.codex_state import KNOWN_MIGRATION, CodexState, CodexThreads
from store.errors import CodexDatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "state_5.sqlite"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / NAME


def state_beside(path: Path) -> CodexState:
    return CodexState(path.parent, busy_seconds=0.05)


def writer(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path, isolation_level=None))


def assert_says(read: CodexThreads, *words: str) -> None:
    """Nothing was read, and the person is told what, why and what next."""
    assert read.rows == {}
    assert read.notice is not None
    assert read.notice.severity == "warning"
    assert read.notice.what
    assert read.notice.why
    assert read.notice.next_step
    text = f"{read.notice.what}: {read.notice.why}"
    for word in words:
        assert word in text


# Locked


@pytest.mark.parametrize(
    ("journal", "statements", "ids"),
    [
        ("wal", ("PRAGMA locking_mode = exclusive", insert_statement("b")), {"a", "b"}),
        ("delete", ("BEGIN EXCLUSIVE", insert_statement("b")), {"a"}),
    ],
)
def test_locked_by_another_process_it_is_said_and_read_once_free(
    path: Path, journal: str, statements: tuple[str, ...], ids: set[str]
) -> None:
    make_database(path, "0.169", "a", journal=journal)
    state = state_beside(path)
    with other_process(path, *statements):
        assert_says(state.read_threads(), NAME, "locked")
        assert_says(state.read_threads(), NAME, "locked")
    assert set(state.read_threads().rows) == ids


def test_an_open_write_transaction_of_codex_locks_nobody_out(path: Path) -> None:
    make_database(path, "0.169", "a")
    with other_process(path, "BEGIN IMMEDIATE", insert_statement("not committed")):
        read = state_beside(path).read_threads()
    assert read.notice is None
    assert set(read.rows) == {"a"}


def test_a_read_that_lasts_does_not_lock_codex_out(path: Path) -> None:
    make_database(path, "0.169", "a")
    with writer(path) as codex:
        insert_thread(codex, "b")

        def unit(reader: sqlite3.Connection) -> list[str]:
            before = reader.execute("SELECT id FROM threads").fetchall()
            insert_thread(codex, "c")
            assert reader.execute("SELECT id FROM threads").fetchall() == before
            return sorted(row[0] for row in before)

        assert codex_connection.read(path, unit) == ["a", "b"]
        assert set(state_beside(path).read_threads().rows) == {"a", "b", "c"}


# Damaged


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("empty",)),
        (random.Random(5).randbytes(20_000), ("damaged", "not an SQLite database")),
        (b"SQLite format 3\x00" + random.Random(6).randbytes(20_000), ()),
        (b"\x00" * 4096, ("damaged",)),
        (b"{}\n", ("damaged",)),
    ],
    ids=["zero bytes", "garbage", "garbage with the magic", "zeros", "json"],
)
def test_a_file_that_is_no_database_is_said(path: Path, content: bytes, words: tuple[str, ...]) -> None:
    path.write_bytes(content)
    assert_says(state_beside(path).read_threads(), NAME, *words)
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [NAME]  # noqa: PTH208 - the names are what is compared


def test_the_wal_beside_an_empty_file_is_not_lost(path: Path) -> None:
    """SQLite itself removes it, on a read-only connection too."""
    path.touch()
    wal = path.with_name(f"{NAME}-wal")
    wal.write_bytes(b"what is left of a database")
    assert_says(state_beside(path).read_threads(), "empty")
    assert wal.read_bytes() == b"what is left of a database"


def test_a_torn_database_gives_no_rows_rather_than_some(path: Path) -> None:
    make_database(path, "0.169", *(f"thread-{number}" for number in range(500)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2 // 4096 * 4096])
    assert_says(state_beside(path).read_threads(), NAME, "damaged")
    path.write_bytes(whole)
    assert len(state_beside(path).read_threads().rows) == 500


@pytest.mark.parametrize("seed", range(20))
def test_any_damage_is_a_notice_or_rows(path: Path, seed: int) -> None:
    make_database(path, "0.169", *(f"thread-{number}" for number in range(50)))
    damage = random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(40):
        content[damage.randrange(len(content))] = damage.randrange(256)
    path.write_bytes(content)
    state = state_beside(path)
    threads, names = state.read_threads(), state.read_names_and_modes()
    assert threads.rows or threads.notice
    assert names.rows or names.notice


# Not what was expected


def test_a_database_of_a_later_codex_without_threads_is_said_to_be_newer(path: Path) -> None:
    make_database(path, "0.169", "a")
    with writer(path) as connection:
        connection.execute("ALTER TABLE threads RENAME TO conversations")
        connection.execute("UPDATE _sqlx_migrations SET version = 99")
    read = state_beside(path).read_threads()
    assert_says(read, "migration 99", str(KNOWN_MIGRATION))
    assert read.notice is not None
    assert "Update Rollodex" in read.notice.next_step


def test_a_later_codexs_threads_are_read_as_far_as_they_are_known(path: Path) -> None:
    make_database(path, "0.169", "a")
    with writer(path) as connection:
        connection.execute("ALTER TABLE threads ADD COLUMN mood TEXT")
        connection.execute("UPDATE _sqlx_migrations SET version = 99")
    read = state_beside(path).read_threads()
    assert read.notice is None
    assert set(read.rows) == {"a"}


def test_a_database_without_tables_is_said(path: Path) -> None:
    with writer(path) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE something_else (a)")
    assert_says(state_beside(path).read_threads(), "threads")
    assert_says(state_beside(path).read_threads(), "missing")


@pytest.mark.parametrize(
    "migration",
    [
        "ALTER TABLE threads DROP COLUMN name",
        "ALTER TABLE threads DROP COLUMN created_at_ms",
        "ALTER TABLE threads RENAME COLUMN memory_mode TO memories",
        "ALTER TABLE threads DROP COLUMN preview",
    ],
)
def test_a_column_that_goes_between_two_reads_is_probed_again(path: Path, migration: str) -> None:
    make_database(path, "0.169", "a")
    state = state_beside(path)
    before = state.read_threads()
    with writer(path) as connection:
        connection.execute(migration)
    after = state.read_threads()
    assert before.notice is after.notice is None
    assert set(after.rows) == {"a"}
    assert state.read_names_and_modes().notice is None


def test_a_migration_in_the_middle_of_a_read_is_not_seen_by_it(path: Path) -> None:
    make_database(path, "0.169", "a")
    with writer(path) as codex:
        insert_thread(codex, "b")

        def unit(reader: sqlite3.Connection) -> int:
            columns = [row[1] for row in reader.execute("PRAGMA table_info(threads)").fetchall()]
            codex.execute("ALTER TABLE threads DROP COLUMN name")
            return len(reader.execute(f"SELECT {', '.join(columns)} FROM threads").fetchall())

        assert codex_connection.read(path, unit) == 2


# Gone or replaced


def test_a_database_replaced_between_two_reads_is_met_as_it_is(path: Path, tmp_path: Path) -> None:
    make_database(path, "0.169", "old")
    state = state_beside(path)
    assert set(state.read_threads().rows) == {"old"}
    before = state.fingerprint()
    other = tmp_path / "rebuilt"
    make_database(other, "0.130", "new", "newer")
    other.replace(path)
    assert state.fingerprint() != before
    assert set(state.read_threads().rows) == {"new", "newer"}


def test_a_newer_generation_takes_over_from_the_older(path: Path) -> None:
    make_database(path, "0.130", "old")
    state = state_beside(path)
    assert state.read_threads().database == NAME
    make_database(path.with_name("state_6.sqlite"), "0.169", "new")
    read = state.read_threads()
    assert (read.database, set(read.rows)) == ("state_6.sqlite", {"new"})


def test_a_damaged_newest_generation_is_not_replaced_by_a_stale_one(path: Path) -> None:
    make_database(path, "0.130", "stale")
    path.with_name("state_6.sqlite").write_bytes(b"garbage" * 1000)
    assert_says(state_beside(path).read_threads(), "state_6.sqlite", "damaged")


def test_a_database_deleted_between_two_reads_is_missed_and_not_made_again(path: Path) -> None:
    make_database(path, "0.169", "a")
    state = state_beside(path)
    state.read_threads()
    path.unlink()
    read = state.read_threads()
    assert (read.rows, read.database) == ({}, None)
    assert list(path.parent.iterdir()) == []


def test_a_database_that_goes_after_it_was_found_is_said(path: Path) -> None:
    with pytest.raises(CodexDatabaseError, match="No such file"):
        codex_connection.read(path, lambda connection: None)
    assert list(path.parent.iterdir()) == []


def test_a_pipe_is_not_waited_for(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(CodexDatabaseError, match="not a regular file"):
        codex_connection.read(path, lambda connection: None)


# Out of reach

NOBODY = 65534


class Guarded:
    """A home that the reading user may look into but not write."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.temporary = folder / "temporary"
        self.home.mkdir()
        self.temporary.mkdir()
        self.path = self.home / NAME

    def read(self, *, mode: int = 0o555) -> dict[str, Any]:
        """What a user that mode bits hold back reads there, and what they leave in the temporary folder."""
        self.home.chmod(mode)
        self.temporary.chmod(0o777)
        receiving, sending = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # of forking beside threads; this child execs nothing
            child = os.fork()
        if child == 0:
            self._read_and_exit(sending)
        os.close(sending)
        with open(receiving, encoding="utf-8") as pipe:  # noqa: PTH123 - a descriptor has no path
            answer: dict[str, Any] = json.loads(pipe.read())
        assert os.waitpid(child, 0)[1] == 0
        return answer

    def _read_and_exit(self, sending: int) -> None:
        """In the forked child: a new interpreter might not be within the other user's reach."""
        status = 1
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            tempfile.tempdir = str(self.temporary)
            read = state_beside(self.path).read_threads()
            notice = (
                None if read.notice is None else [read.notice.what, read.notice.why, read.notice.next_step]
            )
            left = [path.name for path in self.temporary.iterdir()]
            os.write(sending, json.dumps({"ids": sorted(read.rows), "notice": notice, "left": left}).encode())
            status = 0
        finally:
            os._exit(status)


@pytest.fixture
def guarded() -> Iterator[Guarded]:
    """Outside pytest's own folder, which other users cannot enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        home = Guarded(Path(folder))
        yield home
        home.home.chmod(0o755)


def leave_wal(path: Path, *, shm: bool) -> None:
    """The database of a Codex that died, with rows in the `-wal`."""
    with tempfile.TemporaryDirectory() as folder:
        live = Path(folder) / NAME
        make_database(live, "0.169", "a")
        with other_process(live, insert_statement("in the wal")) as process:
            process.kill()
            process.wait()
        for suffix in ("", "-wal", "-shm") if shm else ("", "-wal"):
            shutil.copy(f"{live}{suffix}", f"{path}{suffix}")


@contextmanager
def left_alone(home: Path) -> Iterator[None]:
    before = {path.name: path.read_bytes() for path in home.iterdir()}
    yield
    assert {path.name: path.read_bytes() for path in home.iterdir()} == before


def test_in_a_folder_that_cannot_be_written_a_wal_without_shm_is_read_from_a_copy(guarded: Guarded) -> None:
    leave_wal(guarded.path, shm=False)
    with left_alone(guarded.home):
        assert guarded.read() == {"ids": ["a", "in the wal"], "notice": None, "left": []}


def test_in_a_folder_that_cannot_be_written_a_wal_with_its_shm_is_read(guarded: Guarded) -> None:
    leave_wal(guarded.path, shm=True)
    with left_alone(guarded.home):
        assert guarded.read() == {"ids": ["a", "in the wal"], "notice": None, "left": []}


def test_in_a_folder_that_cannot_be_written_a_database_at_rest_is_read(guarded: Guarded) -> None:
    make_database(guarded.path, "0.169", "a")
    with left_alone(guarded.home):
        assert guarded.read() == {"ids": ["a"], "notice": None, "left": []}


def test_a_file_that_may_not_be_read_is_said(guarded: Guarded) -> None:
    make_database(guarded.path, "0.169", "a")
    guarded.path.chmod(0)
    answer = guarded.read()
    assert answer["ids"] == []
    assert NAME in answer["notice"][0]
    assert all(answer["notice"])


def test_a_wal_that_may_not_be_read_is_not_passed_over(guarded: Guarded) -> None:
    leave_wal(guarded.path, shm=False)
    guarded.path.with_name(f"{NAME}-wal").chmod(0)
    answer = guarded.read()
    assert answer["ids"] == []
    assert all(answer["notice"])


def test_a_folder_that_may_not_be_listed_is_said(guarded: Guarded) -> None:
    make_database(guarded.path, "0.169", "a")
    answer = guarded.read(mode=0o111)
    assert answer["ids"] == []
    assert "Permission denied" in answer["notice"][1]


# The copy


def refuse_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make SQLite refuse every file but a copy, as in a folder where no `-shm` can be made."""
    real: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connect(database: str, **options: Any) -> sqlite3.Connection:
        if database.endswith("mode=ro"):
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise error
        return real(database, **options)

    monkeypatch.setattr(sqlite3, "connect", connect)


def test_no_copy_is_taken_while_a_connection_is_open_here(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_wal(path, shm=False)
    inside, leave = threading.Event(), threading.Event()

    def unit(connection: sqlite3.Connection) -> None:
        inside.set()
        assert leave.wait(30)

    reader = threading.Thread(target=codex_connection.read, args=(path, unit))
    reader.start()
    try:
        assert inside.wait(30)
        refuse_in_place(monkeypatch)
        assert_says(state_beside(path).read_threads(), NAME, "busy")
    finally:
        leave.set()
        reader.join()
    assert set(state_beside(path).read_threads().rows) == {"a", "in the wal"}


def test_a_copy_waits_for_the_connection_that_is_open_here(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_wal(path, shm=False)
    inside, leave = threading.Event(), threading.Event()
    order: list[str] = []
    real_copy = shutil.copyfile

    def unit(connection: sqlite3.Connection) -> None:
        inside.set()
        assert leave.wait(30)
        order.append("read")

    def copyfile(source: Path, target: Path) -> None:
        real_copy(source, target)
        order.append("copy")

    reader = threading.Thread(target=codex_connection.read, args=(path, unit))
    reader.start()
    assert inside.wait(30)
    refuse_in_place(monkeypatch)
    monkeypatch.setattr(shutil, "copyfile", copyfile)
    read: list[CodexThreads] = []
    copier = threading.Thread(
        target=lambda: read.append(CodexState(path.parent, busy_seconds=30).read_threads())
    )
    copier.start()
    leave.set()
    reader.join()
    copier.join()
    assert order == ["read", "copy", "copy"]
    assert set(read[0].rows) == {"a", "in the wal"}


def test_a_copy_of_a_file_that_keeps_changing_is_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_wal(path, shm=False)
    refuse_in_place(monkeypatch)
    real_copy = shutil.copyfile
    copies = []

    def copyfile(source: Path, target: Path) -> None:
        real_copy(source, target)
        copies.append(source.name)
        os.utime(source, ns=(0, len(copies)))

    monkeypatch.setattr(shutil, "copyfile", copyfile)
    assert_says(state_beside(path).read_threads(), "kept changing")
    assert copies == [NAME, f"{NAME}-wal"] * 3


def test_a_commit_while_the_copy_is_taken_makes_it_taken_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_wal(path, shm=False)
    refuse_in_place(monkeypatch)
    real_copy = shutil.copyfile
    copies = []

    def copyfile(source: Path, target: Path) -> None:
        real_copy(source, target)
        copies.append(source.name)
        if len(copies) == 1:
            with other_process(path, insert_statement("meanwhile")) as process:
                process.kill()
                process.wait()

    monkeypatch.setattr(shutil, "copyfile", copyfile)
    assert set(state_beside(path).read_threads().rows) == {"a", "in the wal", "meanwhile"}
    assert len(copies) == 4


def test_on_a_network_a_wal_is_read_from_a_copy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_wal(path, shm=False)
    monkeypatch.setattr(codex_connection, "on_network", lambda path: True)
    with left_alone(path.parent):
        assert set(state_beside(path).read_threads().rows) == {"a", "in the wal"}


def test_a_database_that_is_made_while_it_is_read_is_read_again(path: Path) -> None:
    with writer(path) as codex:
        codex.execute("PRAGMA journal_mode = wal")
        tries: list[int] = []

        def unit(reader: sqlite3.Connection) -> list[tuple[str]]:
            tries.append(1)
            if len(tries) == 1:
                codex.execute("CREATE TABLE threads (id)")
                raise CodexDatabaseError("There are no threads")
            return reader.execute("SELECT name FROM sqlite_master").fetchall()

        assert codex_connection.read(path, unit) == [("threads",)]


def test_a_rollback_journal_left_by_a_crash_is_rolled_back_in_the_copy(path: Path) -> None:
    """What `migrate-nfs-db` leaves behind when it dies: SQLite will not read it in place without writing."""
    with tempfile.TemporaryDirectory() as folder:
        live = Path(folder) / NAME
        make_database(live, "0.169", "a", journal="delete")
        many = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 500) SELECT i FROM n"
        spill = f"CREATE TABLE spilt AS SELECT zeroblob(4000) FROM ({many})"
        update = "UPDATE threads SET id = 'half done'"
        with other_process(live, "PRAGMA cache_size = 1", "BEGIN", update, spill):
            shutil.copy(live, path)
            shutil.copy(f"{live}-journal", f"{path}-journal")
    before = path.read_bytes()
    assert b"half done" in before
    assert set(state_beside(path).read_threads().rows) == {"a"}
    assert path.read_bytes() == before
