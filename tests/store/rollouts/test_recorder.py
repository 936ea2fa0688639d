from __future__ import annotations

import asyncio
import json
import os
import stat
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from building import BEGIN_MS, turn_items
from store_fixtures import FixedClock

from store.database import Database
from store.errors import RolloutError
from store.models import DynamicTool
from store.recording import DatabaseSink
from store.rollouts import recorder as recorder_module
from store.rollouts.envelope import RolloutItem
from store.rollouts.metadata import read_full
from store.rollouts.recorder import Recorder
from store.rollouts.scan import fingerprint, scan_home

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from store.rollouts.metadata import FullRead
    from store.rollouts.scan import RolloutFile

META = {
    "cwd": "/home/dev/app",
    "originator": "codex-tui",
    "cli_version": "0.130.0",
    "source": "cli",
    "model_provider": "openai",
}
TOOLS = (
    DynamicTool(position=0, name="lookup", description="Looks up", input_schema={"type": "object"}),
    DynamicTool(position=1, name="close", defer_loading=True, namespace="tickets"),
)
TURN_ID = "01a00000-0000-7000-8000-000000000001"


class Seen:
    """A sink that remembers what it was given."""

    def __init__(self) -> None:
        self.files: list[RolloutFile] = []
        self.reads: list[FullRead] = []

    async def record_facts(self, file: RolloutFile, read: FullRead) -> None:
        self.files.append(file)
        self.reads.append(read)


def lines_of(home: Path, recorder: Recorder) -> list[dict[str, Any]]:
    data = (home / recorder.path).read_bytes()
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


async def created(home: Path, **options: Any) -> Recorder:
    return await Recorder.create(home, META, clock=FixedClock(BEGIN_MS), random=Random(1), **options)


async def test_a_new_rollout_lies_where_codex_would_put_it(tmp_path: Path) -> None:
    recorder = await created(tmp_path)

    (file,) = scan_home(tmp_path).files
    assert file.path == recorder.path
    assert file.thread_id == recorder.thread_id
    assert recorder.path.startswith("sessions/2026/09/21/rollout-2026-09-21T")
    assert stat.S_IMODE((tmp_path / recorder.path).stat().st_mode) == 0o600
    (meta,) = lines_of(tmp_path, recorder)
    assert meta["type"] == "session_meta"
    assert meta["payload"] == {"id": recorder.thread_id, "timestamp": meta["timestamp"], **META}


async def test_the_id_holds_the_time_of_the_clock(tmp_path: Path) -> None:
    recorder = await created(tmp_path)

    digits = recorder.thread_id.replace("-", "")
    assert int(digits[:12], 16) == BEGIN_MS
    assert digits[12] == "7"


async def test_a_given_id_and_timestamp_are_kept(tmp_path: Path) -> None:
    meta = {**META, "id": TURN_ID, "timestamp": "2026-01-01T00:00:00.000Z"}
    recorder = await Recorder.create(tmp_path, meta, clock=FixedClock())

    assert recorder.thread_id == TURN_ID
    assert lines_of(tmp_path, recorder)[0]["payload"] == meta


@pytest.mark.parametrize("paginated", [False, True])
async def test_tools_are_written_as_the_reader_finds_them(tmp_path: Path, paginated: bool) -> None:
    sink = Seen()
    await created(tmp_path, dynamic_tools=TOOLS, paginated=paginated, sink=sink)

    assert sink.reads[0].facts.tools == TOOLS


async def test_every_append_ends_in_the_facts_of_the_whole_file(tmp_path: Path) -> None:
    sink = Seen()
    recorder = await created(tmp_path, sink=sink)
    for number in range(4):
        await recorder.append(turn_items(f"question {number}", "answer", TURN_ID, tokens=100 * (number + 1)))

    assert len(sink.reads) == 5
    for file, read in zip(sink.files, sink.reads, strict=True):
        assert read.parsed_bytes == file.size
    last = fingerprint(tmp_path, recorder.path)
    assert last == sink.files[-1]
    assert sink.reads[-1].facts == read_full(tmp_path, sink.files[-1]).facts
    assert sink.reads[-1].facts.turns == 4
    assert sink.reads[-1].facts.tokens_used == 400
    assert sink.reads[-1].facts.title == "question 0"


async def test_a_call_goes_on_from_where_the_last_one_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_at: list[int] = []

    def watched(home: Path, file: RolloutFile, **options: Any) -> FullRead:
        started_at.append(options["parsed_bytes"])
        return read_full(home, file, **options)

    monkeypatch.setattr(recorder_module, "read_full", watched)
    recorder = await created(tmp_path, sink=Seen())
    size = (tmp_path / recorder.path).stat().st_size
    await recorder.append(turn_items("go", "gone", TURN_ID))

    assert started_at == [0, size]


async def test_paginated_lines_are_numbered_through(tmp_path: Path) -> None:
    recorder = await created(tmp_path, paginated=True)
    await recorder.append(turn_items("one", "1", TURN_ID))
    await recorder.append(turn_items("two", "2", TURN_ID))

    lines = lines_of(tmp_path, recorder)
    assert [line["ordinal"] for line in lines] == list(range(17))
    assert lines[0]["payload"]["history_mode"] == "paginated"


async def test_each_call_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = await created(tmp_path)
    written: list[bytes] = []
    write = os.write

    def counted(descriptor: int, data: bytes) -> int:
        written.append(data)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    await recorder.append(turn_items("one", "1", TURN_ID))
    await recorder.append([])

    assert len(written) == 1
    assert written[0].count(b"\n") == 8


async def test_calls_at_once_keep_whole_lines_in_order(tmp_path: Path) -> None:
    recorder = await created(tmp_path, paginated=True, sink=Seen())
    await asyncio.gather(*(recorder.append(turn_items(f"{n}", "ok", TURN_ID)) for n in range(20)))

    assert [line["ordinal"] for line in lines_of(tmp_path, recorder)] == list(range(161))


async def test_half_a_write_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = await created(tmp_path, paginated=True)
    before = (tmp_path / recorder.path).read_bytes()
    write = os.write
    with monkeypatch.context() as full_disk:
        full_disk.setattr(os, "write", lambda fd, data: write(fd, data[:20]))
        with pytest.raises(RolloutError, match="taken back"):
            await recorder.append(turn_items("one", "1", TURN_ID))

    assert (tmp_path / recorder.path).read_bytes() == before
    await recorder.append([RolloutItem("event_msg", {"type": "context_compacted"})])
    assert [line["ordinal"] for line in lines_of(tmp_path, recorder)] == [0, 1]


async def test_a_rollout_that_was_moved_away_is_not_made_again(tmp_path: Path) -> None:
    recorder = await created(tmp_path)
    (tmp_path / recorder.path).rename(tmp_path / "elsewhere")

    with pytest.raises(RolloutError, match=recorder.thread_id):
        await recorder.append(turn_items("one", "1", TURN_ID))
    assert not (tmp_path / recorder.path).exists()


async def test_an_id_that_is_taken_is_refused(tmp_path: Path) -> None:
    recorder = await created(tmp_path)
    before = (tmp_path / recorder.path).read_bytes()

    with pytest.raises(RolloutError):
        await created(tmp_path)
    assert (tmp_path / recorder.path).read_bytes() == before


async def test_the_row_follows_the_file(
    tmp_path: Path, state: Path, connection: sqlite3.Connection, clock: FixedClock
) -> None:
    async with Database.open(state) as database:
        recorder = await Recorder.create(
            tmp_path, META, clock=clock, dynamic_tools=TOOLS, sink=DatabaseSink(database, clock)
        )
        for number in range(3):
            await recorder.append(turn_items("why is it flaky?", "A race.", TURN_ID, tokens=50 + number))

            row = connection.execute(
                "SELECT id, rollout_path, title, turns, tokens_used, index_state, size_bytes FROM threads"
            ).fetchall()
            size = (tmp_path / recorder.path).stat().st_size
            told = (recorder.thread_id, recorder.path, "why is it flaky?", number + 1, 50 + number)
            assert row == [(*told, "full", size)]
    tools = connection.execute("SELECT position, name, namespace FROM thread_dynamic_tools ORDER BY 1")
    assert tools.fetchall() == [(0, "lookup", None), (1, "close", "tickets")]
