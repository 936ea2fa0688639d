"""A thread's metadata from the whole of its rollout, in every era and from any bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rollout_files import (
    BEGIN_MS,
    HOMES,
    OTHER,
    THREAD,
    answer,
    context,
    encoded,
    event,
    item,
    joined,
    line,
    meta,
    prompt,
    put,
    tokens,
)

from store.errors import RolloutError
from store.models import DynamicTool
from store.rollouts import lines
from store.rollouts.metadata import RolloutFacts, read_full
from store.rollouts.scan import fingerprint, scan_home

if TYPE_CHECKING:
    from pathlib import Path

    from store.rollouts.metadata import FullRead
    from store.rollouts.scan import RolloutFile

in_one_home = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def facts_of(tmp_path: Path, *content: bytes) -> RolloutFacts:
    return read_full(tmp_path, put(tmp_path, joined(*content))).facts


def kinds(facts: RolloutFacts) -> list[str]:
    return [problem.kind for problem in facts.problems]


def in_steps(home: Path, file: RolloutFile, budgets: list[int]) -> FullRead:
    """Read with these budgets in turn, the last one again and again."""
    read = read_full(home, file, budget_bytes=budgets[0])
    while not read.done:
        budgets = budgets[1:] or budgets
        read = read_full(home, file, fold=read.fold, parsed_bytes=read.parsed_bytes, budget_bytes=budgets[0])
    return read


# The facts of the fixtures; a field that is not named has its default.
ERAS: dict[str, dict[str, Any]] = {
    "3f1c2a9e-5b7d-4e21-9a64-0c8d7e6f5a4b": {
        "created_at": 1_755_163_805_120,
        "title": "List the cards please",
        "turns": 2,
        "messages": 4,
    },
    "7d0e4b52-1c3f-4a86-8f29-b5a6c7d8e9f0": {
        "created_at": 1_758_366_153_010,
        "updated_at": 1_758_366_153_360,
        "cwd": "/home/ada/engine",
        "title": "Count the punched holes",
        "originator": "codex_cli_rs",
        "cli_version": "0.36.0",
        "model": "gpt-5-codex",
        "approval_mode": "on-request",
        "sandbox_policy": '{"mode":"workspace-write","network_access":false,'
        '"exclude_tmpdir_env_var":false,"exclude_slash_tmp":false}',
        "tokens": (1040, 1000, 100, 40, 0),
        "turns": 1,
        "messages": 2,
    },
    "019aa1f0-4c5d-7e6f-8a9b-0c1d2e3f4a5b": {
        "created_at": 1_763_650_801_117,
        "updated_at": 1_763_650_801_400,
        "cwd": "/home/ada/engine",
        "title": "Sort the cards",
        "source": "exec",
        "originator": "codex_exec",
        "cli_version": "0.63.0",
        "model_provider": "openai",
        "model": "gpt-5.1-codex",
        "reasoning_effort": "high",
        "approval_mode": "never",
        "sandbox_policy": '{"type":"read-only"}',
        "tokens": (2030, 2000, 1500, 30, 5),
        "turns": 1,
        "messages": 2,
    },
    "019c2b10-1000-7a00-8b00-00000000000a": {
        "created_at": 1_770_199_200_050,
        "updated_at": 1_770_199_200_760,
        "title": "Plan the mill",
        "tokens": (6080, 6000, 3000, 80, 10),
        "tools": (
            DynamicTool(
                position=0,
                name="lookup_card",
                description="Look up a card",
                input_schema={"type": "object", "properties": {"card": {"type": "string"}}},
            ),
        ),
        "turns": 1,
        "messages": 2,
    },
    "019c2b20-2000-7a00-8b00-00000000000b": {
        "created_at": 1_770_201_000_020,
        "updated_at": 1_770_201_000_115,
        "title": "Plan the mill",
        "forked_from_id": "019c2b10-1000-7a00-8b00-00000000000a",
        "tokens": (9120, 9000, 6000, 120, 20),
        "turns": 1,
        "messages": 2,
    },
    "019c2b18-3000-7a00-8b00-00000000000c": {
        "created_at": 1_770_199_800_020,
        "updated_at": 1_770_199_800_200,
        "title": "Measure one wheel",
        "source": "subagent",
        "source_detail": '{"subagent":{"thread_spawn":{"parent_thread_id":'
        '"019c2b10-1000-7a00-8b00-00000000000a","depth":1}}}',
        "parent_thread_id": "019c2b10-1000-7a00-8b00-00000000000a",
        "tokens": (510, 500, 0, 10, 0),
        "turns": 1,
        "messages": 2,
    },
    "019c9e60-4000-7b00-9c00-00000000000d": {
        "created_at": 1_772_180_100_010,
        "updated_at": 1_772_180_100_600,
        "cwd": "/home/ada/engine",
        "title": "Describe the store",
        "source": "subagent",
        "source_detail": '{"subagent":{"thread_spawn":{"parent_thread_id":'
        '"019c2b10-1000-7a00-8b00-00000000000a","depth":1,"agent_nickname":"Moss","agent_role":"explorer"}}}',
        "parent_thread_id": "019c2b10-1000-7a00-8b00-00000000000a",
        "agent_nickname": "Moss",
        "agent_role": "explorer",
        "originator": "codex_cli_rs",
        "cli_version": "0.105.0",
        "model_provider": "openai",
        "model": "gpt-5.3-codex",
        "reasoning_effort": "low",
        "approval_mode": "never",
        "sandbox_policy": '{"type":"read-only","access":{"type":"restricted",'
        '"include_platform_defaults":true,"readable_roots":["/home/ada/engine"]}}',
        "tokens": (1560, 1500, 200, 60, 5),
        "turns": 2,
        "messages": 3,
    },
    "019e1d40-6000-7c00-8d00-00000000000e": {
        "created_at": 1_778_587_200_015,
        "updated_at": 1_778_587_200_520,
        "cwd": "/home/ada/engine",
        "title": "Patch the governor",
        "source": "cli",
        "originator": "codex-tui",
        "cli_version": "0.130.0",
        "model_provider": "openai",
        "model": "gpt-5.4",
        "reasoning_effort": "xhigh",
        "approval_mode": '{"granular":{"sandbox_approval":true,"rules":false}}',
        "sandbox_policy": '{"type":"danger-full-access"}',
        "memory_mode": "disabled",
        "tokens": (4090, 4000, 1000, 90, 15),
        "turns": 1,
        "messages": 2,
    },
    "01a1f5a0-7000-7d00-8e00-00000000000f": {
        "created_at": 1_794_646_800_010,
        "updated_at": 1_794_646_801_040,
        "cwd": "/home/ada/loom",
        "title": "Draw the mill",
        "preview": "Finish the engine",
        "tokens": (2040, 2000, 200, 40, 0),
        "tools": (
            DynamicTool(
                position=0,
                name="lookup",
                description="Look up",
                input_schema={"type": "object"},
                defer_loading=True,
                namespace="cards",
            ),
        ),
        "turns": 2,
        "messages": 4,
    },
    "01a1f5b0-8000-7d00-8e00-000000000010": {
        "created_at": 1_794_648_600_010,
        "updated_at": 1_794_648_600_440,
        "cwd": "/home/ada/engine",
        "title": "Draw it larger",
        "forked_from_id": "01a1f5a0-7000-7d00-8e00-00000000000f",
        "history_base": '{"thread_id":"01a1f5a0-7000-7d00-8e00-00000000000f",'
        '"end_ordinal_exclusive":12,"end_byte_offset":4798}',
        "tokens": (3060, 3000, 300, 60, 0),
        "turns": 1,
        "messages": 2,
    },
}
_0_98 = {
    "cwd": "/home/ada/engine",
    "cli_version": "0.98.0",
    "originator": "codex_vscode",
    "model_provider": "openai",
    "model": "gpt-5.2-codex",
    "reasoning_effort": "medium",
    "approval_mode": "on-request",
    "sandbox_policy": '{"type":"workspace-write","network_access":false,'
    '"exclude_tmpdir_env_var":false,"exclude_slash_tmp":false}',
    "source": "vscode",
}
_0_169 = {
    "cli_version": "0.169.0",
    "originator": "codex_vscode",
    "model_provider": "openai",
    "model": "gpt-6",
    "reasoning_effort": "high",
    "approval_mode": "on-request",
    "sandbox_policy": '{"type":"managed","file_system":{"type":"restricted","entries":['
    '{"path":{"type":"special","value":{"kind":"root"}},"access":"read"},'
    '{"path":{"type":"path","path":"/home/ada/engine"},"access":"write"}]},"network":"restricted"}',
    "source": "vscode",
}
FIXTURES = [(home.name, file) for home in sorted(HOMES.iterdir()) for file in scan_home(home).files]


@pytest.mark.parametrize(("era", "file"), FIXTURES, ids=[f"{era}-{file.thread_id}" for era, file in FIXTURES])
def test_every_era(era: str, file: RolloutFile) -> None:
    expected = {**{"0.98.0": _0_98, "0.169.0": _0_169}.get(era, {}), **ERAS[file.thread_id or ""]}
    total, sent, cached, received, reasoned = expected.pop("tokens", (None,) * 5)
    assert read_full(HOMES / era, file).facts == RolloutFacts(
        thread_id=file.thread_id or "",
        **{
            "first_user_message": expected["title"],
            "preview": expected["title"],
            "git_sha": "9f2d1c0b8a7e6f5d4c3b2a190817263544536271",
            "git_branch": "main",
            "git_origin_url": "git@example.org:ada/engine.git",
            "bad_lines": 0,
            "unknown_records": 0,
            "tokens_used": total,
            "tokens_input": sent,
            "tokens_cached_input": cached,
            "tokens_output": received,
            "tokens_reasoning_output": reasoned,
            **expected,
        },
    )


@pytest.mark.parametrize("budget", [1, 700, 5000])
@pytest.mark.parametrize(("era", "file"), FIXTURES, ids=[f"{era}-{file.thread_id}" for era, file in FIXTURES])
def test_any_budget_gives_the_same(era: str, file: RolloutFile, budget: int) -> None:
    whole = read_full(HOMES / era, file)
    assert in_steps(HOMES / era, file, [budget]) == whole
    assert (whole.parsed_bytes, whole.decoded_bytes, whole.done) == (file.size, file.size, True)


# Titles and first messages


@pytest.mark.parametrize(
    ("told", "first", "title"),
    [
        (event("user_message", message="  plain \u3000\n"), "plain", "plain"),
        (event("user_message", message="context\n## My request for Codex:\n\n do it "), "do it", "do it"),
        (event("user_message", message="", images=["data:"]), "[Image]", "the next"),
        (event("user_message", message=" ", local_images=["/a.png"]), "[Image]", "the next"),
        (event("user_message", message="\x1f kept"), "\x1f kept", "\x1f kept"),
        (
            event("user_message", message="<environment_context>", kind="environment_context"),
            "the next",
            "the next",
        ),
        (event("user_message", message=None), "the next", "the next"),
        (
            item("message", role="user", content=[{"type": "input_text", "text": "never"}]),
            "the next",
            "the next",
        ),
        (
            event(
                "item_completed",
                item={"type": "UserMessage", "content": [{"type": "image"}, {"type": "text", "text": "two"}]},
            ),
            "two",
            "two",
        ),
        (
            event("item_completed", item={"type": "UserMessage", "content": [{"type": "image"}]}),
            "[Image]",
            "the next",
        ),
        (event("item_completed", item={"type": "AgentMessage"}), "the next", "the next"),
        (event("item_completed", item=None), "the next", "the next"),
    ],
)
def test_titles(tmp_path: Path, told: bytes, first: str, title: str) -> None:
    facts = facts_of(tmp_path, meta(), told, prompt("the next"), prompt("a later one"))
    assert (facts.first_user_message, facts.preview, facts.title) == (first, first, title)


def test_a_goal_before_the_first_prompt_is_the_preview(tmp_path: Path) -> None:
    goal = event("thread_goal_updated", goal={"objective": " Finish "})
    facts = facts_of(
        tmp_path, meta(), event("thread_goal_updated", goal={"objective": " "}), goal, prompt("Begin")
    )
    assert (facts.preview, facts.first_user_message) == ("Finish", "Begin")
    assert facts_of(tmp_path, meta(), prompt("Begin"), goal).preview == "Begin"


def test_bare_lines_hide_what_was_injected(tmp_path: Path) -> None:
    def said(role: str, text: str) -> bytes:
        return encoded({"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]})

    header = encoded({"id": THREAD, "timestamp": "2025-08-14T09:30:05.120Z", "instructions": None})
    facts = facts_of(
        tmp_path,
        header,
        said("user", "<user_instructions>"),
        said("developer", "no"),
        said("user", "# AGENTS.md instructions"),
        said("user", "yes"),
        said("assistant", "done"),
    )
    assert (facts.title, facts.turns, facts.messages) == ("yes", 1, 2)
    assert facts.updated_at is None


# Session meta


@pytest.mark.parametrize(
    ("source", "word", "detail"),
    [
        ("cli", "cli", None),
        ("mcp", "mcp", None),
        (None, "unknown", None),
        ("atlas", "unknown", '"atlas"'),
        ({"custom": "atlas"}, "unknown", '{"custom":"atlas"}'),
        ({"subagent": "review"}, "subagent", '{"subagent":"review"}'),
        ({"subagent": {"other": "x"}}, "subagent", '{"subagent":{"other":"x"}}'),
        (7, "unknown", "7"),
    ],
)
def test_sources(tmp_path: Path, source: Any, word: str, detail: str | None) -> None:
    facts = facts_of(tmp_path, meta(source=source))
    assert (facts.source, facts.source_detail, facts.parent_thread_id) == (word, detail, None)


def test_the_parent_may_stand_beside_the_source(tmp_path: Path) -> None:
    assert facts_of(tmp_path, meta(parent_thread_id=OTHER)).parent_thread_id == OTHER


def test_a_field_of_another_type_is_unknown_and_hides_nothing(tmp_path: Path) -> None:
    facts = facts_of(
        tmp_path,
        meta(cli_version=9, git="main", dynamic_tools={"a": 1}, model_provider=["x"], memory_mode={}),
        context(model={"id": 1}, approval_policy=7, sandbox_policy=None),
        event("token_count", info={"total_token_usage": {"total_tokens": "many", "output_tokens": 3}}),
        event("thread_rolled_back", num_turns="all"),
        prompt("still here"),
    )
    assert (facts.cwd, facts.title, facts.bad_lines) == ("/home/ada/engine", "still here", 0)
    assert (facts.cli_version, facts.git_branch, facts.model, facts.tokens_used) == (None, None, None, None)
    assert (facts.tokens_output, facts.approval_mode, facts.sandbox_policy) == (3, "7", None)


def test_the_first_session_meta_stands_and_later_ones_say_the_memory_mode(tmp_path: Path) -> None:
    facts = facts_of(
        tmp_path,
        meta(source="cli", memory_mode="enabled"),
        meta(OTHER, source="exec", memory_mode="polluted"),
        meta(source="exec", cwd="/elsewhere", memory_mode="disabled"),
    )
    assert (facts.source, facts.cwd, facts.memory_mode) == ("cli", "/home/ada/engine", "disabled")


def test_a_bad_first_line_leaves_the_next_session_meta_or_the_name(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, b'{"timestamp":"2026', meta(source="cli"), prompt("x"))
    assert (facts.source, facts.title, kinds(facts)) == ("cli", "x", ["bad_line"])
    facts = facts_of(tmp_path, b'{"timestamp":"2026', meta(OTHER, source="cli"), prompt("x"))
    assert (facts.thread_id, facts.source, facts.title) == (THREAD, "unknown", "x")
    assert kinds(facts) == ["no_session_meta", "bad_line"]
    assert facts.created_at == int("019e1d406000", 16)


def test_the_id_inside_wins_over_the_name_if_it_is_one(tmp_path: Path) -> None:
    assert facts_of(tmp_path, meta(OTHER)).thread_id == OTHER
    assert facts_of(tmp_path, meta("not-an-id")).thread_id == THREAD


def test_the_turns_folder_counts_only_where_the_session_says_none(tmp_path: Path) -> None:
    assert facts_of(tmp_path, meta(), context(cwd="/later")).cwd == "/home/ada/engine"
    assert facts_of(tmp_path, meta(cwd=None), context(cwd="/first"), context(cwd="/later")).cwd == "/first"


# The last of its kind


def test_the_last_settings_and_the_last_token_count_with_numbers_stand(tmp_path: Path) -> None:
    facts = facts_of(
        tmp_path,
        meta(),
        context(model="old", effort="high", sandbox_policy={"type": "read-only"}),
        tokens(100),
        context(
            model="new", approval_policy={"reject": {"rules": True}}, permission_profile={"type": "disabled"}
        ),
        tokens(200),
        event("token_count", info=None),
        event("token_count", rate_limits={}),
    )
    assert (facts.model, facts.reasoning_effort) == ("new", None)
    assert (facts.sandbox_policy, facts.approval_mode) == ('{"type":"disabled"}', '{"reject":{"rules":true}}')
    assert (facts.tokens_used, facts.tokens_input) == (200, 190)


def test_token_counts_beyond_sense_are_kept_within_what_can_be_stored(tmp_path: Path) -> None:
    facts = facts_of(
        tmp_path,
        meta(),
        event("token_count", info={"total_token_usage": {"total_tokens": -5, "input_tokens": 10**30}}),
    )
    assert (facts.tokens_used, facts.tokens_input) == (0, None)


def test_settings_applied_between_turns_count_from_there_on(tmp_path: Path) -> None:
    applied = event(
        "thread_settings_applied",
        thread_settings={
            "model": "new",
            "model_provider_id": "other",
            "approval_policy": "never",
            "permission_profile": {"type": "disabled"},
            "cwd": "/new",
        },
    )
    facts = facts_of(tmp_path, meta(model_provider="openai"), context(model="old", effort="high"), applied)
    assert (facts.model, facts.model_provider, facts.cwd) == ("new", "other", "/new")
    assert (facts.reasoning_effort, facts.sandbox_policy) == (None, '{"type":"disabled"}')
    facts = facts_of(tmp_path, meta(), applied, context(model="newer", cwd="/turn"))
    assert (facts.model, facts.cwd) == ("newer", "/new")


def test_a_paginated_rollout_says_the_permission_profile_after_a_turn_as_after_a_change(
    tmp_path: Path,
) -> None:
    turn = context(sandbox_policy={"type": "read-only"}, permission_profile={"type": "managed"})
    paginated = turn.replace(b'"type":"turn_context"', b'"ordinal":3,"type":"turn_context"')
    assert facts_of(tmp_path, meta(), turn).sandbox_policy == '{"type":"read-only"}'
    assert facts_of(tmp_path, meta(), paginated).sandbox_policy == '{"type":"managed"}'
    without = paginated.replace(b'"permission_profile"', b'"another"')
    assert facts_of(tmp_path, meta(), without).sandbox_policy == '{"type":"read-only"}'


def test_the_time_is_the_last_good_lines(tmp_path: Path) -> None:
    assert facts_of(tmp_path, meta(), prompt("x", 7000), b"bad").updated_at == BEGIN_MS + 7000
    assert facts_of(tmp_path, meta(), b'{"type":"event_msg","payload":{}}').updated_at is None


# What counts


def test_inherited_and_rolled_back_turns_are_not_its_own(tmp_path: Path) -> None:
    facts = facts_of(
        tmp_path,
        meta(forked_from_id=OTHER),
        meta(OTHER, 2),
        prompt("theirs", 2),
        answer("theirs", 3),
        event("thread_rolled_back", 3, num_turns=1),
        prompt("ours", 500),
        answer("ours", 900),
        prompt("taken back", 1000),
        answer("taken back", 1500),
        event("thread_rolled_back", 1600, num_turns=1),
    )
    assert (facts.turns, facts.messages, facts.title) == (1, 2, "theirs")


def test_a_message_written_twice_counts_once(tmp_path: Path) -> None:
    said = {"type": "AgentMessage", "content": [{"type": "Text", "text": "yes"}]}
    content = (meta(), prompt("x"), answer("yes"), item("message", role="assistant", content=[]))
    assert facts_of(tmp_path, *content, event("item_completed", item=said)).messages == 2
    assert facts_of(tmp_path, *content, event("item_completed", 0, 5, item=said)).messages == 3


def test_unknown_records_are_counted_not_fatal(tmp_path: Path) -> None:
    facts = facts_of(
        tmp_path,
        meta(),
        line("a_later_type", {"x": 1}),
        event("a_later_event"),
        item("a_later_item"),
        prompt("x"),
    )
    assert (facts.unknown_records, facts.bad_lines, facts.title) == (3, 0, "x")


def test_tools_of_every_form(tmp_path: Path) -> None:
    facts = facts_of(
        tmp_path,
        meta(
            dynamic_tools=[
                {"name": "a", "description": "A", "inputSchema": {"type": "object"}, "deferLoading": False},
                "nonsense",
                {"description": "without a name"},
                {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "b"}, None]},
                {"name": "c", "namespace": "m"},
            ]
        ),
    )
    assert [(tool.position, tool.namespace, tool.name, tool.defer_loading) for tool in facts.tools] == [
        (0, None, "a", False),
        (1, "n", "b", None),
        (2, "m", "c", None),
    ]


# Damage


def test_bad_lines_are_counted_and_named_and_the_rest_is_read(tmp_path: Path) -> None:
    torn = b'{"timestamp":"2026-05-12T12:00:00.000Z","type":"event_msg","payload":{"ty' + prompt("merged")
    good = (meta(), prompt("x"))
    facts = facts_of(tmp_path, *good, torn, b"\xff", b"\0" * 9, b"", b"   ", b"[]", answer("y"))
    assert (facts.bad_lines, facts.messages, facts.problem_count) == (4, 2, 4)
    start = len(joined(*good))
    assert [(problem.line, problem.offset) for problem in facts.problems] == [
        (2, start),
        (3, start + len(torn) + 1),
        (4, start + len(torn) + 3),
        (7, start + len(torn) + 18),
    ]
    assert [problem.reason.split(":")[0] for problem in facts.problems] == [
        "not JSON",
        "invalid UTF-8",
        "NUL bytes",
        "not a JSON object",
    ]


def test_of_many_problems_the_first_are_kept(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, meta(), *[b"{"] * 500)
    assert (facts.bad_lines, facts.problem_count, len(facts.problems)) == (500, 500, 20)


def test_a_last_line_without_its_newline_counts_when_it_is_whole(tmp_path: Path) -> None:
    file = put(tmp_path, joined(meta(), prompt("x")) + answer("y", 5))
    first = read_full(tmp_path, file)
    assert (first.facts.messages, first.facts.bad_lines) == (2, 0)
    assert first.parsed_bytes == len(joined(meta(), prompt("x")))
    assert first.decoded_bytes == file.size
    with (tmp_path / file.path).open("ab") as rollout:
        rollout.write(b"\n" + prompt("z", 6)[:40])
    again = read_full(tmp_path, file, fold=first.fold, parsed_bytes=first.parsed_bytes)
    assert (again.facts.messages, again.facts.bad_lines, kinds(again.facts)) == (2, 1, ["unfinished_line"])
    with (tmp_path / file.path).open("ab") as rollout:
        rollout.write(prompt("z", 6)[40:] + b"\n")
    last = read_full(tmp_path, file, fold=again.fold, parsed_bytes=again.parsed_bytes)
    assert (last.facts.messages, last.facts.bad_lines, last.facts.turns) == (3, 0, 2)


def test_what_was_parsed_is_not_parsed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put(tmp_path, joined(meta(), prompt("x"), answer("y")))
    first = read_full(tmp_path, file)
    with (tmp_path / file.path).open("ab") as rollout:
        rollout.write(joined(answer("z")))
    verified: list[bytes] = []
    plainly = lines.verify

    def verify(data: bytes) -> lines.LineType | lines.BadLine:
        verified.append(data)
        return plainly(data)

    monkeypatch.setattr("store.rollouts.fold.verify", verify)
    read = read_full(tmp_path, file, fold=first.fold, parsed_bytes=first.parsed_bytes)
    assert verified == [answer("z")]
    assert read.facts.messages == 3


def test_a_file_that_became_shorter_or_a_fold_of_another_version_is_read_anew(tmp_path: Path) -> None:
    long = read_full(tmp_path, put(tmp_path, joined(meta(), prompt("a long first prompt"), answer("y"))))
    file = put(tmp_path, joined(meta(), prompt("short")))
    anew = read_full(tmp_path, file, fold=long.fold, parsed_bytes=long.parsed_bytes, budget_bytes=1)
    assert not anew.done
    assert read_full(tmp_path, file, fold=long.fold, parsed_bytes=long.parsed_bytes).facts.title == "short"
    other = json.loads(long.fold) | {"version": 0}
    assert read_full(tmp_path, file, fold=encoded(other), parsed_bytes=10).facts.title == "short"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"   "])
def test_an_empty_file_is_what_its_name_says(tmp_path: Path, content: bytes) -> None:
    facts = read_full(tmp_path, put(tmp_path, content)).facts
    assert (facts.thread_id, facts.turns, facts.messages, facts.title) == (THREAD, 0, 0, None)
    assert facts.created_at is not None
    assert kinds(facts) == ["no_session_meta" if content else "empty_file"]


def test_a_file_that_nothing_names_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    folder.mkdir()
    (folder / "rollout-x.jsonl").write_bytes(b"nonsense\n")
    file = fingerprint(tmp_path, "sessions/rollout-x.jsonl")
    assert file is not None
    with pytest.raises(RolloutError, match="is no rollout: not JSON"):
        read_full(tmp_path, file)
    (folder / "rollout-x.jsonl").write_bytes(joined(meta(OTHER)))
    assert read_full(tmp_path, file).facts.thread_id == OTHER


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    file = put(tmp_path, b"")
    (tmp_path / file.path).unlink()
    with pytest.raises(RolloutError, match="No such file"):
        read_full(tmp_path, file)


def test_a_read_that_fails_in_the_middle_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put(tmp_path, joined(meta()))

    def read(descriptor: int, size: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("store.rollouts.source.os.read", read)
    with pytest.raises(RolloutError, match="Input/output error"):
        read_full(tmp_path, file)


def test_a_line_of_100_mb_is_passed_over(tmp_path: Path) -> None:
    file = put(tmp_path, b"")
    huge = b'{"timestamp":"2026-05-12T12:00:00.000Z","type":"response_item","payload":{"type":"message","x":"'
    with (tmp_path / file.path).open("wb") as rollout:
        rollout.write(joined(meta(), prompt("before")) + huge)
        for _ in range(100):
            rollout.write(b"y" * (1 << 20))
        rollout.write(b'"}}\n' + joined(answer("after"), tokens(9)))
    read = read_full(tmp_path, file)
    assert (read.facts.bad_lines, read.facts.messages, read.facts.tokens_used) == (1, 2, 9)
    (problem,) = read.facts.problems
    assert (problem.kind, problem.line) == ("long_line", 2)
    assert "100 MiB" in problem.reason
    assert read.parsed_bytes == read.decoded_bytes


LINES = st.sampled_from(
    [
        meta(forked_from_id=OTHER),
        meta(OTHER, 1),
        meta(memory_mode="disabled"),
        prompt("one"),
        prompt("two", 900),
        answer("three", 1000),
        context(model="a", effort="low"),
        context(model="b", permission_profile={"type": "disabled"}),
        tokens(10),
        tokens(20, 5000),
        event("token_count", info=None),
        event("task_started", 1, turn_id=THREAD),
        event("task_started", 2, turn_id="019e1d30-0000-7000-8000-000000000000"),
        event("task_complete", 3),
        event("thread_rolled_back", 1100, num_turns=1),
        event("thread_settings_applied", thread_settings={"model": "c", "cwd": "/c"}),
        event(
            "item_completed", 7, 3, item={"type": "UserMessage", "content": [{"type": "text", "text": "it"}]}
        ),
        event("item_completed", 8, 4, item={"type": "AgentMessage"}),
        event("thread_goal_updated", goal={"objective": "goal"}),
        b'{"type":"message","role":"user","content":[{"type":"input_text","text":"bare"}]}',
        line("unknown", {}),
        b"{",
        b"",
        b"\xff\0",
    ]
) | st.binary(max_size=60)


@in_one_home
@given(
    content=st.lists(LINES, max_size=25),
    budgets=st.lists(st.integers(1, 900), min_size=1, max_size=6),
    ended=st.booleans(),
)
@example(content=[meta(), tokens(10), event("token_count", info=None)], budgets=[1], ended=True)
def test_reading_in_steps_is_reading_at_once(
    tmp_path: Path, content: list[bytes], budgets: list[int], ended: bool
) -> None:
    data = joined(*content)
    file = put(tmp_path, data if ended else data[:-1])
    assert in_steps(tmp_path, file, budgets) == read_full(tmp_path, file)


@in_one_home
@given(
    content=st.lists(LINES, max_size=12).map(lambda parts: joined(*parts)),
    cut=st.integers(0, 400),
    noise=st.binary(max_size=40),
)
def test_any_bytes_are_read(tmp_path: Path, content: bytes, cut: int, noise: bytes) -> None:
    read = read_full(tmp_path, put(tmp_path, content[:cut] + noise + content[cut:]))
    assert read.facts.thread_id in {THREAD, OTHER}
    for name in RolloutFacts.__slots__:
        value = getattr(read.facts, name)
        if isinstance(value, str):
            value.encode()
        if isinstance(value, int):
            assert -(1 << 63) <= value < 1 << 63
    for text in (read.facts.source_detail, read.facts.sandbox_policy, read.facts.history_base):
        assert text is None or json.loads(text) is not None
    assert read.facts.problem_count >= len(read.facts.problems)
