"""Measured inside one process, on a complete index: `python -m tests.bench.inside HOME STATE` prints JSON."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from store.clock import SystemClock
from store.connection import connect_writer
from store.home import find_home
from store.models import ThreadQuery
from store.opening import open_store
from store.reconcile import reconcile
from store.search.models import ScanProgress
from store.search.query import parse_query
from store.search.scan import scan
from store.search.searching import rollouts, search
from store.state_folder import prepare

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from store.home import CodexHome

SCANNED = 2_000
PAGE = 50
ROWS = 40

SEARCHES = {
    "search": "lease",
    "search, two words and a branch": "lease log branch:main",
    "search, a word in every command": "src",
    "search, a prefix of many words": "f*",
    "search, who touched a file": "file:queue.py",
}


def measure_reconcile(home: CodexHome, state: Path) -> float:
    """Seconds from opening the store to the end of a reconcile that finds nothing."""
    began = time.perf_counter()
    with closing(connect_writer(prepare(state, SystemClock()).state)) as connection:
        found = reconcile(connection, home, clock=SystemClock())
    seconds = time.perf_counter() - began
    if found.read:
        raise AssertionError(f"an unchanged home was read: {found}")
    return seconds


async def measure_pages(home: CodexHome, state: Path) -> dict[str, float]:
    """Median seconds of a first page, a deep page, a filtered page, a whole listing, and a screen of rows."""
    async with open_store(home, state, SystemClock()) as store:
        threads = store.threads
        everything = ThreadQuery(archived="any")
        page = await threads.list_threads(everything, limit=PAGE)
        total = page.total or 0
        middle = await threads.list_threads(everything, limit=max(total // 2, 1))
        listing = await threads.listing(everything)
        screen = listing.keys[len(listing.keys) // 2 :][:ROWS]
        return {
            "page": await _median(lambda: threads.list_threads(everything, limit=PAGE), 30),
            "deep page": await _median(
                lambda: threads.list_threads(everything, middle.next_cursor, limit=PAGE), 30
            ),
            "filtered page": await _median(
                lambda: threads.list_threads(ThreadQuery(text="lease"), limit=PAGE), 10
            ),
            "whole listing": await _median(lambda: threads.listing(everything), 5),
            "rows of a screen": await _median(lambda: threads.rows(screen, listing.source), 30),
        }


async def measure_searches(home: CodexHome, state: Path) -> dict[str, float]:
    """Median seconds of searches, and of a scan of the newest threads for a word that is nowhere."""
    now_ms = SystemClock().now_ms()
    async with open_store(home, state, SystemClock()) as store:
        database = store.state
        assert database is not None

        def searching(text: str) -> Callable[[], Awaitable[object]]:
            query = parse_query(text, now_ms=now_ms)
            return lambda: database.read(lambda connection: search(connection, query, now_ms=now_ms))

        figures = {name: await _median(searching(text), 10) for name, text in SEARCHES.items()}
        nowhere = parse_query("zyzzyva", now_ms=now_ms)
        newest = (await database.read(lambda connection: rollouts(connection, nowhere)))[:SCANNED]
    began = time.perf_counter()
    *_, last = scan(home.path, newest, nowhere)
    assert isinstance(last, ScanProgress)
    return figures | {"scan, for each GB": (time.perf_counter() - began) * 1e9 / max(last.bytes, 1)}


async def _median(call: Callable[[], Awaitable[object]], times: int) -> float:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        await call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def main(home: Path, state: Path) -> None:
    """Print every figure."""
    codex_home = find_home(home)
    figures = {"reconcile": statistics.median(measure_reconcile(codex_home, state) for _ in range(5))}
    figures |= asyncio.run(measure_pages(codex_home, state))
    print(json.dumps(figures | asyncio.run(measure_searches(codex_home, state))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
