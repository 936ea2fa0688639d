"""Runs that changed a memory root: what they did, and undoing one."""

from __future__ import annotations

import difflib
from functools import partial
from typing import TYPE_CHECKING, Final

from store.errors import RestoreRefused, UnknownRun
from store.memories.models import FileChange, MemoryRun
from store.memories.publishing import (
    KEPT_RUNS,
    Change,
    Decision,
    finish_root,
    plan,
    publish,
    read_changes,
)
from store.memories.rebuilding import running_consolidation
from store.memories.root import OpenRoot, check_root
from store.memories.skipping import skipped_reason
from store.memories.uninterrupted import off_the_loop

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from store.memories.models import MemoryJob
    from store.memories.pipeline import MemoryPipeline

_COLUMNS: Final = tuple(name for name in MemoryRun.model_fields if name != "changed")


async def list_runs(pipeline: MemoryPipeline, *, limit: int = -1) -> list[MemoryRun]:
    """All runs of every root, or the newest ones; newest first. Those of old runs have no `changed`."""
    return await pipeline.database.read(partial(_read_runs, limit=limit))


async def changes(pipeline: MemoryPipeline, run_id: int) -> list[FileChange]:
    """What a run did to each file, in the order of their paths; raises UnknownRun.

    Empty for a run that changed none, and for one whose files are not kept any more.
    """
    await _run(pipeline, run_id)
    found = await pipeline.database.read(partial(read_changes, run_id=run_id))
    return await off_the_loop(lambda: [_file_change(change) for change in found])


async def restore(pipeline: MemoryPipeline, run_id: int, *, confirmed: bool = False) -> MemoryRun:
    """Undo a run: every file that it changed is again what it was before. That is a run itself.

    Raises RestoreRefused while a consolidation runs, where nothing is kept to go back to, and, unless
    `confirmed`, where files are others than the run left them; UnknownRun, MemoryRootError, DatabaseError.
    """
    with OpenRoot(pipeline.root, pipeline.folder) as root:
        await off_the_loop(partial(check_root, pipeline.home, pipeline.root, pipeline.folder))
        locked = await off_the_loop(root.lock)
        running = await running_consolidation(pipeline)
        if not locked or running is not None:
            raise _busy(run_id, running, pipeline.now_s())
        await finish_root(pipeline, root)
        undone = await _run(pipeline, run_id)
        kept = await pipeline.database.read(partial(read_changes, run_id=run_id))
        _refuse_impossible(undone, kept, root)
        present = await off_the_loop(partial(plan, root.files, {each.path: each.before for each in kept}))
        if not present:
            raise RestoreRefused(
                f"Run {run_id} needs no undoing", why="its files are already as they were before it"
            )
        since = _changed_since(kept, present)
        if since and not confirmed:
            raise RestoreRefused(
                f"Run {run_id} is not undone yet",
                why=f"{_names(since)} changed since, and would be lost",
                next_step="Confirm to go back all the same; that can be undone, too",
            )
        published = await publish(
            pipeline,
            root,
            Decision(kind="restore", changes=present, started_at=pipeline.now_s(), restores=run_id),
        )
    if published.status == "failed":
        raise RestoreRefused(f"Run {run_id} was not undone", why=published.reason or "")
    return await _run(pipeline, published.run_id)


def _refuse_impossible(undone: MemoryRun, kept: Sequence[Change], root: OpenRoot) -> None:
    what = f"Run {undone.id} cannot be undone"
    if undone.root != str(root.path):
        raise RestoreRefused(
            f"{what} in {root.path}",
            why=f"it changed {undone.root}",
            next_step="Name that folder with --memory-root",
        )
    if undone.status != "done":
        raise RestoreRefused(what, why="none of what it was to change was left published")
    if not kept:
        raise RestoreRefused(
            what,
            why=f"it changed no file, or is older than the last {KEPT_RUNS} runs that did; no more is kept",
        )


def _changed_since(kept: Sequence[Change], present: Sequence[Change]) -> list[str]:
    """Files that are neither what the run left nor what they are to be again."""
    left = {change.path: change.after for change in kept}
    return [change.path for change in present if change.before != left[change.path]]


def _busy(run_id: int, job: MemoryJob | None, now_s: int) -> RestoreRefused:
    return RestoreRefused(
        f"Run {run_id} is not undone now",
        why=skipped_reason("SkippedRunning", job, now_s=now_s),
        next_step="Try again when that has ended",
    )


def _names(paths: Sequence[str]) -> str:
    shown = ", ".join(paths[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"


async def _run(pipeline: MemoryPipeline, run_id: int) -> MemoryRun:
    found = await pipeline.database.read(partial(_read_runs, run_id=run_id))
    if not found:
        raise UnknownRun(
            f"There is no run {run_id}", next_step="`rollodex memories history` lists those there are"
        )
    return found[0]


def _read_runs(
    connection: sqlite3.Connection, *, limit: int = -1, run_id: int | None = None
) -> list[MemoryRun]:
    rows = connection.execute(
        f"SELECT {', '.join(_COLUMNS)} FROM memory_runs WHERE ? IS NULL OR id = ? ORDER BY id DESC LIMIT ?",
        (run_id, run_id, limit),
    ).fetchall()
    changed: dict[int, list[str]] = {row[0]: [] for row in rows}
    files = connection.execute(
        "SELECT run_id, path FROM memory_run_files WHERE run_id >= ? AND run_id <= ? ORDER BY run_id, path",
        (min(changed, default=0), max(changed, default=0)),
    )
    for found, path in files:
        changed[found].append(path)
    return [
        MemoryRun(**dict(zip(_COLUMNS, row, strict=True)), changed=tuple(changed[row[0]])) for row in rows
    ]


def _file_change(change: Change) -> FileChange:
    before, after = _text(change.before), _text(change.after)
    return FileChange(path=change.path, before=before, after=after, diff=_diff(change, before, after))


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode(errors="replace")


def _diff(change: Change, before: str | None, after: str | None) -> str:
    for content in (change.before, change.after):
        if content is not None and b"\0" in content:
            return ""
    lines = difflib.unified_diff(
        (before or "").splitlines(keepends=True),
        (after or "").splitlines(keepends=True),
        "/dev/null" if before is None else f"a/{change.path}",
        "/dev/null" if after is None else f"b/{change.path}",
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
