"""One thread's conversation, read on demand: an index of its lines, items decoded when they are asked for.

The index holds no text, so that a rollout of any size can be open: 16 bytes a line and 14 an item. All calls
are synchronous and safe from any thread; `build` and `all_items` are long, run them in a worker.
"""

from __future__ import annotations

import threading
from array import array
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from store.errors import RolloutError
from store.rollouts.finding import Finder
from store.rollouts.gap import Gap
from store.rollouts.grouping import Flag
from store.rollouts.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from store.models import TranscriptItem
    from store.needle import Needle
    from store.rollouts.segment import Base

MAX_BASES: Final = 64
"""How many rollouts deep the history of a fork, or of a reverted thread, is followed."""

STEP_BYTES: Final = 1 << 20
"""How much `build` reads between two reports."""

SCREEN_BYTES: Final = 256 << 10
"""How much of an end of the file makes a first screen."""

RAW_CHARS: Final = 200_000
"""How much of an item's JSON the raw view gets."""


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How far the index has come."""

    done_bytes: int
    total_bytes: int
    items: int


@dataclass(frozen=True, slots=True)
class FirstScreen:
    """Items of one end, from before there was an index.

    Where `from_end` is true, lines below zero count from the end of the rollout as it was then (-1 is its
    last line), turns have no numbers, and an item that begins further up shows what is here of it.
    """

    items: tuple[TranscriptItem, ...]
    from_end: bool


class Transcript:
    """The items of a thread, with what it inherits before them, in the order of their opening lines."""

    def __init__(self, parts: list[Segment | Gap], own: Segment) -> None:
        self.thread_id = own.thread_id
        self._rollout_id = own.rollout_id
        self._parts = parts
        self._lock = threading.RLock()
        self._begun = 0
        self._change = 0
        self._flagged: dict[int, tuple[int, array[int]]] = {}

    @classmethod
    def open(
        cls, path: Path, *, thread_id: str, resolve_base: Callable[[str], Path | None] | None = None
    ) -> Transcript:
        """Open the rollout at `path` and those that it builds on; raises RolloutError if `path` cannot be.

        `resolve_base` finds a rollout by its id. A base that is missing, cannot be read or leads
        back to itself becomes an event that says so.
        """
        own = Segment.open(path, thread_id)
        parts: list[Segment | Gap] = [own]
        seen = {own.rollout_id}
        base = own.base
        try:
            while base is not None:
                found = _open_base(base, seen, resolve_base)
                parts.append(found)
                seen.add(base.rollout_id)
                base = found.base
        except BaseException:
            for part in parts:
                part.close()
            raise
        return cls(parts[::-1], own)

    def close(self) -> None:
        """Let the files go; from then on there is nothing to show."""
        with self._lock:
            for part in self._parts:
                part.close()
            self._parts = []
            self._change += 1

    def __enter__(self) -> Transcript:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def first_screen(self, *, end: bool, max_bytes: int = SCREEN_BYTES) -> FirstScreen:
        """Decode the first or last `max_bytes`, or the one line there if it is longer; needs no index."""
        with self._lock:
            if not end:
                head = self._parts[0].head(max_bytes) if self._parts else []
                return FirstScreen(tuple(head), from_end=False)
            items: list[TranscriptItem] = []
            whole = True
            for part in reversed(self._parts):
                found, whole = part.tail(max_bytes)
                items[:0] = found
                max_bytes -= part.total_bytes
                if not whole or max_bytes <= 0:
                    break
            return FirstScreen(tuple(items), from_end=not whole)

    def build(self, step_bytes: int = STEP_BYTES) -> Iterator[BuildProgress]:
        """Index what is not indexed yet, a report for each `step_bytes`; may be stopped, and called again."""
        number = 0
        while True:
            with self._lock:
                if number >= len(self._parts):
                    return
                part = self._parts[number]
                if number == self._begun:
                    self._begun += 1
                    if number:
                        part.follow(self._parts[number - 1].grouper)
                if not part.index(step_bytes):
                    self._tell_problem(number)
                    number += 1
                    continue
                self._change += 1
                progress = BuildProgress(
                    self._indexed_bytes(), sum(p.total_bytes for p in self._parts), self.count
                )
            yield progress

    def extend(self) -> bool:
        """Index what was appended since the last time; true when there is something new."""
        before = self._indexed_bytes()
        for _ in self.build():
            pass
        return self._indexed_bytes() != before

    def replaced(self) -> bool:
        """The thread's file was moved, compressed, cut or rewritten: open it anew."""
        return any(part.replaced() for part in self._parts)

    def _indexed_bytes(self) -> int:
        return sum(part.indexed_bytes for part in self._parts)

    def _tell_problem(self, number: int) -> None:
        part = self._parts[number]
        told = number + 1 < len(self._parts) and isinstance(self._parts[number + 1], Gap)
        if part.problem is not None and not told:
            self._parts.insert(number + 1, Gap(part.thread_id, f"the rest cannot be read: {part.problem}"))
            self._change += 1

    @property
    def count(self) -> int:
        """How many items are indexed."""
        return sum(len(part.grouper) for part in self._parts)

    def items(self, start: int, stop: int) -> list[TranscriptItem]:
        """Decode the items from `start` up to `stop` (as many as there are)."""
        found: list[TranscriptItem] = []
        with self._lock:
            for part in self._parts:
                length = len(part.grouper)
                found += [part.item(item) for item in range(max(0, start), min(stop, length))]
                start, stop = start - length, stop - length
        return found

    def all_items(self) -> Iterator[TranscriptItem]:
        """Index all there is, then decode item after item; nothing is held."""
        for _ in self.build():
            pass
        for position in range(self.count):
            yield from self.items(position, position + 1)

    def find(self, needle: Needle, wanted: Callable[[TranscriptItem], bool] = lambda _item: True) -> Finder:
        """Look for text in what is indexed, passing over the items that are not `wanted`."""
        return Finder(self, needle, wanted)

    @contextmanager
    def held(self) -> Iterator[Sequence[Segment | Gap]]:
        """What the transcript is made of, none of which changes meanwhile."""
        with self._lock:
            yield self._parts

    @property
    def prompts(self) -> Sequence[int]:
        """The positions of what the user asked, ascending."""
        return self._positions(Flag.PROMPT)

    @property
    def errors(self) -> Sequence[int]:
        """The positions of what failed, ascending."""
        return self._positions(Flag.ERROR)

    @property
    def tools(self) -> Sequence[int]:
        """The positions of tool calls, ascending."""
        return self._positions(Flag.TOOL)

    def _positions(self, flag: int) -> Sequence[int]:
        with self._lock:
            change, positions = self._flagged.get(flag, (-1, array("Q")))
            if change != self._change:
                positions = array("Q")
                first = 0
                for part in self._parts:
                    positions.extend(first + item for item in part.grouper.flagged(flag))
                    first += len(part.grouper)
                self._flagged[flag] = (self._change, positions)
            return positions

    def position_of_line(self, line: int, rollout_id: str | None = None) -> int | None:
        """The position of the item that `line` of a rollout (by default the own one) belongs to."""
        with self._lock:
            first = 0
            for part in self._parts:
                number = part.line_in_file(line, rollout_id or self._rollout_id)
                item = None if number is None else part.grouper.item_of(number)
                if item is not None:
                    return first + item
                first += len(part.grouper)
        return None

    def raw(self, position: int, max_chars: int = RAW_CHARS) -> str:
        """The JSON of all lines of an item, laid out for reading; raises IndexError for no such position."""
        with self._lock:
            for part in self._parts:
                if 0 <= position < len(part.grouper):
                    return part.raw(position, max_chars)
                position -= len(part.grouper)
        raise IndexError(position)


def _open_base(
    base: Base, seen: set[str], resolve_base: Callable[[str], Path | None] | None
) -> Segment | Gap:
    wanted = base.rollout_id
    if wanted in seen:
        return Gap(wanted, f"the history that this thread builds on leads back to {wanted}")
    if len(seen) > MAX_BASES:
        return Gap(wanted, f"forked more than {MAX_BASES} times over: what lies before is left out")
    path = None if resolve_base is None else resolve_base(wanted)
    if path is None:
        return Gap(wanted, f"the rollout of {wanted}, which this thread builds on, is not here")
    try:
        return Segment.open(path, wanted, base)
    except RolloutError as error:
        return Gap(wanted, str(error))
