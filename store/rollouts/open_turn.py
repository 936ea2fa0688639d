"""The turn of a rollout that has begun and not ended, and the calls of it that wait for their output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from store.rollouts import tool_calls
from store.rollouts.lines import BadLine, decode, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from store.rollouts.said import Said

LONGEST_PENDING: Final = 200
"""Characters kept of what a call asks for."""

_CALL_ID: Final = b'"call_id":"'

_CALLS: Final[Mapping[str, Callable[[Mapping[str, Any], str], Said]]] = {
    "function_call": tool_calls.function_call,
    "custom_tool_call": tool_calls.custom_tool_call,
    "local_shell_call": tool_calls.local_shell_call,
}

CALL_TYPES: Final = frozenset(_CALLS)
OUTPUT_TYPES: Final = frozenset({"function_call_output", "custom_tool_call_output"})


class OpenTurn:
    """Begins and ends by events (since 0.104); before that no line says that a turn has ended.

    Lines are kept as bytes and decoded when they are asked for: nearly all calls get their output.
    """

    def __init__(self, since: int | None = None, calls: Mapping[str, Sequence[Any]] = {}) -> None:
        self._since = since
        self._begun: bytes | None = None
        self._told: dict[str, tuple[str, int | None]] = {
            key: (call[0], call[1]) for key, call in calls.items()
        }
        self._calls: dict[str, bytes] = {}

    def begin(self, line: bytes) -> None:
        """A turn began; one that was open did not live to its end."""
        self.end()
        self._begun = line

    def end(self) -> None:
        """The turn ended, or was taken back."""
        self._begun = self._since = None
        self._told.clear()
        self._calls.clear()

    def call(self, line: bytes) -> None:
        """The model called a tool."""
        if (self._begun or self._since) is not None:
            self._calls[_call_id(line)] = line

    def output(self, line: bytes) -> None:
        """A call was answered."""
        if self._calls or self._told:
            call_id = _call_id(line)
            self._calls.pop(call_id, None)
            self._told.pop(call_id, None)

    @property
    def since(self) -> int | None:
        """When the open turn began, in ms; None when none is open."""
        self._settle()
        return self._since

    @property
    def pending(self) -> tuple[str, int | None] | None:
        """The call that has waited longest, in words, and since when."""
        self._settle()
        return next(iter(self._told.values()), None)

    def state(self) -> list[Any]:
        """Plain values: `OpenTurn(*state)` goes on where this is."""
        self._settle()
        return [self._since, self._told]

    def _settle(self) -> None:
        if self._begun is not None:
            self._since = stamp(self._begun)
            self._begun = None
        for call_id, line in self._calls.items():
            self._told[call_id] = _in_words(line)
        self._calls.clear()


def _call_id(line: bytes) -> str:
    """The id that joins a call and its output; in a text the quotes of this key would be escaped."""
    start = line.find(_CALL_ID)
    if start < 0:
        return ""
    start += len(_CALL_ID)
    return line[start : line.find(b'"', start)].decode("utf-8", "replace")


def _in_words(line: bytes) -> tuple[str, int | None]:
    decoded = decode(line)
    if isinstance(decoded, BadLine) or decoded.subtype is None:
        return "call", None
    said = _CALLS[decoded.subtype](decoded.payload, decoded.subtype)
    first = (said.text or "").strip().partition("\n")[0]
    return f"{said.tool or 'call'} {first}".strip()[:LONGEST_PENDING], decoded.at
