"""The files that are made of the memories alone: the same bytes for the same rows, whoever makes them.

After Codex's own (0.104, `memories/` in its home), but for the names of the summaries.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from store.memories.models import ThreadMemory

RAW_MEMORIES: Final = "raw_memories.md"
SUMMARIES: Final = "rollout_summaries"

_THREAD_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SUMMARY: Final = re.compile(rf"{SUMMARIES}/{_THREAD_ID.pattern}\.md")
_OLD_FOLDER: Final = re.compile(r"raw_memories|user|[0-9a-f]{16,64}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def render(memories: Sequence[ThreadMemory]) -> dict[str, bytes]:
    """Every artifact by its path in the root; `memories` as read, newest first.

    What is blank is left out, and so is a memory whose thread's id could be no file name of ours.
    """
    named = [memory for memory in memories if _THREAD_ID.fullmatch(memory.thread_id)]
    files = {
        f"{SUMMARIES}/{memory.thread_id}.md": _text([*_facts(memory), "", memory.trace_summary.strip()])
        for memory in named
        if memory.trace_summary.strip()
    }
    files[RAW_MEMORIES] = _text(_raw_memories(named, files))
    return files


def is_summary(path: str) -> bool:
    """Whether the name is that of a summary of ours."""
    return _SUMMARY.fullmatch(path) is not None


def is_old_folder(path: str) -> bool:
    """Whether a folder of the root is one that early versions kept memories in; never read, never written."""
    return _OLD_FOLDER.fullmatch(path) is not None


def stale(paths: Iterable[str], artifacts: Iterable[str]) -> list[str]:
    """Those of the root's paths that are summaries of ours and are not made any more."""
    return sorted(path for path in set(paths) - set(artifacts) if is_summary(path))


def _raw_memories(memories: Sequence[ThreadMemory], summaries: Iterable[str]) -> list[str]:
    lines = ["# Raw Memories", ""]
    there = [memory for memory in memories if memory.memory_summary.strip()]
    if not there:
        return [*lines, "No raw memories yet."]
    lines.append("Merged stage-1 raw memories (latest first):")
    for memory in there:
        name = f"{memory.thread_id}.md"
        lines += ["", f"## Thread `{memory.thread_id}`", *_facts(memory)[1:]]
        if f"{SUMMARIES}/{name}" in summaries:
            lines.append(f"rollout_summary_file: {name}")
        lines += ["", memory.memory_summary.strip()]
    return lines


def _facts(memory: ThreadMemory) -> list[str]:
    updated_at = memory.updated_at if memory.source_updated_at is None else memory.source_updated_at
    lines = [f"thread_id: {memory.thread_id}", f"updated_at: {_moment(updated_at)}"]
    if memory.cwd:
        lines.append(f"cwd: {_line(memory.cwd)}")
    if memory.rollout_path:
        lines.append(f"rollout_path: {_line(memory.rollout_path)}")
    return lines


def _moment(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):
        return str(seconds)


def _line(text: str) -> str:
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _text(lines: Sequence[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")
