"""The newest rows of a log, and on which lines they stand; no Textual in it."""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections import deque
from itertools import accumulate
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from store.models import LogRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROWS_KEPT: Final = 50_000

_CALM: Final = frozenset(("TRACE", "DEBUG", "INFO"))


class ThreadError(NamedTuple):
    """What failed in a thread, as its rollout has it: a row among those of the log."""

    at: int
    """When, in ms."""
    position: int
    """Its item's place in the transcript."""
    body: str

    @property
    def level(self) -> str:
        """Always the worst."""
        return "ERROR"


Entry = LogRow | ThreadError


def _named(row: tuple[Any, ...]) -> Entry:
    return row if isinstance(row, ThreadError) else LogRow._make(row)


def is_error(entry: Entry) -> bool:
    """Whether a row is a warning or worse; a level that is none of Codex's is taken for worse."""
    return entry.level.upper() not in _CALM


class LogBuffer:
    """A ring of rows. A row keeps its number for good; the numbers run from `first` up to `end`.

    Lines count from the first row kept; a row takes one line unless `set_height` said otherwise.
    """

    def __init__(self, kept: int = ROWS_KEPT) -> None:
        self.first = 0
        self.end = 0
        self._kept = kept
        # Bare tuples: the garbage collector goes through every named one, time and again.
        self._rows: deque[tuple[Any, ...]] = deque(maxlen=kept)
        self._errors: tuple[ThreadError, ...] = ()
        self._heights: dict[int, int] = {}
        self._tall: list[int] = []
        self._extra: list[int] = [0]
        """Lines beyond one each of the tall rows before; one entry more than `_tall`."""

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Entry:
        """The row of a number that is kept."""
        return _named(self._rows[number - self.first])

    @property
    def rows(self) -> Iterable[Entry]:
        """Every row kept, the oldest first."""
        return map(_named, self._rows)

    def append(self, rows: Sequence[LogRow]) -> int:
        """Add rows at the end; returns how many lines went at the beginning to make room."""
        if self._errors and not self._rows:
            self._merge(rows)
            return 0
        before = self.first
        self._rows.extend(map(tuple, rows))
        self.end += len(rows)
        self.first = self.end - len(self._rows)
        gone = self.first - before
        if not gone or not self._tall:
            return gone
        gone += self._extra[bisect_left(self._tall, self.first)]
        self._heights = {number: high for number, high in self._heights.items() if number >= self.first}
        self._measure()
        return gone

    def show_errors(self, errors: Sequence[ThreadError]) -> None:
        """Set a thread's own errors among its rows, by time; they are kept back until there is a row."""
        self._errors = tuple(errors)
        rows = [row for row in self.rows if isinstance(row, LogRow)]
        if rows:
            self._merge(rows)

    def clear(self) -> None:
        """Forget every row; no number is used again."""
        self._rows.clear()
        self._errors = ()
        self.first = self.end
        self.forget_heights()

    def number_of(self, entry: Entry) -> int | None:
        """The number that a row has now."""
        return next((self.first + place for place, row in enumerate(self._rows) if row == entry), None)

    def _merge(self, rows: Sequence[LogRow]) -> None:
        # Where there are more than are kept, the newest stay, as everywhere.
        both: tuple[Sequence[Entry], ...] = (rows, self._errors)
        merged = list(heapq.merge(*both, key=attrgetter("at")))[-self._kept :]
        self._rows.clear()
        self._rows.extend(entry if isinstance(entry, ThreadError) else tuple(entry) for entry in merged)
        self.first, self.end = self.end, self.end + len(merged)
        self.forget_heights()

    # Lines

    @property
    def total(self) -> int:
        """How many lines the rows take."""
        return len(self._rows) + self._extra[-1]

    def height(self, number: int) -> int:
        """How many lines a row takes."""
        return self._heights.get(number, 1)

    def top(self, number: int) -> int:
        """The line that a row begins on."""
        return number - self.first + self._extra[bisect_left(self._tall, number)]

    def at(self, line: int) -> tuple[int, int]:
        """The row that a line belongs to, and which of its lines that is; the nearest outside of them."""
        if not self._rows:
            return self.first, 0
        line = max(0, min(line, self.total - 1))
        place = bisect_right(self._tall, line, key=self.top) - 1
        if place < 0:
            return self.first + line, 0
        number = self._tall[place]
        within = line - self.top(number)
        beyond = within - self._heights[number]
        return (number, within) if beyond < 0 else (number + 1 + beyond, 0)

    def set_height(self, number: int, lines: int) -> bool:
        """Say how many lines a row takes; returns whether it took others before."""
        if self.height(number) == lines:
            return False
        if lines == 1:
            del self._heights[number]
        else:
            self._heights[number] = lines
        self._measure()
        return True

    def forget_heights(self, first: int = 0, last: int = -1) -> None:
        """Take every row for one line again, but for those between two numbers."""
        self._heights = {number: high for number, high in self._heights.items() if first <= number <= last}
        self._measure()

    def _measure(self) -> None:
        self._tall = sorted(self._heights)
        self._extra = [0, *accumulate(self._heights[number] - 1 for number in self._tall)]
