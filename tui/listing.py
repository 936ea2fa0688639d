"""From what the person chose to what the list shows: the query, the listing, and why it may be empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args

from store.errors import UnknownThread
from store.models import Archived, ThreadQuery, ThreadSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePath

    from store.models import ListedFrom, Thread, ThreadSort
    from tui.services import Threads

SOURCES: Final[tuple[ThreadSource, ...]] = get_args(ThreadSource)
ARCHIVED: Final[tuple[Archived, ...]] = get_args(Archived)
NEXT_ARCHIVED: Final[dict[Archived, Archived]] = {"no": "any", "any": "yes", "yes": "no"}


@dataclass(frozen=True, slots=True)
class View:
    """What the person chose to see."""

    words: str = ""
    """As typed in the filter box."""
    project: str | None = None
    """Only this folder."""
    archived: Archived = "no"
    working: bool = False
    """Only threads whose turn is open."""
    sort: ThreadSort = "updated"
    descending: bool = True

    def query(self, user_home: PurePath) -> ThreadQuery:
        """Return the query; in the box, `cwd:`, `source:`, `provider:` and `archived:` stand for themselves.

        A value that its word does not know is looked for as text.
        """
        text: list[str] = []
        cwd, archived = self.project, self.archived
        sources: list[ThreadSource] = []
        providers: list[str] = []
        for word in self.words.split():
            name, colon, value = word.partition(":")
            known = [source for source in SOURCES if source in value.split(",")]
            if not colon or not value:
                text.append(word)
            elif name == "cwd":
                cwd = str(user_home / value[1:].lstrip("/")) if value[0] == "~" else value.rstrip("/") or "/"
            elif name == "source" and len(known) == len(value.split(",")):
                sources += known
            elif name == "provider":
                providers += value.split(",")
            elif name == "archived" and value in ARCHIVED:
                archived = next(choice for choice in ARCHIVED if choice == value)
            else:
                text.append(word)
        return ThreadQuery(
            archived=archived,
            cwd=cwd,
            sources=tuple(sources),
            providers=tuple(providers),
            text=" ".join(text) or None,
            sort=self.sort,
            descending=self.descending,
            fold_children=True,
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
    ) -> None:
        self._threads = threads
        self._depths = depths
        self._unfolded = unfolded
        self.view = view
        self.keys = keys
        self.total = total
        self.hidden = hidden
        self.source = source
        self.elsewhere = elsewhere
        """Counted only when nothing matches."""

    async def rows(self, keys: Sequence[int]) -> Sequence[Thread]:
        """Return the threads behind keys."""
        return await self._threads.rows(keys)

    def depth(self, key: int) -> int:
        """Return how many unfolded parents a row has."""
        return self._depths.get(key, 0)

    def unfolded(self, thread_id: str) -> bool:
        """Return whether the sub-agent threads of this one are shown."""
        return thread_id in self._unfolded


async def read_listing(
    threads: Threads, view: View, user_home: PurePath, unfolded: Sequence[str], at_work: Sequence[str] = ()
) -> Listed:
    """Read what a view shows; `unfolded` names the threads to open, each parent before its children.

    `at_work` names the threads whose turn is open.
    """
    query = view.query(user_home)
    if view.working:
        query = query.model_copy(update={"ids": tuple(sorted(at_work))})
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


async def _elsewhere(
    threads: Threads, view: View, query: ThreadQuery, hidden: Mapping[str, int]
) -> Elsewhere:
    others = 0
    if view.project is not None:
        others = (await threads.keys(query.model_copy(update={"cwd": None}))).total
    return Elsewhere(in_other_projects=others, archived=hidden.get("archived", 0))
