"""Where each item of a transcript lies, what is folded, and the lines of those items that are in memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from widgets.item_heights import ItemHeights
from widgets.transcript_rendering import Look, begins_part, folded_at_first, is_quiet, item_strips

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.strip import Strip

    from store.models import TranscriptItem

ItemKey = tuple[str, int]
"""A thread's id and the line that opens the item: the same for as long as the rollout lives."""

ITEMS_KEPT = 400
"""Decoded items in memory; those furthest from the screen go first."""

CHARACTERS_KEPT = 8_000_000
"""Characters of decoded items in memory, besides those in sight."""

LINES_KEPT = 20_000
"""Drawn lines in memory; those drawn longest ago go first."""


def key_of(item: TranscriptItem) -> ItemKey:
    """Return what an item is known by."""
    return item.rollout_id or item.thread_id, item.line


def _size(item: TranscriptItem) -> int:
    return len(item.text or "") + len(item.arguments or "") + len(item.output or "")


class TranscriptLayout:
    """The items of one transcript by position, of which only some are decoded, and their places in lines."""

    def __init__(self, items: int = 0) -> None:
        self.heights = ItemHeights(items, estimate=2)
        self._items: dict[int, TranscriptItem] = {}
        self._stale: set[int] = set()
        self._look: Look | None = None
        self._strips: OrderedDict[tuple[object, ...], list[Strip]] = OrderedDict()
        self._lines_kept = 0
        self._turned: set[ItemKey] = set()
        self._all_unfolded = False
        self._looked_into: tuple[int, ItemKey] | None = None

    @property
    def count(self) -> int:
        """How many items there are."""
        return len(self.heights)

    def look(self, look: Look) -> None:
        """Draw in another width or other styles from now on."""
        if look == self._look:
            return
        if self._look is None or look.width != self._look.width:
            self.heights.forget()
        self._look = look
        self._strips.clear()
        self._lines_kept = 0

    def resize(self, items: int) -> None:
        """Hold this many items; what was known of the others goes."""
        self.heights.resize(items)
        for position in [position for position in self._items if position >= items]:
            del self._items[position]

    # Items

    def item(self, position: int) -> TranscriptItem | None:
        """Return the item at a position, if it is in memory."""
        return self._items.get(position)

    def accept(self, start: int, items: Sequence[TranscriptItem]) -> None:
        """Take decoded items in; one that changed is measured again."""
        for position, item in enumerate(items, start):
            if position >= self.count:
                break
            if self._items.get(position) != item:
                self._items[position] = item
                self.heights.unmeasure(position)
                if position + 1 < self.count:
                    self.heights.unmeasure(position + 1)
            self._stale.discard(position)

    def missing(self, first: int, last: int) -> tuple[int, int] | None:
        """Return the span (start, stop) to decode so that every item from `first` to `last` can be drawn."""
        wanted = [
            position
            # One more above: whether a part of a fork begins is seen from the item before.
            for position in range(max(0, first - 1), min(last + 1, self.count))
            if position not in self._items or position in self._stale
        ]
        return (wanted[0], wanted[-1] + 1) if wanted else None

    def grown(self) -> None:
        """Decode again what is in memory: an output may have joined its call."""
        self._stale.update(self._items)

    def forget_far(self, first: int, last: int) -> None:
        """Drop the items furthest from these when too many are in memory."""
        size = sum(map(_size, self._items.values()))
        if len(self._items) <= ITEMS_KEPT and size <= CHARACTERS_KEPT:
            return
        middle = (first + last) // 2
        for position in sorted(self._items, key=lambda position: -abs(position - middle)):
            if first - 1 <= position <= last or (len(self._items) <= ITEMS_KEPT and size <= CHARACTERS_KEPT):
                break
            size -= _size(self._items.pop(position))
            self._stale.discard(position)

    # Folding

    def is_folded(self, item: TranscriptItem) -> bool:
        """Whether an item shows its first line only."""
        if self._looked_into is not None and self._looked_into[1] == key_of(item):
            return False
        return (folded_at_first(item) and not self._all_unfolded) != (key_of(item) in self._turned)

    def is_hidden(self, item: TranscriptItem) -> bool:
        """Whether an item is drawn only when everything is unfolded."""
        return is_quiet(item) and not self._all_unfolded

    def turn(self, position: int) -> None:
        """Fold what is unfolded, and the other way round."""
        item = self._items.get(position)
        if item is None:
            return
        folded = self.is_folded(item)
        self._looked_into = None
        if folded == self.is_folded(item):
            self._turned ^= {key_of(item)}
        self.heights.unmeasure(position)

    def look_into(self, position: int | None) -> None:
        """Show all of one folded item, as long as no other is looked into."""
        before, self._looked_into = self._looked_into, None
        item = None if position is None else self._items.get(position)
        if position is not None and item is not None:
            self._looked_into = position, key_of(item)
        for changed in {position, before and before[0]} - {None}:
            if changed is not None and changed < self.count:
                self.heights.unmeasure(changed)
                self.measure(changed)

    def leave_open(self) -> None:
        """Keep what is looked into unfolded."""
        if self._looked_into is not None:
            position, _ = self._looked_into
            self._looked_into = None
            item = self._items.get(position)
            if item is not None and self.is_folded(item):
                self.turn(position)

    def unfold_all(self, unfolded: bool) -> None:
        """Unfold everything, or fold it again as it was at first."""
        self._all_unfolded, self._looked_into = unfolded, None
        self._turned.clear()
        self.heights.forget()

    def forget_folding(self) -> None:
        """Fold as at first."""
        self._turned, self._all_unfolded = set(), False

    def keep_folding_of(self, other: TranscriptLayout) -> None:
        """Take over what the person folded and unfolded in another layout of the same thread."""
        self._turned = other._turned
        self._all_unfolded = other._all_unfolded

    # Lines

    def heading(self, position: int) -> int:
        """Return how many lines over an item's own words are no words of it."""
        item = self._items.get(position)
        if item is None or item.kind != "message" or self.is_folded(item):
            return 0
        part = begins_part(item, self._items.get(position - 1))
        return 2 + (0 if not part else 1 if item.inherited else 2)

    def measure(self, position: int) -> bool:
        """Measure an item that is in memory; return whether its height was another before."""
        if self.heights.is_measured(position) or (strips := self.strips(position)) is None:
            return False
        before = self.heights.height(position)
        self.heights.measure(position, len(strips))
        return before != len(strips)

    def strips(self, position: int) -> list[Strip] | None:
        """Return the lines of an item, or None when it is not in memory."""
        item, look = self._items.get(position), self._look
        if item is None or look is None or (position > 0 and position - 1 not in self._items):
            return None
        part = begins_part(item, self._items.get(position - 1))
        folded, hidden = self.is_folded(item), self.is_hidden(item)
        key = (*key_of(item), item.lines, item.rolled_back, part, folded, hidden)
        strips = self._strips.get(key)
        if strips is None:
            strips = item_strips(item, look, folded=folded, hidden=hidden, part=part)
            self._strips[key] = strips
            self._lines_kept += len(strips)
            while self._lines_kept > LINES_KEPT and len(self._strips) > 1:
                self._lines_kept -= len(self._strips.popitem(last=False)[1])
        else:
            self._strips.move_to_end(key)
        return strips
