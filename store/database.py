"""One of our databases for asynchronous callers: a writer, readers, and what happens when nobody waits."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, TypeVar, cast

import aiosqlite

from store.connection import connect_reader, connect_writer, snapshot, transaction, translated
from store.errors import DatabaseError, ReadInterrupted

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

T = TypeVar("T")

READERS = 3
"""A long read, an interactive one, and one to spare."""

INTERRUPT_EVERY = 10_000
"""SQLite's steps (about 0.1 ms) between two looks at whether a read is still waited for."""


class _Reader:
    """A read-only connection that one read at a time has to itself."""

    def __init__(self, path: Path, beside: Path | None) -> None:
        self.path = path
        self._beside = beside
        self.abandoned = Event()
        self.connection = aiosqlite.Connection(self._connect, 64)

    def _connect(self) -> sqlite3.Connection:
        connection = connect_reader(self.path, beside=self._beside)
        # Unlike interrupt(), this also ends a read that is between two statements.
        connection.set_progress_handler(self.abandoned.is_set, INTERRUPT_EVERY)
        return connection

    def run(self, unit: Callable[[sqlite3.Connection], T], done: Callable[[], object]) -> T:
        """On the connection's thread: the unit, unless it was given up meanwhile; `done` in any case."""
        try:
            if self.abandoned.is_set():
                raise ReadInterrupted(
                    f"A read of {self.path} was stopped", why="nobody waits for it any more"
                )
            return snapshot(self.connection._conn, unit)
        finally:
            done()


class Database:
    """One writer and several readers on one prepared file; `open` is the only way to one."""

    def __init__(
        self, path: Path, writer: aiosqlite.Connection, watcher: aiosqlite.Connection, readers: list[_Reader]
    ) -> None:
        self.path = path
        self._writer = writer
        self._watcher = watcher
        self._idle: asyncio.Queue[_Reader] = asyncio.Queue()
        self._busy: set[_Reader] = set()
        self._is_open = True
        for reader in readers:
            self._idle.put_nowait(reader)

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, beside: Path | None = None) -> AsyncIterator[Database]:
        """Open a file that `state_folder.prepare` prepared; every thread and connection ends with the block.

        Units find the state database `beside` it as the schema `state`, read-only. Raises DatabaseError when
        the file cannot be opened.
        """
        async with AsyncExitStack() as stack:
            writer = aiosqlite.Connection(partial(connect_writer, path, beside=beside), 64)
            await stack.enter_async_context(_opened(writer))
            watcher = aiosqlite.Connection(partial(connect_reader, path), 64)
            await stack.enter_async_context(_opened(watcher))
            readers = [_Reader(path, beside) for _ in range(READERS)]
            for reader in readers:
                await stack.enter_async_context(_opened(reader.connection))
            database = cls(path, writer, watcher, readers)
            stack.callback(database._close)
            yield database

    async def write(self, unit: Callable[[sqlite3.Connection], T]) -> T:
        """Run `unit` in one transaction on the writer's thread.

        A cancelled write that has not begun never begins; one that has is finished, so its caller does not
        know whether it landed: units must bear being repeated. Raises DatabaseBusy and other DatabaseErrors,
        and what the unit raises.
        """
        self._check_open()
        abandoned = Event()
        try:
            return await _on_thread(
                self._writer, lambda: transaction(self._writer._conn, unit, abandoned=abandoned.is_set)
            )
        except asyncio.CancelledError:
            abandoned.set()
            raise

    async def read(self, unit: Callable[[sqlite3.Connection], T]) -> T:
        """Run `unit` in one read transaction on an idle reader's thread.

        A cancelled read is stopped where it stands. Raises ReadInterrupted after `interrupt_reads`, other
        DatabaseErrors, and what the unit raises.
        """
        reader = await self._take_reader()
        loop = asyncio.get_running_loop()

        def give_back() -> None:
            self._busy.discard(reader)
            reader.abandoned.clear()
            self._idle.put_nowait(reader)

        try:
            return await _on_thread(
                reader.connection,
                lambda: reader.run(unit, partial(loop.call_soon_threadsafe, give_back)),
            )
        except asyncio.CancelledError:
            if reader in self._busy:
                reader.abandoned.set()
            raise

    async def data_version(self) -> int:
        """A number that differs from the last one when anyone, this process included, has committed since."""
        self._check_open()

        def look() -> int:
            with translated(self.path):
                (version,) = self._watcher._conn.execute("PRAGMA data_version").fetchone()
            return int(version)

        return await _on_thread(self._watcher, look)

    def interrupt_reads(self) -> None:
        """Stop every read that is under way; their callers see ReadInterrupted."""
        for reader in self._busy:
            reader.abandoned.set()

    async def _take_reader(self) -> _Reader:
        self._check_open()
        reader = await self._idle.get()
        if not self._is_open:
            self._idle.put_nowait(reader)  # for the next that waits, so that it ends as well
            self._check_open()
        self._busy.add(reader)
        return reader

    def _close(self) -> None:
        self._is_open = False
        self.interrupt_reads()

    def _check_open(self) -> None:
        if not self._is_open:
            raise DatabaseError(f"{self.path} is closed", why="Rollodex is ending")


@asynccontextmanager
async def _opened(connection: aiosqlite.Connection) -> AsyncIterator[None]:
    """The connection with its thread, closed also when opening it is cancelled."""

    async def start() -> None:
        await connection

    starting = asyncio.ensure_future(start())
    try:
        await asyncio.shield(starting)
        yield
    finally:
        await asyncio.wait([starting])
        await connection.close()
        # A failed opening only asks the thread to end, and it would still answer a loop that is gone by then.
        connection._thread.join()


async def _on_thread(connection: aiosqlite.Connection, function: Callable[[], T]) -> T:
    """Run one function on the connection's thread, in one hop; only here is aiosqlite's `_execute` used."""
    execute = cast("Callable[[Callable[[], T]], Awaitable[T]]", connection._execute)
    return await execute(function)
