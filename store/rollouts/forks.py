"""Which lines of a fork's file are its parent's.

Until 0.130 (and in legacy mode later) a fork's file is its own `session_meta`, then every line of the
parent, stamped anew within milliseconds, then what the fork itself went on with. Since 0.169 a paginated fork
points at its base instead (`history_base`) and holds only its own lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from store.rollouts.ids import uuid7_milliseconds
from store.rollouts.items import SessionMeta, TurnEvent, read_payload
from store.rollouts.lines import EVENT_MSG, SESSION_META, LineType, milliseconds, stamp

BURST_GAP_MS: Final = 10
"""Copied lines follow each other faster than this; a model's answer never does."""

TURN_BEGINS: Final = frozenset({"task_started", "turn_started"})


@dataclass(slots=True)
class InheritedPrefix:
    """Tells, line by line in the file's order, whether a line is the parent's.

    A turn's id is a uuid v7: a turn that began before the fork did is inherited, and so is everything up to
    the first that began after it. Where no turn has an id (before 0.104), the copied lines are one burst: the
    first gap of `BURST_GAP_MS` between two of them ends it. So a fork whose first turn is asked for within
    10 ms of the copying has that prompt counted as inherited.

    All fields are plain values: `InheritedPrefix(*prefix.state())` goes on where `prefix` is.
    """

    active: bool = True
    """False when no later line can be inherited."""
    opened: bool = False
    fork_id: str | None = None
    fork_ms: int | None = None
    declared: bool = False
    last_ms: int | None = None
    turns_have_ids: bool = False

    def feed(self, line: bytes, kind: LineType) -> bool:
        """Take the next line, whose type is `kind`; whether it is the parent's."""
        if not self.active:
            return False
        if not self.opened:
            self._open(line, kind)
            return False
        if self.last_ms is None and not self._begins(line, kind):
            return False
        if kind[0] == EVENT_MSG and kind[1] in TURN_BEGINS and (began := _turn_ms(line)) is not None:
            if self.fork_ms is not None and began >= self.fork_ms:
                self.active = False
                return False
            self.turns_have_ids = True
        at = stamp(line)
        if at is None:
            return True
        if not self.turns_have_ids and self.last_ms is not None and at - self.last_ms >= BURST_GAP_MS:
            self.active = False
            return False
        self.last_ms = at
        return True

    def state(self) -> list[Any]:
        """The fields, in order."""
        return [getattr(self, name) for name in self.__slots__]

    def _open(self, line: bytes, kind: LineType) -> None:
        self.opened = True
        meta = read_payload(SessionMeta, line) if kind[0] == SESSION_META else None
        if meta is None or meta.history_base is not None:
            self.active = False
            return
        self.fork_id = meta.id
        self.fork_ms = uuid7_milliseconds(meta.id) if meta.id is not None else None
        if self.fork_ms is None:
            self.fork_ms = milliseconds(meta.timestamp)
        self.declared = meta.forked_from_id is not None

    def _begins(self, line: bytes, kind: LineType) -> bool:
        """Whether the second line opens a copy; before 0.98 only the parent's `session_meta` says so."""
        meta = read_payload(SessionMeta, line) if kind[0] == SESSION_META else None
        copied = meta is not None and meta.id is not None and meta.id != self.fork_id
        self.active = copied or self.declared
        return self.active


def _turn_ms(line: bytes) -> int | None:
    turn = read_payload(TurnEvent, line)
    return None if turn is None or turn.turn_id is None else uuid7_milliseconds(turn.turn_id)
