"""A thread's metadata from the two ends of its rollout, for a complete list within moments."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from store.rollouts.fold import Fold
from store.rollouts.lines import EVENT_MSG, TURN_CONTEXT, classify
from store.rollouts.source import open_decoded, open_regular, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.rollouts.facts import RolloutFacts
    from store.rollouts.lines import LineType
    from store.rollouts.scan import RolloutFile

HEAD_WINDOWS: Final = (32 << 10, 128 << 10, 1 << 20)
"""How far the head is read, step by step, until the first prompt is found."""

TAIL_WINDOWS: Final = (16 << 10, 64 << 10, 256 << 10, 1 << 20)
"""How far the tail is read, step by step, until the last settings and token count are found."""

COMPRESSED_LIMIT: Final = 8 << 20
"""The tail of a compressed file that holds more than this is left to the full read."""


_LAST_LINES: Final = 4
"""Lines that are given whatever they are: one of them has the time that the thread was last written to."""

_UNWANTED: Final = re.compile(
    rb'\{"timestamp":"[^"\\]*",(?:"ordinal":\d{1,19},)?"type":"'
    rb'(?:response_item|world_state|token_usage_record"|compacted"'
    rb'|event_msg","payload":\{"type":"(?!token_count"|thread_settings_applied")[a-z_]+")'
)
"""Begins a line that is no turn context, token count or change of settings; cheaper than `classify`."""

_USAGE: Final[LineType] = (EVENT_MSG, "token_count")
_CONTEXT: Final[LineType] = (TURN_CONTEXT, None)
_CHANGE: Final[LineType] = (EVENT_MSG, "thread_settings_applied")


@dataclass(frozen=True, slots=True)
class HeadRead:
    """What the two ends say; `decoded_bytes` is the length of all lines, None while it is not known."""

    facts: RolloutFacts
    decoded_bytes: int | None


class _Window(Protocol):
    def __call__(self, start: int, size: int, /) -> bytes: ...


def read_heads(home: Path, file: RolloutFile) -> HeadRead:
    """Read forward to the first prompt and backward to the last token count, settings and time.

    At most 1 MiB is read from each end; what is not there is None. Raises RolloutError when the file cannot
    be read or nothing says which thread it is of.
    """
    if file.compressed:
        return _read_compressed(home, file)
    path = f"{home}/{file.path}"
    try:
        descriptor = open_regular(path)
        try:
            size = os.fstat(descriptor).st_size

            def window(start: int, length: int) -> bytes:
                os.lseek(descriptor, start, os.SEEK_SET)
                return os.read(descriptor, length)

            return HeadRead(_read_ends(file, window, size), size)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unreadable(path, error) from error


def _read_compressed(home: Path, file: RolloutFile) -> HeadRead:
    pieces: list[bytes] = []
    length = 0
    with open_decoded(home / file.path) as source:
        while length <= COMPRESSED_LIMIT and (piece := source.read(1 << 20)):
            pieces.append(piece)
            length += len(piece)
        data = b"".join(pieces)
        ended = length <= COMPRESSED_LIMIT
        facts = _read_ends(file, lambda start, size: data[start : start + size], length if ended else None)
        return HeadRead(facts, length if ended else source.size)


def _read_ends(file: RolloutFile, window: _Window, size: int | None) -> RolloutFacts:
    fold = Fold()
    _read_head(fold, file.thread_id, window)
    if size is not None:
        _read_tail(fold, window, size)
    return fold.facts(file, whole=False)


def _read_head(fold: Fold, name_id: str | None, window: _Window) -> None:
    """Take the lines up to the first prompt."""
    head = b""
    place = 0
    for size in HEAD_WINDOWS:
        head += window(len(head), size - len(head))
        ended = len(head) < size
        while place < len(head):
            end = head.find(b"\n", place)
            if end < 0:
                if not ended:
                    break
                end = len(head)
            line = head[place:end]
            place = end + 1
            if (kind := classify(line)) is not None:
                fold.take_head(line, kind, name_id)
                if fold.has_prompt:
                    return
        if ended:
            return


def _read_tail(fold: Fold, window: _Window, size: int) -> None:
    """Take the last good line's time, the last token count and the last settings, walking back from the end.

    A turn in another folder than the thread's may mean that the thread's was changed before it (0.169): then
    that change is looked for as well, and where it may lie out of reach the folder is not known.
    """
    timed = counted = settled = False
    changed: bytes | None = None  # settings that were changed after the last turn began
    moved: bytes | None = None  # the last turn, when it ran in another folder than the thread's
    for line in _lines_back(window, size):
        if not timed:
            timed = fold.take_time(line)
        kind = classify(line)
        if kind == _USAGE:
            counted = counted or fold.take_usage(line)
        elif kind == _CHANGE:
            if moved is not None and fold.take_settings(line):
                fold.take_context(moved)
                moved = None
            changed = changed or line
        elif kind == _CONTEXT and not settled and (context := fold.take_context(line)) is not None:
            settled = True
            if changed is not None:
                fold.take_settings(changed)
            elif context.cwd != fold.cwd:
                moved = line
        if timed and counted and settled and moved is None:
            return
    if moved is not None and size > TAIL_WINDOWS[-1]:
        fold.forget_cwd()
    if changed is not None and not settled:
        fold.take_settings(changed)


def _lines_back(window: _Window, size: int) -> Iterator[bytes]:
    """The lines of the last MiB, the last one first, but for those that surely say nothing wanted.

    The very last lines come whatever they are. A line that begins before the last MiB is left out.
    """
    start, rest = size, b""
    seen = 0
    for length in TAIL_WINDOWS:
        before = max(size - length, 0)
        data = window(before, start - before) + rest
        start = before
        end = len(data)
        while (newline := data.rfind(b"\n", 0, end)) >= 0:
            if newline + 1 < end:
                seen += 1
                if seen <= _LAST_LINES or _UNWANTED.match(data, newline + 1, end) is None:
                    yield data[newline + 1 : end]
            end = newline
        rest = data[:end]
        if start == 0:
            if rest:
                yield rest
            return
