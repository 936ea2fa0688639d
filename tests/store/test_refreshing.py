"""Refreshing a few touched rollouts does to their rows what a reconcile of the whole home would do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from building import HomeBuilder, turn_items

from store import batches, reconcile, refreshing
from store.backfill_following import follow_backfill
from store.discrepancies import list_open
from store.reconcile import Reconciled
from store.refreshing import Touched, refresh_rows
from store.rollout_rows import known_rollouts
from store.rollouts.envelope import encode_line
from store.rollouts.metadata import FullRead, read_full
from store.rollouts.scan import scan_home

if TYPE_CHECKING:
    import sqlite3

    from store_fixtures import FixedClock

Refresh = Callable[..., Reconciled]


@pytest.fixture
def refresh(connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock) -> Refresh:
    """Refresh what lies at these paths of a home of three threads that was read in full."""
    for i in range(3):
        builder.add(f"task {i}")
    follow_backfill(connection, builder.home, clock=clock)

    def run(*paths: Path | str) -> Reconciled:
        names = [str(path.relative_to(builder.path)) if isinstance(path, Path) else path for path in paths]
        files = frozenset(name for name in names if "rollout-" in name)
        return refresh_rows(connection, builder.home, Touched(files, frozenset(names) - files), clock=clock)

    return run


def paths(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT id, rollout_path FROM threads").fetchall())


def row(connection: sqlite3.Connection, thread_id: str) -> tuple[object, ...]:
    found: tuple[object, ...] = connection.execute(
        "SELECT key, turns, messages, tokens_used, archived, compressed, title, bad_lines"
        " FROM threads WHERE id = ?",
        (thread_id,),
    ).fetchone()
    return found


def test_only_the_touched_files_are_opened_and_only_what_was_appended_is_read(
    refresh: Refresh, connection: sqlite3.Connection, builder: HomeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[str, int]] = []

    def noting(home: Path, file: Any, *, parsed_bytes: int = 0, **more: Any) -> FullRead:
        read.append((file.path, parsed_bytes))
        return read_full(home, file, parsed_bytes=parsed_bytes, **more)

    monkeypatch.setattr(batches, "read_full", noting)
    first, second = (builder.file(thread_id) for thread_id in builder.ids[:2])
    size = first.stat().st_size
    builder.append(builder.ids[0], "more")
    builder.append(builder.ids[1], "not told of")
    assert refresh(first).read == 1
    assert read == [(str(first.relative_to(builder.path)), size)]
    assert row(connection, builder.ids[0])[1:3] == (2, 4)
    assert row(connection, builder.ids[1])[1:3] == (1, 2)
    assert refresh(first, second).read == 1


def test_a_line_that_arrives_byte_by_byte_is_never_counted_twice(
    refresh: Refresh, connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    file = builder.file(builder.ids[0])
    data = b"".join(encode_line(item, 1) for item in turn_items("ü, slowly", "Done.", "t")[3:5])
    newline = data.index(b"\n")
    seen = []
    with file.open("ab", buffering=0) as out:
        for place, byte in enumerate(data):
            out.write(bytes([byte]))
            if place % 23 == 0 or place in (newline - 1, newline, len(data) - 2, len(data) - 1):
                refresh(file)
                seen.append(row(connection, builder.ids[0])[1:3])
    assert seen == sorted(seen), "counts only ever rise"
    assert (seen[0], seen[-1]) == ((1, 2), (2, 4))
    assert row(connection, builder.ids[0])[7] == 0
    assert list_open(connection) == []


def test_a_new_file_in_a_new_folder_makes_a_row(
    refresh: Refresh, connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    new = builder.add("brand new")
    assert refresh(builder.file(new)).read == 1
    assert row(connection, new)[6] == "brand new"
    shutil.copytree(builder.path / "sessions/2026", builder.path / "sessions/2027")
    moved = builder.add("in a folder")
    old = builder.file(moved)
    target = builder.path / "sessions/2028/01/02"
    target.mkdir(parents=True)
    old.rename(target / old.name)
    assert refresh("sessions/2028").read == 1
    assert paths(connection)[moved] == f"sessions/2028/01/02/{old.name}"


@pytest.mark.parametrize("told", ["from", "to", "both"])
def test_an_archived_file_is_followed_whichever_end_is_told_of_first(
    refresh: Refresh, connection: sqlite3.Connection, builder: HomeBuilder, told: str
) -> None:
    file = builder.file(builder.ids[0])
    before = row(connection, builder.ids[0])
    target = builder.path / "archived_sessions" / file.name
    target.parent.mkdir()
    file.rename(target)
    done = refresh(*{"from": [file], "to": [target], "both": [file, target]}[told])
    assert (done.read, done.moved, done.pruned) == (0, 1, 0)
    assert paths(connection)[builder.ids[0]] == f"archived_sessions/{file.name}"
    assert row(connection, builder.ids[0])[:4] == before[:4]
    target.rename(file)
    assert refresh(target).moved == 1
    assert row(connection, builder.ids[0]) == before
    assert list_open(connection) == []


def test_a_compressed_file_keeps_its_thread_and_counts(
    refresh: Refresh, connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    file = builder.file(builder.ids[0])
    before = row(connection, builder.ids[0])
    file.with_name(file.name + ".zst").write_bytes(zstandard.compress(file.read_bytes()))
    file.unlink()
    refresh(file)
    assert row(connection, builder.ids[0]) == (*before[:5], 1, *before[6:])


def test_a_truncated_and_a_replaced_file_are_read_from_the_start(
    refresh: Refresh, connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    first, second = (builder.file(thread_id) for thread_id in builder.ids[:2])
    first.write_bytes(first.read_bytes().partition(b"\n")[0] + b"\n")
    copy = second.with_name("new")
    copy.write_bytes(second.read_bytes() + b"\n".join(second.read_bytes().split(b"\n")[1:]))
    copy.replace(second)
    refresh(first, second)
    assert row(connection, builder.ids[0])[1:3] == (0, 0)
    assert row(connection, builder.ids[1])[1:3] == (2, 4)


def test_a_deleted_file_is_pruned_and_comes_back_with_nothing_lost(
    refresh: Refresh, connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    file = builder.file(builder.ids[0])
    before = row(connection, builder.ids[0])
    data = file.read_bytes()
    file.unlink()
    assert refresh(file).pruned == 1
    assert builder.ids[0] not in paths(connection)
    assert [each.kind for each in list_open(connection)] == ["stale_row"]
    file.write_bytes(data)
    assert refresh(file).read == 1
    assert row(connection, builder.ids[0])[1:] == before[1:]
    assert list_open(connection) == []


def test_a_removed_folder_takes_its_threads_along_and_no_others(
    refresh: Refresh, connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    kept = builder.path / "archived_sessions" / builder.file(builder.ids[2]).name
    kept.parent.mkdir()
    builder.file(builder.ids[2]).rename(kept)
    refresh(kept)
    shutil.rmtree(builder.path / "sessions/2026")
    assert refresh("sessions/2026").pruned == 2
    assert paths(connection) == {builder.ids[2]: f"archived_sessions/{kept.name}"}


def test_a_folder_that_may_not_be_read_prunes_nothing(
    refresh: Refresh, connection: sqlite3.Connection, builder: HomeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = builder.file(builder.ids[0])
    day = file.parent
    real = os.scandir

    def refusing(path: Any) -> Any:
        if str(path) == str(day):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    file.unlink()
    done = refresh(file, day)
    assert done.pruned == 0
    assert [notice.why for notice in done.notices] == ["Permission denied"]
    assert set(paths(connection)) == set(builder.ids)


def test_a_folder_that_is_a_symbolic_link_is_not_followed(
    refresh: Refresh, connection: sqlite3.Connection, builder: HomeBuilder, tmp_path: Path
) -> None:
    new = builder.add("elsewhere")
    file = builder.file(new)
    outside = tmp_path / "outside"
    outside.mkdir()
    file.rename(outside / file.name)
    (builder.path / "sessions/2026/linked").symlink_to(outside)
    done = refresh(f"sessions/2026/linked/{file.name}", "sessions/2026/linked")
    assert done.read == 0
    assert new not in paths(connection)


def test_what_is_much_to_read_is_left_to_a_reconcile_but_listed(
    refresh: Refresh, connection: sqlite3.Connection, builder: HomeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "QUICK_BYTES", 5_000)
    new = builder.add("huge", answer="x" * 20_000)
    done = refresh(builder.file(new), builder.file(builder.ids[0]))
    assert (done.read, done.left) == (1, 1)
    assert row(connection, new)[1:3] + row(connection, new)[6:7] == (None, None, "huge")


def test_reading_goes_on_when_another_process_wrote_the_row_meanwhile(
    refresh: Refresh, connection: sqlite3.Connection, builder: HomeBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one read the file when it was shorter, and its row came between our look and our write."""
    file = builder.file(builder.ids[0])
    builder.append(builder.ids[0], "first")
    real = reconcile.apply_scan
    between = iter([True])

    def interrupted(*args: Any, **more: Any) -> Reconciled:
        if next(between, False):
            real_write = batches.Batch.write

            def write(self: Any, connection: sqlite3.Connection, *, now_ms: int) -> int:
                monkeypatch.setattr(batches.Batch, "write", real_write)
                connection.execute(
                    "UPDATE rollouts SET size = size + 1 WHERE thread_id = ?", (builder.ids[0],)
                )
                return real_write(self, connection, now_ms=now_ms)

            monkeypatch.setattr(batches.Batch, "write", write)
        return real(*args, **more)

    monkeypatch.setattr(refreshing, "apply_scan", interrupted)
    refresh(file)
    assert row(connection, builder.ids[0])[1:3] == (2, 4)
    known = known_rollouts(connection)[str(file.relative_to(builder.path))]
    assert known.size == file.stat().st_size


def test_a_scan_that_is_old_moves_and_prunes_nothing(
    refresh: Refresh, connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    """A file was archived, and followed, between the scan of the whole home and its comparison."""
    old = scan_home(builder.home.path)
    file = builder.file(builder.ids[0])
    target = builder.path / "archived_sessions" / file.name
    target.parent.mkdir()
    file.rename(target)
    refresh(file)
    done = reconcile.reconcile(connection, builder.home, clock=clock, scan=old)
    assert (done.moved, done.pruned) == (0, 0)
    assert paths(connection)[builder.ids[0]] == f"archived_sessions/{file.name}"
