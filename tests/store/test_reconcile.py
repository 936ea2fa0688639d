"""Reconcile: only what changed is read, and only what is surely gone is pruned."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from store.backfill_following import follow_backfill
from store.discrepancies import list_open
from store.reconcile import Reconciled, reconcile
from store.rollouts.metadata import read_full
from store.rollouts.scan import scan_home

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from building import HomeBuilder
    from store_fixtures import FixedClock

    from store.rollouts.metadata import FullRead


@pytest.fixture
def check(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> Callable[[], Reconciled]:
    """Reconcile a home of three threads that was read in full."""
    for i in range(3):
        builder.add(f"task {i}")
    follow_backfill(connection, builder.home, clock=clock)
    return lambda: reconcile(connection, builder.home, clock=clock)


def ids(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT id FROM threads ORDER BY id").fetchall()]


def test_an_unchanged_home_opens_no_rollout_and_writes_no_row(
    check: Callable[[], Reconciled], connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    check()
    opened: list[str] = []
    really_open = os.open

    def watched(path: str, *args: int, **more: int) -> int:
        opened.append(os.fspath(path))
        return really_open(path, *args, **more)

    monkeypatch.setattr(os, "open", watched)
    before = connection.total_changes, connection.execute("PRAGMA data_version").fetchone()
    found = check()
    assert (found.read, found.pruned, found.moved) == (0, 0, 0)
    assert (connection.total_changes, connection.execute("PRAGMA data_version").fetchone()) == before
    assert [path for path in opened if "rollout-" in path] == []


def test_an_append_is_read_from_where_it_begins(
    check: Callable[[], Reconciled],
    connection: sqlite3.Connection,
    builder: HomeBuilder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offsets: list[int] = []

    def counting(*args: Any, parsed_bytes: int = 0, **more: Any) -> FullRead:
        offsets.append(parsed_bytes)
        return read_full(*args, parsed_bytes=parsed_bytes, **more)

    monkeypatch.setattr("store.batches.read_full", counting)
    size = builder.file(builder.ids[1]).stat().st_size
    builder.append(builder.ids[1], "and one more")
    assert check().read == 1
    assert offsets == [size]
    assert connection.execute(
        "SELECT turns, messages, size_bytes FROM threads WHERE id = ?", (builder.ids[1],)
    ).fetchone() == (2, 4, builder.file(builder.ids[1]).stat().st_size)
    assert list_open(connection) == []


def test_a_truncated_file_is_read_again_from_the_start(
    check: Callable[[], Reconciled], connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    file = builder.file(builder.ids[0])
    first_line = file.read_bytes().split(b"\n")[0] + b"\n"
    file.write_bytes(first_line)
    assert check().read == 1
    assert connection.execute(
        "SELECT turns, messages FROM threads WHERE id = ?", (builder.ids[0],)
    ).fetchone() == (0, 0)


def test_a_deleted_file_is_pruned_and_recorded(
    check: Callable[[], Reconciled], connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    gone = builder.file(builder.ids[0])
    gone.unlink()
    assert check().pruned == 1
    assert ids(connection) == builder.ids[1:]
    (found,) = list_open(connection)
    assert (found.kind, found.thread_id) == ("stale_row", builder.ids[0])


def test_a_file_that_comes_back_brings_its_thread_back(
    check: Callable[[], Reconciled], connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    file = builder.file(builder.ids[0])
    data = file.read_bytes()
    file.unlink()
    check()
    file.write_bytes(data)
    check()
    assert ids(connection) == builder.ids
    assert list_open(connection) == []


def test_a_removed_day_folder_takes_its_threads_along(
    check: Callable[[], Reconciled], connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    shutil.rmtree(builder.path / "sessions")
    (builder.path / "sessions").mkdir()
    assert check().pruned == 3
    assert ids(connection) == []


def test_an_unmounted_folder_prunes_nothing_and_is_said(
    check: Callable[[], Reconciled], connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    """After an unmount the mount point is there, empty, on the file system above it."""
    day = builder.file(builder.ids[0]).parent
    connection.execute(
        "UPDATE folders SET device = device + 1 WHERE path = ?", (str(day.relative_to(builder.path)),)
    )
    shutil.rmtree(day)
    day.mkdir()
    found = check()
    assert found.pruned == 0
    assert ids(connection) == builder.ids
    assert [notice.what for notice in found.notices if "mounted" in notice.why] != []


def test_an_archived_file_is_followed_without_reading(
    check: Callable[[], Reconciled], connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    file = builder.file(builder.ids[0])
    (builder.path / "archived_sessions").mkdir()
    file.rename(builder.path / "archived_sessions" / file.name)
    found = check()
    assert (found.read, found.moved, found.pruned) == (0, 1, 0)
    path, archived = connection.execute(
        "SELECT rollout_path, archived FROM threads WHERE id = ?", (builder.ids[0],)
    ).fetchone()
    assert (path, archived) == (f"archived_sessions/{file.name}", 1)
    assert list_open(connection) == []


def test_a_compressed_file_keeps_its_thread(
    check: Callable[[], Reconciled], connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    file = builder.file(builder.ids[0])
    key = connection.execute("SELECT key FROM threads WHERE id = ?", (builder.ids[0],)).fetchone()
    file.with_name(file.name + ".zst").write_bytes(zstandard.compress(file.read_bytes()))
    file.unlink()
    found = check()
    assert found.read == 1
    assert connection.execute(
        "SELECT key, compressed, turns FROM threads WHERE id = ?", (builder.ids[0],)
    ).fetchone() == (*key, 1, 1)
    assert list_open(connection) == []


def test_of_two_files_with_one_id_the_longer_is_shown_and_the_other_named(
    check: Callable[[], Reconciled], connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    file = builder.file(builder.ids[0])
    copy = builder.path / "archived_sessions" / file.name
    copy.parent.mkdir()
    shutil.copy(file, copy)
    builder_append = file.read_bytes()
    file.write_bytes(builder_append + b"\n")
    check()
    shown = connection.execute(
        "SELECT rollout_path, archived FROM threads WHERE id = ?", (builder.ids[0],)
    ).fetchone()
    assert shown == (str(file.relative_to(builder.path)), 0)
    (found,) = list_open(connection)
    assert (found.kind, found.where) == ("duplicate_file", f"archived_sessions/{file.name}")

    file.unlink()
    check()
    shown = connection.execute(
        "SELECT rollout_path, archived FROM threads WHERE id = ?", (builder.ids[0],)
    ).fetchone()
    assert shown == (f"archived_sessions/{file.name}", 1)


def test_a_row_that_says_otherwise_than_its_file_is_mended_and_recorded(
    check: Callable[[], Reconciled], connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    connection.execute("UPDATE threads SET cwd = '/wrong' WHERE id = ?", (builder.ids[2],))
    builder.append(builder.ids[2], "more")
    check()
    (found,) = list_open(connection)
    assert (found.kind, found.field, found.expected, found.found) == (
        "field_drift",
        "cwd",
        "/home/dev/app",
        "/wrong",
    )
    assert connection.execute("SELECT cwd FROM threads WHERE id = ?", (builder.ids[2],)).fetchone() == (
        "/home/dev/app",
    )


def test_names_come_with_the_session_index(
    check: Callable[[], Reconciled], connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    index = builder.path / "session_index.jsonl"
    index.write_text(
        f'{{"id":"{builder.ids[0]}","thread_name":"First"}}\n{{"id":"{builder.ids[0]}","thread_name":"Second"}}\n'
    )
    check()
    assert connection.execute("SELECT thread_id, name FROM codex_threads").fetchall() == [
        (builder.ids[0], "Second")
    ]


def test_an_unreadable_subfolder_prunes_nothing(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock, check: Callable[[], Reconciled]
) -> None:
    scan = scan_home(builder.home.path)
    day = str(builder.file(builder.ids[0]).parent.relative_to(builder.path))
    from dataclasses import replace

    blind = replace(
        scan,
        files=(),
        listed={folder: device for folder, device in scan.listed.items() if folder != day},
        unreadable=((day, "Permission denied"),),
    )
    found = reconcile(connection, builder.home, clock=clock, scan=blind)
    assert found.pruned == 0
    assert [notice.why for notice in found.notices] == ["Permission denied"]
    assert ids(connection) == builder.ids


def test_names_of_the_session_index_survive_a_damaged_codex_database(
    check: Callable[[], Reconciled], connection: sqlite3.Connection, builder: HomeBuilder
) -> None:
    (builder.path / "state_5.sqlite").write_bytes(b"no database at all" * 300)
    (builder.path / "session_index.jsonl").write_text(f'{{"id":"{builder.ids[0]}","thread_name":"Kept"}}\n')
    assert [notice.severity for notice in check().notices] == ["warning"]
    names = connection.execute("SELECT thread_id, name FROM codex_threads").fetchall()
    assert names == [(builder.ids[0], "Kept")]
