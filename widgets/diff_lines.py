"""Unified diffs and apply_patch texts as lines of segments, with their signs in a column of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.segment import Segment

from widgets.code_lines import Line, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.style import Style

    from widgets.tones import Tones

_HEADERS = re.compile(
    r"^(?:\*\*\* (?:Begin Patch|(?:Add|Update|Delete) File: )|diff --git |@@ -\d)", re.MULTILINE
)
_FILE = re.compile(r"\*\*\* (Add|Update|Delete) File: (.+)")
_MOVE = re.compile(r"\*\*\* Move to: (.+)")
_GIT = re.compile(r"diff --git a/(.+?) b/(.+)")
_FRAME = ("*** Begin Patch", "*** End Patch", "*** End of File")
_UNIFIED_HEAD = (
    "index ",
    "new file mode",
    "deleted file mode",
    "similarity ",
    "rename ",
    "old mode",
    "new mode",
)


@dataclass(frozen=True, slots=True)
class DiffSize:
    """Which files a diff changes, and how many lines."""

    files: tuple[str, ...]
    added: int
    removed: int


def is_diff(text: str) -> bool:
    """Whether a text opens like a unified diff or a patch of Codex's apply_patch tool."""
    return _HEADERS.search(text[:2_000]) is not None


def diff_size(text: str) -> DiffSize:
    """Count the files and lines that a diff changes."""
    files: dict[str, None] = {}
    added = removed = 0
    for sign, line in _signed(text):
        if sign == "file":
            files[line.partition(" ")[2]] = None
        added += sign == "+"
        removed += sign == "-"
    return DiffSize(tuple(files), added, removed)


def diff_lines(text: str, width: int, tones: Tones) -> Iterator[Line]:
    """Return an already visible diff: files bright, places muted, changed lines behind their sign."""
    for sign, line in _signed(text):
        if sign == "file":
            yield from wrapped(line, width, tones.bright)
        elif sign == "@":
            yield from wrapped(line, width, tones.muted)
        else:
            style = {"+": tones.added, "-": tones.removed}.get(sign, tones.text)
            yield from _behind(sign, line, width, style)


def _behind(sign: str, line: str, width: int, style: Style) -> Iterator[Line]:
    for number, row in enumerate(wrapped(line, max(1, width - 2), style)):
        yield [Segment(f"{sign} " if number == 0 else "  ", style), *row]


def _signed(text: str) -> Iterator[tuple[str, str]]:
    """Yield each line of a diff as its sign ("file", "@", "+", "-" or " ") and what follows it."""
    in_hunk = False
    for line in text.rstrip("\n").split("\n"):
        if line in _FRAME:
            in_hunk = False
        elif match := _FILE.fullmatch(line):
            in_hunk = True
            yield "file", f"{match[1].lower()} {match[2]}"
        elif match := _MOVE.fullmatch(line):
            yield "@", f"moved to {match[1]}"
        elif match := _GIT.fullmatch(line):
            in_hunk = False
            yield "file", f"diff {match[2]}"
        elif line.startswith("@@"):
            in_hunk = True
            if line != "@@":
                yield "@", line
            else:
                yield "@", "⋯"
        elif in_hunk and line[:1] in ("+", "-"):
            yield line[0], line[1:]
        elif in_hunk:
            yield " ", line[1:] if line.startswith(" ") else line
        elif line.startswith(("--- ", "+++ ", *_UNIFIED_HEAD)):
            yield "@", line
        else:
            yield " ", line
