"""Our folder: made private, locked, cleared, set aside, refused."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from store import state_folder
from store.connection import DAMAGE_SUFFIX, connect_reader, connect_writer, transaction
from store.errors import NewerDatabase, SqliteTooOld, StateFolderError
from store.memories import root
from store.memories.staging import STAGING
from store.migrate import migrations_in, schema_version, shipped
from store.state_folder import APPLICATION_ID, LOCK_FILE, StateFiles, prepare, set_aside

if TYPE_CHECKING:
    from pathlib import Path

posix_only = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")


class FixedClock:
    """Always 2026-11-23 00:00:00 UTC."""

    def now_ms(self) -> int:
        return 1_795_392_000_000

    def monotonic(self) -> float:
        return 0.0


CLOCK = FixedClock()


@pytest.fixture
def files(tmp_path: Path) -> StateFiles:
    return prepare(tmp_path / "state", CLOCK)


def add_place(path: Path) -> None:
    with closing(connect_writer(path)) as connection:
        transaction(connection, lambda c: c.execute("INSERT INTO reading_places VALUES ('a', 1, 2)"))


def places(path: Path) -> int:
    with closing(connect_reader(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM reading_places").fetchone()[0])


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_folder_has_both_databases_at_this_programs_schema(files: StateFiles) -> None:
    for path, kind in ((files.state, "state"), (files.user, "user")):
        with closing(connect_reader(path)) as connection:
            assert schema_version(connection) == shipped(kind)[-1].version
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert files.notices == ()


@posix_only
def test_nobody_else_may_look(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files = prepare(tmp_path / "deep" / "state", CLOCK)
        with closing(connect_writer(files.state)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            assert mode(files.folder) == 0o700
            names = {
                "rollodex.lock",
                "state_1.sqlite",
                "state_1.sqlite-shm",
                "state_1.sqlite-wal",
                "user.sqlite",
            }
            assert {path.name: mode(path) for path in files.folder.iterdir()} == dict.fromkeys(names, 0o600)
    finally:
        os.umask(before)


@posix_only
def test_a_folder_and_files_left_open_are_closed_to_others(files: StateFiles) -> None:
    (files.folder / root.LOCK_FILE).touch()
    (files.folder / STAGING).mkdir()
    files.folder.chmod(0o755)
    files.user.chmod(0o644)

    prepare(files.folder, CLOCK)

    assert (mode(files.folder), mode(files.user)) == (0o700, 0o600)


@posix_only
def test_a_folder_that_holds_other_things_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    tmp_path.chmod(0o755)

    files = prepare(tmp_path, CLOCK)

    assert (mode(tmp_path), mode(files.user)) == (0o755, 0o600)


def test_a_second_start_changes_no_byte(files: StateFiles) -> None:
    def content() -> dict[str, tuple[bytes, int]]:
        return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in files.folder.iterdir()}

    before = content()
    assert prepare(files.folder, CLOCK) == files
    assert content() == before


def test_older_generations_of_ours_go_and_codexs_stay(
    files: StateFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    codexs = files.folder / "state_2.sqlite"
    with closing(sqlite3.connect(codexs)) as connection:
        connection.execute("CREATE TABLE threads (id TEXT PRIMARY KEY)")
    for suffix in ("-wal", "-shm"):
        files.state.with_name(files.state.name + suffix).touch()
    kept = files.folder / "state_1.sqlite.corrupt-20260101T000000Z"
    kept.touch()
    monkeypatch.setattr(state_folder, "STATE_GENERATION", 3)

    later = prepare(files.folder, CLOCK)

    names = {path.name for path in files.folder.iterdir()}
    assert names == {LOCK_FILE, codexs.name, kept.name, "state_3.sqlite", "user.sqlite"}
    assert later.state.name == "state_3.sqlite"


def test_a_later_generation_is_refused_and_nothing_touched(
    files: StateFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(state_folder, "STATE_GENERATION", 2)
        # Open, so that it is found even where all but its first page is still in the log.
        with closing(connect_writer(prepare(files.folder, CLOCK).state)):
            before = sorted(path.name for path in files.folder.iterdir())
            patch.undo()
            with pytest.raises(
                NewerDatabase, match=r"it holds state_2\.sqlite, this program knows state_1\."
            ) as raised:
                prepare(files.folder, CLOCK)
            assert "Update Rollodex" in raised.value.next_step
            assert sorted(path.name for path in files.folder.iterdir()) == before


@pytest.mark.parametrize("name", ["state_1.sqlite", "user.sqlite"])
def test_a_later_schema_is_refused(files: StateFiles, name: str) -> None:
    with closing(connect_writer(files.folder / name)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(NewerDatabase, match="it has schema 99"):
        prepare(files.folder, CLOCK)


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "user.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
        connection.execute("PRAGMA user_version = 1")

    with pytest.raises(StateFolderError, match="is not Rollodex's: another program made this database"):
        prepare(tmp_path, CLOCK)

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_our_mark_stands_in_the_file_from_its_first_byte(files: StateFiles) -> None:
    for path in (files.state, files.user):
        assert path.read_bytes()[68:72] == APPLICATION_ID.to_bytes(4, "big")


def test_only_the_precious_database_is_copied_before_an_upgrade(
    files: StateFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_place(files.user)
    later: dict[str, Path] = {}
    for kind in ("state", "user"):
        later[kind] = tmp_path / f"{kind}-steps"
        later[kind].mkdir()
        for step in shipped(kind):
            (later[kind] / step.file.name).write_text(step.read())
        number = shipped(kind)[-1].version + 1
        (later[kind] / f"{number:04}_later.sql").write_text(
            "CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT;"
        )
    monkeypatch.setattr(state_folder, "shipped", lambda kind: migrations_in(later[kind]))

    prepare(files.folder, CLOCK)

    assert places(files.user) == 1
    assert places(files.folder / "user.sqlite.bak") == 1
    assert not (files.folder / "state_1.sqlite.bak").exists()


def test_too_old_a_sqlite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))

    with pytest.raises(SqliteTooOld, match=r"Rollodex needs 3\.37\.0 or later"):
        prepare(tmp_path / "state", CLOCK)
    assert not (tmp_path / "state").exists()


def test_a_network_file_system_is_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_folder, "on_network", lambda path: True)
    monkeypatch.setattr(state_folder, "filesystem_type", lambda path: "nfs4")

    (notice,) = prepare(tmp_path / "state", CLOCK).notices

    assert notice.severity == "warning"
    assert notice.what.endswith("is on a network file system (nfs4)")
    assert "--state-dir" in notice.next_step


def test_a_file_in_the_folders_place_is_explained(tmp_path: Path) -> None:
    (tmp_path / "state").touch()

    with pytest.raises(StateFolderError, match="cannot be used for Rollodex's own state: File exists"):
        prepare(tmp_path / "state", CLOCK)


def test_what_is_set_aside_keeps_its_log_and_never_replaces_another(tmp_path: Path) -> None:
    path = tmp_path / "own.sqlite"
    kept = []
    for content in ("first", "second"):
        for suffix in ("", "-wal", "-shm", DAMAGE_SUFFIX):
            path.with_name(path.name + suffix).write_text(content)
        kept.append(set_aside(path, CLOCK))

    assert [file.name for file in kept] == [
        "own.sqlite.corrupt-20261123T000000Z",
        "own.sqlite.corrupt-20261123T000000Z-2",
    ]
    assert [file.read_text() for file in kept] == ["first", "second"]
    assert kept[1].with_name(kept[1].name + "-wal").read_text() == "second"
    assert not list(tmp_path.glob("own.sqlite*damaged"))
    assert not path.exists()


def test_a_database_that_cannot_be_made_leaves_no_empty_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(state_folder, "migrate", fail)
        with pytest.raises(KeyboardInterrupt):
            prepare(tmp_path / "state", CLOCK)

    assert [path.name for path in (tmp_path / "state").iterdir()] == [LOCK_FILE]
    assert prepare(tmp_path / "state", CLOCK).notices == ()
