"""A thread as JSON, the form that `show --json` prints: one object, with the version of its shape in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from store.models import DynamicTool, Thread, TranscriptItem

SCHEMA_VERSION: Final = 1


def rfc3339(at_ms: int | None) -> str | None:
    """A time in UTC with milliseconds; None for unknown, and for a time that no calendar holds."""
    if at_ms is None:
        return None
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    except OverflowError:
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def dumps(value: Any) -> str:
    """JSON on one line, any text as it is but for lone surrogates, which no encoding of a terminal takes."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return text


def thread_object(thread: Thread) -> dict[str, Any]:
    """One thread, its fields in the order that the README names them."""
    return {
        "id": thread.id,
        "rollout_path": thread.rollout_path,
        "archived": thread.archived,
        "compressed": thread.compressed,
        "index": thread.index,
        "created_at": rfc3339(thread.created_at),
        "updated_at": rfc3339(thread.updated_at),
        "cwd": thread.cwd,
        "title": thread.title,
        "name": thread.name,
        "display_title": thread.display_title,
        "first_user_message": thread.first_user_message,
        "preview": thread.preview,
        "source": thread.source,
        "source_detail": thread.source_detail,
        "parent_thread_id": thread.parent_thread_id,
        "forked_from_id": thread.forked_from_id,
        "agent_nickname": thread.agent_nickname,
        "agent_role": thread.agent_role,
        "model_provider": thread.model_provider,
        "model": thread.model,
        "reasoning_effort": thread.reasoning_effort,
        "cli_version": thread.cli_version,
        "originator": thread.originator,
        "sandbox_policy": thread.sandbox_policy,
        "approval_mode": thread.approval_mode,
        "memory_mode": thread.memory_mode,
        "tokens_used": thread.tokens_used,
        "tokens": thread.tokens.model_dump(),
        "git": thread.git.model_dump(),
        "size_bytes": thread.size_bytes,
        "turns": thread.turns,
        "messages": thread.messages,
        "bad_lines": thread.bad_lines,
    }


def item_object(item: TranscriptItem) -> dict[str, Any]:
    """One item of a transcript."""
    return {
        "line": item.line,
        "thread_id": item.thread_id,
        "kind": item.kind,
        "label": item.label,
        "role": item.role,
        "at": rfc3339(item.at),
        "phase": item.phase,
        "text": item.text,
        "tool": item.tool,
        "arguments": item.arguments,
        "output": item.output,
        "exit_code": item.exit_code,
        "failed": item.failed,
        "injected": item.injected,
        "inherited": item.inherited,
        "rolled_back": item.rolled_back,
        "turn": item.turn,
    }


def tool_object(tool: DynamicTool) -> dict[str, Any]:
    """One dynamic tool."""
    return tool.model_dump(exclude={"position"})


def transcript_chunks(
    thread: Thread, tools: Iterable[DynamicTool], items: Iterable[TranscriptItem]
) -> Iterator[str]:
    """A whole thread as one object, in pieces: a transcript need not fit the memory."""
    yield f'{{"schema_version": {SCHEMA_VERSION}, "thread": {dumps(thread_object(thread))}'
    yield f', "dynamic_tools": {dumps([tool_object(tool) for tool in tools])}, "items": ['
    comma = ""
    for item in items:
        yield f"{comma}\n{dumps(item_object(item))}"
        comma = ","
    yield "]}\n"
