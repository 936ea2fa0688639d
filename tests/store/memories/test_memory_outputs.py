"""What was made of threads, and what becomes of it when a thread goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memory_rows import DAY, ME, NOW, MemoryRows, memory_rows

from store.memories import jobs, outputs
from store.missing_threads import KEPT_SECONDS, note_missing_threads
from store.reading_places import get_reading_place, set_reading_place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store_fixtures import FixedClock


@pytest.fixture
def rows(tmp_path: Path, clock: FixedClock) -> Iterator[MemoryRows]:
    for made in memory_rows(tmp_path / "state", clock):
        made.complete()
        yield made


def keep(rows: MemoryRows, thread: str, text: str = "a memory", *, now_s: int = NOW) -> None:
    rows.do(outputs.upsert_thread_memory, thread, f"trace of {text}", text, now_s=now_s)


def kept(rows: MemoryRows) -> list[tuple[str, int]]:
    return [(each.memory_summary, each.updated_at) for each in outputs.thread_memories(rows.user)]


def test_every_writing_advances_the_time(rows: MemoryRows) -> None:
    thread = rows.thread()
    keep(rows, thread, "one")
    keep(rows, thread, "two")
    keep(rows, thread, "three", now_s=NOW - DAY)
    assert kept(rows) == [("three", NOW + 2)]
    keep(rows, thread, "four", now_s=NOW + DAY)
    assert kept(rows) == [("four", NOW + DAY)]


def test_what_was_made_of_an_earlier_state_changes_nothing(rows: MemoryRows) -> None:
    thread = rows.thread()
    for text, made_of in (("later", 20), ("earlier", 10), ("as late", 20)):
        rows.do(outputs.upsert_thread_memory, thread, "trace", text, now_s=NOW, source_updated_at=made_of)
    assert kept(rows) == [("as late", NOW + 1)]


def test_the_newest_of_exactly_one_folder(rows: MemoryRows) -> None:
    here = [rows.thread(cwd="/work/app") for _ in range(3)]
    for cwd in ("/work/app/", "/work/app/sub", "/work"):
        keep(rows, rows.thread(cwd=cwd))
    for number, thread in enumerate(here):
        keep(rows, thread, now_s=NOW + min(number, 1))
    found = outputs.get_last_n_thread_memories_for_cwd(rows.user, "/work/app", 2)
    assert [memory.thread_id for memory in found] == [here[2], here[1]]


def test_rows_go_with_their_thread_and_come_back_with_it(rows: MemoryRows) -> None:
    thread = rows.thread()
    token = rows.do(jobs.try_claim_stage1_job, thread, ME, now_s=NOW).ownership_token
    assert rows.do(
        jobs.mark_stage1_job_succeeded, thread, token, now_s=NOW, trace_summary="t", memory_summary="m"
    )
    rows.do(set_reading_place, thread, 7, now_ms=NOW * 1000)
    claim = rows.do(jobs.try_claim_global_phase2_job, ME, now_s=NOW)
    assert rows.do(
        jobs.mark_global_phase2_job_succeeded, claim.ownership_token, claim.input_watermark, now_s=NOW
    )
    rows.remove(thread)
    assert kept(rows) == []
    assert outputs.get_thread_memory(rows.user, thread) is None
    assert rows.do(note_missing_threads, now_s=NOW)
    assert not rows.do(note_missing_threads, now_s=NOW + KEPT_SECONDS - 1)
    assert rows.do(jobs.try_claim_global_phase2_job, ME, now_s=NOW).outcome == "Claimed"
    rows.thread(id=thread)
    assert rows.do(note_missing_threads, now_s=NOW + KEPT_SECONDS)
    assert kept(rows) == [("m", NOW)]
    assert get_reading_place(rows.user, thread) == 7
    rows.remove(thread)
    rows.do(note_missing_threads, now_s=NOW)
    rows.do(note_missing_threads, now_s=NOW + KEPT_SECONDS)
    rows.thread(id=thread)
    assert kept(rows) == []
    assert get_reading_place(rows.user, thread) is None
    assert [job[0] for job in rows.jobs()] == ["global"]
    assert rows.user.execute("SELECT count(*) FROM missing_threads").fetchone() == (0,)


def test_nothing_is_gone_while_the_list_is_incomplete(rows: MemoryRows) -> None:
    thread = rows.thread()
    keep(rows, thread)
    rows.state.execute("DELETE FROM backfill_state")
    rows.remove(thread)
    rows.do(note_missing_threads, now_s=NOW)
    rows.do(note_missing_threads, now_s=NOW + KEPT_SECONDS)
    rows.thread(id=thread)
    assert kept(rows) == [("a memory", NOW)]
