"""A thread as a Markdown document: the dialogue in full, tools and context folded."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from store.models import Thread, TranscriptItem

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BACKTICKS = re.compile(r"`+")
_OPENING_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_PHASES = {"commentary": "commentary", "final_answer": "final answer"}
_SUMMARY_CHARS = 100


def to_markdown(thread: Thread, items: Iterable[TranscriptItem]) -> Iterator[str]:
    """The document in pieces, one for the head and one for each item that is shown.

    Token counts, turn marks and settings are left out. The texts are as the rollout has them, control
    characters too; a fence is always longer than what it holds, and one that a message leaves open is closed.
    """
    yield _head(thread)
    for item in items:
        body = _body(item)
        if body is not None:
            yield f"{body}\n\n"


def _head(thread: Thread) -> str:
    facts = [
        ("Thread", f"`{thread.id}`"),
        ("Folder", _code(thread.cwd)),
        ("Created", _time(thread.created_at)),
        ("Model", _code(thread.model)),
        ("Branch", _code(thread.git.branch)),
    ]
    lines = [f"- {name}: {value}" for name, value in facts if value]
    return "\n".join([f"# {_one_line(thread.display_title)}", "", *lines]) + "\n\n"


def _body(item: TranscriptItem) -> str | None:
    if item.kind == "message":
        return f"## {_heading(item)}\n\n{_closed(item.text or '')}"
    if item.kind == "reasoning":
        return _folded(f"Reasoning{_marks(item)}", _closed(item.text)) if item.text else None
    if item.kind == "tool":
        return _folded(_tool_summary(item), _tool_body(item))
    if item.kind == "compaction":
        return f"---\n\n{_folded(f'Context compacted{_marks(item)}', _closed(item.text or ''))}"
    if item.kind == "context":
        return (
            _folded(f"Context from Codex{_marks(item)}", _fenced(item.text or "")) if item.injected else None
        )
    if item.kind == "unknown":
        return _folded(f"Unknown line {item.line}: {item.label}{_marks(item)}", _fenced(item.text or ""))
    if item.failed or item.label == "thread_rolled_back":
        return f"**{'Error' if item.failed else 'Note'}:** {_one_line(item.text or item.label)}{_marks(item)}"
    return None


def _heading(item: TranscriptItem) -> str:
    who = {"user": "You", "assistant": "Codex"}.get(item.role or "", item.role or "?")
    phase = _PHASES.get(item.phase or "", item.phase)
    return " · ".join(part for part in (who, phase, _time(item.at)) if part) + _marks(item)


def _marks(item: TranscriptItem) -> str:
    return (" · inherited" if item.inherited else "") + (" · rolled back" if item.rolled_back else "")


def _tool_summary(item: TranscriptItem) -> str:
    called = _one_line((item.text or "").split("\n", 1)[0])
    shown = called if len(called) <= _SUMMARY_CHARS else called[:_SUMMARY_CHARS] + "…"
    state = f"exit {item.exit_code}" if item.exit_code is not None else "failed" if item.failed else None
    return " · ".join(part for part in (item.tool or "tool", shown, state) if part) + _marks(item)


def _tool_body(item: TranscriptItem) -> str:
    called = item.text or item.arguments
    blocks = [_fenced(called)] if called else []
    blocks.append("No output." if not item.output else _fenced(item.output))
    return "\n\n".join(blocks)


def _folded(summary: str, body: str) -> str:
    return f"<details><summary>{html.escape(summary)}</summary>\n\n{body}\n\n</details>"


def _fenced(text: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, _BACKTICKS.findall(text)), default=0))
    return f"{fence}\n{text.removesuffix(chr(10))}\n{fence}"


def _closed(text: str) -> str:
    """The text with a fence that it leaves open closed, so that what follows is not taken in."""
    fence = ""
    for line in text.splitlines():
        match = _OPENING_FENCE.match(line)
        if match is None:
            continue
        if not fence:
            fence = match[1]
        elif match[1].startswith(fence) and line.strip() == match[1]:
            fence = ""
    return f"{text}\n{fence}" if fence else text


def _code(text: str | None) -> str | None:
    if not text:
        return None
    ticks = "`" * (1 + max(map(len, _BACKTICKS.findall(text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{_one_line(text)}{space}{ticks}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _time(at: int | None) -> str | None:
    if at is None:
        return None
    try:
        return f"{_EPOCH + timedelta(milliseconds=at):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        return None
