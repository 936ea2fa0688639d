"""Searching the index: units for `Database.read`, which a cancelled caller stops where they stand.

Words are looked for in items (what was said, thought, called) and in the titles of threads. Of the items the
newest `RANKED` are ranked: by relevance (bm25), by what they are, and by age. All are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from store.backfill_state import get_backfill_state
from store.file_touches import touches_of
from store.models import display_title
from store.search.index import HOUR_MS, first_id, hour_of, rollout_of
from store.search.matching import all_of, in_folder, like, match_expression, one_of, thread_conditions
from store.search.models import Elsewhere, Resolved, Scope, SearchHit, SearchResult, Snippet, ThreadHit
from store.search.query import VALUES
from store.search.snippets import snippet

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from store.file_touches import FileTouch
    from store.search.matching import Condition
    from store.search.query import FilterKey, Query

RANKED: Final = 5_000
"""How many of the matches, newest first, are ranked."""

ACTIVE: Final = Scope()
NOTHING_RESOLVED: Final = Resolved()

_FADING_MS: Final = 30 * 86_400_000
"""What is this old weighs a quarter less than what is new; what is very old, half."""

_WEIGHT: Final = (
    "CASE i.kind WHEN 'prompt' THEN 1.3 WHEN 'reasoning' THEN 0.8 WHEN 'command' THEN 0.7 ELSE 1.0 END"
)
_AT: Final = f"COALESCE(i.at, {hour_of('i.id')} * {HOUR_MS})"
_THREADS: Final = "threads t LEFT JOIN search_rollouts r ON r.path = t.rollout_path"
_TITLE: Final = "c.name, t.title, t.first_user_message, t.preview"
_FEW: Final = 1_000


def search(
    connection: sqlite3.Connection,
    query: Query,
    *,
    now_ms: int,
    scope: Scope = ACTIVE,
    resolved: Resolved = NOTHING_RESOLVED,
    limit: int = 50,
    offset: int = 0,
    thread_limit: int = 50,
) -> SearchResult:
    """The items and the threads that match, the best first, from `offset` on; nothing for an empty query.

    `resolved` must hold what `query.needs`.
    """
    complete = get_backfill_state(connection).status == "complete"
    if query.is_empty:
        return SearchResult((), 0, (), 0, Elsewhere(), complete)
    asked = _Asked.of(connection, query, scope, resolved, now_ms)
    threads, threads_total = _threads(connection, asked, thread_limit)
    items = _items(query)
    if items is not None:
        shares = _shares(connection, asked, items)
        hits = _hits(connection, asked, items, shares, limit, offset) if shares.shown else []
        return SearchResult(tuple(hits), shares.total, threads, threads_total, shares.elsewhere, complete)
    path = next((f.value for f in query.filters if f.key == "file" and not f.negated), None)
    if path is None:
        return SearchResult((), 0, threads, threads_total, Elsewhere(), complete)
    where = all_of(asked.filters, asked.scope, _days(query, "f.at"))
    touches = touches_of(connection, path, limit=limit, offset=offset, where=where)
    return SearchResult(
        tuple(_file_hit(touch) for touch in touches.touches),
        touches.total,
        threads,
        threads_total,
        Elsewhere(),
        complete,
    )


def rollouts(
    connection: sqlite3.Connection,
    query: Query,
    *,
    scope: Scope = ACTIVE,
    resolved: Resolved = NOTHING_RESOLVED,
) -> list[tuple[str, str]]:
    """Thread id and rollout of each thread that the filters let through, the newest first: for a scan."""
    asked = _Asked.of(connection, query, scope, resolved, 0)
    where, given = all_of(asked.filters, asked.scope)
    return connection.execute(
        f"SELECT t.id, t.rollout_path FROM {_THREADS} WHERE {where} ORDER BY t.updated_at DESC, t.id DESC",
        given,
    ).fetchall()


def values(connection: sqlite3.Connection, key: FilterKey, prefix: str = "", limit: int = 20) -> list[str]:
    """What a filter's value may be, as far as the index knows: those that begin so, the most used first."""
    if key in VALUES:
        return [value for value in VALUES[key] if value.startswith(prefix.lower())]
    source = _COMPLETED.get(key)
    if source is None:
        return []
    column, table = source
    condition, given = like(column, f"{prefix}*")
    found = connection.execute(
        f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL AND {condition}"
        f" GROUP BY {column} ORDER BY COUNT(*) DESC, {column} LIMIT ?",
        [*given, limit],
    )
    return [row[0] for row in found.fetchall()]


_COMPLETED: Final[dict[FilterKey, tuple[str, str]]] = {
    "cwd": ("cwd", "threads"),
    "branch": ("git_branch", "threads"),
    "model": ("model", "threads"),
    "provider": ("model_provider", "threads"),
    "tool": ("tool", "search_items"),
    "file": ("name", "touched_paths"),
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query with what it asks of threads, as conditions on a thread `t` and its rollout `r`."""

    query: Query
    filters: Condition
    archived: Condition
    project: Condition
    visible: Condition
    now_ms: int

    @classmethod
    def of(
        cls, connection: sqlite3.Connection, query: Query, scope: Scope, resolved: Resolved, now_ms: int
    ) -> _Asked:
        if any((f.key, f.value) == ("is", "archived") for f in query.filters):
            scope = replace(scope, archived="any")
        visible: list[Condition] = []
        for column, wanted in (("source", scope.sources), ("model_provider", scope.providers)):
            if wanted:
                visible.append(one_of(f"t.{column}", wanted))
        return cls(
            query,
            thread_conditions(connection, query, resolved),
            ("1", []) if scope.archived == "any" else (f"t.archived = {int(scope.archived == 'yes')}", []),
            ("1", []) if scope.cwd is None else in_folder("t.cwd", scope.cwd),
            all_of(*visible),
            now_ms,
        )

    @property
    def scope(self) -> Condition:
        """All that the scope asks."""
        return all_of(self.archived, self.project, self.visible)


@dataclass(frozen=True, slots=True)
class _Items:
    """Where matching items come from: a table whose `id` and `relevance` (the less the better) SQL names.

    `newest` is what they are ordered by: the index gives its own by id as they come, other tables by an index
    that narrows them more.
    """

    table: str
    id: str
    newest: str
    relevance: str
    where: Condition


@dataclass(slots=True)
class _Shares:
    """How many matching items each rollout has that is shown, and how many the scope leaves out."""

    shown: dict[int, int] = field(default_factory=dict)
    others: list[int] = field(default_factory=list)
    elsewhere: Elsewhere = field(default_factory=Elsewhere)

    @property
    def total(self) -> int:
        return sum(self.shown.values())


def _items(query: Query) -> _Items | None:
    """The items that have the words; without words, the calls and errors that the filters are about."""
    if query.terms:
        where = all_of(("search_words MATCH ?", [match_expression(query.terms)]), _item_days(query))
        return _Items("search_words", "search_words.rowid", "search_words.rowid", "bm25(search_words)", where)
    kinds: list[Condition] = []
    for wanted in query.filters:
        if wanted.key == "tool" and not wanted.negated:
            kinds.append(like("tool", wanted.value))
        elif wanted.key == "has" and not wanted.negated:
            kinds.append(("kind = 'error'", []))
    if not kinds:
        return None
    sql = " OR ".join(f"({condition})" for condition, _given in kinds)
    where = all_of((sql, [value for _sql, given in kinds for value in given]), _days(query, _AT))
    return _Items("search_items i", "i.id", "+i.id", "-1.0", where)


def _item_days(query: Query) -> Condition:
    """The query's days, of the items that the index names: those of other hours need not be opened."""
    if query.after_ms is None and query.before_ms is None:
        return "1", []
    days, given = _days(query, _AT)
    condition = f"EXISTS (SELECT 1 FROM search_items i WHERE i.id = search_words.rowid AND {days})"
    if query.after_ms is None:
        return condition, given
    first = first_id(max(query.after_ms // HOUR_MS, 0), 0)
    return f"search_words.rowid >= ? AND {condition}", [first, *given]


def _days(query: Query, at: str) -> Condition:
    after: Condition = ("1", []) if query.after_ms is None else (f"{at} >= ?", [query.after_ms])
    before: Condition = ("1", []) if query.before_ms is None else (f"{at} < ?", [query.before_ms])
    return all_of(after, before)


def _shares(connection: sqlite3.Connection, asked: _Asked, items: _Items) -> _Shares:
    sql, given = items.where
    counts = dict(
        connection.execute(
            f"SELECT {rollout_of(items.id)}, COUNT(*) FROM {items.table} WHERE {sql} GROUP BY 1", given
        ).fetchall()
    )
    shares = _Shares()
    left = {"archived": 0, "other_projects": 0, "hidden": 0}
    for rollout, *shown in _rollouts(connection, asked, list(counts)):
        count = counts.get(rollout)
        if count is None:
            continue
        if all(shown):
            shares.shown[rollout] = count
        else:
            left[("hidden", "archived", "other_projects")[shown.index(0)]] += count
    shares.others = [rollout for rollout in counts if rollout not in shares.shown]
    shares.elsewhere = Elsewhere(**left)
    return shares


def _rollouts(
    connection: sqlite3.Connection, asked: _Asked, rollouts: Sequence[int]
) -> Sequence[tuple[int, int, int, int]]:
    """Those rollouts that threads show and the filters let through, each with what the scope says of it."""
    told: list[str] = []
    given: list[Any] = []
    for sql, of_it in (asked.visible, asked.archived, asked.project):
        told.append(f"COALESCE({sql}, 0)")
        given += of_it
    table = "threads t INDEXED BY threads_searched JOIN search_rollouts r ON r.path = t.rollout_path"
    where = asked.filters
    if len(rollouts) < _FEW:
        table = "search_rollouts r CROSS JOIN threads t ON t.rollout_path = r.path"
        where = all_of(one_of("r.key", rollouts), where)
    return connection.execute(
        f"SELECT r.key, {', '.join(told)} FROM {table} WHERE {where[0]}", [*given, *where[1]]
    ).fetchall()


def _hits(
    connection: sqlite3.Connection, asked: _Asked, items: _Items, shares: _Shares, limit: int, offset: int
) -> list[SearchHit]:
    if len(shares.others) <= len(shares.shown):
        some, given = one_of(rollout_of(items.id), shares.others)
        among: Condition = (f"NOT {some}", given)
    else:
        among = one_of(rollout_of(items.id), list(shares.shown))
    sql, given = all_of(items.where, among) if shares.others else items.where
    rows = connection.execute(
        "WITH newest AS MATERIALIZED ("
        f" SELECT {items.id} AS id, {items.relevance} AS relevance FROM {items.table} WHERE {sql}"
        f" ORDER BY {items.newest} DESC LIMIT {RANKED}),"
        " best AS MATERIALIZED ("
        f" SELECT i.id, relevance * {_WEIGHT} * {_recency(_AT)} AS score"
        " FROM newest CROSS JOIN search_items i ON i.id = newest.id"
        " ORDER BY score, i.id DESC LIMIT ? OFFSET ?)"
        " SELECT t.id, i.line, i.kind, i.at, t.cwd, t.archived, i.tool, COALESCE(i.original, i.words),"
        f" {_TITLE} FROM best CROSS JOIN search_items i ON i.id = best.id"
        " CROSS JOIN search_rollouts r ON r.key = i.rollout"
        " CROSS JOIN threads t ON t.rollout_path = r.path LEFT JOIN codex_threads c ON c.thread_id = t.id"
        " ORDER BY score, i.id DESC",
        [*given, asked.now_ms, limit, offset],
    ).fetchall()
    return [
        SearchHit(
            thread_id=row[0],
            line=row[1],
            kind=row[2],
            at=row[3],
            display_title=display_title(*row[8:]),
            cwd=row[4],
            archived=bool(row[5]),
            snippet=snippet(row[7], asked.query.terms),
            tool=row[6],
        )
        for row in rows
    ]


def _file_hit(touch: FileTouch) -> SearchHit:
    return SearchHit(
        thread_id=touch.thread_id,
        line=touch.line,
        kind="file",
        at=touch.at,
        display_title=touch.display_title,
        cwd=touch.cwd,
        archived=touch.archived,
        snippet=Snippet(touch.path),
        path=touch.path,
        action=touch.action,
    )


def _recency(at: str) -> str:
    """SQL for what something weighs for its age; its only value is the time now."""
    return f"(0.5 + 0.5 / (1.0 + MAX(? - {at}, 0) / {_FADING_MS}.0))"


def _threads(connection: sqlite3.Connection, asked: _Asked, limit: int) -> tuple[tuple[ThreadHit, ...], int]:
    """Threads by their titles; without words, all that the filters let through, the newest first."""
    where = all_of(asked.filters, asked.scope, _days(asked.query, "t.updated_at"))
    table, order, first = _THREADS, "t.updated_at DESC, t.id DESC", []
    if asked.query.terms:
        table += " JOIN search_titles s ON s.rowid = t.key"
        where = all_of(("search_titles MATCH ?", [match_expression(asked.query.terms)]), where)
        order = f"bm25(search_titles, 4.0, 2.0, 1.0) * {_recency('t.updated_at')}, {order}"
        first = [asked.now_ms]
    (total,) = connection.execute(f"SELECT COUNT(*) FROM {table} WHERE {where[0]}", where[1]).fetchone()
    if not total or not limit:
        return (), total
    rows = connection.execute(
        f"SELECT t.id, t.cwd, t.archived, t.updated_at, {_TITLE} FROM {table}"
        f" LEFT JOIN codex_threads c ON c.thread_id = t.id WHERE {where[0]} ORDER BY {order} LIMIT ?",
        [*where[1], *first, limit],
    ).fetchall()
    return tuple(_thread_hit(row, asked.query) for row in rows), total


def _thread_hit(row: Sequence[Any], query: Query) -> ThreadHit:
    title = display_title(*row[4:])
    shown = snippet(title, query.terms)
    others = (snippet(text, query.terms) for text in row[4:] if text and text != title)
    return ThreadHit(
        thread_id=row[0],
        display_title=title,
        cwd=row[1],
        archived=bool(row[2]),
        updated_at=row[3],
        snippet=shown if shown.marks else next((found for found in others if found.marks), shown),
    )
