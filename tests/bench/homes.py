"""Homes to measure on, made once and kept; and what a plain script needs for the same files."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from store import demo
from store.demo import make_home

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW_MS = 1_795_000_000_000
"""The homes are made as of this moment, so that they are the same every time."""

_PREFIX = re.compile(
    rb'\{"timestamp":"([^"]*)",(?:"ordinal":\d+,)?"type":"(\w+)","payload":\{(?:"type":"(\w+)")?'
)


_DEMO_ONLY = ("codex_log", "codex_memories", "live", "memory_summary", "stories.txt", "told")
"""Files of the generator that the homes here are not made with."""


@dataclass(frozen=True, slots=True)
class Home:
    """A home of the cache."""

    threads: int
    size: Literal["realistic", "small"]
    path: Path

    @property
    def name(self) -> str:
        """What the tables call it."""
        return f"{self.threads:,} {self.size}"


def cached_home(cache: Path, threads: int, size: Literal["realistic", "small"]) -> Home:
    """The home from the cache, made now if it is not there or the generator has changed since."""
    name = f"{size}-{threads}-"
    path = cache / (name + _generator_digest())
    if not path.exists():
        for old in cache.glob(name + "*"):
            shutil.rmtree(old)
        unfinished = cache / f"{name}unfinished"
        make_home(unfinished, threads, size=size, now_ms=NOW_MS)
        unfinished.rename(path)
    return Home(threads, size, path)


def _generator_digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(Path(demo.__file__).parent.iterdir()):
        if file.is_file() and not file.name.startswith(_DEMO_ONLY):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def plain_scan(home: Path) -> int:
    """Every rollout's size and time by scandir and stat, newest first; how many there are."""
    found = [(entry.stat().st_mtime_ns, entry.path) for entry in _rollouts(home)]
    found.sort(reverse=True)
    return len(found)


def prefix_scan(home: Path) -> int:
    """The type of every line by its prefix, as little as a script can do that reads everything; how many."""
    lines = 0
    for entry in _rollouts(home):
        with Path(entry.path).open("rb") as file:
            lines += sum(_PREFIX.match(line) is not None for line in file)
    return lines


def bytes_of(home: Path) -> int:
    """How much the rollouts hold."""
    return sum(entry.stat().st_size for entry in _rollouts(home))


def _rollouts(home: Path) -> Iterator[os.DirEntry[str]]:
    waiting = [home / "sessions", home / "archived_sessions"]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.name.startswith("rollout-"):
                    yield entry
