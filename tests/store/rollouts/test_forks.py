"""A legacy fork's file: what is its parent's and what its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rollout_files import BEGIN_MS, HOMES, OTHER, THREAD, answer, context, event, joined, meta, prompt

from store.rollouts.forks import InheritedPrefix
from store.rollouts.ids import uuid7_milliseconds
from store.rollouts.lines import classify

if TYPE_CHECKING:
    from collections.abc import Sequence

BEFORE = "019e1d3f-0000-7000-8000-000000000001"
AFTER = "019e1d41-0000-7000-8000-000000000002"


def made_at(ms: int) -> str:
    digits = f"{ms:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000001"


def inherited(lines: Sequence[bytes]) -> list[bool]:
    prefix = InheritedPrefix()
    found = []
    for line in lines:
        kind = classify(line)
        assert kind is not None, line
        found.append(prefix.feed(line, kind))
        prefix = InheritedPrefix(*prefix.state())
    return found


def test_a_thread_of_its_own_inherits_nothing() -> None:
    lines = [meta(), prompt("a", 1), answer("b", 2)]
    assert inherited(lines) == [False] * 3


def test_turn_ids_decide_whatever_the_times() -> None:
    lines = [
        meta(forked_from_id=OTHER),
        meta(OTHER, 3),
        event("task_started", 3, turn_id=BEFORE),
        prompt("theirs", 500),
        event("task_complete", 900, turn_id=BEFORE),
        event("task_started", 901, turn_id=AFTER),
        prompt("ours", 902),
        event("task_started", 903, turn_id=BEFORE),
    ]
    assert inherited(lines) == [False, True, True, True, True, False, False, False]


def test_without_turn_ids_the_copy_is_one_burst() -> None:
    lines = [
        meta(forked_from_id=OTHER),
        meta(OTHER, 30),
        prompt("theirs", 30),
        answer("theirs", 39),
        context(48),
        prompt("ours", 58),
        answer("ours", 59),
    ]
    assert inherited(lines) == [False, True, True, True, True, False, False]


def test_before_forks_were_named_the_copied_session_meta_tells() -> None:
    lines = [meta(), meta(OTHER, 1), prompt("theirs", 2), prompt("ours", 50)]
    assert inherited(lines) == [False, True, True, False]
    assert inherited([meta(), meta(THREAD, 1), prompt("ours", 2)]) == [False] * 3


def test_a_paginated_fork_holds_only_its_own() -> None:
    lines = [meta(forked_from_id=OTHER, history_base={"thread_id": OTHER}), prompt("ours", 1)]
    assert inherited(lines) == [False, False]


def test_an_id_without_a_time_leaves_the_time_in_the_session_meta() -> None:
    old = "3f1c2a9e-5b7d-4e21-9a64-0c8d7e6f5a4b"
    lines = [
        meta(old, forked_from_id=OTHER),
        event("task_started", 1, turn_id=made_at(BEGIN_MS - 1)),
        event("task_started", 2, turn_id=made_at(BEGIN_MS)),
    ]
    assert inherited(lines) == [False, True, False]


def test_the_fork_among_the_fixtures() -> None:
    (fork,) = (HOMES / "0.98.0").glob("**/*00000000000b.jsonl")
    lines = fork.read_bytes().splitlines()
    found = inherited(lines)
    assert found.index(True) == 1
    assert b"Build it in brass" in lines[found.index(False, 1)]
    assert joined(*lines) == fork.read_bytes()


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("01a20588-0c2b-75d2-9fde-cd1015528345", 1_795_389_131_819),
        ("3f1c2a9e-5b7d-4e21-9a64-0c8d7e6f5a4b", None),
        ("zzzzzzzz-zzzz-7zzz-zzzz-zzzzzzzzzzzz", None),
        ("", None),
    ],
)
def test_the_time_in_a_uuid(text: str, ms: int | None) -> None:
    assert uuid7_milliseconds(text) == ms
