from __future__ import annotations

import asyncio
import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from building import BEGIN_MS
from store_fixtures import FixedClock

from store.demo import LiveWriter
from store.demo.codex_log import create_log
from store.log_messages import message_of
from store.log_queries import query_logs
from store.log_sources import codex_logs
from store.models import LogQuery
from store.rollouts.metadata import read_full
from store.rollouts.scan import scan_home

if TYPE_CHECKING:
    from pathlib import Path

    from store.rollouts.metadata import FullRead
    from store.rollouts.scan import RolloutFile


class PassingTime:
    """A clock that only sleeping moves on; after `sleeps` sleeps it stands still."""

    def __init__(self, sleeps: int | None = None) -> None:
        self.clock = FixedClock(BEGIN_MS)
        self.left = sleeps
        self.stood_still = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if self.left == 0:
            self.stood_still.set()
            await asyncio.Event().wait()
        if self.left is not None:
            self.left -= 1
        self.clock.ms += round(seconds * 1000)
        await asyncio.sleep(0)


class Counting:
    """A sink that keeps the last read of each file."""

    def __init__(self) -> None:
        self.last: dict[str, FullRead] = {}

    async def record_facts(self, file: RolloutFile, read: FullRead) -> None:
        self.last[file.path] = read


def records(home: Path, file: RolloutFile) -> list[dict[str, Any]]:
    data = (home / file.path).read_bytes()
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def kinds(home: Path, file: RolloutFile) -> list[str]:
    return [str(record["payload"].get("type", record["type"])) for record in records(home, file)]


async def test_it_ends_when_it_has_begun_as_many_threads_as_it_may(tmp_path: Path) -> None:
    time, sink = PassingTime(), Counting()
    writer = LiveWriter(
        tmp_path, time.clock, sink=sink, sleep=time.sleep, at_once=2, threads=7, turns=3, seed=1
    )
    await writer.run()

    files = scan_home(tmp_path).files
    assert len(files) == 2 + 7
    finished = [file for file in files if "task_complete" in kinds(tmp_path, file)]
    assert len(finished) == 7
    for file in files:
        assert sink.last[file.path].facts == read_full(tmp_path, file).facts
    for file in finished:
        assert sink.last[file.path].facts.turns == 3
        assert sink.last[file.path].facts.bad_lines == 0
    index = (tmp_path / "session_index.jsonl").read_text().splitlines()
    assert {json.loads(line)["id"] for line in index} == {file.thread_id for file in finished}


async def test_one_waits_for_a_command_and_one_was_left(tmp_path: Path) -> None:
    time = PassingTime()
    await LiveWriter(tmp_path, time.clock, sleep=time.sleep, threads=0).run()

    by_call = {"function_call" in kinds(tmp_path, file): file for file in scan_home(tmp_path).files}
    pending, abandoned = kinds(tmp_path, by_call[True]), kinds(tmp_path, by_call[False])
    assert "function_call_output" not in pending
    for seen in (pending, abandoned):
        assert "task_started" in seen
        assert "task_complete" not in seen


async def test_cancelled_it_leaves_whole_lines(tmp_path: Path) -> None:
    time = PassingTime(sleeps=25)
    task = asyncio.create_task(LiveWriter(tmp_path, time.clock, sleep=time.sleep).run())
    await time.stood_still.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    files = scan_home(tmp_path).files
    assert len(files) == 2 + 3
    assert all(records(tmp_path, file) for file in files)


async def test_the_log_goes_on_with_the_threads(tmp_path: Path) -> None:
    time = PassingTime()
    create_log(tmp_path, Random(0), time.clock.ms)
    writer = LiveWriter(tmp_path, time.clock, sleep=time.sleep, at_once=1, threads=1, turns=3, seed=1)
    await writer.run()

    rows = query_logs(codex_logs(tmp_path), LogQuery(min_level="INFO"), limit=10_000)
    live = {file.thread_id for file in scan_home(tmp_path).files}
    assert {row.thread_id for row in rows} == live
    turns = [row for row in rows if message_of(row.body) == "turn complete"]
    assert len(turns) == 3
    assert turns[0].at < turns[1].at < turns[2].at
