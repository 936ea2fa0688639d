"""Threads: list and get, database first, files as the fallback; stale rows pruned as they are met."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from store.backfill_state import get_backfill_state, list_is_complete
from store.cursors import Cursor
from store.errors import DatabaseError, RolloutError, UnknownThread
from store.folders import known_devices, was_unmounted
from store.models import DynamicTool, ListedFrom, Thread, ThreadQuery, ThreadsPage
from store.rollout_rows import prune_rollout
from store.thread_rows import SELECT_THREAD, thread_from_row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from store.clock import Clock
    from store.database import Database
    from store.file_listing import FileListing
    from store.home import CodexHome

MAX_PAGE: Final = 100_000
"""The longest page that is made in one piece."""

FILES_FRESH_SECONDS: Final = 5.0
"""How long one scan serves: one with each commit of the backfill would keep a large home from showing."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The keys of a whole listing, in order; rows are asked for by key as they are shown."""

    keys: Sequence[int]
    total: int
    hidden: dict[str, int]
    source: ListedFrom


class Threads:
    """The threads of one home. Without a database everything comes from the files."""

    def __init__(self, home: CodexHome, database: Database | None, clock: Clock) -> None:
        self._home = home
        self._database = database
        self._clock = clock
        self._files: FileListing | None = None
        self._files_at = 0.0

    async def list_threads(
        self,
        query: ThreadQuery,
        cursor: str | None = None,
        *,
        limit: int = 50,
        from_files: bool = False,
    ) -> ThreadsPage:
        """One page of threads, refilled when pruning shortened it. Raises BadCursor."""
        place = None if cursor is None else Cursor.from_text(cursor)
        if place is not None:
            place.check(query, from_files=from_files)
            from_files = from_files or place.listed_from == "files"
        limit = max(1, min(limit, MAX_PAGE))
        if not from_files and self._database is not None and await self._can_answer():
            try:
                return await self._page_from_database(self._database, query, place, limit)
            except DatabaseError:
                if place is not None:
                    raise
        if place is not None:
            place.check(query, from_files=True)
        return await asyncio.to_thread(self._page_from_files, query, place, limit)

    async def listing(self, query: ThreadQuery) -> Listing:
        """Every key that matches, in order."""
        if self._database is not None and await self._can_answer():
            try:
                return await self._database.read(lambda c: _listing(c, query))
            except DatabaseError:
                pass
        return await asyncio.to_thread(self._listing_from_files, query)

    async def rows(self, keys: Sequence[int], source: ListedFrom) -> list[Thread]:
        """The threads of these keys, in their order; those that are gone are left out and pruned."""
        if source == "files":
            files = self._files
            return [] if files is None else await asyncio.to_thread(files.rows, keys)
        if self._database is None:
            return []
        threads = await self._database.read(lambda c: _rows(c, keys))
        gone = await self._prune_gone(threads)
        return [thread for thread in threads if thread.rollout_path not in gone]

    async def get_thread(self, thread_id: str) -> Thread:
        """The thread with this id, or the only one whose id begins with it. Raises UnknownThread."""
        found: list[Thread] = []
        if self._database is not None:
            found = await self._database.read(lambda c: _find(c, thread_id))
            gone = await self._prune_gone(found)
            found = [thread for thread in found if thread.rollout_path not in gone]
        if not found:
            found = await asyncio.to_thread(lambda: _scan(self._home).find(thread_id))
        return _only(found, thread_id)

    async def base_paths(self, thread: Thread) -> dict[str, Path]:
        """The rollouts that a thread's history goes on from, each by its own id, the nearest first.

        What lies behind a base that is not there is left out; a ring ends where it closes.
        """
        from store.rollouts.bases import find_bases
        from store.rollouts.scan import is_reverted

        if thread.forked_from_id is None and not is_reverted(thread.rollout_path):
            return {}
        paths = await self._rollout_paths()
        return await asyncio.to_thread(find_bases, self._home.path, thread.rollout_path, paths)

    async def get_dynamic_tools(self, thread: Thread) -> tuple[DynamicTool, ...]:
        """The tools that the client gave the thread: from the database, else from its rollout."""
        if self._database is not None:
            tools = await self._database.read(lambda c: _tools(c, thread.id))
            if tools:
                return tools
        return await asyncio.to_thread(self._tools_in_file, thread)

    async def _can_answer(self) -> bool:
        assert self._database is not None
        try:
            return await self._database.read(lambda c: list_is_complete(get_backfill_state(c)))
        except DatabaseError:
            return False

    async def _rollout_paths(self) -> Sequence[str]:
        """Every rollout of the home, by what the database knows, else by a look."""
        if self._database is not None and await self._can_answer():
            try:
                return await self._database.read(_all_paths)
            except DatabaseError:
                pass
        from store.rollouts.scan import scan_home

        scan = await asyncio.to_thread(scan_home, self._home.path)
        return [file.path for file in scan.files]

    async def _page_from_database(
        self, database: Database, query: ThreadQuery, place: Cursor | None, limit: int
    ) -> ThreadsPage:
        after = None if place is None else (place.key_ms, place.thread_id)
        items: list[Thread] = []
        more = True
        while more and len(items) < limit:
            wanted = limit - len(items)
            threads, more = await database.read(partial(_page, query=query, after=after, limit=wanted))
            if not threads:
                break
            after = (_sort_ms(threads[-1], query), threads[-1].id)
            gone = await self._prune_gone(threads)
            items += [thread for thread in threads if thread.rollout_path not in gone]
        total, hidden = await database.read(lambda c: _counts(c, query))
        last = items[-1] if more and items else None
        return ThreadsPage(
            items=tuple(items),
            next_cursor=None
            if last is None
            else Cursor.after(query, "database", _sort_ms(last, query), last.id).to_text(),
            total=total,
            hidden={"archived": hidden},
            source="database",
        )

    def _page_from_files(self, query: ThreadQuery, place: Cursor | None, limit: int) -> ThreadsPage:
        files = _scan(self._home)
        after = None if place is None else (place.key_ms, place.thread_id)
        items, more = files.page(query, limit, after)
        last = items[-1] if more and items else None
        total = files.count(query)
        if total is None and place is None and not more:
            total = len(items)
        return ThreadsPage(
            items=tuple(items),
            next_cursor=None
            if last is None
            else Cursor.after(query, "files", files.sort_ms(last.key, query), last.id).to_text(),
            total=total,
            hidden={"archived": files.archived_count(query)},
            source="files",
            notices=files.notices(),
        )

    def _listing_from_files(self, query: ThreadQuery) -> Listing:
        now = self._clock.monotonic()
        if self._files is None or now - self._files_at > FILES_FRESH_SECONDS:
            self._files, self._files_at = _scan(self._home), now
        files = self._files
        keys = files.keys(query)
        return Listing(keys, len(keys), {"archived": files.archived_count(query)}, "files")

    async def _prune_gone(self, threads: Sequence[Thread]) -> set[str]:
        """Prune the threads whose file is surely gone; returns the paths of those files."""
        assert self._database is not None
        missing = await asyncio.to_thread(_missing, self._home.path, [t.rollout_path for t in threads])
        if not missing:
            return set()
        devices = await self._database.read(known_devices)
        gone = {
            path
            for path, device in missing.items()
            if not was_unmounted(devices, path.rpartition("/")[0], device)
        }
        now_ms = self._clock.now_ms()

        def unit(connection: sqlite3.Connection) -> None:
            for thread in threads:
                if thread.rollout_path in gone:
                    prune_rollout(connection, thread.rollout_path, now_ms=now_ms, thread_id=thread.id)

        if gone:
            await self._database.write(unit)
        return gone

    def _tools_in_file(self, thread: Thread) -> tuple[DynamicTool, ...]:
        from store.rollouts.metadata import read_heads
        from store.rollouts.scan import fingerprint

        file = fingerprint(self._home.path, thread.rollout_path)
        if file is None:
            return ()
        try:
            return read_heads(self._home.path, file).facts.tools
        except RolloutError:
            return ()


def _scan(home: CodexHome) -> FileListing:
    """The files of the home; what reads them is loaded only where the database cannot answer."""
    from store.file_listing import FileListing

    return FileListing.of(home.path)


def _missing(home: Path, paths: Iterable[str]) -> dict[str, int]:
    """The paths where a look finds nothing, in a folder that can be read, with that folder's device."""
    missing = {}
    for path in paths:
        full = home / path
        try:
            full.lstat()
        except FileNotFoundError:
            with suppress(OSError):
                next(full.parent.iterdir(), None)
                missing[path] = full.parent.stat().st_dev
        except OSError:
            continue
    return missing


def _where(query: ThreadQuery, alias: str) -> tuple[str, list[Any]]:
    """The filters of a query but for the archive, on the table named `alias`."""
    parts: list[str] = []
    values: list[Any] = []
    if query.cwd is not None:
        parts.append(f"{alias}.cwd = ?")
        values.append(query.cwd)
    for column, wanted in (("source", query.sources), ("model_provider", query.providers)):
        if wanted:
            parts.append(f"{alias}.{column} IN ({', '.join('?' * len(wanted))})")
            values += wanted
    if query.ids is not None:
        parts.append(f"{alias}.id IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(query.ids))
    if query.parent is not None:
        parts.append(f"{alias}.parent_thread_id = ?")
        values.append(query.parent)
    if query.text:
        texts = ", ".join(f"{alias}.{c}" for c in ("title", "first_user_message", "preview", "cwd"))
        parts.append(
            f"matches(?, {texts}, (SELECT name FROM codex_threads n WHERE n.thread_id = {alias}.id))"
        )
        values.append(query.text.casefold())
    return " AND ".join(parts) or "1", values


def _archive(query: ThreadQuery, alias: str) -> str:
    return "1" if query.archived == "any" else f"{alias}.archived = {int(query.archived == 'yes')}"


def _visible(query: ThreadQuery) -> tuple[str, list[Any]]:
    """The whole condition on `t`, with folded sub-agents left out."""
    where, values = _where(query, "t")
    where = f"{_archive(query, 't')} AND {where}"
    if query.fold_children and query.text is None and query.parent is None:
        parent, more = _where(query, "p")
        where += (
            " AND (t.parent_thread_id IS NULL OR NOT EXISTS (SELECT 1 FROM threads p"
            f" WHERE p.id = t.parent_thread_id AND {_archive(query, 'p')} AND {parent}))"
        )
        values += more
    return where, values


def _order(query: ThreadQuery) -> tuple[str, str, str]:
    """Sort expression, direction, and the comparison that finds what comes behind a cursor."""
    key = "t.updated_at" if query.sort == "updated" else "COALESCE(t.created_at, 0)"
    return (key, "DESC", "<") if query.descending else (key, "ASC", ">")


def _sort_ms(thread: Thread, query: ThreadQuery) -> int:
    return (thread.updated_at if query.sort == "updated" else thread.created_at) or 0


def _listing(connection: sqlite3.Connection, query: ThreadQuery) -> Listing:
    _teach(connection, query)
    where, values = _visible(query)
    key, direction, _ = _order(query)
    rows = connection.execute(
        f"SELECT t.key FROM threads t WHERE {where} ORDER BY {key} {direction}, t.id {direction}",
        values,
    ).fetchall()
    total, hidden = _counts(connection, query)
    return Listing([row[0] for row in rows], total, {"archived": hidden}, "database")


def _rows(connection: sqlite3.Connection, keys: Sequence[int]) -> list[Thread]:
    found = {
        row[0]: row
        for row in connection.execute(
            f"{SELECT_THREAD} WHERE t.key IN ({', '.join('?' * len(keys))})",
            list(keys),
        ).fetchall()
    }
    return [thread_from_row(found[key]) for key in keys if key in found]


def _page(
    connection: sqlite3.Connection, query: ThreadQuery, after: tuple[int, str] | None, limit: int
) -> tuple[list[Thread], bool]:
    _teach(connection, query)
    where, values = _visible(query)
    key, direction, behind = _order(query)
    if after is not None:
        where += f" AND ({key}, t.id) {behind} (?, ?)"
        values += after
    rows = connection.execute(
        f"{SELECT_THREAD} WHERE {where} ORDER BY {key} {direction}, t.id {direction} LIMIT ?",
        [*values, limit + 1],
    ).fetchall()
    return [thread_from_row(row) for row in rows[:limit]], len(rows) > limit


def _counts(connection: sqlite3.Connection, query: ThreadQuery) -> tuple[int, int]:
    """How many match, folded ones included, and how many more would, were archived threads not left out."""
    _teach(connection, query)
    where, values = _where(query, "t")
    total = connection.execute(
        f"SELECT COUNT(*) FROM threads t WHERE {_archive(query, 't')} AND {where}", values
    ).fetchone()[0]
    if query.archived != "no":
        return total, 0
    hidden = connection.execute(
        f"SELECT COUNT(*) FROM threads t WHERE t.archived = 1 AND {where}",
        values,
    ).fetchone()[0]
    return total, hidden


def _teach(connection: sqlite3.Connection, query: ThreadQuery) -> None:
    """Give SQL the text filter of the file listing: SQLite's own LIKE folds the case of ASCII only."""
    if query.text:
        connection.create_function("matches", -1, _any_contains, deterministic=True)


def _any_contains(wanted: str, *texts: str | None) -> bool:
    return any(wanted in text.casefold() for text in texts if text)


def _all_paths(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT path FROM rollouts")]


def _find(connection: sqlite3.Connection, prefix: str) -> list[Thread]:
    rows = connection.execute(
        f"{SELECT_THREAD} WHERE t.id >= ? AND t.id < ? ORDER BY t.id LIMIT 3", (prefix, prefix + "\U0010ffff")
    ).fetchall()
    return [thread_from_row(row) for row in rows]


def _tools(connection: sqlite3.Connection, thread_id: str) -> tuple[DynamicTool, ...]:
    rows = connection.execute(
        "SELECT position, name, description, input_schema, defer_loading, namespace"
        " FROM thread_dynamic_tools WHERE thread_id = ? ORDER BY position",
        (thread_id,),
    ).fetchall()
    return tuple(
        DynamicTool(
            position=row[0],
            name=row[1],
            description=row[2],
            input_schema=None if row[3] is None else json.loads(row[3]),
            defer_loading=None if row[4] is None else bool(row[4]),
            namespace=row[5],
        )
        for row in rows
    )


def _only(found: Sequence[Thread], wanted: str) -> Thread:
    for thread in found:
        if thread.id == wanted:
            return thread
    if len(found) == 1 and wanted:
        return found[0]
    if not found or not wanted:
        raise UnknownThread(
            f"There is no thread {wanted or 'without an id'}",
            why="no rollout in this Codex home has an id that begins so",
            next_step="`rollodex threads` lists them; another home is read with --codex-home",
        )
    names = ", ".join(thread.id for thread in found[:2])
    raise UnknownThread(
        f"More than one thread begins with {wanted}",
        why=f"{names}{', …' if len(found) > 2 else ''}",
        next_step="Give more of the id",
    )
