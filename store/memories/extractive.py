"""The engine that needs no model: what a thread itself says, chosen by rules, the same each time.

It works offline, costs nothing, and is what Rollodex uses unless another engine is asked for.
"""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from store.memories import gist
from store.memories.digest import write_digest
from store.memories.observed import Observed, observe
from store.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from store.memories.engines import ConsolidationRequest, ExtractionRequest
    from store.memories.observed import FileTouched, Run, Turn
    from store.models import Thread

NAME: Final = "extractive"

_FIRST_TURNS: Final = 4
_LAST_TURNS: Final = 6
_ALL_TURNS: Final = 12
_MIDDLE_TURNS: Final = 20
_LISTED: Final = 12
_SLUG_CHARS: Final = 60


class Extractive:
    """Extracts by rules; see `store.memories.engines.Engine`."""

    name = NAME
    costs_tokens = False

    async def extract(self, request: ExtractionRequest, say: Callable[[str], None]) -> str:
        """Choose what is worth keeping; all fields are empty when nothing was answered and nothing ran."""
        answer = await asyncio.to_thread(_extracted, request)
        say(f"{len(request.items)} messages and calls read")
        return answer

    async def consolidate(self, request: ConsolidationRequest, say: Callable[[str], None]) -> None:
        """Write `MEMORY.md` and `memory_summary.md` of the memories as they are."""
        await asyncio.to_thread(write_digest, request.staging, request.memories)
        say(f"{len(request.memories)} memories put in order")


def _extracted(request: ExtractionRequest) -> str:
    seen = observe(request.items, request.thread.cwd)
    answered = any(turn.answer for turn in seen.turns) or seen.runs or seen.files
    title = _title(request.thread, seen)
    found = {
        "rollout_summary": _summary(request, title, seen) if answered else "",
        "raw_memory": _raw_memory(seen) if answered else "",
        "rollout_slug": _slug(title) if answered else None,
    }
    return json.dumps(found, ensure_ascii=False)


def _title(thread: Thread, seen: Observed) -> str:
    named = thread.name or next((turn.prompt for turn in seen.turns if turn.prompt.strip()), "")
    return gist.line(redact(named[:4_000]) or thread.display_title, 90)


def _slug(title: str) -> str | None:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.findall("[a-z0-9]+", plain)
    slug = ""
    for word in words:
        if len(slug) + len(word) >= _SLUG_CHARS:
            break
        slug = f"{slug}-{word}" if slug else word
    return slug or None


def _summary(request: ExtractionRequest, title: str, seen: Observed) -> str:
    return "\n".join(
        [
            f"# {title}",
            "",
            _facts(request.thread, seen),
            *_conversation(seen.turns, request.left_out),
            *_section("## Wanted", seen.wishes),
            *_section("## Open", seen.open_ends),
            *_section("## Failed", map(_failure, seen.failed)),
            *_section("## Ran", map(_ran, seen.ran)),
            *_section("## Files", _files(seen.files)),
        ]
    )


def _raw_memory(seen: Observed) -> str:
    told = [turn for turn in seen.turns if turn.answer]
    outcome = gist.blocks(told[-1].answer or "", 600, most=5) if told else []
    if told and len(" ".join(outcome)) < 60:
        outcome = [*(gist.blocks(told[-2].answer or "", 400, most=3) if len(told) > 1 else []), *outcome]
    earlier = dict.fromkeys(gist.lead(turn.answer or "", 240) for turn in told[:-1])
    asked = dict.fromkeys(gist.excerpt(turn.prompt, 200) for turn in seen.turns if not turn.is_small_talk)
    body = [
        *_section("### Asked", asked),
        *_section("### Outcome", outcome, bullets=False),
        *_section("### Wanted", seen.wishes),
        *_section("### On the way", [said for said in earlier if said not in outcome]),
        *_section("### Failed", map(_failure, seen.failed)),
        *_section("### Ran", map(_ran, seen.ran)),
        *_section("### Files", _files(seen.files)),
        *_section("### Open", seen.open_ends),
    ]
    return "\n".join(body).strip()


def _facts(thread: Thread, seen: Observed) -> str:
    created = None if thread.created_at is None else _date(thread.created_at // 1000)
    updated = None if thread.updated_at is None else _date(thread.updated_at // 1000)
    when = (
        created
        if created == updated or updated is None
        else f"{created} to {updated}"
        if created
        else updated
    )
    prompts, commands = len(seen.turns), sum(run.times for run in seen.runs.values())
    failed = sum(run.failures for run in seen.runs.values())
    facts = [
        when,
        thread.git.branch and f"branch {gist.code(thread.git.branch, 60)}",
        thread.model and gist.line(thread.model, 40),
        _count(prompts, "prompt"),
        commands and _count(commands, "command") + (f" ({failed} failed)" if failed else ""),
        seen.files and _count(len(seen.files), "file") + " changed",
    ]
    return " · ".join(str(fact) for fact in facts if fact)


def _conversation(turns: Sequence[Turn], left_out: int) -> list[str]:
    lines: list[str] = []
    numbered = list(enumerate(turns, 1))
    answers: dict[str, int] = {}
    whole = numbered if len(turns) <= _ALL_TURNS else [*numbered[:_FIRST_TURNS], *numbered[-_LAST_TURNS:]]
    middle = [] if len(turns) <= _ALL_TURNS else numbered[_FIRST_TURNS:-_LAST_TURNS]
    for number, turn in whole:
        if middle and number == middle[-1][0] + 1:
            lines += _middle(middle)
        if left_out and number == len(turns):
            lines += [
                "",
                f"({_count(left_out, 'message or call', 'messages and calls')} before this left out)",
            ]
        prompt = gist.excerpt(turn.prompt, 300) or "(what was asked is not here)"
        lines += ["", f"## {number}. {prompt}", ""]
        if turn.answer is None:
            lines.append("(no answer)")
        elif (earlier := answers.setdefault(turn.answer, number)) != number:
            lines.append(f"(the same answer as to {earlier})")
        else:
            is_last = number == len(turns)
            said = gist.blocks(turn.answer, 1_000 if is_last else 480, most=10 if is_last else 5)
            lines += gist.spaced(said) or ["(only code or a table)"]
            if not turn.finished:
                lines += ["", "(said on the way; there is no final answer)"]
    return lines


def _middle(turns: Sequence[tuple[int, Turn]]) -> list[str]:
    telling = [(number, turn) for number, turn in turns if not turn.is_small_talk][:_MIDDLE_TURNS]
    rest = len(turns) - len(telling)
    lines = ["", f"## {turns[0][0]} to {turns[-1][0]}", ""]
    lines += [f"- {number}: {gist.excerpt(turn.prompt, 120)}" for number, turn in telling]
    return [*lines, f"- {rest} more"] if rest else lines


def _section(heading: str, items: Iterable[str], *, bullets: bool = True) -> list[str]:
    listed = [item for item in items if item]
    if not listed:
        return []
    if not bullets:
        return ["", heading, "", *gist.spaced(listed)]
    rest = len(listed) - _LISTED
    more = [f"- {rest} more"] if rest > 0 else []
    return ["", heading, "", *(f"- {item}" for item in listed[:_LISTED]), *more]


def _failure(run: Run) -> str:
    times = f", {run.failures} times" if run.failures > 1 else ""
    code = "failed" if run.exit_code is None else f"exit {run.exit_code}"
    error = f": {run.error}" if run.error else ""
    settled = (
        " (passed later)" if run.passed_last else f" (later {run.passed_as} passed)" if run.passed_as else ""
    )
    return f"{run.shown} {code}{times}{error}{settled}"


def _ran(run: Run) -> str:
    return run.shown if run.passes == 1 else f"{run.shown} {run.passes} times"


def _files(files: dict[str, FileTouched]) -> list[str]:
    return [
        " ".join(part for part in (path, touched.verb, _lines(touched)) if part)
        for path, touched in files.items()
    ]


def _lines(touched: FileTouched) -> str:
    return f"+{touched.added} -{touched.removed}" if touched.added or touched.removed else ""


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _date(seconds: int) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (OverflowError, OSError, ValueError):
        return None
