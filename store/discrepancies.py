"""Where a row and its rollout say different things; the rollout is the truth.

Each function is a unit of work on our state database: it runs inside the caller's transaction.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from store.models import Discrepancy
from store.own_logs import log

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

LONGEST_VALUE = 1000
"""Characters kept of what was expected and found; a first message may be megabytes."""

_LONGEST_LOGGED = 200

_BOOKKEEPING = frozenset({"key", "id", "rollout_path", "archived", "compressed", "index_state"})

_GROWS = frozenset(
    {
        "updated_at",
        "size_bytes",
        "tokens_used",
        "tokens_input",
        "tokens_cached_input",
        "tokens_output",
        "tokens_reasoning_output",
        "turns",
        "messages",
        "bad_lines",
        "unknown_records",
        "model",
        "reasoning_effort",
        "sandbox_policy",
        "approval_mode",
        "memory_mode",
        "turn_since",
        "pending_call",
        "pending_since",
    }
)


class Difference(NamedTuple):
    """A field in which a row differs; values as text, None for null."""

    field: str
    expected: str | None
    found: str | None


def compare_rows(
    found_row: Mapping[str, object], expected: Mapping[str, object], *, file_changed: bool = False
) -> list[Difference]:
    """What is wrong in a row of `threads`, given the row that its rollout makes when it is read again.

    Compared are the fields that both have. Where the rollout stands (path, archived, compressed) and how
    far it was read is no matter of being wrong. A null of a row made from head and tail alone means "not
    looked for" and differs from nothing. When the file changed since the row was made, the fields that
    follow its end may differ, and a null may have been filled; when it did not, any difference counts.
    """
    differences = []
    for field in expected:
        if field in _BOOKKEEPING or field not in found_row or (file_changed and field in _GROWS):
            continue
        old, new = found_row[field], expected[field]
        if old == new or (old is None and (file_changed or found_row.get("index_state") == "heads")):
            continue
        if new is None and expected.get("index_state") == "heads":
            continue
        differences.append(Difference(field, _text(new), _text(old)))
    return differences


def record(
    connection: sqlite3.Connection,
    *,
    kind: str,
    thread_id: str | None,
    place: str,
    field: str | None = None,
    expected: object = None,
    found: object = None,
    now_ms: int,
) -> None:
    """Note a discrepancy, or that one already noted (or resolved) is seen again; the first is logged."""
    values = {
        **_identity(kind, thread_id, place, field),
        "expected": _text(expected),
        "found": _text(found),
        "now_ms": now_ms,
    }
    again = connection.execute(
        "UPDATE discrepancies SET expected = :expected, found = :found, resolved_at = NULL,"
        " last_seen_at = max(last_seen_at, :now_ms)"
        " WHERE kind = :kind AND thread_id = :thread_id AND place = :place AND field = :field",
        values,
    ).rowcount
    if again:
        return
    connection.execute(
        "INSERT INTO discrepancies"
        " (kind, thread_id, place, field, expected, found, first_seen_at, last_seen_at)"
        " VALUES (:kind, :thread_id, :place, :field, :expected, :found, :now_ms, :now_ms)",
        values,
    )
    log(
        connection,
        "WARN",
        __name__,
        f"{kind} in {place}: {field or 'file'} expected {_logged(expected)}, found {_logged(found)}",
        thread_id=thread_id,
        now_ms=now_ms,
    )


def resolve(
    connection: sqlite3.Connection,
    *,
    kind: str,
    thread_id: str | None,
    place: str,
    field: str | None = None,
    now_ms: int,
) -> bool:
    """Note that a discrepancy is gone; False when none was open."""
    cursor = connection.execute(
        "UPDATE discrepancies SET resolved_at = :now_ms WHERE resolved_at IS NULL AND kind = :kind"
        " AND thread_id = :thread_id AND place = :place AND field = :field",
        {**_identity(kind, thread_id, place, field), "now_ms": now_ms},
    )
    return cursor.rowcount > 0


def list_open(connection: sqlite3.Connection) -> list[Discrepancy]:
    """The discrepancies that are not resolved, the latest seen first."""
    rows = connection.execute(
        "SELECT kind, thread_id, place, field, expected, found, first_seen_at, last_seen_at"
        " FROM discrepancies WHERE resolved_at IS NULL ORDER BY last_seen_at DESC, id DESC"
    ).fetchall()
    return [
        Discrepancy(
            kind=kind,
            thread_id=thread_id or None,
            where=place,
            field=field or None,
            expected=expected,
            found=found,
            first_seen_at=first_seen_at,
            last_seen_at=last_seen_at,
        )
        for kind, thread_id, place, field, expected, found, first_seen_at, last_seen_at in rows
    ]


def _identity(kind: str, thread_id: str | None, place: str, field: str | None) -> dict[str, str]:
    """Absent parts are stored as '': NULLs would never conflict, and each sighting would be a new row."""
    return {"kind": kind, "thread_id": thread_id or "", "place": place, "field": field or ""}


def _logged(value: object) -> str:
    """A value in short: a first message may be long."""
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_LOGGED else text[: _LONGEST_LOGGED - 1] + "…"


def _text(value: object) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
