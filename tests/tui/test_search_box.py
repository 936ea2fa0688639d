"""The search box: titles at once, messages under them, and never in the way of typing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from desks import Desk, a_desk_with
from fake_search import a_hit, found
from fake_services import APP, FakeServices, a_desk

from store.errors import DatabaseBusy
from store.search.models import Elsewhere, SearchHit, Snippet

if TYPE_CHECKING:
    from store.models import Thread

DESK = {thread.display_title: thread for thread in a_desk()}
LEASES = DESK["Leases for jobs"]
PARSER = DESK["Port the parser to the new item format"]
OF_LEASE = found(
    a_hit(PARSER, "the parser takes a «lease» of 900 s", line=2),
    a_hit(LEASES, "a «lease» ends when its owner does", line=1),
    a_hit(PARSER, "no «lease» here"),
    total=18,
)


def finding(threads: list[Thread] | None = None) -> FakeServices:
    services = FakeServices(a_desk() if threads is None else threads)
    services.search.result = OF_LEASE
    return services


def lines(desk: Desk) -> list[str]:
    """What the list shows."""
    rows = desk.browser.thread_list
    return [rows.render_line(y).text.rstrip() for y in range(rows.size.height) if y < len(rows.keys)]


def below(desk: Desk) -> list[str]:
    """What stands below the titles."""
    shown = lines(desk)
    heading = next((y for y, line in enumerate(shown) if line.startswith("in ")), len(shown))
    return [line.strip() for line in shown[heading:]]


async def test_messages_stand_under_titles_one_row_for_each_thread() -> None:
    async with a_desk_with(finding()) as desk:
        await desk.press("slash", *"lease")
        await desk.until(lambda: below(desk))
        assert desk.titles[:3] == [
            "🚀 Ship it 🎉 release notes for 2.0",
            "Leases, explained",
            "Leases for jobs",
        ]
        heading, parser, of_parser, leases, of_leases = below(desk)
        assert heading == "in messages · 18"
        assert "Port the parser" in parser
        assert of_parser == "the parser takes a lease of 900 s"
        assert "Leases for jobs" in leases
        assert of_leases == "a lease ends when its owner does"
        assert desk.services.search.asked[-1][0] == "lease"


async def test_titles_are_there_before_messages() -> None:
    services = finding()
    services.search.gate = asyncio.Event()
    async with a_desk_with(services) as desk:
        await desk.press("slash", *"lease")
        await desk.until(lambda: len(desk.titles) == 3 and services.search.asked)
        services.search.gate.set()
        await desk.until(lambda: below(desk))


async def test_the_next_letter_stops_the_search_for_the_last() -> None:
    services = finding()
    services.search.gate = asyncio.Event()
    async with a_desk_with(services) as desk:
        await desk.press("slash", *"leas")
        await desk.until(lambda: services.search.asked)
        await desk.press("e")
        await desk.until(lambda: services.search.cancelled == ["leas"])
        services.search.gate.set()
        await desk.until(lambda: below(desk))
        assert services.search.asked[-1][0] == "lease"


async def test_the_cursor_goes_from_thread_to_thread_past_the_lines_between() -> None:
    async with a_desk_with(finding()) as desk:
        await desk.press("slash", *"lease")
        await desk.until(lambda: below(desk))
        await desk.press("enter", "home")
        seen = []
        for _ in range(6):
            seen.append(desk.selected)
            await desk.press("down")
        titles = ["🚀 Ship it 🎉 release notes for 2.0", "Leases, explained", "Leases for jobs"]
        assert seen == [*titles, PARSER.display_title, "Leases for jobs", "Leases for jobs"]
        await desk.press("up", "up")
        assert desk.selected == titles[2]
        assert desk.browser.thread_list.cursor == 2
        await desk.press("end")
        assert desk.browser.thread_list.cursor == 6


async def test_a_click_on_what_was_found_selects_its_thread() -> None:
    async with a_desk_with(finding()) as desk:
        await desk.press("slash", *"lease")
        await desk.until(lambda: below(desk))
        await desk.pilot.click(desk.browser.thread_list, offset=(20, 5))
        assert desk.selected == PARSER.display_title


async def test_a_hit_opens_its_thread_at_its_item() -> None:
    async with a_desk_with(finding()) as desk:
        reader = desk.browser.reader
        await desk.press("slash", *"lease")
        await desk.until(lambda: below(desk))
        await desk.press("enter", "end")
        await desk.until(lambda: reader.thread is not None and reader.thread.id == LEASES.id)
        await desk.until(lambda: reader.cursor_item is not None and reader.cursor_item.line == 1)
        await desk.press("enter")
        assert desk.pane() == "transcript"


async def test_another_hit_of_the_thread_that_is_read_moves_it_there() -> None:
    services = finding()
    async with a_desk_with(services) as desk:
        reader = desk.browser.reader
        await desk.press("slash", *"lease")
        await desk.until(lambda: below(desk))
        await desk.press("enter", "home", "down", "down")
        await desk.until(lambda: reader.thread is not None and reader.thread.id == LEASES.id)
        await desk.until(lambda: reader.cursor_item is not None and reader.cursor_item.line == 2)
        asked = len(services.transcripts_asked)
        services.search.result = found(a_hit(LEASES, "a «lease»", line=0))
        await desk.press("ctrl+r")
        await desk.until(lambda: len(below(desk)) == 3)
        await desk.press("end")
        await desk.until(lambda: reader.cursor_item is not None and reader.cursor_item.line == 0)
        assert services.transcripts_asked[asked:] == []


async def test_who_reads_on_from_a_hit_is_not_brought_back() -> None:
    services = finding()
    async with a_desk_with(services) as desk:
        reader = desk.browser.reader
        await desk.press("slash", *"lease")
        await desk.until(lambda: below(desk))
        await desk.press("enter", "end", "enter")
        await desk.until(lambda: reader.cursor_item is not None and reader.cursor_item.line == 1)
        await desk.press("g")
        searched = len(services.search.asked)
        services.change()
        await desk.until(lambda: len(services.search.asked) > searched and desk.browser.settled)
        assert reader.cursor_item is not None
        assert reader.cursor_item.line == 0


async def test_the_cursor_stays_on_its_hit_when_more_come() -> None:
    services = finding()
    async with a_desk_with(services) as desk:
        await desk.press("slash", *"lease")
        await desk.until(lambda: below(desk))
        await desk.press("enter", "end")
        place = desk.browser.thread_list.cursor
        extra = a_hit(DESK["Hello"], "a «lease»")
        services.search.result = found(extra, *OF_LEASE.hits)
        services.change()
        await desk.until(lambda: len(below(desk)) == 7)
        assert desk.browser.thread_list.cursor == place + 2
        assert desk.selected == LEASES.display_title


async def test_messages_alone_are_no_empty_list() -> None:
    services = finding()
    async with a_desk_with(services) as desk:
        await desk.press("slash", *"owner")
        await desk.until(lambda: below(desk) and not desk.titles[0].startswith("Fix"))
        assert lines(desk)[0] == "in messages · 18"
        assert desk.selected == PARSER.display_title
        assert not desk.browser.empty.display


async def test_messages_go_with_the_words() -> None:
    services = finding()
    async with a_desk_with(services) as desk:
        before = desk.titles
        await desk.press("slash", *"lease")
        await desk.until(lambda: below(desk))
        await desk.press("escape", "escape")
        await desk.until(lambda: desk.titles == before)


async def test_what_is_no_query_is_explained_and_the_list_stays() -> None:
    services = finding()
    async with a_desk_with(services) as desk:
        note = desk.browser.query_note
        await desk.press("slash", *"lease")
        await desk.until(lambda: below(desk))
        before = lines(desk)
        await desk.press("space", "quotation_mark")
        await desk.until(lambda: note.display and desk.browser.settled)
        assert note.words.startswith("A quotation mark is not closed.")
        assert lines(desk) == before
        await desk.press("backspace", "backspace")
        await desk.until(lambda: not note.display and desk.browser.settled)
        assert below(desk)


async def test_foreign_words_in_an_explanation_are_no_markup() -> None:
    async with a_desk_with(finding()) as desk:
        await desk.press("slash", *"is:[red]")
        await desk.until(lambda: desk.browser.query_note.display)
        assert "is:[red] is not understood" in desk.browser.query_note.words


async def test_stars_and_tags_filter_titles_and_messages() -> None:
    services = finding()
    services.search.tagged["review"] = {LEASES.id}
    async with a_desk_with(services) as desk:
        services.search.result = found()
        await desk.press("slash", *"tag:review")
        await desk.until(lambda: desk.titles == [LEASES.display_title])


async def test_filters_only_list_what_they_are_about() -> None:
    services = finding()
    touched = SearchHit(
        PARSER.id, 1, "file", 0, PARSER.display_title, APP, False, Snippet("/src/rows.py"), action="write"
    )
    services.search.result = found(touched)
    async with a_desk_with(services) as desk:
        await desk.press("slash", *"cwd:~/src/app")
        await desk.until(lambda: any("files touched · 1" in line for line in lines(desk)))
        assert "write /src/rows.py" in lines(desk)[-1]


async def test_an_empty_result_says_where_messages_would_match() -> None:
    services = finding()
    services.search.result = found(elsewhere=Elsewhere(archived=2, other_projects=4))
    async with a_desk_with(services) as desk:
        await desk.press("slash", *"owner")
        await desk.until(lambda: desk.browser.empty.display)
        assert desk.browser.empty.words.splitlines() == [
            "Nothing in ~/.codex matches “owner”.",
            "In messages: 4 in other projects ( . ), 2 in archived threads ( A ).",
            "esc clears the filter.",
        ]


async def test_a_failing_search_is_a_notice_and_the_titles_are_there() -> None:
    services = finding()
    services.search.error = DatabaseBusy("The index is busy", why="pid 4711", next_step="Wait")
    async with a_desk_with(services) as desk:
        await desk.press("slash", *"lease")
        await desk.until(lambda: desk.browser.notice_bar.notices)
        assert len(desk.titles) == 3
        services.search.error = None
        await desk.press("enter", "ctrl+r")
        await desk.until(lambda: not desk.browser.notice_bar.notices)


async def test_without_an_index_one_word_finds_titles() -> None:
    services = finding()
    services.search.result = None
    async with a_desk_with(services) as desk:
        await desk.press("slash", *"lease")
        await desk.until(lambda: len(desk.titles) == 3 and desk.browser.settled)
        assert below(desk) == []
