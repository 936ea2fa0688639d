"""Looking through the rollouts themselves, for what the index does not hold: tool outputs, and all else.

The bytes are searched before any JSON is decoded: only a line in which the rarest-looking word may stand is
read. Memory is bounded by `lines.MAX_LINE`, whatever a rollout holds.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from store.errors import RolloutError
from store.rollouts.conversation import overlong, read_bytes
from store.rollouts.forks import InheritedPrefix
from store.rollouts.lines import MAX_LINE, PREFIX_BYTES, classify
from store.rollouts.source import open_decoded
from store.search.models import ScanHit, ScanProgress
from store.search.snippets import snippet
from store.search.words import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from store.rollouts.said import Said
    from store.search.query import Query, Term

CHUNK: Final = 4 << 20
"""Bytes searched at a time."""

_REMEMBERED: Final = 4096
_BEFORE: Final = 300
_WINDOW: Final = 600
_PIECE: Final = 1 << 10
_LETTER: Final = "[0-9a-z\x80-\U0010ffff]"
_BEYOND_ASCII: Final = re.compile(rb"[\x80-\xff][0-9a-z\x80-\xff]*")
_REST: Final = re.compile(rb"[0-9a-z\x80-\xff]*")
_BEFORE_IT: Final = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyz")
_ESCAPED: Final = re.compile(rb"\\u(?!00[01])")
"""A character beyond control characters that is written by its number, as in the arguments of calls."""


def scan(
    home: Path,
    rollouts: Sequence[tuple[str, str]],
    query: Query,
    *,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[ScanHit | ScanProgress]:
    """Look through rollouts, given as thread id and path, in their order.

    A line is found when the words of the query are in what the transcript shows of it; of a call and its
    output, and of what is written twice, only the first is told. What a fork copied of its parent is left
    out. The query's filters are for the caller, who chooses the rollouts; its days count here. A rollout that
    cannot be read is named in the progress, which is told about every file and every few megabytes.
    """
    matcher = _Matcher.of(query)
    read = 0
    unreadable: list[str] = []
    for number, (thread_id, path) in enumerate(rollouts):
        told = _Told()
        try:
            for line in _lines(home / path, matcher, stopping):
                if isinstance(line, int):
                    read += line
                    yield ScanProgress(number, len(rollouts), read, tuple(unreadable))
                elif (hit := matcher.hit(thread_id, path, line, told)) is not None:
                    yield hit
        except RolloutError:
            unreadable.append(path)
        if stopping():
            return
    yield ScanProgress(len(rollouts), len(rollouts), read, tuple(unreadable))


class _Line(NamedTuple):
    """A line that may have the words; of one that is too long, the piece in which they may stand."""

    number: int
    data: bytes
    whole: bool


class _Told:
    """What was told of a rollout lately: its other side, or the output of a call, is the same item."""

    def __init__(self) -> None:
        self._keys: OrderedDict[object, str] = OrderedDict()

    def is_news(self, line: _Line, said: Said, text: str) -> bool:
        """Whether this is told for the first time."""
        one_item = said.call_id if line.whole else line.number
        key = one_item or (said.role, text.strip())
        side = self._keys.get(key)
        if side is not None and (one_item is not None or side != said.side):
            return False
        self._keys[key] = said.side
        if len(self._keys) > _REMEMBERED:
            self._keys.popitem(last=False)
        return True


@dataclass(frozen=True, slots=True)
class _Matcher:
    """The query's words, for bytes and for texts."""

    terms: tuple[Term, ...]
    wanted: tuple[re.Pattern[str], ...]
    unwanted: tuple[re.Pattern[str], ...]
    rarest: str
    after_ms: int | None
    before_ms: int | None

    @classmethod
    def of(cls, query: Query) -> _Matcher:
        wanted = [term for term in query.terms if not term.negated]
        rarest = max((word for term in wanted for word in term.words), key=len, default="")
        return cls(
            query.terms,
            tuple(map(_pattern, wanted)),
            tuple(_pattern(term) for term in query.terms if term.negated),
            rarest,
            query.after_ms,
            query.before_ms,
        )

    def candidates(self, data: bytes) -> Iterable[int]:
        """Where in the bytes the rarest word may stand, in no order."""
        if not self.rarest:
            return
        lowered = data.lower()
        if self.rarest.isascii():
            needle = self.rarest.encode("ascii")
            at = lowered.find(needle)
            while at >= 0:
                yield at
                at = lowered.find(needle, max(at + 1, lowered.find(b"\n", at)))
        for start, end in _words_beyond_ascii(lowered):
            if self.rarest in _folded(lowered[start:end]):
                yield start
        yield from (match.start() for match in _ESCAPED.finditer(data))

    def hit(self, thread_id: str, path: str, line: _Line, told: _Told) -> ScanHit | None:
        """The line as a hit, if the words are in what it says."""
        if line.whole:
            said, at = read_bytes(line.data)
            text = "\n".join(part for part in (said.text or said.arguments, said.output) if part)
        else:
            said, at = overlong(line.data[:PREFIX_BYTES], len(line.data)), None
            text = line.data.decode("utf-8", "replace")
        if not self._in_time(at):
            return None
        lowered = text.lower() if text.isascii() else fold(text)
        first = None
        for pattern in self.wanted:
            found = pattern.search(lowered)
            if found is None:
                return None
            first = found.start() if first is None else min(first, found.start())
        if first is None or any(pattern.search(lowered) for pattern in self.unwanted):
            return None
        if not told.is_news(line, said, text):
            return None
        if text.isascii():
            # Elsewhere places in the folded text are not those in the text itself.
            start = max(0, first - _BEFORE)
            text = text[start : first + _WINDOW]
        return ScanHit(thread_id, path, line.number, said.kind, said.label, at, snippet(text, self.terms))

    def _in_time(self, at: int | None) -> bool:
        if self.after_ms is not None and (at is None or at < self.after_ms):
            return False
        return self.before_ms is None or (at is not None and at < self.before_ms)


def _words_beyond_ascii(data: bytes) -> Iterator[tuple[int, int]]:
    """Where words of other letters than ASCII's stand; what holds none of them is passed over in pieces."""
    done = 0
    for piece in range(0, len(data), _PIECE):
        if data[piece : piece + _PIECE].isascii():
            continue
        for match in _BEYOND_ASCII.finditer(data, max(done, piece), piece + _PIECE):
            start, done = match.span()
            if done == piece + _PIECE and (more := _REST.match(data, done)) is not None:
                done = more.end()
            while start and data[start - 1] in _BEFORE_IT:
                start -= 1
            yield start, done


def _pattern(term: Term) -> re.Pattern[str]:
    """The term in a text that is folded, and lowered where that is ASCII alone."""
    words = f"(?:(?!{_LETTER}).)+".join(map(re.escape, term.words))
    end = "" if term.prefix else f"(?!{_LETTER})"
    return re.compile(f"(?<!{_LETTER}){words}{end}", re.DOTALL)


@lru_cache(maxsize=_REMEMBERED)
def _folded(word: bytes) -> str:
    return fold(word.decode("utf-8", "replace"))


def _lines(path: Path, matcher: _Matcher, stopping: Callable[[], bool]) -> Iterator[_Line | int]:
    """The lines that may have the words, in order, and how many bytes were read in between."""
    prefix = InheritedPrefix()
    number = 0
    rest = b""
    passing = False  # a line that is too long goes on
    with open_decoded(path) as source:
        while chunk := source.read(CHUNK):
            if stopping():
                return
            data = rest + chunk
            end = data.rfind(b"\n") + 1
            if end == 0 and len(data) <= MAX_LINE and not passing:
                rest = data
                continue
            if passing or end == 0:
                cut = data.find(b"\n") + 1
                part = data[: cut or len(data)]
                if any(True for _ in matcher.candidates(part)):
                    yield _Line(number, part, whole=False)
                passing = not cut
                rest = part[-_BEFORE:] if passing else b""
                number += bool(cut)
                data, end = data[cut or len(data) :], max(end - cut, 0)
            if end:
                yield from _in_block(data[:end], number, prefix, matcher)
                number += data.count(b"\n", 0, end)
            if not passing:
                rest = data[end:]
            yield len(chunk)
        if rest and not passing:
            yield from _in_block(rest, number, prefix, matcher)


def _in_block(block: bytes, number: int, prefix: InheritedPrefix, matcher: _Matcher) -> Iterator[_Line]:
    """The candidates among whole lines, of which the first has this number."""
    start, size = 0, len(block) + 1  # modulo this, a newline that is not found is one at the end
    while prefix.active and start < len(block):
        end = block.find(b"\n", start) % size
        line = block[start:end]
        kind = classify(line) if line.strip() else None
        if kind is not None and not prefix.feed(line, kind) and any(True for _ in matcher.candidates(line)):
            yield _Line(number, line, whole=True)
        start, number = end + 1, number + 1
    own = block[start:]
    size -= start
    counted, last = 0, -1
    for at in sorted(matcher.candidates(own)):
        if at < last:
            continue
        first = own.rfind(b"\n", 0, at) + 1
        last = own.find(b"\n", at) % size
        number += own.count(b"\n", counted, first)
        counted = first
        yield _Line(number, own[first:last], whole=True)
