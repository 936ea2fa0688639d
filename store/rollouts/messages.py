"""Messages, reasoning and compaction, as every Codex version writes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from store.rollouts.said import Said, Side, pairing_key
from store.rollouts.tool_text import content_text, list_of, object_of, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_REQUEST_MARK = "## My request for Codex:"
_INJECTED_STARTS = (
    "<environment_context",
    "# AGENTS.md instructions",
    "<user_instructions>",
    "<permissions instructions>",
    "<skills_instructions>",
    "<apps_instructions>",
    "<plugins_instructions>",
    "<collaboration_mode>",
    "<personality_spec>",
    "<model_switch>",
    "<codex_internal_context",
    "<subagent_notification>",
    "<turn_aborted>",
    "<user_shell_command>",
    "<user_action>",
    "<hook_prompt",
    "<skill>",
)
_IMAGE_TAG = re.compile(r"</?image(?: name=[^>]*)?>\n?")
_CITATION = re.compile(r"\s*<oai-mem-citation>.*?</oai-mem-citation>", re.DOTALL)


def own_words(text: str) -> str:
    """What the user typed: an editor puts its context before `## My request for Codex:`."""
    _, mark, request = text.rpartition(_REQUEST_MARK)
    return request.strip() if mark else text


def looks_injected(text: str) -> bool:
    """Codex writes its own instructions in the user's name; before 0.169 only their first words tell."""
    return text.lstrip().startswith(_INJECTED_STARTS)


def _message_key(role: str, text: str) -> int:
    if "image" in text:
        text = _IMAGE_TAG.sub("", text).replace("[image]", "")
    return pairing_key(role, text)


def _without_citation(text: str) -> str:
    """Codex takes it out of the event's text and leaves it in the response item (0.130)."""
    return _CITATION.sub("", text) if "<oai-mem-citation>" in text else text


def response_message(payload: Mapping[str, Any], label: str) -> Said:
    """A `message` of the model's history."""
    role = text_of(payload.get("role")) or "unknown"
    text = content_text(payload.get("content")) or ""
    keys = _identity(payload)
    if role == "assistant":
        return _message(label, "response", role, text, payload.get("phase"), keys)
    marks = object_of(payload.get("internal_chat_message_metadata_passthrough"))
    kinds = [kind for kind in list_of(marks.get("content_item_kinds")) if isinstance(kind, str)]
    certainly_user = role == "user" and any(kind.startswith("user.") for kind in kinds)
    if role != "user" or (bool(kinds) and not certainly_user) or (not kinds and looks_injected(text)):
        return Said(
            "context",
            label,
            "response",
            role,
            text,
            injected=True,
            keys=(*keys, _message_key(role, text)),
        )
    return _message(label, "response", role, own_words(text), None, keys, certainly_user=certainly_user)


def _message(
    label: str,
    side: Side,
    role: str,
    text: str,
    phase: Any,
    keys: tuple[int, ...] = (),
    *,
    certainly_user: bool = False,
) -> Said:
    if role == "assistant":
        text = _without_citation(text)
    return Said(
        "message",
        label,
        side,
        role,
        text,
        text_of(phase),
        keys=(*keys, _message_key(role, text)),
        certainly_user=certainly_user,
    )


def _identity(payload: Mapping[str, Any]) -> tuple[int, ...]:
    identity = text_of(payload.get("id"))
    return (pairing_key("id", identity),) if identity else ()


def user_event(payload: Mapping[str, Any], label: str) -> Said:
    """`user_message`: the one sure sign of the user's own words (0.36 tells injected ones by `kind`)."""
    text = text_of(payload.get("message")) or ""
    if payload.get("kind") in ("environment_context", "user_instructions"):
        return Said(
            "context", label, "event", "user", text, injected=True, keys=(_message_key("user", text),)
        )
    pictures = [*list_of(payload.get("images")), *list_of(payload.get("local_images"))]
    shown = (
        "\n".join([*(["[image]"] * len(pictures)), own_words(text)]).removesuffix("\n")
        if pictures
        else own_words(text)
    )
    return _message(label, "event", "user", shown, None, certainly_user=True)


def agent_event(payload: Mapping[str, Any], label: str) -> Said:
    """`agent_message`."""
    return _message(label, "event", "assistant", text_of(payload.get("message")) or "", payload.get("phase"))


def completed_message(item: Mapping[str, Any], label: str) -> Said:
    """`UserMessage` and `AgentMessage` of a paginated rollout (0.169)."""
    text = content_text(item.get("content")) or ""
    if label == "UserMessage":
        return _message(label, "event", "user", own_words(text), None, _identity(item), certainly_user=True)
    return _message(label, "event", "assistant", text, item.get("phase"), _identity(item))


def _reasoning(label: str, side: Side, summary: Any, content: Any, keys: tuple[int, ...]) -> Said:
    parts = _parts(summary, content)
    return Said(
        "reasoning",
        label,
        side,
        "assistant",
        "\n\n".join(parts) or None,
        keys=(*keys, *(pairing_key("reasoning", part) for part in parts)),
    )


def _parts(summary: Any, content: Any) -> list[str]:
    parts = [part for part in map(_part_text, list_of(summary)) if part is not None]
    raw = [part for part in map(_part_text, list_of(content)) if part is not None]
    return parts + [part for part in raw if part not in parts]


def _part_text(part: Any) -> str | None:
    return part if isinstance(part, str) else text_of(object_of(part).get("text"))


def reasoning_text(payload: Mapping[str, Any]) -> str:
    """What a `reasoning` item says: its summary, and the raw content where the model gives it."""
    return "\n\n".join(_parts(payload.get("summary"), payload.get("content")))


def response_reasoning(payload: Mapping[str, Any], label: str) -> Said:
    """A `reasoning` item: summary parts, and the raw content where the model gives it."""
    return _reasoning(label, "response", payload.get("summary"), payload.get("content"), _identity(payload))


def reasoning_event(payload: Mapping[str, Any], label: str) -> Said:
    """`agent_reasoning` and `agent_reasoning_raw_content`: one event for each part of a reasoning item."""
    return _reasoning(label, "event", [payload.get("text")], None, ())


def completed_reasoning(item: Mapping[str, Any], label: str) -> Said:
    """`Reasoning` of a paginated rollout (0.169)."""
    return _reasoning(label, "event", item.get("summary_text"), item.get("raw_content"), _identity(item))


def compacted(payload: Mapping[str, Any], label: str) -> Said:
    """`compacted`: the summary that took the place of the history before it."""
    return Said("compaction", label, "response", text=text_of(payload.get("message")) or None)


def compaction_mark(payload: Mapping[str, Any], label: str) -> Said:
    """`context_compacted`, `ContextCompaction`, encrypted `compaction` items: that it happened, no text."""
    side: Side = "event" if label in ("context_compacted", "ContextCompaction") else "alone"
    return Said("compaction", label, side, text=text_of(payload.get("message")) or None)
