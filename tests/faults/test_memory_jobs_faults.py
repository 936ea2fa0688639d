"""Many processes that claim memory jobs at once."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from memory_rows import DAY, ME, NOW, MemoryRows, memory_rows
from other_processes import Child

from store.memories import jobs
from store.memories.outputs import thread_memories

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store_fixtures import FixedClock

PROCESSES, EACH = 8, 200

CLAIMER = f"""
import sys
from contextlib import closing
from pathlib import Path
from store.connection import connect_writer, transaction
from store.memories import jobs
from store.memories.selection import Stage1Limits
from store.ownership import this_process

user, state = map(Path, sys.argv[1:])
me = this_process()
limits = Stage1Limits(max_claimed=20)
done, most = [], 0

def claim(connection):
    claims = jobs.claim_stage1_jobs_for_startup(connection, me, now_s={NOW}, limits=limits)
    (running,) = connection.execute("SELECT count(*) FROM jobs WHERE status = 'running'").fetchone()
    return claims, running

with closing(connect_writer(user, beside=state)) as connection:
    print("ready", flush=True)
    input()
    while len(done) < {EACH}:
        limits = Stage1Limits(max_claimed=min(20, {EACH} - len(done)))
        claims, running = transaction(connection, claim)
        most = max(most, running)
        for each in claims:
            assert transaction(connection, lambda c: jobs.mark_stage1_job_succeeded(
                c, each.job_key, each.ownership_token, now_s={NOW}, trace_summary="t", memory_summary="m"))
            done.append(each.job_key)
print(most, *done)
"""

CLAIM_AND_WAIT = f"""
import sys
from contextlib import closing
from pathlib import Path
from store.connection import connect_writer, transaction
from store.memories import jobs
from store.ownership import this_process

user, state = map(Path, sys.argv[1:])
with closing(connect_writer(user, beside=state)) as connection:
    print("ready", flush=True)
    input()
    claim = lambda c: jobs.try_claim_global_phase2_job(c, this_process(), now_s={NOW})
    print(transaction(connection, claim).outcome)
    input()
"""


@pytest.fixture
def rows(tmp_path: Path, clock: FixedClock) -> Iterator[MemoryRows]:
    yield from memory_rows(tmp_path / "state", clock)


def children(rows: MemoryRows, stack: ExitStack, code: str, number: int) -> list[Child]:
    databases = (rows.folder / "user.sqlite", rows.folder / "state_1.sqlite")
    found = [stack.enter_context(Child(code, *databases)) for _ in range(number)]
    assert [child.hear() for child in found] == ["ready"] * number
    for child in found:
        child.say()
    return found


def test_no_claim_is_lost_or_doubled_and_the_cap_holds(rows: MemoryRows) -> None:
    threads = {rows.thread(NOW - DAY - number) for number in range(PROCESSES * EACH)}
    with ExitStack() as stack:
        told = [child.hear().split() for child in children(rows, stack, CLAIMER, PROCESSES)]
    assert all(0 < int(most) <= jobs.MAX_RUNNING for most, *_done in told)
    claimed = Counter(thread for _most, *done in told for thread in done)
    assert set(claimed) == threads
    assert set(claimed.values()) == {1}
    assert len(thread_memories(rows.user)) == len(threads)
    phase2 = jobs.get_global_phase2_job(rows.user)
    assert phase2 is not None
    assert phase2.status == "pending"


def test_of_20_who_want_to_consolidate_one_does_until_it_dies(rows: MemoryRows) -> None:
    rows.do(jobs.enqueue_global_consolidation, 7)
    with ExitStack() as stack:
        found = children(rows, stack, CLAIM_AND_WAIT, 20)
        outcomes = [child.hear() for child in found]
        assert Counter(outcomes) == {"Claimed": 1, "SkippedRunning": 19}
        found[outcomes.index("Claimed")].kill()
        claim = rows.do(jobs.try_claim_global_phase2_job, ME, now_s=NOW)
        assert claim.outcome == "Claimed"
