"""How many lines each item of a transcript takes: measured where it was drawn, estimated elsewhere."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from itertools import accumulate

_BLOCK = 256


class ItemHeights:
    """Heights by position with their sums, for millions of items; an item not measured has the estimate."""

    def __init__(self, items: int = 0, *, estimate: int = 3) -> None:
        self._estimate = estimate
        self._heights = array("i")
        self._blocks: list[int] = []
        self.total = 0
        self._measured = bytearray()
        self.resize(items)

    def __len__(self) -> int:
        return len(self._heights)

    def resize(self, items: int) -> None:
        """Hold this many items: new ones are estimated, those past the end forgotten."""
        if items < len(self._heights):
            del self._heights[items:]
            del self._measured[items:]
        else:
            self._measured.extend(bytes(items - len(self._heights)))
            self._heights.extend(array("i", [self._estimate]) * (items - len(self._heights)))
        self._blocks = [
            sum(self._heights[start : start + _BLOCK]) for start in range(0, len(self._heights), _BLOCK)
        ]
        self.total = sum(self._blocks)

    def forget(self) -> None:
        """Estimate every item again: another width, or another folding."""
        items = len(self._heights)
        self._heights = array("i")
        self._measured.clear()
        self.resize(items)

    def is_measured(self, position: int) -> bool:
        """Whether the height of an item is known."""
        return bool(self._measured[position])

    def measure(self, position: int, height: int) -> None:
        """Set the height of an item as it was drawn."""
        change = height - self._heights[position]
        self._heights[position] = height
        self._blocks[position // _BLOCK] += change
        self.total += change
        self._measured[position] = 1

    def unmeasure(self, position: int) -> None:
        """Keep the height of an item as an estimate only."""
        self._measured[position] = 0

    def height(self, position: int) -> int:
        """Lines that an item takes."""
        return self._heights[position]

    def top(self, position: int) -> int:
        """Lines above an item."""
        block = position // _BLOCK
        return sum(self._blocks[:block]) + sum(self._heights[block * _BLOCK : position])

    def at(self, line: int) -> tuple[int, int]:
        """Return the item that a line falls in, and which of its lines; the ends for what is outside."""
        if line < 0 or not self._heights:
            return 0, 0
        for block, lines in enumerate(self._blocks):
            if line < lines:
                for position in range(block * _BLOCK, len(self._heights)):
                    if line < self._heights[position]:
                        return position, line
                    line -= self._heights[position]
            line -= lines
        last = len(self._heights) - 1
        return last, max(0, self._heights[last] - 1)

    def shares(self, parts: int) -> list[int]:
        """Return the items that begin each of so many equal parts of all lines, and the number of items."""
        if not self._blocks:
            return [0] * (parts + 1)
        tops = list(accumulate(self._blocks, initial=0))
        bounds = []
        for part in range(parts):
            line = self.total * part // parts
            block = min(bisect_right(tops, line), len(self._blocks)) - 1
            position, line = block * _BLOCK, line - tops[block]
            while position + 1 < len(self._heights) and line >= self._heights[position]:
                line -= self._heights[position]
                position += 1
            bounds.append(position)
        return [*bounds, len(self._heights)]
