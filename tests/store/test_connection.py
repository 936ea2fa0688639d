"""Connections, units of work, and what failures say."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from store import connection as connection_module
from store.connection import DAMAGE_SUFFIX, connect_reader, connect_writer, snapshot, transaction
from store.errors import DatabaseBusy, DatabaseCorrupt, DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "own.sqlite"
    file.touch()
    with closing(connect_writer(file)) as connection:
        connection.execute(
            "CREATE TABLE item (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES item (id)) STRICT"
        )
    return file


@pytest.fixture
def writer(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect_writer(path)) as connection:
        yield connection


@pytest.fixture
def reader(path: Path, writer: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    with closing(connect_reader(path)) as connection:
        yield connection


def count(connection: sqlite3.Connection) -> int:
    (number,) = connection.execute("SELECT count(*) FROM item").fetchone()
    return int(number)


def add(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO item DEFAULT VALUES")


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_writer_is_set_up_for_safety_and_speed(writer: sqlite3.Connection) -> None:
    assert pragma(writer, "journal_mode") == "wal"
    assert pragma(writer, "synchronous") == 1
    assert pragma(writer, "foreign_keys") == 1
    assert writer.isolation_level is None


def test_a_reader_cannot_write(reader: sqlite3.Connection) -> None:
    with pytest.raises(DatabaseError, match="cannot be written"):
        snapshot(reader, add)
    assert snapshot(reader, count) == 0


def test_a_unit_is_committed_whole(writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
    def unit(connection: sqlite3.Connection) -> int:
        assert connection.in_transaction
        add(connection)
        add(connection)
        return count(connection)

    assert transaction(writer, unit) == 2
    assert not writer.in_transaction
    assert snapshot(reader, count) == 2


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_a_unit_that_raises_leaves_nothing(writer: sqlite3.Connection, error: BaseException) -> None:
    def unit(connection: sqlite3.Connection) -> None:
        add(connection)
        raise error

    with pytest.raises(type(error)) as raised:
        transaction(writer, unit)

    assert raised.value is error
    assert not writer.in_transaction
    assert count(writer) == 0


def test_a_mistake_in_our_sql_is_not_blamed_on_the_file(writer: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        transaction(writer, lambda connection: connection.execute("SELECT 1 FROM nowhere"))
    with pytest.raises(sqlite3.IntegrityError):
        transaction(writer, lambda connection: connection.execute("INSERT INTO item (parent) VALUES (9)"))
    assert not writer.in_transaction


def test_a_lock_held_too_long_is_explained(
    path: Path, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "BUSY_WAIT_MS", 200)
    with closing(connect_writer(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy) as raised:
            transaction(writer, add)
        assert str(raised.value) == (
            f"{path} is locked: another process has held the write lock for more than 0.2 s. Try again; "
            "if it stays locked, end the other Rollodex that uses this folder."
        )
        other.execute("ROLLBACK")

    transaction(writer, add)
    assert count(writer) == 1


def test_a_unit_that_nobody_waits_for_is_not_begun(path: Path, writer: sqlite3.Connection) -> None:
    asked = 0

    def abandoned() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    with closing(connect_writer(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy, match="nobody waits"):
            transaction(writer, add, abandoned=abandoned)

    assert asked == 3
    assert count(writer) == 0


def test_a_lock_that_comes_too_late_is_given_back(path: Path, writer: sqlite3.Connection) -> None:
    answers = iter([False, True, True])

    with pytest.raises(DatabaseBusy, match="nobody waits"):
        transaction(writer, add, abandoned=lambda: next(answers))

    assert not writer.in_transaction
    assert count(writer) == 0


def test_a_full_disk_rolls_back_and_says_so(path: Path, writer: sqlite3.Connection) -> None:
    writer.execute(f"PRAGMA max_page_count = {pragma(writer, 'page_count')}")

    def fill(connection: sqlite3.Connection) -> None:
        for _ in range(10_000):
            add(connection)

    with pytest.raises(DatabaseError, match="the disk or the quota is full") as raised:
        transaction(writer, fill)

    assert str(path) in raised.value.what
    assert raised.value.next_step
    assert not writer.in_transaction
    assert count(writer) == 0


def test_a_snapshot_is_of_one_moment_and_ends(writer: sqlite3.Connection, reader: sqlite3.Connection) -> None:
    def unit(connection: sqlite3.Connection) -> tuple[int, int]:
        before = count(connection)
        transaction(writer, add)
        return before, count(connection)

    assert snapshot(reader, unit) == (0, 0)
    assert not reader.in_transaction
    assert snapshot(reader, count) == 1


def test_a_snapshot_whose_unit_raises_ends_too(reader: sqlite3.Connection) -> None:
    def unit(connection: sqlite3.Connection) -> None:
        count(connection)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        snapshot(reader, unit)
    assert not reader.in_transaction


@pytest.mark.parametrize("connect", [connect_writer, connect_reader])
def test_a_missing_file_is_not_made(tmp_path: Path, connect: type) -> None:
    with pytest.raises(DatabaseError, match="cannot be opened"):
        connect(tmp_path / "gone.sqlite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("connect", [connect_writer, connect_reader])
def test_a_file_that_is_no_database_is_marked_for_the_next_start(tmp_path: Path, connect: type) -> None:
    file = tmp_path / "own.sqlite"
    file.write_bytes(b"not a database, but long enough to look at\n" * 100)

    with pytest.raises(DatabaseCorrupt, match="file is not a database"):
        connect(file)

    assert file.with_name(file.name + DAMAGE_SUFFIX).exists()


def test_any_path_can_be_opened(tmp_path: Path) -> None:
    folder = tmp_path / "a?mode=memory&b#c%20 ü"
    folder.mkdir()
    file = folder / "own.sqlite"
    file.touch()

    with closing(connect_writer(file)) as writer, closing(connect_reader(file)) as reader:
        writer.execute("CREATE TABLE item (id INTEGER PRIMARY KEY)")
        assert snapshot(reader, count) == 0
    assert file.stat().st_size > 0


def test_what_lies_beside_is_read_without_a_lock_on_it(
    path: Path, writer: sqlite3.Connection, tmp_path: Path
) -> None:
    other = tmp_path / "other.sqlite"
    other.touch()
    with closing(connect_writer(other, beside=path)) as with_both:

        def unit(connection: sqlite3.Connection) -> list[tuple[int]]:
            transaction(writer, add)
            return connection.execute("SELECT count(*) FROM state.item").fetchall()

        assert [transaction(with_both, unit) for _ in range(2)] == [[(0,)], [(1,)]]
        with pytest.raises(DatabaseError, match="cannot be written"):
            transaction(with_both, lambda c: c.execute("INSERT INTO state.item DEFAULT VALUES"))
