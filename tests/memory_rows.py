"""Rows of threads and of the memory pipeline's tables, without rollouts behind them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from building import thread_id

from store.connection import connect_writer, transaction
from store.ownership import this_process
from store.state_folder import prepare

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from store.clock import Clock

NOW = 1_795_000_000
"""The time of most tests, in seconds since the epoch."""
HOUR = 3_600
DAY = 24 * HOUR


@dataclass
class MemoryRows:
    """Both databases, and the writers to them."""

    folder: Path
    user: sqlite3.Connection
    """`user.sqlite`, with the state database beside it."""
    state: sqlite3.Connection
    threads: int = 0

    def thread(self, updated_at: float = NOW - DAY, **columns: Any) -> str:
        """Add a row for a thread that was last written at this second."""
        self.threads += 1
        values: dict[str, Any] = {
            "id": thread_id(self.threads),
            "rollout_path": f"sessions/{self.threads}.jsonl",
            "archived": 0,
            "compressed": 0,
            "index_state": "full",
            "updated_at": int(updated_at * 1000),
            "source": "cli",
            "size_bytes": 1,
            "cwd": "/home/dev/app",
            "title": f"thread {self.threads}",
        } | columns
        self.state.execute(
            f"INSERT INTO threads ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
            tuple(values.values()),
        )
        return str(values["id"])

    def grow(self, thread: str, updated_at: float) -> None:
        """The thread was written to at this second."""
        self.state.execute("UPDATE threads SET updated_at = ? WHERE id = ?", (int(updated_at * 1000), thread))

    def remove(self, thread: str) -> None:
        """The thread's file is gone."""
        self.state.execute("DELETE FROM threads WHERE id = ?", (thread,))

    def complete(self) -> None:
        """The list of threads is complete."""
        self.state.execute(
            "INSERT INTO backfill_state (id, status, updated_at) VALUES (1, 'complete', 0)"
            " ON CONFLICT (id) DO UPDATE SET status = 'complete'"
        )

    def do(self, unit: Callable[..., Any], *args: Any, **values: Any) -> Any:
        """Run one unit of work on `user.sqlite`."""
        return transaction(self.user, lambda connection: unit(connection, *args, **values))

    def jobs(self) -> list[tuple[Any, ...]]:
        """Key, status and remaining retries of every job."""
        return self.user.execute(
            "SELECT job_key, status, retry_remaining FROM jobs ORDER BY job_key"
        ).fetchall()


def memory_rows(folder: Path, clock: Clock) -> Iterator[MemoryRows]:
    """Both databases, prepared, with an empty list of threads; for a fixture."""
    files = prepare(folder, clock)
    with (
        closing(connect_writer(files.user, beside=files.state)) as user,
        closing(connect_writer(files.state)) as state,
    ):
        yield MemoryRows(folder, user, state)


ME = this_process()
