"""What the documents for people have in common: which items they show, and what they call them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from store.models import Thread, TranscriptItem

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PHASES: Final = {"commentary": "commentary", "final_answer": "final answer"}
_SUMMARY_CHARS: Final = 100

# What a document must not hold: it cannot be encoded, steers a terminal, or turns the order of what is read
# round. What scripts need to be written at all (joiners, direction marks) stays.
_ILLEGIBLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def shown(item: TranscriptItem) -> bool:
    """Whether documents for people show the item: not token counts, turn marks and settings."""
    if item.kind == "reasoning":
        return bool(item.text)
    if item.kind == "context":
        return item.injected
    if item.kind == "event":
        return item.failed or item.label == "thread_rolled_back"
    return True


def facts(thread: Thread) -> list[tuple[str, str]]:
    """What stands at the head of a document, of what is known."""
    known = (
        ("Thread", thread.id),
        ("Folder", thread.cwd),
        ("Created", time_text(thread.created_at)),
        ("Model", thread.model),
        ("Branch", thread.git.branch),
    )
    return [(name, value) for name, value in known if value]


def heading(item: TranscriptItem) -> str:
    """Who says a message, in which phase, when."""
    who = {"user": "You", "assistant": "Codex"}.get(item.role or "", item.role or "?")
    phase = _PHASES.get(item.phase or "", item.phase)
    return " · ".join(part for part in (who, phase, time_text(item.at)) if part) + marks(item)


def folded_heading(item: TranscriptItem) -> str:
    """What stands over an item that is folded."""
    if item.kind == "tool":
        return _tool_summary(item) + marks(item)
    names = {"reasoning": "Reasoning", "compaction": "Context compacted", "context": "Context from Codex"}
    return names.get(item.kind, f"Unknown line {item.line}: {one_line(item.label)}") + marks(item)


def event_text(item: TranscriptItem) -> tuple[str, str]:
    """What an event is, and what it says."""
    return "Error" if item.failed else "Note", one_line(item.text or item.label) + marks(item)


def marks(item: TranscriptItem) -> str:
    """What is to be known of an item's standing in the thread."""
    return (" · inherited" if item.inherited else "") + (" · rolled back" if item.rolled_back else "")


def _tool_summary(item: TranscriptItem) -> str:
    called = one_line((item.text or "").split("\n", 1)[0])
    called = called if len(called) <= _SUMMARY_CHARS else called[:_SUMMARY_CHARS] + "…"
    state = f"exit {item.exit_code}" if item.exit_code is not None else "failed" if item.failed else None
    return " · ".join(part for part in (one_line(item.tool or "tool"), called, state) if part)


def one_line(text: str) -> str:
    """The text with each run of white space as one blank."""
    return " ".join(text.split())


def time_text(at: int | None) -> str | None:
    """A time as a person reads it, UTC; None for unknown, and for one that no calendar holds."""
    if at is None:
        return None
    try:
        return f"{_EPOCH + timedelta(milliseconds=at):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        return None


def legible(text: str) -> str:
    """The text with control characters, lone surrogates and what reorders or hides text made visible.

    Control characters become their pictures (ESC is "␛"), the others their escapes ("\\u202e").
    """
    return _ILLEGIBLE.sub(_picture, text.replace("\r\n", "\n"))


def _picture(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


_ITEM_TEXTS: Final = ("label", "role", "phase", "text", "tool", "arguments", "output")
_THREAD_TEXTS: Final = ("cwd", "title", "name", "first_user_message", "preview", "model")


def legible_item(item: TranscriptItem) -> TranscriptItem:
    """The item with all of its texts legible."""
    return item.model_copy(update=_legible(item, _ITEM_TEXTS))


def legible_thread(thread: Thread) -> Thread:
    """The thread with all of its texts legible that a document shows."""
    git = thread.git.model_copy(update=_legible(thread.git, ("branch",)))
    return thread.model_copy(update=_legible(thread, _THREAD_TEXTS) | {"git": git})


def _legible(value: Any, names: tuple[str, ...]) -> dict[str, str]:
    texts = {name: text for name in names if isinstance(text := getattr(value, name), str)}
    return {name: legible(text) for name, text in texts.items()}
