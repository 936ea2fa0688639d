from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

import pytest
from searching_homes import Writer, find, index, lines

from store.backfill import BackfillWorker
from store.batches import read_files
from store.connection import connect_writer, transaction
from store.database import Database
from store.errors import ReadInterrupted
from store.migrate import migrate, shipped
from store.ownership import this_process
from store.rollout_rows import RolloutRead, known_rollouts, prune_rollout, write_read
from store.rollouts.metadata import read_full
from store.rollouts.scan import fingerprint, scan_home
from store.search import index as indexing
from store.state_folder import APPLICATION_ID, prepare

if TYPE_CHECKING:
    from pathlib import Path

    from building import HomeBuilder
    from store_fixtures import FixedClock


def backfill(connection: sqlite3.Connection, home: Path, clock: FixedClock) -> bool:
    return BackfillWorker(connection, home, scan_home(home).files, me=this_process(), clock=clock).run()


def contents(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return connection.execute(
        "SELECT r.path, i.line, i.kind, i.words FROM search_items i"
        " JOIN search_rollouts r ON r.key = i.rollout ORDER BY 1, 2"
    ).fetchall()


def test_rows_and_index_are_written_together_or_not_at_all(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = Writer.begin(builder.path)
    rollout.turn("a lease", "yes")
    index(connection, builder, clock)
    before = contents(connection)
    rollout.turn("another lease")

    def fail(*_given: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(indexing, "_insert_touches", fail)
        with pytest.raises(sqlite3.OperationalError):
            index(connection, builder, clock)
    assert contents(connection) == before
    assert find(connection, "lease").total == 1

    index(connection, builder, clock)
    assert find(connection, "lease").total == 2
    connection.execute("INSERT INTO search_words (search_words) VALUES ('integrity-check')")


def test_a_database_from_before_the_index_is_filled_by_the_next_backfill(
    tmp_path: Path, builder: HomeBuilder, clock: FixedClock
) -> None:
    rollout = Writer.begin(builder.path)
    line = rollout.turn("a lease")
    file = prepare(tmp_path / "state", clock).state
    with closing(connect_writer(file)) as connection:
        backfill(connection, builder.path, clock)
        now = connection.execute("SELECT * FROM threads").fetchall()
    file.unlink()
    file.touch()
    with closing(connect_writer(file)) as connection:
        migrate(connection, shipped("state")[:3])
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        columns = [row[1] for row in connection.execute("PRAGMA table_info(threads)")]
        marks = ", ".join("?" * len(columns))
        connection.execute(f"INSERT INTO threads ({', '.join(columns)}) VALUES ({marks})", now[0])
        status = (builder.path / rollout.path).stat()
        connection.execute(
            "INSERT INTO rollouts (path, thread_id, size, mtime_ns, inode, step, parsed_bytes, fold)"
            " VALUES (?, ?, ?, ?, ?, 'full', ?, x'7b7d')",
            (rollout.path, rollout.id, status.st_size, status.st_mtime_ns, status.st_ino, status.st_size),
        )
        connection.execute(
            "INSERT INTO backfill_state (id, status, step, updated_at) VALUES (1, 'complete', 'full', 1)"
        )

    with closing(connect_writer(prepare(tmp_path / "state", clock).state)) as connection:
        assert [hit.thread_id for hit in find(connection, "lease").threads] == []
        assert backfill(connection, builder.path, clock)
        found = find(connection, "lease")
        assert found.complete
        assert lines(found) == [(line, "prompt")]
        assert [hit.thread_id for hit in found.threads] == [rollout.id]
        assert connection.execute("SELECT * FROM threads").fetchall() == now


async def test_a_search_that_nobody_waits_for_ends(
    state: Path, builder: HomeBuilder, clock: FixedClock
) -> None:
    with closing(connect_writer(state)) as connection:
        rollout = Writer.begin(builder.path)
        rollout.turn(*["many words in a lease"] * 300)
        index(connection, builder, clock)

    class Endless:
        """Searches until it is stopped."""

        def __init__(self) -> None:
            self.begun, self.ended = Event(), Event()

        def __call__(self, connection: sqlite3.Connection) -> None:
            try:
                while True:
                    find(connection, "lease w*")
                    self.begun.set()
            except sqlite3.OperationalError:
                self.ended.set()
                raise

    cancelled, interrupted = Endless(), Endless()
    async with Database.open(state) as database:
        searching = asyncio.ensure_future(database.read(cancelled))
        assert await asyncio.to_thread(cancelled.begun.wait, 30)
        assert (await database.read(partial(find, text="lease"))).total == 300
        searching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await searching
        assert await asyncio.to_thread(cancelled.ended.wait, 30)
        searching = asyncio.ensure_future(database.read(interrupted))
        assert await asyncio.to_thread(interrupted.begun.wait, 30)
        database.interrupt_reads()
        with pytest.raises(ReadInterrupted):
            await searching
        assert interrupted.ended.is_set()
        assert (await database.read(partial(find, text="lease"))).total == 300


async def test_a_search_sees_one_moment_of_a_backfill(
    state: Path, builder: HomeBuilder, clock: FixedClock
) -> None:
    for number in range(30):
        Writer.begin(builder.path, number + 1).turn("a lease", "the lease")

    def write() -> None:
        with closing(connect_writer(state)) as connection:
            backfill(connection, builder.path, clock)

    async with Database.open(state) as database:
        writing = asyncio.ensure_future(asyncio.to_thread(write))
        while not writing.done():
            found = await database.read(partial(find, text="lease", limit=1000))
            assert found.total == len(found.hits)
            assert found.total % 2 == 0
        await writing
        found = await database.read(partial(find, text="lease", limit=1000))
    assert (found.total, found.complete) == (60, True)


def test_a_long_rollout_read_in_parts_is_indexed_once(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    rollout = Writer.begin(builder.path)
    for number in range(40):
        rollout.turn(f"lease {number}", "yes")
    files = scan_home(builder.path).files

    def read(parts: int) -> None:
        """As many parts as asked for; the rest is for another process."""
        known = known_rollouts(connection)
        batches = read_files(connection, builder.path, files, known, full=True, batch_bytes=2_000)
        for _, batch in zip(range(parts), batches, strict=False):
            transaction(connection, partial(batch.write, now_ms=1))

    for _ in range(8):
        read(3)
    read(1000)

    connection.execute("INSERT INTO search_words (search_words) VALUES ('integrity-check')")
    assert find(connection, "lease", limit=100).total == 40
    assert len(contents(connection)) == 80


def test_two_that_read_the_same_lines_index_them_once(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    rollout = Writer.begin(builder.path)
    rollout.turn("lease one", "yes")
    first = read_whole(builder, rollout)
    write_read(connection, first, now_ms=1)
    rollout.turn("lease two", "no")
    index(connection, builder, clock)
    rollout.turn("lease three", "perhaps")

    # A recorder goes on from where it stopped itself, whatever a watcher has read since.
    write_read(connection, read_whole(builder, rollout, first), now_ms=1)

    assert len(contents(connection)) == 6
    assert find(connection, "lease").total == 3
    connection.execute("INSERT INTO search_words (search_words) VALUES ('integrity-check')")


def test_a_rollout_of_which_the_beginning_is_not_known_is_read_anew(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    rollout = Writer.begin(builder.path)
    rollout.turn("lease one", "yes")
    first = read_whole(builder, rollout)
    write_read(connection, first, now_ms=1)
    prune_rollout(connection, rollout.path, now_ms=1)
    rollout.turn("lease two", "no")

    write_read(connection, read_whole(builder, rollout, first), now_ms=1)
    assert contents(connection) == []
    index(connection, builder, clock)

    assert len(contents(connection)) == 4


def read_whole(builder: HomeBuilder, rollout: Writer, before: RolloutRead | None = None) -> RolloutRead:
    """A read of all that is new since the one before."""
    file = fingerprint(builder.path, rollout.path)
    assert file is not None
    fold, parsed = (None, 0) if before is None else (before.fold, before.parsed_bytes)
    read = read_full(builder.path, file, fold=fold, parsed_bytes=parsed)
    return RolloutRead(
        file,
        "full",
        read.facts,
        read.decoded_bytes,
        parsed_bytes=read.parsed_bytes,
        fold=read.fold,
        found=read.found,
    )
