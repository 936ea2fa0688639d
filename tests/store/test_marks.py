"""Stars, tags and names of the person's own: set, found, and kept when the index is made anew."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from store import marks
from store.backfill import BackfillWorker
from store.connection import connect_writer
from store.errors import BadMark
from store.missing_threads import KEPT_SECONDS, note_missing_threads
from store.models import Marks
from store.ownership import this_process
from store.reconcile import reconcile
from store.rollouts.scan import scan_home
from store.state_folder import prepare

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from building import HomeBuilder
    from store_fixtures import FixedClock

NOW = 1_800_000_000_000


@pytest.fixture
def threads(builder: HomeBuilder) -> list[str]:
    return [builder.add(f"prompt {number}") for number in range(3)]


@pytest.fixture
def user(
    tmp_path: Path, builder: HomeBuilder, threads: list[str], clock: FixedClock
) -> Iterator[sqlite3.Connection]:
    """`user.sqlite`, beside an index of the three threads."""
    files = prepare(tmp_path / "state", clock)
    with closing(connect_writer(files.state)) as state:
        index(state, builder, clock)
    with closing(connect_writer(files.user, beside=files.state)) as connection:
        yield connection


def index(state: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock) -> None:
    files = scan_home(builder.path).files
    BackfillWorker(state, builder.path, files, me=this_process(), clock=clock).run(last_step="heads")
    reconcile(state, builder.home, clock=clock)


def test_what_is_set_is_found(user: sqlite3.Connection, threads: list[str]) -> None:
    one, two, three = threads
    marks.set_star(user, [one, two], starred=True, now_ms=NOW)
    marks.set_tags(user, [one, three], add=["Review", "#db  lease"], now_ms=NOW)
    marks.set_local_name(user, one, "  The\nimporter ", now_ms=NOW)
    assert marks.get_marks(user, threads) == {
        one: Marks(starred=True, tags=("db-lease", "review"), local_name="The importer"),
        two: Marks(starred=True),
        three: Marks(tags=("db-lease", "review")),
    }
    assert marks.starred_threads(user) == {one, two}
    assert marks.tagged_threads(user, "REVIEW") == {one, three}
    assert marks.tagged_threads(user, "db lease") == {one, three}
    assert marks.tagged_threads(user, "other") == marks.tagged_threads(user, " ") == set()


def test_what_is_taken_away_is_gone(user: sqlite3.Connection, threads: list[str]) -> None:
    one, two, _ = threads
    marks.set_star(user, threads, starred=True, now_ms=NOW)
    marks.set_star(user, [one, two], starred=False, now_ms=NOW)
    marks.set_tags(user, [one, two], add=["a", "b"], now_ms=NOW)
    marks.set_tags(user, [one], add=["c"], remove=["A"], now_ms=NOW)
    marks.set_local_name(user, two, "a name", now_ms=NOW)
    marks.set_local_name(user, two, " ", now_ms=NOW)
    assert marks.starred_threads(user) == {threads[2]}
    found = marks.get_marks(user, [one, two])
    assert (found[one].tags, found[two].tags) == (("b", "c"), ("a", "b"))
    assert found[two].local_name is None
    assert marks.all_tags(user) == {"b": 2, "a": 1, "c": 1}


def test_a_mark_that_is_set_again_is_set_once(user: sqlite3.Connection, threads: list[str]) -> None:
    for _ in range(2):
        marks.set_star(user, threads, starred=True, now_ms=NOW)
        marks.set_tags(user, threads, add=["a", "A", "#a"], now_ms=NOW)
    assert marks.all_tags(user) == {"a": 3}


def test_the_marks_of_a_thousand_threads_are_asked_for_at_once(user: sqlite3.Connection) -> None:
    many = [f"thread-{number}" for number in range(1200)]
    marks.set_star(user, many, starred=True, now_ms=NOW)
    assert len(marks.get_marks(user, many)) == 1200


@pytest.mark.parametrize("text", ["", "  ", "#", "a\x1b[31m", "x" * 65])
def test_what_is_no_tag_is_refused_whole(user: sqlite3.Connection, threads: list[str], text: str) -> None:
    with pytest.raises(BadMark):
        marks.set_tags(user, threads, add=["fine", text], now_ms=NOW)
    assert marks.all_tags(user) == {}


def test_a_name_that_is_a_novel_is_refused(user: sqlite3.Connection, threads: list[str]) -> None:
    with pytest.raises(BadMark):
        marks.set_local_name(user, threads[0], "x" * 501, now_ms=NOW)


def test_they_wait_for_a_thread_whose_file_is_gone(
    user: sqlite3.Connection, tmp_path: Path, builder: HomeBuilder, threads: list[str], clock: FixedClock
) -> None:
    one = threads[0]
    marks.set_star(user, [one], starred=True, now_ms=NOW)
    marks.set_tags(user, [one], add=["a"], now_ms=NOW)
    marks.set_local_name(user, one, "n", now_ms=NOW)
    file = builder.file(one)
    content = file.read_bytes()

    def look(seconds: int) -> None:
        with closing(connect_writer(prepare(tmp_path / "state", clock).state)) as state:
            reconcile(state, builder.home, clock=clock)
        note_missing_threads(user, now_s=seconds)

    file.unlink()
    look(1000)
    assert marks.starred_threads(user) == marks.tagged_threads(user, "a") == set()
    assert marks.all_tags(user) == {}

    file.write_bytes(content)
    look(2000)
    assert marks.get_marks(user, [one])[one] == Marks(starred=True, tags=("a",), local_name="n")
    assert marks.starred_threads(user) == {one}

    file.unlink()
    look(3000)
    look(3000 + KEPT_SECONDS)
    assert marks.get_marks(user, [one]) == {}
