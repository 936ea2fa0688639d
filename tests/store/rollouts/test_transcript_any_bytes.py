"""Whatever a rollout holds, reading it never raises, and every line is in at most one item."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from conversation_lines import OWN
from hypothesis import given, settings
from hypothesis import strategies as st

from store.export.markdown import to_markdown
from store.models import Thread
from store.rollouts import conversation, events, tool_calls
from store.rollouts.transcript import Transcript

LABELS = sorted(
    {
        *conversation._RESPONSES,
        *conversation._EVENTS,
        *conversation._COMPLETED,
        *events.EVENTS,
        *events.SETTINGS_EVENTS,
    }
    | {*tool_calls._COMPLETED_CALLS, "exec_command_end", "mcp_tool_call_end", "item_completed", "new"}
)
TYPES = ["response_item", "event_msg", "compacted", *events.CONTEXT_LINES, *events.EVENT_LINES, "new"]
KEYS = [
    *(
        "type",
        "role",
        "content",
        "text",
        "message",
        "summary",
        "call_id",
        "id",
        "name",
        "arguments",
        "output",
    ),
    *("input", "action", "query", "status", "success", "exit_code", "changes", "result", "error", "info"),
    *(
        "thread_settings",
        "sandbox_policy",
        "history_base",
        "thread_id",
        "num_turns",
        "duration",
        "item",
        "images",
    ),
    *("internal_chat_message_metadata_passthrough", "content_item_kinds", "phase", "invocation", "metadata"),
]
WORDS = st.sampled_from(
    ["c", "user", "assistant", "developer", "input_text", "Exit code: 1\nOutput:\nx", '{"output":']
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | WORDS
    | st.sampled_from(LABELS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)
PAYLOADS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    payload = draw(PAYLOADS)
    payload = {"type": draw(st.sampled_from(LABELS)), **payload} if draw(st.booleans()) else payload
    kind = draw(st.sampled_from(TYPES))
    record = {"timestamp": "2026-11-22T23:10:00.000Z", "type": kind, "payload": payload}
    return json.dumps(payload if draw(st.integers(0, 9)) == 0 else record).encode()


def read(data: bytes, *, packed: bool = False) -> None:
    """Read all there is in every way there is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("rollout.jsonl.zst" if packed else "rollout.jsonl")
        path.write_bytes(data)
        with Transcript.open(path, thread_id=OWN, resolve_base=lambda _: path) as transcript:
            transcript.first_screen(end=True, max_bytes=64)
            transcript.first_screen(end=False, max_bytes=64)
            items = list(transcript.all_items())
            own = [number for item in items if item.thread_id == OWN for number in item.lines]
            assert len(own) == len(set(own))
            for position in range(transcript.count):
                transcript.raw(position, 100)
            assert list(transcript.prompts) == [
                position
                for position, item in enumerate(items)
                if item.kind == "message" and item.role == "user"
            ]
            assert list(transcript.errors) == [position for position, item in enumerate(items) if item.failed]
            thread = Thread(key=1, id=OWN, rollout_path="x")
            "".join(to_markdown(thread, items)).encode()
            json.dumps([item.model_dump(mode="json") for item in items]).encode()


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    read(data)


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 60))
def test_any_compressed_bytes(data: bytes, keep: int) -> None:
    read(b"\x28\xb5\x2f\xfd"[: keep % 5] + data, packed=True)


@settings(deadline=None, max_examples=200)
@given(st.lists(lines() | st.binary(max_size=20), max_size=12))
def test_lines_of_known_types_with_anything_in_them(data: list[bytes]) -> None:
    read(b"\n".join(data))
