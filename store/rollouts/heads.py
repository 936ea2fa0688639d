"""A thread's metadata from the two ends of its rollout, for a complete list within moments."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from store.rollouts.fold import Fold
from store.rollouts.items import ThreadSettingsApplied, TokenCount, TurnContext, read_payload
from store.rollouts.lines import (
    EVENT_MSG,
    RESPONSE_ITEM,
    SESSION_META,
    TURN_CONTEXT,
    BadLine,
    classify,
    verify,
)
from store.rollouts.source import open_decoded, open_regular, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.rollouts.facts import RolloutFacts
    from store.rollouts.lines import LineType
    from store.rollouts.scan import RolloutFile

HEAD_WINDOWS: Final = (48 << 10, 256 << 10, 1 << 20)
"""How far the head is read, step by step, until the first prompt is found."""

TAIL_WINDOWS: Final = (16 << 10, 64 << 10, 256 << 10, 1 << 20)
"""How far the tail is read, step by step, until the last settings and token count are found."""

COMPRESSED_LIMIT: Final = 8 << 20
"""The tail of a compressed file that holds more than this is left to the full read."""

_HEAD_TYPES: Final = frozenset(
    {
        (EVENT_MSG, "user_message"),
        (EVENT_MSG, "item_completed"),
        (EVENT_MSG, "thread_goal_updated"),
        (RESPONSE_ITEM, "message"),
    }
)
_CONTEXT: Final[LineType] = (TURN_CONTEXT, None)
_USAGE: Final[LineType] = (EVENT_MSG, "token_count")
_SETTINGS: Final[LineType] = (EVENT_MSG, "thread_settings_applied")


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
    head = _read_head(fold, file.thread_id, window)
    if size is not None:
        _read_tail(fold, window, size, head)
    return fold.facts(file, whole=False)


def _read_head(fold: Fold, name_id: str | None, window: _Window) -> bytes:
    """Take the session's own line and what comes before and with the first prompt; the bytes read."""
    head = b""
    place = 0
    for size in HEAD_WINDOWS:
        more = window(len(head), size - len(head))
        head += more
        while (end := head.find(b"\n", place)) >= 0 or (end := _whole_rest(head, place, size)) > 0:
            line = head[place:end]
            place = end + 1
            fold.next_line += 1
            kind = classify(line)
            if kind is not None and (kind in _HEAD_TYPES or kind[0] == SESSION_META):
                fold.take(line, kind, inherited=True, name_id=name_id)
                if fold.has_prompt:
                    return head
        if len(head) < size:
            break
    return head


def _whole_rest(head: bytes, place: int, size: int) -> int:
    """The end of a last line that has no newline, when the file ends within the window."""
    return len(head) if len(head) < size and place < len(head) else -1


def _read_tail(fold: Fold, window: _Window, size: int, head: bytes) -> None:
    for length in TAIL_WINDOWS:
        start = max(size - length, 0)
        tail = head[start:size] if len(head) >= size else window(start, size - start)
        found = _search(tail, whole=start == 0)
        if found.complete or start == 0:
            break
    found.give_to(fold)


class _Found:
    """What a tail holds of what is looked for; each None when it holds none."""

    def __init__(self) -> None:
        self.stamped: bytes | None = None
        self.usage: bytes | None = None
        self.context: bytes | None = None
        self.settings: bytes | None = None
        self.settings_last = False

    @property
    def complete(self) -> bool:
        return self.stamped is not None and self.usage is not None and self.context is not None

    def give_to(self, fold: Fold) -> None:
        order = [(self.settings, _SETTINGS), (self.context, _CONTEXT)]
        if self.settings_last:
            order.reverse()
        for line, kind in (*order, (self.usage, _USAGE)):
            if line is not None:
                fold.take(line, kind, inherited=True, name_id=None)
        if self.stamped is not None:
            fold.take_stamp(self.stamped)


def _search(tail: bytes, *, whole: bool) -> _Found:
    found = _Found()
    found.stamped = next((line for _, line in _lines_back(tail, whole=whole) if _is_good(line)), None)
    for _, line in _lines_with(tail, b'"token_count"', whole=whole):
        if classify(line) == _USAGE and _has_usage(line):
            found.usage = line
            break
    context_place = -1
    for place, line in _lines_with(tail, b'"turn_context"', whole=whole):
        if classify(line) == _CONTEXT and read_payload(TurnContext, line) is not None:
            found.context, context_place = line, place
            break
    for place, line in _lines_with(tail, b'"thread_settings_applied"', whole=whole):
        if classify(line) == _SETTINGS and read_payload(ThreadSettingsApplied, line) is not None:
            found.settings, found.settings_last = line, place > context_place
            break
    return found


def _is_good(line: bytes) -> bool:
    return not isinstance(verify(line), BadLine) and Fold().take_stamp(line)


def _has_usage(line: bytes) -> bool:
    count = read_payload(TokenCount, line)
    return count is not None and count.info is not None and count.info.total_token_usage is not None


def _lines_back(tail: bytes, *, whole: bool) -> Iterator[tuple[int, bytes]]:
    """The lines of `tail`, last to first; without the first when it may be the end of a longer one."""
    end = len(tail)
    while end > 0:
        start = tail.rfind(b"\n", 0, end) + 1
        if start == 0 and not whole:
            return
        if start < end:
            yield start, tail[start:end]
        end = start - 1


def _lines_with(tail: bytes, word: bytes, *, whole: bool) -> Iterator[tuple[int, bytes]]:
    """Those of them that hold `word`."""
    end = len(tail)
    while (place := tail.rfind(word, 0, end)) >= 0:
        start = tail.rfind(b"\n", 0, place) + 1
        if start == 0 and not whole:
            return
        stop = tail.find(b"\n", place)
        yield start, tail[start : stop if stop >= 0 else len(tail)]
        end = start
