"""Changes: whoever commits, everyone who listens is woken, and once is enough."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
from other_processes import Child

from store.changes import Changes, Latest
from store.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WRITER = """
import sys
from contextlib import closing
from pathlib import Path
from store.connection import connect_writer
with closing(connect_writer(Path(sys.argv[1]))) as connection:
    print("ready", flush=True)
    while input():
        connection.execute("INSERT INTO codex_threads (thread_id) VALUES (hex(randomblob(8)))")
        print("written", flush=True)
"""


@pytest.fixture
async def database(state: Path) -> AsyncIterator[Database]:
    async with Database.open(state) as database:
        yield database


async def test_a_slow_watcher_sees_the_latest_value_and_not_every_one() -> None:
    latest = Latest(0)
    async with aclosing(latest.watch()) as values:
        assert await anext(values) == 0
        for value in (1, 2, 3):
            latest.publish(value)
        assert await anext(values) == 3


async def test_a_commit_of_another_process_wakes_every_listener(database: Database, state: Path) -> None:
    changes = Changes()
    following = asyncio.create_task(changes.follow(database))
    async with aclosing(changes.stream()) as first, aclosing(changes.stream(at_once=True)) as second:
        with Child(WRITER, state) as writer:
            assert await asyncio.to_thread(writer.hear) == "ready"
            async with asyncio.timeout(10):
                await anext(second)
            woken = asyncio.gather(anext(first), anext(second))
            writer.say()
            assert await asyncio.to_thread(writer.hear) == "written"
            async with asyncio.timeout(10):
                await woken
    following.cancel()


async def test_an_own_commit_is_told_without_waiting_for_the_next_poll(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.changes.POLL_SECONDS", 3600.0)
    changes = Changes()
    following = asyncio.create_task(changes.follow(database))
    async with aclosing(changes.stream()) as stream:
        async with asyncio.timeout(10):
            await anext(stream)
        waiting = asyncio.ensure_future(anext(stream))
        await database.write(lambda c: c.execute("INSERT INTO codex_threads (thread_id) VALUES ('a')"))
        changes.look()
        async with asyncio.timeout(10):
            await waiting
        nothing = asyncio.ensure_future(anext(stream))
        changes.look()
        await database.read(lambda c: c.execute("SELECT 1").fetchone())
        await database.data_version()
        assert not nothing.done()
        changes.announce()
        async with asyncio.timeout(10):
            await nothing
    following.cancel()


async def test_following_ends_when_told_to_in_the_moment_of_an_own_commit(database: Database) -> None:
    changes = Changes()
    following = asyncio.create_task(changes.follow(database))
    async with aclosing(changes.stream()) as stream, asyncio.timeout(10):
        await anext(stream)
    await asyncio.sleep(0)
    changes.look()
    following.cancel()
    await asyncio.wait([following], timeout=10)
    assert following.cancelled()
