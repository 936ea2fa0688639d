"""The person's own stars, tags and names of threads; steps of units of work on `user.sqlite`.

They outlive the index, and a thread whose file is gone (`store.missing_threads`). What is listed here is
of the threads that are there.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from store.errors import BadMark
from store.models import Marks

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

LONGEST_TAG: Final = 64
LONGEST_NAME: Final = 500
"""In characters."""

_THERE: Final = "thread_id IN (SELECT id FROM state.threads)"
_IDS_AT_ONCE: Final = 500
"""How many parameters one statement is given; SQLite takes at least 999."""


def tag_of(text: str) -> str:
    """A tag as it is kept: without `#` before it, in lower case, `-` for white space. Raises BadMark."""
    tag = "-".join(unicodedata.normalize("NFKC", text).casefold().strip().removeprefix("#").split())
    if not tag or len(tag) > LONGEST_TAG or not tag.isprintable():
        why = (
            f"a tag has at most {LONGEST_TAG} characters"
            if len(tag) > LONGEST_TAG
            else "control characters cannot be typed into a search"
            if tag
            else "there is nothing in it"
        )
        raise BadMark(
            f"{text[:LONGEST_TAG]!r} is no tag", why=why, next_step="Write a word, such as `review`"
        )
    return tag


def set_star(
    connection: sqlite3.Connection, thread_ids: Iterable[str], *, starred: bool, now_ms: int
) -> None:
    """Star these threads, or take their stars away."""
    if starred:
        connection.executemany(
            "INSERT INTO stars (thread_id, starred_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(thread_id, now_ms) for thread_id in thread_ids],
        )
    else:
        connection.executemany("DELETE FROM stars WHERE thread_id = ?", [(each,) for each in thread_ids])


def set_tags(
    connection: sqlite3.Connection,
    thread_ids: Iterable[str],
    *,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    now_ms: int,
) -> None:
    """Give these threads some tags, and take others from them. Raises BadMark before anything is written."""
    ids, added, removed = list(thread_ids), [tag_of(tag) for tag in add], [tag_of(tag) for tag in remove]
    connection.executemany(
        "DELETE FROM tags WHERE thread_id = ? AND tag = ?", [(each, tag) for each in ids for tag in removed]
    )
    connection.executemany(
        "INSERT INTO tags (thread_id, tag, tagged_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(each, tag, now_ms) for each in ids for tag in added],
    )


def set_local_name(connection: sqlite3.Connection, thread_id: str, name: str | None, *, now_ms: int) -> None:
    """Give the thread a name that only Rollodex knows; None or white space takes it away. Raises BadMark."""
    name = " ".join((name or "").split())
    if len(name) > LONGEST_NAME:
        raise BadMark("The name is too long", why=f"it may have {LONGEST_NAME} characters")
    if not name:
        connection.execute("DELETE FROM local_names WHERE thread_id = ?", (thread_id,))
        return
    connection.execute(
        "INSERT INTO local_names (thread_id, name, named_at) VALUES (?, ?, ?)"
        " ON CONFLICT (thread_id) DO UPDATE SET name = excluded.name, named_at = excluded.named_at",
        (thread_id, name, now_ms),
    )


def get_marks(connection: sqlite3.Connection, thread_ids: Sequence[str]) -> dict[str, Marks]:
    """What these threads are marked with, by id; a thread without marks is not in it."""
    starred: set[str] = set()
    tags: defaultdict[str, list[str]] = defaultdict(list)
    names: dict[str, str] = {}
    for start in range(0, len(thread_ids), _IDS_AT_ONCE):
        ids = thread_ids[start : start + _IDS_AT_ONCE]
        among = f"WHERE thread_id IN ({', '.join('?' * len(ids))})"
        starred.update(row[0] for row in connection.execute(f"SELECT thread_id FROM stars {among}", ids))
        for thread_id, tag in connection.execute(
            f"SELECT thread_id, tag FROM tags {among} ORDER BY tag", ids
        ):
            tags[thread_id].append(tag)
        names.update(connection.execute(f"SELECT thread_id, name FROM local_names {among}", ids).fetchall())
    return {
        thread_id: Marks(
            starred=thread_id in starred, tags=tuple(tags[thread_id]), local_name=names.get(thread_id)
        )
        for thread_id in starred | tags.keys() | names.keys()
    }


def starred_threads(connection: sqlite3.Connection) -> set[str]:
    """The ids of all threads with a star (`is:starred`)."""
    return {row[0] for row in connection.execute(f"SELECT thread_id FROM stars WHERE {_THERE}")}


def tagged_threads(connection: sqlite3.Connection, tag: str) -> set[str]:
    """The ids of all threads with this tag (`tag:…`), however it is written; none has what is no tag."""
    try:
        wanted = tag_of(tag)
    except BadMark:
        return set()
    found = connection.execute(f"SELECT thread_id FROM tags WHERE tag = ? AND {_THERE}", (wanted,))
    return {row[0] for row in found}


def all_tags(connection: sqlite3.Connection) -> dict[str, int]:
    """Every tag in use, with the number of its threads; the most used first."""
    rows = connection.execute(
        f"SELECT tag, COUNT(*) FROM tags WHERE {_THERE} GROUP BY tag ORDER BY COUNT(*) DESC, tag"
    )
    return dict(rows.fetchall())
