"""Metadata from the two ends of a rollout: what it says is what the whole file says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rollout_files import (
    BEGIN_MS,
    HOMES,
    OTHER,
    THREAD,
    answer,
    context,
    event,
    item,
    joined,
    meta,
    prompt,
    put,
    tokens,
)

from store.errors import RolloutError
from store.rollouts.heads import HEAD_WINDOWS, TAIL_WINDOWS
from store.rollouts.metadata import RolloutFacts, read_full, read_heads
from store.rollouts.scan import fingerprint, scan_home

if TYPE_CHECKING:
    from pathlib import Path

    from store.rollouts.scan import RolloutFile

ONLY_WHOLE = {"memory_mode", "turns", "messages", "bad_lines", "unknown_records"}
FIXTURES = [(home.name, file) for home in sorted(HOMES.iterdir()) for file in scan_home(home).files]


def filler(size: int, ms: int = 0) -> bytes:
    """A line of about `size` bytes that says nothing of the thread."""
    return item("function_call_output", ms, call_id="c", output="x" * size)


def heads_of(tmp_path: Path, *content: bytes) -> RolloutFacts:
    return read_heads(tmp_path, put(tmp_path, joined(*content))).facts


def disagreements(heads: RolloutFacts, full: RolloutFacts) -> dict[str, tuple[object, object]]:
    """Fields in which the heads say something, and something else than the whole file."""
    pairs = {
        name: (getattr(heads, name), getattr(full, name))
        for name in RolloutFacts.__slots__
        if name not in ("problems", "problem_count")
    }
    return {name: pair for name, pair in pairs.items() if pair[0] not in (None, pair[1])}


@pytest.mark.parametrize(("era", "file"), FIXTURES, ids=[f"{era}-{file.thread_id}" for era, file in FIXTURES])
def test_a_small_file_is_known_but_for_its_counts(era: str, file: RolloutFile) -> None:
    full = read_full(HOMES / era, file).facts
    heads = read_heads(HOMES / era, file)
    assert disagreements(heads.facts, full) == {}
    missing = {name for name in RolloutFacts.__slots__ if getattr(heads.facts, name) != getattr(full, name)}
    assert missing <= ONLY_WHOLE
    assert heads.decoded_bytes == file.size


def test_both_ends_of_a_long_file(tmp_path: Path) -> None:
    heads = heads_of(
        tmp_path,
        meta(),
        context(model="first"),
        tokens(1),
        filler(30_000),
        prompt("near the beginning"),
        *[filler(60_000)] * 50,
        context(900, model="last", effort="high"),
        filler(100_000),
        tokens(500),
        filler(10_000, 4000),
    )
    assert (heads.title, heads.model, heads.reasoning_effort) == ("near the beginning", "last", "high")
    assert (heads.tokens_used, heads.updated_at) == (500, BEGIN_MS + 4000)


def test_what_lies_beyond_a_mib_is_not_known(tmp_path: Path) -> None:
    far = [filler(60_000)] * 20
    heads = heads_of(tmp_path, meta(source="cli"), *far, prompt("x"), context(model="m"), tokens(9), *far)
    assert (heads.thread_id, heads.source, heads.cwd) == (THREAD, "cli", "/home/ada/engine")
    assert (heads.title, heads.model, heads.tokens_used) == (None, None, None)
    assert heads.updated_at == BEGIN_MS


def test_no_more_is_read_than_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put(tmp_path, joined(meta(), prompt("x"), *[filler(60_000)] * 100, context(), tokens(5)))
    taken = 0
    plainly = os.read

    def read(descriptor: int, size: int) -> bytes:
        nonlocal taken
        data = plainly(descriptor, size)
        taken += len(data)
        return data

    monkeypatch.setattr("store.rollouts.heads.os.read", read)
    assert read_heads(tmp_path, file).facts.tokens_used == 5
    assert taken == HEAD_WINDOWS[0] + TAIL_WINDOWS[0]
    taken = 0
    read_heads(tmp_path, put(tmp_path, joined(meta(), *[filler(60_000)] * 100)))
    assert taken == HEAD_WINDOWS[-1] + TAIL_WINDOWS[-1]


def test_bad_and_torn_lines_are_passed_over(tmp_path: Path) -> None:
    heads = heads_of(
        tmp_path,
        b'{"timestamp":"2026-05-12T12:00:00.000Z","type":"session_meta","payload":{"id":"' + OTHER.encode(),
        meta(source="exec"),
        prompt("x")[:-2],
        prompt("y", 5),
        context(model="good"),
        tokens(7, 10),
        context(model="torn")[:-3] + tokens(8),
        tokens(9)[:-1],
        b"\xff\0",
    )
    assert (heads.thread_id, heads.source, heads.title) == (THREAD, "exec", "y")
    assert (heads.model, heads.tokens_used, heads.updated_at) == ("good", 7, BEGIN_MS + 10)


def test_an_unfinished_last_line_counts_when_it_is_whole(tmp_path: Path) -> None:
    assert read_heads(tmp_path, put(tmp_path, joined(meta()) + prompt("x", 5))).facts.title == "x"
    heads = read_heads(tmp_path, put(tmp_path, joined(meta(), tokens(3, 5)) + tokens(4, 9)[:-1])).facts
    assert (heads.tokens_used, heads.updated_at) == (3, BEGIN_MS + 5)


def test_words_inside_texts_are_not_lines(tmp_path: Path) -> None:
    quoted = tokens(1).decode() + context(model="quoted").decode()
    heads = heads_of(tmp_path, meta(), context(model="m"), tokens(5), prompt("x"), answer(quoted))
    assert (heads.model, heads.tokens_used) == ("m", 5)


def applied(ms: int, ordinal: int, cwd: str) -> bytes:
    return event("thread_settings_applied", ms, ordinal, thread_settings={"model": "changed", "cwd": cwd})


@pytest.mark.parametrize("between", [0, 200_000])
def test_a_folder_changed_before_the_last_turn_is_found(tmp_path: Path, between: int) -> None:
    content = (
        meta(),
        prompt("x"),
        applied(1, 2, "/b"),
        filler(between),
        context(2, 3, model="m", cwd="/b"),
        tokens(4),
    )
    heads = heads_of(tmp_path, *content)
    assert (heads.cwd, heads.model) == ("/b", "m")
    assert heads_of(tmp_path, *content, applied(9, 4, "/c")).cwd == "/c"
    assert heads_of(tmp_path, *content, applied(9, 4, "/c")).model == "changed"


def test_a_folder_changed_out_of_sight_is_not_known(tmp_path: Path) -> None:
    content = (
        meta(),
        prompt("x"),
        applied(1, 2, "/b"),
        *[filler(60_000)] * 40,
        context(2, 3, cwd="/b"),
        tokens(4),
    )
    assert heads_of(tmp_path, *content).cwd is None


def test_a_turn_elsewhere_alone_changes_nothing(tmp_path: Path) -> None:
    assert heads_of(tmp_path, meta(), prompt("x"), context(cwd="/b"), tokens(4)).cwd == "/home/ada/engine"


def test_a_change_without_a_turn_counts(tmp_path: Path) -> None:
    heads = heads_of(tmp_path, meta(), prompt("x"), applied(1, 2, "/b"))
    assert (heads.cwd, heads.model) == ("/b", "changed")


def test_an_empty_file_and_one_that_nothing_names(tmp_path: Path) -> None:
    heads = read_heads(tmp_path, put(tmp_path, b""))
    assert (heads.facts.thread_id, heads.decoded_bytes) == (THREAD, 0)
    assert [problem.kind for problem in heads.facts.problems] == ["empty_file"]
    (tmp_path / "sessions/rollout-x.jsonl").write_bytes(b"")
    file = fingerprint(tmp_path, "sessions/rollout-x.jsonl")
    assert file is not None
    with pytest.raises(RolloutError, match="no rollout"):
        read_heads(tmp_path, file)
    (tmp_path / file.path).unlink()
    with pytest.raises(RolloutError, match="No such file"):
        read_heads(tmp_path, file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_its_place_does_not_hang(tmp_path: Path) -> None:
    file = put(tmp_path, b"")
    (tmp_path / file.path).unlink()
    os.mkfifo(tmp_path / file.path)
    with pytest.raises(RolloutError, match="not a regular file"):
        read_heads(tmp_path, file)


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that lines do not fit into, so that growing them is what is tested."""
    monkeypatch.setattr("store.rollouts.heads.HEAD_WINDOWS", (100, 300, 5000))
    monkeypatch.setattr("store.rollouts.heads.TAIL_WINDOWS", (50, 200, 400, 5000))


LINES = st.sampled_from(
    [
        prompt("one"),
        prompt("two", 900),
        answer("three", 1000),
        tokens(10),
        tokens(20, 5000),
        event("token_count", info=None),
        event(
            "item_completed", 7, 3, item={"type": "UserMessage", "content": [{"type": "text", "text": "it"}]}
        ),
        b'{"type":"message","role":"user","content":[{"type":"input_text","text":"bare"}]}',
        meta(memory_mode="disabled"),
        b"{",
        b"",
        tokens(30)[:-1],
        b"\xff\0",
    ]
) | st.binary(max_size=60)


POLICIES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {"effort": "low"}, {"permission_profile": {"type": "disabled"}}]
)


@st.composite
def threads(draw: st.DrawFn) -> list[bytes]:
    """The lines of a thread whose turns run in the folder that was last chosen."""
    cwd = "/home/ada/engine"
    content = []
    for at in range(draw(st.integers(0, 16))):
        kind = draw(st.sampled_from(["line", "line", "turn", "change"]))
        if kind == "line":
            content.append(draw(LINES))
        elif kind == "turn":
            policy = draw(POLICIES)
            content.append(context(at, at, model=f"m{at}", cwd=cwd, **policy))
        else:
            cwd = draw(st.sampled_from(["/b", "/c"]))
            content.append(applied(at, at, cwd))
    return content


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=threads(), ended=st.booleans())
@pytest.mark.usefixtures("small_windows")
def test_the_heads_say_nothing_that_the_whole_file_does_not(
    tmp_path: Path, content: list[bytes], ended: bool
) -> None:
    data = joined(meta(model_provider="openai"), *content)
    file = put(tmp_path, data if ended else data[:-1])
    heads = read_heads(tmp_path, file).facts
    assert disagreements(heads, read_full(tmp_path, file).facts) == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=400) | st.lists(LINES, max_size=6).map(lambda parts: b"".join(parts)))
@pytest.mark.usefixtures("small_windows")
def test_any_bytes_are_read(tmp_path: Path, data: bytes) -> None:
    assert read_heads(tmp_path, put(tmp_path, data)).facts.thread_id == THREAD
