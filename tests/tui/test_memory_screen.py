"""The Memory pane and the Memory screen at work: nothing runs before a sheet was answered."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from desks import Desk, a_desk_with
from fake_services import FakeServices, StillClock, a_desk, many
from memory_values import (
    NOW,
    busy_jobs,
    change,
    codex_pipeline,
    global_row,
    job_row,
    memory,
    phase2,
    pipeline,
    run,
    thread_id,
)
from reading import screen_text

from store.errors import CodexDatabaseError, EngineFailed, RestoreRefused
from store.memories.models import ExtractionResult, RunProgress
from tui.app import RollodexApp
from tui.memory_orders import Consolidate, Extract, Restore, RunCodex
from tui.screens.browser import BrowserScreen
from tui.screens.choice import ChoiceScreen
from tui.screens.memory import MemoryScreen
from tui.screens.memory_files import MemoryFilesScreen
from tui.screens.memory_history import MemoryHistoryScreen
from tui.screens.sheet import SheetScreen
from widgets.memory_artifacts import Artifact
from widgets.thread_details import ThreadDetails

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

OURS = pipeline(*busy_jobs(), outputs=34, waiting=6, phase2=phase2("pending"))
CODEX = codex_pipeline(job_row(20, "waits"), outputs=12, phase2=phase2("done"))


def some_services() -> FakeServices:
    services = FakeServices(many(3))
    services.memories.now = (OURS, CODEX)
    return services


@asynccontextmanager
async def memory_screen(services: FakeServices, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Desk]:
    async with a_desk_with(services, size) as desk:
        await desk.press("5", "enter")
        await desk.until(lambda: desk.shows(MemoryScreen) and the_screen(desk).settled)
        yield desk


def the_screen(desk: Desk) -> MemoryScreen:
    screen = desk.app.screen
    assert isinstance(screen, MemoryScreen)
    return screen


def facts(desk: Desk) -> str:
    """What the sheet says, once there is one."""
    screen = desk.app.screen
    return screen.facts.text if isinstance(screen, ChoiceScreen) and screen.is_mounted else ""


def listed(desk: Desk) -> Sequence[str]:
    jobs = the_screen(desk).jobs
    entries = [jobs.row_at(place) for place in range(len(jobs.keys))]
    return [entry.row.state for entry in entries if entry is not None]


async def test_the_strip_follows_the_pipelines() -> None:
    services = some_services()
    async with a_desk_with(services) as desk:
        await desk.until(lambda: "2 extractions failed" in desk.browser.memory.text)
        services.memories.show(pipeline(outputs=3, phase2=phase2("done", last_success_at=NOW - 60)))
        await desk.until(lambda: "consolidated" in desk.browser.memory.text)
        await desk.press("5")
        assert desk.pane() == "memory"
        await desk.until(lambda: "no job yet" in desk.browser.memory.text)


async def test_pipelines_that_cannot_be_read_are_a_notice_until_they_can() -> None:
    services = some_services()
    services.memories.error = CodexDatabaseError("Codex's memories_1.sqlite cannot be read", why="locked")
    async with a_desk_with(services) as desk:
        await desk.until(lambda: desk.browser.notice_bar.notices)
        services.memories.error = None
        await desk.press("ctrl+r")
        await desk.until(lambda: not desk.browser.notice_bar.notices)
        await desk.until(lambda: "failed" in desk.browser.memory.text)


async def test_a_number_leads_back_to_its_pane() -> None:
    async with memory_screen(some_services()) as desk:
        await desk.press("2")
        await desk.until(lambda: desk.shows(BrowserScreen) and desk.pane() == "transcript")


async def test_the_job_under_the_cursor_is_shown_in_full() -> None:
    async with memory_screen(some_services()) as desk:
        screen = the_screen(desk)
        await desk.press("down", "down")
        await desk.until(lambda: screen.details.row is not None and screen.details.row.state == "waits")
        assert "EOF while parsing a string at line 1 column 400" in screen.details.text
        await desk.press("enter")
        await desk.until(lambda: screen.details.has_focus)
        await desk.press("escape")
        await desk.until(lambda: screen.jobs.has_focus)


async def test_a_narrow_screen_shows_the_job_on_a_sheet() -> None:
    async with memory_screen(some_services(), size=(80, 24)) as desk:
        await desk.press("down", "enter")
        await desk.until(lambda: desk.shows(SheetScreen))


async def test_jobs_are_filtered_by_state_and_by_words() -> None:
    async with memory_screen(some_services()) as desk:
        screen = the_screen(desk)
        await desk.press("F", "F")
        await desk.until(lambda: set(listed(desk)) == {"waits", "retriable", "gave up"})
        assert "failed jobs" in str(screen.jobs_frame.border_title)
        await desk.press("slash", *"nightly")
        await desk.until(lambda: listed(desk) == ["retriable"])
        await desk.press("enter", "escape")
        await desk.until(lambda: len(listed(desk)) == 3)
        await desk.press("escape")
        await desk.until(lambda: len(listed(desk)) == len(OURS.jobs))


async def test_tab_shows_codexs_own_pipeline() -> None:
    async with memory_screen(some_services()) as desk:
        screen = the_screen(desk)
        await desk.press("tab")
        await desk.until(lambda: screen.pipeline == CODEX and listed(desk) == ["waits"])
        await desk.press("tab")
        await desk.until(lambda: screen.pipeline == OURS)


async def test_an_extraction_says_what_it_takes_and_the_default_is_to_do_nothing() -> None:
    services = some_services()
    async with memory_screen(services) as desk:
        await desk.press("X")
        await desk.until(lambda: facts(desk))
        assert "6 threads wait for extraction." in facts(desk)
        assert "by rule, on this machine, without a model" in facts(desk)
        await desk.press("enter")
        await desk.until(lambda: desk.shows(MemoryScreen))
        assert services.memories.orders == []
        await desk.press("X")
        await desk.until(lambda: facts(desk))
        await desk.press("down", "down")
        await desk.until(lambda: "about 184k" in facts(desk))
        await desk.press("enter")
        await desk.until(lambda: services.memories.orders == [Extract("codex")])


async def test_nothing_to_extract_offers_nothing() -> None:
    services = some_services()
    services.memories.extraction = type(services.memories.extraction)(None, 0, 0, "", ())
    async with memory_screen(services) as desk:
        await desk.press("X")
        await desk.until(lambda: facts(desk))
        assert "No thread waits for extraction." in facts(desk)
        await desk.press("down", "enter")
        await desk.until(lambda: desk.shows(MemoryScreen))
        assert services.memories.orders == []


async def test_marked_threads_are_extracted_from_the_list() -> None:
    services = some_services()
    async with a_desk_with(services) as desk:
        await desk.press("space", "down", "space")
        marked = [services.threads.all[0].id, services.threads.all[2].id]
        assert list(desk.browser.thread_list.marked) == marked
        await desk.until(lambda: "2 marked · X extracts" in str(desk.browser.threads_frame.border_subtitle))
        await desk.press("X")
        await desk.until(lambda: facts(desk))
        assert "2 threads that you named" in facts(desk)
        await desk.press("down", "enter")
        await desk.until(lambda: desk.shows(MemoryScreen))
        assert services.memories.orders == [Extract("extractive", tuple(marked))]
        await desk.press("1", "escape")
        await desk.until(lambda: not desk.browser.thread_list.marked)


async def test_the_thread_under_the_cursor_is_extracted_where_none_is_marked() -> None:
    services = some_services()
    async with a_desk_with(services) as desk:
        await desk.press("down", "X")
        await desk.until(lambda: facts(desk))
        assert services.memories.planned == [[services.threads.all[1].id]]


async def test_a_mark_is_taken_away_by_the_same_key_and_outlives_a_listing() -> None:
    services = FakeServices(a_desk())
    async with a_desk_with(services) as desk:
        await desk.press("space", "s")
        await desk.until(lambda: "by created" in str(desk.browser.threads_frame.border_title))
        await desk.until(lambda: desk.browser.settled)
        assert desk.browser.thread_list.marked
        assert "✓" in "".join(desk.browser.thread_list.render_line(y).text for y in range(17))
        await desk.press("s")
        await desk.until(lambda: "by updated" in str(desk.browser.threads_frame.border_title))
        await desk.press("g", "space")
        await desk.until(lambda: not desk.browser.thread_list.marked)


async def test_a_failed_job_is_retried_by_name_and_the_consolidation_by_force() -> None:
    services = some_services()
    failed = pipeline(global_row("waits"), job_row(1, "gave up"), phase2=phase2("error"))
    services.memories.now = (failed,)
    async with memory_screen(services) as desk:
        await desk.press("down", "R")
        await desk.until(lambda: facts(desk))
        assert services.memories.planned == [[thread_id(1)]]
        await desk.press("escape", "g", "R")
        await desk.until(lambda: facts(desk))
        assert "34 memories of threads" in facts(desk)


async def test_the_strip_retries_everything_that_failed() -> None:
    services = some_services()
    async with a_desk_with(services) as desk:
        await desk.until(lambda: "failed" in desk.browser.memory.text)
        await desk.press("5", "R")
        await desk.until(lambda: facts(desk))
        assert services.memories.planned == [[thread_id(2), thread_id(3), thread_id(4), thread_id(5)]]


async def test_what_runs_is_shown_live_and_its_end_stays() -> None:
    services = some_services()
    memories = services.memories
    memories.titles = {thread_id(1): "Fix the flaky test"}
    async with memory_screen(services) as desk:
        screen = the_screen(desk)
        await desk.press("X")
        await desk.until(lambda: facts(desk))
        await desk.press("down", "enter")
        await desk.until(lambda: desk.app.screen is screen and screen.run_frame.display)
        memories.report(
            RunProgress(
                phase="extraction", step="engine", done=1, total=6, thread_id=thread_id(1), output="[red]hm\n"
            )
        )
        await desk.until(lambda: "[red]hm" in screen.run_view.output.lines)
        await desk.until(lambda: "Fix the flaky test" in screen.run_view.head.text)
        memories.end(ExtractionResult(outcome="succeeded", claimed=6, succeeded=5, no_output=1))
        await desk.until(lambda: "5 memories extracted" in screen.run_view.head.text)
        await desk.press("escape")
        await desk.until(lambda: not screen.run_frame.display)


async def test_a_run_goes_on_while_nobody_looks_and_is_found_again() -> None:
    services = some_services()
    async with memory_screen(services) as desk:
        await desk.press("X")
        await desk.until(lambda: facts(desk))
        await desk.press("down", "enter")
        await desk.until(lambda: desk.shows(MemoryScreen) and services.memories.errand)
        await desk.press("escape")
        await desk.until(lambda: desk.shows(BrowserScreen))
        progress = RunProgress(phase="extraction", step="engine", done=2, total=6, output="said meanwhile")
        services.memories.report(progress)
        await desk.press("enter")
        await desk.until(lambda: "said meanwhile" in the_screen(desk).run_view.output.lines)


async def test_stopping_asks_first() -> None:
    services = some_services()
    async with memory_screen(services) as desk:
        screen = the_screen(desk)
        await desk.press("c")
        await desk.until(lambda: facts(desk))
        await desk.press("down", "enter")
        await desk.until(lambda: desk.app.screen is screen and screen.run_view.running)
        await desk.press("K")
        await desk.until(lambda: facts(desk))
        await desk.press("enter")
        await desk.until(lambda: desk.app.screen is screen)
        assert not services.memories.stopped
        await desk.press("K")
        await desk.until(lambda: facts(desk))
        await desk.press("down", "enter")
        await desk.until(lambda: services.memories.stopped)
        await desk.until(lambda: "Stopped" in screen.run_view.head.text)


async def test_a_root_of_codexs_offers_codex_or_another_folder() -> None:
    services = some_services()
    memories = services.memories
    memories.consolidation = type(memories.consolidation)(
        memories.consolidation.root,
        34,
        21_400,
        "",
        force=False,
        engines=memories.consolidation.engines,
        owned="its jobs table has rows for it",
        elsewhere="/home/me/.local/state/rollodex/memories",
        codex_skips=("nothing was idle for 12 hours", "memories are switched off in config.toml"),
    )
    async with memory_screen(services) as desk:
        await desk.press("c")
        await desk.until(lambda: facts(desk))
        said = facts(desk)
        assert "belongs to Codex: its jobs table has rows for it." in said
        assert "Nothing was idle for 12 hours." in said
        await desk.press("down", "down")
        await desk.until(lambda: "which Codex will not read" in facts(desk).replace("\n          ", " "))
        await desk.press("enter")
        await desk.until(lambda: memories.orders)
        assert memories.orders == [
            Consolidate("extractive", "/home/me/.local/state/rollodex/memories", force=True)
        ]
        memories.end(None)
        await desk.press("tab", "R")
        await desk.until(lambda: facts(desk))
        await desk.press("down", "enter")
        await desk.until(lambda: memories.orders[1:] == [RunCodex()])


async def test_one_order_at_a_time() -> None:
    services = some_services()
    async with memory_screen(services) as desk:
        for _ in range(2):
            await desk.press("c")
            await desk.until(lambda: facts(desk))
            await desk.press("down", "enter")
            await desk.until(lambda: desk.shows(MemoryScreen))
        await desk.until(lambda: the_screen(desk).notice_bar.notices)
        assert len(services.memories.orders) == 1


async def test_an_engine_that_failed_says_why() -> None:
    services = some_services()
    async with memory_screen(services) as desk:
        screen = the_screen(desk)
        await desk.press("c")
        await desk.until(lambda: facts(desk))
        await desk.press("down", "enter")
        await desk.until(lambda: services.memories.errand)
        services.memories.end(EngineFailed("codex exec failed", why="exit 1", next_step="codex login"))
        await desk.until(lambda: "codex exec failed" in screen.run_view.head.text.casefold())
        assert screen.run_view.output.lines[-2:] == ["exit 1.", "codex login."]


def undoable(services: FakeServices) -> None:
    services.memories.all_runs = [run(13, status="failed", changed=(), reason="no"), run(12), run(11)]
    services.memories.run_changes = {
        11: [change("MEMORY.md", None, "old\n")],
        12: [change("MEMORY.md", "old\n", "new\n"), change("memory_summary.md", None, "v1\n")],
        13: [],
    }


async def test_what_changed_is_shown_run_by_run_and_undone() -> None:
    services = some_services()
    undoable(services)
    async with memory_screen(services) as desk:
        await desk.press("d")
        await desk.until(lambda: desk.shows(MemoryHistoryScreen))
        screen = desk.app.screen
        assert isinstance(screen, MemoryHistoryScreen)
        await desk.until(lambda: screen.diff.run is not None)
        await desk.press("down")
        await desk.until(lambda: "memory_summary.md" in screen.diff.text)
        assert "new" in screen.diff.text
        await desk.press("enter")
        assert screen.diff.has_focus
        await desk.press("escape", "u")
        await desk.until(lambda: facts(desk))
        assert "Run 12 was a consolidation" in facts(desk)
        await desk.press("down", "enter")
        await desk.until(lambda: services.memories.orders == [Restore(12)])
        await desk.press("escape")
        await desk.until(lambda: desk.shows(MemoryScreen))


async def test_undoing_over_later_changes_asks_again() -> None:
    services = some_services()
    undoable(services)
    services.memories.refusal = RestoreRefused("Files changed since run 12", why="MEMORY.md was edited")
    async with memory_screen(services) as desk:
        await desk.press("u")
        await desk.until(lambda: facts(desk))
        first = desk.app.screen
        await desk.press("down", "enter")
        await desk.until(lambda: desk.app.screen is not first and facts(desk))
        assert "MEMORY.md was edited." in facts(desk)
        await desk.press("down", "enter")
        await desk.until(lambda: services.memories.orders == [Restore(12), Restore(12, confirmed=True)])
        await desk.until(lambda: desk.shows(MemoryScreen))


async def test_nothing_to_undo_is_said() -> None:
    services = some_services()
    async with memory_screen(services) as desk:
        await desk.press("u")
        await desk.until(lambda: the_screen(desk).settled)
        assert desk.shows(MemoryScreen)


async def test_the_files_of_the_folder_are_read() -> None:
    services = some_services()
    services.memories.files = {
        "MEMORY.md": (Artifact("MEMORY.md", 12), "# Memory\n\nabout [b]app[/b]"),
        "raw_memories.md": (Artifact("raw_memories.md", 40), "raw"),
    }
    async with memory_screen(services) as desk:
        await desk.press("a")
        await desk.until(lambda: desk.shows(MemoryFilesScreen))
        screen = desk.app.screen
        assert isinstance(screen, MemoryFilesScreen)
        await desk.until(lambda: "about [b]app[/b]" in screen.text.text)
        await desk.press("down")
        await desk.until(lambda: screen.text.text.strip() == "raw")


async def test_from_codexs_tab_codexs_files_are_read() -> None:
    services = some_services()
    services.memories.files = {"MEMORY.md": (Artifact("MEMORY.md", 12), "# Memory")}
    codex = CODEX.model_copy(update={"root": "/src/memories_v2"})
    services.memories.now = (OURS, codex)
    async with memory_screen(services) as desk:
        await desk.press("tab")
        await desk.until(lambda: the_screen(desk).pipeline == codex)
        await desk.press("a")
        await desk.until(lambda: desk.shows(MemoryFilesScreen))
        screen = desk.app.screen
        assert isinstance(screen, MemoryFilesScreen)
        await desk.until(lambda: codex.root in str(screen.list_frame.border_title))


async def test_without_a_job_the_jobs_have_the_whole_screen() -> None:
    services = some_services()
    services.memories.show(pipeline(waiting=1), CODEX)
    async with memory_screen(services) as desk:
        screen = the_screen(desk)
        await desk.until(lambda: "1 thread can be extracted" in screen_text(desk.app))
        assert not screen.details_frame.region
        await desk.press("tab")
        await desk.until(lambda: screen.details_frame.region)


async def test_nothing_to_consolidate_offers_nothing() -> None:
    services = some_services()
    services.memories.consolidation = replace(services.memories.consolidation, memories=0)
    async with memory_screen(services) as desk:
        await desk.press("c")
        await desk.until(lambda: "No thread has a memory yet" in screen_text(desk.app))
        await desk.press("down", "enter")
        await desk.until(lambda: desk.shows(MemoryScreen))
        assert not services.memories.orders


async def test_what_is_not_needed_is_done_by_name() -> None:
    services = some_services()
    done = replace(services.memories.consolidation, needed="consolidated 2 min ago", new=False, force=True)
    services.memories.consolidation = done
    async with memory_screen(services) as desk:
        await desk.press("c")
        await desk.until(lambda: "Consolidated 2 min ago." in screen_text(desk.app))
        assert "Nothing new has come since" in screen_text(desk.app)


async def test_the_details_of_a_thread_tell_its_memory_and_its_projects() -> None:
    services = some_services()
    services.memories.memory = memory(1)
    services.memories.recent = [memory(2, title="Leases for jobs")]
    async with a_desk_with(services) as desk:
        await desk.press("2")
        await desk.until(lambda: desk.browser.reader.cursor_item is not None)
        await desk.press("i")
        await desk.until(lambda: desk.shows(SheetScreen))
        body = desk.app.screen.query_one(ThreadDetails)
        await desk.until(lambda: "The claim read before it took the lock." in body.text)
        assert "Leases for jobs" in body.text


async def test_times_go_on_with_the_clock() -> None:
    services = some_services()
    clock = StillClock(NOW * 1000)
    app = RollodexApp(services, clock)
    async with app.run_test(size=(120, 40)) as pilot:
        desk = Desk(app, pilot, services)
        await desk.until(lambda: desk.selected)
        await desk.press("5", "enter")
        await desk.until(lambda: desk.shows(MemoryScreen) and the_screen(desk).settled)
        await desk.press("down")
        await desk.until(lambda: "52 min left" in the_screen(desk).details.text)
        clock.now += 10 * 60_000
        await desk.until(lambda: "42 min left" in the_screen(desk).details.text)
