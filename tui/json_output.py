"""What `--json` prints: one object, with the version of its shape in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store.export.json_form import (
    SCHEMA_VERSION,
    dumps,
    item_object,
    rfc3339,
    thread_object,
    tool_object,
    transcript_chunks,
)

if TYPE_CHECKING:
    from store.models import BackfillProgress, ThreadsPage

__all__ = [
    "SCHEMA_VERSION",
    "backfill_object",
    "dumps",
    "item_object",
    "page_object",
    "rfc3339",
    "thread_object",
    "tool_object",
    "transcript_chunks",
]


def page_object(page: ThreadsPage) -> dict[str, Any]:
    """One page of a listing."""
    return {
        "schema_version": SCHEMA_VERSION,
        "source": page.source,
        "total": page.total,
        "hidden": page.hidden,
        "next_cursor": page.next_cursor,
        "threads": [thread_object(thread) for thread in page.items],
    }


def backfill_object(progress: BackfillProgress) -> dict[str, Any]:
    """Where the backfill stands."""
    return {
        "schema_version": SCHEMA_VERSION,
        "status": progress.status,
        "step": progress.step,
        "owner": None if progress.owner is None else progress.owner.model_dump(exclude={"token"}),
        "last_watermark": progress.last_watermark,
        "last_success_at": rfc3339(progress.last_success_at),
        "updated_at": rfc3339(progress.updated_at),
        "done": progress.done,
        "total": progress.total,
        "failed": progress.failed,
        "failures": [failure.model_dump() for failure in progress.failures],
    }
