"""Finding text in a transcript: the rollout's bytes are looked through, and only what may hold it is decoded.

What is kept is one byte an item, and a block of the file while it is looked through.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from store.needle import Findings
from store.rollouts.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from store.models import TranscriptItem
    from store.needle import Needle
    from store.rollouts.segment import Block
    from store.rollouts.transcript import Transcript

BLOCK_BYTES: Final = 2 << 20
"""How much is looked through in one step, besides a line that is longer."""

DECODED_BYTES: Final = 1 << 20
"""How much is decoded in one step at most, besides an item that is longer."""

_LITERAL = re.compile(r"[A-Za-z0-9_.-]+")
"""What stands in the file as it is read: no escape takes its place, and nothing is put between."""

_OURS: Final = ("add", "change", "delete", "file", "move", "named", "to", "update", "x")
_OUR_LINES: Final = (b'"changes"', b"plan", b"thread_name_updated")
"""Lines to which words of our own are added when they are read: `*** Add File:`, `[x]`, `named`."""


class Finder:
    """Looks for a needle, step by step and from the beginning to whatever is indexed by then."""

    def __init__(
        self, transcript: Transcript, needle: Needle, wanted: Callable[[TranscriptItem], bool]
    ) -> None:
        """Items that are not `wanted` are passed over."""
        self._transcript = transcript
        self._needle = needle
        self._wanted = wanted
        self._probes, self._also = _probes(needle)
        self._next: dict[Segment, int] = {}
        self._found: dict[Segment, bytearray] = {}

    def step(self) -> Findings | None:
        """Look through what comes next, or return None when there is nothing more for now."""
        with self._transcript.held() as parts:
            first = searched = 0
            for part in parts:
                if isinstance(part, Segment) and (line := self._next.get(part, 0)) < part.lines:
                    positions = [first + item for item in self._search(part, line)]
                    searched += part.offset(self._next[part])
                    return Findings(positions, searched, sum(each.indexed_bytes for each in parts))
                searched += part.indexed_bytes
                first += len(part.grouper)
        return None

    def __iter__(self) -> Iterator[int]:
        """Give every position that is found in what is indexed now."""
        while (findings := self.step()) is not None:
            yield from findings.positions

    def _search(self, part: Segment, line: int) -> list[int]:
        block = part.block(line, BLOCK_BYTES)
        grouper, positions, decoded, last = part.grouper, [], 0, -1
        found = self._found.setdefault(part, bytearray())
        found.extend(bytes(len(grouper) - len(found)))
        self._next[part] = block.stop
        for start in self._candidates(block):
            item = grouper.item_of(part.line_at(start))
            if item is None or item == last or found[item]:
                continue
            last = item
            shown = part.item(item)
            if self._wanted(shown) and any(map(self._needle.is_in, texts(shown))):
                found[item] = 1
                positions.append(item)
            decoded += sum(len(text or "") for text in texts(shown))
            if decoded >= DECODED_BYTES:
                self._next[part] = part.line_at(start) + 1
                break
        return positions

    def _candidates(self, block: Block) -> Iterator[int]:
        """Give the offset of something in each line of a block that may hold the needle."""
        data = block.data.lower() if self._needle.any_case else block.data
        at, end = 0, len(data)
        places = dict.fromkeys(self._probes, -1)
        while at < end:
            if self._probes:
                for probe, place in places.items():
                    if place < at:
                        place = data.find(probe, at)
                        places[probe] = end if place < 0 else place
                at = min(places.values())
                if at >= end:
                    return
            stop = data.find(b"\n", at) + 1 or end
            # What stands before it in the line counts as well.
            start = data.rfind(b"\n", 0, at) + 1 if self._also else at
            if all(data.find(run, start, stop) >= 0 for run in self._also):
                yield block.start + at
            at = stop


def texts(item: TranscriptItem) -> tuple[str | None, ...]:
    """What an item is found by: its words, a call's output, and its arguments where no words say them."""
    return item.text, item.output, None if item.text else item.arguments


def _probes(needle: Needle) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """Bytes, in lower case for any case, of which a line that holds the needle has one; and what else it has.

    No bytes at all stand for any line.
    """
    runs: list[str] = _LITERAL.findall(needle.text)
    if runs:
        run, *others = sorted(runs, key=len, reverse=True)
        if any(each.lower() in word for each in runs for word in _OURS):
            return (run.encode(), *_OUR_LINES), ()
        return (run.encode(),), [other.encode() for other in others]
    for character in needle.text:
        if not character.isascii():
            forms = {character, character.lower(), character.upper()} if needle.any_case else {character}
            # Any JSON writer may escape it instead.
            return (*(form.encode("utf-8", "surrogatepass") for form in sorted(forms)), b"\\u"), ()
    return (), ()
