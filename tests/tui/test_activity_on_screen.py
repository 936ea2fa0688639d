"""What Codex is doing, on the screen: marks in the list, counts in the header, `w`, a thread that grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desks import a_desk_with
from fake_services import DAY, HOUR, MINUTE, NOW, FakeServices, a_thread

from store.models import Activity, Notice, WatchStatus

if TYPE_CHECKING:
    from desks import Desk

    from store.models import ActivityState, Thread


def at(key: int, state: ActivityState, ago_ms: int = MINUTE) -> Thread:
    thread = a_thread(key, title=f"{state} {key}", updated_at=NOW - ago_ms)
    return thread.model_copy(
        update={"activity": Activity(thread_id=thread.id, state=state, since=NOW - ago_ms)}
    )


def text_of(desk: Desk) -> str:
    return "\n".join(strip.text for strip in desk.app.screen._compositor.render_strips())


def mark(desk: Desk, title: str) -> str:
    """The mark before the title of a row; the reader beside the list may name the thread as well."""
    rows = (line for line in text_of(desk).splitlines() if line.startswith("│"))
    (row,) = (row for row in rows if f" {title} " in row.partition("││")[0])
    return row[1]


def services_at_work() -> FakeServices:
    return FakeServices(
        [
            at(1, "working"),
            at(2, "silent", 4 * MINUTE),
            at(3, "open", 5 * MINUTE),
            at(4, "died", 3 * HOUR),
            at(5, "died", 3 * DAY),
            a_thread(6, title="resting 6", updated_at=NOW - 4 * DAY),
        ]
    )


async def test_the_list_marks_what_works_waits_and_died_lately() -> None:
    async with a_desk_with(services_at_work()) as desk:
        await desk.until(lambda: "resting 6" in text_of(desk))
        marks = {
            title: mark(desk, title) for title in ("working 1", "silent 2", "open 3", "died 4", "died 5")
        }
        assert marks == {"working 1": "●", "silent 2": "◌", "open 3": " ", "died 4": "✗", "died 5": " "}


async def test_the_header_counts_and_says_how_fresh_the_list_is() -> None:
    services = services_at_work()
    async with a_desk_with(services) as desk:
        await desk.until(lambda: text_of(desk).splitlines()[0].endswith("● 1 working  ◌ 1 silent  ✓ live "))


async def test_polling_is_said_and_why() -> None:
    services = services_at_work()
    notice = Notice(severity="information", what="Polling every 5 s", why="it is on NFS")
    services.watch_status = WatchStatus(mode="polling", notice=notice)
    async with a_desk_with(services) as desk:
        await desk.until(lambda: text_of(desk).splitlines()[0].endswith("polling "))


async def test_w_shows_what_is_at_work_alone_and_all_again() -> None:
    services = services_at_work()
    async with a_desk_with(services) as desk:
        await desk.press("w")
        await desk.until(lambda: len(desk.browser.thread_list.keys) == 2)
        assert "at work only" in str(desk.browser.threads_frame.border_title)
        services.threads.all = [thread for thread in services.threads.all if thread.key > 2]
        services.change()
        await desk.until(lambda: "Codex is at work on nothing" in text_of(desk))
        await desk.press("w")
        await desk.until(lambda: len(desk.browser.thread_list.keys) == 4)


async def test_the_thread_under_the_cursor_grows_in_the_reader_without_being_opened_again() -> None:
    services = services_at_work()
    async with a_desk_with(services) as desk:
        await desk.until(lambda: desk.browser.reader.thread is not None)
        first = services.threads.all[0]
        services.threads.all[0] = first.model_copy(update={"turns": 5, "tokens_used": 77_000})
        services.change()
        await desk.until(lambda: (thread := desk.browser.reader.thread) is not None and thread.turns == 5)
        await desk.until(lambda: "5 turns" in text_of(desk))
        assert services.transcripts_asked == [first.id]


async def test_a_thread_whose_file_moved_is_opened_anew() -> None:
    services = services_at_work()
    async with a_desk_with(services) as desk:
        await desk.until(lambda: desk.browser.reader.thread is not None)
        first = services.threads.all[0]
        moved = first.model_copy(update={"rollout_path": "archived_sessions/rollout-1.jsonl"})
        services.threads.all[0] = moved
        services.change()
        await desk.until(lambda: services.transcripts_asked == [first.id, first.id])
