"""What one read of a rollout found out about its thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from store.models import DynamicTool, ThreadSource

ProblemKind = Literal[
    "empty_file", "no_session_meta", "bad_line", "long_line", "unfinished_line", "damaged_file"
]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the file that could not be read; `line` is its 0-based number, `offset` its first byte."""

    kind: ProblemKind
    line: int
    offset: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutFacts:
    """Everything that a row of `threads` takes from the file.

    Fields have the names of the columns. `source_detail`, `sandbox_policy` and `history_base` are JSON texts.
    `turns` and `messages` count what is the thread's own and was not rolled back; they, `bad_lines` and
    `unknown_records` are None unless all of the file was read. `updated_at` is the time of the last line that
    has one, in milliseconds; None where no line has (before 0.36). A paginated fork's first user message and
    preview are its own first prompt, although Codex's row has its parent's, which the file does not hold.
    Of a reverted thread's rollout (0.169), too, all of this is what the file itself holds: the turns that the
    revert kept are in its base. `turn_since` is when the turn began that has not ended (since 0.104; None
    when there is none), and `pending_call` what its longest waiting call asks for; they too are known only
    from all of the file.
    """

    thread_id: str
    created_at: int | None = None
    updated_at: int | None = None
    cwd: str | None = None
    title: str | None = None
    first_user_message: str | None = None
    preview: str | None = None
    source: ThreadSource = "unknown"
    source_detail: str | None = None
    parent_thread_id: str | None = None
    forked_from_id: str | None = None
    history_base: str | None = None
    agent_nickname: str | None = None
    agent_role: str | None = None
    model_provider: str | None = None
    model: str | None = None
    reasoning_effort: str | None = None
    cli_version: str | None = None
    originator: str | None = None
    sandbox_policy: str | None = None
    approval_mode: str | None = None
    memory_mode: str | None = None
    tokens_used: int | None = None
    tokens_input: int | None = None
    tokens_cached_input: int | None = None
    tokens_output: int | None = None
    tokens_reasoning_output: int | None = None
    git_sha: str | None = None
    git_branch: str | None = None
    git_origin_url: str | None = None
    turns: int | None = None
    messages: int | None = None
    bad_lines: int | None = None
    unknown_records: int | None = None
    turn_since: int | None = None
    pending_call: str | None = None
    pending_since: int | None = None
    tools: tuple[DynamicTool, ...] = ()
    problems: tuple[Problem, ...] = ()
    """The first few; `problem_count` counts all."""
    problem_count: int = 0
