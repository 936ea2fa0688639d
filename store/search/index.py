"""The search index's rows, written in the transaction of the rows that they belong to.

Every function is one step of a unit of work, like those of `store.rollout_rows`. Items belong to a rollout's
file and stay with it when it is moved; whether a search shows them is decided when it is made: only those of
the file that a thread shows.
"""

from __future__ import annotations

import json
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from store.search.words import fold

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from store.rollouts.searchable import Found, SaidRow, TouchRow

LONGEST_TITLE: Final = 2_000
"""How much of a title or first prompt is in the titles' index, in characters; the items have all of it."""

HOUR_MS: Final = 3_600_000

_ROLLOUT_BITS: Final = 24
_ITEM_BITS: Final = 16
_IN_AN_HOUR: Final = 1 << _ITEM_BITS
_LAST_HOUR: Final = (1 << 22) - 1


class Written(NamedTuple):
    """What a read of the rollout at `path` found, which ended at `parsed_bytes`."""

    path: str
    found: Found
    parsed_bytes: int
    at_ms: int
    """When the rollout was written, for lines that do not say it of themselves."""


def first_id(hour: int, rollout: int) -> int:
    """The first of the ids that a rollout's items of one hour (since the epoch) have."""
    return (hour << _ROLLOUT_BITS | rollout) << _ITEM_BITS


def hour_of(item: str) -> str:
    """SQL that says of which hour the item is whose id is this."""
    return f"({item} >> {_ROLLOUT_BITS + _ITEM_BITS})"


def rollout_of(item: str) -> str:
    """SQL that says of which rollout the item is whose id is this."""
    return f"({item} >> {_ITEM_BITS} & {(1 << _ROLLOUT_BITS) - 1})"


def write_found(connection: sqlite3.Connection, reads: Sequence[Written]) -> Sequence[str]:
    """Write what a batch of reads found to search; what was rolled back or read anew goes.

    Returns the paths of rollouts that have to be read from their beginning: what lies before is not known.
    """
    reached = _reached(connection, [read.path for read in reads])
    items: list[tuple[int, SaidRow, int]] = []
    touches: list[tuple[int, TouchRow]] = []
    fresh = set()
    lacking = []
    for path, found, _end, at_ms in reads:
        key, end = reached[path]
        if found.start > end:
            lacking.append(path)
            continue
        if found.start == 0:
            _remove(connection, key)
            fresh.add(key)
        elif (cut := _cut(found, end)) is not None:
            _remove(connection, key, cut)
        items += [(key, row, at_ms) for row in found.said]
        touches += [(key, row) for row in found.touches]
    _insert_items(connection, items, fresh)
    _insert_touches(connection, touches)
    connection.executemany(
        "UPDATE search_rollouts SET parsed_bytes = ? WHERE path = ?",
        [(read.parsed_bytes, read.path) for read in reads if read.path not in lacking],
    )
    return lacking


def _cut(found: Found, reached: int) -> int | None:
    """From which line on what is known goes: it was rolled back, or another process has read it meanwhile."""
    if found.start == reached:
        return found.cut
    lines = [found.first_line, *(row.line for row in found.said)]
    return min(lines if found.cut is None else [*lines, found.cut])


def move_found(connection: sqlite3.Connection, old: str, new: str) -> None:
    """Follow a file that was moved."""
    forget_found(connection, new)
    connection.execute("UPDATE search_rollouts SET path = ? WHERE path = ?", (new, old))


def forget_found(connection: sqlite3.Connection, path: str) -> None:
    """Remove all that was found in a file."""
    row = connection.execute("DELETE FROM search_rollouts WHERE path = ? RETURNING key", (path,)).fetchone()
    if row is not None:
        _remove(connection, row[0])


def write_titles(connection: sqlite3.Connection, thread_ids: Sequence[str]) -> None:
    """Bring the titles' index up to date with the rows and names of these threads."""
    changed = []
    for key, *texts in connection.execute(
        "SELECT t.key, c.name, t.title, t.first_user_message, s.name, s.title, s.prompt FROM threads t"
        " LEFT JOIN codex_threads c ON c.thread_id = t.id LEFT JOIN search_titles s ON s.rowid = t.key"
        " WHERE t.id IN (SELECT value FROM json_each(?))",
        (json.dumps(thread_ids),),
    ).fetchall():
        name, title, prompt = (fold((text or "")[:LONGEST_TITLE]) for text in texts[:3])
        new = (name, title, "" if prompt == title else prompt)
        if new != tuple(texts[3:]):
            changed.append((key, *new))
    connection.executemany(
        "INSERT OR REPLACE INTO search_titles (rowid, name, title, prompt) VALUES (?, ?, ?, ?)",
        sorted(changed),
    )


def forget_title(connection: sqlite3.Connection, thread_id: str | None, path: str) -> None:
    """Remove the thread that shows a file from the titles' index; to be called while it has its row."""
    connection.execute(
        "DELETE FROM search_titles WHERE rowid = (SELECT key FROM threads WHERE id = ? AND rollout_path = ?)",
        (thread_id, path),
    )


def _reached(connection: sqlite3.Connection, paths: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Of each rollout its key, and how far it is known."""
    connection.executemany(
        "INSERT INTO search_rollouts (path) VALUES (?) ON CONFLICT DO NOTHING", [(path,) for path in paths]
    )
    marks = ", ".join("?" * len(paths))
    rows = connection.execute(
        f"SELECT path, key, parsed_bytes FROM search_rollouts WHERE path IN ({marks})", paths
    )
    return {path: (key, reached) for path, key, reached in rows.fetchall()}


def _remove(connection: sqlite3.Connection, rollout: int, from_line: int = 0) -> None:
    at = (rollout, from_line)
    connection.execute(
        "INSERT INTO search_words (search_words, rowid, words)"
        " SELECT 'delete', id, words FROM search_items WHERE rollout = ? AND line >= ?",
        at,
    )
    connection.execute("DELETE FROM search_items WHERE rollout = ? AND line >= ?", at)
    connection.execute("DELETE FROM file_touches WHERE rollout = ? AND line >= ?", at)


def _insert_items(
    connection: sqlite3.Connection, items: Iterable[tuple[int, SaidRow, int]], fresh: Collection[int]
) -> None:
    """SQLite writes out what it holds of the index whenever an id is not above the last: so, in order."""
    rows = []
    for number, rollout, (line, kind, at, text, tool) in sorted(
        _numbered(connection, items, fresh), key=itemgetter(0)
    ):
        original = None if text.isascii() else text
        rows.append((number, rollout, line, kind, at, tool, fold(text), original))
    connection.executemany(
        "INSERT INTO search_items (id, rollout, line, kind, at, tool, words, original)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    connection.executemany(
        "INSERT INTO search_words (rowid, words) VALUES (?, ?)", [(row[0], row[6]) for row in rows]
    )


def _numbered(
    connection: sqlite3.Connection, items: Iterable[tuple[int, SaidRow, int]], fresh: Collection[int]
) -> Iterator[tuple[int, int, SaidRow]]:
    """The items with an id each. Where a rollout's hour is full, its next one is taken."""
    used: dict[int, int] = {}
    for rollout, row, at_ms in items:
        hour = min(max((at_ms if row.at is None else row.at) // HOUR_MS, 0), _LAST_HOUR)
        while True:
            first = first_id(hour, rollout)
            taken = used.get(first)
            if taken is None:
                taken = 0 if rollout in fresh else _taken(connection, first)
            if taken < _IN_AN_HOUR:
                break
            hour += 1
        used[first] = taken + 1
        yield first + taken, rollout, row


def _taken(connection: sqlite3.Connection, first: int) -> int:
    (last,) = connection.execute(
        "SELECT MAX(id) FROM search_items WHERE id >= ? AND id < ?", (first, first + _IN_AN_HOUR)
    ).fetchone()
    return 0 if last is None else int(last) - first + 1


def _insert_touches(connection: sqlite3.Connection, touches: Sequence[tuple[int, TouchRow]]) -> None:
    paths = {row.path for _key, row in touches}
    connection.executemany(
        "INSERT INTO touched_paths (path, name) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(path, path.rpartition("/")[2]) for path in sorted(paths)],
    )
    connection.executemany(
        "INSERT INTO file_touches (path, rollout, turn, action, line, at)"
        " SELECT key, ?, ?, ?, ?, ? FROM touched_paths WHERE path = ? ON CONFLICT DO NOTHING",
        [(key, row.turn, row.action, row.line, row.at, row.path) for key, row in touches],
    )
