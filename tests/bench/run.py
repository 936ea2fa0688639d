"""The benchmarks: `python -m tests.bench.run [--homes 1000,10000,10000s,100000s] [--cache DIR] [--json F]`.

Nothing is asserted by time: the figures are printed beside the budgets and beside what a plain script needs.
An `s` after a number of threads asks for small rollouts. Homes are made at the first run (10,000 realistic
threads are 1.6 GB) and kept in the cache.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .homes import Home, bytes_of, cached_home, plain_scan, prefix_scan
from .processes import START_SECONDS, first_rows, rollodex, run

if TYPE_CHECKING:
    from collections.abc import Callable

Figures = dict[str, float]

BUDGETS: Figures = {
    "list from nothing": 1.0,
    "full step after it": 4.0,
    "reconcile, unchanged": 0.2,
    "first rows, known home": 0.5,
    "page": 0.010,
    "filtered page": 0.030,
    "all from nothing": 15.0,
    "search": 0.030,
    "search, two words and a branch": 0.030,
    "lag p99": 0.050,
}
"""For 10,000 realistic threads, in seconds."""

MEMORY_BUDGET = 150e6
LINEAR = ("list from nothing", "full step after it", "reconcile, unchanged", "peak memory, backfill")
SLACK = 1.2
"""How much more than ten times the cost of 10,000 threads 100,000 may cost."""


def measure(home: Home) -> Figures:
    """Every figure of one home, in seconds and bytes; what is being measured is said on stderr."""

    def progress(what: str) -> None:
        print(f"{home.name}: {what}", file=sys.stderr, flush=True)

    figures: Figures = {"files, bytes": bytes_of(home.path)}
    progress("a plain script")
    figures["plain prefix scan"] = min(_seconds(lambda: prefix_scan(home.path)) for _ in range(2))
    figures["plain scandir and stat"] = min(_seconds(lambda: plain_scan(home.path)) for _ in range(3))
    started = figures["process start (--version)"] = min(run(rollodex("--version")).seconds for _ in range(5))
    with tempfile.TemporaryDirectory(prefix="rollodex-bench-") as folder:
        states = Path(folder)
        known, fresh = states / "known", states / "fresh"
        progress("the list from nothing")
        listing = ("threads", "--json", "--limit", "50")
        run(_command(home, known, *listing))
        again = [run(_command(home, states / name, *listing)) for name in ("second", "third")]
        figures["list from nothing"] = min(listed.seconds for listed in again) - started
        progress("the full step")
        full = run(_command(home, known, "backfill", "--json"), memory=True)
        figures["full step after it"] = full.seconds - started
        figures["all from nothing"] = figures["list from nothing"] + figures["full step after it"]
        if full.peak_bytes is not None:
            figures["peak memory, backfill"] = full.peak_bytes
        progress("inside one process")
        inside = json.loads(_script("inside", home, known))
        figures["reconcile, unchanged"] = inside.pop("reconcile")
        figures |= inside
        progress("the first rows")
        titles = _titles(run(_command(home, known, "threads", "--json", "--limit", "12")).output)
        figures["first rows, known home"] = min(first_rows(_command(home, known), titles) for _ in range(3))
        figures["first rows, new home"] = first_rows(_command(home, fresh), titles)
        progress("the loop while the backfill runs")
        watched = run(
            [sys.executable, "-m", "tests.bench.lag", str(home.path), str(states / "lag")], memory=True
        )
        lag = json.loads(watched.output)
        figures["screens and backfill"] = lag["seconds"]
        figures |= {f"lag {name}": lag[name] / 1000 for name in ("p50", "p99", "max")}
        if watched.peak_bytes is not None:
            figures["peak memory, screens"] = watched.peak_bytes
        figures["index, bytes"] = sum(file.stat().st_size for file in known.iterdir() if file.is_file())
    return figures


def _command(home: Home, state: Path, *arguments: str) -> list[str]:
    return rollodex("--codex-home", str(home.path), "--state-dir", str(state), *arguments)


def _script(name: str, home: Home, state: Path) -> str:
    return run([sys.executable, "-m", f"tests.bench.{name}", str(home.path), str(state)]).output


def _titles(output: str) -> list[str]:
    """How the newest threads' titles begin: as much as is surely drawn in one piece."""
    titles = [thread["display_title"] for thread in json.loads(output)["threads"]]
    return [title.splitlines()[0][:14].rstrip() for title in titles]


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def table(results: dict[str, Figures]) -> str:
    """All figures, a column for each home, the budget last."""
    names = list(dict.fromkeys(name for figures in results.values() for name in figures))
    rows = [["", *results, "budget at 10,000"]]
    for name in names:
        cells = [_shown(name, figures.get(name)) for figures in results.values()]
        rows.append([name, *cells, _shown(name, _budget(name))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)


def _budget(name: str) -> float | None:
    return MEMORY_BUDGET if name == "peak memory, screens" else BUDGETS.get(name)


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if "bytes" in name or "memory" in name:
        return f"{value / 1e6:,.0f} MB"
    if value == math.inf:
        return f"> {START_SECONDS:.0f} s"
    return f"{value * 1000:,.1f} ms" if value < 1 else f"{value:,.2f} s"


def ratios(results: dict[str, Figures]) -> list[str]:
    """Against the plain script, and how the cost grows from 10,000 to 100,000 small threads."""
    lines = []
    for name, figures in results.items():
        listed = figures["list from nothing"] / figures["plain scandir and stat"]
        full = figures["full step after it"] / figures["plain prefix scan"]
        reconciled = figures["reconcile, unchanged"] / figures["plain scandir and stat"]
        lines.append(
            f"{name}: list {listed:.1f} x scandir, full step {full:.1f} x prefix scan,"
            f" reconcile {reconciled:.1f} x scandir"
        )
    few, many = results.get("10,000 small"), results.get("100,000 small")
    if few is not None and many is not None:
        for name in LINEAR:
            if name in few and name in many:
                growth = many[name] / (10 * few[name])
                verdict = "within" if growth <= SLACK else "OVER"
                lines.append(
                    f"{name}: 100,000 cost {growth:.2f} x ten times 10,000, {verdict} {SLACK} x linear"
                )
    return lines


def machine() -> str:
    """What the figures were measured on."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        models = [line for line in information.read_text().splitlines() if line.startswith("model name")]
        processor = models[0].partition(": ")[2] if models else processor
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"{processor}, {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.release()},"
        f" Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}; files in the page cache"
    )


def _wanted(text: str) -> list[tuple[int, bool]]:
    return [(int(word.rstrip("s")), word.endswith("s")) for word in text.split(",")]


def main() -> None:
    """Make the homes, measure, print."""
    default_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rollodex-bench"
    parser = argparse.ArgumentParser(prog="python -m tests.bench.run", description=__doc__)
    parser.add_argument("--homes", type=_wanted, default=_wanted("1000,10000,10000s,100000s"))
    parser.add_argument("--cache", type=Path, default=default_cache)
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    results: dict[str, Figures] = {}
    try:
        for threads, is_small in options.homes:
            print(f"{threads:,} threads: making the home", file=sys.stderr, flush=True)
            home = cached_home(options.cache, threads, "small" if is_small else "realistic")
            results[home.name] = measure(home)
    finally:
        print(machine(), table(results), "\n".join(ratios(results)), sep="\n\n")
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": machine(), "figures": results}, indent=1))


if __name__ == "__main__":
    main()
