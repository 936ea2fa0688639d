"""Codex's own state database, read in every version, without leaving a trace beside it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from codex_databases import Era, insert_statement, insert_thread, make_database, other_process

from store import codex_connection
from store.codex_connection import find_databases
from store.codex_state import CodexBackfill, CodexState, CodexThreadRow, relative_rollout_path
from store.models import DynamicTool

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

corpus = pytest.mark.corpus
needs_corpus = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="the homes that real Codex versions wrote are not here"
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "100% söme?#home"
    path.mkdir()
    return path


def writer(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path, isolation_level=None))


def files(home: Path) -> set[str]:
    return {path.name for path in home.iterdir()}


# Which file


def test_the_highest_number_of_each_family_is_taken(home: Path) -> None:
    for name in (
        "state.sqlite", "state_2.sqlite", "state_10.sqlite", "state_5.sqlite", "state_99.sqlite-wal",
        "state_x.sqlite", "logs_1.sqlite", "logs_2.sqlite", "memories_1.sqlite", "memories_v2_1.sqlite",
        "goals_1.sqlite",
    ):  # fmt: skip
        (home / name).touch()
    (home / "state_11.sqlite").mkdir()
    (home / "state_12.sqlite").symlink_to(home / "gone")
    os.mkfifo(home / "state_13.sqlite")
    found = find_databases(home)
    assert found.state == home / "state_10.sqlite"
    assert found.logs == home / "logs_2.sqlite"
    assert found.memories == (home / "memories_v2_1.sqlite", home / "memories_1.sqlite")


def test_the_unnumbered_database_of_0_93_is_the_last_choice(home: Path) -> None:
    (home / "state.sqlite").touch()
    assert find_databases(home).state == home / "state.sqlite"
    (home / "state_0.sqlite").touch()
    assert find_databases(home).state == home / "state_0.sqlite"


@pytest.mark.parametrize("missing", [True, False])
def test_a_home_without_databases_says_so(home: Path, missing: bool) -> None:
    state = CodexState(home / "missing" if missing else home)
    threads = state.read_threads()
    assert (threads.rows, threads.database) == ({}, None)
    assert threads.notice is not None
    assert threads.notice.severity == "information"
    assert state.fingerprint() is None
    assert state.read_names_and_modes().rows == []
    assert state.read_backfill().rows is None


# What the rows say


@pytest.mark.parametrize("era", ["0.93", "0.105", "0.130", "0.169"])
def test_a_row_of_each_era_is_read_and_what_it_lacks_is_none(home: Path, era: Era) -> None:
    make_database(home / "state_5.sqlite", era, "a")
    read = CodexState(home).read_threads()
    assert read.notice is None
    assert read.database == "state_5.sqlite"
    added = {
        "0.93": {"preview": "Fix the test"},
        "0.105": {"cli_version": "", "first_user_message": "", "preview": ""},
    }
    added["0.130"] = {**added["0.105"], "memory_mode": "enabled"}
    added["0.169"] = {**added["0.130"], "history_mode": "legacy"}
    nothing = dict.fromkeys(CodexThreadRow._fields)
    expected = {
        **nothing,
        "id": "a",
        "rollout_path": "/home/dev/.codex/sessions/2026/11/22/rollout-x.jsonl",
        "created_at": 1_795_389_000_000,
        "updated_at": 1_795_389_060_000,
        "source": "cli",
        "model_provider": "openai",
        "cwd": "/home/dev/src",
        "title": "Fix the test",
        "sandbox_policy": '{"type":"read-only"}',
        "approval_mode": "never",
        "tokens_used": 0,
        "archived": False,
        **added[era],
    }
    assert read.rows["a"]._asdict() == expected


def test_milliseconds_are_taken_where_they_are(home: Path) -> None:
    path = home / "state_5.sqlite"
    make_database(path, "0.130")
    with writer(path) as connection:
        insert_thread(connection, "exact", created_at_ms=1_795_389_000_123, updated_at_ms=1_795_389_060_456)
        insert_thread(connection, "by an older Codex", created_at_ms=None, updated_at_ms=None)
    rows = CodexState(home).read_threads().rows
    assert (rows["exact"].created_at, rows["exact"].updated_at) == (1_795_389_000_123, 1_795_389_060_456)
    older = rows["by an older Codex"]
    assert (older.created_at, older.updated_at) == (1_795_389_000_000, 1_795_389_060_000)


def test_preview_falls_back_to_the_first_message_column(home: Path) -> None:
    path = home / "state_5.sqlite"
    make_database(path, "0.105")
    with writer(path) as connection:
        insert_thread(connection, "a", first_user_message="please fix it")
    assert CodexState(home).read_threads().rows["a"].preview == "please fix it"


def test_values_of_another_type_do_not_break_a_row(home: Path) -> None:
    path = home / "state_5.sqlite"
    make_database(path, "0.169")
    with writer(path) as connection:
        insert_thread(connection, None, title="an id that is null")
        insert_thread(
            connection,
            b"blob-id",
            title=b"ill \xff formed",
            cwd=7,
            tokens_used="many",
            archived="1",
            created_at=2**62,
        )
        insert_thread(connection, "nul", title="a\x00b")
    read = CodexState(home).read_threads()
    assert read.notice is None
    assert set(read.rows) == {"blob-id", "nul"}
    row = read.rows["blob-id"]
    assert (row.title, row.cwd, row.tokens_used, row.archived) == ("ill \ufffd formed", "7", 0, True)
    assert isinstance(row.created_at, int)
    assert read.rows["nul"].title == "a\x00b"


def test_names_and_modes_alone(home: Path) -> None:
    path = home / "state_5.sqlite"
    make_database(path, "0.169", "plain")
    with writer(path) as connection:
        insert_thread(connection, "named", name="Ticket T-42", memory_mode="polluted")
    assert sorted(CodexState(home).read_names_and_modes().rows) == [
        ("named", "Ticket T-42", "polluted"),
        ("plain", None, "enabled"),
    ]


def test_names_and_modes_before_there_were_any(home: Path) -> None:
    make_database(home / "state_2.sqlite", "0.93", "a")
    assert CodexState(home).read_names_and_modes().rows == [("a", None, None)]


def test_what_the_other_tables_say(home: Path) -> None:
    path = home / "state_5.sqlite"
    make_database(path, "0.130", "a", "b")
    with writer(path) as connection:
        connection.executescript(
            """
            CREATE TABLE backfill_state (id INTEGER PRIMARY KEY CHECK (id = 1), status TEXT NOT NULL,
              last_watermark TEXT, last_success_at INTEGER, updated_at INTEGER NOT NULL);
            INSERT INTO backfill_state VALUES (1, 'running', 'sessions/2026/x.jsonl', NULL, 1795389000);
            CREATE TABLE thread_spawn_edges (parent_thread_id TEXT, child_thread_id TEXT PRIMARY KEY,
              status TEXT);
            INSERT INTO thread_spawn_edges VALUES ('a', 'b', 'open');
            CREATE TABLE thread_dynamic_tools (thread_id TEXT, position INTEGER, name TEXT, description TEXT,
              input_schema TEXT, defer_loading INTEGER NOT NULL DEFAULT 0, namespace TEXT,
              PRIMARY KEY (thread_id, position));
            INSERT INTO thread_dynamic_tools VALUES
              ('a', 1, 'close', 'Closes', 'not json', 1, 'tickets'),
              ('a', 0, 'open', NULL, '{"type":"object"}', 0, NULL),
              ('b', 0, 'other', NULL, NULL, 0, NULL);
            """
        )
    state = CodexState(home)
    assert state.read_backfill().rows == CodexBackfill(
        "running", "sessions/2026/x.jsonl", None, 1_795_389_000_000
    )
    assert state.read_migration().rows == 31
    assert state.read_spawn_edges().rows == [("a", "b", "open")]
    assert state.read_dynamic_tools("a").rows == (
        DynamicTool(position=0, name="open", input_schema={"type": "object"}, defer_loading=False),
        DynamicTool(
            position=1,
            name="close",
            description="Closes",
            input_schema="not json",
            defer_loading=True,
            namespace="tickets",
        ),
    )
    assert state.read_dynamic_tools("nobody").rows == ()


def test_tables_that_are_not_there_are_empty_without_a_notice(home: Path) -> None:
    make_database(home / "state.sqlite", "0.93", "a")
    state = CodexState(home)
    for read in (state.read_backfill(), state.read_spawn_edges(), state.read_dynamic_tools("a")):
        assert not read.rows
        assert read.notice is None


# How it is opened


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_database_at_rest_is_read_without_a_trace(home: Path, journal: str) -> None:
    path = home / "state_5.sqlite"
    make_database(path, "0.169", "a", journal=journal)
    before = (files(home), path.stat())
    assert set(CodexState(home).read_threads().rows) == {"a"}
    after = (files(home), path.stat())
    assert after[0] == before[0] == {"state_5.sqlite"}
    assert (after[1].st_mtime_ns, after[1].st_ino) == (before[1].st_mtime_ns, before[1].st_ino)


def test_everything_in_the_wal_of_a_live_codex_is_read(home: Path) -> None:
    path = home / "state_5.sqlite"
    with writer(path) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
    make_database(home / "elsewhere.sqlite", "0.169")
    with closing(sqlite3.connect(home / "elsewhere.sqlite")) as connection:
        statements = [
            row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
        ]
    (home / "elsewhere.sqlite").unlink()
    with other_process(path, "PRAGMA wal_autocheckpoint = 0", *statements, insert_statement("in the wal")):
        assert path.stat().st_size == 4096
        wal = (home / "state_5.sqlite-wal").read_bytes()
        assert len(wal) > 4096
        assert set(CodexState(home).read_threads().rows) == {"in the wal"}
        assert (home / "state_5.sqlite-wal").read_bytes() == wal
        assert path.stat().st_size == 4096


def test_a_commit_during_an_immutable_read_makes_it_read_again(home: Path) -> None:
    path = home / "state_5.sqlite"
    make_database(path, "0.169", "first")
    counts: list[int] = []
    with writer(path) as connection:

        def unit(reader: sqlite3.Connection) -> int:
            if not counts:
                insert_thread(connection, "second")
            counts.extend(reader.execute("SELECT count(*) FROM threads").fetchone())
            return counts[-1]

        assert codex_connection.read(path, unit) == 2
    assert counts == [1, 2]


def test_a_live_wal_is_left_whole_and_can_be_checkpointed_after_a_read(home: Path) -> None:
    path = home / "state_5.sqlite"
    make_database(path, "0.169", "a")
    with writer(path) as connection:
        insert_thread(connection, "b")
        wal = path.with_name("state_5.sqlite-wal")
        before = wal.read_bytes()
        assert set(CodexState(home).read_threads().rows) == {"a", "b"}
        assert wal.read_bytes() == before
        # (busy, frames in the log, frames checkpointed): a reader that stayed would make it busy.
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)


def test_a_dead_codexs_wal_is_read_where_it_lies(home: Path) -> None:
    path = home / "state_5.sqlite"
    make_database(path, "0.169", "a")
    with other_process(path, insert_statement("before the crash")) as process:
        process.kill()
        process.wait()
    wal = path.with_name("state_5.sqlite-wal").read_bytes()
    assert set(CodexState(home).read_threads().rows) == {"a", "before the crash"}
    assert path.with_name("state_5.sqlite-wal").read_bytes() == wal
    assert files(home) == {"state_5.sqlite", "state_5.sqlite-wal", "state_5.sqlite-shm"}


def test_a_linked_database_is_read_with_the_wal_beside_its_target(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "real.sqlite"
    make_database(target, "0.169", "a")
    (home / "state_5.sqlite").symlink_to(target)
    with writer(target) as connection:
        insert_thread(connection, "b")
        assert set(CodexState(home).read_threads().rows) == {"a", "b"}
    assert files(home) == {"state_5.sqlite"}


def test_the_fingerprint_moves_with_each_commit_and_never_by_reading(home: Path) -> None:
    path = home / "state_5.sqlite"
    make_database(path, "0.169", "a")
    state = CodexState(home)
    seen = [state.fingerprint()]
    state.read_threads()
    assert state.fingerprint() == seen[0]
    with writer(path) as connection:
        for thread_id in ("b", "c"):
            insert_thread(connection, thread_id)
            state.read_threads()
            assert state.fingerprint() not in seen
            seen.append(state.fingerprint())
            assert state.fingerprint() == seen[-1]


# Where its rollouts are


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("/home/dev/.codex/sessions/2026/11/22/rollout-x.jsonl", "sessions/2026/11/22/rollout-x.jsonl"),
        ("/home/dev/.codex/archived_sessions/rollout-x.jsonl", "archived_sessions/rollout-x.jsonl"),
        ("/data/sessions/home/sessions/2026/11/22/r.jsonl", "sessions/2026/11/22/r.jsonl"),
        ("sessions/2026/11/22/r.jsonl", "sessions/2026/11/22/r.jsonl"),
        ("/h//sessions//2026/./r.jsonl", "sessions/2026/r.jsonl"),
        (r"C:\Users\dev\.codex\sessions\2026\11\22\r.jsonl", "sessions/2026/11/22/r.jsonl"),
        (r"\\?\C:\Users\dev\.codex\archived_sessions\r.jsonl", "archived_sessions/r.jsonl"),
        ("/home/dev/.codex/sessions/2026/back\\slash.jsonl", "sessions/2026/back\\slash.jsonl"),
        ("/home/dev/.codex/sessions/../../etc/passwd", None),
        ("/home/dev/.codex/sessions", None),
        ("/home/dev/.codex/sessions/", None),
        ("/home/dev/mysessions/r.jsonl", None),
        ("", None),
    ],
)
def test_a_stored_path_is_taken_below_whichever_home(stored: str, expected: str | None) -> None:
    assert relative_rollout_path(stored) == expected


# What real Codex versions left

IN_CORPUS = [
    ("0.98.0", "state_2.sqlite", 21, 6),
    ("0.105.0", "state_5.sqlite", 20, 17),
    ("0.130.0", "state_5.sqlite", 20, 31),
    ("0.130.0-memories", "state_5.sqlite", 21, 31),
    ("0.130.0-memory-errors", "state_5.sqlite", 21, 31),
    ("0.169.0", "state_5.sqlite", 20, 62),
    ("0.169.0-memories-v1", "state_5.sqlite", 21, 62),
    ("0.169.0-zst", "state_5.sqlite", 21, 62),
]


@corpus
@needs_corpus
@pytest.mark.parametrize(("version", "database", "count", "migration"), IN_CORPUS)
def test_each_real_database_is_read_whole(
    home: Path, version: str, database: str, count: int, migration: int
) -> None:
    shutil.copy(CORPUS / version / database, home)
    state = CodexState(home)
    read = state.read_threads()
    assert (read.notice, read.database, len(read.rows)) == (None, database, count)
    assert state.read_migration().rows == migration
    assert len(state.read_names_and_modes().rows) == count
    assert files(home) == {database}
    with closing(sqlite3.connect(home / database)) as connection:
        connection.row_factory = sqlite3.Row
        raw = {row["id"]: row for row in connection.execute("SELECT * FROM threads")}
    assert set(raw) == set(read.rows)
    for thread_id, row in read.rows.items():
        columns = raw[thread_id].keys()
        for field, value in row._asdict().items():
            if field in columns and field not in ("created_at", "updated_at"):
                assert value == raw[thread_id][field], field
        assert row.created_at is not None
        assert row.created_at // 1000 == raw[thread_id]["created_at"]
        relative = relative_rollout_path(row.rollout_path)
        assert relative is not None
        assert relative.startswith("archived_sessions/" if row.archived else "sessions/")
        if (CORPUS / version / "sessions").is_dir():
            rollout = CORPUS / version / relative
            assert rollout.exists() or rollout.with_name(f"{rollout.name}.zst").exists()


@corpus
@needs_corpus
def test_what_else_a_real_database_says(home: Path) -> None:
    shutil.copy(CORPUS / "0.130.0" / "state_5.sqlite", home)
    state = CodexState(home)
    (edge,) = state.read_spawn_edges().rows
    rows = state.read_threads().rows
    assert edge.status == "open"
    assert edge.parent_thread_id in (rows[edge.child_thread_id].source or "")
    tools = state.read_dynamic_tools("01a20588-2565-7b80-8b46-ac9c31ffc8fd").rows
    assert [(tool.position, tool.name) for tool in tools] == [(0, "lookup_ticket"), (1, "close_ticket")]
    assert tools[0].input_schema["required"] == ["id"]
    backfill = state.read_backfill().rows
    assert backfill is not None
    assert (backfill.status, backfill.last_success_at) == ("complete", 1_795_389_131_000)


@corpus
@needs_corpus
@pytest.mark.parametrize("version", ["0.20.0", "0.36.0"])
def test_homes_older_than_any_database(version: str) -> None:
    read = CodexState(CORPUS / version).read_threads()
    assert read.rows == {}
    assert read.notice is not None
    assert read.notice.severity == "information"
