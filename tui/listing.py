"""From what the person chose to what the list shows: the query, the listing, and why it may be empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from store.errors import UnknownThread
from store.models import ThreadQuery
from store.search.models import Scope
from tui.asked import NOTHING, Asked
from tui.found import Found

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.models import Archived, ListedFrom, Thread, ThreadSort
    from store.search.models import SearchHit
    from tui.services import Search, Services, Threads
    from widgets.found_rows import Aside

AT_WORK: Final = ("working", "silent")
NEXT_ARCHIVED: Final[dict[Archived, Archived]] = {"no": "any", "any": "yes", "yes": "no"}


@dataclass(frozen=True, slots=True)
class View:
    """What the person chose to see."""

    asked: Asked = NOTHING
    """What the words in the box ask for."""
    project: str | None = None
    """Only this folder."""
    archived: Archived = "no"
    working: bool = False
    """Only threads whose turn is open."""
    sort: ThreadSort = "updated"
    descending: bool = True

    @property
    def words(self) -> str:
        """As typed in the box."""
        return self.asked.text

    @property
    def scope(self) -> Scope:
        """Where messages are searched."""
        return Scope(self.project, self._archived, self.asked.sources, self.asked.providers)

    @property
    def _archived(self) -> Archived:
        return self.asked.archived or self.archived

    def query(self, ids: Sequence[str] | None = None) -> ThreadQuery:
        """Return the query for the threads, among these only if they are given."""
        asked = self.asked
        named = any((each.key, each.value) == ("is", "archived") for each in asked.query.filters)
        return ThreadQuery(
            archived="any" if named else self._archived,
            cwd=self.project,
            sources=asked.sources,
            providers=asked.providers,
            text=asked.word,
            sort=self.sort,
            descending=self.descending,
            fold_children=True,
            ids=None if ids is None else tuple(ids),
        )


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What an empty list would show otherwise."""

    in_other_projects: int = 0
    archived: int = 0


class Listed:
    """The rows of a view, with the sub-agent threads of unfolded ones below them."""

    def __init__(
        self,
        threads: Threads,
        view: View,
        keys: Sequence[int],
        depths: Mapping[int, int],
        unfolded: frozenset[str],
        total: int,
        hidden: Mapping[str, int],
        source: ListedFrom,
        elsewhere: Elsewhere,
        found: Found | None = None,
    ) -> None:
        self._threads = threads
        self._listed = keys
        self._depths = depths
        self._unfolded = unfolded
        self.view = view
        self.found = found
        self.keys = [*keys, *found.keys] if found is not None and found.keys else keys
        self.total = total
        self.hidden = hidden
        self.source = source
        self.elsewhere = elsewhere
        """Counted only when nothing matches."""

    async def rows(self, keys: Sequence[int]) -> Sequence[Thread]:
        """Return the threads behind keys."""
        found = self.found.rows(keys) if self.found is not None else []
        listed = [key for key in keys if key >= 0]
        return [*(await self._threads.rows(listed) if listed else ()), *found]

    def with_found(self, found: Found | None) -> Listed:
        """Return the same rows with these below them."""
        return Listed(
            self._threads,
            self.view,
            self._listed,
            self._depths,
            self._unfolded,
            self.total,
            self.hidden,
            self.source,
            self.elsewhere,
            found,
        )

    def hit(self, key: int | None) -> SearchHit | None:
        """Return what was found in the thread of a row, if that is why it is there."""
        return self.found.hit(key) if self.found is not None else None

    def aside(self, key: int) -> Aside | None:
        """Return the line that a key stands for, when it stands for no thread."""
        return self.found.aside(key) if key < 0 and self.found is not None else None

    def depth(self, key: int) -> int:
        """Return how many unfolded parents a row has."""
        return self._depths.get(key, 0)

    def unfolded(self, thread_id: str) -> bool:
        """Return whether the sub-agent threads of this one are shown."""
        return thread_id in self._unfolded


async def read_listing(services: Services, view: View, unfolded: Sequence[str]) -> Listed:
    """Read the threads that a view shows; `unfolded` names those to open, each parent before its children."""
    threads = services.threads
    query = view.query(await _among(services, view))
    listing = await threads.keys(query)
    keys, depths, opened = listing.keys, dict[int, int](), set[str]()
    for thread_id in unfolded:
        try:
            parent = (await threads.get_thread(thread_id)).key
        except UnknownThread:
            continue
        if parent not in keys:
            continue
        below = ThreadQuery(archived="any", parent=thread_id, sort=view.sort, descending=view.descending)
        shown = set(keys)
        children = [key for key in (await threads.keys(below)).keys if key not in shown]
        place = keys.index(parent) + 1
        keys = [*keys[:place], *children, *keys[place:]]
        depths |= dict.fromkeys(children, depths.get(parent, 0) + 1)
        opened.add(thread_id)
    elsewhere = Elsewhere() if keys else await _elsewhere(threads, view, query, listing.hidden)
    return Listed(
        threads,
        view,
        keys,
        depths,
        frozenset(opened),
        listing.total,
        listing.hidden,
        listing.source,
        elsewhere,
    )


async def _among(services: Services, view: View) -> Sequence[str] | None:
    """The only threads that may be listed; None while any may."""
    asked = view.asked
    at_work = {each.thread_id for each in services.activity.values() if each.state in AT_WORK}
    # One word is found by the listing itself, in the middle of words too, and without an index.
    titles = bool(asked.query.terms) and asked.word is None
    if not titles and not asked.filters_threads:
        return sorted(at_work) if view.working else None
    ids = await services.search.threads(asked.of_threads, titles=titles)
    return [each for each in ids if each in at_work] if view.working else ids


async def read_found(threads: Threads, search: Search, view: View) -> Found | None:
    """Search for what a view's words ask for; None when they ask for nothing."""
    query = view.asked.query
    if query.is_empty:
        return None
    result = await search.search(query, view.scope)
    if result is None:
        return None
    ids = tuple(dict.fromkeys(hit.thread_id for hit in result.hits))
    keys = (await threads.keys(ThreadQuery(archived="any", ids=ids))).keys if ids else ()
    rows = await threads.rows(keys) if keys else ()
    return Found(result, {row.id: row for row in rows}, words=bool(query.terms))


async def _elsewhere(
    threads: Threads, view: View, query: ThreadQuery, hidden: Mapping[str, int]
) -> Elsewhere:
    others = 0
    if view.project is not None:
        others = (await threads.keys(query.model_copy(update={"cwd": None}))).total
    return Elsewhere(in_other_projects=others, archived=hidden.get("archived", 0))
