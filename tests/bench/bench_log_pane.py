"""The Logs pane, measured beside a busy writer: `python -m tests.bench.bench_log_pane [--seconds 4]`.

Another process offers rows of every level at two rates while the whole app shows them, first at the end, then
with the person gone up; said are the CPU of our process, how late the event loop was, and what was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from store.clock import SystemClock
from tui.app import RollodexApp
from tui.live_services import LiveServices
from tui.options import Options
from tui.screens.browser import BrowserScreen

from .bench_logs import RATES, TICK_SECONDS, go, writer

SETTLED_SECONDS = 2.0


class Shown(NamedTuple):
    """What one run saw."""

    cpu_percent: float
    lag_p99_ms: float
    lag_max_ms: float
    key_max_ms: float
    written: int
    lost: int


async def shown(folder: Path, rate: int, seconds: float, *, going_up: bool) -> Shown:
    """Show a busy log in the app, pressing a key now and then."""
    home = folder / "home"
    home.mkdir(parents=True)
    clock = SystemClock()
    late: list[float] = []
    keys: list[float] = []
    async with LiveServices(Options(codex_home=home, state_dir=folder / "state"), clock) as services:
        app = RollodexApp(services, clock)
        with writer(home / "logs_2.sqlite", rate, seconds) as process:
            async with app.run_test(size=(120, 40)) as pilot:
                await asyncio.sleep(SETTLED_SECONDS)
                browser = next(each for each in app.screen_stack if isinstance(each, BrowserScreen))
                logs = browser.logs
                logs.look(replace(logs.filter, min_level="TRACE", words="source:codex"))
                await pilot.press("3")
                await asyncio.sleep(SETTLED_SECONDS)
                before = logs.received
                go(process)
                cpu, began = time.process_time(), time.monotonic()
                pressed = began
                while process.poll() is None:
                    asked = time.perf_counter()
                    await asyncio.sleep(TICK_SECONDS)
                    late.append(time.perf_counter() - asked - TICK_SECONDS)
                    if going_up and time.monotonic() - pressed > 0.5:
                        asked = time.perf_counter()
                        logs.rows.action_move(-1)
                        keys.append(time.perf_counter() - asked)
                        pressed = time.monotonic()
                used, passed = time.process_time() - cpu, time.monotonic() - began
                written = int(process.communicate()[0])
                await asyncio.sleep(SETTLED_SECONDS)
                lost = written - (logs.received - before)
    late.sort()
    return Shown(
        100 * used / passed,
        late[len(late) * 99 // 100] * 1000,
        late[-1] * 1000,
        max(keys, default=0) * 1000,
        written,
        lost,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollodex-bench-") as folder:
        for rate in RATES:
            print(f"{rate:,} lines a second offered for {options.seconds:g} s")
            for going_up in (False, True):
                place = Path(folder) / f"{rate}-{going_up}"
                found = asyncio.run(shown(place, rate, options.seconds, going_up=going_up))
                print(
                    f"  {'gone up' if going_up else 'following'}: CPU {found.cpu_percent:.0f} %,"
                    f" loop lag p99 {found.lag_p99_ms:.1f} ms, max {found.lag_max_ms:.1f} ms,"
                    f" slowest move {found.key_max_ms:.1f} ms; {found.written:,} written, {found.lost} lost",
                    flush=True,
                )


if __name__ == "__main__":
    main()
