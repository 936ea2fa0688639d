"""Having Codex run its own memory pipeline, which it does only when a session begins, and following its jobs.

Seen: 0.105 begins with `thread/start`, 0.169 with the first turn. The jobs of a run are those whose
`worker_id` is the thread that was started for it.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from store.errors import CodexDatabaseError, EngineFailed, UnsupportedOperation
from store.memories.app_server import app_server
from store.memories.codex_pipeline import read_codex_pipelines
from store.memories.codex_precheck import in_use, why_nothing_ran
from store.memories.codex_tables import databases, read_database
from store.memories.codex_waits import why_failed
from store.memories.models import PHASE2, STAGE1, CodexRun, RunProgress
from store.memories.running import Program, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from store.home import CodexHome
    from store.memories.app_server import AppServer
    from store.memories.models import MemoryJob

    Report = Callable[[RunProgress], None]

TIME_LIMIT_SECONDS: Final = 30 * 60.0
"""How long a run may take; consolidation is an agent at work."""

TURN_SECONDS: Final = 5 * 60.0
_FEATURES_SECONDS: Final = 60.0

PROMPT: Final = "Reply with the one word OK, and do nothing else."
"""What the turn asks for: it is only there because a session's first turn starts the pipeline."""

_FEATURES: Final = ("memories", "memory_tool")
"""The feature's name from 0.105 on, and before."""

_BY_TURN: Final = (0, 116)
"""From the version after the last that surely begins with the thread, a turn is asked for as well."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what may come is waited for, in seconds."""

    claim: float = 10.0
    """The first job, once the session has begun; Codex may ask for its rate limits before."""
    start: float = 4.0
    """The same, where the thread alone begins it: then nothing is asked for."""
    settle: float = 4.0
    """The next job, once none runs; the consolidation is the last."""
    poll: float = 0.25


async def run_codex_pipeline(
    home: CodexHome,
    *,
    now_s: Callable[[], int],
    report: Report = lambda _: None,
    program: str | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float = TIME_LIMIT_SECONDS,
    patience: Patience = Patience(),
) -> CodexRun:
    """Have Codex run its pipeline in this home, and follow its jobs until they rest.

    `program` is the path of `codex`, None the one on PATH; `environment` all of its environment, None ours.
    It costs what `precheck` says. Codex ends with this call, however it ends; a job that still runs then
    keeps its lease, and Codex takes it over when that has run out.

    Raises EngineFailed when Codex cannot be started, does not answer or ends too early; UnsupportedOperation
    where it has no such pipeline.
    """
    surroundings = {**(os.environ if environment is None else environment), "CODEX_HOME": str(home.path)}
    path = shutil.which(program or "codex", path=surroundings.get("PATH"))
    if path is None:
        raise EngineFailed(
            "Codex cannot be started",
            why=f"there is no program {program}" if program else "there is no `codex` on PATH",
            next_step="Name its path",
        )
    path = str(Path(path).absolute())  # noqa: ASYNC240  (touches no disk; it is started in another folder)
    if home.sqlite_path != home.path:
        surroundings["CODEX_SQLITE_HOME"] = str(home.sqlite_path)
    with tempfile.TemporaryDirectory(prefix="rollodex-") as work:
        arguments = await _feature_arguments(path, surroundings, Path(work))
        started = f"codex app-server {' '.join(arguments)}".rstrip()
        report(RunProgress(phase="extraction", step="starting Codex", output=started))
        async with app_server(path, arguments, surroundings, Path(work)) as server:
            following = _Following(home, server, report, patience)
            try:
                async with asyncio.timeout(seconds):
                    trouble = await following.begin(work)
                    await following.follow()
            except TimeoutError:
                given = f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:g} s"
                trouble = (
                    f"Codex was not done within {given} and was ended; what it had begun keeps its lease"
                )
            finally:
                await following.put_away()
    return await _result(following, ("app-server", *arguments), trouble, now_s())


async def _feature_arguments(program: str, environment: Mapping[str, str], cwd: Path) -> tuple[str, ...]:
    """What turns memories on for one run, nothing when they are. Raises as `run_codex_pipeline`."""
    asked = Program(
        (program, "features", "list"), cwd, "`codex features list`", environment, _FEATURES_SECONDS
    )
    listed = await run(asked, "", lambda _: None)
    known = {words[0]: words[-1] for line in listed.splitlines() if len(words := line.split()) >= 3}
    name = next((name for name in _FEATURES if name in known), None)
    if name is None:
        raise UnsupportedOperation(
            f"{program} cannot run a memory pipeline",
            why="it lists no feature `memories`",
            next_step="Codex 0.105 and later have it",
        )
    return () if known[name] == "true" else ("-c", f"features.{name}=true")


Key = tuple[str, str, str]
"""Database, kind and key of a job."""


@dataclass(slots=True)
class _Following:
    home: CodexHome
    server: AppServer
    report: Report
    patience: Patience
    threads: list[str] = field(default_factory=list)
    jobs: dict[Key, MemoryJob] = field(default_factory=dict)
    """The jobs that Codex took for our threads, as last seen."""
    turned: str | None = None
    """The thread that had a turn: only that one is left behind."""

    @property
    def version(self) -> str | None:
        """Of the Codex that answers."""
        match = re.search(r"/(\d+\.\d+\.\d+\S*)", self.server.user_agent)
        return match[1] if match else None

    async def begin(self, work: str) -> str:
        """Begin sessions until a job is taken; why the turn failed, if one did."""
        numbers = re.match(r"(\d+)\.(\d+)", self.version or "")
        by_turn = numbers is None or (int(numbers[1]), int(numbers[2])) >= _BY_TURN
        thread = await self._start_thread(work)
        if not by_turn:
            # While its first import runs, such a Codex takes nothing: the second session does.
            if not await self._taken(self.patience.start):
                await self._start_thread(work)
                await self._taken(self.patience.start)
            return ""
        self.report(RunProgress(phase="extraction", step="asking for a turn"))
        self.turned = thread
        trouble = await self.server.turn(thread, PROMPT, seconds=TURN_SECONDS)
        await self._taken(self.patience.claim)
        return f"the turn that starts it failed: {trouble}" if trouble else ""

    async def _start_thread(self, work: str) -> str:
        parameters = {"cwd": work, "sandbox": "read-only", "approvalPolicy": "never"}
        result = await self.server.call("thread/start", parameters)
        started = result.get("thread")
        thread = started.get("id") if isinstance(started, dict) else None
        if not isinstance(thread, str):
            raise EngineFailed("Codex started no thread", why="its answer names none")
        self.threads.append(thread)
        return thread

    async def _taken(self, seconds: float) -> bool:
        """Whether a job was taken within this time."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not await self._look() and loop.time() < end:
            self.server.check()
            await asyncio.sleep(self.patience.poll)
        return bool(self.jobs)

    async def follow(self) -> None:
        """Wait until none of the jobs runs, and each consolidation has been or does not come."""
        loop = asyncio.get_running_loop()
        quiet_since = loop.time()
        while self.jobs:
            if await self._look() or any(job.status == "running" for job in self.jobs.values()):
                quiet_since = loop.time()
            elif self._consolidated() or loop.time() - quiet_since >= self.patience.settle:
                return
            self.server.check()
            await asyncio.sleep(self.patience.poll)

    def _consolidated(self) -> bool:
        """Whether a consolidation came in every database that has jobs of ours; it is the last job there."""
        return {key[0] for key in self.jobs} == {key[0] for key in self.jobs if key[1] == PHASE2}

    async def _look(self) -> bool:
        """Look at the jobs of our threads, and tell what is new; whether anything is."""
        seen = await asyncio.to_thread(self._read)
        if seen is None:
            return False
        changed = [key for key, job in seen.items() if self.jobs.get(key) != job]
        self.jobs = seen
        for key in sorted(changed, key=lambda key: key[1] == PHASE2):
            self._tell(key)
        return bool(changed)

    def _read(self) -> dict[Key, MemoryJob] | None:
        found: dict[Key, MemoryJob] = {}
        try:
            for database in databases(self.home):
                tables = read_database(database)
                for job in tables.jobs if tables is not None else ():
                    if job.worker_id in self.threads:
                        found[database.path.name, job.kind, job.job_key] = job
        except CodexDatabaseError:
            return None  # locked, say: it is looked at again in a moment
        return found

    def _tell(self, key: Key) -> None:
        job = self.jobs[key]
        extractions = [other for other in self.jobs.values() if other.kind == STAGE1]
        phase2 = job.kind == PHASE2
        self.report(
            RunProgress(
                phase="consolidation" if phase2 else "extraction",
                step=_STEPS.get((job.kind, job.status), job.status),
                done=sum(other.status != "running" for other in extractions),
                total=len(extractions),
                thread_id=None if phase2 else job.job_key,
                output=job.last_error or "",
            )
        )

    async def put_away(self) -> None:
        """Archive the thread that had a turn: so it is out of the list, and never becomes a memory."""
        if self.turned is not None:
            with suppress(EngineFailed):
                await self.server.call("thread/archive", {"threadId": self.turned}, seconds=3)


_STEPS: Final = {
    (STAGE1, "running"): "extracting",
    (STAGE1, "done"): "extracted",
    (STAGE1, "error"): "extraction failed",
    (PHASE2, "running"): "consolidating",
    (PHASE2, "done"): "consolidated",
    (PHASE2, "error"): "consolidation failed",
}


async def _result(following: _Following, arguments: tuple[str, ...], trouble: str, now_s: int) -> CodexRun:
    stage1 = [job for job in following.jobs.values() if job.kind == STAGE1]
    failed = [job for job in stage1 if job.status == "error"]
    phase2 = next((job for job in following.jobs.values() if job.kind == PHASE2), None)
    reasons = [trouble] if trouble else []
    if phase2 is not None and phase2.status == "error":
        reasons.append(f"consolidation failed ({why_failed(phase2)})")
    if failed:
        reasons.append(f"{len(failed)} of {len(stage1)} extractions failed")
    went_wrong = bool(reasons)
    if phase2 is None and not trouble:
        pipelines = await asyncio.to_thread(read_codex_pipelines, following.home, now_s=now_s)
        reasons += why_nothing_ran(in_use(following.home, pipelines), extracted=bool(stage1))
    return CodexRun(
        outcome="failed" if went_wrong else "succeeded" if following.jobs else "skipped",
        reason="; ".join(reasons),
        arguments=arguments,
        version=following.version,
        thread_id=following.turned,
        succeeded=sum(job.status == "done" for job in stage1),
        failed=len(failed),
        failures=tuple((job.job_key, job.last_error or "") for job in failed),
        consolidation=None if phase2 is None else phase2.status,
    )
