"""Search without an index: what a test lets it find, and threads in memory by the filters of the box."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from store.search.models import Elsewhere, SearchHit, SearchResult, Snippet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from store.errors import StoreError
    from store.models import Thread
    from store.search.models import Scope
    from store.search.query import Filter, Query

NOTHING = SearchResult((), 0, (), 0, Elsewhere(), complete=True)


class FakeSearch:
    """Answers every search alike, and remembers what it was asked for."""

    def __init__(self, threads: Callable[[], Sequence[Thread]], user_home: Path) -> None:
        self.result: SearchResult | None = NOTHING
        self.error: StoreError | None = None
        self.gate: asyncio.Event | None = None
        """A search waits for it."""
        self.asked: list[tuple[str, Scope]] = []
        self.cancelled: list[str] = []
        self.tagged: dict[str, set[str]] = {}
        self._threads = threads
        self._user_home = user_home

    async def search(self, query: Query, scope: Scope) -> SearchResult | None:
        self.asked.append((query.text, scope))
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled.append(query.text)
                raise
        if self.error is not None:
            raise self.error
        return self.result

    async def threads(self, query: Query, *, titles: bool) -> Sequence[str]:
        words = [word for term in query.terms for word in term.words] if titles else []
        return [
            thread.id
            for thread in self._threads()
            if all(word in thread.display_title.casefold() for word in words)
            and all(self._holds(thread, wanted) for wanted in query.filters)
        ]

    def _holds(self, thread: Thread, wanted: Filter) -> bool:
        value = wanted.value
        if wanted.key == "tag":
            holds = thread.id in self.tagged.get(value, ())
        elif wanted.key == "cwd":
            folder = value.replace("~", str(self._user_home), 1).rstrip("/")
            holds = thread.cwd is not None and f"{thread.cwd}/".startswith(f"{folder}/")
        elif wanted.key == "source":
            holds = thread.source == value
        elif wanted.key == "provider":
            holds = thread.model_provider == value
        else:
            raise NotImplementedError(wanted.key)
        return holds != wanted.negated


def a_hit(thread: Thread, text: str, *, line: int = 1) -> SearchHit:
    """A hit in a thread; what stands between « and » in the text is what was looked for."""
    begin, end = text.index("«"), text.index("»") - 1
    snippet = Snippet(text.replace("«", "").replace("»", ""), ((begin, end),))
    return SearchHit(
        thread.id,
        line,
        "answer",
        thread.updated_at,
        thread.display_title,
        thread.cwd,
        thread.archived,
        snippet,
    )


def found(*hits: SearchHit, total: int | None = None, elsewhere: Elsewhere | None = None) -> SearchResult:
    """These hits, of as many as said."""
    total = len(hits) if total is None else total
    return SearchResult(hits, total, (), 0, elsewhere or Elsewhere(), complete=True)
