"""A thread's metadata from its rollout: all of it, or from its head and tail alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from store.rollouts.facts import Problem, RolloutFacts
from store.rollouts.fold import Fold
from store.rollouts.heads import HeadRead, read_heads
from store.rollouts.lines import split
from store.rollouts.source import open_decoded

if TYPE_CHECKING:
    from pathlib import Path

    from store.rollouts.lines import RawLine
    from store.rollouts.scan import RolloutFile
    from store.rollouts.searchable import Found

__all__ = ["FullRead", "HeadRead", "Problem", "RolloutFacts", "read_full", "read_heads"]


@dataclass(frozen=True, slots=True)
class FullRead:
    """A read of a whole rollout, or of as much as the budget allowed.

    `fold` and `parsed_bytes` are where to go on from, when the file has grown or the budget was spent (`done`
    is false). `decoded_bytes` is the length of all lines, None while it is not known.
    """

    facts: RolloutFacts
    fold: bytes
    parsed_bytes: int
    decoded_bytes: int | None
    done: bool
    found: Found = field(compare=False)
    """What can be searched in the lines that were taken, but for a last one without its newline."""


def read_full(
    home: Path,
    file: RolloutFile,
    *,
    fold: bytes | None = None,
    parsed_bytes: int = 0,
    budget_bytes: int | None = None,
) -> FullRead:
    """Read every line from `parsed_bytes` on, `fold` being what the lines before it said.

    Stops at the first line end at which `budget_bytes` are spent; of a compressed file, whose beginning has
    to be decoded each time, as much again as was read before may be taken. A last line without its newline is
    taken into the facts but never into `fold`. A file that is now shorter than `parsed_bytes`, and a fold of
    another version, are read from the beginning. Whatever the bytes are, only RolloutError is raised: the
    file cannot be read, or nothing says which thread it is of.
    """
    state = None if fold is None else Fold.load(fold)
    offset = 0 if state is None else parsed_bytes
    with open_decoded(home / file.path, offset=offset) as source:
        if state is not None and not file.compressed and source.size is not None and source.size < offset:
            return read_full(home, file, budget_bytes=budget_bytes)
        state = state or Fold()
        first_line = state.next_line
        parsed, unfinished, done = offset, None, True
        limit = _limit(file, offset, budget_bytes)
        for line in split(source.read, start=offset, number=state.next_line):
            if not line.finished:
                unfinished = line
                break
            state.add(line, file.thread_id)
            parsed = line.end
            if limit is not None and parsed >= limit:
                done = False
                break
        kept = state.dump()
        found = state.searchable.take(offset, first_line)
        facts = _facts(state, file, unfinished, source.damage, parsed)
        end = parsed if unfinished is None else unfinished.end
        return FullRead(facts, kept, parsed, end if done else source.size, done, found)


def _limit(file: RolloutFile, offset: int, budget_bytes: int | None) -> int | None:
    if budget_bytes is None:
        return None
    return offset + (max(budget_bytes, offset) if file.compressed else budget_bytes)


def _facts(
    state: Fold, file: RolloutFile, unfinished: RawLine | None, damage: str | None, parsed: int
) -> RolloutFacts:
    if unfinished is not None:
        state.add(unfinished, file.thread_id)
    if damage is not None:
        state.damaged(damage, parsed)
    return state.facts(file, whole=True)
