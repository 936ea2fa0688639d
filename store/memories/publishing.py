"""How files of the root are changed: decided on in one transaction, then written one by one.

From the decision on the database holds what every file was and is to be, so that whoever comes after a
process that died goes on: all of a run's files are written, or none.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from store.errors import DatabaseError, MemoryRootError, StoreError
from store.memories.jobs import mark_global_phase2_job_failed, mark_global_phase2_job_succeeded
from store.memories.root import OpenRoot, check_root
from store.memories.root_files import NotAFile, digest
from store.memories.uninterrupted import off_the_loop, to_the_end
from store.models import Notice

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence

    from store.memories.models import RunKind, RunStatus
    from store.memories.pipeline import MemoryPipeline
    from store.memories.root_files import RootFiles
    from store.models import LogLevel

KEPT_RUNS: Final = 20
"""Of each root, how many of the runs that changed files keep what these were."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a run makes of one file; None is no file."""

    path: str
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True, slots=True)
class Decision:
    """A run that is to change the root."""

    kind: RunKind
    changes: Sequence[Change]
    started_at: int
    engine: str | None = None
    restores: int | None = None
    inputs: int = 0
    token: str | None = None
    """Of a consolidation's claim."""
    watermark: int | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a run."""

    run_id: int
    status: RunStatus
    reason: str | None = None


def plan(
    files: RootFiles | None,
    wanted: Mapping[str, bytes | None],
    seen: Mapping[str, bytes] | None = None,
) -> list[Change]:
    """What has to change for the files to be as wanted; None is no file.

    `seen` are the digests of what the run started from: raises MemoryRootError when a file that it would
    change is another by now, and for what is no regular file.
    """
    changes = []
    for path, after in sorted(wanted.items()):
        try:
            before = None if files is None else files.read(path)
        except NotAFile as error:
            raise MemoryRootError(
                f"{path} in the memory root is {error.kind}",
                why="nothing but regular files is written, and no link is followed",
                next_step="Nothing was published. Move it away, then try again",
            ) from error
        except OSError as error:
            raise MemoryRootError(
                f"{path} in the memory root cannot be read", why=error.strerror or str(error)
            ) from error
        if seen is not None and (None if before is None else digest(before)) != seen.get(path):
            raise MemoryRootError(
                f"{path} was changed while the engine ran",
                why="publishing would have overwritten that change",
                next_step="Nothing was published. Consolidate again: it starts from what is there now",
            )
        if before != after:
            changes.append(Change(path, before, after))
    return changes


async def publish(
    pipeline: MemoryPipeline,
    root: OpenRoot,
    decision: Decision,
    *,
    unless: Callable[[sqlite3.Connection], None] = lambda _: None,
) -> Published:
    """Decide on a run and carry it out, to the end even when cancelled meanwhile.

    `unless` raises in the deciding transaction where it may not be. Raises MemoryRootError when the files
    could be written only in part: the rest is written by the next run, or the next start.
    """
    return await to_the_end(_publish(pipeline, root, decision, unless))


async def _publish(
    pipeline: MemoryPipeline,
    root: OpenRoot,
    decision: Decision,
    unless: Callable[[sqlite3.Connection], None],
) -> Published:
    if root.files is not None or any(change.after is not None for change in decision.changes):
        await asyncio.to_thread(root.make)

    def decide(connection: sqlite3.Connection) -> int:
        unless(connection)
        return insert_run(connection, root.path, decision)

    run_id = await pipeline.database.write(decide)
    return await _carry_out(pipeline, root, run_id)


def insert_run(connection: sqlite3.Connection, root: Path, decision: Decision) -> int:
    """Write a run into the journal: from the commit on it is decided. A step of a unit of work."""
    run_id = connection.execute(
        "INSERT INTO memory_runs (kind, root, engine, status, restores, inputs, ownership_token, watermark,"
        " started_at) VALUES (?, ?, ?, 'publishing', ?, ?, ?, ?, ?)",
        (
            *(decision.kind, str(root), decision.engine, decision.restores, decision.inputs),
            *(decision.token, decision.watermark, decision.started_at),
        ),
    ).lastrowid
    assert run_id is not None
    connection.executemany(
        "INSERT INTO memory_run_files (run_id, path, before, after) VALUES (?, ?, ?, ?)",
        [(run_id, change.path, change.before, change.after) for change in decision.changes],
    )
    return run_id


def read_changes(connection: sqlite3.Connection, run_id: int) -> list[Change]:
    """What a run changes, in the order of the paths."""
    rows = connection.execute(
        "SELECT path, before, after FROM memory_run_files WHERE run_id = ? ORDER BY path", (run_id,)
    )
    return [Change(*row) for row in rows]


async def finish_publishing(pipeline: MemoryPipeline) -> tuple[Notice, ...]:
    """Finish what processes that died had decided on, in whatever root; returns what a person should know.

    What another process is at is left to it.
    """
    notices = []
    for path in await pipeline.database.read(_roots_to_finish):
        try:
            with OpenRoot(Path(path), pipeline.folder) as root:
                if await off_the_loop(root.lock):
                    notices += [_notice(root, each) for each in await finish_root(pipeline, root)]
        except StoreError as error:
            notices.append(
                Notice(severity="error", what=error.what, why=error.why, next_step=error.next_step)
            )
    return tuple(notices)


async def finish_root(pipeline: MemoryPipeline, root: OpenRoot) -> list[Published]:
    """Finish what was decided on for a root that is locked; raises MemoryRootError where that fails."""
    runs = await pipeline.database.read(partial(_runs_to_finish, root=root.path))
    if runs:
        await off_the_loop(partial(check_root, pipeline.home, root.path, pipeline.folder))
    return [await to_the_end(_carry_out(pipeline, root, run_id, again=True)) for run_id in runs]


async def _carry_out(
    pipeline: MemoryPipeline, root: OpenRoot, run_id: int, *, again: bool = False
) -> Published:
    changes = await pipeline.database.read(partial(read_changes, run_id=run_id))
    try:
        others = await asyncio.to_thread(_settle, root, changes)
    except OSError as error:
        why = error.strerror or str(error)
        reason = f"only a part of run {run_id} is published: {why}"
        with contextlib.suppress(DatabaseError):  # the disk may be full for the database as well
            await pipeline.database.write(partial(_note_reason, run_id=run_id, reason=reason))
        await note(pipeline, "ERROR", f"{reason} ({root.path})")
        raise MemoryRootError(
            f"Only a part of run {run_id} is published in {root.path}",
            why=why,
            next_step="Make it writable, or make room; the next run and the next start write the rest",
        ) from error
    published = Published(run_id, "failed" if others else "done", _reason(others) if others else None)
    await pipeline.database.write(partial(_conclude, published=published, now_s=pipeline.now_s()))
    late = ", which a process that ended had decided on" if again else ""
    if others:
        await note(pipeline, "WARN", f"run {run_id}{late} was taken back in {root.path}: {published.reason}")
    else:
        await note(pipeline, "INFO", f"run {run_id}{late} is published in {root.path}: {_counted(changes)}")
    return published


def _settle(root: OpenRoot, changes: Sequence[Change]) -> tuple[str, ...]:
    """Write every file that is not yet as it is to be; returns those that somebody else has changed.

    Where there are such, all the others are what they were before.
    """
    if root.files is None:
        gone = tuple(change.path for change in changes if change.before is not None)
        if gone or not changes:
            return gone
    files = root.make()
    for change in changes:
        files.sweep(change.path)
    others = [change.path for change in changes if _stands(files, change) == "other"]
    if not others:
        for change in changes:
            now = _stands(files, change)
            if now == "before":
                _put(files, change.path, change.after)
            elif now == "other":
                others.append(change.path)
                break
    if others:
        for change in changes:
            if _stands(files, change) == "after":
                _put(files, change.path, change.before)
    return tuple(others)


def _stands(files: RootFiles, change: Change) -> Literal["before", "after", "other"]:
    """How the file is now: as the run found it, as it leaves it, or as somebody else has made it since."""
    try:
        content = files.read(change.path)
    except NotAFile:
        return "other"
    if content == change.after:
        return "after"
    return "before" if content == change.before else "other"


def _put(files: RootFiles, path: str, content: bytes | None) -> None:
    if content is None:
        files.remove(path)
    else:
        files.write(path, content)


def _conclude(connection: sqlite3.Connection, published: Published, now_s: int) -> None:
    """The files are written or taken back: end the run, and its job with it."""
    token, watermark, root = connection.execute(
        "UPDATE memory_runs SET status = ?, reason = ?, finished_at = ? WHERE id = ?"
        " RETURNING ownership_token, watermark, root",
        (published.status, published.reason, now_s, published.run_id),
    ).fetchone()
    if token is not None and published.status == "done":
        mark_global_phase2_job_succeeded(connection, token, watermark, now_s=now_s, even_failed=True)
    elif token is not None:
        mark_global_phase2_job_failed(
            connection,
            token,
            now_s=now_s,
            reason=published.reason or "",
            retry_delay_s=0,
            spends_retry=False,
        )
    connection.execute(
        "DELETE FROM memory_run_files WHERE run_id IN (SELECT id FROM memory_runs r WHERE root = ?"
        " AND status <> 'publishing' AND EXISTS (SELECT 1 FROM memory_run_files WHERE run_id = r.id)"
        " ORDER BY id DESC LIMIT -1 OFFSET ?)",
        (root, KEPT_RUNS),
    )


def _note_reason(connection: sqlite3.Connection, run_id: int, reason: str) -> None:
    connection.execute("UPDATE memory_runs SET reason = ? WHERE id = ?", (reason, run_id))


def _roots_to_finish(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT DISTINCT root FROM memory_runs WHERE status = 'publishing'")
    return [root for (root,) in rows]


def _runs_to_finish(connection: sqlite3.Connection, root: Path) -> list[int]:
    rows = connection.execute(
        "SELECT id FROM memory_runs WHERE status = 'publishing' AND root = ? ORDER BY id", (str(root),)
    )
    return [run_id for (run_id,) in rows]


def _reason(others: Sequence[str]) -> str:
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return f"{others[0]}{more} was changed meanwhile; every other file is as it was before"


def _counted(changes: Sequence[Change]) -> str:
    return "1 file changed" if len(changes) == 1 else f"{len(changes)} files changed"


def _notice(root: OpenRoot, published: Published) -> Notice:
    if published.status == "failed":
        return Notice(
            severity="warning",
            what=f"Run {published.run_id} was taken back in {root.path}",
            why=published.reason or "",
            next_step="Consolidate again",
        )
    return Notice(
        severity="information",
        what=f"Run {published.run_id} is published in {root.path} now",
        why="its process had ended before all files were written",
    )


async def note(pipeline: MemoryPipeline, level: LogLevel, message: str) -> None:
    """Say it in our own log; a log that cannot be written now holds up no run."""
    try:
        await pipeline.log(level, "store.memories", message)
    except DatabaseError:
        return
