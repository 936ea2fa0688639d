"""One JSONL line of a rollout: found, told apart by its first bytes, decoded.

The shapes of a line, by the Codex version that wrote it:

- 0.36 and later: `{"timestamp":…,["ordinal":N,]"type":T,"payload":{…}}` (`RolloutLine` in Codex's protocol);
- before: a header `{"id","timestamp","instructions"}`, bare response items `{"type":"message",…}`, and
  `{"record_type":"state"}`. They get the types that the later shape has for them: `session_meta`,
  `response_item` with the item's own type, and `state`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic_core import SchemaValidator, ValidationError, core_schema, from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNK: Final = 1 << 20
"""Bytes asked of the source at a time."""

MAX_LINE: Final = 32 << 20
"""A longer line is passed over: its first bytes are kept, the rest is never held."""

PREFIX_BYTES: Final = 256
"""How much of a line that is too long is kept, and how far `classify` looks before it decodes."""

SESSION_META: Final = "session_meta"
RESPONSE_ITEM: Final = "response_item"
EVENT_MSG: Final = "event_msg"
TURN_CONTEXT: Final = "turn_context"
COMPACTED: Final = "compacted"
STATE: Final = "state"

LineType = tuple[str, str | None]
"""A line's type, and its payload's own type where the type has several (`response_item`, `event_msg`)."""

_BARE_ITEMS: Final = frozenset(
    {
        "message",
        "reasoning",
        "local_shell_call",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "web_search_call",
    }
)
_TAGGED: Final = frozenset({RESPONSE_ITEM, EVENT_MSG})

_REMEMBERED: Final = 1024
_NOT_YET: Final[LineType] = ("", None)
_FOUND: Final[dict[tuple[bytes | Any, ...], LineType | None]] = {}

_WORD = rb'"([ !#-\[\]-~]*)"'
_PREFIX = re.compile(
    rb'\{"(?:timestamp":' + _WORD + rb',(?:"ordinal":(\d{1,18}),)?"type":' + _WORD + rb',"payload":\{'
    rb'(?:"type":' + _WORD + rb')?|type":"(' + "|".join(sorted(_BARE_ITEMS)).encode() + rb')"[,}])'
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_INT64 = range(-(1 << 63), 1 << 63)


class RawLine(NamedTuple):
    """A line as it lies in the file.

    `end` is the offset of the byte after its newline, or of the source's end when it has none (`finished`
    is false: it may still be written). `data` is without the newline; of a line over `MAX_LINE` (`too_long`)
    it is only the first `PREFIX_BYTES`.
    """

    number: int
    start: int
    end: int
    data: bytes
    finished: bool
    too_long: bool


@dataclass(frozen=True, slots=True)
class RolloutLine:
    """A decoded line. `at` is its time in milliseconds since the epoch; a `bare` line has no envelope."""

    type: str
    subtype: str | None
    at: int | None
    ordinal: int | None
    payload: dict[str, Any]
    bare: bool = False


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that says nothing, and why."""

    reason: str


def split(read: Callable[[int], bytes], *, start: int = 0, number: int = 0) -> Iterator[RawLine]:
    """Yield the lines of what `read` returns until it returns nothing.

    `read(n)` gives up to `n` bytes, as `os.read` and every binary stream do; its first byte lies at offset
    `start` and opens line `number`. Never holds more than one line of at most `MAX_LINE` bytes and one chunk.
    """
    make = tuple.__new__  # a third of the cost of RawLine(…), in the one loop that every line goes through
    pieces: list[bytes] = []  # of the line that no newline has ended yet
    held = 0  # bytes of it seen, whether or not they are kept
    while chunk := read(CHUNK):
        parts = chunk.split(b"\n")
        rest = parts.pop()
        if parts and held:
            first = parts[0]
            held += len(first)
            end = start + held + 1
            if held > MAX_LINE:
                yield RawLine(number, start, end, _head(pieces, first), True, True)
            else:
                pieces.append(first)
                yield RawLine(number, start, end, b"".join(pieces), True, False)
            number, start = number + 1, end
            del parts[0]
            pieces, held = [], 0
        for data in parts:
            end = start + len(data) + 1
            yield make(RawLine, (number, start, end, data, True, False))
            number += 1
            start = end
        if rest:
            held += len(rest)
            pieces.append(rest)
            if held > MAX_LINE:
                pieces = [_head(pieces, b"")]
    if held:
        too_long = held > MAX_LINE
        data = _head(pieces, b"") if too_long else b"".join(pieces)
        yield RawLine(number, start, start + held, data, False, too_long)


def classify(line: bytes) -> LineType | None:
    """Say what a line is, by its first bytes where it has Codex's own key order; None when it says nothing.

    Nothing is validated: a line that is not whole JSON may still be given the type that it begins with. On
    every line that `decode` accepts, the two agree.
    """
    if (match := _PREFIX.match(line)) is not None and (found := _by_prefix(match)) is not None:
        return found
    decoded = decode(line)
    return None if isinstance(decoded, BadLine) else (decoded.type, decoded.subtype)


def verify(line: bytes) -> LineType | BadLine:
    """Say what `decode` would say of a line, all of it read, but without the cost of its payload."""
    match = _PREFIX.match(line)
    begins = None if match is None else _FOUND.get(match.group(3, 4, 5))
    if begins is not None and _holds(line, begins):
        return begins
    decoded = decode(line)
    if isinstance(decoded, BadLine):
        return decoded
    if match is not None:
        _by_prefix(match)
    return decoded.type, decoded.subtype


def decode(line: bytes) -> RolloutLine | BadLine:
    """Decode one line; whatever its bytes are, this never raises.

    Refused, as Codex refuses it, is a line that repeats its type with another value. `NaN` and `Infinity`
    pass.
    """
    try:
        value = from_json(line)
    except (ValueError, RecursionError) as error:
        return BadLine(_reason(line, error))
    if not isinstance(value, dict):
        return BadLine("not a JSON object")
    decoded = _told_apart(value)
    if isinstance(decoded, RolloutLine) and _contradicted(line, (decoded.type, decoded.subtype)):
        return _REPEATED
    return decoded


def milliseconds(stamp: object) -> int | None:
    """Read an RFC 3339 time (UTC where it names no zone) as milliseconds since the epoch, or None."""
    if not isinstance(stamp, str):
        return None
    try:
        moment = datetime.fromisoformat(stamp)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        return None


def stamp(line: bytes) -> int | None:
    """Read when a line was written, from its first bytes where they hold it; bare lines do not say."""
    if (match := _PREFIX.match(line)) is not None:
        return None if _is_bare_item(match) else milliseconds(match[1].decode("ascii"))
    decoded = decode(line)
    return None if isinstance(decoded, BadLine) or decoded.bare else decoded.at


def is_bare(line: bytes) -> bool:
    """Whether a line that `classify` gives a type has no envelope round it (before 0.36)."""
    if (match := _PREFIX.match(line)) is not None:
        return _is_bare_item(match)
    decoded = decode(line)
    return isinstance(decoded, RolloutLine) and decoded.bare


def has_ordinal(line: bytes) -> bool:
    """Whether the envelope numbers its lines, as in a paginated rollout (0.169)."""
    if (match := _PREFIX.match(line)) is not None:
        return match[2] is not None
    decoded = decode(line)
    return isinstance(decoded, RolloutLine) and decoded.ordinal is not None


def _is_bare_item(match: re.Match[bytes]) -> bool:
    return match[5] is not None or match[3].decode("ascii") in _BARE_ITEMS


def _by_prefix(match: re.Match[bytes]) -> LineType | None:
    words = match.group(3, 4, 5)
    found = _FOUND.get(words, _NOT_YET)
    if found is _NOT_YET:
        found = _decided(*words)
        if len(_FOUND) < _REMEMBERED:
            _FOUND[words] = found
    return found


def _decided(kind: bytes, subtype: bytes | None, bare: bytes | None) -> LineType | None:
    if bare is not None:
        return RESPONSE_ITEM, bare.decode("ascii")
    name = kind.decode("ascii")
    if name in _BARE_ITEMS:
        return RESPONSE_ITEM, name
    if name not in _TAGGED:
        return name, None
    return (name, subtype.decode("ascii")) if subtype is not None else None


def _contradicted(line: bytes, found: LineType) -> bool:
    match = _PREFIX.match(line)
    return match is not None and _by_prefix(match) not in (None, found)


def _told_apart(value: dict[str, Any]) -> RolloutLine | BadLine:
    at = milliseconds(value.get("timestamp"))
    kind = value.get("type")
    if isinstance(kind, str):
        if kind in _BARE_ITEMS:
            return RolloutLine(RESPONSE_ITEM, kind, at, None, value, bare=True)
        payload = value.get("payload")
        if not isinstance(payload, dict):
            return BadLine("no payload object")
        subtype = payload.get("type") if kind in _TAGGED else None
        ordinal = value.get("ordinal")
        if not isinstance(ordinal, int) or isinstance(ordinal, bool) or ordinal not in _INT64:
            ordinal = None
        return RolloutLine(kind, subtype if isinstance(subtype, str) else None, at, ordinal, payload)
    if value.get("record_type") == "state":
        return RolloutLine(STATE, None, at, None, value, bare=True)
    if isinstance(value.get("id"), str) and "timestamp" in value:
        return RolloutLine(SESSION_META, None, at, None, value, bare=True)
    return BadLine("no type")


def _holds(line: bytes, begins: LineType) -> bool:
    """Whether all of a line is JSON and of the type that it begins with."""
    try:
        fields = _TYPES(line)
        return fields["type"] == begins[0] and (begins[1] is None or fields["payload"]["type"] == begins[1])
    except (ValidationError, KeyError):
        return False


def _reason(line: bytes, error: Exception) -> str:
    if b"\0" in line:
        return "NUL bytes"
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return "invalid UTF-8"
    return f"not JSON: {error}"


def _head(pieces: list[bytes], last: bytes) -> bytes:
    return b"".join([*(piece[:PREFIX_BYTES] for piece in pieces), last[:PREFIX_BYTES]])[:PREFIX_BYTES]


_REPEATED: Final = BadLine("a key is repeated with another value")

_type_field = core_schema.typed_dict_field(core_schema.str_schema(strict=True), required=False)
_any_field = core_schema.typed_dict_field(core_schema.any_schema(), required=False)
_TYPES = SchemaValidator(
    core_schema.typed_dict_schema(
        {
            "type": _type_field,
            "payload": core_schema.typed_dict_field(
                core_schema.typed_dict_schema({"type": _any_field}, extra_behavior="ignore"), required=False
            ),
        },
        extra_behavior="ignore",
    )
).validate_json
