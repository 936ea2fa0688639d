"""What Codex is doing with each thread: from the turn that its rollout leaves open, and who writes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from store.filesystems import on_network
from store.models import Activity
from store.writer_locks import Writers, find_writers

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from store.changes import Changes, Latest
    from store.clock import Clock
    from store.database import Database
    from store.home import CodexHome

SILENT_MS: Final = 30_000
"""How long an open turn may write nothing and still counts as working."""

GONE_MS: Final = 3_000
"""How long an open turn must have written nothing before the lack of a writer means that it died: the writer
may have ended it and gone, and the row not follow yet."""

RESTART_MS: Final = 1_000
"""How exactly the start of a process is known."""

LATELY_MS: Final = 24 * 3_600_000
"""For how long it is news that a thread died."""

LOOK_SECONDS: Final = 2.0
"""How often the writers are looked for when nothing is written."""

PAUSE_SECONDS: Final = 0.25
"""How often, at most, when something is written all the time."""


class TurnRow(NamedTuple):
    """What a row of `threads` says of the turn that is open."""

    thread_id: str
    updated_at: int
    turn_since: int | None
    pending_call: str | None
    pending_since: int | None


def judge(row: TurnRow, writers: Writers, now_ms: int) -> Activity:
    """What is being done with one thread."""
    writer = writers.found.get(row.thread_id)
    quiet_ms = now_ms - row.updated_at
    turn_since = row.turn_since
    if (
        writer is not None
        and writer.started_at is not None
        and writer.started_at - RESTART_MS > row.updated_at
    ):
        turn_since = None  # the turn was left open by another process, before this one took the thread up
    pid = None if writer is None else writer.pid
    if turn_since is None:
        ended = "ended" if writers.surely_none(row.thread_id) else "unknown"
        return Activity(
            thread_id=row.thread_id, state="open" if writer else ended, since=row.updated_at, pid=pid
        )
    if quiet_ms < (GONE_MS if writers.surely_none(row.thread_id) else SILENT_MS):
        state, since = "working", turn_since
    elif writer is not None:
        state, since = "silent", row.pending_since or row.updated_at
    else:
        state = "died" if writers.surely_none(row.thread_id) else "unknown"
        since = row.updated_at
    return Activity(thread_id=row.thread_id, state=state, since=since, pid=pid, pending=row.pending_call)


def activities(connection: sqlite3.Connection, writers: Writers, now_ms: int) -> dict[str, Activity]:
    """The activity of every thread that has a turn open or a writer, by id; all others have ended."""
    columns = "SELECT id, updated_at, turn_since, pending_call, pending_since FROM threads WHERE "
    rows = connection.execute(columns + "turn_since IS NOT NULL").fetchall()
    written = sorted(writers.found)
    rows += connection.execute(
        f"{columns}turn_since IS NULL AND id IN ({', '.join('?' * len(written))})", written
    ).fetchall()
    return {row[0]: judge(TurnRow(*row), writers, now_ms) for row in rows}


async def look(home: CodexHome, database: Database, clock: Clock, *, network: bool) -> dict[str, Activity]:
    """The activity of every thread that has a turn open or a writer, now. Raises DatabaseError.

    On a network file system a writer may be on another machine, so that no thread surely has none.
    """
    writers = await asyncio.to_thread(find_writers, home.path)
    if network:
        writers = Writers(writers.found)
    return await database.read(lambda c: activities(c, writers, clock.now_ms()))


async def follow_activity(
    home: CodexHome,
    database: Database,
    clock: Clock,
    changes: Changes,
    current: Latest[Mapping[str, Activity]],
) -> None:
    """Keep `current` right for as long as this runs, and announce when it changes. Raises DatabaseError."""
    network = bool(await asyncio.to_thread(on_network, home.path))
    while True:
        found = await look(home, database, clock, network=network)
        if found != current.value:
            current.publish(found)
            changes.announce()
        await asyncio.sleep(PAUSE_SECONDS)
        await changes.wait(LOOK_SECONDS)
