"""What `rollodex memories …` asks of the store, and in which form it prints the answer."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from store.clock import SystemClock
from store.config import config_file, read_config
from store.errors import DatabaseError, StoreError, UnknownThread
from store.memories.models import ConsolidationResult, ExtractionResult
from store.memories.outputs import get_last_n_thread_memories_for_cwd, get_thread_memory
from store.memories.pipeline import MemoryPipeline
from store.memories.selection import Stage1Limits
from store.opening import bring_up_to_date
from tui import json_output, memory_output
from tui.subcommands import tell, written_out
from widgets.formatting import count, visible_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping
    from pathlib import Path

    from store.config import MemoriesConfig
    from store.memories.engines import Engine
    from store.memories.models import RunProgress
    from store.opening import Store
    from tui.options import Options

NEEDED_NOTHING = ("succeeded", "SkippedUpToDate", "SkippedNotDirty")
"""Outcomes that leave nothing to be done."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command prints, and how it ends."""

    pieces: Iterable[str]
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Desk:
    """The store with the pipeline on it, and what is configured."""

    store: Store
    pipeline: MemoryPipeline
    config: MemoriesConfig

    def now_s(self) -> int:
        """The time in seconds since the epoch."""
        return self.pipeline.now_s()


@asynccontextmanager
async def _desk(options: Options, values: Mapping[str, Any], *, current: bool = True) -> AsyncIterator[Desk]:
    """Everything open, and the rows brought up to date unless only our own tables are asked."""
    from store.memories.root import default_root

    config = read_config(config_file()).memories
    async with options.open_store() as store:
        tell(store, await bring_up_to_date(store) if current else ())
        if store.user is None or store.files is None:
            raise DatabaseError(
                "There is no memory pipeline",
                why="Rollodex's own state folder cannot be used",
                next_step="Name another one with --state-dir",
            )
        named: Path | None = values.get("memory_root")
        root = written_out(named) if named is not None else config.root or default_root(store.home)
        pipeline = MemoryPipeline(store.home, store.user, store.files.state, root, SystemClock())
        yield Desk(store, pipeline, config)


async def pipeline_status(options: Options, values: Mapping[str, Any]) -> Answer:
    """`rollodex memories status`."""
    from store.memories.status import read_pipelines

    async with _desk(options, values) as desk:
        limits = _limits(values, desk.config)
        pipelines = await read_pipelines(desk.pipeline, limits=limits)
        if values["as_json"]:
            return _json(memory_output.status_object(pipelines, desk.now_s()))
        return _lines(memory_output.status_lines(pipelines, desk.now_s()))


async def run_extraction(options: Options, values: Mapping[str, Any]) -> Answer:
    """`rollodex memories extract`."""
    try:
        result = await _extraction(options, values)
    except StoreError as error:
        if not values["as_json"]:
            raise
        result = ExtractionResult(outcome="failed", reason=str(error))
    if values["as_json"]:
        answer = _json(memory_output.extraction_object(result))
    else:
        answer = _lines(memory_output.extraction_lines(result))
    return Answer(answer.pieces, _exit_code(result))


async def _extraction(options: Options, values: Mapping[str, Any]) -> ExtractionResult:
    from store.memories.extraction import extract
    from store.memories.jobs import waiting_threads
    from store.memories.stage_one import estimate
    from store.ownership import this_process

    async with _desk(options, values) as desk:
        limits = _limits(values, desk.config)
        engine = _engine(desk, values)
        named = [(await desk.store.threads.get_thread(wanted)).id for wanted in values["thread_ids"]]
        if engine.costs_tokens and not values["yes"]:
            now_s = desk.now_s()
            ids = named or await desk.pipeline.database.read(
                lambda c: waiting_threads(c, this_process(), now_s=now_s, limits=limits)
            )
            threads = [await desk.store.threads.get_thread(each) for each in ids[: limits.max_claimed]]
            if threads:
                _ask(engine, f"{_threads(len(threads))}, about {count(estimate(threads))} tokens")
            limits = replace(limits, max_claimed=len(threads))  # what begins to wait meanwhile was not asked
        return await extract(
            desk.pipeline, engine, thread_ids=named or None, limits=limits, report=_report(values)
        )


async def run_consolidation(options: Options, values: Mapping[str, Any]) -> Answer:
    """`rollodex memories consolidate`."""
    try:
        result = await _consolidation(options, values)
    except StoreError as error:
        if not values["as_json"]:
            raise
        result = ConsolidationResult(outcome="failed", reason=str(error))
    if values["as_json"]:
        answer = _json(memory_output.consolidation_object(result))
    else:
        answer = _lines(memory_output.consolidation_lines(result))
    return Answer(answer.pieces, _exit_code(result))


async def _consolidation(options: Options, values: Mapping[str, Any]) -> ConsolidationResult:
    from store.memories.consolidation import consolidate
    from store.memories.outputs import thread_memories

    async with _desk(options, values) as desk:
        engine = _engine(desk, values)
        if engine.costs_tokens and not values["yes"]:
            memories = await desk.pipeline.database.read(thread_memories)
            size = sum(len(each.trace_summary) + len(each.memory_summary) for each in memories)
            _ask(engine, f"{len(memories)} memories, at least {count(size // 4)} tokens")
        return await consolidate(desk.pipeline, engine, force=values["force"], report=_report(values))


async def run_rebuild(options: Options, values: Mapping[str, Any]) -> Answer:
    """`rollodex memories rebuild`."""
    from store.memories.rebuilding import rebuild

    async with _desk(options, values) as desk:
        result = await rebuild(desk.pipeline)
    if values["as_json"]:
        answer = _json(memory_output.consolidation_object(result))
    else:
        answer = _lines(memory_output.rebuild_lines(result))
    return Answer(answer.pieces, _exit_code(result))


async def show_memory(options: Options, values: Mapping[str, Any]) -> Answer:
    """`rollodex memories show ID`."""
    async with _desk(options, values) as desk:
        thread = await desk.store.threads.get_thread(values["thread_id"])
        memory = await desk.pipeline.database.read(lambda c: get_thread_memory(c, thread.id))
    if memory is None:
        raise UnknownThread(
            f"Nothing was made of thread {thread.id}",
            why="it was not extracted, or held nothing to remember",
            next_step=f"`rollodex memories extract {thread.id}` does it now",
        )
    if values["as_json"]:
        return _json(memory_output.memory_object(memory))
    return _lines(memory_output.memory_lines(memory))


async def recent_memories(options: Options, values: Mapping[str, Any]) -> Answer:
    """`rollodex memories recent`."""
    cwd = str(written_out(values["cwd"]))
    async with _desk(options, values) as desk:
        memories = await desk.pipeline.database.read(
            lambda c: get_last_n_thread_memories_for_cwd(c, cwd, values["number"])
        )
    if values["as_json"]:
        return _json(memory_output.recent_object(cwd, memories))
    return _lines(memory_output.recent_lines(cwd, memories))


async def list_history(options: Options, values: Mapping[str, Any]) -> Answer:
    """`rollodex memories history`."""
    from store.memories.history import list_runs

    async with _desk(options, values, current=False) as desk:
        runs = await list_runs(desk.pipeline)
        if values["as_json"]:
            return _json(memory_output.history_object(runs))
        return _lines(memory_output.history_lines(runs, desk.now_s()))


async def show_changes(options: Options, values: Mapping[str, Any]) -> Answer:
    """`rollodex memories diff RUN`."""
    from store.memories.history import changes

    async with _desk(options, values, current=False) as desk:
        changed = await changes(desk.pipeline, values["run"])
    if values["as_json"]:
        return _json(memory_output.changes_object(values["run"], changed))
    return _lines(memory_output.changes_lines(changed))


async def run_restore(options: Options, values: Mapping[str, Any]) -> Answer:
    """`rollodex memories restore RUN`."""
    from store.memories.history import restore

    async with _desk(options, values, current=False) as desk:
        undoing = await restore(desk.pipeline, values["run"], confirmed=values["yes"])
    if values["as_json"]:
        return _json(memory_output.run_object(undoing))
    return _lines(memory_output.restore_lines(undoing))


def _exit_code(result: ExtractionResult | ConsolidationResult) -> int:
    return 0 if result.outcome in NEEDED_NOTHING else 1


def _limits(values: Mapping[str, Any], config: MemoriesConfig) -> Stage1Limits:
    idle, age = values.get("min_idle_hours"), values.get("max_age_days")
    return Stage1Limits(
        min_idle_hours=config.min_idle_hours if idle is None else idle,
        max_age_days=config.max_age_days if age is None else age,
    )


def _engine(desk: Desk, values: Mapping[str, Any]) -> Engine:
    from store.memories.engines import make_engine

    name = values["engine"] or desk.config.engine
    network, readable = values["engine_network"], tuple(map(written_out, values["engine_read"]))
    if name.startswith("command:"):
        network = desk.config.engine_network if network is None else network
        readable = readable or desk.config.engine_read
    return make_engine(name, home=desk.store.home, network=bool(network), readable=readable)


def _ask(engine: Engine, cost: str) -> None:
    """Go on only when the person says so. Raises click.Abort, or UsageError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"{engine.name} would be given {cost}; --yes says that it may")
    click.confirm(f"{engine.name} is given {cost}. Go on?", abort=True, err=True)


def _threads(number: int) -> str:
    return f"{number} thread{'' if number == 1 else 's'}"


def _report(values: Mapping[str, Any]) -> Callable[[RunProgress], None]:
    """Progress in place on a terminal's stderr; nothing elsewhere."""
    from tui.text_output import terminal_width

    if values["as_json"] or not sys.stderr.isatty():
        return lambda _progress: None

    def report(progress: RunProgress) -> None:
        width = terminal_width() - 1
        line = visible_line(memory_output.progress_line(progress))
        sys.stderr.write(f"\r{line[:width]:<{width}}\r")
        sys.stderr.flush()

    return report


def _json(value: Mapping[str, Any]) -> Answer:
    return Answer([json_output.dumps({"schema_version": json_output.SCHEMA_VERSION, **value}), "\n"])


def _lines(lines: Iterable[str]) -> Answer:
    return Answer([f"{line}\n" for line in lines])
