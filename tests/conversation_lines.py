"""Rollout lines made by hand from the format, for transcripts of a few lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from store.rollouts.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from store.models import TranscriptItem

OWN = "01a20586-b453-7a80-af90-77db574cf9bc"
PARENT = "01a20586-0000-7a80-af90-77db574cf9bc"


def line(kind: str, payload: dict[str, Any], *, second: int = 0, ordinal: int | None = None) -> bytes:
    """An enveloped line (0.36 and later), in Codex's key order."""
    fields: dict[str, Any] = {"timestamp": f"2026-11-22T23:10:{second:02}.000Z"}
    if ordinal is not None:
        fields["ordinal"] = ordinal
    fields |= {"type": kind, "payload": payload}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def event(kind: str, **fields: Any) -> bytes:
    return line("event_msg", {"type": kind, **fields})


def completed(kind: str, **fields: Any) -> bytes:
    """An `item_completed` of a paginated rollout (0.169)."""
    return event("item_completed", thread_id=OWN, turn_id="t", item={"type": kind, **fields})


def response(kind: str, **fields: Any) -> bytes:
    return line("response_item", {"type": kind, **fields})


def said(role: str, text: str, **fields: Any) -> bytes:
    """A `message` response item."""
    part = "output_text" if role == "assistant" else "input_text"
    return response("message", role=role, content=[{"type": part, "text": text}], **fields)


def asked(text: str) -> bytes:
    """A prompt as Codex has written it since 0.36: the response item, then the event."""
    return said("user", text) + event("user_message", message=text, images=[])


def answered(text: str, phase: str = "final_answer") -> bytes:
    """An answer as Codex has written it since 0.98: the event, then the response item."""
    return event("agent_message", message=text) + said("assistant", text, phase=phase)


def called(call_id: str, command: str = "ls", name: str = "exec_command") -> bytes:
    return response("function_call", name=name, arguments=json.dumps({"cmd": command}), call_id=call_id)


def returned(call_id: str, output: Any) -> bytes:
    return response("function_call_output", call_id=call_id, output=output)


def meta(thread_id: str = OWN, **fields: Any) -> bytes:
    payload = {"id": thread_id, "timestamp": "2026-11-22T23:10:00.000Z", "cwd": "/w", "originator": "o"}
    return line("session_meta", {**payload, "cli_version": "0.169.0", **fields})


def items_of(
    path: Path, data: bytes, resolve: Callable[[str], Path | None] | None = None
) -> list[TranscriptItem]:
    """What a transcript of these bytes shows."""
    path.write_bytes(data)
    with Transcript.open(path, thread_id=OWN, resolve_base=resolve) as transcript:
        return list(transcript.all_items())
