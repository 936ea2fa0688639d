"""Claims, finishers and selection, to the second."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from memory_rows import DAY, HOUR, ME, NOW, MemoryRows, memory_rows

from store.errors import MemoryDisabled, UnknownThread
from store.memories import jobs
from store.memories.models import GLOBAL, PHASE2, STAGE1
from store.memories.outputs import get_thread_memory
from store.memories.selection import Stage1Limits
from store.memories.status import read_pipeline
from store.ownership import worker_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store_fixtures import FixedClock

    from store.memories.jobs import Claim

DEAD = replace(ME, boot_id="another boot")


@pytest.fixture
def rows(tmp_path: Path, clock: FixedClock) -> Iterator[MemoryRows]:
    yield from memory_rows(tmp_path / "state", clock)


def claim(rows: MemoryRows, *, now_s: int = NOW, limits: Stage1Limits | None = None) -> list[str]:
    claims = rows.do(jobs.claim_stage1_jobs_for_startup, ME, now_s=now_s, limits=limits or Stage1Limits())
    assert all(each.outcome == "Claimed" for each in claims)
    return [each.job_key for each in claims]


def claim_one(
    rows: MemoryRows, thread: str, *, now_s: int = NOW, forced: bool = False, engine: str | None = None
) -> Claim:
    found = rows.do(jobs.try_claim_stage1_job, thread, ME, now_s=now_s, forced=forced, engine=engine)
    assert isinstance(found, jobs.Claim)
    return found


def succeed(rows: MemoryRows, claim: Claim, *, now_s: int = NOW, engine: str = "extractive") -> bool:
    return bool(
        rows.do(
            jobs.mark_stage1_job_succeeded,
            claim.job_key,
            claim.ownership_token,
            now_s=now_s,
            trace_summary="what happened",
            memory_summary="what to remember",
            engine=engine,
        )
    )


def fail(rows: MemoryRows, claim: Claim, *, now_s: int = NOW) -> bool:
    return bool(
        rows.do(jobs.mark_stage1_job_failed, claim.job_key, claim.ownership_token, now_s=now_s, reason="no")
    )


@pytest.mark.parametrize(
    ("updated_at", "taken"),
    [
        (NOW - 12 * HOUR, True),
        (NOW - 12 * HOUR + 0.999, True),
        (NOW - 12 * HOUR + 1, False),
        (NOW - 30 * DAY, True),
        (NOW - 30 * DAY - 0.001, False),
        (NOW - 30 * DAY - 1, False),
    ],
)
def test_idle_and_age_count_in_whole_seconds(rows: MemoryRows, updated_at: float, taken: bool) -> None:
    rows.thread(updated_at)
    assert bool(claim(rows)) == taken


@pytest.mark.parametrize(
    ("columns", "codex_mode", "taken"),
    [
        ({}, None, True),
        ({"source": "vscode"}, None, True),
        ({"source": "exec"}, None, False),
        ({"source": "subagent"}, None, False),
        ({"archived": 1}, None, False),
        ({"memory_mode": "enabled"}, "enabled", True),
        ({"memory_mode": "disabled"}, None, False),
        ({"memory_mode": "disabled"}, "enabled", False),
        ({}, "disabled", False),
        ({}, "polluted", False),
    ],
)
def test_only_interactive_threads_whose_memory_is_wanted(
    rows: MemoryRows, columns: dict[str, Any], codex_mode: str | None, taken: bool
) -> None:
    thread = rows.thread(**columns)
    rows.state.execute("INSERT INTO codex_threads VALUES (?, NULL, ?)", (thread, codex_mode))
    assert bool(claim(rows)) == taken


def test_newest_first_and_recent_threads_starve_nobody(rows: MemoryRows) -> None:
    old = [rows.thread(NOW - 20 * DAY - number) for number in range(3)]
    for number in range(200):
        rows.thread(NOW - number)
    done = rows.thread(NOW - 13 * HOUR)
    assert succeed(rows, claim_one(rows, done))
    failed = rows.thread(NOW - 14 * HOUR)
    assert fail(rows, claim_one(rows, failed))
    assert claim(rows, limits=Stage1Limits(max_claimed=2, scan_limit=2)) == old[:2]
    assert claim(rows, limits=Stage1Limits(max_claimed=2, scan_limit=2)) == old[2:]
    assert claim(rows) == []


def test_never_more_than_the_cap(rows: MemoryRows) -> None:
    threads = [rows.thread(NOW - DAY - number) for number in range(70)]
    assert claim(rows) == threads[:64]
    assert claim(rows) == []
    named = claim_one(rows, threads[69], forced=True)
    assert (named.outcome, named.job) == ("SkippedRunning", None)
    assert claim(rows, now_s=NOW + jobs.LEASE_SECONDS) == threads[:64]


def test_a_lease_is_taken_over_when_it_is_stale_and_not_before(rows: MemoryRows) -> None:
    thread = rows.thread()
    first = claim_one(rows, thread)
    assert claim_one(rows, thread, now_s=NOW + jobs.LEASE_SECONDS - 1).outcome == "SkippedRunning"
    second = claim_one(rows, thread, now_s=NOW + jobs.LEASE_SECONDS)
    assert second.outcome == "Claimed"
    assert not succeed(rows, first)
    assert not fail(rows, first)
    assert rows.jobs() == [(thread, "running", 3)]
    back = claim_one(rows, thread, now_s=NOW - 1)
    assert back.outcome == "Claimed"  # it ended further ahead than one whole lease
    rows.user.execute("UPDATE jobs SET worker_id = ?", (worker_id(DEAD),))
    assert claim_one(rows, thread).outcome == "Claimed"
    rows.user.execute("UPDATE jobs SET worker_id = 'somebody'")
    assert claim_one(rows, thread).outcome == "SkippedRunning"


def test_three_failures_an_hour_apart_and_then_only_growth_helps(rows: MemoryRows) -> None:
    thread = rows.thread()
    now = NOW
    for remaining in (2, 1, 0):
        assert fail(rows, claim_one(rows, thread, now_s=now), now_s=now)
        assert rows.jobs() == [(thread, "error", remaining)]
        held = claim_one(rows, thread, now_s=now + HOUR - 1)
        assert held.outcome == ("SkippedRetryBackoff" if remaining else "SkippedRetryExhausted")
        assert held.job is not None
        assert held.job.last_error == "no"
        assert claim(rows, now_s=now + HOUR - 1) == []
        now += HOUR
    assert claim_one(rows, thread, now_s=now).outcome == "SkippedRetryExhausted"
    assert claim(rows, now_s=now) == []
    rows.grow(thread, NOW - DAY + 1)
    assert claim(rows, now_s=now) == [thread]
    assert rows.jobs() == [(thread, "running", 3)]


def test_who_names_a_thread_skips_every_rule_but_leases_and_the_memory_mode(rows: MemoryRows) -> None:
    thread = rows.thread(NOW, source="exec", archived=1)
    assert fail(rows, claim_one(rows, thread, forced=True))
    claimed = claim_one(rows, thread, forced=True)
    assert claimed.outcome == "Claimed"
    assert claim_one(rows, thread, forced=True).outcome == "SkippedRunning"
    assert succeed(rows, claimed)
    assert claim_one(rows, thread, forced=True, engine="extractive").outcome == "SkippedUpToDate"
    assert claim_one(rows, thread, forced=True, engine="codex").outcome == "Claimed"
    with pytest.raises(MemoryDisabled):
        claim_one(rows, rows.thread(memory_mode="disabled"), forced=True)
    with pytest.raises(UnknownThread):
        claim_one(rows, "nothing", forced=True)


def test_an_output_is_kept_with_what_it_was_made_of_and_asks_for_a_consolidation(rows: MemoryRows) -> None:
    thread = rows.thread(NOW - DAY + 0.7)
    claimed = claim_one(rows, thread)
    rows.grow(thread, NOW - 12 * HOUR)
    assert succeed(rows, claimed)
    memory = get_thread_memory(rows.user, thread)
    assert memory is not None
    assert (memory.source_updated_at, memory.engine) == (NOW - DAY, "extractive")
    phase2 = jobs.get_global_phase2_job(rows.user)
    assert phase2 is not None
    assert (phase2.status, phase2.input_watermark, phase2.last_success_watermark) == ("pending", NOW - DAY, 0)
    assert claim(rows) == [thread]  # it had grown meanwhile


def test_nothing_to_remember_takes_away_what_was_kept(rows: MemoryRows) -> None:
    thread = rows.thread()

    def nothing(claimed: Claim) -> None:
        assert rows.do(jobs.mark_stage1_job_succeeded_no_output, thread, claimed.ownership_token, now_s=NOW)

    nothing(claim_one(rows, thread))
    assert jobs.get_global_phase2_job(rows.user) is None
    rows.grow(thread, NOW - DAY + 1)
    assert succeed(rows, claim_one(rows, thread))
    rows.grow(thread, NOW - DAY + 2)
    nothing(claim_one(rows, thread))
    assert get_thread_memory(rows.user, thread) is None
    phase2 = jobs.get_global_phase2_job(rows.user)
    assert phase2 is not None
    assert phase2.input_watermark == NOW - DAY + 2


def claim_phase2(rows: MemoryRows, *, now_s: int = NOW, force: bool = False) -> Claim:
    found = rows.do(jobs.try_claim_global_phase2_job, ME, now_s=now_s, force=force)
    assert isinstance(found, jobs.Claim)
    return found


def test_each_enqueueing_makes_the_consolidation_dirty_again(rows: MemoryRows) -> None:
    assert claim_phase2(rows).outcome == "SkippedNotDirty"
    for watermark, expected in ((100, 100), (100, 101), (50, 102), (200, 200)):
        rows.do(jobs.enqueue_global_consolidation, watermark)
        job = jobs.get_global_phase2_job(rows.user)
        assert job is not None
        assert job.input_watermark == expected
    claimed = claim_phase2(rows)
    assert (claimed.outcome, claimed.input_watermark) == ("Claimed", 200)
    rows.do(jobs.enqueue_global_consolidation, 150)
    assert claim_phase2(rows).outcome == "SkippedRunning"
    assert rows.do(jobs.mark_global_phase2_job_succeeded, claimed.ownership_token, 200, now_s=NOW)
    again = claim_phase2(rows)
    assert (again.outcome, again.input_watermark) == ("Claimed", 201)
    assert rows.do(jobs.mark_global_phase2_job_succeeded, again.ownership_token, 201, now_s=NOW)
    assert claim_phase2(rows).outcome == "SkippedNotDirty"
    assert claim_phase2(rows, force=True).outcome == "Claimed"
    assert claim_phase2(rows, force=True).outcome == "SkippedRunning"


def test_a_consolidation_that_fails_waits_and_gives_up_until_there_is_more(rows: MemoryRows) -> None:
    rows.do(jobs.enqueue_global_consolidation, 7)
    now = NOW
    for _ in range(3):
        token = claim_phase2(rows, now_s=now).ownership_token
        assert rows.do(jobs.mark_global_phase2_job_failed, token, now_s=now, reason="the engine died")
        now += HOUR
    assert claim_phase2(rows, now_s=now).outcome == "SkippedRetryExhausted"
    rows.do(jobs.enqueue_global_consolidation, 8)
    token = claim_phase2(rows, now_s=now).ownership_token
    assert rows.do(jobs.mark_global_phase2_job_failed, token, now_s=now, reason="again")
    assert claim_phase2(rows, now_s=now + HOUR - 1).outcome == "SkippedRetryBackoff"
    assert claim_phase2(rows, now_s=now, force=True).outcome == "Claimed"


def test_a_forced_consolidation_is_due_until_it_has_succeeded(rows: MemoryRows) -> None:
    assert claim_phase2(rows).outcome == "SkippedNotDirty"
    token = claim_phase2(rows, force=True).ownership_token
    rows.do(jobs.mark_global_phase2_job_failed, token, now_s=NOW, reason="no", retry_delay_s=0)
    assert claim_phase2(rows).outcome == "Claimed"
    taken_over = claim_phase2(rows, now_s=NOW + jobs.LEASE_SECONDS)
    assert taken_over.outcome == "Claimed"
    assert rows.do(
        jobs.mark_global_phase2_job_succeeded,
        taken_over.ownership_token,
        taken_over.input_watermark,
        now_s=NOW,
    )
    assert claim_phase2(rows).outcome == "SkippedNotDirty"


def test_a_heartbeat_keeps_the_lease_and_only_its_owner_beats(rows: MemoryRows) -> None:
    rows.do(jobs.enqueue_global_consolidation, 7)
    token = claim_phase2(rows).ownership_token
    beat = NOW + jobs.LEASE_SECONDS - 1
    assert rows.do(jobs.heartbeat_global_phase2_job, token, now_s=beat)
    assert claim_phase2(rows, now_s=NOW + jobs.LEASE_SECONDS, force=True).outcome == "SkippedRunning"
    assert claim_phase2(rows, now_s=beat + jobs.LEASE_SECONDS).outcome == "Claimed"
    for finisher in (jobs.mark_global_phase2_job_failed, jobs.heartbeat_global_phase2_job):
        reason = {"reason": "late"} if finisher is jobs.mark_global_phase2_job_failed else {}
        assert not rows.do(finisher, token, now_s=beat, **reason)
    assert not rows.do(jobs.mark_global_phase2_job_succeeded, token, 7, now_s=beat)
    assert not rows.do(jobs.owns_global_phase2_job, token)
    assert rows.jobs() == [(GLOBAL, "running", 3)]


def test_the_pipeline_is_told_with_states_titles_and_owners(rows: MemoryRows) -> None:
    done, failed, running, abandoned, gone = (rows.thread(NOW - DAY - n) for n in range(5))
    waiting = rows.thread(NOW - 2 * DAY)
    assert succeed(rows, claim_one(rows, done, now_s=NOW - 5), now_s=NOW - 5)
    assert fail(rows, claim_one(rows, failed, now_s=NOW - 4), now_s=NOW - 4)
    claim_one(rows, running, now_s=NOW - 3)
    claim_one(rows, abandoned, now_s=NOW - 2)
    rows.user.execute("UPDATE jobs SET worker_id = ? WHERE job_key = ?", (worker_id(DEAD), abandoned))
    claim_one(rows, gone)
    rows.remove(gone)
    told = rows.do(read_pipeline, rows.folder, now_s=NOW, me=ME)
    assert [(row.job.kind, row.job.job_key, row.state, row.thread_title) for row in told.jobs] == [
        (PHASE2, GLOBAL, "pending", None),
        (STAGE1, abandoned, "abandoned", "thread 4"),
        (STAGE1, running, "running", "thread 3"),
        (STAGE1, failed, "waits", "thread 2"),
        (STAGE1, done, "done", "thread 1"),
    ]
    assert (told.jobs[2].host, told.jobs[2].pid) == (ME.host, ME.pid)
    assert (told.outputs, told.waiting) == (1, 2)
    assert waiting
    assert (told.phase2.state, told.phase2.dirty, told.phase2.new_inputs) == ("pending", True, 1)
    assert told.phase2.new_since == NOW - 5
