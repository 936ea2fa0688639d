"""What of a rollout's lines can be searched, and which files they touched, gathered as they are folded."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from pydantic_core import from_json

from store.rollouts.items import completed_item_type
from store.rollouts.lines import EVENT_MSG, RESPONSE_ITEM, LineType, stamp
from store.rollouts.messages import own_words, reasoning_text
from store.rollouts.open_turn import CALL_TYPES
from store.rollouts.tool_text import call_text, command_line, object_of, text_of
from store.rollouts.touched import (
    Touch,
    TouchAction,
    change_touches,
    command_touches,
    parsed_touches,
    patch_touches,
    resolve,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Cwd = Callable[[], str | None]
WordsKind = Literal["prompt", "answer", "reasoning", "command", "error"]

LONGEST_MESSAGE: Final = 100_000
"""How much of a message, or of its reasoning, is searched by the index, in characters."""

LONGEST_COMMAND: Final = 4_000

_OPENING_CHARS: Final = 40
_HEAD_BYTES: Final = 512
_REFUSED: Final = ("failed", "declined")
_PARSED: Final = re.compile(rb'"parsed_cmd":(\[\{"type":"read".*?\}\]),"')
_COMMAND_CWD: Final = re.compile(rb'"cwd":"(?:file://)?((?:[^"\\]|\\.)*)"')
_COMMAND_HEAD: Final = 64 << 10


class SaidRow(NamedTuple):
    """Words at a line; `line` opens the item that the transcript makes of it."""

    line: int
    kind: WordsKind
    at: int | None
    text: str
    tool: str | None = None


class TouchRow(NamedTuple):
    """A file that a turn touched, first at `line`. `turn` counts the turns that the rollout itself holds."""

    turn: int
    line: int
    at: int | None
    path: str
    action: TouchAction


@dataclass(slots=True)
class Found:
    """What one read of a rollout has gathered."""

    said: list[SaidRow] = field(default_factory=list)
    touches: list[TouchRow] = field(default_factory=list)
    start: int = 0
    """The offset at which the read began. At the file's first byte, what was found before counts no more."""
    first_line: int = 0
    """The line that begins there."""
    cut: int | None = None
    """What reads before found from this line on was rolled back."""


class _Side(NamedTuple):
    """One of the two lines that say the same thing: its number, and how it begins."""

    line: int
    data: bytes | str


class Searchable:
    """Gathers, line by line, what is the thread's own and was not rolled back.

    `Searchable(*searchable.state())` goes on where `searchable` is.
    """

    def __init__(
        self,
        turns: int = 0,
        starts: Sequence[int] = (),
        message: Sequence[Any] | None = None,
        reasoning: Sequence[Any] | None = None,
    ) -> None:
        self._turns = turns
        self._starts = list(starts)
        """The line at which each standing turn begins."""
        self._found = Found()
        self._message = None if message is None else _Side(*message)
        self._reasoning = None if reasoning is None else _Side(*reasoning)

    def state(self) -> list[Any]:
        """Plain values."""
        sides = [side and [side.line, _head(side.data)] for side in (self._message, self._reasoning)]
        return [self._turns, self._starts, *sides]

    @property
    def standing(self) -> int:
        """How many turns stand."""
        return len(self._starts)

    def take(self, start: int, first_line: int) -> Found:
        """What was gathered since the last time, from the line on that begins at `start`."""
        found, self._found = self._found, Found()
        found.start, found.first_line = start, first_line
        return found

    def turn_began(self, line: int) -> None:
        """A turn of the thread's own begins."""
        self._turns += 1
        self._starts.append(line)

    def roll_back(self, standing: int) -> None:
        """Only the first `standing` turns are left."""
        if standing >= len(self._starts):
            return
        cut = self._starts[standing]
        del self._starts[standing:]
        found = self._found
        found.said = [row for row in found.said if row.line < cut]
        found.touches = [row for row in found.touches if row.line < cut]
        found.cut = cut if found.cut is None else min(cut, found.cut)

    def message_line(self, number: int, line: bytes, cwd: Cwd) -> None:
        """A message as the model sees it; the event that says the same may follow."""
        self._message = _Side(number, line)

    def reasoning_event(self, number: int, line: bytes, cwd: Cwd) -> None:
        """A part of what the model thought; the response item that has all of it may follow (0.36)."""
        if self._reasoning is None:
            self._reasoning = _Side(number, line)

    def opening(self, number: int, text: str) -> int:
        """The line that opens the item of a message's event: the line before it, where that says the same."""
        before = self._message
        if before is None or before.line != number - 1 or not _says(before, text):
            return number
        self._message = None
        return before.line

    def message(self, number: int, kind: WordsKind, line: bytes, text: str) -> None:
        """A person's or the model's words; `number` opens the item."""
        text = own_words(text) if kind == "prompt" else text
        if text and not text.isspace():
            self._found.said.append(SaidRow(number, kind, stamp(line), text[:LONGEST_MESSAGE]))

    def reasoning(self, number: int, line: bytes, cwd: Cwd) -> None:
        """A `reasoning` item of the model's history."""
        before, self._reasoning = self._reasoning, None
        if b'"summary":[]' in line and b'"text"' not in line:
            return
        text = reasoning_text(payload_of(line))
        if text:
            first = text.partition("\n")[0]
            number = before.line if before is not None and _says(before, first) else number
            self._found.said.append(SaidRow(number, "reasoning", stamp(line), text[:LONGEST_MESSAGE]))

    def turn_ended(self, number: int, line: bytes, cwd: Cwd) -> None:
        """`task_complete` says it when the turn failed (0.169)."""
        if b'"error":{' in line:
            self.error(number, line, cwd)

    def error(self, number: int, line: bytes, cwd: Cwd) -> None:
        """An `error` event, or the end of a turn with one."""
        told = payload_of(line)
        text = text_of(told.get("message")) or text_of(object_of(told.get("error")).get("message"))
        if text:
            self._found.said.append(SaidRow(number, "error", stamp(line), text[:LONGEST_MESSAGE]))

    def call(self, number: int, line: bytes, cwd: Cwd) -> None:
        """The model calls a tool. `cwd` says in which folder the turn runs."""
        call = payload_of(line)
        tool = text_of(call.get("name"))
        fields: Mapping[str, Any] = {}
        if call.get("input") is not None:
            text = command_line(call["input"]) or ""
        elif call.get("action") is not None:
            tool, fields = tool or "local_shell", object_of(call["action"])
            text = command_line(fields.get("command")) or ""
        else:
            fields = _arguments(call.get("arguments"))
            text = _call_words(tool, call.get("arguments"), fields)
        at = stamp(line)
        if text.startswith("*** Begin Patch"):
            tool = "apply_patch"
            touches = list(patch_touches(text))
            text = " ".join(dict.fromkeys(touch.path for touch in touches))
        else:
            touches = list(command_touches(text)) if fields else []
        if touches:
            self._touch(number, at, touches, _folder(fields, cwd))
        if text or tool:
            self._found.said.append(SaidRow(number, "command", at, text[:LONGEST_COMMAND], tool))

    def patch_applied(self, number: int, line: bytes, cwd: Cwd) -> None:
        """`patch_apply_end` (0.130)."""
        told = payload_of(line)
        if told.get("success") is not False and told.get("status") not in _REFUSED:
            self._touch(number, stamp(line), change_touches(told.get("changes")), cwd())

    def completed(self, number: int, line: bytes, cwd: Cwd) -> None:
        """`item_completed`: a `FileChange`, or a command that Codex ran (0.169)."""
        kind = completed_item_type(line)
        if kind == "CommandExecution":
            self.command_ran(number, line, cwd)
        elif kind == "FileChange":
            item = object_of(payload_of(line).get("item"))
            if item.get("status") not in _REFUSED:
                self._touch(number, stamp(line), change_touches(item.get("changes")), cwd())

    def command_ran(self, number: int, line: bytes, cwd: Cwd) -> None:
        """`exec_command_end`, or `item_completed` with a `CommandExecution`: what Codex saw it read."""
        match = _PARSED.search(line, 0, _COMMAND_HEAD)
        if match is None:
            return
        try:
            parsed = from_json(match[1])
        except ValueError:
            return
        folder = _COMMAND_CWD.search(line, 0, match.start())
        ran_in = folder[1].decode("utf-8", "replace") if folder is not None else cwd()
        self._touch(number, stamp(line), parsed_touches(parsed), ran_in)

    def _touch(self, number: int, at: int | None, touches: Iterable[Touch], cwd: str | None) -> None:
        turn = max(self._turns - 1, 0)
        for path, action in touches:
            self._found.touches.append(TouchRow(turn, number, at, resolve(path, cwd), action))


def _says(side: _Side, text: str) -> bool:
    return encode_basestring(text[:_OPENING_CHARS])[1:-1] in _head(side.data)


def _head(data: bytes | str) -> str:
    return data if isinstance(data, str) else data[:_HEAD_BYTES].decode("utf-8", "replace")


def payload_of(line: bytes) -> Mapping[str, Any]:
    """The payload of a line, or all of a bare one; an empty one where it cannot be decoded."""
    try:
        value = object_of(from_json(line))
    except (ValueError, RecursionError):  # half a surrogate pair, say, which telling lines apart passes over
        return {}
    return object_of(value.get("payload", value))


def _arguments(arguments: Any) -> Mapping[str, Any]:
    if isinstance(arguments, str):
        try:
            arguments = from_json(arguments)
        except (ValueError, RecursionError):
            return {}
    return arguments if isinstance(arguments, dict) else {}


def _call_words(tool: str | None, arguments: Any, fields: Mapping[str, Any]) -> str:
    """What the call asks for, as the transcript shows it."""
    command = fields.get("cmd") or fields.get("command")
    if command is not None and (text := command_line(command)):
        return text
    given = text_of(arguments)
    return call_text(tool, given) or given or ""


def _folder(fields: Mapping[str, Any], cwd: Cwd) -> str | None:
    """Where a call runs: in the folder that it names, or in the turn's."""
    workdir = text_of(fields.get("workdir")) or text_of(fields.get("working_directory"))
    return cwd() if workdir is None else resolve(workdir, cwd())


GATHERED: Final[dict[LineType, Callable[[Searchable, int, bytes, Cwd], None]]] = {
    (RESPONSE_ITEM, "message"): Searchable.message_line,
    (RESPONSE_ITEM, "reasoning"): Searchable.reasoning,
    **{(RESPONSE_ITEM, name): Searchable.call for name in CALL_TYPES},
    (EVENT_MSG, "agent_reasoning"): Searchable.reasoning_event,
    (EVENT_MSG, "patch_apply_end"): Searchable.patch_applied,
    (EVENT_MSG, "exec_command_end"): Searchable.command_ran,
    (EVENT_MSG, "item_completed"): Searchable.completed,
    **{(EVENT_MSG, name): Searchable.turn_ended for name in ("task_complete", "turn_complete")},
    (EVENT_MSG, "error"): Searchable.error,
}
"""Who gathers from a line of this type; `Cwd` says in which folder the turn runs."""
