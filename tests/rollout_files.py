"""Rollout files for the tests of what reads them: single lines, and whole files in a home of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from store.rollouts.scan import RolloutFile, fingerprint

HOMES = Path(__file__).parent / "fixtures" / "homes"
"""One home per era, made by hand from the format."""

THREAD = "019e1d40-6000-7c00-8d00-00000000000e"
OTHER = "019e1d30-5000-7c00-8d00-00000000000d"
BEGIN_MS = 1_778_587_200_000


def encoded(value: Any) -> bytes:
    """A JSON value as Codex writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def line(kind: str, payload: dict[str, Any], ms: int = 0, ordinal: int | None = None) -> bytes:
    """An enveloped line, `ms` after 2026-05-12T12:00, without its newline."""
    stamp = f"2026-05-12T12:{ms // 60000:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}Z"
    number = {} if ordinal is None else {"ordinal": ordinal}
    return encoded({"timestamp": stamp, **number, "type": kind, "payload": payload})


def event(kind: str, ms: int = 0, ordinal: int | None = None, /, **fields: Any) -> bytes:
    """An event."""
    return line("event_msg", {"type": kind, **fields}, ms, ordinal)


def item(kind: str, ms: int = 0, /, **fields: Any) -> bytes:
    """A response item."""
    return line("response_item", {"type": kind, **fields}, ms)


def meta(thread_id: str = THREAD, ms: int = 0, **fields: Any) -> bytes:
    """A `session_meta`."""
    payload = {"id": thread_id, "timestamp": "2026-05-12T12:00:00.000Z", "cwd": "/home/ada/engine", **fields}
    return line("session_meta", payload, ms)


def prompt(text: str, ms: int = 0) -> bytes:
    """What a person wrote."""
    return event("user_message", ms, message=text, images=[])


def answer(text: str, ms: int = 0) -> bytes:
    """What the model wrote."""
    return event("agent_message", ms, message=text)


def context(ms: int = 0, ordinal: int | None = None, /, **fields: Any) -> bytes:
    """A turn's settings."""
    payload = {"cwd": "/home/ada/engine", "approval_policy": "never", "model": "gpt-5.4", **fields}
    return line("turn_context", payload, ms, ordinal)


def tokens(total: int, ms: int = 0) -> bytes:
    """A token count."""
    usage = {"input_tokens": total - 10, "output_tokens": 10, "total_tokens": total}
    return event("token_count", ms, info={"total_token_usage": usage}, rate_limits=None)


def joined(*lines: bytes) -> bytes:
    """Lines as they lie in a file."""
    return b"".join(one + b"\n" for one in lines)


def put(home: Path, content: bytes, thread_id: str = THREAD, suffix: str = "") -> RolloutFile:
    """Write a rollout into `home` and return it as a scan finds it."""
    path = f"sessions/2026/05/12/rollout-2026-05-12T12-00-00-{thread_id}.jsonl{suffix}"
    target = home / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    file = fingerprint(home, path)
    assert file is not None
    return file
