"""The memory pipelines of the open home: followed for the screens, and told what to do, one at a time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from store.changes import Changes, Latest
from store.errors import DatabaseError, StoreError, UnknownThread
from tui.memory_orders import (
    Consolidate,
    ConsolidationPlan,
    EngineChoice,
    Errand,
    Extract,
    ExtractionPlan,
    Restore,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from store.config import MemoriesConfig
    from store.home import CodexHome
    from store.memories.engines import Engine
    from store.memories.models import FileChange, MemoryRun, Pipeline, RunProgress, ThreadMemory
    from store.memories.pipeline import MemoryPipeline
    from store.memories.selection import Stage1Limits
    from store.models import LogLevel, Thread
    from store.opening import Store
    from tui.memory_orders import Order, Result
    from widgets.memory_artifacts import Artifact

LOOKED_AT_EVERY: Final = 2.0
"""Seconds between two looks at Codex's databases, and at which threads there are."""
READ_EVERY: Final = 15.0
"""Seconds after which all is read again though nothing was written: leases run out, threads become idle."""
REST_SECONDS: Final = 0.2
"""Seconds between two readings, however often something is written."""
TOLD_EVERY: Final = 1 / 12
"""Seconds between two tellings of how far an errand is."""
RECENT: Final = 5
"""Memories of a project that are shown beside a thread."""
TOKEN_BYTES: Final = 4


class LiveMemories:
    """Answers from `user.sqlite` and Codex's databases; what it begins ends with it."""

    def __init__(self, opened: Callable[[], Store], threads_changed: Changes) -> None:
        self._opened = opened
        self._threads_changed = threads_changed
        self._threads_are_others = False
        self._pipelines: Latest[Sequence[Pipeline]] = Latest(())
        self._errand: Latest[Errand | None] = Latest(None)
        self._task: asyncio.Task[None] | None = None
        self._changes = Changes()
        self._look = asyncio.Event()

    async def close(self) -> None:
        """Stop what is carried out, and forget what was read."""
        await self.stop()
        self._errand.publish(None)
        self._pipelines.publish(())

    # Following

    async def pipelines(self) -> AsyncIterator[Sequence[Pipeline]]:
        """Where the pipelines stand, as soon as that is known, and whenever it changes."""
        async for pipelines in self._pipelines.watch():
            if pipelines:
                yield pipelines

    async def errands(self) -> AsyncIterator[Errand | None]:
        """What is carried out, or was last."""
        async for errand in self._errand.watch():
            yield errand
            await asyncio.sleep(TOLD_EVERY)

    @property
    def work(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What follows the pipelines for as long as it runs, by name; each may raise StoreError."""
        return {
            "memory jobs followed": self._follow_commits,
            "memory jobs heard of": self._follow_own,
            "threads of memory jobs followed": self._follow_threads,
            "Codex's memory jobs followed": self._follow_codex,
            "memory jobs read": self._read,
        }

    async def _follow_commits(self) -> None:
        await self._changes.follow((await self._pipeline()).database)

    async def _follow_own(self) -> None:
        async for _ in self._changes.stream(at_once=True):
            self._look.set()

    async def _follow_threads(self) -> None:
        async for _ in self._threads_changed.stream():
            self._threads_are_others = True

    async def _follow_codex(self) -> None:
        clock = self._opened().clock
        seen, looked_at = await asyncio.to_thread(self._codex_prints), clock.monotonic()
        while True:
            await asyncio.sleep(LOOKED_AT_EVERY)
            prints, now = await asyncio.to_thread(self._codex_prints), clock.monotonic()
            if prints != seen or self._threads_are_others or now - looked_at >= READ_EVERY:
                seen, looked_at, self._threads_are_others = prints, now, False
                self._look.set()

    async def _read(self) -> None:
        from store.memories.status import read_pipelines

        await _finish(await self._pipeline())
        while True:
            await self._look.wait()
            self._look.clear()
            limits = _limits(await _config())
            pipelines = await read_pipelines(await self._pipeline(), limits=limits)
            if pipelines != self._pipelines.value:
                self._pipelines.publish(pipelines)
            await asyncio.sleep(REST_SECONDS)

    def _codex_prints(self) -> list[tuple[str, int, int]]:
        """What tells that one of Codex's databases was written."""
        from store.memories.codex_tables import databases

        prints = []
        for database in databases(self._opened().home):
            for path in (database.path, database.path.with_name(database.path.name + "-wal")):
                with suppress(OSError):
                    stat = path.stat()
                    prints.append((str(path), stat.st_size, stat.st_mtime_ns))
        return prints

    # Plans

    async def extraction_plan(self, thread_ids: Sequence[str] | None) -> ExtractionPlan:
        """What an extraction of these threads, or of what waits, would take. Raises StoreError."""
        from store.memories.stage_one import estimate

        pipeline, config = await self._pipeline(), await _config()
        named = thread_ids if thread_ids is not None else await self._waiting(pipeline, config)
        threads = await self._threads(named)
        return ExtractionPlan(
            None if thread_ids is None else tuple(thread.id for thread in threads),
            len(threads),
            estimate(threads),
            f"Rollodex's own database; nothing in {pipeline.home.given}",
            await self._engines(config),
        )

    async def consolidation_plan(self) -> ConsolidationPlan:
        """What a consolidation would take, and whose the root is. Raises StoreError."""
        from store.memories.codex_pipeline import codex_owns
        from store.memories.codex_precheck import precheck
        from store.memories.outputs import thread_memories
        from widgets.memory_words import consolidation_part

        pipeline, config = await self._pipeline(), await _config()
        main = _main_root(pipeline.home, config)
        memories = await pipeline.database.read(thread_memories)
        size = sum(len(each.trace_summary) + len(each.memory_summary) for each in memories)
        ours = await self._ours(pipeline, config)
        phase2 = ours.phase2
        return ConsolidationPlan(
            root=str(main),
            memories=len(memories),
            tokens=size // TOKEN_BYTES,
            needed=consolidation_part(ours, pipeline.now_s()) or "nothing new to consolidate",
            new=phase2.dirty,
            force=not phase2.dirty or phase2.state == "error",
            engines=await self._engines(config),
            owned=await asyncio.to_thread(codex_owns, pipeline.home, main),
            elsewhere=str(_elsewhere(pipeline)),
            codex_skips=await asyncio.to_thread(precheck, pipeline.home, now_s=pipeline.now_s()),
        )

    # Orders

    async def carry_out(self, order: Order) -> None:
        """Begin with an order. Raises StoreError, also while another one is carried out."""
        if self._task is not None and not self._task.done():
            raise StoreError(
                "Something else is being carried out", next_step="Wait for its end, or stop it ( K )"
            )
        # Held from now on: what is asked for meanwhile finds it under way.
        begun = asyncio.Event()
        self._task = asyncio.create_task(self._run(order, begun), name=f"memory {type(order).__name__}")
        await begun.wait()

    async def stop(self) -> None:
        """Stop what is carried out, and return when it has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, order: Order, begun: asyncio.Event) -> None:
        errand = Errand(order, self._opened().clock.now_ms() // 1000)
        self._errand.publish(errand)
        begun.set()
        result: Result = None
        try:
            result = await self._result(order, errand)
        except StoreError as error:
            result = error
        except Exception as error:
            result = StoreError("The run has failed", why=f"{type(error).__name__}: {error}")
        finally:
            errand.end(result)
            self._errand.publish(errand)
            self._changes.look()

    async def _result(self, order: Order, errand: Errand) -> Result:
        from store.memories.codex_own import run_codex_pipeline
        from store.memories.consolidation import consolidate
        from store.memories.extraction import extract
        from store.memories.history import restore

        def report(progress: RunProgress) -> None:
            errand.report(progress)
            self._errand.publish(errand)

        pipeline, config = await self._pipeline(), await _config()
        if isinstance(order, Extract):
            engine = _engine(pipeline, config, order.engine)
            named = (
                order.thread_ids if order.thread_ids is not None else await self._waiting(pipeline, config)
            )
            errand.titles.update({thread.id: thread.display_title for thread in await self._threads(named)})
            limits = _limits(config)
            return await extract(pipeline, engine, thread_ids=order.thread_ids, limits=limits, report=report)
        if isinstance(order, Consolidate):
            engine = _engine(pipeline, config, order.engine)
            there = replace(pipeline, root=Path(order.root))
            return await consolidate(there, engine, force=order.force, report=report)
        if isinstance(order, Restore):
            root = next((run.root for run in await self.runs() if run.id == order.run_id), pipeline.root)
            there = replace(pipeline, root=Path(root))
            return await restore(there, order.run_id, confirmed=order.confirmed)
        return await run_codex_pipeline(pipeline.home, now_s=pipeline.now_s, report=report)

    # What there is

    async def thread_memory(self, thread_id: str) -> ThreadMemory | None:
        """What was made of a thread."""
        from store.memories.outputs import get_thread_memory

        user = self._opened().user
        return None if user is None else await user.read(lambda c: get_thread_memory(c, thread_id))

    async def project_memories(self, cwd: str) -> Sequence[ThreadMemory]:
        """The newest memories of threads of exactly this folder."""
        from store.memories.outputs import get_last_n_thread_memories_for_cwd

        user = self._opened().user
        if user is None:
            return ()
        return await user.read(lambda c: get_last_n_thread_memories_for_cwd(c, cwd, RECENT))

    async def runs(self) -> Sequence[MemoryRun]:
        """The runs that changed files of a root, the newest first."""
        from store.memories.history import list_runs

        return await list_runs(await self._pipeline())

    async def changes(self, run_id: int) -> Sequence[FileChange]:
        """What a run changed. Raises UnknownRun."""
        from store.memories.history import changes

        return await changes(await self._pipeline(), run_id)

    async def artifacts(self, root: str | None = None) -> tuple[str, Sequence[Artifact]]:
        """The root, ours unless another is named, and the files in it. Raises MemoryRootError."""
        from store.memories.status import thread_titles
        from tui.memory_folder import list_artifacts

        pipeline = await self._pipeline()
        folder = pipeline.root if root is None else Path(root)
        found = await asyncio.to_thread(list_artifacts, folder)
        ids = [Path(each.path).stem for each in found if each.path.startswith("rollout_summaries/")]
        titles = await asyncio.to_thread(thread_titles, pipeline.state, ids)
        return str(folder), [
            replace(each, about=titles.get(Path(each.path).stem, ("", None))[0] or "") for each in found
        ]

    async def artifact(self, root: str, path: str) -> str:
        """The text of one of them, secrets masked. Raises MemoryRootError."""
        from tui.memory_folder import read_artifact

        return await asyncio.to_thread(read_artifact, Path(root), path)

    # What it stands on

    async def _pipeline(self) -> MemoryPipeline:
        """Our pipeline, on the folder that is ours to write. Raises DatabaseError and ConfigError."""
        from store.memories.codex_pipeline import codex_owns
        from store.memories.pipeline import MemoryPipeline

        store, config = self._opened(), await _config()
        if store.user is None or store.files is None:
            raise DatabaseError(
                "There is no memory pipeline",
                why="Rollodex's own state folder cannot be used",
                next_step="Name another one with --state-dir",
            )
        root = _main_root(store.home, config)
        pipeline = MemoryPipeline(store.home, store.user, store.files.state, root, store.clock)
        elsewhere = _elsewhere(pipeline)
        taken = elsewhere.is_dir() and await asyncio.to_thread(codex_owns, store.home, root) is not None
        return replace(pipeline, root=elsewhere) if taken else pipeline

    async def _ours(self, pipeline: MemoryPipeline, config: MemoriesConfig) -> Pipeline:
        from store.memories.status import read_pipeline
        from store.ownership import this_process

        now_s, limits = pipeline.now_s(), _limits(config)
        return await pipeline.database.read(
            lambda c: read_pipeline(c, pipeline.root, now_s=now_s, me=this_process(), limits=limits)
        )

    async def _waiting(self, pipeline: MemoryPipeline, config: MemoriesConfig) -> Sequence[str]:
        from store.memories.jobs import waiting_threads
        from store.ownership import this_process

        now_s, limits = pipeline.now_s(), _limits(config)
        waiting = await pipeline.database.read(
            lambda c: waiting_threads(c, this_process(), now_s=now_s, limits=limits)
        )
        return waiting[: limits.max_claimed]

    async def _threads(self, thread_ids: Sequence[str]) -> list[Thread]:
        """The threads that are there."""
        threads = []
        for thread_id in thread_ids:
            with suppress(UnknownThread):
                threads.append(await self._opened().threads.get_thread(thread_id))
        return threads

    async def _engines(self, config: MemoriesConfig) -> Sequence[EngineChoice]:
        """The one that is configured, then the others."""
        pipeline = await self._pipeline()
        names = dict.fromkeys((config.engine, "extractive", "codex"))
        engines = [_engine(pipeline, config, name) for name in names]
        return [EngineChoice(each.name, each.costs_tokens) for each in engines]


async def _finish(pipeline: MemoryPipeline) -> None:
    """Write what a process that ended had decided to write."""
    from store.memories.publishing import finish_publishing

    for notice in await finish_publishing(pipeline):
        level: LogLevel = "ERROR" if notice.severity == "error" else "WARN"
        await pipeline.log(level, __name__, f"{notice.what}: {notice.why}")


async def _config() -> MemoriesConfig:
    from store.config import config_file, read_config

    return (await asyncio.to_thread(read_config, config_file())).memories


def _limits(config: MemoriesConfig) -> Stage1Limits:
    from store.memories.selection import Stage1Limits

    return Stage1Limits(min_idle_hours=config.min_idle_hours, max_age_days=config.max_age_days)


def _engine(pipeline: MemoryPipeline, config: MemoriesConfig, name: str) -> Engine:
    """The engine of this name, as configured. Raises EngineFailed and UnsupportedOperation."""
    from store.memories.engines import make_engine

    if not name.startswith("command:"):
        return make_engine(name, home=pipeline.home)
    return make_engine(name, home=pipeline.home, network=config.engine_network, readable=config.engine_read)


def _main_root(home: CodexHome, config: MemoriesConfig) -> Path:
    from store.memories.root import default_root

    return default_root(home) if config.root is None else config.root.expanduser()


def _elsewhere(pipeline: MemoryPipeline) -> Path:
    """The folder that is written where the root is Codex's: beside our state folder, which holds no root."""
    return pipeline.folder.with_name(f"{pipeline.folder.name}-memories")
