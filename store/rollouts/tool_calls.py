"""Tool calls, their outputs, and the events about them, as every Codex version writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store.rollouts.said import Said, pairing_key
from store.rollouts.tool_text import (
    ToolOutput,
    call_text,
    changes_text,
    command_line,
    compact_json,
    content_text,
    list_of,
    milliseconds_of,
    object_of,
    read_output,
    search_text,
    text_of,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_FAILED = frozenset({"failed", "declined", "error", "incomplete"})


def _raw(arguments: Any) -> str | None:
    if arguments is None or isinstance(arguments, str):
        return arguments
    return compact_json(arguments)


def _failed(fields: Mapping[str, Any]) -> bool | None:
    """What `success`, `status` and `exit_code` say; None when they are silent."""
    success, status = fields.get("success"), fields.get("status")
    code = whole_number(fields.get("exit_code"))
    if (
        success is False
        or (isinstance(status, str) and status in _FAILED)
        or (code is not None and code != 0)
    ):
        return True
    return False if success is True or code == 0 else None


def _search_keys(text: str | None) -> tuple[int, ...]:
    return (pairing_key("web_search", text or ""),)


def function_call(payload: Mapping[str, Any], label: str) -> Said:
    """`function_call`: arguments are JSON text."""
    tool, arguments = text_of(payload.get("name")), _raw(payload.get("arguments"))
    return Said(
        "tool",
        label,
        "response",
        tool=tool,
        arguments=arguments,
        text=call_text(tool, arguments),
        call_id=text_of(payload.get("call_id")),
        is_call=True,
    )


def custom_tool_call(payload: Mapping[str, Any], label: str) -> Said:
    """`custom_tool_call`: free-form input, `apply_patch` above all."""
    given = _raw(payload.get("input"))
    return Said(
        "tool",
        label,
        "response",
        tool=text_of(payload.get("name")),
        arguments=given,
        text=command_line(given),
        call_id=text_of(payload.get("call_id")),
        is_call=True,
    )


def local_shell_call(payload: Mapping[str, Any], label: str) -> Said:
    """`local_shell_call`: the command stands in its action."""
    action = payload.get("action")
    return Said(
        "tool",
        label,
        "response",
        tool="local_shell",
        arguments=_raw(action),
        text=command_line(object_of(action).get("command")),
        call_id=text_of(payload.get("call_id")) or text_of(payload.get("id")),
        failed=_failed(payload),
        is_call=True,
    )


def web_search_call(payload: Mapping[str, Any], label: str) -> Said:
    """`web_search_call`: has an id of its own only in 0.169."""
    text = search_text(payload.get("action"))
    return Said(
        "tool",
        label,
        "response",
        tool="web_search",
        arguments=_raw(payload.get("action")),
        text=text,
        call_id=text_of(payload.get("id")) or text_of(payload.get("call_id")),
        failed=_failed(payload),
        keys=_search_keys(text),
        is_call=True,
    )


def tool_search_call(payload: Mapping[str, Any], label: str) -> Said:
    """`tool_search_call`."""
    arguments = payload.get("arguments")
    return Said(
        "tool",
        label,
        "response",
        tool="tool_search",
        arguments=_raw(arguments),
        text=text_of(object_of(arguments).get("query")),
        call_id=text_of(payload.get("call_id")),
        failed=_failed(payload),
        is_call=True,
    )


def image_generation_call(payload: Mapping[str, Any], label: str) -> Said:
    """`image_generation_call`: the picture itself is base64 in `result` and stays in the raw view."""
    return Said(
        "tool",
        label,
        "response",
        tool="image_generation",
        text=text_of(payload.get("revised_prompt")),
        output="[image]" if payload.get("result") else None,
        call_id=text_of(payload.get("id")),
        failed=_failed(payload),
        is_call=True,
    )


def call_output(payload: Mapping[str, Any], label: str) -> Said:
    """`function_call_output`, `custom_tool_call_output`; without a call id it is context (0.169 goals)."""
    output, call_id = payload.get("output"), text_of(payload.get("call_id"))
    name = text_of(payload.get("name"))
    if call_id is None:
        return Said("context", label, role="tool", tool=name, text=content_text(output), injected=True)
    return _with_output(read_output(output), label, call_id, name, payload)


def tool_search_output(payload: Mapping[str, Any], label: str) -> Said:
    """`tool_search_output`: the names of the tools that were found."""
    names = [text_of(object_of(tool).get("name")) or "?" for tool in list_of(payload.get("tools"))]
    found = ToolOutput("\n".join(names))
    return _with_output(found, label, text_of(payload.get("call_id")), None, payload)


def _with_output(
    output: ToolOutput | None, label: str, call_id: str | None, tool: str | None, payload: Mapping[str, Any]
) -> Said:
    failed = _failed(payload)
    if output is None:
        return Said("tool", label, "response", tool=tool, output="", call_id=call_id, failed=failed)
    return Said(
        "tool",
        label,
        "response",
        tool=tool,
        output=output.text,
        exit_code=output.exit_code,
        duration_ms=output.duration_ms,
        failed=failed or output.failed,
        call_id=call_id,
    )


def tool_event(payload: Mapping[str, Any], label: str) -> Said | None:
    """An event about a call (`exec_command_end`, `patch_apply_end`, `mcp_tool_call_end`, …), or None."""
    call_id = text_of(payload.get("call_id")) or text_of(payload.get("callId"))
    if call_id is None:
        return None
    name = label
    for ending in ("_begin", "_end", "_request", "_response"):
        name = name.removesuffix(ending)
    return _about_call(payload, label, call_id, name)


def completed_call(item: Mapping[str, Any], label: str) -> Said | None:
    """A call among the `item_completed` of a paginated rollout (0.169); None for an item that is no call."""
    call_id, tool = text_of(item.get("id")), _COMPLETED_CALLS.get(label)
    if call_id is None or tool is None:
        return None
    return _about_call(item, label, call_id, tool)


_COMPLETED_CALLS = {
    "CommandExecution": "exec_command",
    "FileChange": "apply_patch",
    "DynamicToolCall": "dynamic_tool_call",
    "CollabAgentToolCall": "collab_agent",
    "McpToolCall": "mcp_tool_call",
    "ImageView": "view_image",
    "WebSearch": "web_search",
    "ImageGeneration": "image_generation",
    "Sleep": "sleep",
}
_EVENT_TOOLS = {
    "patch_apply": "apply_patch",
    "view_image_tool_call": "view_image",
    "apply_patch_approval": "apply_patch",
    "exec_approval": "exec_command",
}


def _about_call(fields: Mapping[str, Any], label: str, call_id: str, name: str) -> Said:
    invocation = object_of(fields.get("invocation"))
    tool = text_of(fields.get("tool")) or text_of(invocation.get("tool")) or _EVENT_TOOLS.get(name, name)
    server = text_of(fields.get("server")) or text_of(invocation.get("server"))
    text = (
        command_line(fields.get("command"))
        or search_text(fields.get("action"), fields.get("query"))
        or changes_text(fields.get("changes"))
        or text_of(fields.get("path"))
        or text_of(fields.get("prompt"))
        or text_of(fields.get("revised_prompt"))
    )
    output, failed = _event_output(fields)
    said_failed = _failed(fields)
    return Said(
        "tool",
        label,
        "event",
        tool=f"{server}.{tool}" if server else tool,
        arguments=_raw(fields.get("arguments") or invocation.get("arguments")),
        text=text,
        output=output,
        exit_code=whole_number(fields.get("exit_code")),
        duration_ms=milliseconds_of(fields.get("duration")) or milliseconds_of(fields.get("duration_ms"), 1),
        failed=failed if said_failed is None else said_failed,
        call_id=call_id,
        keys=_search_keys(text) if name == "web_search" else (),
    )


def _event_output(fields: Mapping[str, Any]) -> tuple[str | None, bool | None]:
    """The output that an event carries, and whether its result is an error."""
    if whole := text_of(fields.get("aggregated_output")):
        return whole, None
    streams = [text for name in ("stdout", "stderr") if (text := text_of(fields.get(name)))]
    if streams:
        return "".join(streams), None
    if isinstance(fields.get("content_items"), list):
        return content_text(fields["content_items"]), None
    if (
        error := text_of(fields.get("error")) or text_of(object_of(fields.get("error")).get("message"))
    ) is not None:
        return error, True
    result = fields.get("result")
    if isinstance(result, dict):
        if "Err" in result:
            return text_of(result["Err"]) or compact_json(result["Err"]), True
        inner = object_of(result.get("Ok", result))
        failed = inner.get("isError") is True or inner.get("is_error") is True
        return content_text(inner.get("content")), failed or None
    if isinstance(result, str) and result:
        return "[image]", None
    if isinstance(fields.get("agents_states"), dict):
        return compact_json(fields["agents_states"]), None
    return None, None
