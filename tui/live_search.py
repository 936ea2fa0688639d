"""Searches for the screens, answered by the index; a cancelled one stops where it stands."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from store.errors import StoreError
from store.marks import starred_threads, tagged_threads
from store.search.models import Resolved
from tui.asked import STARRED
from tui.listing import AT_WORK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from store.changes import Latest
    from store.clock import Clock
    from store.models import Activity
    from store.opening import Store
    from store.search.models import Scope, SearchResult
    from store.search.query import Query

HITS = 100
"""How many hits are asked for; of each thread the best is shown."""


class LiveSearch:
    """Searches of one home."""

    def __init__(
        self, store: Callable[[], Store], activity: Latest[Mapping[str, Activity]], clock: Clock
    ) -> None:
        self._store = store
        self._activity = activity
        self._clock = clock

    async def search(self, query: Query, scope: Scope) -> SearchResult | None:
        """What was said, called and touched; None while there is no index."""
        # Nothing of this is needed for the first rows.
        from store.search.searching import search

        state = self._store().state
        if state is None:
            return None
        resolved, now_ms = await self._resolved(query), self._clock.now_ms()
        return await state.read(
            lambda c: search(
                c, query, now_ms=now_ms, scope=scope, resolved=resolved, limit=HITS, thread_limit=0
            )
        )

    async def threads(self, query: Query, *, titles: bool) -> Sequence[str]:
        """The ids of the threads that the query lets through. Raises StoreError where there is no index."""
        from store.search.listed import matching_threads

        state = self._store().state
        if state is None:
            raise StoreError(
                "Threads cannot be filtered so now",
                why="they are listed from the files, without the index",
                next_step="One word alone is found in titles all the same",
            )
        resolved = await self._resolved(query)
        return await state.read(lambda c: matching_threads(c, query, resolved, titles=titles))

    async def _resolved(self, query: Query) -> Resolved:
        """What the query needs to know that the index does not hold."""
        tagged: dict[str, frozenset[str]] = {}
        user = self._store().user
        if "tagged" in query.needs and user is not None:
            for tag in {wanted.value for wanted in query.filters if wanted.key == "tag"}:
                read = starred_threads if tag == STARRED else partial(tagged_threads, tag=tag)
                tagged[tag] = frozenset(await user.read(read))
        working = frozenset(each.thread_id for each in self._activity.value.values() if each.state in AT_WORK)
        return Resolved(tagged=tagged, working=working)
