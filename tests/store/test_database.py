"""The asynchronous database: writes, reads, cancellation, closing."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import pytest

from store import database as database_module
from store.connection import connect_writer, transaction
from store.database import READERS, Database
from store.errors import DatabaseCorrupt, DatabaseError, ReadInterrupted

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    Unit = Callable[[sqlite3.Connection], object]

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "own.sqlite"
    file.touch()
    with closing(connect_writer(file)) as connection:
        connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, n INTEGER) STRICT")
    return file


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    async with Database.open(path) as opened:
        yield opened


@pytest.fixture
def other(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's connection, as far as SQLite can tell."""
    with closing(connect_writer(path)) as connection:
        yield connection


def count(connection: sqlite3.Connection) -> int:
    (number,) = connection.execute("SELECT count(*) FROM item").fetchone()
    return int(number)


def add(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO item DEFAULT VALUES")


class Held:
    """A unit that tells when it has begun, and ends when it is let go."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.let_go = threading.Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self, connection: sqlite3.Connection) -> int:
        before = count(connection)
        self._loop.call_soon_threadsafe(self.begun.set)
        assert self.let_go.wait(30)
        return before


class Endless:
    """A unit that tells when it has begun, and never ends by itself."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self, connection: sqlite3.Connection) -> None:
        self._loop.call_soon_threadsafe(self.begun.set)
        connection.execute(ENDLESS).fetchone()


@asynccontextmanager
async def cancelled(task: asyncio.Task[Any]) -> AsyncIterator[None]:
    """Cancel a task, and see it end as cancelled after the block."""
    task.cancel()
    yield
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_is_written_is_read(database: Database) -> None:
    await database.write(add)
    assert await database.read(count) == 1


async def test_many_writes_at_once_keep_apart(database: Database) -> None:
    def unit(connection: sqlite3.Connection) -> int:
        before = count(connection)
        add(connection)
        return before

    assert await asyncio.gather(*(database.write(unit) for _ in range(50))) == list(range(50))


async def test_a_write_that_raises_leaves_nothing_and_the_next_goes_on(database: Database) -> None:
    def unit(connection: sqlite3.Connection) -> None:
        add(connection)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await database.write(unit)
    await database.write(add)
    assert await database.read(count) == 1


async def test_a_long_read_does_not_keep_the_others_waiting(database: Database) -> None:
    held = [Held() for _ in range(READERS - 1)]
    long = [asyncio.create_task(database.read(unit)) for unit in held]
    await asyncio.gather(*(unit.begun.wait() for unit in held))

    await database.write(add)
    assert await database.read(count) == 1

    for unit in held:
        unit.let_go.set()
    assert await asyncio.gather(*long) == [0] * len(held)


async def test_a_read_waits_when_every_reader_is_at_work(database: Database) -> None:
    held = [Held() for _ in range(READERS)]
    long = [asyncio.create_task(database.read(unit)) for unit in held]
    await asyncio.gather(*(unit.begun.wait() for unit in held))
    waiting = asyncio.create_task(database.read(count))

    held[0].let_go.set()
    assert await waiting == 0

    for unit in held:
        unit.let_go.set()
    await asyncio.gather(*long)


async def test_a_cancelled_read_stops_and_frees_its_reader(database: Database) -> None:
    for _ in range(READERS + 1):
        endless = Endless()
        task = asyncio.create_task(database.read(endless))
        await endless.begun.wait()
        async with cancelled(task):
            pass

    assert await database.read(count) == 0


async def test_a_cancelled_read_stops_between_its_statements(database: Database) -> None:
    held = Held()

    def unit(connection: sqlite3.Connection) -> None:
        held(connection)
        connection.execute(ENDLESS).fetchone()

    task = asyncio.create_task(database.read(unit))
    await held.begun.wait()
    async with cancelled(task):
        held.let_go.set()

    assert await asyncio.gather(*(database.read(count) for _ in range(READERS))) == [0] * READERS


async def test_reads_can_be_interrupted(database: Database) -> None:
    endless = Endless()
    task = asyncio.create_task(database.read(endless))
    await endless.begun.wait()
    database.interrupt_reads()

    with pytest.raises(ReadInterrupted):
        await task
    database.interrupt_reads()
    assert await database.read(count) == 0


async def test_data_version_tells_of_every_commit(database: Database, other: sqlite3.Connection) -> None:
    first = await database.data_version()
    assert await database.data_version() == first

    await database.write(add)
    second = await database.data_version()
    transaction(other, add)
    third = await database.data_version()

    assert len({first, second, third}) == 3
    await database.read(count)
    assert await database.data_version() == third


async def test_a_write_cancelled_while_it_waits_for_the_lock_never_begins(
    database: Database, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = asyncio.Event()
    loop = asyncio.get_running_loop()

    def announced(connection: sqlite3.Connection, unit: Unit, *, abandoned: Callable[[], bool]) -> object:
        asked = 0

        def asking() -> bool:
            nonlocal asked
            asked += 1
            if asked == 2:  # the first try for the lock is over
                loop.call_soon_threadsafe(waits.set)
            return abandoned()

        return transaction(connection, unit, abandoned=asking)

    monkeypatch.setattr(database_module, "transaction", announced)
    other.execute("BEGIN IMMEDIATE")
    task = asyncio.create_task(database.write(add))
    await waits.wait()
    async with cancelled(task):
        pass
    monkeypatch.undo()
    other.execute("ROLLBACK")

    assert await database.write(lambda connection: count(connection)) == 0
    transaction(other, add)
    assert await database.read(count) == 1


async def test_a_write_cancelled_in_the_queue_never_begins(database: Database) -> None:
    held = Held()
    first = asyncio.create_task(database.write(held))
    await held.begun.wait()
    second = asyncio.create_task(database.write(add))
    await asyncio.sleep(0)
    async with cancelled(second):
        pass
    held.let_go.set()
    await first

    assert await database.write(lambda connection: count(connection)) == 0


async def test_a_write_cancelled_at_work_lands_whole(database: Database, other: sqlite3.Connection) -> None:
    held = Held()

    def unit(connection: sqlite3.Connection) -> None:
        add(connection)
        held(connection)
        add(connection)

    task = asyncio.create_task(database.write(unit))
    await held.begun.wait()
    async with cancelled(task):
        held.let_go.set()

    assert await database.write(lambda connection: count(connection)) == 2
    transaction(other, add)
    assert await database.read(count) == 3


async def test_nothing_is_left_running_whatever_ends_the_block(path: Path) -> None:
    before = threading.active_count()

    async def fail() -> None:
        async with Database.open(path) as database:
            await database.write(add)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await fail()
    assert threading.active_count() == before

    with pytest.raises(DatabaseError):
        async with Database.open(path.with_name("gone.sqlite")):
            pass
    assert threading.active_count() == before


@pytest.mark.parametrize("steps", range(12))
async def test_nothing_is_left_running_when_opening_is_cancelled(path: Path, steps: int) -> None:
    before = threading.active_count()

    async def use() -> None:
        async with Database.open(path):
            await asyncio.Event().wait()

    task = asyncio.create_task(use())
    for _ in range(steps):
        await asyncio.sleep(0)
    async with cancelled(task):
        pass
    assert threading.active_count() == before


async def test_closing_stops_reads_and_tells_those_that_wait(path: Path) -> None:
    endless = [Endless() for _ in range(READERS)]

    async with Database.open(path) as database:
        reads = [asyncio.create_task(database.read(unit)) for unit in endless]
        await asyncio.gather(*(unit.begun.wait() for unit in endless))
        waiting = [asyncio.create_task(database.read(count)) for _ in range(2)]
        await asyncio.sleep(0)

    for stopped in reads:
        with pytest.raises(ReadInterrupted):
            await stopped
    for never_begun in waiting:
        with pytest.raises(DatabaseError, match="is closed"):
            await never_begun


async def test_a_closed_database_says_so(path: Path) -> None:
    async with Database.open(path) as database:
        pass

    for call in (database.write(add), database.read(count), database.data_version()):
        with pytest.raises(DatabaseError, match="is closed"):
            await call


async def test_damage_met_while_reading_is_explained(path: Path) -> None:
    with closing(connect_writer(path)) as connection:
        connection.executemany("INSERT INTO item (n) VALUES (?)", ((n,) for n in range(5_000)))
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 4096 * 3)

    async with Database.open(path) as database:
        with pytest.raises(DatabaseCorrupt) as raised:
            await database.read(lambda connection: connection.execute("SELECT sum(n) FROM item").fetchone())

    assert str(raised.value) == (
        f"{path} is damaged: database disk image is malformed. Start Rollodex again: it sets the file aside "
        "and makes a new one."
    )
