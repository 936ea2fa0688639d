"""What fills a log."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from log_databases import BEGIN_S, THREAD, log_writer, make_log, write_rows

from store import log_health as module
from store.errors import LogDatabaseError
from store.log_health import log_health
from store.log_sources import codex_logs, log_file
from store.models import LogShare

if TYPE_CHECKING:
    from log_databases import LogEra
    from store_fixtures import FixedClock

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


class RunningClock:
    """A clock on which a second passes between two looks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now_ms(self) -> int:
        return 0

    def monotonic(self) -> float:
        self.seconds += 1
        return self.seconds


def test_everything_is_counted(tmp_path: Path, clock: FixedClock) -> None:
    path = tmp_path / "logs_2.sqlite"
    make_log(path)
    with log_writer(path) as connection:
        write_rows(connection, ["a"] * 3, level="TRACE", target="log", estimated_bytes=100)
        write_rows(connection, ["b"] * 2, thread_id=THREAD, estimated_bytes=1_000, ts=BEGIN_S + 120)
        connection.execute("DELETE FROM logs WHERE id = 1")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        write_rows(connection, ["c"], estimated_bytes=1, ts=BEGIN_S + 121)
        health = log_health(codex_logs(tmp_path), clock, minutes=4)
    assert health is not None
    assert not health.partial
    assert (health.rows, health.counted_rows, health.counted_size) == (5, 5, 2_201)
    assert health.by_level == (LogShare("INFO", 3, 2_001), LogShare("TRACE", 2, 200))
    assert health.by_target == (LogShare("codex_core::session", 3, 2_001), LogShare("log", 2, 200))
    assert health.by_thread == (LogShare(THREAD, 2, 2_000), LogShare(None, 3, 201))
    assert (health.last_id, health.churn) == (6, 1)
    assert health.oldest_at == (BEGIN_S + 1) * 1000 + 5
    assert health.newest_at == (BEGIN_S + 121) * 1000 + 5
    assert health.per_minute == (0, 2, 0, 3)
    assert health.file_size == path.stat().st_size == health.pages * health.page_size
    assert health.wal_size > 0
    assert health.path == str(path)


@pytest.mark.parametrize("era", ["0.93", "0.105"])
def test_without_an_estimate_the_length_of_the_text_counts(
    tmp_path: Path, clock: FixedClock, era: LogEra
) -> None:
    path = tmp_path / "state_5.sqlite"
    make_log(path, "four", "sixsix", era=era)
    health = log_health(codex_logs(tmp_path), clock)
    assert health is not None
    assert health.by_level == (LogShare("INFO", 2, 10),)


def test_free_pages_are_counted(tmp_path: Path, clock: FixedClock) -> None:
    path = tmp_path / "logs_2.sqlite"
    make_log(path, *["x" * 4_000] * 50)
    with log_writer(path) as connection:
        connection.execute("DELETE FROM logs")
    health = log_health(codex_logs(tmp_path), clock)
    assert health is not None
    assert health.free_pages >= 50
    assert (health.rows, health.churn, health.oldest_at, health.newest_at) == (0, 50, None, None)
    assert (health.by_level, health.per_minute, health.partial) == ((), (), False)


def test_too_much_is_counted_in_part_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE_ROWS", 10)
    path = tmp_path / "logs_2.sqlite"
    make_log(path)
    with log_writer(path) as connection:
        write_rows(connection, ["old"] * 30, level="TRACE")
        write_rows(connection, ["new"] * 30, level="WARN")
    health = log_health(log_file(path), RunningClock(), budget_seconds=2.5)
    assert health is not None
    assert health.partial
    assert (health.rows, health.counted_rows) == (60, 30)
    assert [share.name for share in health.by_level] == ["WARN"]
    whole = log_health(log_file(path), RunningClock(), budget_seconds=100)
    assert whole is not None
    assert (whole.partial, whole.counted_rows) == (False, 60)


def test_no_log_has_no_health(tmp_path: Path, clock: FixedClock) -> None:
    assert log_health(codex_logs(tmp_path), clock) is None
    with log_writer(tmp_path / "state_5.sqlite") as connection:
        connection.execute("CREATE TABLE threads (id TEXT)")
    assert log_health(codex_logs(tmp_path), clock) is None
    (tmp_path / "logs_2.sqlite").write_bytes(b"no database " * 100)
    with pytest.raises(LogDatabaseError, match="not an SQLite database"):
        log_health(codex_logs(tmp_path), clock)


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not beside the checkout")
def test_a_real_log(tmp_path: Path, clock: FixedClock) -> None:
    shutil.copyfile(CORPUS / "0.169.0" / "logs_2.sqlite", tmp_path / "logs_2.sqlite")
    health = log_health(codex_logs(tmp_path), clock)
    assert health is not None
    with log_writer(tmp_path / "logs_2.sqlite") as connection:
        rows, size, last = connection.execute(
            "SELECT count(*), sum(estimated_bytes), max(id) FROM logs"
        ).fetchone()
        (sequence,) = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'logs'").fetchone()
    assert (health.rows, health.counted_size) == (rows, size)
    assert sum(share.size for share in health.by_thread) == size
    assert health.churn == sequence - rows >= last - rows
    assert sum(health.per_minute) == rows
