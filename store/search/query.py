"""The query language of the search box and of `rollodex search`.

    words       all of them must be in one message, in any order
    "a phrase"  words that follow each other; so does what `store.search.words` parts: list_threads_db
    begin*      a word, or the last word of a phrase, that begins so
    -not        without this word, "phrase", begin* or filter:value
    key:value   only threads for which it is true; see `FILTERS`

Several filters must all be true. `tool:` and `file:` without words find the calls themselves.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Final, Literal, get_args

from store.errors import StoreError
from store.models import ThreadSource
from store.search.words import words

if TYPE_CHECKING:
    from collections.abc import Iterator

FilterKey = Literal[
    "cwd", "branch", "model", "source", "provider", "tool", "file", "tag", "after", "before", "is", "has"
]
Need = Literal["tagged", "working", "hidden"]

FILTERS: Final[dict[FilterKey, str]] = {
    "cwd": "a folder: its path, and all in it, or the name of one on the way (app, app*)",
    "branch": "a git branch (main, feature/*)",
    "model": "a model (gpt-5.4, gpt-5*)",
    "source": "who began the thread",
    "provider": "a model provider (openai)",
    "tool": "a tool that was called (exec_command, apply_patch, mcp*)",
    "file": "a file that was touched: its path or the end of it (rows.py, store/rows.py), or a folder's path",
    "tag": "one of your own tags",
    "after": "from this day on (2026-11-05, 2026-11, today, yesterday, 3d, 2w)",
    "before": "before this day (2026-11-05, 2026-11, today, yesterday, 3d, 2w)",
    "is": "what the thread is",
    "has": "what happened in the thread",
}
"""Every filter, and what it takes."""

VALUES: Final[dict[FilterKey, tuple[str, ...]]] = {
    "source": get_args(ThreadSource),
    "is": ("archived", "working", "hidden"),
    "has": ("error",),
}
"""The filters that take nothing but these values."""

_KEY: Final = re.compile(r"([A-Za-z]+):(?=\S)")
_PLAIN: Final = re.compile(r"\S+")
_AGO: Final = re.compile(r"(\d{1,5})([hdwmy])")
_DATE: Final = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?")
_HOURS: Final = {"h": 1, "d": 24, "w": 7 * 24, "m": 30 * 24, "y": 365 * 24}


class QueryError(StoreError):
    """A query that says nothing, or something that is not understood.

    `start` and `end` are where in the query it stands, in characters.
    """

    def __init__(self, what: str, *, why: str = "", next_step: str = "", start: int, end: int) -> None:
        super().__init__(what, why=why, next_step=next_step)
        self.start = start
        self.end = end


@dataclass(frozen=True, slots=True)
class Term:
    """Words that follow each other, the last of them whole or, with `prefix`, only begun."""

    words: tuple[str, ...]
    prefix: bool = False
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """One thing that must be true of a thread, or must not."""

    key: FilterKey
    value: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was understood."""

    text: str = field(compare=False)
    terms: tuple[Term, ...] = ()
    filters: tuple[Filter, ...] = ()
    after_ms: int | None = None
    """From this moment on."""
    before_ms: int | None = None
    """Up to, and without, this moment."""

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing."""
        return not self.terms and not self.filters and self.after_ms is None and self.before_ms is None

    @property
    def needs(self) -> frozenset[Need]:
        """What of `Resolved` it takes to answer the query."""
        asked = {_NEEDS.get(f.key, _NEEDS.get(f.value)) for f in self.filters if f.key in ("tag", "is")}
        return frozenset(need for need in asked if need is not None)


_NEEDS: Final[dict[str, Need]] = {"tag": "tagged", "working": "working", "hidden": "hidden"}


def parse_query(text: str, *, now_ms: int, zone: tzinfo | None = None) -> Query:
    """Understand a query; days are those of `zone` (by default the machine's).

    Raises QueryError, which says what is not understood, where, and what is.
    """
    terms: list[Term] = []
    filters: list[Filter] = []
    times: dict[FilterKey, int] = {}
    for token in _tokens(text):
        if token.key is None:
            terms.append(_term(token))
        elif token.key in ("after", "before"):
            times[token.key] = _moment(token, now_ms, zone)
        else:
            filters.append(Filter(token.key, _value(token), token.negated))
    query = Query(text, tuple(terms), tuple(filters), times.get("after"), times.get("before"))
    _check_whole(query)
    return query


@dataclass(frozen=True, slots=True)
class _Token:
    """A part of the query between spaces; `quoted` text may have spaces in it."""

    text: str
    start: int
    end: int
    negated: bool
    key: FilterKey | None
    prefix: bool

    def error(self, what: str, *, why: str = "", next_step: str = "") -> QueryError:
        return QueryError(what, why=why, next_step=next_step, start=self.start, end=self.end)


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        start = position
        negated = text[position] == "-" and position + 1 < len(text) and not text[position + 1].isspace()
        position += negated
        key = _key(text, position)
        if key is not None:
            position += len(key) + 1
        if text.startswith('"', position):
            end = text.find('"', position + 1)
            if end < 0:
                raise QueryError(
                    "A quotation mark is not closed",
                    why=f"what it opens runs to the end: {text[position:]}",
                    next_step='Close it: "two words"',
                    start=position,
                    end=len(text),
                )
            value, position = text[position + 1 : end], end + 1
            prefix = key is None and text.startswith("*", position)
            position += prefix
        else:
            match = _PLAIN.match(text, position)
            assert match is not None
            value, position = match[0], match.end()
            prefix = key is None and value.endswith("*")
        yield _Token(value, start, position, negated, key, prefix)


def _key(text: str, position: int) -> FilterKey | None:
    """The filter that begins here. What has a colon and is like no filter is words (`std::vector`)."""
    match = _KEY.match(text, position)
    if match is None:
        return None
    word = match[1].lower()
    for key in FILTERS:
        if key == word:
            return key
    near = difflib.get_close_matches(word, FILTERS, n=1, cutoff=0.75)
    if near:
        raise QueryError(
            f"There is no filter {match[1]}:",
            next_step=f'{near[0]}: is one; to look for the words, write "{match[1]}: …" in quotation marks',
            start=position,
            end=match.end(),
        )
    return None


def _term(token: _Token) -> Term:
    found = tuple(words(token.text))
    if not found:
        raise token.error(
            f"There is nothing to look for in {token.text or 'an empty phrase'}",
            why="only letters and digits are searched",
            next_step="Leave it out, or look through everything with a word beside it",
        )
    return Term(found, token.prefix, token.negated)


def _value(token: _Token) -> str:
    key, value = token.key, token.text.strip()
    assert key is not None
    if not value or not value.strip("*"):
        raise token.error(f"{key}: needs a value", next_step=f"It takes {FILTERS[key]}")
    known = VALUES.get(key)
    if known is None:
        return value
    if value.lower() not in known:
        raise token.error(f"{key}:{value} is not understood", next_step=f"{key}: takes {_any_of(known)}")
    return value.lower()


def _any_of(values: tuple[str, ...]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"


def _moment(token: _Token, now_ms: int, zone: tzinfo | None) -> int:
    """When a day begins, or some time ago."""
    assert token.key is not None
    if token.negated:
        other = "before" if token.key == "after" else "after"
        raise token.error(f"-{token.key}: is not understood", next_step=f"Write {other}:{token.text}")
    value = token.text.lower()
    now = datetime.fromtimestamp(now_ms / 1000, zone).astimezone(zone)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    moment: datetime | None
    try:
        if value in ("today", "yesterday"):
            moment = today - timedelta(days=int(value == "yesterday"))
        elif match := _AGO.fullmatch(value):
            return now_ms - int(match[1]) * _HOURS[match[2]] * 3_600_000
        elif match := _DATE.fullmatch(value):
            moment = datetime(int(match[1]), int(match[2] or 1), int(match[3] or 1), tzinfo=zone)
        else:
            moment = None
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise token.error(
            f"{token.key}:{token.text} is no day", next_step=f"{token.key}: takes {FILTERS[token.key]}"
        )
    return int(moment.timestamp() * 1000)


def _check_whole(query: Query) -> None:
    if query.terms and all(term.negated for term in query.terms):
        raise QueryError(
            "The query only says what is not to be found",
            next_step="Say what is, too: lease -database",
            start=0,
            end=len(query.text),
        )
    if query.after_ms is not None and query.before_ms is not None and query.after_ms >= query.before_ms:
        raise QueryError(
            "No time is both after and before what the query says",
            next_step="after: takes the earlier day, before: the later one",
            start=0,
            end=len(query.text),
        )
