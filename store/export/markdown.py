"""A thread as a Markdown document: the dialogue in full, tools and context folded."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Final

from store.export.words import event_text, facts, folded_heading, heading, one_line, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from store.models import Thread, TranscriptItem

_BACKTICKS: Final = re.compile(r"`+")
_OPENING_FENCE: Final = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
_FENCE_ANYWHERE: Final = re.compile(r"(?:[ \t>*+-]|\d{1,9}[.)])*+(`{3,}(?=[^`]*$)|~{3,})")
"""In lists and quotes, too."""

_TAG_OR_BACKTICKS: Final = re.compile(r"<(?=[A-Za-z/!?])|`+")
_SIGNS: Final = re.compile(r"[\\`*\[\]<&]|(?<![^\W_])_|_(?![^\W_])")


def to_markdown(thread: Thread, items: Iterable[TranscriptItem]) -> Iterator[str]:
    """The document in pieces, one for the head and one for each item that is shown.

    Token counts, turn marks and settings are left out. The texts are as the rollout has them, control
    characters too, but for two things: a tag in what somebody said is written so that it shows, and a fence
    that a message leaves open is closed. The fence round a text is always longer than any in it.
    """
    yield _head(thread)
    for item in items:
        if shown(item):
            yield f"{_body(item)}\n\n"


def _head(thread: Thread) -> str:
    lines = [f"- {name}: {value if name == 'Created' else _code(value)}" for name, value in facts(thread)]
    return "\n".join([f"# {_plain(one_line(thread.display_title))}", "", *lines]) + "\n\n"


def _body(item: TranscriptItem) -> str:
    text = item.text or ""
    if item.kind == "message":
        return f"## {_plain(heading(item))}\n\n{_said(text)}"
    if item.kind == "reasoning":
        return _folded(item, _said(text))
    if item.kind == "tool":
        return _folded(item, _tool_body(item))
    if item.kind == "compaction":
        return f"---\n\n{_folded(item, _said(text))}"
    if item.kind == "event":
        kind, words = event_text(item)
        return f"**{kind}:** {_plain(words)}"
    return _folded(item, _fenced(text))


def _tool_body(item: TranscriptItem) -> str:
    called = item.text or item.arguments
    blocks = [_fenced(called)] if called else []
    blocks.append("No output." if not item.output else _fenced(item.output))
    return "\n\n".join(blocks)


def _folded(item: TranscriptItem, body: str) -> str:
    return f"<details><summary>{html.escape(folded_heading(item))}</summary>\n\n{body}\n\n</details>"


def _fenced(text: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, _BACKTICKS.findall(text)), default=0))
    return f"{fence}\n{text.removesuffix(chr(10))}\n{fence}"


def _said(text: str) -> str:
    """Markdown that somebody wrote, so that nothing in it takes in what follows, or vanishes."""
    lines = text.split("\n")
    open_fence = _walk_fences(lines, _OPENING_FENCE)[0]
    if "<" in text:
        _, fenced = _walk_fences(lines, _FENCE_ANYWHERE)
        lines = [line if code else _tags_shown(line) for line, code in zip(lines, fenced, strict=True)]
    return "\n".join([*lines, open_fence] if open_fence else lines)


def _walk_fences(lines: list[str], opening: re.Pattern[str]) -> tuple[str, list[bool]]:
    """The fence that is still open at the end; and of each line, whether it is code."""
    fence = ""
    fenced: list[bool] = []
    for line in lines:
        match = opening.match(line)
        fenced.append(bool(fence or match))
        if match is None:
            continue
        if not fence:
            fence = match[1]
        elif match[1].startswith(fence) and line.strip() == match[1]:
            fence = ""
    return fence, fenced


def _tags_shown(line: str) -> str:
    """The line with what would begin a tag escaped, but not in code, where it shows anyway."""
    pieces: list[str] = []
    at = 0
    closing = _closing_runs(line)
    for match in _TAG_OR_BACKTICKS.finditer(line):
        if match.start() < at:
            continue
        if match[0] == "<":
            pieces += [line[at : match.start()], "&lt;"]
            at = match.end()
        else:
            end = closing.get(match.start(), match.end())
            pieces.append(line[at:end])
            at = end
    return "".join([*pieces, line[at:]])


def _closing_runs(line: str) -> dict[int, int]:
    """Where the code ends that each run of backticks would begin: behind the next run of its length."""
    ends: dict[int, int] = {}
    next_end: dict[int, int] = {}
    for run in reversed(list(_BACKTICKS.finditer(line))):
        length = len(run[0])
        if length in next_end:
            ends[run.start()] = next_end[length]
        next_end[length] = run.end()
    return ends


def _plain(text: str) -> str:
    """Text that is no Markdown, written so that it shows as it is."""
    return _SIGNS.sub(r"\\\g<0>", text)


def _code(text: str) -> str:
    ticks = "`" * (1 + max(map(len, _BACKTICKS.findall(text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{one_line(text)}{space}{ticks}"
