"""Following logs that behave: the newest rows first, then each row that comes, once and in order."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any

import pytest
from log_databases import OTHER_THREAD, THREAD, log_writer, make_log, write_rows

from store import codex_connection, log_tail
from store.followed_database import FollowedDatabase
from store.log_queries import newest_rows
from store.log_sources import codex_logs, log_file
from store.log_tail import LogTail, tail_logs
from store.models import LogQuery

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from store.models import LogBatch, LogRow


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "logs_2.sqlite"
    make_log(path, "one", "two", "three")
    return path


def bodies(batch: LogBatch) -> list[str]:
    return [row.body for row in batch.rows]


def drain(tail: LogTail) -> list[str]:
    """What polls give until there is nothing more to be had at once."""
    found: list[str] = []
    while True:
        batch = tail.poll()
        found += bodies(batch)
        if not batch.more:
            return found


def test_it_begins_with_the_newest_rows_and_goes_on_with_what_comes(path: Path) -> None:
    with closing(LogTail([log_file(path)], LogQuery(), backfill=2)) as tail, log_writer(path) as connection:
        assert drain(tail) == ["two", "three"]
        assert drain(tail) == []
        write_rows(connection, ["four", "five"])
        assert drain(tail) == ["four", "five"]
        assert drain(tail) == []
        write_rows(connection, ["six"])
        assert drain(tail) == ["six"]


def test_without_a_backfill_it_begins_with_what_comes(path: Path) -> None:
    with closing(LogTail([log_file(path)], LogQuery(), backfill=0)) as tail, log_writer(path) as connection:
        assert drain(tail) == []
        write_rows(connection, ["four"])
        assert drain(tail) == ["four"]


def test_rows_that_come_while_it_begins_are_not_lost(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def and_then_a_row(*arguments: Any, **more: Any) -> list[LogRow]:
        with log_writer(path) as connection:
            write_rows(connection, ["meanwhile"])
        return newest_rows(*arguments, **more)

    monkeypatch.setattr(log_tail, "newest_rows", and_then_a_row)
    with closing(LogTail([log_file(path)], LogQuery())) as tail:
        assert drain(tail) == ["one", "two", "three", "meanwhile"]


def test_rows_that_do_not_match_are_passed_over(path: Path) -> None:
    query = LogQuery(min_level="WARN", thread_ids=(THREAD,))
    with closing(LogTail([log_file(path)], query)) as tail, log_writer(path) as connection:
        assert drain(tail) == []
        write_rows(connection, ["no"], level="WARN", thread_id=OTHER_THREAD)
        write_rows(connection, ["yes"], level="ERROR", thread_id=THREAD)
        write_rows(connection, ["neither"], thread_id=THREAD)
        assert drain(tail) == ["yes"]
        write_rows(connection, ["and yes"], level="WARN", thread_id=THREAD)
        assert drain(tail) == ["and yes"]


def test_a_flood_comes_in_slices(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tail, "SLICE_ROWS", 10)
    with closing(LogTail([log_file(path)], LogQuery(), backfill=0)) as tail, log_writer(path) as connection:
        drain(tail)
        write_rows(connection, [str(number) for number in range(35)])
        batches = [tail.poll() for _ in range(5)]
    assert [len(batch.rows) for batch in batches] == [10, 10, 10, 5, 0]
    assert [batch.more for batch in batches] == [True, True, True, False, False]
    assert [body for batch in batches for body in bodies(batch)] == [str(number) for number in range(35)]


def test_nothing_is_read_while_nothing_is_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    listings = 0
    read, find = FollowedDatabase.read, codex_connection.find_databases

    def counted_read(self: FollowedDatabase, unit: Callable[[sqlite3.Connection], object]) -> object:
        nonlocal reads
        reads += 1
        return read(self, unit)

    def counted_find(folder: Path) -> object:
        nonlocal listings
        listings += 1
        return find(folder)

    monkeypatch.setattr(FollowedDatabase, "read", counted_read)
    monkeypatch.setattr("store.log_sources.find_databases", counted_find)
    with closing(LogTail([codex_logs(path.parent)], LogQuery())) as tail:
        for connected in (False, True):
            drain(tail)
            tail.poll()
            tail.poll()
            reads = listings = 0
            for _ in range(20):
                assert tail.poll() == ([], (), False)
            assert (reads, listings) == (0, 0), connected
            if not connected:
                writer = log_writer(path)
                connection = writer.__enter__()
                write_rows(connection, ["four"])
        writer.__exit__(None, None, None)


def test_a_log_at_rest_is_followed_without_a_file_beside_it(path: Path) -> None:
    with closing(LogTail([log_file(path)], LogQuery())) as tail:
        drain(tail)
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]
        with log_writer(path) as connection:
            write_rows(connection, ["four"])
        assert drain(tail) == ["four"]
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_no_read_transaction_outlives_a_poll(path: Path) -> None:
    with closing(LogTail([log_file(path)], LogQuery())) as tail, log_writer(path) as connection:
        write_rows(connection, ["four"])
        drain(tail)
        for number in range(3):
            write_rows(connection, [f"more {number}"])
            assert drain(tail) == [f"more {number}"]
            busy, in_log, _done = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            assert (busy, in_log) == (0, 0)


def test_several_logs_come_merged_by_time(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    make_log(other)
    with log_writer(other) as theirs, log_writer(path) as ours:
        write_rows(theirs, ["one and a bit"], ts_nanos=6_000_000)
        with closing(LogTail([log_file(path), log_file(other)], LogQuery(), backfill=3)) as tail:
            assert drain(tail) == ["one and a bit", "two", "three"]
            write_rows(ours, ["late"], ts=2_000_000_000)
            write_rows(theirs, ["early"], ts=1_999_999_999)
            assert drain(tail) == ["early", "late"]


def test_closed_it_finds_nothing_more(path: Path) -> None:
    tail = LogTail([log_file(path)], LogQuery())
    tail.close()
    assert tail.poll() == ([], (), False)


async def test_batches_come_to_a_coroutine(path: Path) -> None:
    with log_writer(path) as connection:
        async with aclosing(tail_logs([log_file(path)], LogQuery(), poll_seconds=0.01)) as batches:
            assert bodies(await anext(batches)) == ["one", "two", "three"]
            write_rows(connection, ["four"])
            assert bodies(await anext(batches)) == ["four"]
            write_rows(connection, ["five"])
            assert bodies(await anext(batches)) == ["five"]
        busy, _in_log, _done = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert busy == 0
    assert codex_connection._connections == {}


async def test_a_coroutine_that_waits_can_be_cancelled(path: Path) -> None:
    seen: list[str] = []
    begun = asyncio.Event()

    async def follow() -> None:
        async with aclosing(tail_logs([log_file(path)], LogQuery(), poll_seconds=0.001)) as batches:
            async for batch in batches:
                seen.extend(bodies(batch))
                begun.set()

    with log_writer(path) as connection:
        write_rows(connection, ["four"])
        following = asyncio.create_task(follow())
        await begun.wait()
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
    assert seen == ["one", "two", "three", "four"]
    assert codex_connection._connections == {}


async def test_a_notice_comes_once_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "logs_2.sqlite"
    async with aclosing(tail_logs([codex_logs(tmp_path)], LogQuery(), poll_seconds=0.001)) as batches:
        first = await anext(batches)
        assert [notice.severity for notice in first.notices] == ["information"]
        assert f"no log in {tmp_path}" in first.notices[0].what
        make_log(tmp_path / "making", "one")
        (tmp_path / "making").rename(path)
        second = await anext(batches)
        assert (bodies(second), second.notices) == (["one"], ())
