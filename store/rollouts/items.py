"""What the lines say that a thread's metadata is made of, each with the fields that are asked of it.

A field that is missing or of another type than expected is None; fields not asked for are passed over.
Field names and their versions: Codex's protocol crate, 0.36 to 0.169.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from store.rollouts.lines import EVENT_MSG, RESPONSE_ITEM, LineType


class _OrNone:
    """Makes a value of the wrong type None."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")


class _Bounded:
    """An integer that SQLite can hold."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.int_schema(ge=-(1 << 63), lt=1 << 63, strict=True)


Text = Annotated[str | None, _OrNone()]
Number = Annotated[Annotated[int, _Bounded()] | None, _OrNone()]


class Payload(BaseModel):
    """A payload of which only the declared fields are read."""

    model_config = ConfigDict(extra="ignore", strict=True)


class GitInfo(Payload):
    """`session_meta.git`."""

    commit_hash: Text = None
    branch: Text = None
    repository_url: Text = None


class SessionMeta(Payload):
    """The first line of a rollout."""

    id: Text = None
    timestamp: Text = None
    cwd: Text = None
    originator: Text = None
    cli_version: Text = None
    source: Any = None
    model_provider: Text = None
    git: Annotated[GitInfo | None, _OrNone()] = None
    dynamic_tools: Annotated[list[Any] | None, _OrNone()] = None
    forked_from_id: Text = None
    parent_thread_id: Text = None
    history_base: Any = None
    agent_nickname: Text = None
    agent_role: Text = None
    memory_mode: Text = None


class TurnContext(Payload):
    """The settings of a turn."""

    cwd: Text = None
    approval_policy: Any = None
    sandbox_policy: Any = None
    permission_profile: Any = None
    model: Text = None
    effort: Text = None


class ThreadSettings(Payload):
    """`thread_settings_applied.thread_settings` (0.169)."""

    cwd: Text = None
    approval_policy: Any = None
    permission_profile: Any = None
    model: Text = None
    model_provider_id: Text = None
    reasoning_effort: Text = None


class ThreadSettingsApplied(Payload):
    """The thread's settings were changed between turns (0.169)."""

    thread_settings: Annotated[ThreadSettings | None, _OrNone()] = None


class TokenUsage(Payload):
    """`token_count.info.total_token_usage`."""

    input_tokens: Number = None
    cached_input_tokens: Number = None
    output_tokens: Number = None
    reasoning_output_tokens: Number = None
    total_tokens: Number = None


class TokenInfo(Payload):
    """`token_count.info`."""

    total_token_usage: Annotated[TokenUsage | None, _OrNone()] = None


class TokenCount(Payload):
    """What the thread has used so far; `info` is null where only rate limits are told."""

    info: Annotated[TokenInfo | None, _OrNone()] = None


class UserMessage(Payload):
    """What a person wrote, as an event. `kind` (until 0.4x) tells injected context apart."""

    message: Text = None
    kind: Text = None
    images: Annotated[list[Any] | None, _OrNone()] = None
    local_images: Annotated[list[Any] | None, _OrNone()] = None


class ContentPart(Payload):
    """One part of a message's content."""

    type: Text = None
    text: Text = None


_Content = Annotated[list[Annotated[ContentPart | None, _OrNone()]] | None, _OrNone()]


class Message(Payload):
    """A response item that is a message."""

    role: Text = None
    content: _Content = None


class TurnItem(Payload):
    """`item_completed.item`."""

    type: Text = None
    content: _Content = None


class ItemCompleted(Payload):
    """An item of a paginated rollout (0.169)."""

    item: Annotated[TurnItem | None, _OrNone()] = None


class TurnEvent(Payload):
    """A turn began (0.104)."""

    turn_id: Text = None


class RolledBack(Payload):
    """The last `num_turns` user turns were taken back."""

    num_turns: Number = None


class Goal(Payload):
    """`thread_goal_updated.goal`."""

    objective: Text = None


class GoalUpdated(Payload):
    """The thread was given a goal (0.169)."""

    goal: Annotated[Goal | None, _OrNone()] = None


P = TypeVar("P", bound=Payload)


class _Enveloped(BaseModel, Generic[P]):
    payload: P


def read_payload(model: type[P], line: bytes) -> P | None:
    """The payload of an enveloped line, or the whole of a bare one; None when it is not a JSON object."""
    try:
        payload: P = _enveloped(model).model_validate_json(line).payload
    except ValidationError:
        try:
            return model.model_validate_json(line)
        except ValidationError:
            return None
    return payload


@cache
def _enveloped(model: type[P]) -> type[_Enveloped[P]]:
    return _Enveloped[model]  # type: ignore[valid-type]  # a type that is known when this runs


def completed_item_type(line: bytes) -> str | None:
    """What kind of item an `item_completed` line completes, from its first bytes where they hold it."""
    if (match := _COMPLETED.match(line)) is not None:
        return match[1].decode("ascii")
    completed = read_payload(ItemCompleted, line)
    return completed.item.type if completed is not None and completed.item is not None else None


def message_role(line: bytes) -> str | None:
    """Whose message a bare `message` item is."""
    message = read_payload(Message, line)
    return None if message is None else message.role


def text_of(content: list[ContentPart | None] | None) -> str:
    """The text parts of a content list, in one."""
    return "".join(part.text for part in content or () if part is not None and part.text is not None)


def is_injected(text: str) -> bool:
    """Whether Codex wrote a user-role item in the user's name (its tags, or the project's AGENTS.md)."""
    return text.startswith(("<", "# AGENTS.md"))


_COMPLETED = re.compile(
    rb'\{"timestamp":"[^"\\]*",(?:"ordinal":\d+,)?"type":"event_msg","payload":\{"type":"item_completed",'
    rb'"thread_id":"[^"\\]*","turn_id":"[^"\\]*","item":\{"type":"([A-Za-z]+)"'
)

_RECORDS: Final = frozenset(
    {
        "session_meta",
        "turn_context",
        "compacted",
        "world_state",
        "token_usage_record",
        "inter_agent_communication",
        "inter_agent_communication_metadata",
        "realtime_item",
        "retained_context",
        "security_risk_score",
        "state",
    }
)
_RESPONSE_ITEMS: Final = frozenset(
    {
        "message",
        "agent_message",
        "reasoning",
        "local_shell_call",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "tool_search_call",
        "tool_search_output",
        "web_search_call",
        "image_generation_call",
        "ghost_snapshot",
        "compaction",
        "compaction_summary",
        "context_compaction",
        "other",
    }
)
_EVENTS: Final = frozenset(
    {
        "agent_message",
        "agent_reasoning",
        "agent_reasoning_raw_content",
        "agent_reasoning_section_break",
        "apply_patch_approval_request",
        "background_event",
        "collab_agent_interaction_begin",
        "collab_agent_interaction_end",
        "collab_agent_spawn_begin",
        "collab_agent_spawn_end",
        "collab_close_begin",
        "collab_close_end",
        "collab_resume_begin",
        "collab_resume_end",
        "collab_waiting_begin",
        "collab_waiting_end",
        "context_compacted",
        "deprecation_notice",
        "dynamic_tool_call_request",
        "dynamic_tool_call_response",
        "elicitation_request",
        "entered_review_mode",
        "error",
        "exec_approval_request",
        "exec_command_begin",
        "exec_command_end",
        "exited_review_mode",
        "guardian_assessment",
        "hook_completed",
        "hook_started",
        "image_generation_begin",
        "image_generation_end",
        "item_completed",
        "item_started",
        "mcp_tool_call_begin",
        "mcp_tool_call_end",
        "model_reroute",
        "patch_apply_begin",
        "patch_apply_end",
        "plan_update",
        "request_permissions",
        "request_user_input",
        "session_configured",
        "shutdown_complete",
        "stream_error",
        "sub_agent_activity",
        "task_complete",
        "task_started",
        "thread_goal_updated",
        "thread_name_updated",
        "thread_rolled_back",
        "thread_settings_applied",
        "token_count",
        "turn_aborted",
        "turn_complete",
        "turn_diff",
        "turn_started",
        "undo_completed",
        "undo_started",
        "user_message",
        "view_image_tool_call",
        "warning",
        "web_search_begin",
        "web_search_end",
    }
)

KNOWN_TYPES: Final[frozenset[LineType]] = frozenset(
    {
        *((name, None) for name in _RECORDS),
        *((RESPONSE_ITEM, name) for name in _RESPONSE_ITEMS),
        *((EVENT_MSG, name) for name in _EVENTS),
    }
)
"""Types of record that were seen in a rollout, or that Codex's source up to 0.169 names."""
