"""One stream of "something changed" for all who show what the database holds, whoever changed it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from store.database import Database

T = TypeVar("T")

POLL_SECONDS: Final = 0.2
"""How often the database is asked whether another process has committed (some microseconds)."""


class Latest(Generic[T]):
    """A value that many may watch; a slow watcher sees the latest, not every one."""

    def __init__(self, value: T) -> None:
        self.value = value
        self._changed = asyncio.Event()

    def publish(self, value: T) -> None:
        """Replace the value and wake every watcher."""
        self.value = value
        self._changed.set()
        self._changed = asyncio.Event()

    async def replaced(self) -> None:
        """Return when the value is replaced the next time."""
        await self._changed.wait()

    async def watch(self) -> AsyncGenerator[T, None]:
        """Yield the value at once, and the latest one whenever it was replaced."""
        while True:
            changed = self._changed
            yield self.value
            await changed.wait()


class Changes:
    """Wakes all who listen after a commit by anyone, and after what `announce` is called for."""

    def __init__(self) -> None:
        self._count = Latest(0)
        self._look = asyncio.Event()

    def look(self) -> None:
        """Ask the database now, for this process has written to it."""
        self._look.set()

    def announce(self) -> None:
        """Something changed that is not in the database."""
        self._count.publish(self._count.value + 1)

    async def follow(self, database: Database) -> None:
        """Tell of commits for as long as this runs. Raises DatabaseError."""
        seen = await database.data_version()
        self.announce()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._look.wait()
            self._look.clear()
            version = await database.data_version()
            if version != seen:
                seen = version
                self.announce()

    async def wait(self, seconds: float) -> None:
        """Return at the next change, or when so much time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._count.replaced()

    async def stream(self, *, at_once: bool = False) -> AsyncGenerator[None, None]:
        """Yield whenever something may have changed; with `at_once` also at the beginning."""
        async for _ in self._count.watch():
            if at_once:
                yield
            at_once = True
