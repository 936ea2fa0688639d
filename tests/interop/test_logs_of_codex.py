"""The log that the real Codex writes, as our command line prints and follows it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from codex_program import INSTALL_SECONDS, NEWEST, Codex, Rollodex, eventually
from scripted_model import Command, Message

if TYPE_CHECKING:
    import asyncio

pytestmark = pytest.mark.timeout(INSTALL_SECONDS + 120)

EVERYTHING = ("--no-follow", "--backfill", "1000000")


def codex_log(codex: Codex) -> list[dict[str, Any]]:
    """Codex's own rows in the fields of our JSON, oldest first; `at` in ms."""
    database = codex.home / "logs_2.sqlite"
    if not database.exists():
        return []
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        rows = db.execute("""
            SELECT id, level, target, feedback_log_body AS message, module_path, file, line, thread_id,
                process_uuid, strftime('%Y-%m-%dT%H:%M:%S', ts, 'unixepoch')
                    || printf('.%03dZ', ts_nanos / 1000000) AS at
            FROM logs ORDER BY id""")
        return [dict(row) | {"source": "codex"} for row in rows]


# Before 0.113 the app-server writes no log.
@pytest.mark.parametrize("codex_program", [NEWEST], indirect=True)
async def test_the_log_is_followed_as_codex_writes_it(codex: Codex, rollodex: Rollodex) -> None:
    codex.model.script("list the files", [Command("echo one")], [Message("There is one.")])
    # Before the database is there, and before the home has seen any Codex.
    async with rollodex.running("logs", "--json", "--poll-ms", "20", "--backfill", "0") as follower:
        async with codex.app_server() as server:
            thread_id = await server.start_thread(codex.work)
            assert await server.turn(thread_id, "list the files") == "completed"

            async def own_rows() -> list[dict[str, Any]]:
                return [row for row in codex_log(codex) if row["thread_id"] == thread_id]

            # Codex writes its log down every 10 s.
            await eventually(own_rows, bool)
        rows = codex_log(codex)
        assert [await _next_row(follower) for _ in rows] == rows

    assert await rollodex.json_lines("logs", *EVERYTHING) == rows
    assert await rollodex.json_lines("logs", *EVERYTHING, "--thread-id", thread_id) == await own_rows()
    assert await rollodex.json_lines("logs", *EVERYTHING, "--min-level", "warn") == [
        row for row in rows if row["level"] in ("WARN", "ERROR")
    ]
    calls = await rollodex.json_lines("logs", *EVERYTHING, "--search", "ToolCall: exec_command")
    assert calls
    assert {row["thread_id"] for row in calls} == {thread_id}


async def _next_row(follower: asyncio.subprocess.Process) -> Any:
    assert follower.stdout is not None
    return json.loads(await follower.stdout.readline())


async def test_codex_exec_logs_nothing_and_that_is_no_failure(codex: Codex, rollodex: Rollodex) -> None:
    await codex.exec("list the files")
    assert await rollodex.json_lines("logs", *EVERYTHING) == []
