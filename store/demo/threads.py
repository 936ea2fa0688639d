"""One synthetic thread: what it is to be, and its rollout on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import zstandard

from store.demo.eras import dialect
from store.rollouts.envelope import (
    RolloutItem,
    active_path,
    encode_bare_line,
    encode_line,
    rfc3339,
    rollout_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from store.demo.dialects import Beat, Dialect, Era, Head
    from store.demo.stories import Turn


@dataclass(frozen=True, slots=True)
class ThreadPlan:
    """A thread to write: who it is, how its Codex writes, and all that happens in it."""

    head: Head
    era: Era
    turns: tuple[Turn, ...]
    archived: bool = False
    compressed: bool = False
    name: str | None = None
    bad_lines: bool = False
    torn: bool = False


@dataclass(slots=True)
class WrittenThread:
    """A thread that is on disk now, with what a fork of it or a database row needs to know."""

    plan: ThreadPlan
    path: str
    updated_ms: int
    tokens: int
    prompt: str
    """What the thread is called after; a fork that copied its parent's lines begins with the parent's."""
    lines: list[bytes] = field(default_factory=list)
    dialect: Dialect | None = None
    first_ordinal: int = 0


class PlannedClock:
    """The time inside a thread that is made up; it never passes the end given."""

    def __init__(self, now_ms: int, end_ms: int) -> None:
        self._now_ms = now_ms
        self._end_ms = end_ms

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return self._now_ms

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_ms = min(self._now_ms + round(seconds * 1000), self._end_ms)


class ThreadWriter:
    """Writes planned threads into one home, each file at once and with the time of its last line."""

    def __init__(self, home: Path, now_ms: int) -> None:
        self._home = home
        self._now_ms = now_ms
        self._folders: set[Path] = set()
        self._compressor = zstandard.ZstdCompressor(level=3)

    def write(self, plan: ThreadPlan, *, base: WrittenThread | None = None) -> WrittenThread:
        """Write the rollout; `base` is the thread that it was forked from.

        The returned value keeps the lines of the file until the caller lets go of it.
        """
        clock = PlannedClock(plan.head.created_ms, self._now_ms)
        random = Random(plan.head.thread_id)
        speaker = dialect(plan.head, plan.era, clock.now_ms, random)
        first_ordinal = plan.head.history_base["end_ordinal_exclusive"] if plan.head.history_base else 0
        page = _Page(clock, bare=speaker.bare, ordinal=first_ordinal if speaker.paginated else None)
        page.add(speaker.open())
        if base is not None:
            if base.dialect is not None:
                speaker.inherit_usage(base.dialect)
            if not speaker.paginated:
                # Codex up to 0.130 copies the parent's lines, session_meta and all, with the fork's time.
                page.lines += [_restamped(line, plan.head.created_ms) for line in base.lines]
        for turn in plan.turns:
            page.add(speaker.turn(turn))
            clock.advance(random.lognormvariate(3.4, 1.1))
            if plan.bad_lines and turn is plan.turns[0]:
                page.lines += [b'{"timestamp":"2026-0\n', b"\x00\x00\x00\x00\n"]
                page.add([RolloutItem("presence_update", {"state": "away", "since_s": 40})])
        lines = [*page.lines, b'{"timestamp":"' if plan.torn else b""]
        path = active_path(plan.head.thread_id, plan.head.created_ms)
        if plan.archived:
            path = f"archived_sessions/{rollout_name(plan.head.thread_id, plan.head.created_ms)}"
        path = self._put(path, b"".join(lines), page.last_ms, compressed=plan.compressed)
        prompt = base.prompt if base is not None and not speaker.paginated else plan.turns[0].prompt
        return WrittenThread(
            plan, path, page.last_ms, speaker.total_tokens, prompt, page.lines, speaker, first_ordinal
        )

    def _put(self, path: str, data: bytes, updated_ms: int, *, compressed: bool) -> str:
        if compressed:
            path, data = f"{path}.zst", self._compressor.compress(data)
        target = self._home / path
        if target.parent not in self._folders:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(target.parent)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            file.write(data)
        os.utime(target, ns=(updated_ms * 1_000_000, updated_ms * 1_000_000))
        return path


def _restamped(line: bytes, at_ms: int) -> bytes:
    """The line with another time in its envelope."""
    start = len('{"timestamp":"')
    stamp = rfc3339(at_ms).encode()
    return line[:start] + stamp + line[start + len(stamp) :]


class _Page:
    """The lines of one rollout as they come."""

    def __init__(self, clock: PlannedClock, *, bare: bool, ordinal: int | None) -> None:
        self._clock = clock
        self._bare = bare
        self._ordinal = ordinal
        self.lines: list[bytes] = []
        self.last_ms = clock.now_ms()

    def add(self, beats: Iterable[Beat]) -> None:
        """Write the items down and let the time between them pass."""
        for beat in beats:
            if isinstance(beat, float):
                self._clock.advance(beat)
                continue
            self.last_ms = self._clock.now_ms()
            if self._bare:
                self.lines.append(encode_bare_line(beat.payload))
                continue
            self.lines.append(encode_line(beat, self.last_ms, self._ordinal))
            if self._ordinal is not None:
                self._ordinal += 1


def fork_base(parent: WrittenThread, turns: int) -> dict[str, Any]:
    """Where a fork (0.169) leaves its parent: after so many of its turns."""
    ends = [number for number, line in enumerate(parent.lines) if b'"type":"task_complete"' in line[:200]]
    end = ends[turns - 1] + 1
    return {
        "thread_id": parent.plan.head.thread_id,
        "end_ordinal_exclusive": parent.first_ordinal + end,
        "end_byte_offset": sum(len(line) for line in parent.lines[:end]),
    }
