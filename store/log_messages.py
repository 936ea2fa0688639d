"""The message of a log row without the chain of spans that Codex writes before it."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z_][\w.\-/]*")
_BRACES: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}]', re.DOTALL)

LONGEST_CHAIN: Final = 16_384
"""Characters in which the chain has to end."""


def message_start(body: str) -> int:
    """Where the message begins in a `feedback_log_body` (Codex 0.130, logs_2): behind `span{a=b}:inner{…}: `.

    0 where there is no chain. A chain none of whose spans has fields is left: it looks like any `word: text`.
    """
    position = 0
    with_fields = False
    while name := _NAME.match(body, position, LONGEST_CHAIN):
        end = name.end()
        if body.startswith("{", end):
            closed = _behind_fields(body, end)
            if closed is None:
                # A value may hold a quote or a brace of its own.
                return _behind(body, body.find("}: ", end) + 1)
            end = closed
            with_fields = True
        if not body.startswith(":", end):
            break
        if body.startswith(": ", end):
            return _behind(body, end) if with_fields else 0
        position = end + 1
    return _behind(body, body.find("}: ", position) + 1) if with_fields else 0


def message_of(body: str) -> str:
    """The message of a row's body; the whole body where nothing but spans is in it."""
    return body[message_start(body) :] or body


def _behind_fields(body: str, start: int) -> int | None:
    depth = 0
    for match in _BRACES.finditer(body, start, LONGEST_CHAIN):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0 and match[0] == "}":
            return match.end()
    return None


def _behind(body: str, colon: int) -> int:
    """The first character of the message behind the colon of the last span; 0 when there was none."""
    if colon <= 0:
        return 0
    start = colon + 1
    while body.startswith(" ", start):
        start += 1
    return start
