"""A running app at a desk: waiting for what it shows, and pictures of it once everything has settled."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from fake_services import FakeServices, StillClock

from tui.app import RollodexApp
from tui.screens.asking import AskingScreen
from tui.screens.browser import BrowserScreen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from textual.app import App
    from textual.pilot import Pilot
    from textual.screen import Screen


class Desk:
    """A running app and its browser."""

    def __init__(self, app: RollodexApp, pilot: Pilot[None], services: FakeServices) -> None:
        self.app = app
        self.pilot = pilot
        self.services = services
        screen = app.screen_stack[-1]
        assert isinstance(screen, BrowserScreen)
        self.browser = screen

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait for a state of the screen, which the test's timeout bounds."""
        async with asyncio.timeout(10):
            while not holds():
                await self.pilot.pause(0.01)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    def pane(self) -> str:
        return self.browser.current_pane

    def shows(self, screen: type[Screen[Any]]) -> bool:
        return isinstance(self.app.screen, screen)

    @property
    def titles(self) -> list[str]:
        rows = self.browser.thread_list
        return [row.display_title if (row := rows.row_at(place)) else "?" for place in range(len(rows.keys))]

    @property
    def selected(self) -> str | None:
        row = self.browser.thread_list.current_row
        return row.display_title if row else None


@asynccontextmanager
async def a_desk_with(services: FakeServices, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Desk]:
    app = RollodexApp(services, StillClock())
    async with app.run_test(size=size) as pilot:
        desk = Desk(app, pilot, services)
        await desk.until(lambda: "?" not in desk.titles and desk.titles)
        yield desk


SIZES = {"60x24": (60, 24), "80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}
SMALL_AND_LARGE = {name: SIZES[name] for name in ("80x24", "120x40")}
STILL = 3
"""Looks in a row at which nothing may be on its way: what ended may have begun something else."""


class Compare(Protocol):
    """The fixture of pytest-textual-snapshot."""

    def __call__(
        self,
        app: App[None],
        *,
        terminal_size: tuple[int, int],
        run_before: Callable[[Pilot[None]], Awaitable[None]],
    ) -> bool: ...


def pressing(*keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Press keys, each once everything before it has settled."""

    async def run(pilot: Pilot[None]) -> None:
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)

    return run


async def settle(pilot: Pilot[None]) -> None:
    """Wait until nothing is on its way to the screen; the test's timeout bounds it."""
    still = 0
    while still < STILL:
        await pilot.pause(0.01)
        top = pilot.app.screen_stack[-1]
        still = still + 1 if not isinstance(top, AskingScreen) or top.settled else 0


def sized(sizes: dict[str, tuple[int, int]] = SIZES) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("size", sizes.values(), ids=sizes.keys())


def an_app(services: FakeServices, *, ascii_only: bool = False, theme: str = "rollodex-dark") -> RollodexApp:
    return RollodexApp(services, StillClock(), ascii_only=ascii_only, theme=theme)
