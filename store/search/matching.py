"""Queries as SQL: which items match the words, and which threads the filters let through."""

from __future__ import annotations

import json
import ntpath
import posixpath
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from store.search.models import Resolved
    from store.search.query import Filter, FilterKey, Query, Term

Condition = tuple[str, list[Any]]
"""SQL that is true or false, or null for false, and the values in it."""


def match_expression(terms: Iterable[Term]) -> str:
    """The terms (at least one that is not negated) in the language of FTS5."""
    wanted: list[str] = []
    unwanted: list[str] = []
    for term in terms:
        (unwanted if term.negated else wanted).append(
            f'"{" ".join(term.words)}"{" *" if term.prefix else ""}'
        )
    expression = f"({' AND '.join(wanted)})"
    return f"{expression} NOT ({' OR '.join(unwanted)})" if unwanted else expression


def thread_conditions(connection: sqlite3.Connection, query: Query, resolved: Resolved) -> Condition:
    """What the query's filters ask of a thread `t`, whose rollout is `r`."""
    parts: list[Condition] = []
    for wanted in query.filters:
        sql, given = _CONDITIONS[wanted.key](connection, wanted, resolved)
        parts.append((f"NOT COALESCE(({sql}), 0)" if wanted.negated else sql, given))
    return all_of(*parts)


def all_of(*conditions: Condition) -> Condition:
    """True where each of them is."""
    asked = [condition for condition in conditions if condition[0] != "1"]
    sql = " AND ".join(f"({sql})" for sql, _values in asked)
    return sql or "1", [value for _sql, values in asked for value in values]


def in_folder(column: str, folder: str) -> Condition:
    """Whether a path is this folder, or in it."""
    folder = folder.rstrip("/\\") or "/"
    inside = folder.rstrip("/") + ("\\" if "\\" in folder else "/")
    return f"{column} = ? OR substr({column}, 1, ?) = ?", [folder, len(inside), inside]


def touched(path: str) -> Condition:
    """Which of the `touched_paths` `p` is meant: a file, or all of a folder, by path or by its end."""
    path = str(Path(path).expanduser()) if path.startswith("~") else path
    if posixpath.isabs(path) or ntpath.splitdrive(path)[0]:
        return in_folder("p.path", path)
    parts = path.strip("/").removeprefix("./")
    name = parts.rpartition("/")[2]
    if "*" in name:
        by_name, values = f"p.name {_LIKE}", [_pattern(name)]
    else:
        by_name, values = "p.name = ?", [name]
    if "/" not in parts:
        return by_name, values
    return f"{by_name} AND ('/' || p.path) {_LIKE}", [*values, f"%/{_pattern(parts)}"]


_LIKE = "LIKE ? ESCAPE '!'"


def like(column: str, value: str) -> Condition:
    """Whether a column is this value, where `*` stands for anything; the case of ASCII does not count."""
    return f"{column} {_LIKE}", [_pattern(value)]


def _pattern(value: str) -> str:
    for special in "!%_":
        value = value.replace(special, f"!{special}")
    return value.replace("*", "%")


_Reader = Callable[["sqlite3.Connection", "Filter", "Resolved"], Condition]


def _column(name: str) -> _Reader:
    return lambda _connection, wanted, _resolved: like(f"t.{name}", wanted.value)


def _cwd(connection: sqlite3.Connection, wanted: Filter, resolved: Resolved) -> Condition:
    del connection, resolved
    value = wanted.value
    if value.startswith("~"):
        value = str(Path(value).expanduser())
    if posixpath.isabs(value) or ntpath.splitdrive(value)[0]:
        return in_folder("t.cwd", value)
    return f"'/' || replace(t.cwd, '\\', '/') || '/' {_LIKE}", [f"%/{_pattern(value.strip('/'))}/%"]


def _tool(connection: sqlite3.Connection, wanted: Filter, resolved: Resolved) -> Condition:
    del resolved
    return _with_items(connection, "search_items", like("tool", wanted.value))


def _file(connection: sqlite3.Connection, wanted: Filter, resolved: Resolved) -> Condition:
    del resolved
    sql, values = touched(wanted.value)
    paths = f"path IN (SELECT p.key FROM touched_paths p WHERE {sql})"
    return _with_items(connection, "file_touches", (paths, values))


def _has(connection: sqlite3.Connection, wanted: Filter, resolved: Resolved) -> Condition:
    del wanted, resolved
    return _with_items(connection, "search_items", ("kind = 'error'", []))


def _with_items(connection: sqlite3.Connection, table: str, where: Condition) -> Condition:
    """Whether a rollout has such an item: asked once, for the condition may be part of several queries."""
    rows = connection.execute(f"SELECT DISTINCT rollout FROM {table} WHERE {where[0]}", where[1])
    return one_of("r.key", [row[0] for row in rows.fetchall()])


def _is(connection: sqlite3.Connection, wanted: Filter, resolved: Resolved) -> Condition:
    del connection
    if wanted.value == "archived":
        return "t.archived", []
    return one_of("t.id", sorted(resolved.working if wanted.value == "working" else resolved.hidden))


def _tag(connection: sqlite3.Connection, wanted: Filter, resolved: Resolved) -> Condition:
    del connection
    return one_of("t.id", sorted(resolved.tagged.get(wanted.value, frozenset())))


def one_of(column: str, values: Sequence[str] | Sequence[int]) -> Condition:
    """Whether a column is one of the values, however many these are."""
    return f"{column} IN (SELECT value FROM json_each(?))", [json.dumps(values)]


_CONDITIONS: dict[FilterKey, _Reader] = {
    "cwd": _cwd,
    "branch": _column("git_branch"),
    "model": _column("model"),
    "source": _column("source"),
    "provider": _column("model_provider"),
    "tool": _tool,
    "file": _file,
    "tag": _tag,
    "is": _is,
    "has": _has,
}
