from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from building import BEGIN_MS

from store.demo import demo_home, make_home
from store.demo.codex_log import KEPT_MS
from store.log_messages import message_of
from store.log_queries import query_logs
from store.log_sources import codex_logs
from store.models import LogQuery
from store.rollouts.metadata import read_full, read_heads
from store.rollouts.scan import scan_home
from store.rollouts.source import open_decoded

if TYPE_CHECKING:
    from pathlib import Path

    from store.demo.many import Size
    from store.rollouts.facts import RolloutFacts
    from store.rollouts.scan import RolloutFile

NOW_MS = BEGIN_MS + 400 * 86_400_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / ".codex"
    demo_home(folder, NOW_MS)
    return folder


@pytest.fixture(scope="module")
def files(home: Path) -> tuple[RolloutFile, ...]:
    scan = scan_home(home)
    assert scan.unreadable == scan.refused == ()
    return scan.files


@pytest.fixture(scope="module")
def facts(home: Path, files: tuple[RolloutFile, ...]) -> dict[str, RolloutFacts]:
    return {file.path: read_full(home, file).facts for file in files}


def contents(home: Path) -> dict[str, bytes]:
    """Every file but the databases, whose bytes are SQLite's own affair; none says where the home is."""
    return {
        str(path.relative_to(home)): path.read_bytes().replace(bytes(home), b"<home>")
        for path in home.rglob("*")
        if path.is_file() and ".sqlite" not in path.name
    }


def codex_rows(home: Path) -> dict[str, sqlite3.Row]:
    with closing(sqlite3.connect(f"file:{home}/state_5.sqlite?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return {row["id"]: row for row in connection.execute("SELECT * FROM threads")}


def memory_tables(home: Path) -> list[list[tuple[object, ...]]]:
    with closing(sqlite3.connect(f"file:{home}/memories_v2_1.sqlite?mode=ro", uri=True)) as connection:
        return [
            connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
            for table in ("jobs", "stage1_outputs", "consolidation_progress")
        ]


def test_the_demo_home_follows_from_the_time_alone(home: Path, tmp_path: Path) -> None:
    demo_home(tmp_path / "again", NOW_MS)

    assert contents(tmp_path / "again") == contents(home)
    assert memory_tables(tmp_path / "again") == memory_tables(home)


def test_every_kind_of_thread_is_there(
    files: tuple[RolloutFile, ...], facts: dict[str, RolloutFacts]
) -> None:
    assert 55 <= len(files) <= 70
    everything = facts.values()
    assert {fact.cli_version for fact in everything} == {None, "0.36.0", "0.105.0", "0.130.0", "0.169.0"}
    assert {fact.source for fact in everything} >= {"cli", "vscode", "exec", "mcp", "subagent"}
    assert sum(file.archived for file in files) >= 3
    assert sum(file.compressed for file in files) >= 2
    assert any(fact.tools for fact in everything)
    assert any(fact.forked_from_id for fact in everything)
    assert any(problem.kind == "unfinished_line" for fact in everything for problem in fact.problems)
    assert sum(fact.bad_lines or 0 for fact in everything) >= 2
    assert sum(fact.unknown_records or 0 for fact in everything) >= 1
    ids = {fact.thread_id for fact in everything}
    parents = {fact.parent_thread_id for fact in everything} - {None}
    assert parents
    assert parents <= ids


def test_titles_are_prompts_and_differ(facts: dict[str, RolloutFacts]) -> None:
    own = [fact.title for fact in facts.values() if fact.forked_from_id is None]

    assert all(own)
    assert len(set(own)) == len(own)


def test_no_thread_is_from_the_future(facts: dict[str, RolloutFacts], files: tuple[RolloutFile, ...]) -> None:
    for file in files:
        assert file.mtime_ns <= NOW_MS * 1_000_000
        updated_at = facts[file.path].updated_at
        assert updated_at is None or updated_at * 1_000_000 == file.mtime_ns


def test_the_head_of_a_thread_says_what_the_whole_says(
    home: Path, files: tuple[RolloutFile, ...], facts: dict[str, RolloutFacts]
) -> None:
    for file in files:
        head, whole = read_heads(home, file).facts, facts[file.path]
        for field in ("title", "cwd", "model", "source", "tokens_used", "created_at", "git_branch"):
            found = getattr(head, field)
            assert found is None or found == getattr(whole, field), (file.path, field)


@pytest.mark.parametrize("threads", [None, 250])
def test_codex_rows_say_what_the_rollouts_say(tmp_path: Path, threads: int | None) -> None:
    home = tmp_path / "home"
    if threads is None:
        demo_home(home, NOW_MS)
    else:
        make_home(home, threads, now_ms=NOW_MS)
    rows = codex_rows(home)
    assert len(rows) > 40
    by_id = {file.thread_id: read_full(home, file).facts for file in scan_home(home).files}
    for thread_id, row in rows.items():
        fact = by_id[thread_id]
        for field in (
            *("cwd", "title", "first_user_message", "model_provider", "model", "reasoning_effort"),
            *("cli_version", "approval_mode", "git_sha", "git_branch", "agent_nickname", "agent_role"),
        ):
            assert row[field] == getattr(fact, field), (thread_id, field)
        assert row["tokens_used"] == (fact.tokens_used or 0)
        assert row["updated_at_ms"] == fact.updated_at
        assert row["created_at_ms"] == fact.created_at


def test_a_paginated_fork_points_at_a_line_end_of_its_parent(tmp_path: Path) -> None:
    home = tmp_path / "home"
    make_home(home, 600, seed=3, now_ms=NOW_MS)
    by_id = {file.thread_id: file for file in scan_home(home).files}
    bases = [
        (json.loads(fact.history_base), fact)
        for fact in (read_heads(home, file).facts for file in by_id.values())
        if fact.history_base is not None
    ]
    assert bases
    for base, _ in bases:
        parent = by_id[base["thread_id"]]
        with open_decoded(home / parent.path, offset=0) as source:
            data = source.read(base["end_byte_offset"])
        lines = data.splitlines()
        assert data.endswith(b"\n")
        assert json.loads(lines[-1])["ordinal"] == base["end_ordinal_exclusive"] - 1
        assert json.loads(lines[-1])["payload"]["type"] == "task_complete"


@pytest.mark.parametrize("size", ["realistic", "small"])
def test_a_home_has_exactly_so_many_threads(tmp_path: Path, size: Size) -> None:
    for threads in (0, 1, 90):
        home = tmp_path / f"{threads}"
        make_home(home, threads, size=size, now_ms=NOW_MS)
        files = scan_home(home).files
        assert len(files) == threads
        assert len({file.thread_id for file in files}) == threads


def test_a_seed_makes_the_same_home_again_and_another_seed_another(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        make_home(tmp_path / name, 40, seed=seed, now_ms=NOW_MS)

    assert contents(tmp_path / "one") == contents(tmp_path / "same")
    assert contents(tmp_path / "one").keys() != contents(tmp_path / "other").keys()


def test_sizes_are_long_tailed_or_small(tmp_path: Path) -> None:
    make_home(tmp_path / "realistic", 300, now_ms=NOW_MS)
    make_home(tmp_path / "small", 300, size="small", now_ms=NOW_MS)
    realistic = sorted(file.size for file in scan_home(tmp_path / "realistic").files)
    small = [file.size for file in scan_home(tmp_path / "small").files]

    assert 100_000 < sum(realistic) / 300 < 260_000
    assert realistic[150] < sum(realistic) / 300
    assert realistic[-1] > 1_000_000
    assert max(small) < 20_000


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text("mine")

    with pytest.raises(FileExistsError):
        demo_home(tmp_path, NOW_MS)
    assert [path.name for path in tmp_path.iterdir()] == ["auth.json"]


def test_the_log_has_what_went_wrong_in_threads_that_ran_lately_and_not_with_exec(
    home: Path, facts: dict[str, RolloutFacts]
) -> None:
    rows = query_logs(codex_logs(home), LogQuery(), limit=100_000)
    sources = {fact.thread_id: fact.source for fact in facts.values()}
    threads = {row.thread_id for row in rows if row.thread_id is not None}
    assert len(threads) >= 10
    assert {sources[thread] for thread in threads} >= {"cli", "vscode"}
    assert "exec" not in {sources[thread] for thread in threads}
    assert {row.level for row in rows} >= {"DEBUG", "INFO", "WARN"}
    assert all(NOW_MS - KEPT_MS <= row.at <= NOW_MS for row in rows)
    assert [row.at for row in rows] == sorted(row.at for row in rows)
    failed = [row for row in rows if "exit_code=1 " in row.body]
    assert failed
    assert all(row.level == "WARN" and message_of(row.body).startswith("tool call") for row in failed)
