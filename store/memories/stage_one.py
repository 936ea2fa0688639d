"""Phase 1 of one thread: what of its rollout an engine is given, and what its answer says."""

from __future__ import annotations

import json
import re
import secrets
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from store.errors import EngineFailed, ReadInterrupted, RolloutError
from store.memories.engines import ExtractionRequest
from store.memories.prompt_files import filled
from store.redaction import redact
from store.rollouts.conversation import BAD_LINE
from store.rollouts.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from store.models import Thread, TranscriptItem

BUDGET_TOKENS: Final = 150_000
"""Of one thread no more than this is given to an engine (Codex 0.101's own bound)."""

TOKEN_BYTES: Final = 4
"""About what a token takes in UTF-8, as Codex counts."""

MESSAGE_CHARS: Final = 32_000
TOOL_CHARS: Final = 8_000
"""Of a longer text the beginning and the end are given; so of a call's command, and of its output."""

LONGEST_ANSWER: Final = 1 << 20
"""In characters; what is longer is no memory."""

_UNREADABLE: Final = (BAD_LINE, "history_base")
"""Labels of what stands where a line, or the rest of a rollout, cannot be read."""

_HEADING_BYTES: Final = 100
_SECRET_CHARS: Final = 1_024  # more than a token has, so that none is cut before it is seen
_LONGEST_SLUG: Final = 80

_COMPRESSION: Final = 6
_KEPT: Final = 4  # of so many bytes of a rollout about one is given on
_FRAME_TOKENS: Final = 2_500  # the prompts and the answer


@dataclass(frozen=True, slots=True)
class Reading:
    """The messages and tool calls of one thread, secrets masked, cut to the budget: head, then tail."""

    head: Sequence[TranscriptItem]
    tail: Sequence[TranscriptItem] = ()
    left_out: int = 0
    """About how many prompts and tool calls lie between them; 0 when nothing does."""

    @property
    def items(self) -> list[TranscriptItem]:
        """Both, in order."""
        return [*self.head, *self.tail]


def read_thread(
    path: Path,
    thread_id: str,
    *,
    bases: Mapping[str, Path],
    abandoned: Callable[[], bool] = lambda: False,
    budget_tokens: int = BUDGET_TOKENS,
) -> Reading:
    """Read what phase 1 needs of the rollout at `path`; long, and to be run in a worker thread.

    Only the index of the rollout and what is given on are held. `bases` are the earlier rollouts of the same
    thread, where it was reverted (0.169). Raises RolloutError when nothing can be read, ReadInterrupted once
    `abandoned` is true.
    """
    with Transcript.open(path, thread_id=thread_id, resolve_base=bases.get) as transcript:
        for _ in transcript.build():
            _go_on(abandoned)
        reader = _Reader(transcript, thread_id, abandoned)
        budget = budget_tokens * TOKEN_BYTES
        head, next_position, spent = reader.take(range(transcript.count), budget // 2)
        tail, before, _ = reader.take(range(transcript.count - 1, next_position - 1, -1), budget - spent)
        if not head and not tail and reader.problem is not None:
            raise RolloutError(f"Nothing of {path.name} can be read", why=reader.problem)
        asked_and_called = (transcript.prompts, transcript.tools)
        between = sum(bisect_left(at, before + 1) - bisect_left(at, next_position) for at in asked_and_called)
    return Reading(head, tail[::-1], max(1, between) if before >= next_position else 0)


def _go_on(abandoned: Callable[[], bool]) -> None:
    if abandoned():
        raise ReadInterrupted("The reading of a rollout was stopped", why="nobody waits for it any more")


class _Reader:
    """Items of one transcript as an engine gets them."""

    def __init__(self, transcript: Transcript, thread_id: str, abandoned: Callable[[], bool]) -> None:
        self._transcript = transcript
        self._thread_id = thread_id
        self._abandoned = abandoned
        self.problem: str | None = None
        """Why something that was come across could not be read."""

    def take(self, positions: range, budget: int) -> tuple[list[TranscriptItem], int, int]:
        """As many as fit into `budget` bytes; where they end, and what they take."""
        taken: list[TranscriptItem] = []
        spent = 0
        for position in positions:
            _go_on(self._abandoned)
            for item in self._transcript.items(position, position + 1):
                if not self._is_relevant(item):
                    continue
                short = _shortened(item)
                cost = _HEADING_BYTES + sum(map(_bytes_of, (short.text, short.arguments, short.output)))
                if spent + cost > budget:
                    return taken, position, spent
                spent += cost
                taken.append(short)
        return taken, positions.stop, spent

    def _is_relevant(self, item: TranscriptItem) -> bool:
        if item.thread_id != self._thread_id or item.rolled_back or item.injected:
            return False
        if item.label in _UNREADABLE:
            self.problem = self.problem or item.text
        return item.kind == "tool" or (item.kind == "message" and item.role in ("user", "assistant"))


def _shortened(item: TranscriptItem) -> TranscriptItem:
    limit = MESSAGE_CHARS if item.kind == "message" else TOOL_CHARS
    return item.model_copy(
        update={name: shortened(getattr(item, name), limit) for name in ("text", "arguments", "output")}
    )


def shortened(text: str | None, limit: int) -> str | None:
    """The beginning and the end of a text, secrets masked, at most about `limit` characters."""
    if text is None:
        return None
    half = limit // 2
    reach = half + _SECRET_CHARS
    if len(text) <= 2 * reach:
        text = begin = end = redact(_encodable(text))
        if len(text) <= limit:
            return text
    else:
        begin, end = redact(_encodable(text[:reach])), redact(_encodable(text[-reach:]))
    return f"{begin[:half]}\n[… {len(text) - limit:,} characters left out …]\n{end[-half:]}"


def _encodable(text: str) -> str:
    """The text with what no file or database takes replaced: halves of characters, and NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _bytes_of(text: str | None) -> int:
    return 0 if text is None else len(text.encode())


def make_request(thread: Thread, reading: Reading) -> ExtractionRequest:
    """What the engine is asked, the record fenced by a word that nobody could have written into it."""
    boundary = secrets.token_hex(8)
    parts = [_rendered(item, boundary) for item in reading.head]
    if reading.left_out:
        parts.append(f"[{boundary}] left out here: about {reading.left_out:,} prompts and tool calls")
    parts += [_rendered(item, boundary) for item in reading.tail]
    return ExtractionRequest(
        thread=thread,
        items=reading.items,
        left_out=reading.left_out,
        system=filled("stage_one_system", boundary=boundary),
        prompt=filled(
            "stage_one_input", boundary=boundary, about=_about(thread, boundary), record="\n\n".join(parts)
        ),
    )


def _about(thread: Thread, boundary: str) -> str:
    facts = (
        ("thread", thread.id),
        ("folder", thread.cwd),
        ("title", thread.display_title),
        ("branch", thread.git.branch),
        ("began", _time(thread.created_at)),
        ("last written", _time(thread.updated_at)),
    )
    lines = (f"{name}: {_one_line(value, 300)}" for name, value in facts if value)
    return "\n".join((f"[{boundary}] about the session", *lines))


def _time(at: int | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).isoformat(" ", "seconds")


def _one_line(text: str, limit: int) -> str:
    return " ".join((shortened(text, limit) or "").split())


def _rendered(item: TranscriptItem, boundary: str) -> str:
    if item.kind == "message":
        who = item.role if item.phase is None else f"{item.role}, {_one_line(item.phase, 40)}"
        return f"[{boundary}] {who}\n{item.text or ''}"
    notes = [f"tool {_one_line(item.tool or 'unknown', 80)}"]
    if item.exit_code is not None:
        notes.append(f"exit code {item.exit_code}")
    if item.failed:
        notes.append("failed")
    called = f"[{boundary}] {', '.join(notes)}\n{item.text or item.arguments or ''}"
    return called if not item.output else f"{called}\n[{boundary}] its output\n{item.output}"


def estimate(threads: Iterable[Thread]) -> int:
    """About how many tokens phase 1 of these threads costs, by the sizes of their files alone.

    A rollout holds most words twice, and much that no engine is given.
    """
    sizes = (thread.size_bytes * (_COMPRESSION if thread.compressed else 1) for thread in threads)
    return sum(_FRAME_TOKENS + min(BUDGET_TOKENS, size // (_KEPT * TOKEN_BYTES)) for size in sizes)


@dataclass(frozen=True, slots=True)
class StageOneOutput:
    """What an engine made of a thread, secrets masked."""

    rollout_summary: str
    raw_memory: str
    rollout_slug: str | None = None


_FIRST_KEYS: Final = re.compile(r'\{\s*"')
_MAX_STARTS: Final = 200
_SUMMARY: Final = ("rollout_summary", "summary")
_MEMORY: Final = ("raw_memory", "rawMemory")
_DECODER: Final = json.JSONDecoder(strict=False)


def parse_stage_one(answer: str) -> StageOneOutput | None:
    """Read an engine's answer; None where it found nothing worth remembering.

    The answer is a JSON object with `rollout_summary` and `raw_memory` (`summary` and `rawMemory` before),
    and maybe `rollout_slug`; fences and prose around it do not matter, and of several such objects the last
    one counts. One of the two that is empty or null makes an empty answer, as Codex has it. Raises
    EngineFailed for anything else.
    """
    if len(answer) > LONGEST_ANSWER:
        raise _rubbish(f"it is {len(answer):,} characters long; at most {LONGEST_ANSWER:,} are taken")
    if not answer.strip():
        return None
    fields = _answered(answer)
    summary, memory = _text(fields, _SUMMARY), _text(fields, _MEMORY)
    if not summary or not memory:
        return None
    slug = fields.get("rollout_slug")
    return StageOneOutput(summary, memory, _slug(slug) if isinstance(slug, str) else None)


def _answered(answer: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] | None = None
    problem = ""
    end = 0
    starts = 0
    for match in _FIRST_KEYS.finditer(answer):
        if match.start() < end:
            continue
        starts += 1
        if starts > _MAX_STARTS:
            break
        try:
            fields, end = _DECODER.raw_decode(answer, match.start())
        except json.JSONDecodeError as error:
            problem = (
                problem or f"its JSON is broken: {error.msg} at line {error.lineno} column {error.colno}"
            )
            continue
        except (ValueError, RecursionError) as error:
            problem = problem or f"its JSON cannot be read: {error}"
            continue
        if _has(fields, _SUMMARY) or _has(fields, _MEMORY):
            found = fields
    if found is not None:
        return found
    raise _rubbish(f"{problem or 'it holds no JSON object with a memory'}; it begins {_begin(answer)!r}")


def _has(fields: Mapping[str, Any], names: Sequence[str]) -> bool:
    return any(name in fields for name in names)


def _text(fields: Mapping[str, Any], names: Sequence[str]) -> str:
    if not _has(fields, names):
        raise _rubbish(f"its JSON object has no {names[0]!r}")
    value = next((fields[name] for name in names if fields.get(name) is not None), None)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _rubbish(f"{names[0]!r} in it is {_KINDS.get(type(value), 'a number')}, not text")
    return redact(_encodable(value)).strip()


_KINDS: Final = {bool: "true or false", list: "a list", dict: "an object"}


def _slug(text: str) -> str | None:
    return _one_line(text, _SECRET_CHARS)[:_LONGEST_SLUG] or None


def _begin(answer: str) -> str:
    return _one_line(answer, _SECRET_CHARS)[:80]


def _rubbish(why: str) -> EngineFailed:
    return EngineFailed("The engine's answer is no memory", why=why)
