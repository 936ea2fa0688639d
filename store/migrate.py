"""Brings one of our databases to the schema that this program knows: numbered SQL files, all or nothing."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from store.connection import database_path, transaction, translated
from store.errors import DatabaseError, NewerDatabase

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

REBUILDS_TABLES = "-- rollodex: rebuilds tables"
"""First line of a migration that drops and makes anew tables which others refer to."""

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered SQL file; `version` is the `PRAGMA user_version` that it leads to."""

    version: int
    file: Traversable

    def read(self) -> str:
        """The SQL, as shipped."""
        return self.file.read_text(encoding="utf-8")


def shipped(kind: str) -> tuple[Migration, ...]:
    """The migrations of this program for `state` or `user`."""
    return migrations_in(resources.files("store.migrations") / kind)


def migrations_in(folder: Traversable) -> tuple[Migration, ...]:
    """The migrations of a folder, in order; ValueError when their numbers are not 1, 2, 3, …"""
    found = {match[0]: match for entry in folder.iterdir() if (match := _FILE_NAME.fullmatch(entry.name))}
    steps = tuple(Migration(int(found[name][1]), folder / name) for name in sorted(found))
    if [step.version for step in steps] != list(range(1, len(steps) + 1)):
        raise ValueError(f"the migrations in {folder} are not numbered 1, 2, 3, …: {sorted(found)}")
    return steps


def migrate(
    connection: sqlite3.Connection, steps: Sequence[Migration], *, backup: Path | None = None
) -> tuple[int, int]:
    """Apply the steps that the database lacks, in one transaction; returns the versions before and after.

    A database that already has a schema is copied to `backup` first, when one is given. Whatever fails, the
    database stays as it was. Raises NewerDatabase when the database has more steps than are known here, and
    DatabaseError when a step cannot be applied.
    """
    path = database_path(connection)
    latest = steps[-1].version
    with translated(path):
        before = schema_version(connection)
    _refuse_newer(path, before, latest)
    if before == latest:
        return before, latest
    if backup is not None and before > 0:
        _back_up(connection, backup)
    texts = {step.version: step.read() for step in steps[before:]}
    rebuilds = any(text.startswith(REBUILDS_TABLES) for text in texts.values())

    def apply(connection: sqlite3.Connection) -> None:
        present = schema_version(connection)
        _refuse_newer(path, present, latest)
        if present == latest:
            return
        for version in range(present + 1, latest + 1):
            for statement in statements(texts[version]):
                connection.execute(statement)
        if rebuilds and (orphan := connection.execute("PRAGMA foreign_key_check").fetchone()):
            raise sqlite3.IntegrityError(f"a row of {orphan[0]} would refer to no row of {orphan[2]}")
        connection.execute(f"PRAGMA user_version = {latest}")

    try:
        with _foreign_keys_off(connection) if rebuilds else contextlib.nullcontext():
            transaction(connection, apply)
    except sqlite3.Error as error:
        raise DatabaseError(
            f"{path} cannot be brought from version {before} to {latest}",
            why=str(error),
            next_step="The file is as it was; please report this, and use the Rollodex that wrote it",
        ) from error
    return before, latest


def schema_version(connection: sqlite3.Connection) -> int:
    """How many migrations the database has had."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def statements(sql: str) -> Iterator[str]:
    """The statements of a script one by one: executescript would commit the open transaction first."""
    statement = ""
    for part in re.split("(?<=;)", sql):
        statement += part
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


def _refuse_newer(path: Path, version: int, latest: int) -> None:
    if version > latest:
        raise NewerDatabase(
            f"{path} was written by a later Rollodex",
            why=f"it has schema {version}, this program knows {latest}",
            next_step="Update Rollodex, or give this one a folder of its own with --state-dir",
        )


@contextlib.contextmanager
def _foreign_keys_off(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        connection.execute("PRAGMA foreign_keys = ON")


def _back_up(connection: sqlite3.Connection, backup: Path) -> None:
    """Copy the whole database to one file, which replaces the last such copy only when it is complete."""
    partial = backup.with_name(backup.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        with translated(partial), contextlib.closing(sqlite3.connect(partial)) as copy:
            connection.backup(copy)
        partial.replace(backup)
    except OSError as error:
        raise DatabaseError(
            f"{database_path(connection)} cannot be copied before it is changed",
            why=str(error),
            next_step="Nothing was changed; make room or check the folder's permissions, then start again",
        ) from error
