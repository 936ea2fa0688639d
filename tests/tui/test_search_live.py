"""The search box over a real store: rollouts, index, marks and all."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from desks import Desk
from searching_homes import Writer

from store.marks import set_star, set_tags
from store.opening import bring_up_to_date, open_store
from store.search.models import Scope
from tui.app import RollodexApp
from tui.asked import understand
from tui.listing import View, read_listing
from tui.live_services import LiveServices
from tui.options import Options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from building import HomeBuilder
    from store_fixtures import FixedClock


@pytest.fixture
def writers(builder: HomeBuilder) -> list[Writer]:
    """Three threads; what is looked for is in the second answer of the first."""
    first, second, third = (Writer.begin(builder.path, number) for number in (1, 2, 3))
    first.turn("why is it flaky?", "I look.", "The claim takes a lease of 900 s before it reads.")
    second.turn("rename the lease column", "Renamed.")
    third.turn("bump dependencies", "Bumped.", cwd="/home/dev/infra")
    return [first, second, third]


@pytest.fixture
async def services(
    builder: HomeBuilder, writers: list[Writer], clock: FixedClock, tmp_path: Path
) -> AsyncIterator[LiveServices]:
    options = Options(codex_home=builder.path, state_dir=tmp_path / "state")
    home = options.home()
    async with open_store(home, options.state_folder(home), clock) as store:
        await bring_up_to_date(store, last_step="full")
        assert store.user is not None
        ids = [writer.id for writer in writers]
        await store.user.write(lambda c: set_tags(c, ids[:1], add=["Review"], now_ms=1))
        await store.user.write(lambda c: set_star(c, ids[1:2], starred=True, now_ms=1))
    async with LiveServices(options, clock) as services:
        yield services


@asynccontextmanager
async def a_desk(services: LiveServices, clock: FixedClock) -> AsyncIterator[Desk]:
    app = RollodexApp(services, clock)
    async with app.run_test(size=(120, 40)) as pilot:
        desk = Desk(app, pilot, services)  # type: ignore[arg-type]  # only its screen is looked at
        await desk.until(lambda: len(desk.titles) == 3 and "?" not in desk.titles)
        yield desk


async def test_words_find_titles_and_messages_and_a_hit_opens_at_its_item(
    services: LiveServices, writers: list[Writer], clock: FixedClock
) -> None:
    async with a_desk(services, clock) as desk:
        reader, rows = desk.browser.reader, desk.browser.thread_list
        await desk.press("slash", *"lease")
        await desk.until(lambda: len(rows.keys) == 6)
        assert desk.titles[0] == "rename the lease column"
        await desk.press("enter", "home", "down")
        while rows.current_row is None or rows.current_row.id != writers[0].id:
            await desk.press("down")
        await desk.until(lambda: reader.thread is not None and reader.thread.id == writers[0].id)
        await desk.until(lambda: (item := reader.cursor_item) and item.text and "900 s" in item.text)


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("lease", {1}),
        ("rename lea", {1}),
        ('"lease rename"', set()),
        ("tag:review", {0}),
        ("-tag:Review", {1, 2}),
        ("is:starred", {1}),
        ("lease -is:starred", set()),
        ("cwd:/home/dev", {0, 1, 2}),
        ("source:cli,exec bump", {2}),
        ("after:2026-01-01 before:2026-01-02", set()),
        ("is:working", set()),
    ],
)
async def test_which_titles_match(
    services: LiveServices, writers: list[Writer], clock: FixedClock, words: str, numbers: set[int]
) -> None:
    await services.open()
    view = View(understand(words, clock.now_ms()))
    listed = await read_listing(services, view, ())
    assert {thread.id for thread in await listed.rows(listed.keys)} == {writers[each].id for each in numbers}


async def test_messages_are_filtered_by_stars_too(
    services: LiveServices, writers: list[Writer], clock: FixedClock
) -> None:
    await services.open()
    found = await services.search.search(understand("lease is:starred", clock.now_ms()).query, Scope())
    assert found is not None
    assert {hit.thread_id for hit in found.hits} == {writers[1].id}
