"""Starting the screens: the app on the services of a home, or of the demo's."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from store.clock import SystemClock
from tui.app import RollodexApp
from tui.live_services import LiveServices, end_task
from tui.options import Options

if TYPE_CHECKING:
    from store.clock import Clock


def launch(options: Options, *, demo: bool, ascii_only: bool, theme: str | None, mouse: bool) -> int:
    """Run the screens until the person quits; returns the exit code."""
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
        await app.run_async(mouse=mouse)
        return app.return_code or 0


async def _make_demo(home: Path, clock: Clock) -> None:
    from store.demo import demo_home

    await asyncio.to_thread(demo_home, home, now_ms=clock.now_ms())


def _live_in_demo(stack: AsyncExitStack, home: Path, clock: Clock) -> None:
    """Have a few threads of the demo go on while it is looked at."""
    from store.demo import LiveWriter

    writer = asyncio.create_task(LiveWriter(home, clock).run(), name="demo writer")
    stack.push_async_callback(end_task, writer)
