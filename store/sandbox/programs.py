"""Finding the program that is to be started, and what must be readable so that it starts."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from store.sandbox.confinement import follow

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERPRETERS = 5
"""How far Linux follows from a script to its interpreter, and to that one's."""

BESIDE_BIN = ("lib", "lib64", "libexec", "pyvenv.cfg")
"""What a program in a folder `bin` has beside it: its libraries, and what makes a Python a venv's."""


def find_program(name: str, cwd: Path) -> Path | None:
    """Where a start in `cwd` finds the program; folders of PATH that are not absolute count for nothing."""
    if "/" in name:
        candidates = [cwd / name]
    else:
        folders = map(Path, os.environ.get("PATH", os.defpath).split(os.pathsep))
        candidates = [folder / name for folder in folders if folder.is_absolute()]
    return next((path for path in candidates if os.access(path, os.X_OK) and path.is_file()), None)


def brought_along(program: Path, cwd: Path) -> Iterator[Path]:
    """What a program needs: its own folder as named and as it really is, its libraries, its interpreter's."""
    for _ in range(INTERPRETERS):
        real = follow(program).real
        for path in (program, real):
            yield path
            yield from _own_folder(path)
        interpreter = _interpreter(real, cwd)
        if interpreter is None:
            return
        program = interpreter


def _own_folder(program: Path) -> Iterator[Path]:
    folder = follow(program.parent).real
    if _is_shared(folder):
        return
    yield folder
    if folder.name == "bin":
        yield from (folder.parent / name for name in BESIDE_BIN)


def _is_shared(folder: Path) -> bool:
    """Whether a folder is no program's own: the home folder, one above it, or one like /tmp."""
    home = follow(Path(os.environ.get("HOME", "/"))).real
    return home.is_relative_to(folder) or bool(folder.stat().st_mode & stat.S_ISVTX)


def _interpreter(program: Path, cwd: Path) -> Path | None:
    """The program that runs a script, from its first line; through `env`, the one that env looks up."""
    with program.open("rb") as file:
        line = file.readline(256)
    words = os.fsdecode(line[2:]).split() if line.startswith(b"#!") else []
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return find_program(words[0], cwd) if words else None
