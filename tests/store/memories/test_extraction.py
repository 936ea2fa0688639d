"""Phase 1 from the claim to the row, with an engine that does what a test says."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from building import BEGIN_MS, HomeBuilder

from store.connection import connect_writer
from store.database import Database
from store.errors import EngineFailed, UnsupportedOperation
from store.memories.extraction import extract
from store.memories.outputs import thread_memories
from store.memories.pipeline import MemoryPipeline
from store.memories.selection import Stage1Limits
from store.reconcile import reconcile
from store.state_folder import prepare

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from store_fixtures import FixedClock

    from store.memories.engines import ConsolidationRequest, ExtractionRequest
    from store.memories.models import ExtractionResult, RunProgress, ThreadMemory

TOKEN = "ghp_" + "a1" * 20
ANSWER = json.dumps({"rollout_summary": "what happened", "raw_memory": "to remember", "rollout_slug": "slug"})
HOUR_MS = 3_600_000


async def remember(request: ExtractionRequest) -> str:
    return ANSWER


@dataclass
class Scripted:
    """An engine that answers as `do` says."""

    do: Callable[[ExtractionRequest], Awaitable[str]] = remember
    name: str = "scripted"
    says: tuple[str, ...] = ()
    costs_tokens: bool = False
    asked: list[str] = field(default_factory=list)
    running: int = 0
    most: int = 0
    cancelled: int = 0

    async def extract(self, request: ExtractionRequest, say: Callable[[str], None]) -> str:
        self.asked.append(request.thread.id)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            for text in self.says:
                say(text)
            return await self.do(request)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def consolidate(self, request: ConsolidationRequest, say: Callable[[str], None]) -> None:
        raise NotImplementedError


@dataclass
class Desk:
    """A home with its rows, and a pipeline on it."""

    builder: HomeBuilder
    pipeline: MemoryPipeline
    clock: FixedClock
    progress: list[RunProgress] = field(default_factory=list)

    def read_home(self) -> None:
        with closing(connect_writer(self.pipeline.state)) as connection:
            reconcile(connection, self.builder.home, clock=self.clock)

    def change_threads(self, sql: str, *values: Any) -> None:
        with closing(connect_writer(self.pipeline.state)) as connection:
            connection.execute(sql, values)

    async def do(self, sql: str, *values: Any) -> None:
        def unit(connection: sqlite3.Connection) -> None:
            connection.execute(sql, values)

        await self.pipeline.database.write(unit)

    async def run(self, engine: Scripted, **options: Any) -> ExtractionResult:
        return await extract(self.pipeline, engine, report=self.progress.append, **options)

    async def memories(self) -> list[ThreadMemory]:
        return await self.pipeline.database.read(thread_memories)

    async def jobs(self, columns: str = "status, retry_remaining, last_error") -> list[tuple[Any, ...]]:
        return await self.pipeline.database.read(
            lambda c: c.execute(
                f"SELECT {columns} FROM jobs WHERE kind = 'memory_stage1' ORDER BY job_key"
            ).fetchall()
        )

    def log(self) -> list[tuple[str, str, str | None]]:
        with closing(connect_writer(self.pipeline.state)) as connection:
            return connection.execute(
                "SELECT level, message, thread_id FROM logs WHERE target = 'store.memories.extraction'"
                " ORDER BY id"
            ).fetchall()


@asynccontextmanager
async def desk_of(builder: HomeBuilder, folder: Path, clock: FixedClock) -> AsyncIterator[Desk]:
    files = prepare(folder, clock)
    async with Database.open(files.user, beside=files.state) as database:
        pipeline = MemoryPipeline(builder.home, database, files.state, builder.path / "memories", clock)
        desk = Desk(builder, pipeline, clock)
        desk.read_home()
        yield desk


@pytest.fixture
async def desk(builder: HomeBuilder, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Desk]:
    for number in range(3):
        builder.add(f"prompt {number}")
    async with desk_of(builder, tmp_path / "state", clock) as desk:
        yield desk


async def test_what_waits_is_read_newest_first_and_kept(desk: Desk) -> None:
    engine = Scripted()
    result = await desk.run(engine, parallel=1)
    assert (result.outcome, result.claimed, result.succeeded) == ("succeeded", 3, 3)
    assert engine.asked == desk.builder.ids[::-1]
    memories = await desk.memories()
    assert {memory.thread_id for memory in memories} == set(desk.builder.ids)
    assert {(m.trace_summary, m.memory_summary, m.rollout_slug, m.engine) for m in memories} == {
        ("what happened", "to remember", "slug", "scripted")
    }
    assert [(each.done, each.total) for each in desk.progress if each.step == "stored"] == [
        (1, 3),
        (2, 3),
        (3, 3),
    ]
    assert [(level, message.partition(":")[0]) for level, message, _ in desk.log()] == [
        ("INFO", "extraction with scripted begins"),
        ("INFO", "extraction with scripted ended"),
    ]
    again = await desk.run(engine)
    assert (again.outcome, again.claimed, len(engine.asked)) == ("SkippedUpToDate", 0, 3)
    assert len(desk.log()) == 2


async def test_no_more_engines_run_at_once_than_asked_for(desk: Desk) -> None:
    for number in range(5):
        desk.builder.add(f"more {number}")
    desk.read_home()

    full = asyncio.Event()

    async def wait_for_the_others(request: ExtractionRequest) -> str:
        if engine.running == 3:
            full.set()
        await full.wait()
        return ANSWER

    engine = Scripted(wait_for_the_others)
    result = await desk.run(engine, parallel=3)
    assert result.succeeded == 8
    assert engine.most == 3


async def test_no_more_are_claimed_in_a_run_than_the_limit(desk: Desk) -> None:
    for number in range(9):
        desk.builder.add(f"another {number}")
    desk.read_home()
    for left, reason in ((7, "7 more wait"), (2, "2 more wait")):
        engine = Scripted()
        result = await desk.run(engine, limits=Stage1Limits(max_claimed=5))
        assert (result.claimed, sorted(engine.asked)) == (5, desk.builder.ids[left : left + 5])
        assert result.reason == reason
    assert (await desk.run(Scripted(), limits=Stage1Limits(max_claimed=5))).reason == ""


async def test_a_thread_is_claimed_only_when_an_engine_is_free_for_it(desk: Desk) -> None:
    running: list[int] = []

    async def count(request: ExtractionRequest) -> str:
        running.append(len([job for job in await desk.jobs() if job[0] == "running"]))
        return ANSWER

    await desk.run(Scripted(count), parallel=1)
    assert running == [1, 1, 1]


@pytest.mark.parametrize(
    "answer", ["", '{"rollout_summary": "", "raw_memory": ""}', '{"summary": "a", "rawMemory": ""}']
)
async def test_nothing_to_remember_is_a_success_that_keeps_nothing(desk: Desk, answer: str) -> None:
    await desk.run(Scripted())

    async def nothing(request: ExtractionRequest) -> str:
        return answer

    result = await desk.run(Scripted(nothing, name="other"), thread_ids=desk.builder.ids)
    assert (result.outcome, result.no_output, result.succeeded) == ("succeeded", 3, 0)
    assert await desk.memories() == []
    assert await desk.jobs() == [("done", 3, None)] * 3


async def test_no_engine_is_asked_about_a_thread_without_a_word(desk: Desk) -> None:
    empty = desk.builder.add(None)
    desk.read_home()
    engine = Scripted()
    result = await desk.run(engine, thread_ids=[empty])
    assert (result.outcome, result.no_output, engine.asked) == ("succeeded", 1, [])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (EngineFailed("The engine hung", next_step="Try another"), "The engine hung. Try another."),
        (KeyError("oops"), "unexpected KeyError: 'oops'"),
        (EngineFailed(f"Refused {TOKEN}\nat once"), "Refused [redacted: github token] at once."),
        (EngineFailed("x" * 600), "x" * 499 + "…"),
    ],
)
async def test_a_failure_is_recorded_and_the_others_go_on(desk: Desk, error: Exception, reason: str) -> None:
    bad = desk.builder.ids[1]

    async def fail_one(request: ExtractionRequest) -> str:
        if request.thread.id == bad:
            raise error
        if bad in engine.asked:
            desk.clock.ms += 2 * HOUR_MS  # its back-off is over before the run is
        return ANSWER

    engine = Scripted(fail_one)
    result = await desk.run(engine, parallel=1)
    assert (result.outcome, result.claimed, result.succeeded, result.failed) == ("failed", 3, 2, 1)
    assert result.failures == ((bad, reason),)
    assert result.reason == f"1 of 3 failed: {reason}"
    assert (await desk.jobs())[1] == ("error", 2, reason)
    assert len(engine.asked) == 3
    assert [(level, thread) for level, _, thread in desk.log()][1:-1] == [("WARN", bad)]
    assert TOKEN not in str(desk.log())


async def test_an_unreadable_rollout_and_rubbish_are_failures(desk: Desk) -> None:
    unreadable, rubbish, good = desk.builder.ids
    desk.builder.file(unreadable).write_bytes(b"\0\0\0\n")

    async def answer(request: ExtractionRequest) -> str:
        return "I would rather not" if request.thread.id == rubbish else ANSWER

    engine = Scripted(answer)
    result = await desk.run(engine)
    reasons = dict(result.failures)
    assert "Nothing of rollout-" in reasons[unreadable]
    assert "holds no JSON object" in reasons[rubbish]
    assert sorted(engine.asked) == [rubbish, good]
    assert [memory.thread_id for memory in await desk.memories()] == [good]


@pytest.mark.parametrize("where", ["threads", "codex_threads"])
async def test_a_thread_with_memories_switched_off_is_never_opened(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    disabled = desk.builder.ids[0]
    if where == "threads":
        desk.change_threads("UPDATE threads SET memory_mode = 'disabled' WHERE id = ?", disabled)
    else:
        desk.change_threads(
            "INSERT INTO codex_threads (thread_id, memory_mode) VALUES (?, 'disabled')", disabled
        )
    opened: list[str] = []
    really_open = os.open

    def spy(path: Any, *args: Any, **values: Any) -> int:
        opened.append(os.fspath(path))
        return really_open(path, *args, **values)

    monkeypatch.setattr(os, "open", spy)
    engine = Scripted()
    result = await desk.run(engine)
    assert (result.outcome, result.succeeded) == ("succeeded", 2)
    named = await desk.run(engine, thread_ids=[disabled, "none"])
    assert (named.outcome, named.claimed, named.failed) == ("failed", 0, 2)
    assert "its memory mode in Codex is 'disabled'" in dict(named.failures)[disabled]
    assert "no thread none" in dict(named.failures)["none"]
    assert disabled not in engine.asked
    assert any(desk.builder.ids[1] in path for path in opened)
    assert not any(disabled in path for path in opened)


async def test_a_fork_is_read_without_the_thread_that_it_was_made_of(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = desk.builder.ids[0]
    desk.builder.add(
        "of the fork", forked_from_id=parent, history_base={"thread_id": parent, "end_ordinal_exclusive": 5}
    )
    desk.read_home()
    fork = desk.builder.ids[-1]
    opened: list[str] = []
    really_open = os.open

    def spy(path: Any, *args: Any, **values: Any) -> int:
        opened.append(os.fspath(path))
        return really_open(path, *args, **values)

    monkeypatch.setattr(os, "open", spy)
    result = await desk.run(Scripted(), thread_ids=[fork])
    assert result.succeeded == 1
    assert not any(parent in path for path in opened)


async def test_what_a_thread_was_reverted_from_is_read_too(desk: Desk) -> None:
    thread = desk.builder.ids[-1]
    first = desk.builder.file(thread)
    base = {"thread_id": thread, "end_byte_offset": first.stat().st_size}
    other = HomeBuilder(desk.builder.path.parent / "other", count=9)
    newest = other.file(other.add("after the revert", id=thread, history_base=base))
    newest.rename(first.with_name(f"{first.stem}_{other.ids[0]}.jsonl"))
    desk.read_home()
    prompts: list[list[str | None]] = []

    async def note(request: ExtractionRequest) -> str:
        prompts.append([item.text for item in request.items if item.role == "user"])
        return ANSWER

    assert (await desk.run(Scripted(note), thread_ids=[thread])).succeeded == 1
    assert prompts == [["prompt 2", "after the revert"]]


async def test_a_thread_that_grew_meanwhile_waits_again(desk: Desk) -> None:
    thread = desk.builder.ids[0]
    ((claimed_at,),) = await desk.pipeline.database.read(
        lambda c: c.execute("SELECT updated_at / 1000 FROM state.threads WHERE id = ?", (thread,)).fetchall()
    )

    async def grow(request: ExtractionRequest) -> str:
        desk.change_threads("UPDATE threads SET updated_at = updated_at + 60000 WHERE id = ?", thread)
        return ANSWER

    result = await desk.run(Scripted(grow), thread_ids=[thread])
    assert result.succeeded == 1
    assert await desk.jobs("last_success_watermark") == [(claimed_at,)]
    assert [memory.source_updated_at for memory in await desk.memories()] == [claimed_at]
    engine = Scripted()
    await desk.run(engine)
    assert thread in engine.asked


async def test_a_job_that_another_took_over_keeps_nothing_of_ours(desk: Desk) -> None:
    thread = desk.builder.ids[0]

    async def lose(request: ExtractionRequest) -> str:
        await desk.do("UPDATE jobs SET ownership_token = 'another' WHERE job_key = ?", thread)
        return ANSWER

    result = await desk.run(Scripted(lose), thread_ids=[thread])
    assert (result.outcome, result.succeeded) == ("failed", 0)
    assert "another process took it over" in result.reason
    assert await desk.memories() == []
    assert await desk.jobs("status, ownership_token") == [("running", "another")]


async def test_a_cancelled_run_stops_its_engines_and_gives_everything_back(desk: Desk) -> None:
    begun = asyncio.Event()

    async def hang(request: ExtractionRequest) -> str:
        if request.thread.id == desk.builder.ids[2]:
            return ANSWER
        if engine.running == 2:
            begun.set()
        await asyncio.Event().wait()
        return ANSWER

    engine = Scripted(hang)
    run = asyncio.create_task(desk.run(engine, parallel=2))
    async with asyncio.timeout(20):
        await begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert engine.cancelled == 2
    assert await desk.jobs() == [("error", 3, "cancelled"), ("error", 3, "cancelled"), ("done", 3, None)]
    assert "stopped: cancelled" in desk.log()[-1][1]
    result = await desk.run(Scripted())
    assert (result.outcome, result.succeeded) == ("succeeded", 2)


async def test_a_claim_that_lands_while_the_run_is_cancelled_is_given_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    claiming = asyncio.Event()
    write = desk.pipeline.database.write

    async def tell_and_write(unit: Callable[[sqlite3.Connection], Any]) -> Any:
        claiming.set()
        return await write(unit)

    monkeypatch.setattr(desk.pipeline.database, "write", tell_and_write)
    with closing(connect_writer(desk.pipeline.database.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        run = asyncio.create_task(desk.run(Scripted(), thread_ids=[desk.builder.ids[0]]))
        await claiming.wait()
        for _ in range(2):
            run.cancel()
            await asyncio.sleep(0)
        other.execute("ROLLBACK")
    with pytest.raises(asyncio.CancelledError):
        await run
    assert await desk.jobs() == [("error", 3, "cancelled")]


async def test_an_engine_that_cannot_run_here_costs_no_thread_a_retry(desk: Desk) -> None:
    async def refuse(request: ExtractionRequest) -> str:
        raise UnsupportedOperation("There is no sandbox here", next_step="Install bubblewrap")

    with pytest.raises(UnsupportedOperation, match="Install bubblewrap"):
        await desk.run(Scripted(refuse))
    jobs = await desk.jobs("status, retry_remaining, retry_at")
    assert jobs
    assert {job[:2] for job in jobs} == {("error", 3)}
    assert all(job[2] <= desk.pipeline.now_s() for job in jobs)


async def test_an_engine_is_checked_before_anything_is_claimed(desk: Desk) -> None:
    class Absent(Scripted):
        async def check(self) -> None:
            raise EngineFailed("There is no such program")

    with pytest.raises(EngineFailed):
        await desk.run(Absent())
    assert await desk.jobs() == []


async def test_named_threads_are_read_whatever_their_age_or_state(desk: Desk) -> None:
    thread = desk.builder.ids[0]
    desk.change_threads("UPDATE threads SET archived = 1, source = 'exec' WHERE id = ?", thread)
    desk.clock.ms = BEGIN_MS + 100 * 24 * HOUR_MS
    engine = Scripted()
    assert (await desk.run(engine)).outcome == "SkippedUpToDate"
    result = await desk.run(engine, thread_ids=[thread, thread])
    assert (result.outcome, result.claimed, engine.asked) == ("succeeded", 1, [thread])
    again = await desk.run(engine, thread_ids=[thread])
    assert (again.outcome, again.skipped) == ("SkippedUpToDate", (("SkippedUpToDate", 1),))
    assert again.reason == "nothing was added since its memory was made"


async def test_who_reads_a_thread_already_is_said(desk: Desk) -> None:
    thread = desk.builder.ids[0]
    now_s = desk.pipeline.now_s()
    await desk.do(
        "INSERT INTO jobs (kind, job_key, status, worker_id, ownership_token, started_at, lease_until,"
        " retry_remaining, input_watermark)"
        " VALUES ('memory_stage1', ?, 'running', '4711:1:boot:devbox', 't', ?, ?, 3, ?)",
        *(thread, now_s - 480, now_s + 3_120, now_s - 86_400),
    )
    result = await desk.run(Scripted(), thread_ids=[thread])
    assert (result.outcome, result.reason) == (
        "SkippedRunning",
        "pid 4711 on devbox runs it, with 52 min left of its lease",
    )
    others = await desk.run(Scripted())
    assert (others.outcome, others.succeeded) == ("succeeded", 2)
    nothing = await desk.run(Scripted())
    assert (nothing.outcome, nothing.reason) == (result.outcome, result.reason)


async def test_a_back_off_and_a_job_given_up_are_said(desk: Desk) -> None:
    async def fail(request: ExtractionRequest) -> str:
        raise EngineFailed("No")

    for retries in (2, 1, 0):
        result = await desk.run(Scripted(fail), limits=Stage1Limits(max_claimed=1))
        assert (result.outcome, result.reason) == ("failed", "1 of 1 failed: No.")
        assert (await desk.jobs())[-1][:2] == ("error", retries)
        await desk.run(Scripted())
        desk.clock.ms += 18 * 60_000
        waits = await desk.run(Scripted())
        if retries:
            assert (waits.outcome, waits.reason) == (
                "SkippedRetryBackoff",
                "1 failed before; next try in 42 min; those that you name are tried now",
            )
        else:
            assert (waits.outcome, waits.reason) == (
                "SkippedRetryExhausted",
                "1 failed too often; those that you name are tried now",
            )
        desk.clock.ms += HOUR_MS
    assert (await desk.run(Scripted(), thread_ids=[desk.builder.ids[-1]])).succeeded == 1


async def test_a_failure_of_a_thread_that_does_not_wait_holds_nothing_back(desk: Desk) -> None:
    async def fail(request: ExtractionRequest) -> str:
        raise EngineFailed("No")

    thread = desk.builder.ids[0]
    desk.change_threads("UPDATE threads SET source = 'exec' WHERE id = ?", thread)
    assert (await desk.run(Scripted(fail), thread_ids=[thread])).failed == 1
    assert (await desk.run(Scripted())).succeeded == 2
    nothing = await desk.run(Scripted())
    assert (nothing.outcome, nothing.reason) == ("SkippedUpToDate", "no thread waits for it")


async def test_no_secret_of_an_engine_reaches_a_row_the_log_or_the_screen(desk: Desk) -> None:
    async def leak(request: ExtractionRequest) -> str:
        return json.dumps({"summary": f"used {TOKEN}", "rawMemory": f"key {TOKEN}", "rollout_slug": TOKEN})

    engine = Scripted(leak, name=f"command:tool --with {TOKEN}", says=(f"reading {TOKEN}",))
    result = await desk.run(engine)
    assert result.succeeded == 3
    dump = await desk.pipeline.database.read(
        lambda c: [row for table in ("jobs", "thread_memory") for row in c.execute(f"SELECT * FROM {table}")]
    )
    for place in (dump, desk.log(), desk.progress, result):
        assert TOKEN not in str(place)
    assert any("reading [redacted: github token]" in each.output for each in desk.progress)
