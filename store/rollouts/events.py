"""Lines that are no part of the dialogue, each in a few readable words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store.rollouts.said import Said
from store.rollouts.tool_text import compact_json, list_of, object_of, text_of, whole_number
from store.sandbox import parse_policy, short_label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SHORT_RAW = 500
"""How much of an unknown line is shown, in characters; the raw view has the rest."""


def unknown(payload: Any, label: str) -> Said:
    """A line of a type that we do not know, kept raw."""
    raw = compact_json(payload)
    return Said("unknown", label, text=raw if len(raw) <= SHORT_RAW else raw[:SHORT_RAW] + "…")


def _joined(*parts: Any) -> str | None:
    return " · ".join(part for part in parts if isinstance(part, str) and part) or None


def _settings(fields: Mapping[str, Any]) -> str | None:
    policy = fields.get("sandbox_policy") or fields.get("permission_profile")
    return _joined(
        fields.get("model"),
        fields.get("effort") or fields.get("reasoning_effort"),
        fields.get("approval_policy"),
        None if policy is None else short_label(parse_policy(policy)),
        fields.get("cwd"),
    )


def _session_meta(fields: Mapping[str, Any]) -> str | None:
    version = text_of(fields.get("cli_version"))
    return _joined(fields.get("originator"), f"Codex {version}" if version else None, fields.get("cwd"))


def _token_count(fields: Mapping[str, Any]) -> str | None:
    info = object_of(fields.get("info"))
    total = whole_number(object_of(info.get("total_token_usage")).get("total_tokens"))
    return "rate limits" if total is None else f"{total:,} tokens"


def _usage_record(fields: Mapping[str, Any]) -> str | None:
    response = whole_number(object_of(fields.get("usage")).get("total_tokens"))
    return None if response is None else f"{response:,} tokens in this response"


def _turn_complete(fields: Mapping[str, Any]) -> str | None:
    if error := object_of(fields.get("error")):
        return _joined(error.get("message"), text_of(error.get("codex_error_info")))
    duration = whole_number(fields.get("duration_ms"))
    return "turn complete" if duration is None else f"turn complete · {duration / 1000:,.1f} s"


def _turn_aborted(fields: Mapping[str, Any]) -> str | None:
    return _joined("turn aborted", fields.get("reason"))


def _rolled_back(fields: Mapping[str, Any]) -> str:
    turns = rolled_back_turns(fields)
    return f"{turns:,} {'turn' if turns == 1 else 'turns'} rolled back"


def rolled_back_turns(fields: Mapping[str, Any]) -> int:
    """`num_turns` of a `thread_rolled_back`."""
    return max(0, whole_number(fields.get("num_turns")) or 0)


def _goal(fields: Mapping[str, Any]) -> str | None:
    goal = object_of(fields.get("goal"))
    return _joined("goal", goal.get("status"), goal.get("objective"))


def _message(fields: Mapping[str, Any]) -> str | None:
    info = fields.get("codex_error_info")
    return _joined(
        fields.get("message") or fields.get("summary"),
        info if isinstance(info, str) else next(iter(object_of(info)), None),
    )


def _named(fields: Mapping[str, Any]) -> str | None:
    return _joined("named", fields.get("thread_name") or fields.get("threadName"))


def _review(fields: Mapping[str, Any]) -> str | None:
    output = object_of(fields.get("review_output"))
    return _joined(
        "review",
        fields.get("user_facing_hint") or fields.get("review") or output.get("overall_explanation"),
    )


def _ghost(fields: Mapping[str, Any]) -> str | None:
    return _joined("workspace snapshot", object_of(fields.get("ghost_commit")).get("id"))


def _world(fields: Mapping[str, Any]) -> str:
    return "environment snapshot" if fields.get("full") else "environment change"


def _plan(fields: Mapping[str, Any]) -> str | None:
    return text_of(fields.get("text"))


def _fragments(fields: Mapping[str, Any]) -> str | None:
    return "\n".join(
        text for part in list_of(fields.get("fragments")) if (text := text_of(object_of(part).get("text")))
    )


def _words(text: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda _fields: text


CONTEXT_LINES: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
    "session_meta": _session_meta,
    "turn_context": _settings,
    "world_state": _world,
}
"""Top-level types that hold settings (CODEX_HOME §1.3)."""

EVENT_LINES: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
    "token_usage_record": _usage_record,
    "state": _words("state"),  # the form without envelope (Codex up to 0.2x)
}
"""Top-level types that are neither dialogue nor settings."""

EVENTS: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
    "token_count": _token_count,
    "task_started": _words("turn started"),
    "turn_started": _words("turn started"),
    "task_complete": _turn_complete,
    "turn_complete": _turn_complete,
    "turn_aborted": _turn_aborted,
    "thread_rolled_back": _rolled_back,
    "thread_goal_updated": _goal,
    "thread_name_updated": _named,
    "entered_review_mode": _review,
    "exited_review_mode": _review,
    "undo_completed": _message,
    "error": _message,
    "stream_error": _message,
    "warning": _message,
    "background_event": _message,
    "deprecation_notice": _message,
    "shutdown_complete": _words("Codex shut down"),
    # Items of a paginated rollout (0.169) that are neither message nor call.
    "Plan": _plan,
    "HookPrompt": _fragments,
    "EnteredReviewMode": _review,
    "ExitedReviewMode": _review,
    # A response item of 0.63 to 0.7x.
    "ghost_snapshot": _ghost,
}
"""`event_msg` types with words of their own (CODEX_HOME §1.5)."""

SETTINGS_EVENTS = frozenset({"thread_settings_applied", "session_configured"})
_ERRORS = frozenset({"error", "stream_error", "turn_aborted"})
_TURN_STARTS = frozenset({"task_started", "turn_started"})
_TURN_ENDS = frozenset({"task_complete", "turn_complete", "turn_aborted"})


def event(payload: Mapping[str, Any], label: str) -> Said:
    """An `event_msg` (or completed item) that is neither message nor call."""
    if label in SETTINGS_EVENTS:
        return Said("context", label, text=_settings(object_of(payload.get("thread_settings")) or payload))
    words = EVENTS.get(label)
    if words is None:
        return unknown(payload, label)
    return Said(
        "event",
        label,
        text=words(payload),
        failed=label in _ERRORS or (label in _TURN_ENDS and bool(object_of(payload.get("error")))),
        starts_turn=label in _TURN_STARTS,
        ends_turn=label in _TURN_ENDS,
        rolled_back_turns=rolled_back_turns(payload) if label == "thread_rolled_back" else 0,
    )
