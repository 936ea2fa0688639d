"""Work that a cancellation waits for, so that it is known what became of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


async def off_the_loop(function: Callable[[], T]) -> T:
    """Run something that blocks on a thread; a cancellation waits for its end."""
    return await to_the_end(asyncio.to_thread(function))


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await what may not be left half done: a cancellation waits for its end."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()
        raise cancelled
    return task.result()
