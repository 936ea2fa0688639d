"""What a fork inherits: copied lines (to 0.130), or a pointer into another thread's history (0.169)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from conversation_lines import OWN, PARENT, answered, asked, event, line, meta

from store.rollouts.transcript import MAX_BASES, Transcript

if TYPE_CHECKING:
    from pathlib import Path

    from store.models import TranscriptItem


class Threads:
    """Rollouts by thread id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(exist_ok=True)

    def path(self, thread_id: str) -> Path:
        return self._folder / f"{thread_id}.jsonl"

    def write(self, thread_id: str, data: bytes) -> Path:
        self.path(thread_id).write_bytes(data)
        return self.path(thread_id)

    def resolve(self, thread_id: str) -> Path | None:
        return self.path(thread_id) if self.path(thread_id).exists() else None

    def open(self, thread_id: str) -> Transcript:
        return Transcript.open(self.path(thread_id), thread_id=thread_id, resolve_base=self.resolve)

    def items(self, thread_id: str = OWN) -> list[TranscriptItem]:
        with self.open(thread_id) as transcript:
            return list(transcript.all_items())


@pytest.fixture
def threads(tmp_path: Path) -> Threads:
    return Threads(tmp_path / "sessions")


def base(thread_id: str, end_offset: int | None, end_ordinal: int = 1) -> dict[str, Any]:
    return {
        "forked_from_id": thread_id,
        "history_base": {
            "thread_id": thread_id,
            "end_ordinal_exclusive": end_ordinal,
            "end_byte_offset": end_offset,
        },
    }


def dialogue(items: list[TranscriptItem]) -> list[tuple[str | None, bool, int, int | None]]:
    return [(item.text, item.inherited, item.line, item.turn) for item in items if item.kind == "message"]


def test_a_paginated_fork_begins_with_its_base_up_to_the_offset(threads: Threads) -> None:
    shared = meta(PARENT) + asked("first") + answered("one")
    threads.write(PARENT, shared + asked("what the fork never saw"))
    threads.write(OWN, meta(OWN, **base(PARENT, len(shared))) + asked("second"))
    items = threads.items()
    assert dialogue(items) == [("first", True, 1, 0), ("one", True, 3, 0), ("second", False, 1, 1)]
    assert [item.thread_id for item in items] == [PARENT] * 3 + [OWN] * 2


def test_bases_are_followed_to_the_first_thread(threads: Threads) -> None:
    first = meta("a") + asked("first")
    threads.write("a", first)
    second = meta("b", **base("a", len(first))) + asked("second")
    threads.write("b", second)
    threads.write(OWN, meta(OWN, **base("b", len(second))) + asked("third"))
    assert dialogue(threads.items()) == [
        ("first", True, 1, 0),
        ("second", True, 1, 1),
        ("third", False, 1, 2),
    ]


def test_a_base_without_a_good_offset_ends_before_its_ordinal(threads: Threads) -> None:
    lines = [
        line("event_msg", {"type": "agent_message", "message": str(number)}, ordinal=number)
        for number in range(4)
    ]
    threads.write(PARENT, b"".join(lines))
    for offset in (None, len(lines[0]) - 3, 10_000):
        threads.write(OWN, meta(OWN, **base(PARENT, offset, 2)))
        assert [item.text for item in threads.items() if item.kind == "message"] == ["0", "1"]


@pytest.mark.parametrize("thread_id", [PARENT, OWN], ids=["missing", "itself"])
def test_a_base_that_is_not_there_is_an_event_that_says_so(threads: Threads, thread_id: str) -> None:
    threads.write(OWN, meta(OWN, **base(thread_id, 100)) + asked("mine"))
    with threads.open(OWN) as transcript:
        gap, _, mine = transcript.all_items()
        assert (gap.kind, gap.label, gap.failed, gap.inherited) == ("event", "history_base", True, True)
        assert (gap.thread_id, gap.lines) == (thread_id, ())
        assert ("not here" if thread_id == PARENT else "leads back") in (gap.text or "")
        assert (mine.text, mine.turn) == ("mine", 0)
        assert transcript.position_of_line(0) == 1
        assert transcript.raw(0) == gap.text
        assert transcript.first_screen(end=True).items[0].text == gap.text
        assert list(transcript.errors) == [0]


def test_a_ring_of_bases_ends(threads: Threads) -> None:
    threads.write("a", meta("a", **base("b", 1 << 40)) + asked("in a"))
    threads.write("b", meta("b", **base("a", 1 << 40)) + asked("in b"))
    items = threads.items("a")
    assert [item.text for item in items if item.kind == "message"] == ["in b", "in a"]
    assert items[0].label == "history_base"


def test_a_base_that_cannot_be_read_is_an_event(threads: Threads) -> None:
    threads.path(PARENT).mkdir()
    threads.write(OWN, meta(OWN, **base(PARENT, 5)) + asked("mine"))
    gap, _, mine = threads.items()
    assert gap.failed
    assert mine.text == "mine"


def test_a_chain_of_forks_is_followed_only_so_far(threads: Threads) -> None:
    for number in range(MAX_BASES + 5):
        data = meta(str(number), **base(str(number + 1), 1 << 40, 1 << 40)) + asked(str(number))
        threads.write(str(number), data)
    items = threads.items("0")
    assert items[0].label == "history_base"
    assert sum(item.kind == "message" for item in items) == MAX_BASES + 1


@pytest.mark.parametrize(
    "value", ["text", {}, {"thread_id": 5}, {"thread_id": "x", "end_byte_offset": -1}, [1]]
)
def test_a_strange_base_does_no_harm(threads: Threads, value: object) -> None:
    threads.write(OWN, meta(OWN, history_base=value) + asked("mine"))
    assert [item.text for item in threads.items() if item.kind == "message"] == ["mine"]


def test_a_rollback_reaches_into_the_base_and_leaves_the_parent_alone(threads: Threads) -> None:
    shared = meta(PARENT) + asked("first") + answered("one") + asked("second") + answered("two")
    threads.write(PARENT, shared)
    threads.write(OWN, meta(OWN, **base(PARENT, len(shared))) + event("thread_rolled_back", num_turns=1))
    assert [item.rolled_back for item in threads.items() if item.kind == "message"] == [
        False,
        False,
        True,
        True,
    ]
    assert not any(item.rolled_back for item in threads.items(PARENT))


def test_the_index_of_a_fork_grows_with_its_own_file(threads: Threads) -> None:
    shared = meta(PARENT) + asked("first")
    threads.write(PARENT, shared)
    path = threads.write(OWN, meta(OWN, **base(PARENT, len(shared))))
    with threads.open(OWN) as transcript:
        transcript.extend()
        for target in (path, threads.path(PARENT)):
            with target.open("ab") as file:
                file.write(asked("later"))
        assert transcript.extend()
        assert [item.text for item in transcript.items(0, 9) if item.kind == "message"] == ["first", "later"]
        assert transcript.position_of_line(1) == 3
        assert transcript.position_of_line(1, PARENT) == 1


def test_the_last_screen_of_a_short_fork_goes_on_into_its_base(threads: Threads) -> None:
    shared = meta(PARENT) + b"".join(asked(f"q{number}") for number in range(500))
    threads.write(PARENT, shared)
    threads.write(OWN, meta(OWN, **base(PARENT, len(shared))) + asked("mine"))
    with threads.open(OWN) as transcript:
        screen = transcript.first_screen(end=True, max_bytes=4096)
    assert screen.from_end
    assert 3 < len(screen.items) < 50
    assert [(item.text, item.thread_id) for item in screen.items][-3::2] == [("q499", PARENT), ("mine", OWN)]
    assert [item.line for item in screen.items][-3:] == [-2, 0, 1]


def test_copied_lines_have_the_numbers_that_they_have_in_the_parent(threads: Threads) -> None:
    """A legacy fork (to 0.130) is its own first line, the parent's lines, then what is new."""
    copied = meta(PARENT) + asked("first") + answered("one")
    own = event("agent_message", message="x").replace(b"23:10:00.000Z", b"23:11:00.000Z")
    threads.write(OWN, meta(OWN, forked_from_id=PARENT) + copied + own)
    with threads.open(OWN) as transcript:
        items = list(transcript.all_items())
        assert [(item.line, item.thread_id, item.inherited) for item in items] == [
            (0, OWN, False),
            (0, PARENT, True),
            (1, PARENT, True),
            (3, PARENT, True),
            (6, OWN, False),
        ]
        assert [transcript.position_of_line(item.line, item.thread_id) for item in items] == [0, 1, 2, 3, 4]
        assert transcript.position_of_line(1) is None
