"""What went wrong in a thread, by its rollout and by its log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from widgets.log_buffer import ThreadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.models import LogRow, TranscriptItem
    from widgets.transcript_source import TranscriptSource

ERRORS_READ: Final = 200
"""The newest errors of a thread that are read to stand among the rows of its log."""
LONGEST_OUTPUT: Final = 20_000


async def thread_errors(source: TranscriptSource) -> list[ThreadError]:
    """Return the newest errors of a transcript, in its order. Raises StoreError when it cannot be read."""
    await source.indexed()
    errors: list[ThreadError] = []
    for position in list(source.errors)[-ERRORS_READ:]:
        error = await thread_error(source, position)
        if error is not None:
            # One without a time stands where the one before does.
            errors.append(error if error.at or not errors else error._replace(at=errors[-1].at))
    return errors


async def thread_error(source: TranscriptSource, position: int) -> ThreadError | None:
    """Return the error at a position; None where the transcript ends before."""
    items = await source.items(position, position + 1)
    return ThreadError(items[0].at or 0, position, _words(items[0])) if items else None


def next_error(
    ahead: ThreadError | None, rows: Sequence[LogRow], at: int | None, by: int, walked: LogRow | None
) -> ThreadError | LogRow | None:
    """Return what comes next, by time, of a transcript's next error and the rows of its thread's log.

    `ahead` is the transcript's next error behind the item of `at`, or the one before it where `by` is
    negative. `walked` is the row that was walked to last from there.
    """
    order = list(rows) if by > 0 else list(reversed(rows))
    for place, row in enumerate(order):
        if walked is not None and (row.origin, row.id) == (walked.origin, walked.id):
            order = order[place + 1 :]
            break
    since = (at or 0) if walked is None else walked.at
    for row in order:
        behind = row.at >= since if by > 0 else row.at <= since
        if behind:
            before = ahead is None or (row.at <= ahead.at if by > 0 else row.at >= ahead.at)
            return row if before else ahead
    return ahead


def _words(item: TranscriptItem) -> str:
    exit_code = "" if item.exit_code is None else f"(exit {item.exit_code})"
    head = " ".join(part for part in (item.tool, item.text, exit_code) if part)
    output = (item.output or "")[:LONGEST_OUTPUT]
    return "\n".join(part for part in (head or item.label, output) if part)
