"""Phase 1: a memory of each thread, made by an engine, some at a time; it runs only when somebody asks."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from store.errors import DatabaseError, MemoryDisabled, StoreError, UnknownThread, UnsupportedOperation
from store.memories.engines import check_engine
from store.memories.jobs import (
    all_jobs,
    claim_stage1_jobs_for_startup,
    mark_stage1_job_failed,
    mark_stage1_job_succeeded,
    mark_stage1_job_succeeded_no_output,
    try_claim_stage1_job,
    waiting_threads,
)
from store.memories.models import STAGE1, ExtractionResult, JobState, RunProgress
from store.memories.selection import Stage1Limits, select_unread
from store.memories.skipping import minutes, who_runs
from store.memories.stage_one import make_request, parse_stage_one, read_thread
from store.memories.status import job_state
from store.memories.uninterrupted import to_the_end
from store.ownership import this_process
from store.redaction import redact
from store.rollouts.bases import find_bases
from store.rollouts.scan import is_reverted
from store.thread_rows import SELECT_THREAD, thread_from_row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

    from store.memories.engines import Engine, ExtractionRequest
    from store.memories.jobs import Claim
    from store.memories.models import ClaimOutcome
    from store.memories.pipeline import MemoryPipeline
    from store.memories.stage_one import StageOneOutput
    from store.models import LogLevel, Thread

PARALLEL: Final = 4
"""How many engines run at once."""

LONGEST_REASON: Final = 500
"""Of a failure, in characters."""

_LOST: Final = "its lease ran out and another process took it over; what was made of it here was not kept"

_HELD_BACK: Final[tuple[tuple[JobState, ClaimOutcome], ...]] = (
    ("running", "SkippedRunning"),
    ("waits", "SkippedRetryBackoff"),
    ("gave up", "SkippedRetryExhausted"),
)
"""Why no thread may be read now, the first reason first."""


async def extract(
    pipeline: MemoryPipeline,
    engine: Engine,
    *,
    thread_ids: Sequence[str] | None = None,
    limits: Stage1Limits | None = None,
    parallel: int = PARALLEL,
    report: Callable[[RunProgress], None],
) -> ExtractionResult:
    """Make memories of the threads that wait for it, newest first, or of exactly those named.

    A thread is claimed when an engine is free for it. What goes wrong with one is recorded with its reason,
    the others go on, and none is tried twice. Cancelled, or ended by an error, it stops the engines and gives
    back what it had claimed: for anyone to claim at once, and without a retry spent.

    Raises UnsupportedOperation and EngineFailed when the engine cannot run here at all, and DatabaseError.
    """
    await check_engine(engine)
    run = _Run(pipeline, engine, limits or Stage1Limits(), report)
    return await run.named(thread_ids, parallel) if thread_ids is not None else await run.waiting(parallel)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A job of ours, and what was known of its thread in the transaction that claimed it."""

    thread: Thread
    token: str
    rollouts: tuple[str, ...]
    """Where the earlier rollouts of a reverted thread are (0.169)."""


class _Run:
    """One run of phase 1."""

    def __init__(
        self,
        pipeline: MemoryPipeline,
        engine: Engine,
        limits: Stage1Limits,
        report: Callable[[RunProgress], None],
    ) -> None:
        self._pipeline = pipeline
        self._engine = engine
        self._engine_name = redact(engine.name)
        self._limits = limits
        self._report = report
        self._me = this_process()
        self._named: list[str] = []
        self._total = 0
        self._held: dict[str, str] = {}
        self._tried: list[str] = []
        self._claims_left = self._limits.max_claimed
        self._skipped: list[Claim] = []
        self._failures: list[tuple[str, str]] = []
        self._succeeded = 0
        self._no_output = 0
        # Reading takes a core, and would only be slower side by side.
        self._reading = asyncio.Lock()

    async def named(self, thread_ids: Sequence[str], parallel: int) -> ExtractionResult:
        """Read the threads that the person has named."""
        self._named = list(dict.fromkeys(thread_ids))[::-1]
        self._total = len(self._named)
        await self._work(self._claim_named, parallel)
        if self._tried or self._failures or not self._skipped:
            return self._result()
        gravest = min(self._skipped, key=_gravity)
        return self._result(gravest.outcome, self._why_skipped(gravest))

    async def waiting(self, parallel: int) -> ExtractionResult:
        """Read the threads that wait."""
        self._total = min(await self._how_many_wait(), self._limits.max_claimed)
        await self._work(self._claim_waiting, parallel)
        if not self._tried:
            return self._result(*await self._pipeline.database.read(self._why_none))
        left = 0 if self._claims_left else await self._how_many_wait()
        return self._result(reason=f"{left} more wait" if left else "")

    async def _how_many_wait(self) -> int:
        unit = partial(waiting_threads, me=self._me, now_s=self._pipeline.now_s(), limits=self._limits)
        return len(await self._pipeline.database.read(unit))

    async def _work(self, claim: Callable[[], Coroutine[None, None, _Claimed | None]], parallel: int) -> None:
        if not self._total:
            return
        await self._log("INFO", f"extraction with {self._engine_name} begins: threads: {self._total}")
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(parallel, self._total)):
                    group.create_task(self._take_turns(claim))
        except BaseException as error:
            cause = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
            await to_the_end(self._give_back(cause))
            raise cause from None
        await self._log(
            "INFO",
            f"extraction with {self._engine_name} ended: memories: {self._succeeded},"
            f" nothing to remember: {self._no_output}, failed: {len(self._failures)},"
            f" not claimed: {len(self._skipped)}",
        )

    async def _take_turns(self, claim: Callable[[], Coroutine[None, None, _Claimed | None]]) -> None:
        while (claimed := await to_the_end(claim())) is not None:
            await self._extract(claimed)

    async def _claim_waiting(self) -> _Claimed | None:
        if not self._claims_left:
            return None
        self._claims_left -= 1  # before the others, that claim at the same time, look
        found = await self._pipeline.database.write(
            lambda connection: [
                _with_thread(connection, claim)
                for claim in claim_stage1_jobs_for_startup(
                    connection,
                    self._me,
                    now_s=self._pipeline.now_s(),
                    limits=replace(self._limits, max_claimed=1),
                    tried=self._tried,
                )
            ]
        )
        if not found:
            self._claims_left += 1
            return None
        return self._hold(found[0])

    async def _claim_named(self) -> _Claimed | None:
        while self._named:
            thread_id = self._named.pop()
            try:
                claimed = await self._pipeline.database.write(partial(self._try_claim, thread_id=thread_id))
            except (MemoryDisabled, UnknownThread) as error:
                await self._note_failure(thread_id, _reason(error))
                continue
            if isinstance(claimed, _Claimed):
                return self._hold(claimed)
            self._skipped.append(claimed)
        return None

    def _try_claim(self, connection: sqlite3.Connection, thread_id: str) -> _Claimed | Claim:
        claim = try_claim_stage1_job(
            connection,
            thread_id,
            self._me,
            now_s=self._pipeline.now_s(),
            max_running=self._limits.max_running,
            forced=True,
            engine=self._engine_name,
        )
        return _with_thread(connection, claim) if claim.outcome == "Claimed" else claim

    def _hold(self, claimed: _Claimed) -> _Claimed:
        self._held[claimed.thread.id] = claimed.token
        self._tried.append(claimed.thread.id)
        self._total = max(self._total, len(self._tried))
        return claimed

    async def _extract(self, claimed: _Claimed) -> None:
        thread_id = claimed.thread.id
        try:
            output = await self._ask(claimed)
        except UnsupportedOperation:
            raise
        except Exception as error:  # whatever it is, it is this thread's, and the others go on
            reason = _reason(error)
            kept = await self._finish(thread_id, partial(mark_stage1_job_failed, reason=reason))
            await self._note_failure(thread_id, reason if kept else _LOST)
            return
        if output is None:
            kept = await self._finish(thread_id, mark_stage1_job_succeeded_no_output)
            self._no_output += kept
        else:
            kept = await self._finish(
                thread_id,
                partial(
                    mark_stage1_job_succeeded,
                    trace_summary=output.rollout_summary,
                    memory_summary=output.raw_memory,
                    rollout_slug=output.rollout_slug,
                    engine=self._engine_name,
                ),
            )
            self._succeeded += kept
        if not kept:
            await self._note_failure(thread_id, _LOST)
            return
        self._tell("stored" if output is not None else "nothing to remember", thread_id)

    async def _ask(self, claimed: _Claimed) -> StageOneOutput | None:
        """What the engine makes of a thread; a thread without a word in it is nobody's to be asked about."""
        thread_id = claimed.thread.id
        self._tell("reading", thread_id)
        request = await self._read(claimed)
        if request is None:
            return None
        self._tell("engine", thread_id)
        answer = await self._engine.extract(request, lambda said: self._tell("engine", thread_id, said))
        return await asyncio.to_thread(parse_stage_one, answer)

    async def _read(self, claimed: _Claimed) -> ExtractionRequest | None:
        abandoned = threading.Event()
        async with self._reading:
            try:
                return await asyncio.to_thread(
                    _request, self._pipeline.home.path, claimed, abandoned=abandoned.is_set
                )
            except asyncio.CancelledError:
                abandoned.set()
                raise

    async def _finish(self, thread_id: str, finisher: Callable[..., bool]) -> bool:
        """Whether the job was still ours to finish."""
        unit = partial(
            finisher, thread_id=thread_id, token=self._held[thread_id], now_s=self._pipeline.now_s()
        )
        kept = await to_the_end(self._pipeline.database.write(unit))
        del self._held[thread_id]
        return kept

    async def _give_back(self, error: BaseException) -> None:
        reason = "cancelled" if isinstance(error, asyncio.CancelledError) else _reason(error)
        with contextlib.suppress(DatabaseError):  # then the leases end with this process, or by themselves
            await self._pipeline.database.write(partial(self._mark_given_back, reason=reason))
        await self._log(
            "WARN",
            f"extraction with {self._engine_name} stopped: {reason}; memories: {self._succeeded},"
            f" given back: {len(self._held)}",
        )

    def _mark_given_back(self, connection: sqlite3.Connection, reason: str) -> None:
        now_s = self._pipeline.now_s()
        for thread_id, token in self._held.items():
            mark_stage1_job_failed(
                connection,
                thread_id,
                token,
                now_s=now_s,
                reason=reason,
                retry_delay_s=0,
                spends_retry=False,
            )

    async def _note_failure(self, thread_id: str, reason: str) -> None:
        self._failures.append((thread_id, reason))
        self._tell("failed", thread_id, reason)
        await self._log("WARN", f"extraction of a thread failed: {reason}", thread_id)

    def _tell(self, step: str, thread_id: str, output: str = "") -> None:
        self._report(
            RunProgress(
                phase="extraction",
                step=step,
                done=self._succeeded + self._no_output + len(self._failures) + len(self._skipped),
                total=self._total,
                thread_id=thread_id,
                output=redact(output),
            )
        )

    async def _log(self, level: LogLevel, message: str, thread_id: str | None = None) -> None:
        with contextlib.suppress(DatabaseError):  # a line less in the log is no reason to stop
            await self._pipeline.log(level, __name__, message, thread_id=thread_id)

    def _result(self, outcome: ClaimOutcome | None = None, reason: str = "") -> ExtractionResult:
        failed = len(self._failures)
        if failed:
            reason = f"{failed} of {self._total} failed: {self._failures[0][1]}"
        return ExtractionResult(
            outcome=outcome or ("failed" if failed else "succeeded"),
            reason=reason,
            claimed=len(self._tried),
            succeeded=self._succeeded,
            no_output=self._no_output,
            failed=failed,
            skipped=tuple(Counter(claim.outcome for claim in self._skipped).items()),
            failures=tuple(self._failures),
        )

    def _why_skipped(self, claim: Claim) -> str:
        if claim.outcome == "SkippedUpToDate":
            return "nothing was added since its memory was made"
        if claim.job is None:
            return f"{self._limits.max_running} threads are being read already; try again later"
        return who_runs(claim.job, now_s=self._pipeline.now_s())

    def _why_none(self, connection: sqlite3.Connection) -> tuple[ClaimOutcome, str]:
        """Why nothing was there to be claimed: what is still to be read is held back, or nothing is."""
        now_s = self._pipeline.now_s()
        unread = select_unread(connection, now_s=now_s, limits=self._limits)
        jobs = [job for job in all_jobs(connection) if job.kind == STAGE1 and job.job_key in unread]
        for state, outcome in _HELD_BACK:
            held = [job for job in jobs if job_state(job, self._me, now_s=now_s) == state]
            if not held:
                continue
            if outcome == "SkippedRunning":
                return outcome, who_runs(held[0], now_s=now_s)
            if outcome == "SkippedRetryBackoff":
                retry_at = min(job.retry_at or now_s for job in held)
                why = f"{len(held)} failed before; next try in {minutes(retry_at - now_s)}"
            else:
                why = f"{len(held)} failed too often"
            return outcome, f"{why}; those that you name are tried now"
        return "SkippedUpToDate", "no thread waits for it"


def _gravity(claim: Claim) -> int:
    return 1 if claim.outcome == "SkippedUpToDate" else 0


def _with_thread(connection: sqlite3.Connection, claim: Claim) -> _Claimed:
    thread = thread_from_row(
        connection.execute(f"{SELECT_THREAD} WHERE t.id = ?", (claim.job_key,)).fetchone()
    )
    rollouts: tuple[str, ...] = ()
    if is_reverted(thread.rollout_path):
        found = connection.execute("SELECT path FROM state.rollouts WHERE thread_id = ?", (thread.id,))
        rollouts = tuple(path for (path,) in found)
    return _Claimed(thread, claim.ownership_token or "", rollouts)


def _request(home: Path, claimed: _Claimed, *, abandoned: Callable[[], bool]) -> ExtractionRequest | None:
    thread = claimed.thread
    # Of a fork only its own words: those before it are the memory of the thread that they were said in.
    bases = find_bases(home, thread.rollout_path, claimed.rollouts) if claimed.rollouts else {}
    reading = read_thread(home / thread.rollout_path, thread.id, bases=bases, abandoned=abandoned)
    return make_request(thread, reading) if reading.items else None


def _reason(error: BaseException) -> str:
    """One line of an error for a person, secrets masked."""
    text = str(error) if isinstance(error, StoreError) else f"unexpected {type(error).__name__}: {error}"
    text = " ".join(redact(text).split())
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 1]}…"
