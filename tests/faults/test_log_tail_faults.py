"""Logs that are pruned, replaced, deleted, locked, migrated or damaged under their tails."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from codex_databases import other_process
from log_databases import log_schema, log_writer, make_log, write_rows, writing_process

from store import codex_connection, followed_database, log_tail
from store.log_sources import codex_logs, log_file
from store.log_tail import LogTail
from store.models import LogQuery

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

INSERT_TWO = (
    "INSERT INTO logs (ts, ts_nanos, level, target, feedback_log_body) VALUES (1, 2, 'INFO', 'here', 'two')"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "logs_2.sqlite"
    make_log(path, "one", "two", "three")
    return path


@pytest.fixture
def tail(path: Path) -> Iterator[LogTail]:
    with closing(LogTail([codex_logs(path.parent)], LogQuery())) as tail:
        assert drain(tail) == ["one", "two", "three"]
        yield tail
    assert codex_connection._connections == {}


@pytest.fixture(params=["connected", "at rest"])
def codex(request: pytest.FixtureRequest, path: Path, tail: LogTail) -> Iterator[sqlite3.Connection | None]:
    """Codex's own connection, which the tail has noticed, or none."""
    if request.param == "at rest":
        yield None
        return
    with log_writer(path) as connection:
        write_rows(connection, ["four"])
        assert drain(tail) == ["four"]
        yield connection


def drain(tail: LogTail) -> list[str]:
    found: list[str] = []
    while True:
        batch = tail.poll()
        assert batch.notices == ()
        found += [row.body for row in batch.rows]
        if not batch.more:
            return found


def write(path: Path, *messages: str) -> None:
    with log_writer(path) as connection:
        write_rows(connection, messages)


def change(path: Path, sql: str) -> None:
    with log_writer(path) as connection:
        connection.execute(sql)


def remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


# Retention


@pytest.mark.usefixtures("codex")
@pytest.mark.parametrize("kept", ["id > 2", "id < 3", "id = 1", "0"])
def test_rows_that_are_deleted_take_no_others_with_them(path: Path, tail: LogTail, kept: str) -> None:
    change(path, f"DELETE FROM logs WHERE NOT ({kept})")
    assert drain(tail) == []
    with log_writer(path) as connection:
        # write_rows numbers its rows by what is there.
        write_rows(connection, ["after"])
        assert drain(tail) == ["after"]
        connection.execute("DELETE FROM logs")
        write_rows(connection, ["later"])
    assert drain(tail) == ["later"]


def test_retention_in_the_writing_process_loses_no_row_that_stays(path: Path, tail: LogTail) -> None:
    seen: list[str] = []
    with writing_process(path, batches=60, size=100, pause=0.002, kept=3_000) as writer:
        writer.hear()
        writer.say()
        while writer_is_busy(path, 6_000):
            seen += drain(tail)
        assert writer.hear() == "done"
    seen += drain(tail)
    numbers = [int(body.split()[1]) for body in seen]
    assert numbers == sorted(set(numbers))
    assert numbers[-3_000:] == list(range(3_000, 6_000))


def writer_is_busy(path: Path, rows: int) -> bool:
    with log_writer(path) as connection:
        (last,) = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'logs'").fetchone()
    return bool(last < rows + 3)


# Several at once


def test_two_tails_see_every_row_of_a_busy_writer_once(path: Path) -> None:
    seen: list[list[str]] = [[], []]
    with (
        closing(LogTail([log_file(path)], LogQuery(), backfill=0)) as first,
        closing(LogTail([log_file(path)], LogQuery(text="7 "), backfill=0)) as second,
        writing_process(path, batches=200, size=50) as writer,
    ):
        tails = (first, second)
        for tail in tails:
            drain(tail)
        writer.hear()
        writer.say()
        while writer_is_busy(path, 10_000):
            for bodies, tail in zip(seen, tails, strict=True):
                bodies += drain(tail)
        assert writer.hear() == "done"
        for bodies, tail in zip(seen, tails, strict=True):
            bodies += drain(tail)
    assert [int(body.split()[1]) for body in seen[0]] == list(range(10_000))
    assert [int(body.split()[1]) for body in seen[1]] == list(range(7, 10_000, 10))


def test_a_writer_that_is_killed_leaves_what_it_committed(path: Path, tail: LogTail) -> None:
    with writing_process(path, batches=1_000_000, size=20) as writer:
        writer.hear()
        writer.say()
        seen: list[str] = []
        while len(seen) < 200:
            seen += drain(tail)
        writer.kill()
    seen += drain(tail)
    with log_writer(path) as connection:
        (last,) = connection.execute("SELECT max(id) FROM logs").fetchone()
    assert [int(body.split()[1]) for body in seen] == list(range(last - 3))


# Replaced and deleted


def test_a_replaced_log_is_read_from_its_beginning(
    path: Path, tail: LogTail, codex: sqlite3.Connection | None, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    make_log(new, "new one", "new two")
    if codex is not None:
        write_rows(codex, ["the last"])
        codex.close()
    path.with_name(path.name + "-wal").unlink(missing_ok=True)
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    new.replace(path)
    assert drain(tail) == ([] if codex is None else ["the last"]) + ["new one", "new two"]
    write(path, "new three")
    assert drain(tail) == ["new three"]


@pytest.mark.usefixtures("codex")
def test_a_replacement_with_more_rows_is_another_log(path: Path, tail: LogTail, tmp_path: Path) -> None:
    new = tmp_path / "new"
    messages = [f"new {number}" for number in range(20)]
    make_log(new, *messages)
    remove(path)
    new.replace(path)
    assert drain(tail) == messages


@pytest.mark.usefixtures("codex")
def test_a_copy_of_the_log_in_its_place_shows_nothing_twice(
    path: Path, tail: LogTail, tmp_path: Path
) -> None:
    with log_writer(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    drain(tail)
    shutil.copyfile(path, tmp_path / "copy")
    remove(path)
    (tmp_path / "copy").replace(path)
    assert drain(tail) == []
    write(path, "after the copy")
    assert drain(tail) == ["after the copy"]


@pytest.mark.usefixtures("codex")
def test_a_deleted_log_is_waited_for(path: Path, tail: LogTail) -> None:
    remove(path)
    waiting = tail.poll()
    assert [notice.severity for notice in waiting.notices] == ["information"]
    assert tail.poll().notices == waiting.notices
    make_log(path)
    assert drain(tail) == []
    write(path, "new one")
    assert drain(tail) == ["new one"]


def test_a_log_that_does_not_exist_yet_is_shown_from_its_first_row(tmp_path: Path) -> None:
    with closing(LogTail([codex_logs(tmp_path / "none")], LogQuery(), backfill=0)) as tail:
        assert tail.poll().notices
        (tmp_path / "none").mkdir()
        path = tmp_path / "none" / "logs_2.sqlite"
        path.touch()
        assert tail.poll().notices
        with log_writer(path) as connection:
            connection.execute("PRAGMA journal_mode = wal")
            assert tail.poll().notices
            connection.executescript(log_schema())
            assert drain(tail) == []
            write_rows(connection, ["one"])
            assert drain(tail) == ["one"]


def test_a_newer_generation_takes_over(tmp_path: Path) -> None:
    make_log(tmp_path / "state_5.sqlite", "old one", era="0.105")
    with closing(LogTail([codex_logs(tmp_path)], LogQuery())) as tail:
        assert drain(tail) == ["old one"]
        with log_writer(tmp_path / "state_5.sqlite") as connection:
            write_rows(connection, ["old two"])
            assert drain(tail) == ["old two"]
            write_rows(connection, ["old three"])
            make_log(tmp_path / "logs_2.sqlite", "new one", "new two")
            assert drain(tail) == ["old three", "new one", "new two"]


# Migrated


@pytest.mark.usefixtures("codex")
def test_columns_may_change(path: Path, tail: LogTail) -> None:
    change(path, "ALTER TABLE logs RENAME COLUMN feedback_log_body TO message")
    change(path, "DROP INDEX idx_logs_thread_id")
    change(path, "ALTER TABLE logs DROP COLUMN thread_id")
    assert drain(tail) == []
    write(path, "other columns")
    assert drain(tail) == ["other columns"]
    change(path, "ALTER TABLE logs RENAME COLUMN message TO feedback_log_body")
    write(path, "and back")
    assert drain(tail) == ["and back"]


@pytest.mark.usefixtures("codex")
def test_a_table_made_anew_is_read_from_its_beginning(path: Path, tail: LogTail) -> None:
    change(path, "DROP TABLE logs")
    assert [notice.severity for notice in tail.poll().notices] == ["information"]
    with log_writer(path) as connection:
        connection.executescript(log_schema("0.105"))
        write_rows(connection, ["new one"])
    assert drain(tail) == ["new one"]


@pytest.mark.usefixtures("codex")
def test_a_table_made_anew_between_two_polls_is_noticed(path: Path, tail: LogTail) -> None:
    with log_writer(path) as connection:
        connection.execute("DROP TABLE logs")
        connection.executescript(log_schema())
        write_rows(connection, ["new one", "new two", "new three", "new four", "new five"])
    assert drain(tail) == ["new one", "new two", "new three", "new four", "new five"]


@pytest.mark.parametrize(
    ("journal", "statements"),
    [
        ("wal", ("PRAGMA locking_mode = EXCLUSIVE", INSERT_TWO)),
        ("delete", (INSERT_TWO, "BEGIN EXCLUSIVE", "DELETE FROM logs WHERE id = 1")),
    ],
)
def test_a_locked_log_is_said_to_be_and_goes_on_when_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: str, statements: tuple[str, ...]
) -> None:
    monkeypatch.setattr(followed_database, "BUSY_SECONDS", 0.05)
    path = tmp_path / "logs_2.sqlite"
    make_log(path, "one", journal=journal)
    with closing(LogTail([log_file(path)], LogQuery())) as tail:
        assert drain(tail) == ["one"]
        with other_process(path, *statements):
            locked = tail.poll()
            assert (locked.rows, locked.more) == ([], False)
            assert locked.notices[0].severity == "warning"
            assert "migrating" in locked.notices[0].why
            assert tail.poll().notices == locked.notices
        write(path, "three")
        assert drain(tail) == ["two", "three"]


def test_a_log_locked_from_the_start_still_gets_its_backfill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_database, "BUSY_SECONDS", 0.05)
    path = tmp_path / "logs_2.sqlite"
    make_log(path, "one", "two", journal="delete")
    with closing(LogTail([log_file(path)], LogQuery(), backfill=1)) as tail:
        with other_process(path, "BEGIN EXCLUSIVE", "DELETE FROM logs WHERE id = 1"):
            assert tail.poll().notices[0].severity == "warning"
        assert drain(tail) == ["two"]


# Out of reach


def test_on_a_network_each_look_is_at_a_copy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (followed_database, codex_connection):
        monkeypatch.setattr(module, "on_network", lambda _path: True)
    with closing(LogTail([codex_logs(path.parent)], LogQuery())) as tail:
        assert drain(tail) == ["one", "two", "three"]
        with other_process(path, INSERT_TWO):
            assert path.with_name(path.name + "-wal").stat().st_size > 0
            assert drain(tail) == ["two"]
            assert drain(tail) == []
            assert codex_connection._connections == {}


# Damaged


@pytest.mark.usefixtures("codex")
def test_a_damaged_log_is_said_to_be_and_its_replacement_read(
    path: Path, tail: LogTail, tmp_path: Path
) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"no database " * 1_000)
    remove(path)
    garbage.replace(path)
    (notice,) = tail.poll().notices
    assert (notice.severity, "not an SQLite database" in notice.why) == ("warning", True)
    remove(path)
    make_log(path, "new one")
    assert drain(tail) == ["new one"]


def test_a_writer_slower_than_the_tail_and_small_slices_lose_nothing(
    path: Path, tail: LogTail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tail, "SLICE_ROWS", 7)
    seen: list[str] = []
    with writing_process(path, batches=100, size=13) as writer:
        writer.hear()
        writer.say()
        while writer_is_busy(path, 1_300):
            seen += drain(tail)
        assert writer.hear() == "done"
    seen += drain(tail)
    assert [int(body.split()[1]) for body in seen] == list(range(1_300))
