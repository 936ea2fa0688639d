"""What was found in messages, as rows below the threads whose titles match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from widgets.formatting import whole
from widgets.found_rows import Heading, HitText

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.models import Thread
    from store.search.models import SearchHit, SearchResult
    from widgets.found_rows import Aside

_HEADING: Final = -1
"""Keys below 0 are no threads of the listing. Those of a thread's hit stay the same from search to search."""


@dataclass(frozen=True, slots=True)
class _Place:
    thread: Thread
    hit: SearchHit


class Found:
    """The best hit of each thread, under a heading that counts all of them."""

    def __init__(self, result: SearchResult, threads: Mapping[str, Thread], *, words: bool) -> None:
        self.result = result
        places: dict[str, _Place] = {}
        for hit in result.hits:
            thread = threads.get(hit.thread_id)
            if thread is not None:
                places.setdefault(thread.id, _Place(thread, hit))
        self._places = {-2 * place.thread.key - 2: place for place in places.values()}
        self.keys: Sequence[int] = ()
        if places:
            self.keys = (_HEADING, *(key for first in self._places for key in (first, first - 1)))
        where = "in messages" if words else "in transcripts"
        if result.hits and all(hit.kind == "file" for hit in result.hits):
            where = "files touched"
        more = "" if result.complete else " · still reading"
        self._heading = Heading(f"{where} · {whole(result.total)}{more}")

    def rows(self, keys: Sequence[int]) -> list[Thread]:
        """The threads behind those of these keys that stand for one."""
        places = ((key, self._places.get(key)) for key in keys)
        return [place.thread.model_copy(update={"key": key}) for key, place in places if place is not None]

    def hit(self, key: int | None) -> SearchHit | None:
        """What was found in the thread of a row."""
        place = None if key is None else self._places.get(key)
        return None if place is None else place.hit

    def aside(self, key: int) -> Aside | None:
        """The line that a key stands for, when it stands for no thread."""
        if key == _HEADING:
            return self._heading
        place = self._places.get(key + 1)
        if place is None or key in self._places:
            return None
        hit = place.hit
        return HitText(hit.snippet, hit.action or "")
