"""How late the event loop is while the screens are open and the backfill runs from nothing.

`python -m tests.bench.lag HOME STATE` prints JSON: milliseconds of lag, and how long it all took.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from store.clock import SystemClock
from tui.app import RollodexApp
from tui.live_services import LiveServices
from tui.options import Options

TICK_SECONDS = 0.005


async def measure(home: Path, state: Path) -> dict[str, float]:
    """Open the screens, tick until the backfill is complete, and say how late the ticks came."""
    clock = SystemClock()
    late: list[float] = []
    async with LiveServices(Options(codex_home=home, state_dir=state), clock) as services:
        app = RollodexApp(services, clock)
        async with app.run_test(size=(120, 40)):
            began = time.perf_counter()
            complete = asyncio.create_task(_completed(services))
            while not complete.done():
                asked = time.perf_counter()
                await asyncio.sleep(TICK_SECONDS)
                late.append(time.perf_counter() - asked - TICK_SECONDS)
            await complete
            seconds = time.perf_counter() - began
    late.sort()
    return {
        "seconds": seconds,
        "ticks": len(late),
        "p50": late[len(late) // 2] * 1000,
        "p99": late[len(late) * 99 // 100] * 1000,
        "max": late[-1] * 1000,
    }


async def _completed(services: LiveServices) -> None:
    async for progress in services.backfill():
        if progress.status == "complete":
            return


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(Path(sys.argv[1]), Path(sys.argv[2])))))
