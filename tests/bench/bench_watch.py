"""The watcher, measured: `PYTHONPATH=tests python -m tests.bench.bench_watch [--threads 1000]`.

The screens are open without a terminal; a turn is appended to the thread under the cursor, and it is timed
until its row is drawn and until its words stand in the transcript. Then everything is at rest.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from building import HomeBuilder

from store.clock import SystemClock
from store.rollouts.envelope import RolloutItem, encode_line
from tui.app import RollodexApp
from tui.live_services import LiveServices
from tui.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable

TICK_SECONDS = 0.01
REST_SECONDS = 1.3
"""Between two appends: more than a listing stands at least, so that each comes after a quiet while."""

GIVE_UP_SECONDS = 10
FIRST_TOKENS = 700
"""What the first append says was used, as the row shows it."""


async def measure(builder: HomeBuilder, state: Path, appends: int, idle: float) -> None:
    """Print what it takes."""
    clock = SystemClock()
    async with LiveServices(Options(codex_home=builder.path, state_dir=state), clock) as services:
        app = RollodexApp(services, clock)
        async with app.run_test(size=(140, 40)):
            async for status in services.watching():
                if status.mode != "catching up":
                    break
            print(f"{len(builder.ids):,} threads, {status.mode}")
            await _until(partial(_is_drawn, app, "6 turns"))
            rows, words = [], []
            for number in range(appends):
                await asyncio.sleep(REST_SECONDS)
                began = time.perf_counter()
                tokens = FIRST_TOKENS + number
                _append(builder, f"What I say the {number}th time.", tokens, clock.now_ms())
                await _until(partial(_is_drawn, app, f" {tokens} "))
                rows.append(time.perf_counter() - began)
                await _until(partial(_is_drawn, app, f"the {number}th time"))
                words.append(time.perf_counter() - began)
            _tell("append to row on screen", rows, "budget 300 ms")
            _tell("append to words on screen", words, "")
            began, used = time.perf_counter(), time.process_time()
            await asyncio.sleep(idle)
            share = (time.process_time() - used) / (time.perf_counter() - began)
            print(f"idle over {idle:.0f} s: {100 * share:.2f} % of a core (budget 2 %)")


def _append(builder: HomeBuilder, text: str, tokens: int, now_ms: int) -> None:
    usage = {"total_token_usage": {"total_tokens": tokens}}
    items = [
        RolloutItem("event_msg", {"type": "user_message", "message": text}),
        RolloutItem("event_msg", {"type": "token_count", "info": usage}),
    ]
    with builder.file(builder.ids[-1]).open("ab") as file:
        file.write(b"".join(encode_line(item, now_ms) for item in items))


def _is_drawn(app: RollodexApp, text: str) -> bool:
    return any(text in strip.text for strip in app.screen._compositor.render_strips())


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while not holds():  # noqa: ASYNC110 - what is drawn tells nobody
            await asyncio.sleep(TICK_SECONDS)


def _tell(what: str, seconds: list[float], budget: str) -> None:
    ms = sorted(1000 * each for each in seconds)
    print(f"{what}: median {statistics.median(ms):.0f} ms, worst {ms[-1]:.0f} ms {budget}".rstrip())


def main() -> None:
    """Measure on a home of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1_000)
    parser.add_argument("--appends", type=int, default=30)
    parser.add_argument("--idle", type=float, default=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollodex-bench-") as folder:
        home = Path(folder) / "codex"
        home.mkdir()
        builder = HomeBuilder(home)
        for number in range(given.threads):
            builder.add(f"task {number}", turns=6)
        asyncio.run(measure(builder, Path(folder) / "state", given.appends, given.idle))


if __name__ == "__main__":
    main()
