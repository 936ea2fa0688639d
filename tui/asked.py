"""What the words in the search box ask for: the query language, and what the list had before it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, get_args

from store.models import Archived, ThreadSource
from store.search.query import FILTERS, VALUES, Filter, Query, QueryError, parse_query

if TYPE_CHECKING:
    from datetime import tzinfo

SOURCES: Final[tuple[ThreadSource, ...]] = get_args(ThreadSource)
ARCHIVED: Final[tuple[Archived, ...]] = get_args(Archived)

STARRED: Final = "\N{BLACK STAR}"
"""To the index a star is a tag that no tag can be: tags are words."""

EMPTY: Final = Query("")

_TOKEN: Final = re.compile(r'[^\s"]*"[^"]*"\S*|\S+')


@dataclass(frozen=True, slots=True)
class Asked:
    """Words of the box, understood."""

    text: str = ""
    """As typed."""
    query: Query = EMPTY
    """All of it but for what follows."""
    archived: Archived | None = None
    sources: tuple[ThreadSource, ...] = ()
    """Any of several."""
    providers: tuple[str, ...] = ()
    word: str | None = None
    """All there is to look for in titles, when that is one word: then any part of them may match."""

    @property
    def of_threads(self) -> Query:
        """The query for the titles: a last word that ends the text may be only begun."""
        terms = self.query.terms
        if terms and not terms[-1].negated and self.text[-1:].isalnum():
            last = self.text.split()[-1]
            if _filter(last) is None:
                return replace(self.query, terms=(*terms[:-1], replace(terms[-1], prefix=True)))
        return self.query

    @property
    def filters_threads(self) -> bool:
        """Whether it asks for more than words of a thread."""
        query = self.query
        return bool(query.filters) or query.after_ms is not None or query.before_ms is not None


NOTHING: Final = Asked()


def understand(text: str, now_ms: int, zone: tzinfo | None = None) -> Asked:
    """Understand what is typed in the box. Raises QueryError.

    To what `parse_query` knows the box adds `archived:no|any|yes`, several values of `source:` and
    `provider:` with commas between them, and `is:starred`.
    """
    rest, words = text, list[str]()
    archived: Archived | None = None
    sources: list[ThreadSource] = []
    providers: list[str] = []
    stars: list[Filter] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        name, _colon, value = token.partition(":")
        several = value.split(",")
        known = [source for source in SOURCES if source in several]
        if name == "archived" and value in ARCHIVED:
            archived = next(choice for choice in ARCHIVED if choice == value)
        elif name == "source" and len(several) > 1 and len(known) == len(several):
            sources += known
        elif name == "provider" and len(several) > 1 and all(several):
            providers += several
        elif token.lower() in ("is:starred", "-is:starred"):
            stars.append(Filter("tag", STARRED, negated=token[0] == "-"))
        elif _filter(token) == "is" and value.lower() not in VALUES["is"]:
            raise QueryError(
                f"is:{value} is not understood",
                next_step="is: takes archived, working or starred",
                start=match.start(),
                end=match.end(),
            )
        else:
            if _filter(token) is None:
                words.append(token)
            continue
        # Blanks in its place, so that an error is still where its characters are.
        rest = rest[: match.start()] + " " * len(token) + rest[match.end() :]
    query = parse_query(rest, now_ms=now_ms, zone=zone)
    if "hidden" in query.needs:
        raise QueryError(
            "is:hidden cannot be answered",
            why="Rollodex does not know yet which threads Codex hides",
            next_step="Leave it out: the list has them, too",
            start=0,
            end=len(text),
        )
    word = words[0] if len(words) == 1 else None
    if word is not None and (word[0] in '-"' or word[-1] in '*"'):
        word = None
    query = replace(query, filters=(*query.filters, *stars))
    return Asked(text, query, archived, tuple(sources), tuple(providers), word)


def _filter(token: str) -> str | None:
    name, colon, value = token.lstrip("-").partition(":")
    return name.lower() if colon and value and name.lower() in FILTERS else None
