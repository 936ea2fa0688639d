"""What changes the root without an engine: its artifacts made anew, and the old folder brought over once."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING, Final

from store.memories import artifacts
from store.memories.jobs import get_global_phase2_job, lease_is_live
from store.memories.models import ConsolidationResult
from store.memories.outputs import thread_memories
from store.memories.publishing import Decision, finish_root, plan, publish
from store.memories.root import MEMORY, SUMMARY, OpenRoot, check_root, default_root
from store.memories.root_files import RootFiles, is_hidden
from store.memories.skipping import skipped_reason
from store.memories.uninterrupted import off_the_loop
from store.ownership import this_process
from store.redaction import redact

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from pathlib import Path

    from store.memories.models import MemoryJob, ThreadMemory
    from store.memories.pipeline import MemoryPipeline
    from store.memories.publishing import Change

OLD_FOLDER: Final = "user/memory"
"""Where early versions (about 0.100) kept what is the same for all projects, in the root."""


async def rebuild(pipeline: MemoryPipeline) -> ConsolidationResult:
    """Make the artifacts anew from the memories as they are.

    Skipped while a consolidation runs. Raises MemoryRootError and DatabaseError.
    """
    with OpenRoot(pipeline.root, pipeline.folder) as root:
        await off_the_loop(partial(check_root, pipeline.home, pipeline.root, pipeline.folder))
        locked = await off_the_loop(root.lock)
        running = await running_consolidation(pipeline)
        if not locked or running is not None:
            return ConsolidationResult(
                outcome="SkippedRunning",
                reason=skipped_reason("SkippedRunning", running, now_s=pipeline.now_s()),
            )
        await finish_root(pipeline, root)
        await bring_over(pipeline, root)
        memories = await pipeline.database.read(thread_memories)
        changes = await off_the_loop(partial(_changes, root, memories))
        if not changes:
            return ConsolidationResult(outcome="succeeded", inputs=len(memories))
        published = await publish(
            pipeline,
            root,
            Decision(kind="rebuild", changes=changes, started_at=pipeline.now_s(), inputs=len(memories)),
        )
        return ConsolidationResult(
            outcome="succeeded" if published.status == "done" else "failed",
            reason=published.reason or "",
            run_id=published.run_id,
            inputs=len(memories),
            changed=tuple(change.path for change in changes) if published.status == "done" else (),
        )


def redacted(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same files with their secrets masked; raises UnicodeDecodeError for what is no text."""
    return {path: redact(content.decode()).encode() for path, content in files.items()}


async def bring_over(pipeline: MemoryPipeline, root: OpenRoot) -> None:
    """Copy what the old folder holds into a root that has nothing of its own yet; once for each root.

    The old folder stays as it is. Raises MemoryRootError and DatabaseError.
    """
    if await pipeline.database.read(partial(_was_brought_over, root=root.path)):
        return
    wanted = await off_the_loop(partial(_old_contents, root, default_root(pipeline.home)))
    if wanted:
        changes = await off_the_loop(partial(plan, root.files, wanted))
        await publish(pipeline, root, Decision(kind="import", changes=changes, started_at=pipeline.now_s()))


async def running_consolidation(pipeline: MemoryPipeline) -> MemoryJob | None:
    """The consolidation's job while somebody has it."""
    job = await pipeline.database.read(get_global_phase2_job)
    live = job is not None and lease_is_live(job, this_process(), now_s=pipeline.now_s())
    return job if live else None


def _changes(root: OpenRoot, memories: list[ThreadMemory]) -> list[Change]:
    made = redacted(artifacts.render(memories))
    there = [] if root.files is None else [entry.path for entry in root.files.entries()]
    return plan(root.files, {**made, **dict.fromkeys(artifacts.stale(there, made))})


def _was_brought_over(connection: sqlite3.Connection, root: Path) -> bool:
    found = connection.execute(
        "SELECT 1 FROM memory_runs WHERE kind = 'import' AND root = ? LIMIT 1", (str(root),)
    )
    return found.fetchone() is not None


def _old_contents(root: OpenRoot, old: Path) -> dict[str, bytes | None]:
    """The text files of the old folder by their paths in the root; none when the root has begun its own."""
    own = (MEMORY, SUMMARY, artifacts.RAW_MEMORIES, artifacts.SUMMARIES)
    if any(os.path.lexists(root.path / name) for name in own):
        return {}
    try:
        files = RootFiles(old)
    except OSError:
        return {}
    wanted: dict[str, bytes | None] = {}
    try:
        for entry in files.entries(
            without=lambda path: (
                not f"{OLD_FOLDER}/".startswith(f"{path}/") and not path.startswith(f"{OLD_FOLDER}/")
            )
        ):
            path = entry.path.removeprefix(f"{OLD_FOLDER}/")
            if path == entry.path or entry.refused or is_hidden(path):
                continue
            with contextlib.suppress(OSError, UnicodeDecodeError):  # no file of text: it stays where it is
                if root.files is None or root.files.read(path) is None:
                    wanted |= redacted({path: files.read(entry.path) or b""})
    finally:
        files.close()
    return wanted
