"""Codex's own memory pipeline, as its databases of several versions tell of it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from codex_databases import (
    insert_consolidation,
    insert_job,
    insert_output,
    insert_thread,
    make_database,
    make_memories,
    other_process,
)

from store.home import CodexHome, find_home
from store.memories.codex_pipeline import codex_owns, folder_codex_reads, read_codex_pipelines
from store.memories.codex_precheck import precheck

if TYPE_CHECKING:
    from store.memories.models import Pipeline

NOW = 1_795_400_000
HOUR, DAY = 3600, 24 * 3600

EARLY, MIGRATION_0106, BETWEEN, MIGRATION_0130 = 17, 18, 25, 31
CORPUS = Path(__file__).parents[4] / "shared" / "corpus"


@pytest.fixture
def home(tmp_path: Path) -> CodexHome:
    folder = tmp_path / "codex home"
    folder.mkdir()
    return find_home(folder, env={})


def state(home: CodexHome, migration: int) -> sqlite3.Connection:
    """The state database of a version that kept its jobs there."""
    path = home.path / "state_5.sqlite"
    make_database(path, "0.105" if migration < 20 else "0.130")
    return make_memories(path, migration)


def only(home: CodexHome, **options: Any) -> Pipeline:
    (pipeline,) = read_codex_pipelines(home, now_s=NOW, **options)
    return pipeline


def test_a_job_has_the_state_that_codexs_next_start_makes_of_it(home: CodexHome) -> None:
    jobs: dict[str, dict[str, Any]] = {
        "done": {"status": "done"},
        "running": {"status": "running", "lease_until": NOW + 1},
        "abandoned": {"status": "running", "lease_until": NOW},
        "abandoned 2": {"status": "running", "lease_until": None},
        "waits": {"status": "error", "retry_at": NOW + 1, "retry_remaining": 1},
        "retriable": {"status": "error", "retry_at": NOW, "retry_remaining": 1},
        "gave up": {"status": "error", "retry_at": NOW + 1, "retry_remaining": 0},
        "pending": {"status": "something new"},
    }
    with closing(state(home, MIGRATION_0130)) as connection:
        for key, columns in jobs.items():
            insert_job(connection, key, **columns)

    rows = {row.job.job_key: row for row in only(home).jobs}

    assert {key: row.state for key, row in rows.items()} == {key: key.rstrip(" 2") for key in jobs}
    assert {(row.owner, row.host, row.pid) for row in rows.values()} == {("codex", None, None)}
    assert rows["pending"].job.status == "something new"


def test_jobs_come_with_all_columns_the_consolidation_first_then_the_newest(home: CodexHome) -> None:
    columns = {
        "status": "error",
        "worker_id": "01a2-worker",
        "ownership_token": "token",
        "started_at": NOW - 5,
        "finished_at": NOW - 4,
        "lease_until": None,
        "retry_at": NOW + 9,
        "retry_remaining": 2,
        "last_error": "EOF while parsing a string",
        "input_watermark": 7,
        "last_success_watermark": 3,
    }
    with closing(state(home, MIGRATION_0130)) as connection:
        insert_job(connection, "older", started_at=NOW - 90)
        insert_job(connection, "newer", **columns)
        insert_consolidation(connection, started_at=NOW - 900)

    rows = only(home, titles=lambda ids: {ids[0]: ("Fix it", "/src")}).jobs

    assert [row.job.job_key for row in rows] == ["global", "newer", "older"]
    assert rows[1].job.model_dump() == {"kind": "memory_stage1", "job_key": "newer"} | columns
    assert [(row.thread_title, row.cwd) for row in rows] == [(None, None), ("Fix it", "/src"), (None, None)]


@pytest.mark.parametrize(
    ("migration", "columns", "expected"),
    [
        # 0.105: what was enqueued is due by its watermark, and nothing rests after a success.
        (EARLY, {"status": "pending", "finished_at": NOW, "input_watermark": 9}, ("pending", True)),
        (EARLY, {"finished_at": NOW, "input_watermark": 8}, ("done", False)),
        (EARLY, {"status": "error", "retry_remaining": 0, "input_watermark": 9}, ("error", True)),
        # 0.130: it rests for six hours, to the second, whatever is enqueued meanwhile.
        (MIGRATION_0130, {"status": "pending", "finished_at": NOW - 6 * HOUR + 1}, ("cooling down", False)),
        (MIGRATION_0130, {"finished_at": NOW - 6 * HOUR + 1}, ("cooling down", False)),
        (MIGRATION_0130, {"status": "pending", "finished_at": NOW - 6 * HOUR}, ("pending", False)),
        # A failure is followed by no rest, even once something new was enqueued.
        (MIGRATION_0130, {"status": "pending", "finished_at": NOW, "last_error": "x"}, ("pending", False)),
        (MIGRATION_0130, {"status": "running", "lease_until": NOW + 1}, ("running", False)),
        (MIGRATION_0130, {"status": "running", "lease_until": NOW}, ("abandoned", False)),
        # What Codex does between the two is not known: no rest is claimed.
        (BETWEEN, {"finished_at": NOW}, ("done", False)),
    ],
)
def test_consolidation_stands_where_the_rules_of_its_version_put_it(
    home: CodexHome, migration: int, columns: dict[str, Any], expected: tuple[str, bool]
) -> None:
    with closing(state(home, migration)) as connection:
        insert_consolidation(connection, **{"last_success_watermark": 8} | columns)

    phase2 = only(home).phase2

    assert (phase2.state, phase2.dirty) == expected
    cooling = expected[0] == "cooling down"
    assert phase2.cooldown_until == (columns["finished_at"] + 6 * HOUR if cooling else None)


def test_a_consolidation_that_failed_three_times_gave_up_only_up_to_0_115(home: CodexHome) -> None:
    for migration, expected in ((EARLY, "gave up"), (MIGRATION_0130, "retriable")):
        with closing(state(home, migration)) as connection:
            insert_consolidation(connection, status="error", retry_remaining=0, retry_at=NOW - 1)
        assert only(home).jobs[0].state == expected
        (home.path / "state_5.sqlite").unlink()


def test_new_inputs_are_those_made_since_the_last_success_began(home: CodexHome) -> None:
    with closing(state(home, MIGRATION_0130)) as connection:
        insert_consolidation(connection, started_at=NOW - 100, finished_at=NOW - 50, last_success_watermark=5)
        insert_output(connection, "read", source_updated_at=5, generated_at=NOW - 100)
        insert_output(
            connection, "blank", source_updated_at=6, generated_at=NOW, raw_memory=" ", rollout_summary=""
        )
        insert_output(connection, "made meanwhile", source_updated_at=7, generated_at=NOW - 70, raw_memory="")
        insert_output(connection, "made since", source_updated_at=8, generated_at=NOW - 10)

    pipeline = only(home)

    assert (pipeline.outputs, pipeline.phase2.new_inputs, pipeline.phase2.new_since) == (4, 2, NOW - 70)
    assert pipeline.phase2.dirty
    assert pipeline.phase2.last_success_at == NOW - 50


def test_no_secret_in_an_error_is_shown(home: CodexHome) -> None:
    with closing(state(home, MIGRATION_0130)) as connection:
        insert_job(connection, "one", status="error", last_error=f"401 for sk-proj-{'a1B2' * 12}")

    (row,) = only(home).jobs

    assert row.job.last_error == "401 for [redacted: api key]"


def test_after_a_failure_new_inputs_are_those_that_no_success_has_read(home: CodexHome) -> None:
    with closing(state(home, MIGRATION_0130)) as connection:
        insert_consolidation(connection, status="error", last_error="failed_agent", last_success_watermark=5)
        insert_output(connection, "read", source_updated_at=5, selected_for_phase2_source_updated_at=5)
        insert_output(connection, "grown", source_updated_at=9, selected_for_phase2_source_updated_at=5)
        insert_output(connection, "new", source_updated_at=3)

    phase2 = only(home).phase2

    assert (phase2.state, phase2.new_inputs, phase2.last_success_at) == ("error", 2, None)


def test_what_a_version_does_not_have_yet_is_not_missed(home: CodexHome) -> None:
    """0.101's outputs have no slug and no selection; a table of a migration cut short may lack anything."""
    path = home.path / "state_5.sqlite"
    make_database(path, "0.93")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(
            """
            CREATE TABLE stage1_outputs (thread_id TEXT PRIMARY KEY, source_updated_at INTEGER);
            CREATE TABLE jobs (kind TEXT, job_key TEXT, status TEXT, surplus TEXT);
            INSERT INTO stage1_outputs VALUES ('a', 'no number'), (NULL, 1);
            INSERT INTO jobs VALUES ('memory_stage1', 'a', 'error', ''), ('memory_stage1', NULL, 'done', '');
            DELETE FROM _sqlx_migrations;
            INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                VALUES (8, '', 1, x'', 1), (9, '', 0, x'', 1);
            """
        )

    pipeline = only(home)

    assert [(row.job.job_key, row.state) for row in pipeline.jobs] == [("a", "gave up")]
    assert pipeline.outputs == 1
    assert pipeline.notice is None
    assert any("at most 64 threads" in line for line in pipeline.waits)


def test_there_is_a_pipeline_for_each_database_with_the_tables(home: CodexHome) -> None:
    assert read_codex_pipelines(home, now_s=NOW) == ()
    make_database(home.path / "state_5.sqlite", "0.169")
    assert read_codex_pipelines(home, now_s=NOW) == ()

    make_memories(home.path / "memories_1.sqlite").close()
    make_memories(home.path / "memories_v2_1.sqlite").close()

    found = read_codex_pipelines(home, now_s=NOW)
    assert [(pipeline.database, Path(pipeline.root).name) for pipeline in found] == [
        ("memories_v2_1.sqlite", "memories_v2"),
        ("memories_1.sqlite", "memories"),
    ]
    assert not any(pipeline.managed_root for pipeline in found)


@pytest.mark.parametrize(
    ("version", "resting"), [(None, "memories"), ("v1", "memories_v2"), ("v2", "memories")]
)
def test_of_two_databases_the_one_that_config_does_not_choose_rests(
    home: CodexHome, version: str | None, resting: str
) -> None:
    make_memories(home.path / "memories_1.sqlite").close()
    make_memories(home.path / "memories_v2_1.sqlite").close()
    if version is not None:
        (home.path / "config.toml").write_text(f'[memories]\nversion = "{version}"\n')

    left_alone = [
        Path(pipeline.root).name
        for pipeline in read_codex_pipelines(home, now_s=NOW)
        if any("leaves this database alone" in line for line in pipeline.waits)
    ]

    assert left_alone == [resting]


IDLE, AGE, PER_START = "min_rollout_idle_hours", "max_rollout_age_days", "max_rollouts_per_startup"
OURS, ITS = "(config.toml)", "(Codex's default)"


@pytest.mark.parametrize(
    ("migration", "config", "expected"),
    [
        (8, "", (f"idle for 12 hours or more {ITS}, at most 30 days old {ITS}", f"64 threads {ITS}")),
        (10, f"[memories]\n{IDLE} = 2\n", (f"idle for 12 hours or more {ITS}", f"8 threads {ITS}")),
        (EARLY, "", (f"idle for 6 hours or more {ITS}, at most 30 days old {ITS}", f"16 threads {ITS}")),
        (
            MIGRATION_0130,
            "",
            (f"idle for 6 hours or more {ITS}, at most 10 days old {ITS}", f"2 threads {ITS}"),
        ),
        (
            MIGRATION_0130,
            f"[memories]\n{IDLE} = 1\n{PER_START} = 999\n{AGE} = 3\n",
            (f"idle for 1 hour or more {OURS}, at most 3 days old {OURS}", f"128 threads {OURS}"),
        ),
        (MIGRATION_0130, f"[memories]\n{IDLE} = true\n", (f"idle for 6 hours or more {ITS}",)),
        (BETWEEN, "", ("Codex 0.116 to 0.129 has written this database", "only known in part")),
        (BETWEEN, f"[memories]\n{IDLE} = 3\n", (f"from threads idle for 3 hours or more {OURS}",)),
        (MIGRATION_0130, "", ("config.toml does not turn the feature `memories` on",)),
        (MIGRATION_0130, "[memories]\ngenerate_memories = false\n", ("generate_memories = false",)),
        (MIGRATION_0130, "[memories\n", ("config.toml cannot be read",)),
    ],
)
def test_waits_are_true_of_the_version_that_wrote_the_database(
    home: CodexHome, migration: int, config: str, expected: tuple[str, ...]
) -> None:
    state(home, migration).close()
    if config:
        (home.path / "config.toml").write_text(config)

    lines = only(home).waits

    for words in expected:
        assert any(words in line for line in lines), lines


def test_what_is_not_known_of_a_version_is_not_said(home: CodexHome) -> None:
    with closing(state(home, BETWEEN)) as connection:
        insert_consolidation(connection, finished_at=NOW)

    pipeline = only(home)

    assert pipeline.waiting is None
    assert not any("idle for" in line or "at most" in line for line in pipeline.waits)
    assert "Whether Codex 0.116 to 0.129 rests after a success is not known" in pipeline.waits


def test_a_database_of_a_later_codex_is_said_to_be_one(home: CodexHome) -> None:
    make_memories(home.path / "memories_1.sqlite", migration=3).close()

    assert any("A newer Codex" in line for line in only(home).waits)


def test_the_feature_is_found_under_both_its_names(home: CodexHome) -> None:
    state(home, MIGRATION_0130).close()
    for name in ("memories", "memory_tool"):
        (home.path / "config.toml").write_text(f"[features]\n{name} = true\n")
        assert not any("does not turn" in line for line in only(home).waits)


def test_each_kind_of_failed_or_running_job_says_what_becomes_of_it(home: CodexHome) -> None:
    with closing(state(home, MIGRATION_0130)) as connection:
        insert_job(connection, "a", status="running", lease_until=NOW + 9)
        insert_job(connection, "b", status="running", lease_until=NOW - 9)
        insert_job(connection, "c", status="error", retry_at=NOW + 9)
        insert_job(connection, "d", status="error", retry_at=NOW + 9)
        insert_job(connection, "e", status="error", retry_at=NOW - 9)
        insert_job(connection, "f", status="error", retry_remaining=0)
        insert_consolidation(
            connection, status="error", last_error="failed_invalid_artifacts", retry_at=NOW + 9
        )

    lines = only(home).waits[-6:]

    assert [line.split(" ", 2)[:2] for line in lines[:5]] == [
        ["1", "extraction"],
        ["1", "extraction"],
        ["2", "extractions"],
        ["1", "extraction"],
        ["1", "extraction"],
    ]
    assert "not the process" in lines[0]
    assert "lease that has run out" in lines[1]
    assert "only when the thread has grown" in lines[4]
    assert "failed_invalid_artifacts: the agent left no valid memory_summary.md" in lines[5]


def test_threads_that_an_extraction_would_take_are_counted_to_the_second(home: CodexHome) -> None:
    threads: dict[str, dict[str, Any]] = {
        "just idle": {"updated_at": NOW - 6 * HOUR},
        "not idle": {"updated_at": NOW - 6 * HOUR + 1},
        "just young": {"updated_at": NOW - 10 * DAY},
        "too old": {"updated_at": NOW - 10 * DAY - 1},
        "by its ms": {"updated_at": NOW, "updated_at_ms": (NOW - 7 * HOUR) * 1000},
        "archived": {"archived": 1},
        "disabled": {"memory_mode": "disabled"},
        "polluted": {"memory_mode": "polluted"},
        "exec": {"source": "exec"},
        "empty": {"first_user_message": ""},
        "has output": {},
        "succeeded": {},
        "grown": {},
        "running": {},
        "backing off": {},
        "retriable": {},
        "gave up": {},
        "gave up and grown": {},
    }
    usual = {"updated_at": NOW - DAY, "first_user_message": "hello", "source": "vscode"}
    with closing(state(home, MIGRATION_0130)) as connection:
        for thread_id, columns in threads.items():
            insert_thread(connection, thread_id, **usual | columns)
        insert_output(connection, "has output", source_updated_at=NOW - DAY)
        insert_job(connection, "succeeded", last_success_watermark=NOW - DAY)
        insert_job(connection, "grown", last_success_watermark=NOW - DAY - 1, input_watermark=NOW - DAY - 1)
        now = {"input_watermark": NOW - DAY}
        insert_job(connection, "running", status="running", lease_until=NOW + 1, **now)
        insert_job(connection, "backing off", status="error", retry_at=NOW + 1, **now)
        insert_job(connection, "retriable", status="error", retry_at=NOW, **now)
        insert_job(connection, "gave up", status="error", retry_remaining=0, **now)
        insert_job(connection, "gave up and grown", status="error", retry_remaining=0, input_watermark=1)

    # just idle, just young, by its ms, grown, retriable, gave up and grown
    assert only(home).waiting == 6


def test_a_database_that_is_locked_is_a_pipeline_with_the_reason(home: CodexHome) -> None:
    path = home.path / "state_5.sqlite"
    with closing(state(home, MIGRATION_0130)) as connection:
        connection.execute("PRAGMA journal_mode = delete")
    with other_process(path, "BEGIN EXCLUSIVE", "CREATE TABLE another (id)"):
        pipeline = only(home, busy_seconds=0.01)
        owner = codex_owns(home, home.path / "memories", busy_seconds=0.01)
        lines = precheck(home, now_s=NOW, busy_seconds=0.01)

    assert pipeline.notice is not None
    assert pipeline.notice.what == "Codex's database state_5.sqlite is locked"
    assert (pipeline.database, pipeline.jobs, pipeline.waits) == ("state_5.sqlite", (), ())
    assert owner is not None
    assert "cannot be known" in owner
    assert any("is locked" in line for line in lines)


@pytest.mark.parametrize("content", [b"", b"no database at all", b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_database_is_a_pipeline_with_the_reason(home: CodexHome, content: bytes) -> None:
    (home.path / "memories_1.sqlite").write_bytes(content)
    make_memories(home.path / "memories_v2_1.sqlite").close()

    whole, damaged = read_codex_pipelines(home, now_s=NOW)

    assert whole.notice is None
    assert damaged.notice is not None
    assert damaged.database == "memories_1.sqlite"
    assert "cannot be known" in (codex_owns(home, home.path / "memories") or "")
    assert codex_owns(home, home.path / "memories_v2") is None


def test_a_damaged_state_database_is_no_pipeline_where_jobs_have_databases_of_their_own(
    home: CodexHome,
) -> None:
    (home.path / "state_5.sqlite").write_bytes(b"no database at all")
    make_memories(home.path / "memories_1.sqlite").close()

    assert only(home).database == "memories_1.sqlite"
    assert only(home).waiting is None


def test_a_folder_that_cannot_be_listed_is_a_pipeline_with_the_reason(
    home: CodexHome, tmp_path: Path
) -> None:
    no_folder = tmp_path / "sqlite"
    no_folder.touch()

    pipeline = only(CodexHome(home.path, home.given, no_folder))

    assert pipeline.notice is not None
    assert pipeline.database is None


def test_reading_leaves_the_home_as_it_was(home: CodexHome) -> None:
    with closing(state(home, MIGRATION_0130)) as connection:
        insert_job(connection, "a")
    before = _contents(home.path)

    read_codex_pipelines(home, now_s=NOW)
    codex_owns(home, home.path / "memories")
    precheck(home, now_s=NOW)

    assert _contents(home.path) == before


def _contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_root_is_codexs_when_its_jobs_table_has_rows(home: CodexHome, tmp_path: Path) -> None:
    root = home.path / "memories"
    root.mkdir()
    link = tmp_path / "link"
    link.symlink_to(root)
    with closing(state(home, MIGRATION_0130)) as connection:
        assert codex_owns(home, root) is None
        insert_job(connection, "a")

        for path in (root, link, root / "below", home.path / "sessions" / ".." / "memories"):
            assert codex_owns(home, path) == "Codex's own pipeline writes there (1 job in state_5.sqlite)"
        for path in (home.path / "memories_v2", tmp_path / "elsewhere", home.path):
            assert codex_owns(home, path) is None
    assert only(home).managed_root


def test_each_database_owns_its_own_root_alone(home: CodexHome) -> None:
    make_memories(home.path / "memories_1.sqlite").close()
    with closing(make_memories(home.path / "memories_v2_1.sqlite")) as connection:
        insert_job(connection, "a")
        insert_job(connection, "b")

    assert codex_owns(home, home.path / "memories") is None
    assert "2 jobs in memories_v2_1.sqlite" in (codex_owns(home, home.path / "memories_v2") or "")


def test_a_root_is_codexs_when_it_holds_its_git_baseline(home: CodexHome, tmp_path: Path) -> None:
    own, codexs, later = tmp_path / "own", tmp_path / "codexs", tmp_path / "later"
    for folder, message in ((own, "Begin"), (codexs, "Initialize Codex git baseline")):
        (folder / ".git" / "logs").mkdir(parents=True)
        (folder / ".git" / "logs" / "HEAD").write_text(f"0 1 A <a@b> 1 +0000\tcommit (initial): {message}\n")
    (later / ".codex-baseline").mkdir(parents=True)
    (home.path / "memories" / ".git").mkdir(parents=True)

    assert codex_owns(home, own) is None
    assert codex_owns(home, tmp_path) is None
    for root in (codexs, later, home.path / "memories"):
        assert "it keeps its ." in (codex_owns(home, root) or "")


def test_what_a_run_would_skip_and_cost_is_told_before(home: CodexHome) -> None:
    def lines() -> str:
        return "\n".join(precheck(home, now_s=NOW))

    assert "no memory tables here yet" in lines()
    with closing(state(home, MIGRATION_0130)) as connection:
        assert "No thread is due" in lines()
        assert "Nothing new is there to consolidate" in lines()
        assert "-c features.memories=true" in lines()
        assert "less than 25 %" in lines()

        for number in range(3):
            insert_thread(connection, str(number), updated_at=NOW - DAY, first_user_message="hello")
        assert "No thread is due" not in lines()
        assert "extractions (up to 2)" in lines()

        insert_consolidation(connection, finished_at=NOW - HOUR)
        insert_job(connection, "0", status="running", lease_until=NOW + 9)
        assert "rest for 6 hours" in lines()
        assert "1 of its jobs say running" in lines()

    (home.path / "config.toml").write_text(
        "[features]\nmemories = true\n[memories]\nmax_rollouts_per_startup = 7\n"
    )
    assert "-c features.memories=true" not in lines()
    assert "extractions (2)" in lines()


@pytest.fixture(
    params=["0.105.0", "0.130.0-memories", "0.130.0-memory-errors", "0.169.0", "0.169.0-memories-v1"]
)
def corpus_home(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, CodexHome]:
    """A home that a real Codex left, copied: reading may leave a `-shm` behind."""
    name: str = request.param
    if not CORPUS.is_dir():
        pytest.skip("the corpus is not beside the checkout")
    folder = tmp_path / name
    folder.mkdir()
    for path in (CORPUS / name).iterdir():
        if path.is_dir() and path.name.startswith("memories"):
            shutil.copytree(path, folder / path.name, copy_function=shutil.copyfile)
        elif path.is_file():
            shutil.copyfile(path, folder / path.name)
    return name, find_home(folder, env={})


SHOWN = {
    "0.105.0": [("state_5.sqlite", 0, "none", 0, 0, False)],
    "0.130.0-memories": [("state_5.sqlite", 8, "cooling down", 8, 0, True)],
    "0.130.0-memory-errors": [("state_5.sqlite", 8, "cooling down", 0, 0, True)],
    "0.169.0": [("memories_1.sqlite", 0, "none", 0, 0, False)],
    "0.169.0-memories-v1": [
        ("memories_v2_1.sqlite", 0, "none", 0, 0, False),
        ("memories_1.sqlite", 8, "cooling down", 8, 0, True),
    ],
}  # fmt: skip


@pytest.mark.corpus
def test_the_corpus_is_shown_right(corpus_home: tuple[str, CodexHome]) -> None:
    name, home = corpus_home
    pipelines = read_codex_pipelines(home, now_s=1_795_389_500)
    shown = [
        (
            pipeline.database,
            sum(row.job.kind == "memory_stage1" for row in pipeline.jobs),
            pipeline.phase2.state,
            pipeline.outputs,
            pipeline.phase2.new_inputs,
            pipeline.managed_root,
        )
        for pipeline in pipelines
    ]

    assert shown == SHOWN[name]
    if name == "0.130.0-memory-errors":
        states = {row.state for row in pipelines[0].jobs if row.job.kind == "memory_stage1"}
        assert states == {"waits"}
        assert {row.job.last_error for row in pipelines[0].jobs[1:]} == {
            "EOF while parsing a string at line 1 column 400"
        }


@pytest.mark.parametrize(
    ("databases", "config", "folder"),
    [
        ((), "", "memories"),
        (("memories_1",), "", "memories"),
        (("memories_1", "memories_v2_1"), "", "memories_v2"),
        (("memories_1", "memories_v2_1"), '[memories]\nversion = "v1"\n', "memories"),
    ],
)
def test_which_folder_codex_reads(
    tmp_path: Path, databases: tuple[str, ...], config: str, folder: str
) -> None:
    (tmp_path / "config.toml").write_text(config)
    for name in databases:
        (tmp_path / f"{name}.sqlite").touch()
    home = CodexHome(path=tmp_path, given=tmp_path, sqlite_path=tmp_path)
    assert folder_codex_reads(home) == tmp_path / folder
