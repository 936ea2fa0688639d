"""A transcript of any size: first screens, an index that grows with the file, raw lines, bounded reading."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import zstandard
from conversation_lines import OWN, answered, asked, called, event, meta, response, returned, said

from store.errors import RolloutError
from store.rollouts import content
from store.rollouts.lines import MAX_LINE
from store.rollouts.transcript import Transcript

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rollout.jsonl"


@pytest.fixture
def read_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all reads from plain rollouts."""
    sizes: list[int] = []
    read = content.PlainContent.read

    def counted(self: content.PlainContent, offset: int, size: int) -> bytes:
        data = read(self, offset, size)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(content.PlainContent, "read", counted)
    return sizes


def long_rollout(turns: int) -> bytes:
    return meta() + b"".join(asked(f"question {n}") + answered(f"answer {n}") for n in range(turns))


def texts(transcript: Transcript) -> list[str | None]:
    return [item.text for item in transcript.items(0, transcript.count)]


def test_the_last_screen_costs_the_same_however_long_the_rollout_is(
    path: Path, read_bytes: list[int]
) -> None:
    path.write_bytes(long_rollout(20_000))
    with Transcript.open(path, thread_id=OWN) as transcript:
        read_bytes.clear()
        screen = transcript.first_screen(end=True, max_bytes=4096)
        assert sum(read_bytes) < 3 * 4096
        assert transcript.count == 0
    assert screen.from_end
    assert [item.text for item in screen.items][-2:] == ["question 19999", "answer 19999"]
    assert [item.line for item in screen.items][-2:] == [-4, -2]
    assert screen.items[-1].lines == (-2, -1)
    assert screen.items[-1].turn is None


def test_the_first_screen_is_the_head_with_its_own_numbers(path: Path, read_bytes: list[int]) -> None:
    path.write_bytes(long_rollout(20_000))
    with Transcript.open(path, thread_id=OWN) as transcript:
        read_bytes.clear()
        screen = transcript.first_screen(end=False, max_bytes=4096)
        assert sum(read_bytes) <= 1 << 20
    assert not screen.from_end
    assert [item.line for item in screen.items][:3] == [0, 1, 3]


def test_a_huge_last_line_is_told_and_what_stands_before_it_can_be_reached(path: Path) -> None:
    huge = returned("c", "x" * (MAX_LINE + 1))
    path.write_bytes(long_rollout(3) + called("c", "make") + huge)
    with Transcript.open(path, thread_id=OWN) as transcript:
        (last,) = transcript.first_screen(end=True).items
        assert last.output == f"[output of {len(huge):,} bytes, too long to be shown]"
        (*_, item) = transcript.all_items()
        assert (item.text, item.output) == ("make", last.output)
        assert len(transcript.raw(transcript.count - 1, 1000)) < 1500


def test_an_index_that_is_stopped_goes_on_where_it_was(path: Path) -> None:
    path.write_bytes(long_rollout(3000))
    with Transcript.open(path, thread_id=OWN) as transcript:
        progress = next(transcript.build(step_bytes=10_000))
        assert 10_000 <= progress.done_bytes < progress.total_bytes == path.stat().st_size
        assert progress.items == transcript.count < 6001
        steps = list(transcript.build(step_bytes=100_000))
        assert steps[-1].done_bytes == steps[-1].total_bytes
        assert transcript.count == 6001
        assert list(transcript.build()) == []


def test_extending_reads_only_what_was_appended(path: Path, read_bytes: list[int]) -> None:
    path.write_bytes(long_rollout(2000))
    with Transcript.open(path, thread_id=OWN) as transcript:
        assert transcript.extend()
        appended = asked("one more")
        with path.open("ab") as file:
            file.write(appended)
        read_bytes.clear()
        assert transcript.extend()
        assert sum(read_bytes) == len(appended)
        assert texts(transcript)[-1] == "one more"
        assert not transcript.extend()


def test_a_line_being_written_waits_for_its_end(path: Path) -> None:
    prompt = asked("hello")
    path.write_bytes(meta() + prompt[:30])
    with Transcript.open(path, thread_id=OWN) as transcript:
        transcript.extend()
        assert transcript.count == 1
        with path.open("ab") as file:
            file.write(prompt[30:])
        assert transcript.extend()
        assert texts(transcript)[1:] == ["hello"]


def test_a_last_line_that_is_whole_counts_without_its_newline_and_only_once(path: Path) -> None:
    path.write_bytes(meta() + said("assistant", "bye").removesuffix(b"\n"))
    with Transcript.open(path, thread_id=OWN) as transcript:
        transcript.extend()
        assert texts(transcript)[1:] == ["bye"]
        assert not transcript.extend()
        with path.open("ab") as file:
            file.write(b"\n" + said("assistant", "again"))
        assert transcript.extend()
        assert [(item.line, item.text) for item in transcript.items(1, 9)] == [(1, "bye"), (2, "again")]
        with path.open("ab") as file:
            file.write(said("assistant", "third"))
        assert transcript.extend()
        assert [item.line for item in transcript.items(0, 9)] == [0, 1, 2, 3]


def test_positions_of_prompts_errors_and_tools_follow_what_later_lines_say(path: Path) -> None:
    path.write_bytes(meta() + asked("q") + called("c") + said("assistant", "a"))
    with Transcript.open(path, thread_id=OWN) as transcript:
        transcript.extend()
        assert (list(transcript.prompts), list(transcript.tools), list(transcript.errors)) == ([1], [2], [])
        with path.open("ab") as file:
            file.write(returned("c", "Exit code: 1\nOutput:\nno") + event("error", message="boom"))
        transcript.extend()
        assert list(transcript.errors) == [2, 4]
        assert [item.failed for item in transcript.items(0, 9)] == [False, False, True, False, True]


def test_lines_lead_to_items_and_items_to_raw_lines(path: Path) -> None:
    path.write_bytes(meta() + b"\n" + called("c") + asked("q") + returned("c", "done"))
    with Transcript.open(path, thread_id=OWN) as transcript:
        transcript.extend()
        assert [transcript.position_of_line(line) for line in range(-1, 8)] == [
            None,
            0,
            None,
            1,
            2,
            2,
            1,
            None,
            None,
        ]
        assert transcript.position_of_line(0, "another thread") is None
        raw = transcript.raw(1)
        assert raw.count('"call_id": "c"') == 2
        assert '"output": "done"' in raw
        assert len(transcript.raw(1, 50)) < 100
        with pytest.raises(IndexError):
            transcript.raw(3)


def test_asking_past_either_end_gives_what_there_is(path: Path) -> None:
    path.write_bytes(long_rollout(2))
    with Transcript.open(path, thread_id=OWN) as transcript:
        transcript.extend()
        assert len(transcript.items(0, 100)) == 5
        assert [item.text for item in transcript.items(4, 9)] == ["answer 1"]
        assert transcript.items(5, 9) == []
        assert transcript.items(3, 3) == []


def test_a_deleted_rollout_is_read_to_its_end(path: Path) -> None:
    path.write_bytes(long_rollout(10))
    with Transcript.open(path, thread_id=OWN) as transcript:
        assert not transcript.replaced()
        path.unlink()
        assert transcript.replaced()
        assert len(list(transcript.all_items())) == 21


@pytest.mark.parametrize("how", ["cut", "rewritten"])
def test_a_rollout_that_is_another_one_now_says_so(path: Path, how: str) -> None:
    path.write_bytes(long_rollout(10))
    with Transcript.open(path, thread_id=OWN) as transcript:
        transcript.extend()
        if how == "cut":
            os.truncate(path, 100)
        else:
            other = path.with_suffix(".new")
            other.write_bytes(long_rollout(11))
            other.replace(path)
        assert transcript.replaced()
        assert len(transcript.items(0, 21)) == 21


def test_a_closed_transcript_is_empty(path: Path) -> None:
    path.write_bytes(long_rollout(10))
    transcript = Transcript.open(path, thread_id=OWN)
    steps = transcript.build(step_bytes=100)
    next(steps)
    transcript.close()
    assert list(steps) == []
    assert (transcript.count, transcript.items(0, 9), list(transcript.prompts)) == (0, [], [])
    assert transcript.first_screen(end=True).items == transcript.first_screen(end=False).items == ()
    assert transcript.position_of_line(0) is None
    assert not transcript.extend()


def test_what_cannot_be_opened_is_a_rollout_error(path: Path) -> None:
    with pytest.raises(RolloutError):
        Transcript.open(path, thread_id=OWN)
    path.mkdir()
    with pytest.raises(RolloutError):
        Transcript.open(path, thread_id=OWN)


def test_an_empty_rollout_has_nothing_to_show(path: Path) -> None:
    path.write_bytes(b"")
    with Transcript.open(path, thread_id=OWN) as transcript:
        assert list(transcript.all_items()) == []
        assert transcript.first_screen(end=True).items == ()
        assert transcript.first_screen(end=False).items == ()


def test_a_damaged_compressed_rollout_shows_what_came_before_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "rollout.jsonl.zst"
    path.write_bytes(zstandard.compress(long_rollout(500)) + b"no frame of zstd")
    with Transcript.open(path, thread_id=OWN) as transcript:
        items = list(transcript.all_items())
        assert items[1].text == "question 0"
        assert items[-1].failed
        assert "the rest cannot be read" in (items[-1].text or "")
        assert list(transcript.errors) == [len(items) - 1]
        assert not transcript.extend()
        assert transcript.count == len(items)


def test_the_head_of_a_compressed_rollout_does_not_unpack_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "rollout.jsonl.zst"
    path.write_bytes(zstandard.compress(long_rollout(40_000)))
    with Transcript.open(path, thread_id=OWN) as transcript:
        transcript.first_screen(end=False)
        opened = content.open_content(path)
        whole = opened.size()
        opened.close()
        assert next(transcript.build()).total_bytes < whole / 2


def test_many_threads_may_read_while_the_index_is_made(path: Path) -> None:
    path.write_bytes(long_rollout(1000))
    done = threading.Event()

    with Transcript.open(path, thread_id=OWN) as transcript, ThreadPoolExecutor(3) as pool:

        def read() -> int:
            rounds = 0
            while not done.is_set():
                count = transcript.count
                assert all(
                    item.kind in ("message", "context") for item in transcript.items(count - 20, count)
                )
                prompts = list(transcript.prompts)
                assert prompts == list(range(1, len(prompts) * 2, 2))
                rounds += 1
            return rounds

        readers = [pool.submit(read) for _ in range(3)]
        try:
            for _ in transcript.build(step_bytes=5000):
                pass
        finally:
            done.set()
        assert sum(reader.result() for reader in readers) > 0
        assert transcript.count == 2001


def test_an_output_is_not_decoded_to_find_its_call(path: Path) -> None:
    """Long outputs are told by their ends; what is shown is the same."""
    long = "y" * 50_000
    data = meta()
    for form in (
        f"Chunk ID: 1\nWall time: 0.1 seconds\nProcess exited with code 4\nOutput:\n{long}",
        '{"output":"' + long + '","metadata":{"exit_code":5,"duration_seconds":1.0}}',
        long,
    ):
        data += called("c") + returned("c", form)
    data += called("d") + response(
        "function_call_output", id="fco_1", call_id="d", output=f"Exit code: 6\nOutput:\n{long}"
    )
    path.write_bytes(data)
    with Transcript.open(path, thread_id=OWN) as transcript:
        items = [item for item in transcript.all_items() if item.kind == "tool"]
        assert [(len(item.lines), item.exit_code, item.failed) for item in items] == [
            (2, 4, True),
            (2, 5, True),
            (2, None, False),
            (2, 6, True),
        ]
        assert {item.output for item in items} == {long}
