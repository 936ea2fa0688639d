"""From a decoded rollout line to what it says, for every Codex version (CODEX_HOME §1.2 to 1.6)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from store.rollouts import events, messages, tool_calls
from store.rollouts.lines import COMPACTED, EVENT_MSG, RESPONSE_ITEM, BadLine, classify, decode
from store.rollouts.said import Said
from store.rollouts.tool_text import object_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from store.rollouts.lines import RolloutLine

BAD_LINE: Final = "bad_line"
"""The label of a line that is no JSON, or nothing that a rollout holds."""

LONG_LINE: Final = 8 << 10
"""From here on an output is not decoded to find its call, in bytes."""

_ENDS: Final = 512
_LONG_OUTPUT = re.compile(
    rb'\{"timestamp":"[^"\\]*",(?:"ordinal":\d+,)?"type":"(?:'
    rb'response_item","payload":\{"type":"(?P<output>(?:function_call|custom_tool_call)_output)",'
    rb'(?:"id":"[^"\\]*",)?"call_id":"(?P<call_id>[ !#-\[\]-~]+)","output":"'
    rb'|event_msg","payload":\{"type":"item_completed",(?:"(?:thread|turn)_id":"[^"\\]*",)*'
    rb'"item":\{"type":"(?P<completed>CommandExecution)","id":"(?P<item_id>[ !#-\[\]-~]+)",)'
)
_EXIT_CODE = re.compile(rb"(?:Exit code:|Process exited with code) (-?\d{1,10})\\n")
_QUOTED_EXIT_CODE = re.compile(rb'\\"metadata\\":\{\\"exit_code\\":(-?\d{1,10})[,}]')
_LAST_EXIT_CODE = re.compile(rb'"exit_code":(-?\d{1,10})[,}]')

_RESPONSES: dict[str, Callable[[Mapping[str, Any], str], Said]] = {
    "message": messages.response_message,
    "reasoning": messages.response_reasoning,
    "compaction": messages.compaction_mark,
    "compaction_summary": messages.compaction_mark,
    "context_compaction": messages.compaction_mark,
    "function_call": tool_calls.function_call,
    "function_call_output": tool_calls.call_output,
    "custom_tool_call": tool_calls.custom_tool_call,
    "custom_tool_call_output": tool_calls.call_output,
    "local_shell_call": tool_calls.local_shell_call,
    "local_shell_call_output": tool_calls.call_output,
    "web_search_call": tool_calls.web_search_call,
    "tool_search_call": tool_calls.tool_search_call,
    "tool_search_output": tool_calls.tool_search_output,
    "image_generation_call": tool_calls.image_generation_call,
    "ghost_snapshot": events.event,
}
_EVENTS: dict[str, Callable[[Mapping[str, Any], str], Said]] = {
    "user_message": messages.user_event,
    "agent_message": messages.agent_event,
    "agent_reasoning": messages.reasoning_event,
    "agent_reasoning_raw_content": messages.reasoning_event,
    "context_compacted": messages.compaction_mark,
}
_COMPLETED: dict[str, Callable[[Mapping[str, Any], str], Said]] = {
    "UserMessage": messages.completed_message,
    "AgentMessage": messages.completed_message,
    "Reasoning": messages.completed_reasoning,
    "ContextCompaction": messages.compaction_mark,
}


def read_said(line: RolloutLine) -> Said:
    """What a decoded line says; whatever it is, the answer is an item's part and never an error."""
    payload = line.payload
    if line.type == RESPONSE_ITEM:
        label = line.subtype or "response_item"
        reader = _RESPONSES.get(label)
        return events.unknown(payload, label) if reader is None else reader(payload, label)
    if line.type == EVENT_MSG:
        return _read_event(payload, line.subtype or "event_msg")
    if line.type == COMPACTED:
        return messages.compacted(payload, line.type)
    if (words := events.CONTEXT_LINES.get(line.type)) is not None:
        return Said("context", line.type, text=words(payload))
    if (words := events.EVENT_LINES.get(line.type)) is not None:
        return Said("event", line.type, text=words(payload))
    return events.unknown(payload, line.type)


def read_bytes(data: bytes) -> tuple[Said, int | None]:
    """What a whole line says, with its time; a bad line says why it is bad."""
    line = decode(data)
    if isinstance(line, BadLine):
        return Said("unknown", BAD_LINE, text=line.reason), None
    return read_said(line), line.at


def glance(data: bytes) -> Said:
    """As much of what a line says as joining it with others takes.

    Lines that never join are not decoded, nor are long outputs: their call id stands before the output, and
    the exit code close to one of its ends.
    """
    found = classify(data)
    if found is not None:
        line_type, subtype = found
        if line_type in events.CONTEXT_LINES:
            return Said("context", line_type)
        if line_type in events.EVENT_LINES or subtype == "token_count":
            return Said("event", subtype or line_type)
        if len(data) > LONG_LINE and (match := _LONG_OUTPUT.match(data)) is not None:
            return _glance_at_output(data, match)
    return read_bytes(data)[0]


def overlong(head: bytes, size: int) -> Said:
    """What can be told of a line that is too long to be read, from its first bytes."""
    words = f"{size:,} bytes, too long to be shown"
    if (match := _LONG_OUTPUT.match(head)) is not None:
        said = _glance_at_output(head, match)
        return replace(said, output=f"[output of {words}]", failed=None)
    found = classify(head)
    label = BAD_LINE if found is None else found[1] or found[0]
    return Said("unknown", label, text=f"[line of {words}]")


def _glance_at_output(data: bytes, match: re.Match[bytes]) -> Said:
    label = (match["completed"] or match["output"]).decode("ascii")
    is_event = match["completed"] is not None
    code: re.Match[bytes] | None
    if is_event:
        code = _LAST_EXIT_CODE.search(data, len(data) - _ENDS)
    else:
        code = _EXIT_CODE.search(data, 0, _ENDS) or _QUOTED_EXIT_CODE.search(data, len(data) - _ENDS)
    return Said(
        "tool",
        label,
        "event" if is_event else "response",
        output="",
        failed=None if code is None else int(code[1]) != 0,
        call_id=(match["item_id"] or match["call_id"]).decode("ascii"),
    )


def _read_event(payload: Mapping[str, Any], label: str) -> Said:
    if label == "item_completed":
        return _read_completed(object_of(payload.get("item")))
    if (reader := _EVENTS.get(label)) is not None:
        return reader(payload, label)
    if label in events.EVENTS or label in events.SETTINGS_EVENTS:
        return events.event(payload, label)
    return tool_calls.tool_event(payload, label) or events.unknown(payload, label)


def _read_completed(item: Mapping[str, Any]) -> Said:
    label = text_of(item.get("type")) or "item_completed"
    if (reader := _COMPLETED.get(label)) is not None:
        return reader(item, label)
    if label in events.EVENTS:
        return events.event(item, label)
    return tool_calls.completed_call(item, label) or events.unknown(item, label)
