"""`rollodex search` and `rollodex files`: what they ask of the store."""

from __future__ import annotations

import asyncio
from contextlib import closing
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

from store.activity import look
from store.backfill_following import follow_backfill
from store.connection import connect_writer
from store.errors import StoreError
from store.file_touches import touches_of
from store.filesystems import on_network
from store.marks import all_tags, tagged_threads
from store.models import Notice, ThreadQuery
from store.search.listed import matching_threads
from store.search.models import Resolved, ScanHit
from store.search.query import parse_query
from store.search.scan import scan
from store.search.searching import search
from tui import json_output, search_output
from tui.subcommands import progress_line, tell
from tui.text_output import terminal_width

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from store.database import Database
    from store.opening import Store
    from store.search.query import Query
    from tui.options import Options


async def run_search(options: Options, values: Mapping[str, Any]) -> list[str]:
    """`rollodex search QUERY`: over everything that is indexed. Raises QueryError for what is no query."""
    async with options.open_store() as store:
        query = parse_query(values["query"], now_ms=store.clock.now_ms())
        state = await _all_read(store, as_json=values["as_json"])
        resolved = await _resolved(store, state, query)
        now_ms = store.clock.now_ms()
        if values["everywhere"]:
            found_there = await _scan(store, state, query, resolved, values["limit"])
            for path in found_there.unreadable:
                tell(store, (Notice(severity="warning", what=f"{path} cannot be read"),))
            if values["as_json"]:
                answer = search_output.scan_object(values["query"], found_there)
                return [json_output.dumps(answer), "\n"]
            lines = search_output.scan_lines(found_there, now_ms, terminal_width())
            return [f"{line}\n" for line in lines]
        found = await state.read(
            lambda c: search(c, query, now_ms=now_ms, resolved=resolved, limit=values["limit"])
        )
        if values["as_json"]:
            return [json_output.dumps(search_output.search_object(values["query"], found)), "\n"]
        lines = search_output.search_lines(found, now_ms, terminal_width())
        return [f"{line}\n" for line in lines]


async def _scan(
    store: Store, state: Database, query: Query, resolved: Resolved, limit: int
) -> search_output.Scanned:
    """The lines with the words, thread by thread, those written to last first."""
    wanted = set(await state.read(lambda c: matching_threads(c, query, resolved, titles=False)))
    listing = await store.threads.listing(ThreadQuery(archived="any", ids=tuple(wanted)))
    threads = {thread.id: thread for thread in await store.threads.rows(listing.keys, listing.source)}
    rollouts = [(thread.id, thread.rollout_path) for thread in threads.values()]
    stop = Event()

    def look_through() -> search_output.Scanned:
        found = search_output.Scanned()
        for told in scan(store.home.path, rollouts, query, stopping=stop.is_set):
            if isinstance(told, ScanHit):
                found.total += 1
                if len(found.hits) < limit:
                    found.hits.append((told, threads[told.thread_id]))
            else:
                found.unreadable = told.unreadable
        return found

    try:
        return await asyncio.to_thread(look_through)
    finally:
        stop.set()


async def list_touches(options: Options, values: Mapping[str, Any]) -> list[str]:
    """`rollodex files PATH`: the turns that read, wrote or deleted it, the newest first."""
    async with options.open_store() as store:
        state = await _all_read(store, as_json=values["as_json"])
        found = await state.read(lambda c: touches_of(c, values["path"], limit=values["limit"]))
        if values["as_json"]:
            return [json_output.dumps(search_output.touches_object(values["path"], found)), "\n"]
        lines = search_output.touch_lines(values["path"], found, store.clock.now_ms(), terminal_width())
        return [f"{line}\n" for line in lines]


async def _all_read(store: Store, *, as_json: bool) -> Database:
    """The state database, once every rollout is read in full and the rows equal the files."""
    if store.state is None or store.files is None:
        raise StoreError(
            "Nothing can be searched",
            why="Rollodex has no database of its own here",
            next_step=store.notices[0].next_step if store.notices else "",
        )
    path = store.files.state
    tell(store, await asyncio.to_thread(_follow, store, path, as_json=as_json))
    return store.state


def _follow(store: Store, state: Path, *, as_json: bool) -> tuple[Notice, ...]:
    with closing(connect_writer(state)) as connection:
        return follow_backfill(
            connection,
            store.home,
            clock=store.clock,
            report=progress_line(as_json=as_json, even_complete=False),
        )


async def _resolved(store: Store, state: Database, query: Query) -> Resolved:
    """What the query needs to know that the index does not hold."""
    tagged: dict[str, frozenset[str]] = {}
    working: frozenset[str] = frozenset()
    if "tagged" in query.needs and store.user is not None:
        tags = await store.user.read(all_tags)
        for tag in tags:
            tagged[tag] = frozenset(await store.user.read(partial(tagged_threads, tag=tag)))
    if "hidden" in query.needs:
        raise StoreError(
            "is:hidden cannot be answered",
            why="Rollodex does not know yet which threads Codex hides",
            next_step="Leave it out: a search here covers them, too",
        )
    if "working" in query.needs:
        network = bool(on_network(store.home.path))
        activities = await look(store.home, state, store.clock, network=network)
        working = frozenset(
            each.thread_id for each in activities.values() if each.state in ("working", "silent")
        )
    return Resolved(tagged=tagged, working=working)
