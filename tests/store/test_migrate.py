"""Migrations: from every earlier schema, all or nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

import pytest

from store.connection import connect_writer
from store.errors import DatabaseError, NewerDatabase
from store.migrate import (
    REBUILDS_TABLES,
    Migration,
    migrate,
    migrations_in,
    schema_version,
    shipped,
    statements,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PARENTS_AND_CHILDREN = {
    "0001_parent.sql": """
        -- a comment; with a semicolon
        CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
        CREATE TABLE child (
            parent_id INTEGER NOT NULL REFERENCES parent (id) ON DELETE CASCADE, toy TEXT NOT NULL
        ) STRICT;
    """,
    "0002_age.sql": """
        ALTER TABLE parent ADD COLUMN age INTEGER;
        CREATE TRIGGER parent_renamed AFTER UPDATE OF name ON parent BEGIN
            UPDATE parent SET age = 0 WHERE id = NEW.id; SELECT 'a;b';
        END;
    """,
    "0003_rebuild.sql": f"""{REBUILDS_TABLES}
        CREATE TABLE parent_new (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, age INTEGER) STRICT;
        INSERT INTO parent_new SELECT id, name, age FROM parent;
        DROP TABLE parent;
        ALTER TABLE parent_new RENAME TO parent
    """,
}

CHECKED_VALUES: dict[str, object] = {
    "index_state": "heads",
    "step": "full",
    "status": "running",
    "id": 1,
    "kind": "prompt",
    "action": "read",
    "discrepancies.kind": "a kind",
    "memory_runs.kind": "consolidate",
    "memory_runs.status": "done",
}
"""What a column must hold that has a CHECK; everything else is made up from its type."""

READ_ANEW_BELOW = 4
"""Before this version of the state database nothing could be searched: all rollouts are read once more."""

FORGOTTEN = {
    "rollouts": {"step", "parsed_bytes", "fold"},
    "backfill_state": {
        *("status", "step", "last_watermark", "done", "failed", "bytes_done", "lease_until"),
        *("owner_host", "owner_boot_id", "owner_pid", "owner_started_at", "owner_token"),
    },
}
"""What is not known any more where everything is read anew."""


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    path = tmp_path / "own.sqlite"
    path.touch()
    with closing(connect_writer(path)) as opened:
        yield opened


@pytest.fixture
def steps(tmp_path: Path) -> tuple[Migration, ...]:
    return write_steps(tmp_path / "steps", PARENTS_AND_CHILDREN)


def write_steps(folder: Path, files: dict[str, str]) -> tuple[Migration, ...]:
    folder.mkdir(exist_ok=True)
    for name, sql in files.items():
        (folder / name).write_text(sql)
    return migrations_in(folder)


def tables(connection: sqlite3.Connection) -> list[str]:
    """Those that hold rows of our own: not what a virtual table keeps for itself."""
    found = connection.execute(
        "SELECT m.name FROM sqlite_master m JOIN pragma_table_list l ON l.name = m.name"
        " WHERE l.schema = 'main' AND l.type = 'table' ORDER BY m.rowid"
    )
    return [name for (name,) in found if not name.startswith("sqlite_")]


def columns(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    return {row[1]: row[2] for row in connection.execute(f"PRAGMA table_info({table})")}


def foreign_keys(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    return connection.execute(f"PRAGMA foreign_key_list({table})").fetchall()


def rows(connection: sqlite3.Connection) -> dict[str, list[dict[str, object]]]:
    found = {}
    for table in tables(connection):
        names = list(columns(connection, table))
        found[table] = [
            dict(zip(names, row, strict=True)) for row in connection.execute(f"SELECT * FROM {table}")
        ]
    return found


def shape(connection: sqlite3.Connection) -> dict[str, object]:
    """All that matters of a schema, whatever way led to it."""
    others = "SELECT type, name, tbl_name FROM sqlite_master WHERE type IN ('trigger', 'view') ORDER BY name"
    return {"triggers and views": connection.execute(others).fetchall()} | {
        table: (
            connection.execute(f"PRAGMA table_xinfo({table})").fetchall(),
            foreign_keys(connection, table),
            sorted(
                (name, unique, connection.execute(f"PRAGMA index_xinfo({name})").fetchall())
                for _, name, unique, *_ in connection.execute(f"PRAGMA index_list({table})")
            ),
        )
        for table in sorted(tables(connection))
    }


def fill(connection: sqlite3.Connection) -> None:
    """A row in every table; one that refers to another refers to the row there."""
    made_up: dict[str, object] = {"INTEGER": 7, "BLOB": b"\x00blob"}
    parents = {table: {row[2] for row in foreign_keys(connection, table)} for table in tables(connection)}
    for table in TopologicalSorter(parents).static_order():
        values: dict[str, object] = {
            name: CHECKED_VALUES.get(
                f"{table}.{name}", CHECKED_VALUES.get(name, made_up.get(kind, f"a {name}"))
            )
            for name, kind in columns(connection, table).items()
        }
        for _, _, other, own_name, other_name, *_ in foreign_keys(connection, table):
            (values[own_name],) = connection.execute(f"SELECT {other_name} FROM {other}").fetchone()
        if columns(connection, table).get("id") == "TEXT":
            values["id"] = "an id"
        marks = ", ".join("?" * len(values))
        connection.execute(
            f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values())
        )


def build(path: Path, steps: Sequence[Migration]) -> sqlite3.Connection:
    path.touch()
    connection = connect_writer(path)
    migrate(connection, steps)
    return connection


def check_upgrades_from_every_version(folder: Path, steps: Sequence[Migration]) -> None:
    with closing(build(folder / "fresh.sqlite", steps)) as fresh:
        wanted = shape(fresh)
    for step in steps:
        with closing(build(folder / f"{step.version}.sqlite", steps[: step.version])) as connection:
            fill(connection)
            before = rows(connection)
            migrate(connection, steps)

            assert schema_version(connection) == steps[-1].version
            assert shape(connection) == wanted
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            after = rows(connection)
            for table in before.keys() & after.keys():
                kept = before[table][0].keys() & after[table][0].keys()
                if step.version < READ_ANEW_BELOW:
                    kept -= FORGOTTEN.get(table, set())
                assert [{name: row[name] for name in kept} for row in after[table]] == [
                    {name: row[name] for name in kept} for row in before[table]
                ], f"{table} from version {step.version}"


@pytest.mark.parametrize("kind", ["state", "user"])
def test_every_shipped_schema_upgrades_with_its_rows(kind: str, tmp_path: Path) -> None:
    check_upgrades_from_every_version(tmp_path, shipped(kind))


def test_a_rebuilt_table_keeps_the_rows_that_refer_to_it(
    tmp_path: Path, steps: tuple[Migration, ...]
) -> None:
    check_upgrades_from_every_version(tmp_path, steps)


def test_foreign_keys_are_on_again_after_a_rebuild(
    connection: sqlite3.Connection, steps: tuple[Migration, ...]
) -> None:
    migrate(connection, steps)

    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO child VALUES (9, 'kite')")


def test_a_rebuild_that_orphans_rows_is_refused(tmp_path: Path, connection: sqlite3.Connection) -> None:
    steps = write_steps(
        tmp_path / "steps",
        PARENTS_AND_CHILDREN | {"0003_rebuild.sql": f"{REBUILDS_TABLES}\nDELETE FROM parent;"},
    )
    migrate(connection, steps[:2])
    fill(connection)
    before = rows(connection)

    with pytest.raises(DatabaseError, match="a row of child would refer to no row of parent"):
        migrate(connection, steps)

    assert rows(connection) == before
    assert schema_version(connection) == 2
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_a_failed_migration_leaves_the_file_as_it_was(tmp_path: Path, connection: sqlite3.Connection) -> None:
    steps = write_steps(
        tmp_path / "steps",
        PARENTS_AND_CHILDREN
        | {"0003_rebuild.sql": "CREATE TABLE third (id); DROP TABLE child; INSERT INTO nowhere VALUES (1);"},
    )
    migrate(connection, steps[:1])
    fill(connection)
    before = "\n".join(connection.iterdump())

    with pytest.raises(DatabaseError) as raised:
        migrate(connection, steps)

    assert raised.value.what.endswith("own.sqlite cannot be brought from version 1 to 3")
    assert raised.value.why == "no such table: nowhere"
    assert "\n".join(connection.iterdump()) == before
    assert schema_version(connection) == 1
    assert not connection.in_transaction


def test_a_later_programs_database_is_refused(
    connection: sqlite3.Connection, steps: tuple[Migration, ...]
) -> None:
    migrate(connection, steps)

    with pytest.raises(NewerDatabase) as raised:
        migrate(connection, steps[:2])

    assert raised.value.why == "it has schema 3, this program knows 2"
    assert "Update Rollodex" in raised.value.next_step


def test_nothing_to_do_is_one_question_and_no_write(
    connection: sqlite3.Connection, steps: tuple[Migration, ...]
) -> None:
    migrate(connection, steps)
    asked: list[str] = []
    connection.set_trace_callback(asked.append)

    assert migrate(connection, steps) == (3, 3)

    assert [sql for sql in asked if sql != "PRAGMA database_list"] == ["PRAGMA user_version"]


def test_one_copy_is_kept_from_before_the_last_upgrade(
    tmp_path: Path, connection: sqlite3.Connection, steps: tuple[Migration, ...]
) -> None:
    backup = tmp_path / "own.sqlite.bak"
    migrate(connection, steps[:1], backup=backup)
    assert not backup.exists(), "there was nothing to keep"
    fill(connection)

    for upto in (2, 3):
        before = rows(connection)
        migrate(connection, steps[:upto], backup=backup)
        with closing(sqlite3.connect(backup)) as copy:
            assert schema_version(copy) == upto - 1
            assert rows(copy) == before
    assert [path.name for path in tmp_path.glob("*.bak*") if path.suffix not in (".bak-wal", ".bak-shm")] == [
        "own.sqlite.bak"
    ]
    assert backup.stat().st_mode & 0o077 == 0


def test_without_its_copy_nothing_is_changed(
    tmp_path: Path, connection: sqlite3.Connection, steps: tuple[Migration, ...]
) -> None:
    migrate(connection, steps[:1])
    (tmp_path / "taken").mkdir()

    with pytest.raises(DatabaseError, match="cannot be copied before it is changed"):
        migrate(connection, steps, backup=tmp_path / "taken")

    assert schema_version(connection) == 1


def test_numbers_have_no_gap(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="are not numbered"):
        write_steps(tmp_path / "steps", {"0001_a.sql": "", "0003_b.sql": ""})
    with pytest.raises(ValueError, match="are not numbered"):
        write_steps(tmp_path / "more", {"0001_a.sql": "", "0001_b.sql": ""})


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", []),
        ("  \n", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1; SELECT 2;\n", ["SELECT 1;", " SELECT 2;"]),
        ("SELECT 'a;b';", ["SELECT 'a;b';"]),
        ("/* a; b */ SELECT 1;", ["/* a; b */ SELECT 1;"]),
        (
            "CREATE TRIGGER t AFTER DELETE ON a BEGIN SELECT 1; END;",
            ["CREATE TRIGGER t AFTER DELETE ON a BEGIN SELECT 1; END;"],
        ),
    ],
)
def test_a_script_is_cut_where_its_statements_end(script: str, expected: list[str]) -> None:
    assert list(statements(script)) == expected
