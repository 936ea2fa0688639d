"""Discrepancies: told apart from growth, noted once, resolved, and seen again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from store.discrepancies import LONGEST_VALUE, Difference, compare_rows, list_open, record, resolve
from store.models import Discrepancy

if TYPE_CHECKING:
    import sqlite3

PLACE = "sessions/2026/11/22/rollout-a.jsonl"


def note(
    connection: sqlite3.Connection,
    *,
    now_ms: int,
    thread_id: str | None = "a",
    field: str | None = "title",
    found: object = "old",
) -> None:
    record(
        connection,
        kind="field_drift",
        thread_id=thread_id,
        place=PLACE,
        field=field,
        expected="new",
        found=found,
        now_ms=now_ms,
    )


def test_seen_twice_it_is_one_with_both_times(connection: sqlite3.Connection) -> None:
    note(connection, now_ms=100, found="old")
    note(connection, now_ms=200, found="older")
    assert list_open(connection) == [
        Discrepancy(
            kind="field_drift",
            thread_id="a",
            where=PLACE,
            field="title",
            expected="new",
            found="older",
            first_seen_at=100,
            last_seen_at=200,
        )
    ]


def test_without_a_thread_or_a_field_it_is_still_one(connection: sqlite3.Connection) -> None:
    for now_ms in (1, 2, 3):
        note(connection, now_ms=now_ms, thread_id=None, field=None)
    (found,) = list_open(connection)
    assert (found.thread_id, found.field, found.first_seen_at, found.last_seen_at) == (None, None, 1, 3)
    assert resolve(connection, kind="field_drift", thread_id=None, place=PLACE, now_ms=4)
    assert list_open(connection) == []


def test_a_clock_that_went_back_does_not_move_last_seen_back(connection: sqlite3.Connection) -> None:
    note(connection, now_ms=200)
    note(connection, now_ms=100)
    assert list_open(connection)[0].last_seen_at == 200


def test_resolved_it_is_not_listed_and_seen_again_it_is_open(connection: sqlite3.Connection) -> None:
    note(connection, now_ms=1)
    arguments = {"kind": "field_drift", "thread_id": "a", "place": PLACE, "field": "title"}
    assert resolve(connection, **arguments, now_ms=5)
    assert list_open(connection) == []
    assert connection.execute("SELECT resolved_at FROM discrepancies").fetchall() == [(5,)]
    assert not resolve(connection, **arguments, now_ms=6)
    note(connection, now_ms=9)
    (again,) = list_open(connection)
    assert (again.first_seen_at, again.last_seen_at, again.resolved_at) == (1, 9, None)


def test_resolving_touches_only_what_it_names(connection: sqlite3.Connection) -> None:
    note(connection, now_ms=1, field="title")
    note(connection, now_ms=2, field="cwd")
    note(connection, now_ms=3, thread_id="b")
    assert resolve(connection, kind="field_drift", thread_id="a", place=PLACE, field="title", now_ms=4)
    assert [(found.thread_id, found.field) for found in list_open(connection)] == [
        ("b", "title"),
        ("a", "cwd"),
    ]


def test_a_rolled_back_unit_leaves_nothing(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    note(connection, now_ms=1)
    connection.execute("ROLLBACK")
    assert list_open(connection) == []


def test_long_values_are_cut_and_others_become_text(connection: sqlite3.Connection) -> None:
    note(connection, now_ms=1, found="x" * (LONGEST_VALUE + 1))
    (long,) = list_open(connection)
    assert long.found == "x" * (LONGEST_VALUE - 1) + "…"
    note(connection, now_ms=2, found={"mode": "read-only"})
    assert list_open(connection)[0].found == '{"mode": "read-only"}'


ROW: dict[str, object] = {
    "key": 7,
    "id": "a",
    "rollout_path": PLACE,
    "archived": 0,
    "compressed": 0,
    "index_state": "full",
    "created_at": 1000,
    "updated_at": 2000,
    "cwd": "/work",
    "title": "Fix the test",
    "first_user_message": None,
    "model": "gpt-5",
    "sandbox_policy": '{"type":"read-only"}',
    "tokens_used": 10,
    "turns": 1,
    "size_bytes": 500,
}
GROWN: dict[str, object] = {
    **ROW,
    "updated_at": 3000,
    "model": "gpt-6",
    "sandbox_policy": '{"type":"danger-full-access"}',
    "tokens_used": 20,
    "turns": 2,
    "size_bytes": 900,
    "first_user_message": "now there is one",
}


def test_a_row_that_agrees_has_no_difference() -> None:
    assert compare_rows(ROW, dict(ROW), file_changed=False) == []


def test_a_file_that_grew_explains_what_grows_and_what_was_not_yet_there() -> None:
    assert compare_rows(ROW, GROWN, file_changed=True) == []


def test_the_same_file_explains_nothing() -> None:
    assert compare_rows(ROW, GROWN, file_changed=False) == [
        Difference("updated_at", "3000", "2000"),
        Difference("first_user_message", "now there is one", None),
        Difference("model", "gpt-6", "gpt-5"),
        Difference("sandbox_policy", '{"type":"danger-full-access"}', '{"type":"read-only"}'),
        Difference("tokens_used", "20", "10"),
        Difference("turns", "2", "1"),
        Difference("size_bytes", "900", "500"),
    ]


@pytest.mark.parametrize("file_changed", [True, False])
def test_what_never_changes_is_wrong_whether_or_not_the_file_grew(file_changed: bool) -> None:
    expected = {**ROW, "cwd": "/elsewhere", "title": None}
    assert compare_rows(ROW, expected, file_changed=file_changed) == [
        Difference("cwd", "/elsewhere", "/work"),
        Difference("title", None, "Fix the test"),
    ]


def test_where_the_file_stands_and_how_far_it_was_read_is_no_drift() -> None:
    moved = {
        **ROW,
        "key": 8,
        "rollout_path": "archived_sessions/rollout-a.jsonl.zst",
        "archived": 1,
        "compressed": 1,
    }
    assert compare_rows(ROW, moved, file_changed=False) == []


def test_a_null_of_a_heads_row_was_not_looked_for() -> None:
    heads = {**ROW, "index_state": "heads", "turns": None, "title": None}
    assert compare_rows(heads, ROW, file_changed=False) == []
    assert compare_rows(ROW, heads, file_changed=False) == []
    assert compare_rows({**heads, "cwd": "/wrong"}, ROW) == [Difference("cwd", "/work", "/wrong")]


def test_fields_of_one_side_alone_are_not_compared() -> None:
    assert compare_rows({"cwd": "/work"}, {"title": "x", "cwd": "/work"}) == []
