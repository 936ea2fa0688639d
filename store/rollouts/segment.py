"""One rollout's share of a transcript: all of a thread's own file, or what a fork inherits of another's."""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic_core import from_json

from store.rollouts.assembly import Part, Standing, assemble
from store.rollouts.content import open_content, reader_from
from store.rollouts.conversation import glance, overlong, read_bytes
from store.rollouts.forks import InheritedPrefix
from store.rollouts.grouping import Flag, Grouper
from store.rollouts.lines import (
    MAX_LINE,
    PREFIX_BYTES,
    SESSION_META,
    BadLine,
    RawLine,
    classify,
    decode,
    split,
)
from store.rollouts.scan import rollout_id_in_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from store.models import TranscriptItem
    from store.rollouts.content import Content
    from store.rollouts.said import Said

_ORDINAL = re.compile(rb'\{"timestamp":"[^"\\]*","ordinal":(\d{1,19}),')
_BLOCK: Final = 1 << 20
_LAID_OUT: Final = 4 << 20
_SEARCH_BACK: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Base:
    """Where a rollout's own lines begin in the history of another rollout (`history_base`, 0.169): that of
    the thread which a paginated fork was made of, or an earlier one of a reverted thread."""

    rollout_id: str
    """What Codex calls `thread_id`: the last id in the name of the base's file."""
    end_offset: int | None
    end_ordinal: int | None

    @classmethod
    def of(cls, meta: dict[str, Any]) -> Base | None:
        """Read it from a `session_meta`'s payload."""
        fields = meta.get("history_base")
        if not isinstance(fields, dict) or not isinstance(fields.get("thread_id"), str):
            return None
        return cls(
            fields["thread_id"],
            _position(fields.get("end_byte_offset")),
            _position(fields.get("end_ordinal_exclusive")),
        )


class Block(NamedTuple):
    """Whole lines of a rollout."""

    start: int
    """The offset of its first byte."""
    data: bytes
    stop: int
    """The number of the line after."""


def _position(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 else None


class Segment:
    """A rollout, or its beginning up to where a fork left it, with the index of its lines."""

    def __init__(self, content: Content, thread_id: str, rollout_id: str, until: Base | None = None) -> None:
        self.rollout_id = rollout_id
        self.grouper = Grouper()
        self._content = content
        self._is_base = until is not None
        self._end, self._end_ordinal = _end_of(content, until)
        self._offsets = array("Q")
        self._next = 0
        self._tail_end = 0
        self._lines: Iterator[RawLine] | None = None
        self._prefix = InheritedPrefix()
        self._inherited_end = 0
        meta = self._first_meta()
        told = meta.get("id") if self._is_base else None
        self.thread_id = told if isinstance(told, str) else thread_id
        self.base = Base.of(meta)
        parent = meta.get("forked_from_id")
        self._parent: str | None = parent if isinstance(parent, str) else None

    @classmethod
    def open(cls, path: Path, thread_id: str, until: Base | None = None) -> Segment:
        """Open a rollout; of a base, its first line has the last word on its thread. Raises RolloutError."""
        return cls(open_content(path), thread_id, rollout_id_in_name(path.name) or thread_id, until)

    @property
    def indexed_bytes(self) -> int:
        """How far the index reaches."""
        return max(self._next, self._tail_end)

    @property
    def total_bytes(self) -> int:
        """How many bytes there are to index, as far as is known."""
        return self._content.extent() if self._end is None else self._end

    @property
    def problem(self) -> str | None:
        """Why the rest of the rollout cannot be read."""
        return self._content.problem

    def replaced(self) -> bool:
        """The file is not the one that was opened any more."""
        return self._content.replaced()

    def close(self) -> None:
        """Let the file go."""
        self._content.close()

    def follow(self, before: Grouper) -> None:
        """Go on from what this thread inherits; to be called once that is indexed and before this is."""
        self.grouper = Grouper(before)

    def index(self, step_bytes: int) -> bool:
        """Place the next lines, about `step_bytes` of them; false when there was nothing new."""
        before = self.indexed_bytes
        if self._lines is None:
            read = reader_from(self._content, self._next, self._end)
            self._lines = split(read, start=self._next, number=self._line_at_next())
        for raw in self._lines:
            if self._beyond(raw):
                self._end = self._next
                break
            self._take(raw)
            if self._next - before >= step_bytes:
                return True
        self._lines = None
        return self.indexed_bytes != before

    def _line_at_next(self) -> int:
        unfinished = self._tail_end > self._next
        return len(self._offsets) - unfinished

    def _beyond(self, raw: RawLine) -> bool:
        if self._end is not None or self._end_ordinal is None:
            return False
        match = _ORDINAL.match(raw.data)
        return match is not None and int(match[1]) >= self._end_ordinal

    def _take(self, raw: RawLine) -> None:
        """Place a line; one without newline counts when it is whole, and is not placed again when it ends."""
        known = raw.number < len(self._offsets)
        if not raw.finished:
            if known or raw.too_long or isinstance(decode(raw.data), BadLine):
                return
            self._tail_end = raw.end
        else:
            self._next = raw.end
        if not known:
            self._offsets.append(raw.start)
            self._place(raw)

    def _place(self, raw: RawLine) -> None:
        if not raw.data.strip():
            self.grouper.skip()
            return
        self._note_inherited(raw)
        self.grouper.place(overlong(raw.data, raw.end - raw.start) if raw.too_long else glance(raw.data))

    def _note_inherited(self, raw: RawLine) -> None:
        if not self._prefix.active:
            return
        kind = classify(raw.data)
        if kind is None or not self._prefix.feed(raw.data, kind):
            return
        if self._parent is None and kind[0] == SESSION_META:
            meta = decode(raw.data)
            copied = None if isinstance(meta, BadLine) else meta.payload.get("id")
            self._parent = copied if isinstance(copied, str) else None
        self._inherited_end = raw.number + 1

    def _first_meta(self) -> dict[str, Any]:
        first = next(split(reader_from(self._content, 0, None)), None)
        line = None if first is None or first.too_long else decode(first.data)
        return {} if line is None or isinstance(line, BadLine) or line.type != SESSION_META else line.payload

    def item(self, item: int) -> TranscriptItem:
        """Decode one item of the index."""
        grouper = self.grouper
        lines = grouper.lines_of(item)
        return self._assembled([(line, self._read(line)) for line in lines], grouper, item)

    def _assembled(
        self, lines: Iterable[tuple[int, tuple[Said, int | None]]], grouper: Grouper, item: int
    ) -> TranscriptItem:
        parts = [Part(line, at, said) for line, (said, at) in lines]
        copied = self._parent is not None and 0 < parts[0].line < self._inherited_end
        reverted = not copied and self.rollout_id != self.thread_id
        if copied:  # the copy begins behind the fork's own first line
            parts = [Part(part.line - 1, part.at, part.said) for part in parts]
        return assemble(
            parts,
            Standing(
                thread_id=self._parent if copied and self._parent is not None else self.thread_id,
                kind=grouper.kind(item),
                rollout_id=self.rollout_id if reverted else None,
                failed=grouper.has(item, Flag.ERROR),
                inherited=copied or self._is_base,
                rolled_back=grouper.has(item, Flag.ROLLED_BACK),
                turn=None if parts[0].line < 0 else grouper.turn_of(item),
            ),
        )

    def _span(self, line: int) -> tuple[int, int]:
        is_last = line + 1 == len(self._offsets)
        return self._offsets[line], self.indexed_bytes if is_last else self._offsets[line + 1]

    def _read(self, line: int) -> tuple[Said, int | None]:
        start, end = self._span(line)
        if end - start > MAX_LINE + 1:
            return overlong(self._content.read(start, PREFIX_BYTES), end - start), None
        return read_bytes(self._content.read(start, end - start).removesuffix(b"\n"))

    def line_in_file(self, line: int, rollout_id: str) -> int | None:
        """The number in this file of a line that is `line` in the rollout with this id."""
        if rollout_id == self._parent and 0 < line + 1 < self._inherited_end:
            return line + 1
        own = rollout_id == self.rollout_id and not 0 < line < self._inherited_end
        return line if own and 0 <= line < len(self._offsets) else None

    @property
    def lines(self) -> int:
        """How many lines are indexed."""
        return len(self._offsets)

    def offset(self, line: int) -> int:
        """Where a line begins, or where the index ends."""
        return self._offsets[line] if line < len(self._offsets) else self.indexed_bytes

    def line_at(self, offset: int) -> int:
        """The number of the line that a byte belongs to."""
        return bisect_right(self._offsets, offset) - 1

    def block(self, first: int, size: int) -> Block:
        """The lines from `first` on, at most `size` bytes or one line; nothing of a line that is too long."""
        start = self.offset(first)
        fits = self.indexed_bytes <= start + size
        stop = len(self._offsets) if fits else max(first + 1, bisect_right(self._offsets, start + size) - 1)
        length = self.offset(stop) - start
        return Block(start, self._content.read(start, length) if length <= MAX_LINE + 1 else b"", stop)

    def raw(self, item: int, limit: int) -> str:
        """The JSON of an item's lines, laid out for reading, at most about `limit` characters."""
        texts: list[str] = []
        for line in self.grouper.lines_of(item):
            start, end = self._span(line)
            if end - start > _LAID_OUT:
                text = self._content.read(start, limit).decode("utf-8", "replace")
                texts.append(f"{text}\n… of {end - start:,} bytes")
            else:
                text = _laid_out(self._content.read(start, end - start).removesuffix(b"\n"))
                texts.append(text if len(text) <= limit else f"{text[:limit]}\n… of {len(text):,} characters")
            limit -= len(texts[-1])
            if limit <= 0:
                break
        return "\n\n".join(texts)

    def head(self, max_bytes: int) -> list[TranscriptItem]:
        """Items of the first `max_bytes`, without an index."""
        taken: list[RawLine] = []
        for raw in split(reader_from(self._content, 0, self._end)):
            taken.append(raw)
            if raw.end >= max_bytes:
                break
        return self._without_index(taken, 0)

    def tail(self, max_bytes: int) -> tuple[list[TranscriptItem], bool]:
        """Items of the last `max_bytes`, without an index; and whether these are all there are."""
        if self._end is None and self._end_ordinal is not None:
            return [], False
        end = self._content.size() if self._end is None else self._end
        start = _tail_start(self._content, end, max_bytes)
        taken = list(split(reader_from(self._content, start, end), start=start))
        return self._without_index(taken, 0 if start == 0 else -len(taken)), start == 0

    def _without_index(self, taken: list[RawLine], first: int) -> list[TranscriptItem]:
        grouper = Grouper()
        saids: list[tuple[Said, int | None]] = []
        for raw in taken:
            if not raw.finished and (raw.too_long or isinstance(decode(raw.data), BadLine)):
                break
            said = (overlong(raw.data, raw.end - raw.start), None) if raw.too_long else read_bytes(raw.data)
            saids.append(said)
            if raw.data.strip():
                grouper.place(said[0])
            else:
                grouper.skip()
        return [
            self._assembled([(first + line, saids[line]) for line in grouper.lines_of(item)], grouper, item)
            for item in range(len(grouper))
        ]


def _end_of(content: Content, until: Base | None) -> tuple[int | None, int | None]:
    """Where a base ends: at its byte offset if a line ends there, else before its ordinal."""
    if until is None:
        return None, None
    offset = until.end_offset
    if offset == 0 or (offset is not None and content.read(offset - 1, 1) == b"\n"):
        return offset, None
    return None, until.end_ordinal


def _tail_start(content: Content, end: int, max_bytes: int) -> int:
    """Where the first line in the last `max_bytes` starts, or the last line if that is longer."""
    start = max(0, end - max_bytes)
    if start == 0:
        return 0
    found = content.read(start - 1, end - start).find(b"\n")
    if found >= 0:
        return start + found
    while start > max(0, end - _SEARCH_BACK):
        block = max(0, start - _BLOCK)
        found = content.read(block, start - block).rfind(b"\n")
        if found >= 0:
            return block + found + 1
        start = block
    return start


def _laid_out(data: bytes) -> str:
    try:
        return json.dumps(from_json(data), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace")
