"""Compressed rollouts: decoded as a stream, whatever they hold."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest
import zstandard
from rollout_files import HOMES, OTHER, THREAD, answer, context, joined, meta, prompt, put, tokens

from store.errors import RolloutError
from store.rollouts import compressed
from store.rollouts.metadata import read_full, read_heads
from store.rollouts.source import open_decoded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTENT = joined(meta(), prompt("Wind the spring", 1), context(2), answer("Wound.", 3), tokens(70, 4))


def packed(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def streamed(data: bytes) -> bytes:
    """Without the decoded size in its header, as a streaming writer leaves it."""
    target = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(target, closefd=False) as writer:
        writer.write(data)
    return target.getvalue()


def read_all(path: Path, offset: int = 0) -> tuple[bytes, str | None]:
    with open_decoded(path, offset=offset) as source:
        pieces = []
        while piece := source.read(7):
            pieces.append(piece)
        return b"".join(pieces), source.damage


@pytest.mark.parametrize("pack", [packed, streamed])
def test_facts_are_those_of_the_plain_file(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    plain = put(tmp_path / "plain", CONTENT)
    small = put(tmp_path / "small", pack(CONTENT), suffix=".zst")
    assert read_full(tmp_path / "small", small).facts == read_full(tmp_path / "plain", plain).facts
    heads = read_heads(tmp_path / "small", small)
    assert heads == read_heads(tmp_path / "plain", plain)
    assert heads.decoded_bytes == len(CONTENT)


def test_every_fixture_reads_the_same_compressed(tmp_path: Path) -> None:
    for rollout in HOMES.glob("**/rollout-*.jsonl"):
        thread_id = rollout.stem[-36:]
        plain = put(tmp_path / "plain", rollout.read_bytes(), thread_id)
        small = put(tmp_path / "small", packed(rollout.read_bytes()), thread_id, ".zst")
        assert read_full(tmp_path / "small", small).facts == read_full(tmp_path / "plain", plain).facts


def test_frames_follow_each_other(tmp_path: Path) -> None:
    file = put(tmp_path, packed(CONTENT) + packed(joined(prompt("Again", 9))), suffix=".zst")
    assert read_full(tmp_path, file).facts.turns == 2
    assert read_all(tmp_path / file.path, offset=len(CONTENT)) == (joined(prompt("Again", 9)), None)


def test_going_on_from_a_checkpoint(tmp_path: Path) -> None:
    file = put(tmp_path, packed(CONTENT), suffix=".zst")
    whole = read_full(tmp_path, file)
    part = read_full(tmp_path, file, budget_bytes=1)
    reads = 1
    while not part.done:
        part = read_full(tmp_path, file, fold=part.fold, parsed_bytes=part.parsed_bytes, budget_bytes=1)
        reads += 1
    assert part.facts == whole.facts
    assert 2 < reads < 6, "each step decodes the beginning anew, so it takes as much again"


def test_a_damaged_file_gives_what_came_before(tmp_path: Path) -> None:
    rest = os.urandom(400_000).hex().encode()
    data = streamed(CONTENT + rest)
    file = put(tmp_path, data[:200_000] + b"\xff" * 200_000, suffix=".zst")
    facts = read_full(tmp_path, file).facts
    assert (facts.thread_id, facts.title, facts.tokens_used) == (THREAD, "Wind the spring", 70)
    assert "damaged_file" in {problem.kind for problem in facts.problems}


def test_a_file_cut_off_says_so(tmp_path: Path) -> None:
    data = packed(CONTENT + os.urandom(400_000).hex().encode())
    file = put(tmp_path, data[:300_000], suffix=".zst")
    facts = read_full(tmp_path, file).facts
    assert facts.title == "Wind the spring"
    (problem,) = [problem for problem in facts.problems if problem.kind == "damaged_file"]
    assert problem.reason.startswith("cut off after")


@pytest.mark.parametrize("data", [b"", b"not zstandard at all", packed(b"")[:3]])
def test_nothing_to_decode_leaves_the_name(tmp_path: Path, data: bytes) -> None:
    file = put(tmp_path, data, suffix=".zst")
    facts = read_full(tmp_path, file).facts
    assert facts.thread_id == THREAD
    assert facts.problem_count >= 1
    assert read_heads(tmp_path, file).facts.thread_id == THREAD


def test_a_bomb_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = put(tmp_path, packed(joined(meta()) + b" " * (200 << 20)), suffix=".zst")
    assert bomb.size < 100_000
    largest = 0
    plainly = compressed.DecodedStream.read

    def read(self: compressed.DecodedStream, size: int) -> bytes:
        nonlocal largest
        data = plainly(self, size)
        largest = max(largest, len(data))
        return data

    monkeypatch.setattr(compressed.DecodedStream, "read", read)
    heads = read_heads(tmp_path, bomb)
    assert heads.facts.thread_id == THREAD
    assert heads.decoded_bytes == (200 << 20) + len(joined(meta()))
    facts = read_full(tmp_path, bomb).facts
    assert [problem.kind for problem in facts.problems] == ["long_line"]
    assert largest <= 1 << 20


def test_a_window_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "MAX_WINDOW", 1 << 10)
    file = put(tmp_path, streamed(CONTENT), OTHER, ".zst")
    facts = read_full(tmp_path, file).facts
    assert facts.thread_id == OTHER
    (problem,) = [problem for problem in facts.problems if problem.kind == "damaged_file"]
    assert "memory" in problem.reason


def test_what_is_no_regular_file_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match=r"not a regular file"), open_decoded(tmp_path):
        pass
    with pytest.raises(RolloutError, match="No such file"), open_decoded(tmp_path / "rollout-x.jsonl"):
        pass


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_its_place_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rollout-x.jsonl")
    with pytest.raises(RolloutError, match="not a regular file"), open_decoded(tmp_path / "rollout-x.jsonl"):
        pass
