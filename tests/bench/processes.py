"""Running Rollodex from outside: how long a command takes, its memory, and when its first rows are drawn."""

from __future__ import annotations

import fcntl
import math
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
SAMPLE_SECONDS = 0.05
START_SECONDS = 60.0
"""How long the first rows may take before the run is given up."""

_ESCAPES = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]P^_].*?(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended well."""

    seconds: float
    output: str
    peak_bytes: int | None
    """The most that the process and all its children held together at once (PSS); None where unknown."""


def rollodex(*arguments: str) -> list[str]:
    """The command line of Rollodex in this checkout."""
    return [sys.executable, "-P", "-m", "tui.cli", *arguments]


def run(command: Sequence[str], *, memory: bool = False) -> Finished:
    """Run a command of this checkout to its end; it must succeed."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True)
    watcher = MemoryWatcher(process.pid) if memory else None
    output, _ = process.communicate()
    seconds = time.perf_counter() - began
    peak = watcher.stop() if watcher is not None else None
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command, output)
    return Finished(seconds, output, peak)


def first_rows(command: Sequence[str], titles: Sequence[str]) -> float:
    """Seconds from the start of the program on a real pseudo-terminal to the first of `titles` on it.

    Infinite when none of them was drawn in `START_SECONDS`.
    """
    wanted = [title.encode() for title in titles]
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=_environment() | {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    try:
        drawn = b""
        while (waited := time.perf_counter() - began) < START_SECONDS:
            ready, _, _ = select.select([master], [], [], START_SECONDS - waited)
            if ready:
                drawn += os.read(master, 1 << 16)
                text = _ESCAPES.sub(b"", drawn)
                if any(title in text for title in wanted):
                    return time.perf_counter() - began
        return math.inf
    finally:
        _quit(process, master)


def _quit(process: subprocess.Popen[bytes], master: int) -> None:
    """Quit as a person would; what is written meanwhile has to be read, or the program waits for us."""
    os.write(master, b"q")
    deadline = time.perf_counter() + 10.0
    while process.poll() is None and time.perf_counter() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            try:
                os.read(master, 1 << 16)
            except OSError:
                break  # The other side is closed: the program has ended.
    if process.poll() is None and time.perf_counter() >= deadline:
        process.kill()
    process.wait()
    os.close(master)


class MemoryWatcher:
    """Adds up the memory of a process and everything under it, again and again, and keeps the most."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak: int | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int | None:
        """End the watch; the peak in bytes."""
        self._ended.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._ended.is_set():
            total = sum(_proportional_bytes(pid) for pid in _tree(self._pid))
            if total:
                self._peak = max(total, self._peak or 0)
            self._ended.wait(SAMPLE_SECONDS)


def _tree(pid: int) -> Iterator[int]:
    """The process and its descendants, as far as /proc shows them."""
    yield pid
    try:
        children = [task.joinpath("children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return
    for child in " ".join(children).split():
        yield from _tree(int(child))


def _proportional_bytes(pid: int) -> int:
    """The process's memory, what it shares counted in part (PSS); 0 when it is gone or unknown."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
