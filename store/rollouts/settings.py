"""A thread's metadata from single payloads, by the rules of Codex's `state/src/extract.rs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from pydantic_core import to_json

from store.rollouts.lines import milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from store.models import ThreadSource
    from store.rollouts.items import SessionMeta, ThreadSettings, TokenUsage, TurnContext

IMAGE_ONLY: Final = "[Image]"
_REQUEST_MARKER: Final = "## My request for Codex:"
_SOURCES: Final = frozenset({"cli", "vscode", "exec", "mcp", "unknown"})
# What Rust's `trim` takes for white space; Python's `strip` takes four control characters more.
_WHITE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


def trimmed(text: str) -> str:
    """A text without the white space round it, as Codex trims it."""
    return text.strip(_WHITE)


def request_of(text: str) -> str:
    """What a person asked for, without the editor's context that a client put before it."""
    _, marker, request = text.partition(_REQUEST_MARKER)
    return trimmed(request if marker else text)


def from_session_meta(meta: SessionMeta) -> dict[str, Any]:
    """The columns that the canonical `session_meta` fills; what it does not say is None."""
    source, detail, spawn = _source(meta.source)
    git = meta.git
    return {
        "created_at": milliseconds(meta.timestamp),
        "cwd": meta.cwd or None,
        "source": source,
        "source_detail": detail,
        "parent_thread_id": meta.parent_thread_id or _word(spawn, "parent_thread_id"),
        "forked_from_id": meta.forked_from_id,
        "history_base": None if meta.history_base is None else json_text(meta.history_base),
        "agent_nickname": meta.agent_nickname or _word(spawn, "agent_nickname"),
        "agent_role": meta.agent_role or _word(spawn, "agent_role"),
        "model_provider": meta.model_provider or None,
        "cli_version": meta.cli_version or None,
        "originator": meta.originator or None,
        "memory_mode": meta.memory_mode,
        "git_sha": git.commit_hash if git is not None else None,
        "git_branch": git.branch if git is not None else None,
        "git_origin_url": git.repository_url if git is not None else None,
    }


def from_turn_context(context: TurnContext, *, paginated: bool) -> dict[str, Any]:
    """The columns that each turn's settings overwrite.

    In paginated rollouts (0.169) changes of settings say the permission profile alone, and so does this.
    """
    forms = (context.sandbox_policy, context.permission_profile)
    first, second = reversed(forms) if paginated else forms
    policy = second if first is None else first
    return {
        "model": context.model,
        "reasoning_effort": context.effort,
        "sandbox_policy": None if policy is None else json_text(policy),
        "approval_mode": _mode(context.approval_policy),
    }


def from_thread_settings(settings: ThreadSettings) -> dict[str, Any]:
    """The columns that a change of settings between turns overwrites (0.169)."""
    values = {
        "model": settings.model,
        "reasoning_effort": settings.reasoning_effort,
        "approval_mode": _mode(settings.approval_policy),
    }
    if settings.permission_profile is not None:
        values["sandbox_policy"] = json_text(settings.permission_profile)
    if settings.model_provider_id:
        values["model_provider"] = settings.model_provider_id
    if settings.cwd:
        values["cwd"] = settings.cwd
    return values


def from_token_usage(usage: TokenUsage) -> dict[str, Any]:
    """The columns that a token count overwrites."""
    return {
        "tokens_used": None if usage.total_tokens is None else max(usage.total_tokens, 0),
        "tokens_input": usage.input_tokens,
        "tokens_cached_input": usage.cached_input_tokens,
        "tokens_output": usage.output_tokens,
        "tokens_reasoning_output": usage.reasoning_output_tokens,
    }


def flat_tools(entries: Iterable[Any]) -> list[dict[str, Any]]:
    """The fields of each dynamic tool, in order; those of a namespace (0.169) are told with its name."""
    found: list[dict[str, Any]] = []
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        if entry.get("type") == "namespace" and isinstance(entry.get("tools"), list):
            inner = flat_tools(entry["tools"])
            found += [{**tool, "namespace": tool["namespace"] or _word(entry, "name")} for tool in inner]
        elif (name := _word(entry, "name")) is not None:
            deferred = entry.get("deferLoading", entry.get("defer_loading"))
            found.append(
                {
                    "name": name,
                    "description": _word(entry, "description"),
                    "input_schema": entry.get("inputSchema", entry.get("input_schema")),
                    "defer_loading": deferred if isinstance(deferred, bool) else None,
                    "namespace": _word(entry, "namespace"),
                }
            )
    return found


def json_text(value: Any) -> str:
    """A JSON value in Codex's own compact form."""
    return to_json(value, inf_nan_mode="null").decode("utf-8")


def _mode(policy: Any) -> str | None:
    if policy is None or isinstance(policy, str):
        return policy
    return json_text(policy)


def _source(source: Any) -> tuple[ThreadSource, str | None, Any]:
    """The plain word; the whole as JSON where the word is not all of it; what a spawned sub-agent has."""
    if source is None:
        return "unknown", None, None
    if isinstance(source, str) and source in _SOURCES:
        return cast("ThreadSource", source), None, None
    if isinstance(source, dict) and "subagent" in source:
        kind = source["subagent"]
        spawn = kind.get("thread_spawn") if isinstance(kind, dict) else None
        return "subagent", json_text(source), spawn
    return "unknown", json_text(source), None


def _word(fields: Any, key: str) -> str | None:
    value = fields.get(key) if isinstance(fields, dict) else None
    return value if isinstance(value, str) else None
