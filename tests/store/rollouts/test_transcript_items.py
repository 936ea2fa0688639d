"""What lines become: messages, tools, context and events of every era, each once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from conversation_lines import (
    answered,
    asked,
    called,
    completed,
    event,
    items_of,
    line,
    meta,
    response,
    returned,
    said,
)

if TYPE_CHECKING:
    from pathlib import Path

    from store.models import TranscriptItem


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rollout.jsonl"


def shown(items: list[TranscriptItem], kind: str) -> list[TranscriptItem]:
    return [item for item in items if item.kind == kind]


def test_a_bare_rollout_has_no_events_and_every_plain_message_counts(path: Path) -> None:
    """Codex up to 0.2x: raw response items, no envelope."""
    records: list[dict[str, Any]] = [
        {"id": "x", "timestamp": "2025-07-01T00:00:00.000Z", "instructions": None},
        {"record_type": "state"},
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "<environment_context>"}],
        },
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "fix it"}]},
        {
            "type": "function_call",
            "name": "shell",
            "arguments": '{"command":["bash","-lc","ls"]}',
            "call_id": "c",
        },
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": '{"output":"a\\n","metadata":{"exit_code":0}}',
        },
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "again"}]},
    ]
    items = items_of(path, b"".join(json.dumps(record).encode() + b"\n" for record in records))
    assert [(item.kind, item.text) for item in items] == [
        ("context", None),
        ("event", "state"),
        ("context", "<environment_context>"),
        ("message", "fix it"),
        ("tool", "ls"),
        ("message", "again"),
    ]
    tool = items[4]
    assert (tool.lines, tool.tool, tool.output, tool.exit_code, tool.failed) == (
        (4, 5),
        "shell",
        "a\n",
        0,
        False,
    )
    assert [item.turn for item in shown(items, "message")] == [0, 1]
    assert [item.injected for item in items] == [False, False, True, False, False, False]


@pytest.mark.parametrize(
    "order",
    [
        pytest.param("EeRr", id="0.36: all events of an answer, then its items"),
        pytest.param("ERer", id="0.98: side by side"),
        pytest.param("REre", id="the item first"),
    ],
)
def test_both_sides_of_an_answer_join_in_any_order(path: Path, order: str) -> None:
    lines = {
        "E": event("agent_message", message="one"),
        "R": said("assistant", "one"),
        "e": event("agent_message", message="two"),
        "r": said("assistant", "two"),
    }
    items = items_of(path, meta() + asked("q") + b"".join(lines[name] for name in order))
    assert [item.text for item in shown(items, "message")] == ["q", "one", "two"]


def test_the_same_words_said_twice_are_two_messages(path: Path) -> None:
    items = items_of(
        path, meta() + asked("again") + answered("yes") + answered("yes") + asked("again") + answered("yes")
    )
    assert [item.text for item in shown(items, "message")] == ["again", "yes", "yes", "again", "yes"]


def test_reasoning_parts_are_events_in_a_row_and_one_item(path: Path) -> None:
    parts = [{"type": "summary_text", "text": text} for text in ("first", "second")]
    events = event("agent_reasoning", text="first") + event("agent_reasoning", text="second")
    (item,) = shown(items_of(path, meta() + events + response("reasoning", summary=parts)), "reasoning")
    assert (item.lines, item.text) == ((1, 2, 3), "first\n\nsecond")


def test_paginated_sides_join_by_id_even_when_the_words_differ(path: Path) -> None:
    data = meta() + completed("Reasoning", id="rs_1", summary_text=["thought"], raw_content=[])
    data += event("token_count", info=None) + response("reasoning", id="rs_1", summary=[])
    (item,) = shown(items_of(path, data), "reasoning")
    assert (item.lines, item.text) == ((1, 3), "thought")


def test_a_citation_is_left_out_and_does_not_part_the_two_sides(path: Path) -> None:
    cited = "Done.\n<oai-mem-citation>x</oai-mem-citation>"
    items = items_of(path, meta() + event("agent_message", message="Done.") + said("assistant", cited))
    assert [item.text for item in shown(items, "message")] == ["Done."]


def test_a_prompt_shows_what_the_user_typed_behind_the_editors_context(path: Path) -> None:
    given = "# Context from my IDE setup:\n## Open tabs\n- a.py\n## My request for Codex:\nfix a.py\n"
    (prompt,) = shown(items_of(path, meta() + asked(given)), "message")
    assert (prompt.text, prompt.lines) == ("fix a.py", (1, 2))


def test_a_prompt_with_pictures_is_one_item(path: Path) -> None:
    parts = [
        {"type": "input_text", "text": "<image name=[Image #1]>"},
        {"type": "input_image", "image_url": "data:"},
        {"type": "input_text", "text": "</image>"},
        {"type": "input_text", "text": "what is this?"},
    ]
    data = response("message", role="user", content=parts)
    data += event("user_message", message="what is this?", images=["data:"], local_images=[])
    (prompt,) = shown(items_of(path, meta() + data), "message")
    assert (prompt.lines, prompt.text) == ((1, 2), "[image]\nwhat is this?")


@pytest.mark.parametrize(
    "text",
    [
        "<environment_context>\n  <cwd>/w</cwd>",
        "# AGENTS.md instructions for /w",
        "<user_instructions>be brief",
        "<turn_aborted>",
        "<subagent_notification>{}",
        '<codex_internal_context source="goal">',
    ],
)
def test_what_codex_writes_in_the_users_name_is_context(path: Path, text: str) -> None:
    (item,) = items_of(path, said("user", text))
    assert (item.kind, item.role, item.injected, item.turn) == ("context", "user", True, None)


def test_a_warning_in_the_users_name_is_told_by_its_missing_event(path: Path) -> None:
    """0.130 tells the model off for its tools in a user message that is no prompt."""
    data = meta() + asked("do it") + called("c") + said("user", "Warning: use the tool") + returned("c", "ok")
    items = items_of(path, data + asked("thanks"))
    assert [(item.kind, item.text) for item in items if item.role == "user"] == [
        ("message", "do it"),
        ("context", "Warning: use the tool"),
        ("message", "thanks"),
    ]
    assert [item.turn for item in items] == [None, 0, 0, 0, 1]


def test_a_prompt_whose_event_comes_late_is_a_prompt(path: Path) -> None:
    late = said("user", "second") + event("token_count", info=None) + event("user_message", message="second")
    items = items_of(path, meta() + asked("first") + late + answered("yes"))
    assert [(item.text, item.turn) for item in shown(items, "message")] == [
        ("first", 0),
        ("second", 1),
        ("yes", 1),
    ]


def test_content_kinds_say_whose_words_they_are(path: Path) -> None:
    """0.169 marks each part of a message (`content_item_kinds`)."""
    ours = said(
        "user", "plain words", internal_chat_message_metadata_passthrough={"content_item_kinds": ["x.y"]}
    )
    theirs = said(
        "user",
        "<skill> is my tag",
        internal_chat_message_metadata_passthrough={"content_item_kinds": ["user.text"]},
    )
    injected = said(
        "user", "by a client", internal_chat_message_metadata_passthrough={"content_item_kinds": ["unknown"]}
    )
    items = items_of(path, ours + theirs + injected)
    assert [(item.kind, item.injected) for item in items] == [
        ("context", True),
        ("message", False),
        ("context", True),
    ]


def test_a_steering_prompt_stays_in_its_turn(path: Path) -> None:
    data = (
        event("task_started", turn_id="1")
        + asked("go")
        + asked("faster")
        + event("task_complete", turn_id="1")
    )
    items = items_of(path, meta() + data + event("task_started", turn_id="2") + asked("more"))
    assert [item.turn for item in shown(items, "message")] == [0, 0, 1]


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("shell", {"command": ["bash", "-lc", "rg -n BEGIN"]}, "rg -n BEGIN"),
        ("shell", {"command": ["/bin/zsh", "-c", "ls"]}, "ls"),
        ("shell", {"command": ["git", "log", "a b"]}, "git log 'a b'"),
        (
            "shell",
            {"command": ["apply_patch", "*** Begin Patch\n*** End Patch"]},
            "*** Begin Patch\n*** End Patch",
        ),
        ("exec_command", {"cmd": "pwd"}, "pwd"),
        (
            "exec_command",
            {"cmd": "apply_patch <<'EOF'\n*** Begin Patch\n*** End Patch\nEOF\n"},
            "*** Begin Patch\n*** End Patch",
        ),
        ("shell_command", {"command": "make test"}, "make test"),
        ("view_image", {"path": "red.png"}, "red.png"),
        ("spawn_agent", {"message": "look there", "agent_type": "explorer"}, "look there"),
        (
            "update_plan",
            {
                "explanation": "so",
                "plan": [{"step": "a", "status": "completed"}, {"step": "b", "status": "pending"}],
            },
            "so\n[x] a\n[ ] b",
        ),
        ("lookup_ticket", {"id": "T-42"}, None),
    ],
)
def test_a_call_says_what_it_does(path: Path, name: str, arguments: dict[str, Any], text: str | None) -> None:
    raw = json.dumps(arguments)
    (item,) = items_of(path, response("function_call", name=name, arguments=raw, call_id="c"))
    assert (item.kind, item.tool, item.text, item.arguments) == ("tool", name, text, raw)
    assert (item.output, item.exit_code, item.failed) == (None, None, False)


@pytest.mark.parametrize(
    ("output", "text", "code", "failed"),
    [
        ('{"output":"a\\n","metadata":{"exit_code":2,"duration_seconds":0.5}}', "a\n", 2, True),
        ("Exit code: 0\nWall time: 0.1 seconds\nOutput:\nhello", "hello", 0, False),
        ("Exit code: 1\nWall time: 0.1 seconds\nTotal output lines: 9\nOutput:\nhello", "hello", 1, True),
        (
            "Chunk ID: 6\nWall time: 1 s\nProcess exited with code 3\nOriginal token count: 6\nOutput:\n",
            "",
            3,
            True,
        ),
        (
            'Wall time: 0.0000 seconds\nOutput:\n{"output":"Success.","metadata":{"exit_code":0}}',
            "Success.",
            0,
            False,
        ),
        (
            "Wall time: 0.0 seconds\nOutput:\nExit code: 0\nWall time: 0.1 seconds\nOutput:\nDone.",
            "Done.",
            0,
            False,
        ),
        (
            "Chunk ID: 1\nWall time: 1 seconds\nProcess running with session ID 7\nOutput:\n...",
            "Process running with session ID 7\n...",
            None,
            False,
        ),
        ("unsupported call: update_plan", "unsupported call: update_plan", None, True),
        ("failed in sandbox LinuxSeccomp with execution error: exit code: 1, x", None, 1, True),
        ("Exit code: 0 is what I like", "Exit code: 0 is what I like", None, False),
        (
            [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "data:"}],
            "a\n[image]",
            None,
            False,
        ),
        ({"content": "old", "success": False}, "old", None, True),
        ("", "", None, False),
    ],
)
def test_an_output_loses_its_envelope(
    path: Path, output: Any, text: str | None, code: int | None, failed: bool
) -> None:
    (item,) = items_of(path, called("c") + returned("c", output))
    assert (item.output, item.exit_code, item.failed) == (output if text is None else text, code, failed)


def test_a_command_of_a_paginated_rollout_is_one_item_of_three_lines(path: Path) -> None:
    execution = completed(
        "CommandExecution",
        id="c",
        command=["/bin/bash", "-lc", "ls"],
        status="failed",
        aggregated_output="all of it\n",
        exit_code=2,
        duration={"secs": 1, "nanos": 500_000_000},
    )
    given = returned("c", "Chunk ID: 1\nProcess exited with code 2\nOutput:\nall of…")
    (item,) = items_of(path, called("c") + execution + given)
    assert (item.lines, item.tool, item.text) == ((0, 1, 2), "exec_command", "ls")
    assert (item.output, item.exit_code, item.failed, item.duration_ms) == ("all of it\n", 2, True, 1500)


def test_a_patch_event_decides_whether_the_patch_failed(path: Path) -> None:
    data = response(
        "custom_tool_call", name="apply_patch", input="*** Begin Patch", call_id="c", status="completed"
    )
    data += event("patch_apply_end", call_id="c", stdout="", stderr="no such file", success=False, changes={})
    (item,) = items_of(path, data + response("custom_tool_call_output", call_id="c", output="looks fine"))
    assert (item.tool, item.text, item.output, item.failed) == (
        "apply_patch",
        "*** Begin Patch",
        "looks fine",
        True,
    )


def test_an_event_alone_makes_a_tool_with_what_it_has(path: Path) -> None:
    """A call whose own line was lost, and calls that Codex only tells by events."""
    change = {"/w/a": {"type": "update", "unified_diff": "@@ -1 +1 @@\n-a\n+b\n", "move_path": None}}
    data = completed("FileChange", id="1", changes=change, status="completed", stdout="ok", stderr="")
    data += event(
        "mcp_tool_call_end",
        call_id="2",
        invocation={"server": "docs", "tool": "find", "arguments": {"q": 1}},
        result={"Err": "refused"},
    )
    data += returned("3", "only the output")
    patch, mcp, output = items_of(path, data)
    assert (patch.tool, patch.text) == ("apply_patch", "*** Update File: /w/a\n@@ -1 +1 @@\n-a\n+b")
    assert (mcp.tool, mcp.arguments, mcp.output, mcp.failed) == ("docs.find", '{"q":1}', "refused", True)
    assert (output.kind, output.tool, output.output) == ("tool", None, "only the output")


@pytest.mark.parametrize("has_id", [False, True], ids=["0.130", "0.169"])
def test_a_web_search_is_one_item(path: Path, has_id: bool) -> None:
    action = {"type": "search", "query": "rollout format"}
    told = event("web_search_end", call_id="ws_1", query="rollout format", action=action)
    searched = response(
        "web_search_call", status="completed", action=action, **({"id": "ws_1"} if has_id else {})
    )
    (item,) = items_of(path, told + searched)
    assert (item.lines, item.tool, item.text, item.failed) == ((0, 1), "web_search", "rollout format", False)


def test_a_call_id_that_comes_again_is_a_new_call(path: Path) -> None:
    items = items_of(path, called("c", "one") + returned("c", "1") + called("c", "two") + returned("c", "2"))
    assert [(item.lines, item.text, item.output) for item in items] == [
        ((0, 1), "one", "1"),
        ((2, 3), "two", "2"),
    ]


def test_compaction_is_one_item_with_the_summary(path: Path) -> None:
    """0.169 writes the model's summary, the `compacted` line that holds it, and an event."""
    data = meta() + asked("q") + event("task_started", turn_id="2") + said("assistant", "Summary: all well.")
    data += line(
        "compacted", {"message": "Another model wrote: Summary: all well.", "replacement_history": []}
    )
    items = items_of(path, data + event("token_count", info=None) + completed("ContextCompaction", id="x"))
    (compaction,) = shown(items, "compaction")
    assert (compaction.lines, compaction.label, compaction.role) == ((4, 5, 7), "compacted", None)
    assert compaction.text == "Another model wrote: Summary: all well."
    assert [item.text for item in shown(items, "message")] == ["q"]


def test_errors_are_events_with_words(path: Path) -> None:
    data = event(
        "task_complete", turn_id="1", error={"message": "Quota exceeded.", "codex_error_info": "usage"}
    )
    data += (
        event("turn_aborted", reason="interrupted") + event("error", message="boom") + event("task_complete")
    )
    items = items_of(path, data)
    assert [(item.failed, item.text) for item in items] == [
        (True, "Quota exceeded. · usage"),
        (True, "turn aborted · interrupted"),
        (True, "boom"),
        (False, "turn complete"),
    ]
    assert {item.kind for item in items} == {"event"}


def test_unknown_and_bad_lines_are_shown_as_such(path: Path) -> None:
    data = (
        line("inter_agent_communication", {"to": "x"}) + event("brand_new", a=1) + response("hologram", b=2)
    )
    data += b"{not json\n" + b"\n" + b"[]\n" + b'{"a":"\xff"}\n' + completed("Hologram", id="h")
    items = items_of(path, data)
    assert [(item.line, item.kind, item.label) for item in items] == [
        (0, "unknown", "inter_agent_communication"),
        (1, "unknown", "brand_new"),
        (2, "unknown", "hologram"),
        (3, "unknown", "bad_line"),
        (5, "unknown", "bad_line"),
        (6, "unknown", "bad_line"),
        (7, "unknown", "Hologram"),
    ]
    assert items[0].text == '{"to":"x"}'
    assert items[3].text is not None
    assert items[5].text == "invalid UTF-8"


def test_a_rollback_takes_back_the_turns_that_still_stand(path: Path) -> None:
    data = meta()
    for number in range(4):
        data += event("task_started", turn_id=str(number)) + asked(f"q{number}") + answered(f"a{number}")
        data += event("task_complete", turn_id=str(number))
        if number == 2:
            data += event("thread_rolled_back", num_turns=1)
    items = items_of(path, data + event("thread_rolled_back", num_turns=2) + asked("last"))
    assert [(item.text, item.rolled_back) for item in shown(items, "message") if item.role == "user"] == [
        ("q0", False),
        ("q1", True),
        ("q2", True),
        ("q3", True),
        ("last", False),
    ]
    assert [item.text for item in items if item.label == "thread_rolled_back"] == [
        "1 turn rolled back",
        "2 turns rolled back",
    ]
    assert not items[0].rolled_back


def test_settings_are_context_in_a_few_words(path: Path) -> None:
    settings = {"model": "gpt-5", "effort": "high", "approval_policy": "never", "cwd": "/w"}
    old = line("turn_context", {**settings, "sandbox_policy": {"mode": "read-only"}})
    new = event(
        "thread_settings_applied", thread_settings={**settings, "permission_profile": {"type": "disabled"}}
    )
    assert [(item.kind, item.text) for item in items_of(path, old + new)] == [
        ("context", "gpt-5 · high · never · read-only · /w"),
        ("context", "gpt-5 · high · never · danger-full-access · /w"),
    ]
