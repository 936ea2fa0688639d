"""Extraction whose process is killed, and many processes that ask for it at once."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from other_processes import Child

from store.connection import connect_writer
from store.database import Database
from store.memories.extraction import extract
from store.memories.pipeline import MemoryPipeline
from store.reconcile import reconcile
from store.state_folder import prepare

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from building import HomeBuilder
    from store_fixtures import FixedClock

    from store.memories.engines import ConsolidationRequest, ExtractionRequest
    from store.state_folder import StateFiles

EXTRACTOR = """
import asyncio, json, sys
from pathlib import Path
from store.database import Database
from store.home import CodexHome
from store.memories.extraction import extract
from store.memories.pipeline import MemoryPipeline

home, user, state, now_ms, hangs = sys.argv[1:]
home = Path(home)

class Clock:
    def now_ms(self):
        return int(now_ms)

    def monotonic(self):
        return 0.0

class Engine:
    name = "child"
    costs_tokens = False

    async def extract(self, request, say):
        print("asked", request.thread.id, flush=True)
        if hangs == "hangs":
            await asyncio.Event().wait()
        return json.dumps({"rollout_summary": "s", "raw_memory": "m"})

async def main():
    async with Database.open(Path(user), beside=Path(state)) as database:
        codex = CodexHome(path=home, given=home, sqlite_path=home)
        pipeline = MemoryPipeline(codex, database, Path(state), home / "memories", Clock())
        print("ready", flush=True)
        await asyncio.to_thread(input)
        result = await extract(pipeline, Engine(), parallel=2, report=lambda _: None)
        print("result", result.succeeded, result.failed, flush=True)

asyncio.run(main())
"""


class Quick:
    """An engine that remembers the same of every thread."""

    name = "quick"
    costs_tokens = False

    async def extract(self, request: ExtractionRequest, say: Callable[[str], None]) -> str:
        return json.dumps({"rollout_summary": "s", "raw_memory": "m"})

    async def consolidate(self, request: ConsolidationRequest, say: Callable[[str], None]) -> None:
        raise NotImplementedError


def prepared(builder: HomeBuilder, folder: Path, clock: FixedClock, threads: int) -> StateFiles:
    for number in range(threads):
        builder.add(f"prompt {number}")
    files = prepare(folder, clock)
    with closing(connect_writer(files.state)) as connection:
        reconcile(connection, builder.home, clock=clock)
    return files


async def test_what_a_killed_process_was_reading_is_taken_over_at_once(
    builder: HomeBuilder, tmp_path: Path, clock: FixedClock
) -> None:
    files = prepared(builder, tmp_path / "state", clock, 3)
    with Child(EXTRACTOR, builder.home.path, files.user, files.state, clock.ms, "hangs") as child:
        assert child.hear() == "ready"
        child.say()
        assert {child.hear() for _ in range(2)} == {f"asked {thread}" for thread in builder.ids[1:]}
        child.kill()
    async with Database.open(files.user, beside=files.state) as database:
        pipeline = MemoryPipeline(builder.home, database, files.state, tmp_path / "memories", clock)
        left = await database.read(lambda c: c.execute("SELECT status, lease_until FROM jobs").fetchall())
        assert left == [("running", pipeline.now_s() + 3_600)] * 2
        result = await extract(pipeline, Quick(), report=lambda _progress: None)
        assert (result.outcome, result.succeeded) == ("succeeded", 3)
        jobs = "SELECT status, retry_remaining FROM jobs WHERE kind = 'memory_stage1'"
        assert await database.read(lambda c: c.execute(jobs).fetchall()) == [("done", 3)] * 3


def test_of_many_processes_each_thread_is_read_by_one(
    builder: HomeBuilder, tmp_path: Path, clock: FixedClock
) -> None:
    files = prepared(builder, tmp_path / "state", clock, 30)
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                Child(EXTRACTOR, builder.home.path, files.user, files.state, clock.ms, "answers")
            )
            for _ in range(4)
        ]
        for child in children:
            assert child.hear() == "ready"
        for child in children:
            child.say()
        asked: list[str] = []
        succeeded = failed = 0
        for child in children:
            while (line := child.hear()).startswith("asked "):
                asked.append(line.removeprefix("asked "))
            _, good, bad = line.split()
            succeeded += int(good)
            failed += int(bad)
            assert child.end() == 0
    assert (succeeded, failed) == (30, 0)
    assert sorted(asked) == builder.ids
