"""Rows of a log by query: every generation of database, every filter, and the rows asked for alone."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from log_databases import BEGIN_S, OTHER_THREAD, THREAD, log_writer, make_log, write_rows

from store import log_queries
from store.errors import LogDatabaseError
from store.log_queries import merged, query_logs
from store.log_sources import codex_logs, log_file
from store.log_table import LogTable
from store.models import LogQuery, LogRow

if TYPE_CHECKING:
    from log_databases import LogEra

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log of rows that differ in everything a query may ask for."""
    path = tmp_path / "logs_2.sqlite"
    make_log(path)
    with log_writer(path) as connection:
        write_rows(connection, ["trace"], level="TRACE", thread_id=THREAD)
        write_rows(connection, ["debug 100%"], level="DEBUG", thread_id=OTHER_THREAD, file="tui/src/app_x.rs")
        write_rows(connection, ["turn{id=7}: info"], module_path="codex_tui::App", thread_id=THREAD)
        write_rows(connection, ["Warned"], level="warn", module_path=None, file=None, target="log")
        write_rows(connection, ["error"], level="ERROR", thread_id=THREAD, ts_nanos=999_999_999)
        write_rows(connection, ["fatal"], level="FATAL")
    return path


def ids(path: Path, limit: int = 100, before_id: int | None = None, **query: Any) -> list[int]:
    found = query_logs(log_file(path), LogQuery(**query), limit=limit, before_id=before_id)
    return [row.id for row in found]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"levels": ("WARN",)}, [4]),
        ({"levels": ("WARN", "TRACE")}, [1, 4]),
        ({"min_level": "WARN"}, [4, 5, 6]),
        ({"min_level": "TRACE"}, [1, 2, 3, 4, 5, 6]),
        ({"modules": ("tui::a",)}, [3]),
        ({"modules": ("codex_tui", "LOG")}, [3, 4]),
        ({"files": ("app_x",)}, [2]),
        ({"files": ("src%",)}, []),
        ({"thread_ids": (THREAD,)}, [1, 3, 5]),
        ({"thread_ids": (THREAD, OTHER_THREAD)}, [1, 2, 3, 5]),
        ({"thread_ids": (THREAD[:8],)}, [1, 3, 5]),
        ({"threadless": True}, [4, 6]),
        ({"thread_ids": (OTHER_THREAD,), "threadless": True}, [2, 4, 6]),
        ({"text": "WARN"}, [4]),
        ({"text": "id=7"}, [3]),
        ({"text": "100%"}, [2]),
        ({"text": "%"}, [2]),
        ({"from_ms": (BEGIN_S + 2) * 1000 + 5}, [3, 4, 5, 6]),
        ({"from_ms": (BEGIN_S + 2) * 1000 + 6}, [4, 5, 6]),
        ({"to_ms": (BEGIN_S + 4) * 1000 + 998}, [1, 2, 3, 4]),
        ({"to_ms": (BEGIN_S + 4) * 1000 + 999}, [1, 2, 3, 4, 5]),
        ({"from_ms": (BEGIN_S + 1) * 1000, "to_ms": (BEGIN_S + 3) * 1000, "min_level": "INFO"}, [3]),
        ({"from_ms": (BEGIN_S + 900) * 1000}, []),
        ({"thread_ids": (THREAD,), "levels": ("ERROR",), "text": "rr", "modules": ("core",)}, [5]),
    ],
)
@pytest.mark.parametrize("slice_rows", [1, 2, 5_000])
def test_a_query_finds_what_it_asks_for(
    path: Path, query: dict[str, Any], expected: list[int], slice_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_queries, "SLICE_ROWS", slice_rows)
    assert ids(path, **query) == expected
    assert ids(path, limit=1, **query) == expected[-1:]
    assert ids(path, limit=2, before_id=5, **query) == [i for i in expected if i < 5][-2:]


@pytest.mark.parametrize("era", ["0.93", "0.105", "0.130"])
def test_every_generation_gives_the_same_rows(tmp_path: Path, era: LogEra) -> None:
    path = tmp_path / "a.sqlite"
    make_log(path, "one", "two", era=era)
    assert query_logs(log_file(path), LogQuery(), limit=1) == [
        LogRow(
            id=2,
            ts=BEGIN_S + 1,
            ts_nanos=5_000_000,
            level="INFO",
            target="codex_core::session",
            body="two",
            module_path="codex_core::session",
            file="core/src/session.rs",
            line=7,
            thread_id=None,
            process_uuid=None,
            origin="file",
        )
    ]
    assert ids(path, threadless=True) == [1, 2]


def test_a_table_with_few_columns_and_odd_values_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with log_writer(path) as connection:
        connection.execute("CREATE TABLE logs (id INTEGER PRIMARY KEY, ts, level, message)")
        connection.execute("INSERT INTO logs VALUES (1, '12', 7, x'ff41'), (2, NULL, NULL, NULL)")
    first, second = query_logs(log_file(path), LogQuery(), limit=9)
    assert (first.ts, first.ts_nanos, first.level, first.target, first.body) == (12, 0, "7", "", "\ufffdA")
    assert (second.ts, second.level, second.body, second.thread_id) == (0, "", "", None)
    assert ids(path, modules=("x",)) == []
    assert ids(path, thread_ids=(THREAD,)) == []
    assert ids(path, from_ms=1) == [1]


def test_only_the_rows_looked_for_are_looked_at(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with log_writer(path) as connection:
        write_rows(connection, [f"more {n}" for n in range(1_000)])
    monkeypatch.setattr(log_queries, "SLICE_ROWS", 100)
    asked = 0

    def stopping() -> bool:
        nonlocal asked
        asked += 1
        return False

    found = query_logs(log_file(path), LogQuery(), limit=10, stopping=stopping)
    assert [row.body for row in found] == [f"more {n}" for n in range(990, 1_000)]
    assert asked == 1
    early = query_logs(log_file(path), LogQuery(text="trace"), limit=10, stopping=stopping)
    assert [row.id for row in early] == [1]
    assert asked == 1 + 11


@pytest.mark.parametrize(
    ("query", "plan"),
    [
        (LogQuery(thread_ids=(THREAD,), from_ms=5), "USING INDEX idx_logs_thread_id (thread_id=?)"),
        (LogQuery(thread_ids=(THREAD[:9],)), "USING INDEX idx_logs_thread_id (thread_id>? AND thread_id<?)"),
        (LogQuery(from_ms=5, threadless=True), "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
    ],
)
def test_a_thread_is_found_by_its_index_and_all_else_in_slices(
    path: Path, query: LogQuery, plan: str
) -> None:
    asked: list[str] = []
    with log_writer(path) as connection:
        table = LogTable.find(connection)
        assert table is not None
        connection.set_trace_callback(asked.append)
        table.rows(query, "codex", above=0, upto=6, newest=3)
        connection.set_trace_callback(None)
        (row,) = [
            row
            for row in connection.execute(f"EXPLAIN QUERY PLAN {asked[-1]}").fetchall()
            if "SEARCH" in row[3] or "SCAN" in row[3]
        ]
    assert row[3] == f"SEARCH logs {plan}"


def test_who_stops_gets_what_was_found_until_then(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_queries, "SLICE_ROWS", 1)
    left = iter([False, False, True])
    found = query_logs(log_file(path), LogQuery(), limit=100, stopping=lambda: next(left))
    assert [row.id for row in found] == [5, 6]


def test_the_newest_log_database_is_taken(tmp_path: Path) -> None:
    source = codex_logs(tmp_path)
    assert query_logs(source, LogQuery(), limit=9) == []
    for name in ("state_5.sqlite", "logs_1.sqlite", "logs_2.sqlite", "logs_10.sqlite"):
        make_log(tmp_path / name, name)
        assert [row.body for row in query_logs(source, LogQuery(), limit=9)] == [name]
    (tmp_path / "logs_10.sqlite").unlink()
    assert [row.body for row in query_logs(source, LogQuery(), limit=9)] == ["logs_2.sqlite"]


def test_a_state_database_without_a_log_has_no_rows(tmp_path: Path) -> None:
    with log_writer(tmp_path / "state_5.sqlite") as connection:
        connection.execute("CREATE TABLE threads (id TEXT)")
    (tmp_path / "logs_2.sqlite").touch()
    assert query_logs(codex_logs(tmp_path), LogQuery(), limit=9) == []


def test_a_log_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    path = tmp_path / "logs_2.sqlite"
    path.write_bytes(b"no database " * 100)
    with pytest.raises(LogDatabaseError, match="not an SQLite database"):
        query_logs(codex_logs(tmp_path), LogQuery(), limit=9)


def test_logs_are_merged_by_time_and_keep_their_own_order(tmp_path: Path) -> None:
    rows = []
    for name, times in (("a", [10, 9, 30]), ("b", [20, 20, 40])):
        path = tmp_path / name
        make_log(path)
        with log_writer(path) as connection:
            for ts in times:
                write_rows(connection, [f"{name}{ts}"], ts=ts)
        rows.append(query_logs(log_file(path), LogQuery(), limit=9))
    assert [row.body for row in merged(rows)] == ["a10", "a9", "b20", "b20", "a30", "b40"]


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not beside the checkout")
@pytest.mark.parametrize(
    ("home", "rows", "warned"),
    [("0.98.0", 14, 3), ("0.105.0", 11, 3), ("0.130.0", 74, 6), ("0.169.0", 153, 32)],
)
def test_real_logs(tmp_path: Path, home: str, rows: int, warned: int) -> None:
    for database in (CORPUS / home).glob("*.sqlite"):
        shutil.copyfile(database, tmp_path / database.name)
    source = codex_logs(tmp_path)
    found = query_logs(source, LogQuery(), limit=1_000)
    path = source.find()
    assert path is not None
    with log_writer(path) as connection:
        connection.row_factory = sqlite3.Row
        written = connection.execute("SELECT * FROM logs ORDER BY id").fetchall()
    assert len(found) == len(written) == rows
    for row, plain in zip(found, written, strict=True):
        body = plain["feedback_log_body"] if "feedback_log_body" in plain.keys() else plain["message"]  # noqa: SIM118  # a Row iterates over values
        assert (row.id, row.ts, row.ts_nanos, row.body) == (plain["id"], plain["ts"], plain["ts_nanos"], body)
        assert (row.level, row.target, row.thread_id) == (plain["level"], plain["target"], plain["thread_id"])
    assert len(query_logs(source, LogQuery(min_level="WARN"), limit=1_000)) == warned
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name.endswith(("-wal", "-shm"))) == []
