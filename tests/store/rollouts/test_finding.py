"""Finding text in a transcript: the same items as a look at each of them, with little of the file decoded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from conversation_lines import (
    OWN,
    PARENT,
    answered,
    asked,
    called,
    completed,
    event,
    meta,
    response,
    returned,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.needle import Needle
from store.rollouts import finding
from store.rollouts.lines import MAX_LINE
from store.rollouts.segment import Segment
from store.rollouts.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from store.models import TranscriptItem


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rollout.jsonl"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The items that were decoded."""
    items: list[int] = []
    decode = Segment.item

    def noted(self: Segment, item: int) -> TranscriptItem:
        items.append(item)
        return decode(self, item)

    monkeypatch.setattr(Segment, "item", noted)
    return items


def indexed(path: Path, data: bytes) -> Transcript:
    path.write_bytes(data)
    transcript = Transcript.open(path, thread_id=OWN)
    transcript.extend()
    return transcript


def looked_at(transcript: Transcript, needle: Needle) -> list[int]:
    """The positions that a look at each item finds."""
    items = enumerate(transcript.items(0, transcript.count))
    return [at for at, item in items if any(map(needle.is_in, finding.texts(item)))]


def found(path: Path, data: bytes, text: str) -> list[int]:
    """What is found, which a look at each item must agree with."""
    with indexed(path, data) as transcript:
        positions = sorted(transcript.find(Needle(text)))
        assert positions == looked_at(transcript, Needle(text))
        return positions


def test_words_arguments_and_outputs_are_found(path: Path) -> None:
    data = meta() + asked("find the lease") + called("c", "rg lease") + returned("c", "store/leases.py:4")
    data += answered("nothing") + response("function_call", name="f", arguments='{"a":"LEASE"}', call_id="d")
    assert found(path, data, "lease") == [1, 2, 4]
    assert found(path, data, "leases.py") == [2]
    assert found(path, data, "LEASE") == [4]
    assert found(path, data, "released") == []


def test_an_output_far_below_its_call_is_found_at_the_call(path: Path) -> None:
    filler = b"".join(answered(f"filler {n}") for n in range(50))
    assert found(path, meta() + called("c") + filler + returned("c", "the needle"), "needle") == [1]


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ('say "hi" to\tall', 'say "hi"'),
        ("one\\two", "e\\t"),
        ("Grüße, Ärger", "ÄRGER"),
        ("Grüße, Ärger", "grüße"),
        ("日本語のタイトル", "タイトル"),
        ("a -> b", "->"),
        ("a -> b", "> "),
        ("🚀 up", "🚀"),
    ],
)
@pytest.mark.parametrize("ascii_only", [False, True])
def test_text_is_found_however_it_is_escaped(path: Path, text: str, needle: str, *, ascii_only: bool) -> None:
    message = {"type": "agent_message", "message": text}
    line = {"timestamp": "2026-11-22T23:10:00.000Z", "type": "event_msg", "payload": message}
    data = meta() + json.dumps(line, ensure_ascii=ascii_only).encode() + b"\n"
    positions = found(path, data, needle)
    assert positions == ([] if needle == "ÄRGER" else [1])


def test_words_that_we_add_are_found(path: Path) -> None:
    plan = json.dumps({"plan": [{"step": "Look", "status": "completed"}]})
    data = (
        meta()
        + event("patch_apply_end", call_id="p", changes={"/w/a.py": {"type": "add", "content": "1\n"}})
        + response("function_call", name="update_plan", arguments=plan, call_id="q")
        + response("local_shell_call", call_id="r", action={"type": "exec", "command": ["git", "log", "a b"]})
        + event("thread_name_updated", thread_name="Ada")
    )
    assert found(path, data, "Add File:") == [1]
    assert found(path, data, "[x] look") == [2]
    assert found(path, data, "git log 'a b'") == [3]
    assert found(path, data, "named") == [4]


def test_what_is_not_wanted_is_passed_over(path: Path) -> None:
    with indexed(path, meta() + asked("lease") + answered("lease")) as transcript:
        only_answers = transcript.find(Needle("lease"), lambda item: item.role == "assistant")
        assert list(only_answers) == [2]


def test_little_is_decoded_for_a_rare_word(path: Path, decoded: list[int]) -> None:
    data = meta() + b"".join(asked(f"question {n}") + answered(f"answer {n}") for n in range(5_000))
    with indexed(path, data) as transcript:
        decoded.clear()
        assert list(transcript.find(Needle("answer 4321"))) == [1 + 2 * 4321 + 1]
        assert decoded == [1 + 2 * 4321 + 1]


def test_a_step_is_bounded_and_a_search_may_stop_after_any(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "BLOCK_BYTES", 10_000)
    with indexed(path, meta() + b"".join(answered(f"answer {n}") for n in range(1000))) as transcript:
        finder = transcript.find(Needle("answer"))
        first = finder.step()
        assert first is not None
        assert 0 < len(first.positions) < 50
        assert first.searched <= 10_000 < first.total == path.stat().st_size
        rest = list(finder)
        assert len(first.positions) + len(rest) == 1000
        assert finder.step() is None


def test_a_step_decodes_little_however_common_the_word_is(
    path: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[int]
) -> None:
    monkeypatch.setattr(finding, "DECODED_BYTES", 1_000)
    with indexed(path, meta() + b"".join(answered("e" * 99) for _ in range(200))) as transcript:
        finder = transcript.find(Needle("e"))
        decoded.clear()
        steps = []
        while finder.step() is not None:
            steps.append(len(decoded))
            decoded.clear()
        assert max(steps) <= 12
        assert len(list(transcript.find(Needle("eee")))) == 200


def test_it_goes_on_where_the_thread_grew(path: Path, decoded: list[int]) -> None:
    with indexed(path, meta() + answered("lease 1") + called("c")) as transcript:
        finder = transcript.find(Needle("lease"))
        assert list(finder) == [1]
        with path.open("ab") as file:
            file.write(answered("no") + returned("c", "lease 2") + answered("lease 3")[:-1])
        transcript.extend()
        decoded.clear()
        assert sorted(finder) == [2, 4]
        assert set(decoded) == {2, 4}
        with path.open("ab") as file:
            file.write(b"\n" + answered("lease 4"))
        transcript.extend()
        assert list(finder) == [5]


def test_a_line_that_is_too_long_is_passed_over_unread(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = meta() + called("c") + returned("c", "lease " + "x" * MAX_LINE) + answered("lease")
    with indexed(path, data) as transcript:
        assert list(transcript.find(Needle("lease"))) == [2]


def test_what_a_fork_inherits_is_searched_before_its_own(tmp_path: Path) -> None:
    base, own = tmp_path / f"rollout-x-{PARENT}.jsonl", tmp_path / f"rollout-y-{OWN}.jsonl"
    inherited = meta(PARENT) + asked("lease") + answered("no")
    base.write_bytes(inherited)
    history = {"thread_id": PARENT, "end_byte_offset": len(inherited)}
    own.write_bytes(meta(history_base=history) + asked("no") + answered("a lease"))
    with Transcript.open(own, thread_id=OWN, resolve_base={PARENT: base}.get) as transcript:
        transcript.extend()
        assert list(transcript.find(Needle("lease"))) == looked_at(transcript, Needle("lease")) == [1, 5]


def test_closing_ends_a_search(path: Path) -> None:
    with indexed(path, meta() + answered("lease")) as transcript:
        finder = transcript.find(Needle("lease"))
    assert finder.step() is None


WORDS = st.sampled_from(
    [
        "lease",
        "Lease",
        "é",
        "É",
        "日本",
        "[image]",
        '"',
        "\\",
        "->",
        "file",
        "a b",
        "\x1b[31m",
        "K",
        "\t",
        ".",
    ]
)
TEXTS = st.lists(WORDS, max_size=5).map("".join)


def _line(kind: str) -> Callable[[str], bytes]:
    makers: dict[str, Callable[[str], bytes]] = {
        "asked": asked,
        "answered": answered,
        "called": lambda text: called(text, text),
        "returned": lambda text: returned(text, text),
        "patched": lambda text: event("patch_apply_end", call_id=text, changes={text: {"type": "update"}}),
        "completed": lambda text: completed(
            "CommandExecution", id=text, command=["bash", text], aggregated_output=text
        ),
        "error": lambda text: event("error", message=text),
        "new": lambda text: event("never_seen", field=[text]),
    }
    return makers[kind]


LINES = st.builds(
    lambda kind, text: _line(kind)(text),
    st.sampled_from(["asked", "answered", "called", "returned", "patched", "completed", "error", "new"]),
    TEXTS,
)


@given(lines=st.lists(LINES, max_size=12), needle=TEXTS.filter(bool), block=st.integers(1, 2_000))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_finds_what_a_look_at_each_item_finds(
    tmp_path: Path, lines: Sequence[bytes], needle: str, block: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "BLOCK_BYTES", block)
        found(tmp_path / "rollout.jsonl", meta() + b"".join(lines), needle)
