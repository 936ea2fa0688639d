from __future__ import annotations

import io
import json
from typing import Any

import pytest

from store.rollouts.fold import Fold
from store.rollouts.lines import split
from store.rollouts.scan import RolloutFile

ID = "01a2058a-5433-7000-8000-000000000001"
FILE = RolloutFile(f"sessions/rollout-2026-01-01T00-00-00-{ID}.jsonl", ID, 1, 1, 1, False, False)
BEGAN_MS = 1_767_225_600_000


def lines(*payloads: tuple[str, dict[str, Any]]) -> bytes:
    """Lines a second apart, the first one at `BEGAN_MS`, as Codex writes JSON."""
    told = [
        {"timestamp": f"2026-01-01T00:00:{second:02}.000Z", "type": kind, "payload": payload}
        for second, (kind, payload) in enumerate(payloads)
    ]
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in told)


META = ("session_meta", {"id": ID})
BEGIN = ("event_msg", {"type": "task_started", "turn_id": "a"})
END = ("event_msg", {"type": "task_complete", "turn_id": "a"})
ABORT = ("event_msg", {"type": "turn_aborted", "reason": "interrupted"})


def call(call_id: str, command: str) -> tuple[str, dict[str, Any]]:
    arguments = json.dumps({"cmd": command, "note": '"call_id":"no"'})
    fields = {"type": "function_call", "name": "exec_command", "arguments": arguments, "call_id": call_id}
    return "response_item", fields


def output(call_id: str) -> tuple[str, dict[str, Any]]:
    return "response_item", {"type": "function_call_output", "call_id": call_id, "output": '"call_id":"no"'}


def turn_of(data: bytes, *, kept: bool) -> tuple[int | None, str | None, int | None]:
    """What the facts say of the open turn; `kept` has the state written down and taken up after each line."""
    fold = Fold()
    for line in split(io.BytesIO(data).read):
        fold.add(line, ID)
        if kept:
            again = Fold.load(fold.dump())
            assert again is not None
            fold = again
    facts = fold.facts(FILE, whole=True)
    return facts.turn_since, facts.pending_call, facts.pending_since


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    ("payloads", "expected"),
    [
        ([META], (None, None, None)),
        ([META, BEGIN], (BEGAN_MS + 1000, None, None)),
        ([META, BEGIN, END], (None, None, None)),
        ([META, BEGIN, ABORT], (None, None, None)),
        ([META, BEGIN, END, BEGIN], (BEGAN_MS + 3000, None, None)),
        (
            [META, BEGIN, call("1", "make\nall")],
            (BEGAN_MS + 1000, "exec_command make", BEGAN_MS + 2000),
        ),
        ([META, BEGIN, call("1", "make"), output("1")], (BEGAN_MS + 1000, None, None)),
        (
            [META, BEGIN, call("1", "make"), call("2", "ls"), call("3", "pwd"), output("1"), output("3")],
            (BEGAN_MS + 1000, "exec_command ls", BEGAN_MS + 3000),
        ),
        ([META, BEGIN, call("1", "make"), END], (None, None, None)),
        ([META, BEGIN, call("1", "make"), BEGIN], (BEGAN_MS + 3000, None, None)),
        ([META, call("1", "make")], (None, None, None)),
        (
            [META, BEGIN, call("1", "make"), ("event_msg", {"type": "thread_rolled_back", "num_turns": 1})],
            (None, None, None),
        ),
    ],
)
def test_the_open_turn_and_its_longest_waiting_call(
    payloads: list[tuple[str, dict[str, Any]]], expected: tuple[object, ...], *, kept: bool
) -> None:
    assert turn_of(lines(*payloads), kept=kept) == expected


def test_patches_and_local_shells_wait_as_well() -> None:
    patch = {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin Patch", "call_id": "1"}
    shell = {"type": "local_shell_call", "call_id": "2", "action": {"type": "exec", "command": ["ls", "-l"]}}
    told = [turn_of(lines(META, BEGIN, ("response_item", item)), kept=True)[1] for item in (patch, shell)]
    assert told == ["apply_patch *** Begin Patch", "local_shell ls -l"]


def test_a_turn_that_a_fork_inherits_is_not_its_own() -> None:
    fork = ("session_meta", {"id": ID, "forked_from_id": ID[:-1] + "2"})
    data = lines(fork, META, BEGIN, call("1", "make"))
    data = data.replace(b":01.000Z", b":00.001Z").replace(b":02.000Z", b":00.002Z").replace(b":03.", b":00.")
    assert turn_of(data, kept=False) == (None, None, None)
