"""The log tail, measured: `python -m tests.bench.bench_logs [--seconds 4] [--rows 700000]`.

Another process offers rows at two rates while one tail, two tails and the command follow them; then a log of
so many rows (700,000 take 240 MB) is asked for its newest rows, for a rare word, and for its health.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from contextlib import aclosing, closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from store.clock import SystemClock
from store.log_health import log_health
from store.log_queries import query_logs
from store.log_sources import codex_logs, log_file
from store.log_tail import LogTail, tail_logs
from store.models import LogQuery

from .processes import ROOT, rollodex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RATES = (2_000, 20_000)
TICK_SECONDS = 0.005
POLL_SECONDS = 0.1


class Tailed(NamedTuple):
    """What one run saw."""

    cpu_percent: float
    lag_p99_ms: float
    lag_max_ms: float
    written: int
    lost: int
    repeated: int


@contextmanager
def writer(path: Path, rate: int, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """The process that offers rows, ready to go."""
    command = [sys.executable, "-P", "-m", "tests.bench.log_writer", str(path), str(rate), str(seconds)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


def go(process: subprocess.Popen[str]) -> None:
    """Have the writer begin."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


async def tailed(path: Path, rate: int, seconds: float, tails: int) -> Tailed:
    """Follow a busy log with so many tails in one loop, and say how late its ticks came."""
    seen: list[list[int]] = [[] for _ in range(tails)]
    late: list[float] = []

    async def follow(ids: list[int]) -> None:
        batches = tail_logs([log_file(path)], LogQuery(), backfill=0, poll_seconds=POLL_SECONDS)
        async with aclosing(batches):
            async for batch in batches:
                ids.extend(row.id for row in batch.rows)

    with writer(path, rate, seconds) as process:
        following = [asyncio.create_task(follow(ids)) for ids in seen]
        await asyncio.sleep(4 * POLL_SECONDS)
        go(process)
        cpu, began = time.process_time(), time.monotonic()
        while process.poll() is None:
            asked = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            late.append(time.perf_counter() - asked - TICK_SECONDS)
        used, passed = time.process_time() - cpu, time.monotonic() - began
        written = int(process.communicate()[0])
        await asyncio.sleep(4 * POLL_SECONDS)
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
    late.sort()
    return Tailed(
        100 * used / passed,
        late[len(late) * 99 // 100] * 1000,
        late[-1] * 1000,
        written,
        max(written - len(set(ids)) for ids in seen),
        max(sum(a >= b for a, b in pairwise(ids)) for ids in seen),
    )


def commanded(path: Path, rate: int, seconds: float, *arguments: str) -> tuple[float, int, int]:
    """CPU percent of `rollodex logs` beside a busy log, rows written, and rows missing in its output."""
    with writer(path, rate, seconds) as process:
        command = rollodex("logs", "--db", str(path), "--backfill", "0", *arguments)
        with subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
        ) as printing:
            time.sleep(1.5)
            go(process)
            began = time.monotonic()
            written = 0
            lines = 0
            assert printing.stdout is not None
            for _line in printing.stdout:
                lines += 1
                if not written and process.poll() is not None:
                    written = int(process.communicate()[0])
                if written and lines >= written:
                    break
            passed = time.monotonic() - began
            printing.stdout.close()
            _, _, used = os.wait4(printing.pid, 0)
            printing.returncode = 0
    return 100 * (used.ru_utime + used.ru_stime) / passed, written, written - lines


def idle(path: Path, *, beside_a_writer: bool) -> float:
    """Microseconds of a poll that finds nothing."""
    with writer(path, 1, 0) as process, closing(LogTail([codex_logs(path.parent)], LogQuery())) as tail:
        if not beside_a_writer:
            process.communicate("go\n")
        for _ in range(10):
            tail.poll()
        began = time.perf_counter()
        for _ in range(1_000):
            tail.poll()
        seconds = time.perf_counter() - began
        if beside_a_writer:
            process.communicate("go\n")
        return seconds * 1_000


def asked(what: str, question: Callable[[], str]) -> None:
    """Print what a question to the log answers, and how long that takes."""
    began = time.perf_counter()
    answer = question()
    print(f"  {what}: {(time.perf_counter() - began) * 1000:.1f} ms, {answer}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rows", type=int, default=700_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollodex-bench-") as folder:
        for rate in RATES:
            print(f"{rate:,} lines a second offered for {options.seconds:g} s")
            for tails in (1, 2):
                path = Path(folder) / f"{rate}-{tails}.sqlite"
                found = asyncio.run(tailed(path, rate, options.seconds, tails))
                print(
                    f"  {tails} tail{'s'[: tails - 1]}: CPU {found.cpu_percent:.0f} %,"
                    f" loop lag p99 {found.lag_p99_ms:.1f} ms, max {found.lag_max_ms:.1f} ms;"
                    f" {found.written:,} written, {found.lost} lost, {found.repeated} out of order",
                    flush=True,
                )
            for form in ("--compact", "--json"):
                path = Path(folder) / f"{rate}{form}.sqlite"
                cpu, written, lost = commanded(path, rate, options.seconds, form)
                print(f"  logs {form}: CPU {cpu:.0f} %; {written:,} written, {lost} lost", flush=True)
        home = Path(folder) / "home"
        home.mkdir()
        for beside, name in ((True, "a writer's connection"), (False, "nobody")):
            print(f"idle poll beside {name}: {idle(home / 'logs_2.sqlite', beside_a_writer=beside):.0f} µs")
        path = Path(folder) / "large.sqlite"
        with writer(path, options.rows * 100, 0.001) as process:
            go(process)
            print(f"{int(process.communicate()[0]):,} rows, {path.stat().st_size / 1e6:,.0f} MB")
        source = log_file(path)
        rare = LogQuery(text="number=7 ")
        asked("newest 200", lambda: f"{len(query_logs(source, LogQuery(), limit=200))} rows")
        asked(
            "from WARN on", lambda: f"{len(query_logs(source, LogQuery(min_level='WARN'), limit=200))} rows"
        )
        asked("a word in an old row", lambda: f"{len(query_logs(source, rare, limit=200))} rows")

        def health() -> str:
            found = log_health(source, SystemClock())
            assert found is not None
            return f"{found.counted_rows:,} of {found.rows:,} rows counted"

        asked("health", health)


if __name__ == "__main__":
    main()
