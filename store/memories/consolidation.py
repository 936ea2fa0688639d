"""Phase 2: all memories consolidated in one folder, by an engine that works in a copy of it."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

from store.errors import (
    DatabaseBusy,
    DatabaseError,
    LeaseLost,
    MemoryRootError,
    StoreError,
    UnsupportedOperation,
)
from store.memories import artifacts, staging
from store.memories.engines import ConsolidationRequest
from store.memories.jobs import (
    HEARTBEAT_SECONDS,
    RETRY_DELAY_SECONDS,
    enqueue_global_consolidation,
    get_global_phase2_job,
    heartbeat_global_phase2_job,
    mark_global_phase2_job_failed,
    owns_global_phase2_job,
    try_claim_global_phase2_job,
)
from store.memories.models import ConsolidationResult, RunProgress
from store.memories.outputs import thread_memories
from store.memories.prompt_files import filled
from store.memories.publishing import (
    Decision,
    finish_root,
    note,
    plan,
    publish,
)
from store.memories.rebuilding import bring_over, redacted
from store.memories.root import MEMORY, SUMMARY, OpenRoot, check_root
from store.memories.skipping import skipped_reason
from store.memories.uninterrupted import off_the_loop, to_the_end
from store.ownership import this_process
from store.redaction import redact

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from store.memories.engines import Engine
    from store.memories.jobs import Claim
    from store.memories.models import ThreadMemory
    from store.memories.pipeline import MemoryPipeline
    from store.memories.publishing import Change


async def consolidate(
    pipeline: MemoryPipeline,
    engine: Engine,
    *,
    force: bool = False,
    report: Callable[[RunProgress], None] = lambda _: None,
) -> ConsolidationResult:
    """Consolidate all memories, unless another does or nothing is new.

    `force` runs when nothing is new and past a back-off, never beside another. The root is as it was unless
    all is published. Raises MemoryRootError where the root cannot be used or is Codex's, and DatabaseError.
    """
    with OpenRoot(pipeline.root, pipeline.folder) as root:
        report(RunProgress(phase="consolidation", step="checking the root"))
        await off_the_loop(partial(check_root, pipeline.home, pipeline.root, pipeline.folder))
        if not await off_the_loop(root.lock):
            job = await pipeline.database.read(get_global_phase2_job)
            return ConsolidationResult(
                outcome="SkippedRunning",
                reason=skipped_reason("SkippedRunning", job, now_s=pipeline.now_s()),
            )
        # The lock is ours: whatever copy is still there was left by a process that died.
        await off_the_loop(partial(staging.remove, pipeline.folder / staging.STAGING))
        finished = await finish_root(pipeline, root)
        await bring_over(pipeline, root)
        result = await _Run(pipeline, engine, root, report).run(force=force)
    if finished and result.outcome == "SkippedNotDirty":
        late = f"run {finished[-1].run_id}, whose process had ended, was finished now"
        return result.model_copy(update={"reason": f"{late}; {result.reason}"})
    return result


class _Run:
    """One consolidation of a root that is locked."""

    def __init__(
        self,
        pipeline: MemoryPipeline,
        engine: Engine,
        root: OpenRoot,
        report: Callable[[RunProgress], None],
    ) -> None:
        self.pipeline = pipeline
        self.engine = engine
        self.root = root
        self.report = report
        self.token = ""
        self.watermark = 0
        self.started_at = 0
        self.memories: Sequence[ThreadMemory] = ()
        self.staging = pipeline.folder / staging.STAGING

    async def run(self, *, force: bool) -> ConsolidationResult:
        """Claim the job, and work until it has ended."""
        self._say("claiming")
        self.started_at = self.pipeline.now_s()
        root_is_empty = await off_the_loop(self._has_no_summary)
        try:
            claim = await to_the_end(
                self.pipeline.database.write(partial(self._claim, force=force, root_is_empty=root_is_empty))
            )
            if claim.outcome != "Claimed":
                reason = skipped_reason(claim.outcome, claim.job, now_s=self.pipeline.now_s())
                return ConsolidationResult(outcome=claim.outcome, reason=reason)
            return await self._publish(await self._while_owned())
        except asyncio.CancelledError:
            await to_the_end(self._fail("cancelled", retry_delay_s=0, spends_retry=False))
            raise
        except LeaseLost as error:
            await note(self.pipeline, "WARN", str(error))
            return self._failed(str(error))
        except (MemoryRootError, UnsupportedOperation) as error:
            # For the person to put right, and worth a try as soon as that is done.
            await self._fail(str(error), retry_delay_s=0, spends_retry=False)
            return self._failed(str(error))
        except (StoreError, OSError) as error:
            await self._fail(str(error))
            return self._failed(str(error))
        except Exception as error:
            await self._fail(f"{type(error).__name__}: {error}")
            raise
        finally:
            if self.token:
                await off_the_loop(partial(staging.remove, self.staging.parent))

    def _claim(self, connection: sqlite3.Connection, *, force: bool, root_is_empty: bool) -> Claim:
        """Claim the job and read its inputs, of one moment: what comes later is the next run's."""
        me, now_s = this_process(), self.started_at
        claim = try_claim_global_phase2_job(connection, me, now_s=now_s, force=force)
        if claim.outcome == "SkippedNotDirty" and root_is_empty and thread_memories(connection, limit=1):
            enqueue_global_consolidation(connection, 0)
            claim = try_claim_global_phase2_job(connection, me, now_s=now_s)
        if claim.ownership_token is not None:
            self.memories = thread_memories(connection)
            self.token = claim.ownership_token
            self.watermark = claim.input_watermark or 0
            self.staging /= self.token
        return claim

    async def _while_owned(self) -> list[Change]:
        """Work with a heartbeat beside it; raises LeaseLost, with the engine ended, once the job is lost.

        Publishing needs none: the file locks exclude the others, and the job ends with it.
        """
        work = asyncio.ensure_future(self._work())
        beat = asyncio.ensure_future(self._beat())
        try:
            await asyncio.wait([work, beat], return_when=asyncio.FIRST_COMPLETED)
        finally:
            beat.cancel()
            work.cancel()
            await to_the_end(asyncio.wait([work, beat]))
        if work.cancelled() and not beat.cancelled():
            beat.result()
        return work.result()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            unit = partial(heartbeat_global_phase2_job, token=self.token, now_s=self.pipeline.now_s())
            with contextlib.suppress(DatabaseBusy):  # the lease outlives many a beat
                if not await self.pipeline.database.write(unit):
                    raise _lost()

    async def _work(self) -> list[Change]:
        self._say("reading inputs")
        made = await off_the_loop(lambda: redacted(artifacts.render(self.memories)))
        seen = await off_the_loop(partial(staging.prepare, self.staging, self.root.files, made))
        wanted: dict[str, bytes | None] = {**made, **dict.fromkeys(artifacts.stale(seen, made))}
        if self.memories or MEMORY in seen or SUMMARY in seen:
            self._say("engine")
            prompt = filled("consolidation", memories=str(len(self.memories)))
            await self.engine.consolidate(
                ConsolidationRequest(self.staging, self.memories, prompt), self._hear
            )
            self._say("checking what the engine made")
            wanted |= await off_the_loop(partial(staging.collect, self.staging, seen, wanted))
        # Codex may have taken the root over while the engine ran.
        await off_the_loop(partial(check_root, self.pipeline.home, self.pipeline.root, self.pipeline.folder))
        return await off_the_loop(partial(plan, self.root.files, wanted, seen))

    async def _publish(self, changes: list[Change]) -> ConsolidationResult:
        self._say("publishing")
        published = await publish(
            self.pipeline,
            self.root,
            Decision(
                kind="consolidate",
                changes=changes,
                started_at=self.started_at,
                engine=self.engine.name,
                inputs=len(self.memories),
                token=self.token,
                watermark=self.watermark,
            ),
            unless=self._refuse_if_lost,
        )
        if published.status == "failed":
            return self._failed(published.reason or "", run_id=published.run_id)
        self._say("done")
        return ConsolidationResult(
            outcome="succeeded",
            run_id=published.run_id,
            inputs=len(self.memories),
            changed=tuple(change.path for change in changes),
        )

    def _has_no_summary(self) -> bool:
        return self.root.files is None or self.root.files.read(SUMMARY) is None

    def _refuse_if_lost(self, connection: sqlite3.Connection) -> None:
        if not owns_global_phase2_job(connection, self.token):
            raise _lost()

    async def _fail(
        self, reason: str, *, retry_delay_s: int = RETRY_DELAY_SECONDS, spends_retry: bool = True
    ) -> None:
        reason = redact(reason)
        unit = partial(
            mark_global_phase2_job_failed,
            token=self.token,
            now_s=self.pipeline.now_s(),
            reason=reason,
            retry_delay_s=retry_delay_s,
            spends_retry=spends_retry,
        )
        with contextlib.suppress(DatabaseError):  # the reason is what the person is to hear
            await self.pipeline.database.write(unit)
        await note(self.pipeline, "WARN", f"consolidation failed: {reason}")

    def _failed(self, reason: str, run_id: int | None = None) -> ConsolidationResult:
        return ConsolidationResult(
            outcome="failed", reason=redact(reason), run_id=run_id, inputs=len(self.memories)
        )

    def _say(self, step: str, output: str = "") -> None:
        self.report(RunProgress(phase="consolidation", step=step, total=len(self.memories), output=output))

    def _hear(self, output: str) -> None:
        self._say("engine", output)


def _lost() -> LeaseLost:
    return LeaseLost(
        "The consolidation was stopped",
        why="another process has taken the job over",
        next_step="Nothing was published",
    )
