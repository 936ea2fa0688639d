"""Rows of `threads` as the screens see them: how a `Thread` is selected and made."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from store.models import Git, Thread, Tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.rollouts.metadata import RolloutFacts
    from store.rollouts.scan import RolloutFile

FACT_COLUMNS: Final = (
    "cwd",
    "title",
    "first_user_message",
    "preview",
    "source",
    "source_detail",
    "parent_thread_id",
    "forked_from_id",
    "history_base",
    "agent_nickname",
    "agent_role",
    "model_provider",
    "model",
    "reasoning_effort",
    "cli_version",
    "originator",
    "sandbox_policy",
    "approval_mode",
    "memory_mode",
    "tokens_used",
    "tokens_input",
    "tokens_cached_input",
    "tokens_output",
    "tokens_reasoning_output",
    "git_sha",
    "git_branch",
    "git_origin_url",
    "turns",
    "messages",
    "bad_lines",
    "unknown_records",
    "turn_since",
    "pending_call",
    "pending_since",
)
"""Columns of `threads` that have the name of the fact that they hold."""

WORDS: Final = ("title", "first_user_message", "preview")
"""What a thread keeps from its first rollout, however often it is reverted (0.169)."""

_NOT_SHOWN: Final = ("history_base", "unknown_records")

_SELECT_COLUMNS: Final = (
    "key",
    "id",
    "rollout_path",
    "archived",
    "compressed",
    "index_state",
    "created_at",
    "updated_at",
    "size_bytes",
    *(column for column in FACT_COLUMNS if column not in (*_NOT_SHOWN, "memory_mode")),
)

# A paginated fork without a turn of its own has its parent's preview in Codex's row too (0.169).
_PREVIEW: Final = "COALESCE(t.preview, (SELECT p.preview FROM threads p WHERE p.id = t.forked_from_id))"

SELECT_THREAD: Final = (
    f"SELECT {', '.join(_PREVIEW if c == 'preview' else 't.' + c for c in _SELECT_COLUMNS)},"
    " c.name AS name, COALESCE(c.memory_mode, t.memory_mode) AS memory_mode,"
    " (SELECT COUNT(*) FROM threads k WHERE k.parent_thread_id = t.id) AS children"
    " FROM threads t LEFT JOIN codex_threads c ON c.thread_id = t.id"
)
_SELECTED: Final = (*_SELECT_COLUMNS, "name", "memory_mode", "children")


def thread_from_row(row: Sequence[Any]) -> Thread:
    """A `Thread` from a row of `SELECT_THREAD`."""
    return make_thread(dict(zip(_SELECTED, row, strict=True)))


def thread_from_facts(
    key: int, file: RolloutFile, facts: RolloutFacts, *, name: str | None, full: bool
) -> Thread:
    """A `Thread` straight from its file, for listings that no database backs."""
    values: dict[str, Any] = {
        column: getattr(facts, column) for column in FACT_COLUMNS if column not in _NOT_SHOWN
    }
    values.update(
        key=key,
        id=facts.thread_id,
        rollout_path=file.path,
        archived=file.archived,
        compressed=file.compressed,
        index_state="full" if full else "heads",
        created_at=facts.created_at,
        updated_at=facts.updated_at if facts.updated_at is not None else file.mtime_ns // 1_000_000,
        size_bytes=file.size,
        name=name,
        children=0,
    )
    return make_thread(values)


def keeping_words(facts: RolloutFacts, first: RolloutFacts) -> RolloutFacts:
    """The facts of a reverted thread's newest rollout with the words of its first one."""
    words = {name: getattr(first, name) for name in WORDS}
    return replace(facts, **{name: word for name, word in words.items() if word is not None})


def make_thread(values: dict[str, Any]) -> Thread:
    """A `Thread` from column values; JSON texts become JSON values."""
    return Thread(
        index=values.pop("index_state"),
        tokens=Tokens(
            input=values.pop("tokens_input"),
            cached_input=values.pop("tokens_cached_input"),
            output=values.pop("tokens_output"),
            reasoning_output=values.pop("tokens_reasoning_output"),
            total=values["tokens_used"],
        ),
        git=Git(
            sha=values.pop("git_sha"),
            branch=values.pop("git_branch"),
            origin_url=values.pop("git_origin_url"),
        ),
        source_detail=_json(values.pop("source_detail")),
        sandbox_policy=_json(values.pop("sandbox_policy")),
        **values,
    )


def _json(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
