"""What a tool call says of itself in one line: a name, what it does, and how it ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from widgets.diff_lines import diff_size, is_diff
from widgets.formatting import duration, visible_line, whole

if TYPE_CHECKING:
    from store.models import TranscriptItem

_SHELLS = frozenset(
    ("exec_command", "shell", "shell_command", "local_shell", "container.exec", "user_shell", "unified_exec")
)
_SILENT = frozenset(("web_search", "sleep"))
"""Tools whose calls never have an output of their own."""

_PLAN_DONE, _PLAN_NOW = "[x] ", "[~] "

SHORTEST_SAID = 50
"""Milliseconds from which on a call's duration is worth saying."""

LONGEST_PARSED = 262_144
"""Characters of arguments that are decoded as JSON."""

LONGEST_OBJECT = 2_000
"""Characters of what a call is about that are looked at for its line."""


@dataclass(frozen=True, slots=True)
class Call:
    """The parts of a call's line; every text is visible and in one line."""

    name: str
    what: str
    notes: tuple[str, ...]


def call_line(item: TranscriptItem) -> Call:
    """Put a call and its outcome into words."""
    name, what = _name_and_object(item)
    notes = []
    if item.exit_code is not None:
        notes.append(f"exit {item.exit_code}")
    elif item.failed:
        notes.append("failed")
    if item.duration_ms is not None and item.duration_ms >= SHORTEST_SAID:
        notes.append(duration(item.duration_ms))
    if item.output is not None:
        notes.append(_lines(item.output))
    elif item.exit_code is None and not item.failed and item.tool not in _SILENT:
        notes.append("no output")
    return Call(visible_line(name), visible_line(what[:LONGEST_OBJECT]), tuple(notes))


def is_shell(item: TranscriptItem) -> bool:
    """Whether a call ran a command line."""
    return item.tool in _SHELLS


def patch_of(item: TranscriptItem) -> str | None:
    """Return the patch that a call applied, or None for any other call."""
    for text in (item.text, item.arguments):
        if text and ("apply_patch" in (item.tool or "") or text.startswith("*** ")) and is_diff(text):
            return text
    return None


def argument_fields(item: TranscriptItem) -> dict[str, Any] | None:
    """Return a call's arguments as an object, or None where they are something else."""
    arguments = item.arguments
    if not arguments or not arguments.lstrip().startswith("{") or len(arguments) > LONGEST_PARSED:
        return None
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _name_and_object(item: TranscriptItem) -> tuple[str, str]:
    tool = item.tool or item.label
    if (patch := patch_of(item)) is not None:
        size = diff_size(patch)
        more = f" and {len(size.files) - 1} more" if len(size.files) > 1 else ""
        return "patch", f"{size.files[0] if size.files else ''}{more} +{size.added} -{size.removed}"
    if is_shell(item):
        return "exec", item.text or item.arguments or ""
    if tool == "update_plan" and item.text:
        steps = [line for line in item.text.split("\n") if line.startswith("[")]
        done = sum(step.startswith(_PLAN_DONE) for step in steps)
        now = next((step for step in steps if step.startswith(_PLAN_NOW)), "")
        return "plan", f"{done} of {len(steps)} done" + (f" · {now[len(_PLAN_NOW) :]}" if now else "")
    if item.text:
        return tool, item.text
    fields = argument_fields(item)
    if fields is None:
        return tool, item.arguments or ""
    return tool, " ".join(f"{name}={_short(value)}" for name, value in fields.items())


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:200] + "…"


def _lines(text: str) -> str:
    text = text.rstrip("\n")
    lines = text.count("\n") + 1 if text else 0
    return "1 line" if lines == 1 else f"{whole(lines)} lines"
