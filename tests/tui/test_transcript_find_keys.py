"""Finding words in the thread that is read, by the keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from desks import SMALL_AND_LARGE, Compare, Desk, a_desk_with, an_app, pressing, settle, sized
from fake_services import FakeServices, FakeTranscript, a_desk, many
from reading import answer, prompt, screen_text, shell

from tui import keymap
from widgets.find_box import FindBox
from widgets.key_bar import KeyBar
from widgets.thread_peek import ThreadFacts

if TYPE_CHECKING:
    from store.models import Thread, TranscriptItem


def conversation() -> list[TranscriptItem]:
    """A thread about leases, longer than the screen."""
    items: list[TranscriptItem] = []
    for turn in range(30):
        line = 3 * turn
        about = "the lease" if turn % 6 == 0 else "a test"
        items += [
            prompt(line, f"{turn}: what about {about}?"),
            shell(line + 1, f"rg -n BEGIN {turn}", f"store/claims.py:{turn}:\n    begin {about}\n"),
            answer(line + 2, f"Looked at **{about}**, which holds."),
        ]
    return items


class FoundServices(FakeServices):
    """Every thread has the same long transcript."""

    async def transcript(self, thread: Thread) -> FakeTranscript:
        source = await super().transcript(thread)
        source.hold(conversation())
        return source


async def reading(desk: Desk) -> None:
    await desk.press("enter")
    await settle(desk.pilot)


async def press(desk: Desk, *keys: str) -> None:
    for key in keys:
        await desk.press(key)
        await settle(desk.pilot)


def said(desk: Desk) -> str:
    """What the line over the transcript says at its end."""
    return str(desk.browser.query_one("#found").render())


def without_bar(desk: Desk) -> str:
    """The screen but for its scroll bars, which know more heights the more was seen."""
    return re.sub("[▁▂▃▄▅▆▇]", " ", screen_text(desk.app))


def footer(desk: Desk) -> str:
    return str(desk.browser.query_one(KeyBar).render())


def line(desk: Desk) -> int | None:
    item = desk.browser.reader.cursor_item
    return item.line if item else None


async def test_slash_finds_while_typing_and_enter_goes_to_the_hits() -> None:
    async with a_desk_with(FoundServices(many(2))) as desk:
        await reading(desk)
        await press(desk, "slash", *"lease")
        assert desk.browser.query_one(FindBox).editing
        assert not desk.browser.query_one("#transcript > ThreadFacts", ThreadFacts).display
        assert line(desk) == 3 * 24 + 2
        assert said(desk) == "15 of 15 · n N"
        await press(desk, "enter", "N", "N")
        assert desk.pane() == "transcript"
        assert said(desk) == "13 of 15 · n N"
        await press(desk, "n")
        assert line(desk) == 3 * 24 + 1


async def test_esc_in_the_box_goes_back_and_esc_in_the_thread_stays() -> None:
    async with a_desk_with(FoundServices(many(2))) as desk:
        await reading(desk)
        before = without_bar(desk)
        await press(desk, "slash", *"0: what", "escape")
        assert without_bar(desk) == before
        assert (desk.pane(), desk.browser.reader.follows) == ("transcript", True)

        await press(desk, "slash", *"0: what about the", "enter", "escape")
        assert not desk.browser.reader.finding
        assert line(desk) == 0
        assert desk.pane() == "transcript"
        await press(desk, "escape")
        assert desk.pane() == "threads"


async def test_the_list_keeps_its_own_box() -> None:
    async with a_desk_with(FoundServices(many(2))) as desk:
        await press(desk, "slash")
        assert desk.browser.filter_box.editing
        await press(desk, "escape", "2", "slash", *"lease", "enter", "1")
        assert desk.titles == ["Thread 0", "Thread 1"]
        assert desk.browser.filter_box.words == ""
        assert desk.browser.reader.finding


async def test_another_thread_closes_the_box() -> None:
    async with a_desk_with(FoundServices(many(2))) as desk:
        await reading(desk)
        await press(desk, "slash", *"lease", "enter", "1", "down")
        await desk.until(lambda: not desk.browser.reader.finding)
        await settle(desk.pilot)
        assert not desk.browser.query_one(FindBox).display
        assert desk.browser.query_one("#transcript > ThreadFacts", ThreadFacts).display


async def test_a_box_that_stays_empty_closes_with_enter_or_another_pane() -> None:
    async with a_desk_with(FoundServices(many(2))) as desk:
        await reading(desk)
        for leave in ("enter", "tab"):
            await press(desk, "2", "slash", leave)
            assert not desk.browser.query_one(FindBox).display
            assert desk.browser.query_one("#transcript > ThreadFacts", ThreadFacts).display


async def test_what_there_is_not_is_said() -> None:
    async with a_desk_with(FoundServices(many(2))) as desk:
        await reading(desk)
        await press(desk, "slash", *"lease of")
        assert said(desk) == "not in this thread"
        await press(desk, "backspace", "backspace", "backspace", "enter", "home", "down")
        assert said(desk) == "2 of 15 · n N"


async def test_the_footer_names_the_keys_of_the_box_and_of_the_pane() -> None:
    async with a_desk_with(FoundServices(many(2)), (200, 60)) as desk:
        await reading(desk)
        assert "find" in footer(desk)
        assert "filter" not in footer(desk)
        await press(desk, "slash")
        assert "go back" in footer(desk)


def test_a_pane_takes_over_a_key_of_everywhere_only_in_its_sense() -> None:
    assert "filter" in [action.name for action in keymap.heard_everywhere("threads")]
    assert "filter" not in [action.name for action in keymap.heard_everywhere("transcript")]


# Pictures


@sized()
def test_finding(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The words typed take the place of the facts, the count stands at the end of the line."""
    keys = ("enter", "slash", *"lease", "enter", "N", "N", "N")
    assert snap_compare(an_app(FoundServices(a_desk())), terminal_size=size, run_before=pressing(*keys))


@sized(SMALL_AND_LARGE)
def test_typing(snap_compare: Compare, size: tuple[int, int]) -> None:
    """While words are typed the nearest hit is in sight, and the footer says what enter and esc do."""
    keys = ("enter", "slash", *"claims.py:24")
    assert snap_compare(an_app(FoundServices(a_desk())), terminal_size=size, run_before=pressing(*keys))


@pytest.mark.parametrize("size", [(120, 40)], ids=["120x40"])
def test_ascii_and_light(snap_compare: Compare, size: tuple[int, int]) -> None:
    """In plain letters and on paper."""
    app = an_app(FoundServices(a_desk()), ascii_only=True, theme="rollodex-light")
    keys = ("enter", "slash", *"lease", "enter", "N")
    assert snap_compare(app, terminal_size=size, run_before=pressing(*keys))


@pytest.mark.parametrize("size", [(120, 40)], ids=["120x40"])
def test_no_color(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    """Without colours the hits are underlined."""
    monkeypatch.setenv("NO_COLOR", "1")
    keys = ("enter", "slash", *"lease", "enter", "N")
    assert snap_compare(an_app(FoundServices(a_desk())), terminal_size=size, run_before=pressing(*keys))
