"""The items in which something was found, in their order, as they come in."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Hits:
    """Positions in ascending order, eight bytes each."""

    def __init__(self) -> None:
        self._positions = array("Q")

    def __len__(self) -> int:
        """How many items there are."""
        return len(self._positions)

    def __contains__(self, position: int) -> bool:
        """Whether something was found in an item."""
        return self.number(position) is not None

    def add(self, positions: Iterable[int]) -> None:
        """Take items in that were not there yet."""
        for position in positions:
            if not self._positions or position > self._positions[-1]:
                self._positions.append(position)
            else:
                insort(self._positions, position)

    def number(self, position: int) -> int | None:
        """Return which one an item is, from 1 on."""
        place = bisect_left(self._positions, position)
        return place + 1 if self._positions[place : place + 1] == array("Q", [position]) else None

    def beside(self, position: int, by: int) -> int | None:
        """Return the next item below (`by` is 1) or above (-1)."""
        place = (
            bisect_right(self._positions, position) if by > 0 else bisect_left(self._positions, position) - 1
        )
        return self._positions[place] if 0 <= place < len(self._positions) else None

    def shares(self, bounds: Sequence[int]) -> list[int]:
        """Return which of the spans from bound to bound have any; each has at least its first item."""
        return [
            number
            for number, (start, stop) in enumerate(pairwise(bounds))
            if bisect_left(self._positions, start) < bisect_left(self._positions, max(stop, start + 1))
        ]
