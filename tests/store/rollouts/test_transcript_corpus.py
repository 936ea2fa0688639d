"""Transcripts of the homes that real Codex versions wrote: nothing twice, nothing lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from store.rollouts.content import open_content, reader_from
from store.rollouts.conversation import BAD_LINE, glance, read_bytes
from store.rollouts.lines import BadLine, RolloutLine, decode, split
from store.rollouts.metadata import read_full
from store.rollouts.scan import fingerprint
from store.rollouts.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterable

    from store.models import TranscriptItem

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
ROLLOUTS = sorted(CORPUS.glob("*/*sessions/**/rollout-*.jsonl*"))

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not ROLLOUTS, reason="the homes that real Codex versions wrote are not here"),
]
each_rollout = pytest.mark.parametrize(
    "rollout", ROLLOUTS, ids=[f"{path.relative_to(CORPUS).parts[0]}-{path.name[28:41]}" for path in ROLLOUTS]
)


def _id(rollout: Path) -> str:
    return rollout.name.removesuffix(".zst").removesuffix(".jsonl")[-36:]


def _is_paginated(rollout: Path) -> bool:
    return rollout.relative_to(CORPUS).parts[0].startswith("0.169")


def _open(rollout: Path) -> Transcript:
    home = CORPUS / rollout.relative_to(CORPUS).parts[0]

    def resolve(thread_id: str) -> Path | None:
        return next(home.glob(f"*sessions/**/*{thread_id}*"), None)

    return Transcript.open(rollout, thread_id=_id(rollout), resolve_base=resolve)


def _items(rollout: Path) -> list[TranscriptItem]:
    with _open(rollout) as transcript:
        return list(transcript.all_items())


def _lines(rollout: Path) -> list[bytes]:
    content = open_content(rollout)
    try:
        return [raw.data for raw in split(reader_from(content, 0, None))]
    finally:
        content.close()


def _decoded(rollout: Path) -> list[RolloutLine]:
    lines = [decode(data) for data in _lines(rollout)]
    assert not any(isinstance(found, BadLine) for found in lines)
    return [found for found in lines if isinstance(found, RolloutLine)]


def _in_file(rollout: Path, items: Iterable[TranscriptItem]) -> list[TranscriptItem]:
    """The items whose lines lie in this file; a fork of 0.169 inherits from another."""
    return [item for item in items if not item.inherited or not _is_paginated(rollout)]


@each_rollout
def test_every_line_belongs_to_exactly_one_item(rollout: Path) -> None:
    items = _in_file(rollout, _items(rollout))
    lines = [number + item.inherited for item in items for number in item.lines]
    assert sorted(lines) == list(range(len(_lines(rollout))))
    assert all(list(item.lines) == sorted(item.lines) and item.line == item.lines[0] for item in items)
    openings = [item.line + item.inherited for item in items]
    assert openings == sorted(openings)


@each_rollout
def test_no_line_is_bad_or_of_a_type_unknown_to_us(rollout: Path) -> None:
    assert [item for item in _items(rollout) if item.kind == "unknown"] == []


@each_rollout
def test_what_is_written_twice_is_shown_once(rollout: Path) -> None:
    """Each prompt, answer and thought has one event (none in the bare form) and one response item."""
    found = Counter(_sort(line) for line in _decoded(rollout))
    with _open(rollout) as transcript:
        items = list(transcript.all_items())
        prompts = len(transcript.prompts)
    shown = Counter((item.kind, item.role) for item in _in_file(rollout, items))
    summaries = sum(item.kind == "compaction" and len(item.lines) == 3 for item in items)
    events_of_user = found["event", "user"]
    if events_of_user:
        assert shown["message", "user"] == events_of_user
        assert shown["message", "assistant"] == found["event", "assistant"]
        assert shown["reasoning", "assistant"] == found["event", "reasoning"]
    assert shown["message", "assistant"] == found["response", "assistant"] - summaries
    assert shown["reasoning", "assistant"] == found["response", "reasoning"]
    assert prompts == sum(item.kind == "message" and item.role == "user" for item in items)


def _sort(line: RolloutLine) -> tuple[str, str | None]:
    payload = line.payload
    if line.subtype == "item_completed":
        kinds = {"UserMessage": "user", "AgentMessage": "assistant", "Reasoning": "reasoning"}
        return "event", kinds.get(payload["item"]["type"])
    if line.type == "event_msg":
        kinds = {"user_message": "user", "agent_message": "assistant", "agent_reasoning": "reasoning"}
        return "event", kinds.get(line.subtype or "")
    if line.subtype == "message":
        return "response", payload["role"]
    return "response", line.subtype


@each_rollout
def test_a_call_and_its_output_are_one_item(rollout: Path) -> None:
    calls = {"function_call", "custom_tool_call", "web_search_call", "local_shell_call"}
    found = [line for line in _decoded(rollout) if line.subtype in calls]
    own = [item for item in _items(rollout) if item.thread_id == _id(rollout) or not _is_paginated(rollout)]
    tools = [item for item in own if item.kind == "tool"]
    assert len(tools) == len(found)
    assert all(item.tool and (item.text or item.arguments) for item in tools)
    assert all(item.output is not None for item in tools if item.tool != "web_search")


@each_rollout
def test_items_stay_where_they_are_while_the_file_grows(rollout: Path, tmp_path: Path) -> None:
    growing = tmp_path / rollout.name.removesuffix(".zst")
    growing.write_bytes(b"")
    seen: list[tuple[int, tuple[int, ...]]] = []
    with Transcript.open(growing, thread_id=_id(rollout)) as transcript:
        for data in _lines(rollout):
            with growing.open("ab") as file:
                file.write(data + b"\n")
            assert transcript.extend()
            now = [(item.line, item.lines) for item in transcript.items(0, transcript.count)]
            assert len(now) >= len(seen)
            for (line, lines), (line_now, lines_now) in zip(seen, now, strict=False):
                assert line == line_now
                assert lines == lines_now[: len(lines)]
            seen = now
        assert not transcript.extend()
    assert len(seen) == len(_in_file(rollout, _items(rollout)))


@each_rollout
def test_the_index_reads_of_a_line_what_decoding_it_says(rollout: Path) -> None:
    for data in _lines(rollout):
        short, whole = glance(data), read_bytes(data)[0]
        assert (short.kind, short.label, short.side) == (whole.kind, whole.label, whole.side)
        assert (short.call_id, short.keys) == (whole.call_id, whole.keys)
        assert bool(short.failed) == bool(whole.failed)
        assert (short.starts_turn, short.ends_turn) == (whole.starts_turn, whole.ends_turn)
        assert whole.label != BAD_LINE


@each_rollout
def test_the_first_screen_shows_what_the_index_will(rollout: Path) -> None:
    with _open(rollout) as transcript:
        head = transcript.first_screen(end=False, max_bytes=1 << 30)
        tail = transcript.first_screen(end=True, max_bytes=1 << 30)
        items = list(transcript.all_items())
    assert not tail.from_end
    if not any(item.inherited for item in items):
        assert list(head.items) == list(tail.items) == items
    shown = [(item.line, item.kind, item.text) for item in tail.items]
    assert [(line, kind, text) for line, kind, text in shown if kind in ("message", "tool")] == [
        (item.line + (item.inherited and not _is_paginated(rollout)), item.kind, item.text)
        for item in items
        if item.kind in ("message", "tool")
    ]


def test_a_compressed_rollout_reads_as_the_plain_one() -> None:
    packed = [path for path in ROLLOUTS if path.suffix == ".zst"]
    plain = {path.name: path for path in ROLLOUTS if "0.169.0" in path.parts}
    assert len(packed) == 20
    for path in packed:
        assert _items(path) == _items(plain[path.name.removesuffix(".zst")])


FORKS = {
    "0.98.0": ("01a20589-b5f1-7fa3-82ee-65676704f4e3", "01a20589-9df5-7762-abaa-b97a1ee53185"),
    "0.105.0": ("01a20587-9e26-7bf2-a199-67987af28ae6", "01a20587-907f-7b82-b41e-9bc7eeffb515"),
    "0.130.0": ("01a20588-30ef-79a1-b084-db7a7b3bd808", "01a20588-269c-70e0-ba70-51ecc42e6239"),
    "0.169.0": ("01a20586-bdfd-7921-ba84-dfe44bc589e9", "01a20586-b453-7a80-af90-77db574cf9bc"),
}


@pytest.mark.parametrize("version", FORKS)
def test_a_fork_shows_what_it_inherits_as_its_parent_does(version: str) -> None:
    fork_id, parent_id = FORKS[version]
    fork, parent = (next((CORPUS / version).glob(f"sessions/**/*{thread}*")) for thread in FORKS[version])
    inherited = [
        item for item in _items(fork) if item.inherited and item.kind in ("message", "tool", "reasoning")
    ]
    original = [item for item in _items(parent) if item.kind in ("message", "tool", "reasoning")]
    assert {item.thread_id for item in inherited} == {parent_id}
    assert len(inherited) > 15
    assert [(item.line, item.lines, item.kind, item.text, item.output, item.turn) for item in inherited] == [
        (item.line, item.lines, item.kind, item.text, item.output, item.turn)
        for item in original[: len(inherited)]
    ]
    own = [item for item in _items(fork) if item.thread_id == fork_id and item.kind == "message"]
    assert next(item.text for item in own) == "explain the fork: continue differently here"


def test_rolled_back_turns_stay_and_are_marked() -> None:
    for version in ("0.98.0", "0.105.0", "0.130.0"):
        (rollout,) = [
            path for path in ROLLOUTS if version in path.parts and b"thread_rolled_back" in path.read_bytes()
        ]
        messages = [item for item in _items(rollout) if item.kind == "message" and item.role == "user"]
        assert [(item.text, item.rolled_back) for item in messages] == [
            ("explain one", False),
            ("explain two (to be rolled back)", True),
            ("explain three", False),
        ]
        answers = [item for item in _items(rollout) if item.role == "assistant" and item.kind == "message"]
        assert [item.rolled_back for item in answers] == [False, True, False]


@each_rollout
def test_the_row_counts_the_turns_and_messages_that_the_transcript_shows(rollout: Path) -> None:
    home = CORPUS / rollout.relative_to(CORPUS).parts[0]
    file = fingerprint(home, rollout.relative_to(home).as_posix())
    assert file is not None
    facts = read_full(home, file).facts
    items = _items(rollout)
    own = [item for item in items if not item.inherited and not item.rolled_back]
    assert facts.messages == sum(item.kind == "message" for item in own)
    begun = {item.turn for item in own if item.kind in ("message", "tool", "reasoning", "compaction")}
    started = {item.turn for item in own if item.label == "task_started"}
    assert facts.turns == len(begun | started)
