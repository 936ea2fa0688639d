"""A search of items in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from store.needle import Findings
from store.rollouts.finding import texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from store.models import TranscriptItem
    from store.needle import Needle

STEP = 100
"""Items that are looked at each time."""


class ListSearch:
    """Goes on where the list grew; `gate` holds it up, `check` may raise."""

    def __init__(
        self,
        items: Sequence[TranscriptItem],
        needle: Needle,
        wanted: Callable[[TranscriptItem], bool],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self._items = items
        self._needle = needle
        self._wanted = wanted
        self._check = check
        self._next = 0

    async def more(self) -> Findings | None:
        await self.gate.wait()
        self._check()
        start, count = self._next, len(self._items)
        if start >= count:
            return None
        self._next = min(start + STEP, count)
        found = [
            at
            for at, one in enumerate(self._items[start : self._next], start)
            if self._wanted(one) and any(map(self._needle.is_in, texts(one)))
        ]
        return Findings(found, self._next, count)
