"""Starting the screens: the app on the services of a home, or of the demo's."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from textual.theme import BUILTIN_THEMES

from store.clock import SystemClock
from store.errors import StoreError
from tui.app import RollodexApp
from tui.live_services import LiveServices, end_task
from tui.options import Options
from tui.themes import THEMES

if TYPE_CHECKING:
    from store.clock import Clock


class NoTerminal(StoreError):
    """There is nothing to draw the screens on, or to read keys from."""


def launch(options: Options, *, demo: bool, ascii_only: bool, theme: str | None, mouse: bool) -> int:
    """Run the screens until the person quits; returns the exit code. Raises NoTerminal and BadParameter."""
    _check_terminal()
    _check_theme(theme)
    return asyncio.run(_run(options, demo=demo, ascii_only=ascii_only, theme=theme, mouse=mouse))


async def _run(options: Options, *, demo: bool, ascii_only: bool, theme: str | None, mouse: bool) -> int:
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        if demo:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rollodex-demo-")))
            options = Options(codex_home=folder / ".codex", state_dir=folder / "state")
            await _make_demo(folder / ".codex", clock)
        services = await stack.enter_async_context(LiveServices(options, clock))
        if demo:
            _live_in_demo(stack, folder / ".codex", clock)
        app = RollodexApp(
            services, clock, ascii_only=ascii_only, **({} if theme is None else {"theme": theme})
        )
        _end_on_signals(app)
        await app.run_async(mouse=mouse)
        return app.return_code or 0


def _check_terminal() -> None:
    """Without a terminal the screens would wait for keys for ever, and never rest."""
    # Textual reads from and draws on these two; its other drivers need neither.
    ends = (("input", sys.__stdin__), ("error output", sys.__stderr__))
    for name, end in () if os.environ.get("TEXTUAL_DRIVER") else ends:
        if end is None or not end.isatty():
            raise NoTerminal(
                "The screens need a terminal",
                why=f"the standard {name} is none",
                next_step="`rollodex threads` prints the list, `rollodex --help` what else there is",
            )


def _check_theme(theme: str | None) -> None:
    known = sorted([*BUILTIN_THEMES, *(each.name for each in THEMES)])
    if theme is not None and theme not in known:
        raise click.BadParameter(f"{theme!r} is none of {', '.join(known)}.", param_hint="'--theme'")


def _end_on_signals(app: RollodexApp) -> None:
    """Quit as with a key, so that the terminal, if it is still there, is left as it was found."""
    with suppress(NotImplementedError, AttributeError):  # Windows
        for number in (signal.SIGTERM, signal.SIGHUP):
            quitting = partial(app.exit, return_code=128 + number)
            asyncio.get_running_loop().add_signal_handler(number, quitting)


async def _make_demo(home: Path, clock: Clock) -> None:
    from store.demo import demo_home

    await asyncio.to_thread(demo_home, home, now_ms=clock.now_ms())


def _live_in_demo(stack: AsyncExitStack, home: Path, clock: Clock) -> None:
    """Have a few threads of the demo go on while it is looked at."""
    from store.demo import LiveWriter

    writer = asyncio.create_task(LiveWriter(home, clock).run(), name="demo writer")
    stack.push_async_callback(end_task, writer)
