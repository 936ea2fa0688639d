"""The backfill: steps, checkpoints, leases, and what it does not do twice."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from store import batches
from store.backfill import BackfillWorker
from store.backfill_state import (
    checkpoint_backfill,
    get_backfill_state,
    list_is_complete,
    mark_backfill_complete,
    try_claim_backfill,
)
from store.connection import connect_writer, transaction
from store.errors import LeaseLost
from store.ownership import our_worker, this_process
from store.rollouts.scan import scan_home

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from building import HomeBuilder
    from store_fixtures import FixedClock

    from store.models import BackfillProgress
    from store.ownership import Owner


def worker(
    connection: sqlite3.Connection,
    builder: HomeBuilder,
    clock: FixedClock,
    *,
    me: Owner | None = None,
    **more: object,
) -> BackfillWorker:
    files = scan_home(builder.home.path).files
    return BackfillWorker(
        connection,
        builder.home.path,
        files,
        me=me or this_process(),
        clock=clock,
        **more,  # type: ignore[arg-type]
    )


def rows(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT * FROM threads ORDER BY id").fetchall()


def everything(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Threads and files without their row numbers, which say only in which order they came."""
    return [row[1:] for row in rows(connection)] + connection.execute(
        "SELECT path, thread_id, size, step, parsed_bytes, fold FROM rollouts ORDER BY path"
    ).fetchall()


def test_an_empty_home_is_complete_at_once(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    assert worker(connection, builder, clock).run()
    state = get_backfill_state(connection)
    assert (state.status, state.done, state.total, state.last_watermark) == ("complete", 0, 0, None)
    assert state.last_success_at == clock.ms


def test_every_thread_gets_a_full_row(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    ids = [builder.add(f"task {i}", turns=2, archived=i == 1) for i in range(3)]
    assert worker(connection, builder, clock).run()
    found = connection.execute(
        "SELECT id, index_state, turns, messages, archived FROM threads ORDER BY id"
    ).fetchall()
    assert found == [(ids[0], "full", 2, 4, 0), (ids[1], "full", 2, 4, 1), (ids[2], "full", 2, 4, 0)]


def test_heads_give_the_whole_list_before_anything_is_read_in_full(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    for i in range(5):
        builder.add(f"task {i}")
    assert worker(connection, builder, clock).run(last_step="heads")
    state = get_backfill_state(connection)
    assert list_is_complete(state)
    assert (state.status, state.step, state.owner, state.done, state.total) == ("pending", "full", None, 0, 5)
    assert connection.execute("SELECT DISTINCT index_state, turns FROM threads").fetchall() == [
        ("heads", None)
    ]


def test_newest_first_and_the_watermark_goes_down(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_FILES", 1)
    for i in range(3):
        builder.add(f"task {i}", archived=i == 2)
    seen: list[tuple[str | None, str | None]] = []

    def report(progress: BackfillProgress) -> None:
        seen.append((progress.step, progress.last_watermark))

    monkeypatch.setattr("store.backfill.read_files", one_by_one)
    worker(connection, builder, clock, report=report).run()
    order = sorted((file.path for file in scan_home(builder.home.path).files), reverse=True)
    assert seen == [("heads", path) for path in order] + [("full", path) for path in order]
    assert order[-1].startswith("archived_sessions/")


def one_by_one(*args: object, **options: object) -> object:
    return batches.read_files(*args, **options, batch_files=1)  # type: ignore[arg-type]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", range(1, 12))
def test_a_killed_backfill_goes_on_from_its_last_checkpoint(
    connection: sqlite3.Connection,
    builder: HomeBuilder,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
    moment: int,
) -> None:
    """Killed after any number of checkpoints, the next worker ends where an undisturbed one ends."""
    for i in range(6):
        builder.add(f"task {i}", turns=i + 1)
    monkeypatch.setattr("store.backfill.read_files", one_by_one)
    count = 0

    def die(_progress: BackfillProgress) -> None:
        nonlocal count
        count += 1
        if count == moment:
            raise Killed

    dead = replace(this_process(), pid=2**22 + 1)
    # A killed process gives nothing back.
    monkeypatch.setattr("store.backfill_state.release_backfill", lambda *_args, **_options: None)
    with pytest.raises(Killed):
        worker(connection, builder, clock, me=dead, report=die).run()
    before = get_backfill_state(connection)
    assert before.status == "running"
    assert worker(connection, builder, clock).run()
    after = everything(connection)
    assert get_backfill_state(connection).status == "complete"
    assert len(rows(connection)) == 6

    connection.execute("DELETE FROM backfill_state")
    connection.execute("DELETE FROM threads")
    connection.execute("DELETE FROM rollouts")
    assert worker(connection, builder, clock).run()
    assert everything(connection) == after


def test_a_file_longer_than_a_batch_is_checkpointed_inside(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = builder.add("a long one", turns=40)
    size = builder.file(wanted).stat().st_size

    def small(*args: object, **options: object) -> object:
        return batches.read_files(*args, **options, batch_bytes=2000)  # type: ignore[arg-type]

    monkeypatch.setattr("store.backfill.read_files", small)
    steps: list[int] = []
    worker(connection, builder, clock, report=lambda p: steps.append(p.bytes_done)).run()
    inside = [done for done in steps[1:] if 0 < done < size]
    assert len(inside) > 5
    assert steps[-1] == size
    assert connection.execute("SELECT turns, messages FROM threads").fetchall() == [(40, 80)]


def test_a_second_worker_is_refused_while_the_first_lives(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    me = this_process()
    assert transaction(connection, lambda c: try_claim_backfill(c, me, now_ms=clock.ms))
    other = replace(this_process(), pid=1, host="elsewhere")
    assert not worker(connection, builder, clock, me=other).run()


@pytest.mark.parametrize(
    ("owner", "moved_ms"),
    [
        pytest.param({"pid": 2**22 + 1}, 0, id="dead owner"),
        pytest.param({"host": "elsewhere"}, 900_001, id="lease run out"),
        pytest.param({"host": "elsewhere"}, -1_000, id="clock set back"),
    ],
)
def test_a_stale_lease_is_taken_over(
    connection: sqlite3.Connection,
    builder: HomeBuilder,
    clock: FixedClock,
    owner: dict[str, object],
    moved_ms: int,
) -> None:
    gone = replace(this_process(), **owner)  # type: ignore[arg-type]
    assert transaction(connection, lambda c: try_claim_backfill(c, gone, now_ms=clock.ms))
    clock.ms += moved_ms
    assert worker(connection, builder, clock).run()
    assert get_backfill_state(connection).status == "complete"


def test_a_worker_that_lost_its_lease_stops_without_a_trace(
    connection: sqlite3.Connection, state: Path, builder: HomeBuilder, clock: FixedClock
) -> None:
    for i in range(3):
        builder.add(f"task {i}")
    thief = replace(this_process(), host="elsewhere")

    def rob(_progress: BackfillProgress) -> None:
        other = connect_writer(state)
        other.execute("UPDATE backfill_state SET owner_token = ?, owner_host = 'elsewhere'", (thief.token,))
        other.close()

    slow = worker(connection, builder, clock, report=rob)
    with pytest.raises(LeaseLost, match="another process"):
        slow.run()
    held = get_backfill_state(connection)
    assert held.status == "running"
    assert held.owner is not None
    assert held.owner.token == thief.token
    with pytest.raises(LeaseLost):
        transaction(
            connection,
            lambda c: checkpoint_backfill(c, this_process(), "x", files=1, size=1, failed=0, now_ms=clock.ms),
        )
    with pytest.raises(LeaseLost):
        transaction(connection, lambda c: mark_backfill_complete(c, this_process(), now_ms=clock.ms))
    assert get_backfill_state(connection) == held


def test_complete_is_never_claimed_again(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    builder.add()
    assert worker(connection, builder, clock).run()
    assert not worker(connection, builder, clock).run()


def test_bad_files_are_counted_and_named_and_the_rest_is_read(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    good = builder.add()
    bad = builder.file(good).with_name("rollout-nonsense.jsonl")
    bad.write_bytes(b"")
    worker(connection, builder, clock).run()
    state = get_backfill_state(connection)
    assert (state.status, state.failed, state.done) == ("complete", 1, 2)
    assert [failure.path for failure in state.failures] == [str(bad.relative_to(builder.path))]
    assert state.failures[0].reason
    assert [row[1] for row in rows(connection)] == [good]


def test_a_file_deleted_while_read_fails_alone(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    kept, gone = builder.add(), builder.add()
    slow = worker(connection, builder, clock)
    builder.file(gone).unlink()
    assert slow.run()
    assert [row[1] for row in rows(connection)] == [kept]


def test_a_home_that_vanishes_is_not_fatal(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    builder.add()
    slow = worker(connection, builder, clock)
    shutil.rmtree(builder.path)
    assert slow.run()
    assert get_backfill_state(connection).failed == 1


def test_a_worker_that_we_started_is_ours(connection: sqlite3.Connection, clock: FixedClock) -> None:
    me = this_process()
    child = replace(me, pid=me.pid + 1, token="another")
    assert transaction(connection, lambda c: try_claim_backfill(c, child, now_ms=clock.ms))
    assert not get_backfill_state(connection, me=me).owner_is_this_process
    with our_worker(child.pid):
        assert get_backfill_state(connection, me=me).owner_is_this_process
    assert not get_backfill_state(connection, me=me).owner_is_this_process
