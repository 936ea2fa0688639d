"""Lines of a rollout: found whatever the chunks, told apart by prefix as by a full decode, never fatal."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rollout_files import event, line, meta

from store.rollouts import lines
from store.rollouts.lines import BadLine, RolloutLine, classify, decode, is_bare, split, stamp, verify

WORDS = st.sampled_from(
    [
        "session_meta",
        "response_item",
        "event_msg",
        "turn_context",
        "message",
        "state",
        "token_count",
        "Ünï",
        'q"x',
        "",
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False),
    st.text(max_size=12),
    WORDS,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
KEYS = st.sampled_from(["timestamp", "type", "payload", "ordinal", "record_type", "id", "extra"])


def _dumped(pairs: list[tuple[str, Any]], *, space: str, ascii_only: bool) -> str:
    """An object with its pairs in the order given, repeated keys and all."""
    separators = ("," + space, ":" + space)

    def dump(value: Any) -> str:
        return json.dumps(value, ensure_ascii=ascii_only, separators=separators)

    return "{" + separators[0].join(f"{dump(key)}{separators[1]}{dump(value)}" for key, value in pairs) + "}"


@st.composite
def valid_lines(draw: st.DrawFn, *, unique: bool) -> bytes:
    """A JSON object much like a line: keys in any order, odd spacing, escapes and types, repeated keys."""
    payload = draw(
        st.dictionaries(st.sampled_from(["type", "role", "text"]), WORDS | VALUES, max_size=3) | VALUES,
    )
    pairs: list[tuple[str, Any]] = [("timestamp", "2026-05-12T12:00:00.000Z")]
    if draw(st.booleans()):
        pairs.append(("ordinal", draw(st.integers(0, 10**6))))
    pairs += [("type", draw(WORDS)), ("payload", payload)]
    if draw(st.booleans()):
        pairs = draw(st.permutations(pairs))
    extra = draw(st.lists(st.tuples(KEYS, WORDS | VALUES), max_size=3))
    if unique:
        known = {key for key, _ in pairs}
        extra = [
            pair for pair in {key: (key, value) for key, value in extra}.values() if pair[0] not in known
        ]
    at = draw(st.integers(0, len(pairs)))
    pairs[at:at] = extra
    space = draw(st.sampled_from(["", " ", "\t"]))
    return _dumped(pairs, space=space, ascii_only=draw(st.booleans())).encode()


def _decision(data: bytes) -> lines.LineType | BadLine:
    decoded = decode(data)
    return decoded if isinstance(decoded, BadLine) else (decoded.type, decoded.subtype)


@given(valid_lines(unique=True))
def test_prefix_and_full_decode_decide_alike(data: bytes) -> None:
    value = json.loads(data)
    assert decode(data) != lines.BadLine("a key is repeated with another value")
    expected = _decision(data)
    assert verify(data) == expected
    assert classify(data) == (None if isinstance(expected, BadLine) else expected)
    if isinstance(expected, tuple) and value.get("type") == "event_msg":
        kind = value["payload"].get("type")
        assert expected == ("event_msg", kind if isinstance(kind, str) else None)


@given(valid_lines(unique=False))
@example(b'{"timestamp":"t","type":"event_msg","payload":{"type":"a","type":"b"}}')
@example(b'{"timestamp":"t","type":"turn_context","payload":{},"type":"compacted"}')
def test_a_repeated_key_is_bad_or_changes_nothing(data: bytes) -> None:
    expected = _decision(data)
    assert verify(data) == expected
    if not isinstance(expected, BadLine):
        assert classify(data) == expected


@st.composite
def mutated_lines(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(valid_lines(unique=False)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 5))] = draw(st.binary(max_size=4))
    return bytes(data)


@given(mutated_lines() | st.binary(max_size=300))
def test_any_bytes_are_decided_and_never_raise(data: bytes) -> None:
    expected = _decision(data)
    assert verify(data) == expected
    found = classify(data)
    if not isinstance(expected, BadLine):
        assert found == expected
    is_bare(data)
    stamp(data)
    lines.has_ordinal(data)


def test_a_repeated_type_is_refused_as_codex_refuses_it() -> None:
    twice = b'{"timestamp":"2026-05-12T12:00:00Z","type":"event_msg","payload":{"type":"a","type":"b"}}'
    assert isinstance(decode(twice), BadLine)
    assert isinstance(verify(twice), BadLine)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"id":"x","timestamp":"2025-08-14T09:30:05.120Z","instructions":null}', ("session_meta", None)),
        (b'{"type":"message","id":null,"role":"user","content":[]}', ("response_item", "message")),
        (
            b'{"type":"function_call_output","call_id":"c","output":"x"}',
            ("response_item", "function_call_output"),
        ),
        (b'{"record_type":"state","previous_response_id":"r"}', ("state", None)),
        (line("turn_context", {"type": "no type of ours"}), ("turn_context", None)),
        (event("user_message", message="x"), ("event_msg", "user_message")),
        (event("user_message", 0, 7, message="x"), ("event_msg", "user_message")),
        (
            b' {"type" : "event_msg", "payload" : {"message":"x", "type":"user_message"}} ',
            ("event_msg", "user_message"),
        ),
        (b'{"type":"a_later_type","payload":{}}', ("a_later_type", None)),
        (b'{"type":"event_msg","payload":{"type":7}}', ("event_msg", None)),
        (b'{"type":"event_msg","payload":[]}', None),
        (b'{"type":"event_msg"}', None),
        (b'{"hello":1}', None),
        (b"[]", None),
        (b"", None),
    ],
)
def test_each_shape_of_line(data: bytes, expected: lines.LineType | None) -> None:
    assert classify(data) == expected
    assert _decision(data) == expected or (expected is None and isinstance(_decision(data), BadLine))


def test_decode_gives_time_ordinal_and_payload() -> None:
    decoded = decode(event("user_message", 61_005, 3, message="x"))
    assert decoded == RolloutLine(
        "event_msg", "user_message", 1_778_587_261_005, 3, {"type": "user_message", "message": "x"}
    )


def test_a_bare_line_has_no_time_of_its_own() -> None:
    header = b'{"id":"x","timestamp":"2025-08-14T09:30:05.120Z","instructions":null}'
    assert is_bare(header)
    assert stamp(header) is None
    assert not is_bare(meta())
    assert stamp(meta(ms=5)) == 1_778_587_200_005


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"timestamp":"t","payload":{"ty' + event("user_message", message="x"), "not JSON"),
        (b'{"type":"event_msg","payload":{"x":"\xff\xfe"}}', "invalid UTF-8"),
        (b"\0" * 50, "NUL bytes"),
        (b'{"type":"event_msg","payload":{"x":"a\0b"}}', "NUL bytes"),
        (b'{"type":"event_msg","payload":{"x":"\\ud800"}}', "not JSON"),
        (b'{"type":"event_msg","payload":{"x":' + b"9" * 10_000 + b"}}", "not JSON"),
        (b'{"type":"event_msg","payload":' + b"[" * 200_000, "not JSON"),
        (b"17", "not a JSON object"),
        (b'{"type":"event_msg","payload":"x"}', "no payload object"),
        (b'{"type":7,"payload":{}}', "no type"),
    ],
)
def test_bad_lines_say_why(data: bytes, reason: str) -> None:
    decoded = decode(data)
    assert isinstance(decoded, BadLine)
    assert decoded.reason.startswith(reason)
    assert verify(data) == decoded


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:01.5Z", 1500),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00.123456789Z", 123),
        ("1970-01-01T00:00:02", 2000),
        ("0001-01-01T00:00:00+23:59", -62135683140000),
        ("yesterday", None),
        ("2026-02-30T00:00:00Z", None),
        (5, None),
    ],
)
def test_times(text: object, ms: int | None) -> None:
    assert lines.milliseconds(text) == ms


@given(st.binary(max_size=200), st.integers(1, 40), st.integers(0, 5))
def test_split_finds_every_line_whatever_the_reads(data: bytes, most: int, number: int) -> None:
    source = io.BytesIO(data)
    found = list(split(lambda _: source.read(most), start=1000, number=number))
    parts = data.split(b"\n")
    unfinished = parts.pop()
    assert [one.data for one in found if one.finished] == parts
    assert [one.data for one in found if not one.finished] == ([unfinished] if unfinished else [])
    assert [one.number for one in found] == list(range(number, number + len(found)))
    for one in found:
        assert data[one.start - 1000 : one.end - 1000] == one.data + (b"\n" if one.finished else b"")


@pytest.mark.parametrize("finished", [True, False])
def test_a_long_line_is_passed_over_and_never_held(monkeypatch: pytest.MonkeyPatch, finished: bool) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 5000)
    held: list[int] = []
    remaining = [
        b'{"timestamp":"t"',
        *[b"x" * 1000] * 100,
        b"\n" if finished else b"",
        b"{}\n" if finished else b"",
    ]

    def read(_: int) -> bytes:
        while remaining:
            if piece := remaining.pop(0):
                return piece
        return b""

    found = []
    for one in split(read):
        held.append(len(one.data))
        found.append(one)
    assert found[0].too_long
    assert found[0].finished == finished
    assert found[0].data.startswith(b'{"timestamp":"t"xxx')
    assert found[0].end == 16 + 100_000 + finished
    assert max(held) <= lines.PREFIX_BYTES
    if finished:
        assert found[1] == lines.RawLine(1, 100_017, 100_020, b"{}", True, False)


def test_the_longest_line_allowed_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 100)
    source = io.BytesIO(b"a" * 100 + b"\n" + b"b" * 101 + b"\n")
    first, second = split(lambda _: source.read(7))
    assert (first.data, first.too_long) == (b"a" * 100, False)
    assert (len(second.data), second.too_long) == (101, True)


def test_reading_goes_on_from_a_line_end() -> None:
    data = b"one\ntwo\nthree\n"
    source = io.BytesIO(data)
    first = next(split(source.read))
    source.seek(first.end)
    assert [one.data for one in split(source.read, start=first.end, number=1)] == [b"two", b"three"]
