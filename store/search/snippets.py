"""The piece of a text that is shown of a hit, and where in it the match stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from unicodedata import normalize

from store.search.models import Snippet
from store.search.words import placed_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from store.search.query import Term

LENGTH: Final = 160
"""About how many characters of the text a snippet has."""

_BEFORE: Final = 40
_SPACES: Final = re.compile(r"\s")
_UNPRINTED: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")


def snippet(text: str, terms: Sequence[Term], *, length: int = LENGTH) -> Snippet:
    """The piece round the first match; the beginning of the text where nothing matches."""
    text = normalize("NFC", text)
    marks: list[tuple[int, int]] = []
    start, end = 0, length
    for begin, stop in matches(text, terms):
        if not marks:
            start = _start(text, begin, length)
            end = start + length
        if begin >= end:
            break
        marks.append((begin, min(stop, end)))
    head, tail = "…" if start else "", "…" if end < len(text) else ""
    shift = len(head) - start
    shown = tuple((begin + shift, stop + shift) for begin, stop in _merged(marks))
    return Snippet(head + _one_line(text[start:end]) + tail, shown)


def matches(text: str, terms: Sequence[Term]) -> list[tuple[int, int]]:
    """Where the terms that are not negated stand in a text of form NFC, in order; they may overlap."""
    placed = list(placed_words(text))
    texts = [word.text for word in placed]
    return sorted(
        (placed[index].start, placed[index + len(term.words) - 1].end)
        for term in terms
        if not term.negated
        for index in _places(term, texts)
    )


def _places(term: Term, texts: Sequence[str]) -> Iterator[int]:
    """The numbers of the words at which the term begins."""
    *whole, last = term.words
    for index in range(len(texts) - len(whole)):
        found = texts[index + len(whole)]
        if found != last and not (term.prefix and found.startswith(last)):
            continue
        if texts[index : index + len(whole)] == whole:
            yield index


def _merged(marks: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The marks in order, those that overlap as one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(marks):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _start(text: str, match: int, length: int) -> int:
    """Where the piece begins: a little before the match, at the beginning of a word."""
    start = max(0, min(match - _BEFORE, len(text) - length))
    if start == 0:
        return 0
    space = _SPACES.search(text, start, match)
    return start if space is None else space.end()


def _one_line(text: str) -> str:
    return text if text.isprintable() else _UNPRINTED.sub(" ", text)
