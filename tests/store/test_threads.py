"""Listing and getting threads: database first, files as the fallback, the same answer from both."""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import zstandard

from store.errors import BadCursor, DatabaseError, UnknownThread
from store.models import ThreadQuery
from store.opening import bring_up_to_date, open_store
from store.rollouts.metadata import read_heads
from store.rollouts.scan import scan_home
from store.threads import Threads
from store.threads import _page as read_page

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator
    from pathlib import Path

    from building import HomeBuilder
    from store_fixtures import FixedClock

    from store.models import Archived, ThreadSort, ThreadsPage
    from store.opening import Store
    from store.rollouts.metadata import HeadRead
    from store.rollouts.scan import RolloutFile


@asynccontextmanager
async def opened(builder: HomeBuilder, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Store]:
    async with open_store(builder.home, tmp_path / "state", clock) as store:
        await bring_up_to_date(store)
        yield store


@pytest.fixture
def varied(builder: HomeBuilder) -> HomeBuilder:
    """Twelve threads that differ in every filter."""
    parent = builder.add("Ship the importer", source="exec")
    for i in range(5):
        builder.add(
            f"Größe {i}", cwd="/home/dev/infra" if i % 2 else "/home/dev/app", model_provider=f"p{i % 2}"
        )
    builder.add("look around", parent=parent)
    builder.add("look further", parent=parent)
    builder.add("old one", archived=True)
    builder.add("older one", archived=True, cwd="/home/dev/infra")
    builder.add(None)
    builder.add("last", source="vscode")
    return builder


QUERIES = [
    ThreadQuery(),
    ThreadQuery(archived="any"),
    ThreadQuery(archived="yes"),
    ThreadQuery(cwd="/home/dev/infra"),
    ThreadQuery(cwd="/home/dev/infra", archived="any"),
    ThreadQuery(sources=("exec", "subagent")),
    ThreadQuery(providers=("p1",)),
    ThreadQuery(text="GRÖSSE"),
    ThreadQuery(text="nothing like it"),
    ThreadQuery(sort="created"),
    ThreadQuery(sort="created", descending=False, archived="any"),
    ThreadQuery(sort="updated", descending=False),
]


@pytest.mark.parametrize("query", QUERIES, ids=lambda q: q.model_dump_json(exclude_defaults=True))
@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_paging_visits_each_thread_once_and_files_agree_with_the_database(
    varied: HomeBuilder, tmp_path: Path, clock: FixedClock, query: ThreadQuery, limit: int
) -> None:
    async with opened(varied, tmp_path, clock) as store:
        seen: dict[bool, list[str]] = {}
        for from_files in (False, True):
            pages: list[ThreadsPage] = []
            cursor = None
            for _ in range(20):
                page = await store.threads.list_threads(query, cursor, limit=limit, from_files=from_files)
                pages.append(page)
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert {page.source for page in pages} == {"files" if from_files else "database"}
            seen[from_files] = [thread.id for page in pages for thread in page.items]
            assert all(len(page.items) == limit for page in pages[:-1])
        assert len(set(seen[False])) == len(seen[False])
        assert seen[True] == seen[False]
        assert page.total in (None, len(seen[True]))
        page = await store.threads.list_threads(query, limit=limit)
        assert page.total == len(seen[False])
        listing = await store.threads.listing(query)
        rows = await store.threads.rows(listing.keys, listing.source)
        assert [thread.id for thread in rows] == seen[False]


async def test_what_the_defaults_leave_out_is_counted(
    varied: HomeBuilder, tmp_path: Path, clock: FixedClock
) -> None:
    async with opened(varied, tmp_path, clock) as store:
        page = await store.threads.list_threads(ThreadQuery())
        assert (page.total, page.hidden) == (10, {"archived": 2})
        page = await store.threads.list_threads(ThreadQuery(cwd="/home/dev/infra"))
        assert (page.total, page.hidden) == (2, {"archived": 1})
        page = await store.threads.list_threads(ThreadQuery(cwd="/home/dev/infra"), from_files=True)
        assert (page.total, page.hidden) == (2, {"archived": 1})
        page = await store.threads.list_threads(ThreadQuery(archived="any"))
        assert (page.total, page.hidden) == (12, {"archived": 0})


async def test_sub_agents_fold_under_a_parent_that_is_listed(
    varied: HomeBuilder, tmp_path: Path, clock: FixedClock
) -> None:
    parent, children = varied.ids[0], varied.ids[6:8]
    async with opened(varied, tmp_path, clock) as store:
        listing = await store.threads.listing(ThreadQuery(fold_children=True))
        rows = {thread.id: thread for thread in await store.threads.rows(listing.keys, "database")}
        assert rows.keys().isdisjoint(children)
        assert rows[parent].children == 2
        assert listing.total == len(rows) + 2
        below = await store.threads.listing(ThreadQuery(parent=parent, sort="created", descending=False))
        assert [thread.id for thread in await store.threads.rows(below.keys, "database")] == children
        alone = await store.threads.listing(ThreadQuery(sources=("subagent",), fold_children=True))
        assert len(alone.keys) == 2


async def test_a_stale_row_is_dropped_pruned_and_the_page_refilled(
    builder: HomeBuilder, tmp_path: Path, clock: FixedClock
) -> None:
    for i in range(6):
        builder.add(f"task {i}")
    async with opened(builder, tmp_path, clock) as store:
        for gone in builder.ids[3:5]:
            builder.file(gone).unlink()
        page = await store.threads.list_threads(ThreadQuery(), limit=3)
        assert [thread.id for thread in page.items] == [builder.ids[i] for i in (5, 2, 1)]
        assert page.total == 4
        assert store.state is not None
        kinds = await store.state.read(
            lambda c: c.execute("SELECT kind, thread_id FROM discrepancies ORDER BY thread_id").fetchall()
        )
        assert kinds == [("stale_row", builder.ids[3]), ("stale_row", builder.ids[4])]


async def test_a_cursor_of_another_listing_or_of_none_is_refused(
    varied: HomeBuilder, tmp_path: Path, clock: FixedClock
) -> None:
    async with opened(varied, tmp_path, clock) as store:
        cursor = (await store.threads.list_threads(ThreadQuery(), limit=1)).next_cursor
        assert cursor is not None
        with pytest.raises(BadCursor, match="another listing"):
            await store.threads.list_threads(ThreadQuery(archived="any"), cursor)
        with pytest.raises(BadCursor, match="listing of the database"):
            await store.threads.list_threads(ThreadQuery(), cursor, from_files=True)
        with pytest.raises(BadCursor, match="listing of the database"):
            await Threads(store.home, None, clock).list_threads(ThreadQuery(), cursor)
        for text in ("", "x", "é", cursor[:-3], "AAAA" + cursor, "e30"):
            with pytest.raises(BadCursor, match="not a page cursor"):
                await store.threads.list_threads(ThreadQuery(), text)


async def test_get_by_id_or_unique_beginning(varied: HomeBuilder, tmp_path: Path, clock: FixedClock) -> None:
    async with opened(varied, tmp_path, clock) as store:
        without = Threads(store.home, None, clock)
        for threads in (store.threads, without):
            assert (await threads.get_thread(varied.ids[3])).id == varied.ids[3]
            assert (await threads.get_thread(varied.ids[8])).archived
            with pytest.raises(UnknownThread, match="More than one"):
                await threads.get_thread(varied.ids[3][:4])
            with pytest.raises(UnknownThread, match="no thread"):
                await threads.get_thread("ffff")
            with pytest.raises(UnknownThread):
                await threads.get_thread("")
            with pytest.raises(UnknownThread):
                await threads.get_thread("%")


async def test_dynamic_tools_come_from_the_database_else_from_the_rollout(
    builder: HomeBuilder, tmp_path: Path, clock: FixedClock
) -> None:
    tools = [
        {"name": "ticket", "description": "Look one up", "inputSchema": {"type": "object"}},
        {"name": "close", "description": "Close one", "inputSchema": {"type": "object"}},
    ]
    wanted = builder.add(dynamic_tools=tools)
    async with opened(builder, tmp_path, clock) as store:
        thread = await store.threads.get_thread(wanted)
        for threads in (store.threads, Threads(store.home, None, clock)):
            found = await threads.get_dynamic_tools(thread)
            assert [(tool.position, tool.name) for tool in found] == [(0, "ticket"), (1, "close")]
            assert found[0].input_schema == {"type": "object"}


async def test_files_read_heads_only_for_the_page(
    builder: HomeBuilder, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(30):
        builder.add(f"task {i}", archived=i % 3 == 0)
    read: list[str] = []

    def counting(home: Path, file: RolloutFile) -> HeadRead:
        read.append(file.path)
        return read_heads(home, file)

    monkeypatch.setattr("store.file_listing.read_heads", counting)
    threads = Threads(builder.home, None, clock)
    page = await threads.list_threads(ThreadQuery(archived="any"), limit=5)
    assert len(page.items) == 5
    assert len(read) == 6  # one more, to know whether there is another page
    assert page.total == 30


async def test_files_that_cannot_be_listed_are_said(
    varied: HomeBuilder, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = replace(scan_home(varied.path), files=(), unreadable=(("sessions/2026", "Permission denied"),))
    monkeypatch.setattr("store.file_listing.scan_home", lambda _home: scan)
    page = await Threads(varied.home, None, clock).list_threads(ThreadQuery())
    assert (page.source, page.total) == ("files", 0)
    (notice,) = page.notices
    assert (notice.what, notice.why) == ("The folder sessions/2026 cannot be read", "Permission denied")


async def test_of_two_files_of_one_thread_the_files_show_what_holds_more(
    builder: HomeBuilder, clock: FixedClock
) -> None:
    """A compressed file is smaller than the beginning of it that a crash left beside it."""
    wanted = builder.add("Port the parser", answer="word " * 2000)
    plain = builder.file(wanted)
    whole = plain.read_bytes()
    compressed = plain.with_name(plain.name + ".zst")
    compressed.write_bytes(zstandard.compress(whole))
    plain.write_bytes(whole[: len(whole) // 2])
    assert compressed.stat().st_size < plain.stat().st_size
    threads = Threads(builder.home, None, clock)
    assert (await threads.get_thread(wanted)).compressed
    compressed.write_bytes(compressed.read_bytes()[:10])
    assert not (await threads.get_thread(wanted)).compressed


async def test_database_that_fails_degrades_to_the_files(
    builder: HomeBuilder, tmp_path: Path, clock: FixedClock
) -> None:
    for i in range(3):
        builder.add(f"task {i}")
    async with opened(builder, tmp_path, clock) as store:
        assert store.state is not None
        broken = store.state

        async def fail(_unit: object) -> object:
            raise DatabaseError("state_1.sqlite is damaged")

        threads = Threads(builder.home, broken, clock)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(broken, "read", fail)
            page = await threads.list_threads(ThreadQuery())
            listing = await threads.listing(ThreadQuery())
        assert (page.source, len(page.items)) == ("files", 3)
        assert (listing.source, len(listing.keys)) == ("files", 3)


def test_every_field_of_the_query_is_in_the_cursor() -> None:
    from store.cursors import Cursor

    for query, place in itertools.product(QUERIES, [(0, "a"), (-5, "b|c"), (10**15, "ä")]):
        cursor = Cursor.after(query, "files", *place)
        assert Cursor.from_text(cursor.to_text()) == cursor
        assert (cursor.key_ms, cursor.thread_id) == place


@pytest.mark.parametrize("archived", ["no", "any", "yes"])
@pytest.mark.parametrize("sort", ["updated", "created"])
async def test_a_page_is_read_in_its_order_without_sorting(
    varied: HomeBuilder, tmp_path: Path, clock: FixedClock, archived: Archived, sort: ThreadSort
) -> None:
    async with opened(varied, tmp_path, clock) as store:
        assert store.state is not None
        statements: list[str] = []

        def page(connection: sqlite3.Connection) -> list[str]:
            connection.set_trace_callback(statements.append)
            read_page(connection, ThreadQuery(archived=archived, sort=sort), (10**13, "z"), 3)
            connection.set_trace_callback(None)
            (select,) = [text for text in statements if "LIMIT" in text]
            return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {select}")]

        plan = await store.state.read(page)
        assert f"threads_by_{sort}" in plan[0]
        assert not [step for step in plan if "TEMP B-TREE" in step]
