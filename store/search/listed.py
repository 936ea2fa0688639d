"""Which threads a listing keeps: those that a query's filters let through, by their titles if it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.search.matching import all_of, match_expression, thread_conditions

if TYPE_CHECKING:
    import sqlite3

    from store.search.matching import Condition
    from store.search.models import Resolved
    from store.search.query import Query


def matching_threads(
    connection: sqlite3.Connection, query: Query, resolved: Resolved, *, titles: bool
) -> list[str]:
    """The ids of the threads for which every filter is true and, with `titles`, whose titles have the words.

    `resolved` must hold what `query.needs`. A unit for `Database.read`.
    """
    table = "threads t LEFT JOIN search_rollouts r ON r.path = t.rollout_path"
    where: list[Condition] = [thread_conditions(connection, query, resolved)]
    if query.after_ms is not None:
        where.append(("t.updated_at >= ?", [query.after_ms]))
    if query.before_ms is not None:
        where.append(("t.updated_at < ?", [query.before_ms]))
    if titles and query.terms:
        table += " JOIN search_titles s ON s.rowid = t.key"
        where.append(("search_titles MATCH ?", [match_expression(query.terms)]))
    sql, values = all_of(*where)
    return [row[0] for row in connection.execute(f"SELECT t.id FROM {table} WHERE {sql}", values).fetchall()]
