"""What one program may do, worked out for the backend that keeps it to that."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from store.errors import UnsupportedOperation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_LINKS = 40
"""How many symbolic links Linux follows in one path."""

PROBE_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Confinement:
    """One start of a program; every path is absolute, exists, and may be a symbolic link."""

    program: Path
    arguments: tuple[str, ...]
    cwd: Path
    readable: tuple[Path, ...] | None
    """What may be read beside what may be written; None: everything."""
    writable: tuple[Path, ...]
    network: bool


def refusal(why: str, next_step: str = "") -> UnsupportedOperation:
    """The error of all that cannot be enforced."""
    return UnsupportedOperation(
        "The program was not started, because it cannot be kept in a sandbox", why=why, next_step=next_step
    )


def run_probe(argv: Sequence[str]) -> str | None:
    """Start what prints `kept` when it is; None when it did, else the last line of its errors."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_SECONDS,
            check=False,
        )
    except OSError as error:
        return str(error)
    except subprocess.TimeoutExpired:
        return f"{argv[0]} did not end within {PROBE_SECONDS} s"
    return None if done.stdout == "kept\n" else done.stderr.strip().rpartition("\n")[2]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path really leads."""

    real: Path
    links: tuple[tuple[Path, str], ...]
    """The symbolic links passed on the way: the real path of each, and its text."""


def follow(path: Path) -> Place:
    """Follow an absolute path as the kernel does, whether or not it ends somewhere.

    OSError when its links go round.
    """
    at = Path("/")
    links: list[tuple[Path, str]] = []
    ahead = list(reversed(path.parts))
    while ahead:
        part = ahead.pop()
        if part == "..":
            at = at.parent
        elif (at / part).is_symlink():
            if len(links) == MAX_LINKS:
                raise OSError(f"too many symbolic links: {path}")
            text = (at / part).readlink()
            links.append((at / part, str(text)))
            ahead.extend(reversed(text.parts))
        else:
            at /= part
    return Place(at, tuple(links))


def outermost(paths: Iterable[Path]) -> list[Path]:
    """The paths without those that lie in another of them, sorted."""
    kept: list[Path] = []
    for path in sorted(paths):
        if not any(path.is_relative_to(folder) for folder in kept):
            kept.append(path)
    return kept
