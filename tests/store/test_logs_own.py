"""What the store writes down by itself, and how much of it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from store import own_logs
from store.backfill import BackfillWorker
from store.discrepancies import record
from store.log_queries import query_logs
from store.log_sources import rollodex_logs
from store.models import LogQuery
from store.own_logs import KEPT_MS, LONGEST_MESSAGE, PRUNED_EVERY, log, prune
from store.ownership import this_process
from store.reconcile import reconcile
from store.rollouts.scan import scan_home

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from building import HomeBuilder
    from store_fixtures import FixedClock

    from store.models import LogRow


def rows(state: Path) -> list[LogRow]:
    return query_logs(rollodex_logs(state), LogQuery(), limit=100_000)


def told(state: Path) -> list[tuple[str, str]]:
    return [(row.level, row.body) for row in rows(state)]


def test_a_row_says_when_where_what_and_who(state: Path, connection: sqlite3.Connection) -> None:
    log(connection, "WARN", "store.jobs", "the lease ran out", thread_id="a", now_ms=1_795_389_000_123)
    (row,) = rows(state)
    assert (row.at, row.level, row.target, row.module_path) == (
        1_795_389_000_123,
        "WARN",
        "store.jobs",
        "store.jobs",
    )
    assert (row.body, row.thread_id, row.origin) == ("the lease ran out", "a", "rollodex")
    assert row.process_uuid is not None
    assert row.process_uuid.startswith(f"pid:{this_process().pid}:")


def test_a_hostile_message_is_kept_short_and_whole(state: Path, connection: sqlite3.Connection) -> None:
    log(connection, "INFO", "store", "x\ud800" * LONGEST_MESSAGE, now_ms=0)
    (row,) = rows(state)
    assert row.body.startswith(r"x\ud800x")
    assert row.body.endswith("…")


def test_old_rows_go(state: Path, connection: sqlite3.Connection) -> None:
    for now_ms in (1_000, 2_000, KEPT_MS + 1_500):
        log(connection, "INFO", "store", f"at {now_ms}", now_ms=now_ms)
    prune(connection, now_ms=KEPT_MS + 2_000)
    assert [row.body for row in rows(state)] == ["at 2000", f"at {KEPT_MS + 1_500}"]


def test_the_oldest_of_too_many_go(
    state: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_logs, "KEPT_BYTES", 10_000)
    for number in range(3 * PRUNED_EVERY + 1):
        log(connection, "INFO", "store", f"{number:0850}", now_ms=number)
    assert [int(row.body) for row in rows(state)] == list(range(3 * PRUNED_EVERY - 9, 3 * PRUNED_EVERY + 1))
    prune(connection, now_ms=1_000)
    assert len(rows(state)) == 10


def test_a_discrepancy_is_logged_when_first_seen(state: Path, connection: sqlite3.Connection) -> None:
    for now_ms in (1, 1, 2):
        record(
            connection,
            kind="field_drift",
            thread_id="a",
            place="sessions/a.jsonl",
            field="title",
            expected="new " + "x" * 5_000,
            found=None,
            now_ms=now_ms,
        )
    (row,) = rows(state)
    assert row.body.startswith('field_drift in sessions/a.jsonl: title expected "new xx')
    assert row.body.endswith("…, found nothing")
    assert row.thread_id == "a"


def test_the_backfill_and_a_prune_are_logged_and_an_unchanged_home_is_not(
    state: Path, connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    gone = builder.add("this one goes")
    builder.add("this one stays")

    def backfill() -> bool:
        files = scan_home(builder.path).files
        return BackfillWorker(connection, builder.path, files, me=this_process(), clock=clock).run()

    assert backfill()
    complete = [
        ("INFO", "the backfill begins"),
        ("INFO", "the backfill is complete: 2 rollouts, 0 of them unreadable"),
    ]
    assert told(state) == complete
    assert not backfill()
    reconcile(connection, builder.home, clock=clock)
    assert told(state) == complete
    path = builder.file(gone)
    path.unlink()
    reconcile(connection, builder.home, clock=clock)
    pruned, stale = rows(state)[2:]
    where = path.relative_to(builder.path)
    assert (pruned.level, pruned.body) == ("INFO", f"pruned the thread whose rollout is gone: {where}")
    assert (stale.level, stale.body.split(":")[0]) == ("WARN", f"stale_row in {where}")
    assert pruned.thread_id == stale.thread_id == gone


def test_a_backfill_that_fails_says_why_and_the_next_says_that_it_goes_on(
    state: Path, connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    builder.add("one")
    files = scan_home(builder.path).files

    def fail(_progress: object) -> None:
        raise OSError("the disk is gone")

    worker = BackfillWorker(connection, builder.path, files, me=this_process(), clock=clock, report=fail)
    with pytest.raises(OSError, match="the disk is gone"):
        worker.run()
    BackfillWorker(
        connection, builder.path, files, me=this_process(), clock=clock, stopping=lambda: True
    ).run()
    assert told(state) == [
        ("INFO", "the backfill begins"),
        ("ERROR", "the backfill stopped by a failure: the disk is gone"),
        ("INFO", "the backfill goes on, heads step, 1 of 1 done"),
        ("INFO", "the backfill stopped before its end"),
    ]
