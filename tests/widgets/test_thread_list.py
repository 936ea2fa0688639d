"""The Threads list on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fake_services import HOUR, NOW, StillClock, a_desk, a_thread, many
from rich.cells import cell_len
from textual.app import App
from textual.events import MouseScrollDown

from store.errors import DatabaseBusy
from widgets.glyphs import ASCII
from widgets.thread_list import Columns, ThreadList
from widgets.virtual_list import PAGE_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.pilot import Pilot

    from store.models import Thread


class Rows:
    """Threads in memory; remembers the keys it was asked for."""

    def __init__(self, threads: Sequence[Thread], unfolded: dict[str, int] | None = None) -> None:
        self.threads = {thread.key: thread for thread in threads}
        self.keys: Sequence[int] = list(self.threads)
        self.asked: list[int] = []
        self.error: Exception | None = None
        self._unfolded = unfolded or {}

    async def rows(self, keys: Sequence[int]) -> list[Thread]:
        self.asked.extend(keys)
        if self.error is not None:
            raise self.error
        return [self.threads[key] for key in keys if key in self.threads]

    def depth(self, key: int) -> int:
        thread = self.threads.get(key)
        return 1 if thread is not None and thread.parent_thread_id in self._unfolded else 0

    def unfolded(self, thread_id: str) -> bool:
        return thread_id in self._unfolded

    def aside(self, key: int) -> None:
        return None


class Shown(App[None]):
    """The list alone."""

    def __init__(self, rows: Rows, *, ascii_only: bool = False) -> None:
        super().__init__()
        self.rows = rows
        self.list = ThreadList(StillClock(), glyphs=ASCII) if ascii_only else ThreadList(StillClock())
        self.messages: list[object] = []

    def compose(self) -> ComposeResult:
        yield self.list

    def on_mount(self) -> None:
        self.list.focus()
        self.list.show_threads(self.rows, sort="updated")

    def on_virtual_list_opened(self, message: ThreadList.Opened) -> None:
        self.messages.append(message)

    def on_virtual_list_rows_failed(self, message: ThreadList.RowsFailed) -> None:
        self.messages.append(message)

    def on_thread_list_fold_asked(self, message: ThreadList.FoldAsked) -> None:
        self.messages.append(message)


async def settle(pilot: Pilot[None]) -> None:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


def lines(thread_list: ThreadList) -> list[str]:
    return [thread_list.render_line(y).text for y in range(thread_list.size.height)]


async def test_a_hundred_thousand_rows_ask_only_for_those_on_screen() -> None:
    rows = Rows(many(100_000))
    app = Shown(rows)
    async with app.run_test(size=(80, 30)) as pilot:
        await settle(pilot)
        assert sorted(rows.asked) == list(range(PAGE_ROWS))
        app.list.action_last()
        await settle(pilot)
        assert "Thread 99999" in lines(app.list)[-1]
        assert len(rows.asked) <= 3 * PAGE_ROWS
        before = len(rows.asked)
        for _ in range(20):
            app.list.action_move(-1)
        await settle(pilot)
        assert len(rows.asked) == before


async def test_moving_redraws_two_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Shown(Rows(many(50)))
    async with app.run_test(size=(80, 30)) as pilot:
        await settle(pilot)
        redrawn: list[int] = []
        whole: list[tuple[object, ...]] = []
        monkeypatch.setattr(app.list, "refresh_line", redrawn.append)
        monkeypatch.setattr(app.list, "refresh", lambda *regions, **_: whole.append(regions))
        app.list.action_move(1)
        assert redrawn == [0, 1]
        assert whole == []


async def test_a_missing_row_draws_a_placeholder_until_it_comes() -> None:
    rows = Rows(many(3))
    app = Shown(rows)
    async with app.run_test(size=(80, 10)) as pilot:
        await settle(pilot)
        gone = a_thread(7)
        rows = Rows([*many(3), gone])
        del rows.threads[7]
        rows.keys = [0, 1, 2, 7]
        app.list.show_threads(rows, sort="updated")
        await settle(pilot)
        assert lines(app.list)[3].strip() == "…"
        assert app.list.row_at(3) is None


async def test_rows_that_cannot_be_read_are_told_and_asked_for_again() -> None:
    rows = Rows(many(3))
    rows.error = DatabaseBusy("The database is busy")
    app = Shown(rows)
    async with app.run_test(size=(80, 10)) as pilot:
        await settle(pilot)
        failed = [each for each in app.messages if isinstance(each, ThreadList.RowsFailed)]
        assert [each.error for each in failed] == [rows.error]
        rows.error = None
        app.list.show_threads(rows, sort="updated")
        await settle(pilot)
        assert "Thread 0" in lines(app.list)[0]


async def test_a_refresh_keeps_the_cursor_and_its_line_on_screen() -> None:
    app = Shown(Rows(many(200)))
    async with app.run_test(size=(80, 20)) as pilot:
        await settle(pilot)
        app.list.action_move(60)
        await settle(pilot)
        line = app.list.cursor - round(app.list.scroll_y)
        newer = [a_thread(1_000 + place) for place in range(3)]
        app.list.show_threads(Rows([*newer, *many(200)]), sort="updated")
        await settle(pilot)
        assert app.list.current_key == 60
        assert app.list.cursor == 63
        assert app.list.cursor - round(app.list.scroll_y) == line


async def test_a_refresh_keeps_what_is_in_sight_when_the_cursor_is_not() -> None:
    app = Shown(Rows(many(200)))
    async with app.run_test(size=(80, 20)) as pilot:
        await settle(pilot)
        app.list.scroll_to(y=100, animate=False)
        await settle(pilot)
        app.list.show_threads(Rows([a_thread(1_000), *many(200)]), sort="updated")
        await settle(pilot)
        assert app.list.current_key == 0
        assert "Thread 100 " in lines(app.list)[0]


@pytest.mark.parametrize(("gone", "taken"), [({5}, 6), ({5, 6, 7}, 8), ({5, *range(6, 20)}, 4)])
async def test_the_next_thread_is_taken_when_the_selected_one_vanishes(gone: set[int], taken: int) -> None:
    app = Shown(Rows(many(20)))
    async with app.run_test(size=(80, 30)) as pilot:
        await settle(pilot)
        app.list.action_move(5)
        app.list.show_threads(Rows([thread for thread in many(20) if thread.key not in gone]), sort="updated")
        await settle(pilot)
        assert app.list.current_key == taken


async def test_nothing_flickers_while_a_refresh_reads() -> None:
    app = Shown(Rows(many(20)))
    async with app.run_test(size=(80, 30)) as pilot:
        await settle(pilot)
        before = lines(app.list)
        app.list.show_threads(Rows(many(20)), sort="updated")
        assert lines(app.list) == before


async def test_new_keys_never_show_old_rows() -> None:
    app = Shown(Rows(many(20)))
    async with app.run_test(size=(80, 30)) as pilot:
        await settle(pilot)
        app.list.show_threads(Rows(many(20)), sort="updated", keys_changed=True)
        assert lines(app.list)[0].strip() == "…"
        await settle(pilot)
        assert "Thread 0" in lines(app.list)[0]


async def test_foreign_titles_are_text_and_every_row_is_as_wide_as_the_list() -> None:
    app = Shown(Rows([thread for thread in a_desk() if thread.parent_thread_id is None]))
    async with app.run_test(size=(70, 30)) as pilot:
        await settle(pilot)
        drawn = lines(app.list)
        assert {cell_len(line) for line in drawn} == {70}
        assert "[red]not markup[/red] ␛[31mnor" in drawn[5]
        assert "日本語のタイトル" in drawn[4]
        assert all(line[2:8].strip() in ("now", "4m", "38m") for line in drawn[:3])
        assert drawn[7].startswith("! ")
        assert drawn[9].startswith("a ")


async def test_columns_line_up() -> None:
    app = Shown(Rows([thread for thread in a_desk() if thread.parent_thread_id is None]))
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        tokens = [line.rstrip() for line in lines(app.list)[:8]]
        assert {cell_len(line) for line in tokens} == {cell_len(tokens[0])}


@pytest.mark.parametrize("width", range(20, 220, 7))
def test_columns_always_fill_the_width(width: int) -> None:
    columns = Columns.of(width)
    used = 2 + 6 + columns.gap + columns.title + columns.gap + 4 + 1
    assert used + (columns.project + columns.gap if columns.project else 0) == max(width, used)


async def test_unfolding_is_asked_for_and_shown() -> None:
    desk = a_desk()
    parent, children = desk[0], [thread for thread in desk if thread.parent_thread_id]
    app = Shown(Rows([parent, desk[1]]))
    async with app.run_test(size=(80, 30)) as pilot:
        await settle(pilot)
        assert f"{parent.title} +3" in lines(app.list)[0]
        app.list.action_unfold()
        await settle(pilot)
        assert app.messages == [ThreadList.FoldAsked(parent, unfold=True)]
        app.list.show_threads(Rows([parent, *children, desk[1]], {parent.id: 1}), sort="updated")
        await settle(pilot)
        drawn = lines(app.list)
        assert f"{parent.title} -3" in drawn[0]
        assert "  Kepler · Find every test" in drawn[1]
        app.list.action_unfold()
        assert app.list.cursor == 1
        app.list.action_move(2)
        app.list.action_fold()
        assert app.list.cursor == 0
        app.list.action_fold()
        await settle(pilot)
        assert app.messages[-1] == ThreadList.FoldAsked(parent, unfold=False)


async def test_the_mouse_selects_opens_and_scrolls() -> None:
    app = Shown(Rows(many(100)))
    async with app.run_test(size=(80, 20)) as pilot:
        await settle(pilot)
        await pilot.click(ThreadList, offset=(10, 4))
        assert app.list.cursor == 4
        await pilot.click(ThreadList, offset=(10, 6), times=2)
        await settle(pilot)
        assert [each.row.key for each in app.messages if isinstance(each, ThreadList.Opened)] == [6]
        app.list.post_message(MouseScrollDown(app.list, 4, 4, 0, 1, 0, False, False, False))
        await settle(pilot)
        assert app.list.scroll_y > 0
        assert app.list.cursor == 6


async def test_ages_follow_the_sort_and_the_ascii_set_needs_no_unicode() -> None:
    thread = a_thread(
        1, created_at=NOW - 5 * HOUR, updated_at=NOW - HOUR, title="Long enough to be cut off " * 8
    )
    app = Shown(Rows([thread]), ascii_only=True)
    async with app.run_test(size=(60, 5)) as pilot:
        await settle(pilot)
        assert " 1h " in lines(app.list)[0]
        assert lines(app.list)[0].isascii()
        app.list.show_threads(app.rows, sort="created")
        await settle(pilot)
        assert " 5h " in lines(app.list)[0]
