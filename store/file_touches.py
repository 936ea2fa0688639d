"""Which thread touched which file: from patches, file changes, and commands that name files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from store.models import display_title
from store.search.matching import all_of, touched

if TYPE_CHECKING:
    import sqlite3

    from store.rollouts.touched import TouchAction
    from store.search.matching import Condition


@dataclass(frozen=True, slots=True)
class FileTouch:
    """A turn of a thread and a file that it touched, for the first time at `line`.

    `turn` counts the turns that the thread's rollout itself holds, from 0; `line` opens the item, as in
    `TranscriptItem.line`. A path is absolute so far as the turn's folder is known.
    """

    thread_id: str
    display_title: str
    cwd: str | None
    archived: bool
    path: str
    action: TouchAction
    turn: int
    line: int
    at: int | None


@dataclass(frozen=True, slots=True)
class FileTouches:
    """A page of touches, newest first, and how many there are."""

    touches: tuple[FileTouch, ...]
    total: int


_TABLE: Final = (
    "file_touches f JOIN touched_paths p ON p.key = f.path JOIN search_rollouts r ON r.key = f.rollout"
    " JOIN threads t ON t.rollout_path = r.path"
)


def touches_of(
    connection: sqlite3.Connection,
    path: str,
    *,
    limit: int = 100,
    offset: int = 0,
    where: Condition = ("1", []),
) -> FileTouches:
    """Who touched a file; a unit for `Database.read`.

    An absolute path (or one under `~`) is that file, or all in that folder; any other is the end of a path:
    `rows.py`, `store/rows.py`, `*.toml`. `where` is a further condition on the thread `t`, its rollout `r`,
    and the touch `f`.
    """
    sql, values = all_of(touched(path), where)
    (total,) = connection.execute(f"SELECT COUNT(*) FROM {_TABLE} WHERE {sql}", values).fetchone()
    rows = connection.execute(
        "SELECT t.id, t.cwd, t.archived, p.path, f.action, f.turn, f.line, f.at,"
        f" c.name, t.title, t.first_user_message, t.preview FROM {_TABLE}"
        f" LEFT JOIN codex_threads c ON c.thread_id = t.id WHERE {sql}"
        " ORDER BY COALESCE(f.at, t.updated_at) DESC, f.line DESC, p.path LIMIT ? OFFSET ?",
        [*values, limit, offset],
    ).fetchall()
    touches = tuple(
        FileTouch(
            thread_id=row[0],
            display_title=display_title(*row[8:]),
            cwd=row[1],
            archived=bool(row[2]),
            path=row[3],
            action=row[4],
            turn=row[5],
            line=row[6],
            at=row[7],
        )
        for row in rows
    )
    return FileTouches(touches, total)
