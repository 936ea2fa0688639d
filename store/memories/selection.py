"""Which threads phase 1 is to read: chosen in SQL, so that a limit starves nobody."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from store.memories.models import STAGE1

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

INTERACTIVE: Final = ("cli", "vscode")
"""Sources of threads that a person has led."""


MEMORY_IS_ON: Final = (
    "COALESCE(t.memory_mode, 'enabled') = 'enabled' AND COALESCE(c.memory_mode, 'enabled') = 'enabled'"
)
"""Condition on a thread `t` and Codex's own row `c` of it: an engine may be given it."""


@dataclass(frozen=True, slots=True)
class Stage1Limits:
    """How much phase 1 takes at once, and of which threads."""

    max_claimed: int = 64
    max_running: int = 64
    """Of all processes together."""
    max_age_days: int = 30
    min_idle_hours: int = 12
    scan_limit: int = 5_000


_CANDIDATES: Final = f"""
    FROM state.threads t
    LEFT JOIN state.codex_threads c ON c.thread_id = t.id
    LEFT JOIN thread_memory m ON m.thread_id = t.id
    LEFT JOIN jobs j ON j.kind = '{STAGE1}' AND j.job_key = t.id
    WHERE t.updated_at >= :oldest * 1000 AND t.updated_at < (:newest + 1) * 1000
        AND t.archived = 0 AND t.source IN ({", ".join(f"'{source}'" for source in INTERACTIVE)})
        AND {MEMORY_IS_ON}
        AND COALESCE(m.source_updated_at, -1) < t.updated_at / 1000
        AND COALESCE(j.last_success_watermark, -1) < t.updated_at / 1000
"""
_NOT_HELD_BACK: Final = """
        AND t.id NOT IN (SELECT value FROM json_each(:live))
        AND (
            COALESCE(j.input_watermark, -1) < t.updated_at / 1000
            OR (j.retry_remaining > 0 AND COALESCE(j.retry_at, 0) <= :now)
        )
"""


def select_candidates(
    connection: sqlite3.Connection, *, now_s: int, limits: Stage1Limits, live: Sequence[str]
) -> list[tuple[str, int]]:
    """Thread ids and their watermarks, newest first; `live` are those that somebody reads now."""
    rows = connection.execute(
        f"SELECT t.id, t.updated_at / 1000 {_CANDIDATES} {_NOT_HELD_BACK}"
        " ORDER BY t.updated_at DESC, t.id DESC LIMIT :scan",
        {
            **_bounds(now_s, limits),
            "now": now_s,
            "live": json.dumps(list(live)),
            "scan": limits.scan_limit,
        },
    ).fetchall()
    return [(thread_id, watermark) for thread_id, watermark in rows]


def select_unread(connection: sqlite3.Connection, *, now_s: int, limits: Stage1Limits) -> set[str]:
    """The threads that phase 1 has not read and is to, those too that somebody reads or a back-off holds."""
    rows = connection.execute(f"SELECT t.id {_CANDIDATES}", _bounds(now_s, limits))
    return {thread_id for (thread_id,) in rows}


def _bounds(now_s: int, limits: Stage1Limits) -> dict[str, object]:
    """However long it is said to be: nothing is older than the clock, and SQLite has 64 bits."""
    return {
        "oldest": max(0, now_s - limits.max_age_days * 86_400),
        "newest": max(-1, now_s - limits.min_idle_hours * 3_600),
    }
