"""The browser: what keys do to the list, and what the screens do when the home changes or fails."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from desks import Desk, a_desk_with
from fake_services import APP, HOUR, NOW, USER_HOME, FakeServices, StillClock, a_desk, a_thread, many

from store.errors import DatabaseBusy, HomeError
from store.models import Notice
from tui.app import RollodexApp
from tui.screens.browser import BrowserScreen
from tui.screens.error import ErrorScreen
from tui.screens.help import HelpScreen
from tui.screens.listing_screen import CALM
from tui.screens.sheet import SheetScreen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from store.models import Thread


async def test_the_first_rows_come_without_a_key_and_the_first_thread_is_read() -> None:
    async with a_desk_with(FakeServices(a_desk())) as desk:
        assert desk.titles[0] == "Fix flaky stage-1 test"
        assert desk.selected == desk.titles[0]
        await desk.until(lambda: desk.browser.reader.thread is not None)
        shown = desk.browser.reader.thread
        assert shown is not None
        assert shown.title == "Fix flaky stage-1 test"


async def test_only_the_thread_that_the_cursor_rests_on_is_opened() -> None:
    services = FakeServices(many(40))
    async with a_desk_with(services) as desk:
        await desk.until(lambda: len(services.transcripts_asked) == 1)
        await desk.press(*["down"] * 15)
        await desk.until(lambda: (thread := desk.browser.reader.thread) and thread.key == 15)
        assert len(services.transcripts_asked) < 10


async def test_a_change_keeps_the_selected_thread_and_asks_for_the_visible_rows_alone() -> None:
    services = FakeServices(many(5_000))
    async with a_desk_with_many(services) as desk:
        await desk.press("end")
        await desk.until(lambda: desk.selected == "Thread 4999")
        services.threads.rows_asked.clear()
        services.threads.all.insert(0, a_thread(9_999, title="Just now", updated_at=NOW))
        services.change()
        await desk.until(lambda: len(desk.browser.thread_list.keys) == 5_001)
        await desk.until(lambda: desk.selected == "Thread 4999")
        assert desk.browser.thread_list.cursor == 5_000
        assert len(services.threads.rows_asked) <= 3 * 128


@asynccontextmanager
async def a_desk_with_many(services: FakeServices) -> AsyncIterator[Desk]:
    app = RollodexApp(services, StillClock())
    async with app.run_test(size=(120, 40)) as pilot:
        desk = Desk(app, pilot, services)
        await desk.until(lambda: desk.selected)
        yield desk


async def test_the_selection_is_kept_when_files_give_way_to_the_database() -> None:
    services = FakeServices(many(50), source="files")
    async with a_desk_with(services) as desk:
        assert "from files" in str(desk.browser.threads_frame.border_title)
        await desk.press("down", "down", "down")
        assert desk.selected == "Thread 3"
        services.threads.all = [thread.model_copy(update={"key": 900 - thread.key}) for thread in many(50)]
        services.threads.source = "database"
        services.change()
        await desk.until(lambda: desk.browser.thread_list.current_key == 897)
        await desk.until(lambda: desk.selected == "Thread 3")
        assert "from files" not in str(desk.browser.threads_frame.border_title)


async def test_the_first_list_from_the_database_begins_at_its_beginning() -> None:
    services = FakeServices(many(20)[5:], source="files")
    async with a_desk_with(services) as desk:
        assert desk.selected == "Thread 5"
        services.threads.all = many(20)
        services.threads.source = "database"
        services.change()
        await desk.until(lambda: desk.selected == "Thread 0")


async def test_children_unfold_and_fold() -> None:
    async with a_desk_with(FakeServices(a_desk())) as desk:
        before = desk.titles
        await desk.press("right")
        await desk.until(lambda: len(desk.browser.thread_list.keys) == len(before) + 3)
        await desk.until(lambda: "?" not in desk.titles)
        assert desk.titles[1:4] == ["Find every test that waits", "Read the claim", "Try a fix"]
        await desk.press("down", "down", "left")
        assert desk.browser.thread_list.cursor == 0
        await desk.press("left")
        await desk.until(lambda: desk.titles == before)


async def test_children_stay_unfolded_through_a_change() -> None:
    services = FakeServices(a_desk())
    async with a_desk_with(services) as desk:
        await desk.press("right")
        await desk.until(lambda: desk.titles[1] == "Find every test that waits")
        services.threads.all = [thread for thread in a_desk() if thread.title != "Read the claim"]
        services.change()
        await desk.until(lambda: desk.titles[1:3] == ["Find every test that waits", "Try a fix"])


async def test_filtering_keeps_what_matches_and_esc_closes_one_thing_after_the_other() -> None:
    async with a_desk_with(FakeServices(a_desk())) as desk:
        everything = desk.titles
        await desk.press("slash", *"lease")
        await desk.until(
            lambda: (
                desk.titles == ["🚀 Ship it 🎉 release notes for 2.0", "Leases, explained", "Leases for jobs"]
            )
        )
        await desk.press("escape")
        await desk.until(lambda: not desk.browser.filter_box.editing)
        assert desk.browser.filter_box.display
        assert len(desk.titles) == 3
        await desk.press("escape")
        await desk.until(lambda: desk.titles == everything)
        await desk.press("escape", "escape", "escape")
        assert desk.app.is_running
        await desk.until(lambda: not desk.browser.filter_box.display)


async def test_words_typed_in_the_reopened_box_replace_the_old_ones() -> None:
    async with a_desk_with(FakeServices(a_desk())) as desk:
        await desk.press("slash", *"lease", "escape", "slash", *"retry")
        await desk.until(lambda: desk.titles == ["Sketch the retry policy"])
        assert desk.browser.filter_box.words == "retry"


async def test_the_reader_is_empty_when_nothing_matches_and_comes_back() -> None:
    async with a_desk_with(FakeServices(a_desk()), size=(200, 60)) as desk:
        browser = desk.browser
        await desk.until(lambda: browser.inspector.thread is not None)
        await desk.press("slash", *"nowhere")
        await desk.until(lambda: browser.reader.thread is None)
        assert browser.inspector.thread is None
        await desk.press("escape", "escape")
        await desk.until(lambda: browser.reader.thread is not None and browser.inspector.thread is not None)


async def test_a_thread_being_read_stays_when_the_list_loses_its_last() -> None:
    services = FakeServices(many(1))
    async with a_desk_with(services) as desk:
        await desk.press("2")
        await desk.until(lambda: desk.browser.reader.cursor_item is not None)
        services.threads.all.clear()
        services.change()
        await desk.until(lambda: not desk.titles and desk.browser.settled)
        assert desk.browser.reader.thread is not None
        await desk.press("1")
        await desk.until(lambda: desk.browser.reader.thread is None)


async def test_words_with_a_colon_filter_by_field() -> None:
    async with a_desk_with(FakeServices(a_desk())) as desk:
        await desk.press("slash", *"source:exec")
        await desk.until(lambda: desk.titles == ["nightly: bump dependencies"])
        await desk.press(*["backspace"] * 11, *"cwd:~/src/docs")
        await desk.until(lambda: desk.titles == ["Draft the onboarding guide"])
        await desk.press("enter")
        assert desk.browser.thread_list.has_focus


async def test_letters_typed_fast_filter_instead_of_acting(monkeypatch: pytest.MonkeyPatch) -> None:
    # Fast is what comes before the gap is over: here however slow the machine is.
    for module in ("widgets.type_ahead", "tui.panes"):
        monkeypatch.setattr(f"{module}.GAP", 60.0)
    async with a_desk_with(FakeServices(a_desk())) as desk:
        await desk.press(*"query")
        await desk.until(lambda: desk.browser.filter_box.words == "query")
        assert desk.app.is_running


async def test_a_letter_alone_acts() -> None:
    async with a_desk_with(FakeServices(a_desk())) as desk:
        await desk.press("s")
        await desk.until(lambda: "by created" in str(desk.browser.threads_frame.border_title))
        assert desk.services.threads.queries[-1].sort == "created"
        await desk.press("S")
        await desk.until(lambda: not desk.services.threads.queries[-1].descending)
        await desk.until(lambda: "oldest first" in str(desk.browser.threads_frame.border_title))


async def test_moving_fast_is_no_word() -> None:
    async with a_desk_with(FakeServices(many(40))) as desk:
        await desk.press(*"jjjjjkjj")
        assert desk.browser.thread_list.cursor == 6
        assert not desk.browser.filter_box.display


async def test_this_project_is_where_rollodex_was_started() -> None:
    async with a_desk_with(FakeServices(a_desk(), launch_folder=str(USER_HOME / "src/infra"))) as desk:
        await desk.press("full_stop")
        await desk.until(lambda: desk.titles == ["nightly: bump dependencies"])
        assert desk.browser.header.standing.scope == "~/src/infra"
        await desk.press("full_stop")
        await desk.until(lambda: desk.browser.header.standing.scope == "all projects")


async def test_this_project_is_the_cursors_where_rollodex_was_started_elsewhere() -> None:
    async with a_desk_with(FakeServices(a_desk())) as desk:
        await desk.press("full_stop")
        await desk.until(lambda: desk.browser.header.standing.scope == "~/src/app")
        await desk.until(lambda: {row.cwd for row in _rows(desk)} == {APP})


def _rows(desk: Desk) -> list[Thread]:
    rows = desk.browser.thread_list
    return [row for place in range(len(rows.keys)) if (row := rows.row_at(place)) is not None]


async def test_archived_threads_are_counted_and_come_with_a_key() -> None:
    async with a_desk_with(FakeServices(a_desk())) as desk:
        frame = desk.browser.threads_frame
        assert str(frame.border_subtitle) == "2 archived hidden · A shows"
        await desk.press("A")
        await desk.until(lambda: "Rewrite the importer" in desk.titles)
        assert str(frame.border_subtitle) == ""
        await desk.press("A")
        await desk.until(lambda: desk.titles == ["Rewrite the importer", "Hello"])
        await desk.press("A")
        await desk.until(lambda: str(frame.border_subtitle) == "2 archived hidden · A shows")


async def test_nothing_matches_says_where_something_would() -> None:
    threads = [*a_desk(), a_thread(50, title="Old lease", archived=True, cwd=str(USER_HOME / "src/infra"))]
    services = FakeServices(threads, launch_folder=str(USER_HOME / "src/infra"))
    async with a_desk_with(services) as desk:
        await desk.press("full_stop")
        await desk.until(lambda: len(desk.titles) == 1)
        await desk.press("slash", *"lease")
        await desk.until(lambda: not desk.titles)
        assert desk.browser.empty.words.splitlines() == [
            "Nothing in ~/src/infra matches “lease”.",
            "3 match in other projects ( . ), 1 is archived ( A ).",
            "esc clears the filter.",
        ]


async def test_an_empty_home_says_so() -> None:
    services = FakeServices()
    app = RollodexApp(services, StillClock())
    async with app.run_test(size=(120, 40)) as pilot:
        desk = Desk(app, pilot, services)
        await desk.until(lambda: desk.browser.empty.words)
        assert desk.browser.empty.words.startswith("No threads in ~/.codex yet.")
        await desk.press("down", "enter", "right", "full_stop", "i")
        services.threads.all.append(a_thread(1))
        services.change()
        await desk.until(lambda: desk.titles == ["Thread 1"])


async def test_a_failing_store_becomes_a_notice_that_goes_with_the_failure() -> None:
    services = FakeServices(many(3))
    async with a_desk_with(services) as desk:
        services.threads.error = DatabaseBusy("The database is [busy]", why="pid 4711", next_step="Wait")
        services.change()
        await desk.until(lambda: desk.browser.notice_bar.notices)
        assert desk.browser.notice_bar.notices[0].what == "The database is [busy]"
        assert desk.titles == ["Thread 0", "Thread 1", "Thread 2"]
        services.threads.error = None
        await desk.press("ctrl+r")
        await desk.until(lambda: not desk.browser.notice_bar.notices)
        assert services.looked_again == 1


async def test_a_dismissed_notice_stays_away_until_it_has_gone() -> None:
    notice = Notice(severity="warning", what="The home is on NFS")
    async with a_desk_with(FakeServices(many(3), notices=[notice])) as desk:
        bar = desk.browser.notice_bar
        await desk.until(lambda: bar.display)
        await desk.press("escape")
        assert not bar.display
        bar.show([notice])
        assert not bar.display
        bar.show([])
        bar.show([notice])
        assert bar.display


async def test_panes_by_number_tab_and_zoom() -> None:
    async with a_desk_with(FakeServices(many(3))) as desk:
        browser = desk.browser
        await desk.press("enter")
        assert desk.pane() == "transcript"
        await desk.press("tab")
        assert desk.pane() == "logs"
        await desk.press("tab")
        assert desk.pane() == "backfill"
        await desk.press("tab")
        assert desk.pane() == "memory"
        await desk.press("tab")
        assert desk.pane() == "threads"
        await desk.press("2")
        await desk.until(lambda: browser.current_pane == "transcript")
        await desk.press("z")
        await desk.until(lambda: not browser.threads_frame.display)
        await desk.press("escape")
        await desk.until(lambda: browser.threads_frame.display)
        await desk.press("escape")
        assert desk.pane() == "threads"


async def test_a_narrow_screen_shows_one_pane_and_the_wide_one_all() -> None:
    async with a_desk_with(FakeServices(many(3)), size=(80, 24)) as desk:
        browser = desk.browser
        assert browser.peek.display
        assert not browser.transcript_frame.display
        assert not desk.services.transcripts_asked
        await desk.press("enter")
        await desk.until(lambda: browser.transcript_frame.display and not browser.threads_frame.display)
        await desk.until(lambda: browser.reader.thread is not None)
        await desk.press("escape")
        await desk.until(lambda: browser.threads_frame.display)
        await desk.pilot.resize_terminal(120, 40)
        await desk.until(lambda: browser.transcript_frame.display and browser.threads_frame.display)
        assert not browser.inspector_frame.display
        await desk.pilot.resize_terminal(200, 60)
        await desk.until(lambda: browser.inspector_frame.display)
        await desk.until(lambda: browser.inspector.thread == browser.reader.thread)
        assert browser.inspector.thread is not None


async def test_the_place_where_a_thread_was_left_is_kept() -> None:
    services = FakeServices(many(3))
    async with a_desk_with(services) as desk:
        await desk.until(lambda: desk.browser.reader.thread is not None)
        first = desk.browser.reader.thread
        assert first is not None
        await desk.press("down")
        await desk.until(lambda: first.id in services.places)


async def test_the_place_is_kept_when_the_app_is_quit() -> None:
    services = FakeServices(many(3))
    async with a_desk_with(services) as desk:
        await desk.press("2")
        await desk.until(lambda: desk.browser.reader.cursor_item is not None)
        await desk.press("g")
        shown = desk.browser.reader.place
        assert shown is not None
        services.places.clear()
        desk.app.exit()
        await desk.until(lambda: services.places)
        assert services.places == dict([shown])


async def test_an_interrupt_quits_only_when_a_second_follows_soon() -> None:
    clock = StillClock()
    services = FakeServices(many(3))
    app = RollodexApp(services, clock)
    async with app.run_test(size=(120, 40)) as pilot:
        desk = Desk(app, pilot, services)
        await desk.until(lambda: desk.selected)
        await desk.press("ctrl+c")
        assert app.is_running
        clock.now += 3_000
        await desk.press("ctrl+c")
        assert app.is_running
        clock.now += 1_000
        await desk.press("ctrl+c")
        await desk.until(lambda: not app.is_running)


async def test_raw_lines_and_details_open_on_a_sheet() -> None:
    async with a_desk_with(FakeServices(many(3))) as desk:
        await desk.press("2")
        await desk.until(lambda: desk.browser.reader.cursor_item is not None)
        await desk.press("J")
        await desk.until(lambda: desk.shows(SheetScreen))
        await desk.press("escape")
        await desk.press("i")
        await desk.until(lambda: desk.shows(SheetScreen))
        await desk.press("escape")
        assert desk.shows(BrowserScreen)


async def test_the_footer_and_the_tabs_answer_to_the_mouse() -> None:
    async with a_desk_with(FakeServices(many(3)), size=(80, 24)) as desk:
        await desk.pilot.click("PaneTabs", offset=(18, 0))
        assert desk.pane() == "transcript"
        await desk.press("1")
        await desk.pilot.click("KeyBar", offset=(3, 0))
        await desk.until(lambda: desk.browser.current_pane == "transcript")


async def test_help_opens_and_closes_with_one_key() -> None:
    async with a_desk_with(FakeServices(many(3))) as desk:
        await desk.press("question_mark")
        assert desk.shows(HelpScreen)
        await desk.press("question_mark")
        assert desk.shows(BrowserScreen)
        await desk.press("question_mark", "escape")
        assert desk.shows(BrowserScreen)


async def test_the_palette_runs_an_action_of_the_focused_pane() -> None:
    async with a_desk_with(FakeServices(many(3))) as desk:
        await desk.press("ctrl+p", *"turn the order", "enter")
        await desk.until(lambda: not desk.services.threads.queries[-1].descending)


async def test_a_missing_home_can_be_tried_again() -> None:
    services = FakeServices(
        many(2), open_error=HomeError("~/.codex does not exist", next_step="Run codex once")
    )
    app = RollodexApp(services, StillClock())
    async with app.run_test(size=(80, 24)) as pilot:
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert isinstance(app.screen, ErrorScreen)
        services.open_error = None
        await pilot.press("ctrl+r")
        desk = Desk(app, pilot, services)
        await desk.until(lambda: desk.titles == ["Thread 0", "Thread 1"])


async def test_ages_go_on_with_the_clock() -> None:
    clock = StillClock()
    services = FakeServices([a_thread(0, updated_at=NOW)])
    app = RollodexApp(services, clock)
    async with app.run_test(size=(80, 24)) as pilot:
        desk = Desk(app, pilot, services)
        await desk.until(lambda: desk.selected)
        assert " now " in desk.browser.thread_list.render_line(0).text
        clock.now += 2 * HOUR
        assert " 2h " in desk.browser.thread_list.render_line(0).text


async def test_a_long_listing_comes_to_its_end_while_the_home_goes_on_changing() -> None:
    services = FakeServices(many(3))
    async with a_desk_with(services) as desk:
        services.threads.all.insert(0, a_thread(77, title="Just now", updated_at=NOW))
        services.threads.gate = gate = asyncio.Event()
        asked = len(services.threads.queries)
        services.change()
        await desk.until(lambda: len(services.threads.queries) > asked)
        begun = len(services.threads.queries)
        for _ in range(3):
            services.change()
            await desk.pilot.pause(CALM * 0.6)
        assert len(services.threads.queries) == begun
        gate.set()
        await desk.until(lambda: desk.titles[0] == "Just now")
