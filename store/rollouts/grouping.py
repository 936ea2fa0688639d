"""Which lines make up one item: the two sides of what is written twice, a call with its output and events."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, get_args

from store.models import ItemKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.rollouts.said import Said, Side

NO_ITEM: Final = 0xFFFFFFFF
"""The item of a blank line."""

OPEN_CALLS: Final = 4096
"""How many of the latest calls may still be joined: an output follows soon, a rollout has millions."""

_WAITING: Final = 4096
_LONGEST_SUMMARY: Final = 64 << 10
_KINDS: Final[tuple[ItemKind, ...]] = get_args(ItemKind)
_CODES: Final[dict[ItemKind, int]] = {kind: code for code, kind in enumerate(_KINDS)}
_KIND_BITS: Final = 0b111


class Flag:
    """What the index knows of an item beside its kind (plain integers: an enum's `&` costs a microsecond)."""

    PROMPT: Final = 1 << 3
    ERROR: Final = 1 << 4
    ROLLED_BACK: Final = 1 << 5
    CALLED: Final = 1 << 6
    """The call itself was seen, not only something about it."""
    EVENT_TOLD: Final = 1 << 7
    """An event said whether it failed; what the output looks like counts no more."""
    TOOL: Final = 1 << 8


class Grouper:
    """Items from lines, one line after the other, in about 15 bytes an item and 8 a line.

    An item's number never changes, nor does the line that opens it. What may change: it gains lines, fails,
    is rolled back, and a message in the user's name turns out to be Codex's own. `previous` is what a fork
    inherits: turns are counted on from there, and a rollback may reach into it.
    """

    def __init__(self, previous: Grouper | None = None) -> None:
        self._previous = previous
        self._opening = array("I")
        self._closing = array("I")
        self._flags = array("H")
        self._turns = array("i")
        self._item_of = array("I")
        self._following = array("I")
        self._turn = -1 if previous is None else previous.turn
        self._turn_is_open = False
        self._saw_user_event = previous is not None and previous.saw_user_event
        self._waiting: dict[tuple[Side, int], list[int]] = {}
        self._calls: OrderedDict[str, int] = OrderedDict()
        self._doubtful: tuple[int, bool] | None = None
        self._compaction: tuple[int, Side] | None = None
        self._summary: tuple[int, str] | None = None
        self._last_said: Said | None = None

    def __len__(self) -> int:
        """How many items there are."""
        return len(self._opening)

    @property
    def turn(self) -> int:
        """The number of the turn that the next line belongs to; -1 before the first."""
        return self._turn

    @property
    def saw_user_event(self) -> bool:
        """This conversation has events for the user's words, so what has none is not the user's."""
        return self._saw_user_event

    def kind(self, item: int) -> ItemKind:
        """The item's kind as it stands now."""
        return _KINDS[self._flags[item] & _KIND_BITS]

    def has(self, item: int, flag: int) -> bool:
        """Whether the item has this flag now."""
        return bool(self._flags[item] & flag)

    def flagged(self, flag: int) -> Iterator[int]:
        """The items with this flag, ascending."""
        return (item for item, flags in enumerate(self._flags) if flags & flag)

    def turn_of(self, item: int) -> int | None:
        """The number of the item's turn, or None before the first."""
        turn = self._turns[item]
        return None if turn < 0 else turn

    def item_of(self, line: int) -> int | None:
        """The item that a line belongs to; None for a blank line."""
        item = self._item_of[line]
        return None if item == NO_ITEM else item

    def lines_of(self, item: int) -> tuple[int, ...]:
        """All lines of the item, ascending."""
        line = self._opening[item]
        lines = [line]
        while line := self._following[line]:
            lines.append(line)
        return tuple(lines)

    def skip(self) -> None:
        """Count a blank line."""
        self._item_of.append(NO_ITEM)
        self._following.append(0)

    def place(self, said: Said) -> int:
        """Give the next line its item, and return that."""
        line = len(self._item_of)
        item = self._partner(said)
        if self._doubtful is not None and item != self._doubtful[0]:
            self._demote(*self._doubtful)
        self._doubtful = None
        if said.rolled_back_turns:
            self._roll_back(said.rolled_back_turns)
        if item is None:
            item = self._open(said, line)
        else:
            self._following[self._closing[item]] = line
            self._closing[item] = line
        self._item_of.append(item)
        self._following.append(0)
        self._note(said, item)
        self._last_said = said
        return item

    def _open(self, said: Said, line: int) -> int:
        is_prompt = said.kind == "message" and said.role == "user"
        starts_turn = said.starts_turn or (is_prompt and not self._turn_is_open)
        if starts_turn:
            self._begin_turn(explicit=said.starts_turn)
        item = len(self._opening)
        self._opening.append(line)
        self._closing.append(line)
        self._flags.append(_CODES[said.kind])
        self._turns.append(self._turn)
        self._wait(said, item)
        if said.kind == "message" and said.role == "assistant" and said.side == "response":
            self._summary = self._summary_of(said, item)
        if is_prompt and said.side == "response" and not said.certainly_user and self._saw_user_event:
            self._doubtful = (item, starts_turn)
        return item

    def _begin_turn(self, *, explicit: bool) -> None:
        self._turn += 1
        self._turn_is_open = explicit
        self._waiting.clear()
        self._compaction = None
        self._summary = None

    def _note(self, said: Said, item: int) -> None:
        """Keep what later lines need to join this item, and what this line makes of it."""
        flags = self._flags[item]
        if said.kind == "message" and said.role == "user":
            if said.certainly_user:
                self._saw_user_event = self._saw_user_event or said.side == "event"
                if flags & _KIND_BITS != _CODES["message"]:
                    flags = self._promote(item)
            if flags & _KIND_BITS == _CODES["message"]:
                flags |= Flag.PROMPT
        if said.is_call:
            flags |= Flag.CALLED
        if said.kind == "tool":
            flags |= Flag.TOOL
        if said.kind == "compaction":
            flags = flags & ~_KIND_BITS | _CODES["compaction"]
        if said.failed is not None and (said.side == "event" or not flags & Flag.EVENT_TOLD):
            flags = flags | Flag.ERROR if said.failed else flags & ~Flag.ERROR
            if said.side == "event":
                flags |= Flag.EVENT_TOLD
        self._flags[item] = flags
        if said.call_id is not None:
            self._calls[said.call_id] = item
            self._calls.move_to_end(said.call_id)
            if len(self._calls) > OPEN_CALLS:
                self._calls.popitem(last=False)
        if said.ends_turn:
            self._turn_is_open = False

    def _promote(self, item: int) -> int:
        """What was taken for Codex's is the user's after all: its event came late."""
        if not self._turn_is_open:
            self._begin_turn(explicit=False)
            self._turns[item] = self._turn
        return self._flags[item] & ~_KIND_BITS | _CODES["message"]

    def _demote(self, item: int, started_turn: bool) -> None:
        """What stands in the user's name without an event is Codex's own (a warning, an image it read)."""
        self._flags[item] = self._flags[item] & ~_KIND_BITS & ~Flag.PROMPT | _CODES["context"]
        if started_turn:
            self._turn -= 1
            self._turns[item] = self._turn

    def _partner(self, said: Said) -> int | None:
        """The item that this line belongs to, when it does not open one."""
        if said.call_id is not None:
            call = self._calls.get(said.call_id)
            if call is not None and not (said.is_call and self.has(call, Flag.CALLED)):
                return call
        if said.kind == "compaction":
            return self._compaction_partner(said)
        if said.side == "alone" or not said.keys:
            return None
        item = self._same_words(said)
        if item is None:
            item = self._next_to(said)
        if item is not None:
            self._summary = None
        return item

    def _summary_of(self, said: Said, item: int) -> tuple[int, str] | None:
        text = (said.text or "").strip()
        return (item, text) if 0 < len(text) <= _LONGEST_SUMMARY else None

    def _wait(self, said: Said, item: int) -> None:
        if said.side == "alone":
            return
        for key in said.keys:
            self._waiting.setdefault((said.side, key), []).append(item)
        while len(self._waiting) > _WAITING:
            del self._waiting[next(iter(self._waiting))]

    def _same_words(self, said: Said) -> int | None:
        other: Side = "response" if said.side == "event" else "event"
        found: int | None = None
        for key in said.keys:
            waiting = self._waiting.get((other, key))
            if not waiting:
                continue
            if found is None:
                found = waiting.pop(0)
            elif found in waiting:
                waiting.remove(found)
            if not waiting:
                del self._waiting[other, key]
        return found

    def _next_to(self, said: Said) -> int | None:
        """The item of the line just before, when only its words differ.

        Codex writes the two sides of a user's or assistant's message next to each other, and changes words in
        one of them now and then (pictures, citations); the parts of one reasoning item are events in a row.
        """
        last = self._last_said
        if last is None or said.kind != last.kind or said.role != last.role or not self._item_of:
            return None
        item = self._item_of[-1]
        if item == NO_ITEM:
            return None
        if said.kind == "reasoning" and said.side == "event" == last.side and said.label == last.label:
            if self._is_waiting(last, item):
                self._wait(said, item)
                return item
            return None
        if said.kind != "message" or {said.side, last.side} != {"event", "response"}:
            return None
        if not self._is_waiting(last, item):
            return None
        self._forget(last, item)
        return item

    def _is_waiting(self, said: Said, item: int) -> bool:
        return any(item in self._waiting.get((said.side, key), ()) for key in said.keys)

    def _forget(self, said: Said, item: int) -> None:
        for key in said.keys:
            waiting = self._waiting.get((said.side, key), [])
            if item in waiting:
                waiting.remove(item)

    def _compaction_partner(self, said: Said) -> int | None:
        if self._compaction is not None and said.side != "alone" and self._compaction[1] != said.side:
            item = self._compaction[0]
            self._compaction = None
            return item
        item = len(self._opening)
        if self._summary is not None and said.text is not None and self._summary[1] in said.text:
            item = self._summary[0]
            self._summary = None
        self._compaction = (item, said.side)
        return item if item < len(self._opening) else None

    def _roll_back(self, turns: int) -> None:
        """Take back the last turns in which the user spoke (`thread_rolled_back`), and what came after."""
        self._turn_is_open = False
        grouper: Grouper | None = self
        while grouper is not None:
            turns = grouper._mark_rolled_back(turns)
            grouper = grouper._previous if turns else None

    def _mark_rolled_back(self, turns: int) -> int:
        """Mark from the `turns`-last turn with a prompt that stands; return how many turns were missing."""
        start = len(self._opening)
        while turns and start:
            start -= 1
            if self._flags[start] & Flag.PROMPT and not self._flags[start] & Flag.ROLLED_BACK:
                turns -= 1
                while start and self._turns[start - 1] == self._turns[start]:
                    start -= 1
        for item in range(start, len(self._opening)):
            if self._turns[item] >= 0:
                self._flags[item] |= Flag.ROLLED_BACK
        return turns
