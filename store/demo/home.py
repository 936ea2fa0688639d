"""Where synthetic homes come from."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from store.demo.codex_log import create_log
from store.demo.many import BulkHome
from store.demo.told import StoryHome

if TYPE_CHECKING:
    from pathlib import Path

    from store.demo.many import Size


def make_home(folder: Path, threads: int, *, seed: int = 0, size: Size = "realistic", now_ms: int) -> None:
    """Make a Codex home with exactly so many rollouts in `folder`, which must be empty or missing.

    Everything follows from `threads`, `seed`, `size` and `now_ms`. Realistic rollouts are long-tailed, about
    160 kB on average (1.6 GB for 10,000); small ones have about 8 kB.
    """
    BulkHome(folder, Random(f"{seed}/{size}/{threads}"), now_ms).make(threads, size)


def demo_home(folder: Path, now_ms: int) -> None:
    """Make the home that `rollodex --demo` shows in `folder`, which must be empty or missing."""
    StoryHome(folder, Random("demo"), now_ms).make()
    create_log(folder, Random("demo log"), now_ms)
