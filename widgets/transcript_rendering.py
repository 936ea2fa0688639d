"""Items of a transcript as lines: what each kind looks like, folded and unfolded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from widgets.code_lines import Line, code_lines, worded, wrapped
from widgets.diff_lines import diff_lines, is_diff
from widgets.formatting import count, cut, moment, visible, visible_line, whole
from widgets.glyphs import UNICODE, Glyphs
from widgets.tool_calls import argument_fields, call_line, is_shell, patch_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import tzinfo

    from store.models import TranscriptItem
    from widgets.tones import Tones

MEASURE = 100
"""Cells that prose and headings use at most; code, diffs and output take the whole width."""

MOST_LINES = 2_000
"""Lines of one item that are shown; the raw view has the rest."""

_FOLDED_KINDS = frozenset(("tool", "reasoning", "context", "compaction", "unknown"))
_QUIET = frozenset(
    (
        "session_meta",
        "session_configured",
        "shutdown_complete",
        "state",
        "task_complete",
        "task_started",
        "thread_settings_applied",
        "token_count",
        "token_usage_record",
        "turn_complete",
        "turn_context",
        "turn_started",
        "world_state",
        "ghost_snapshot",
    )
)
"""Labels of what happens in every turn and says nothing: not drawn until everything is unfolded."""

_INDENT = 2


@dataclass(frozen=True, slots=True)
class Look:
    """What an item's lines depend on besides the item itself."""

    width: int
    tones: Tones
    zone: tzinfo | None = None
    """Time zone of the times shown; None is the person's own."""
    glyphs: Glyphs = UNICODE


def folded_at_first(item: TranscriptItem) -> bool:
    """Whether an item is folded until the person unfolds it."""
    return item.kind in _FOLDED_KINDS or item.injected


def is_quiet(item: TranscriptItem) -> bool:
    """Whether an item takes no line until everything is unfolded."""
    return item.label in _QUIET and not item.failed


def begins_part(item: TranscriptItem, previous: TranscriptItem | None) -> bool:
    """Whether what a fork or a reverted thread goes on from, or its own part, begins with this item."""
    before = None if previous is None or not previous.inherited else previous.thread_id
    return before != (item.thread_id if item.inherited else None)


def item_strips(item: TranscriptItem, look: Look, *, folded: bool, hidden: bool, part: bool) -> list[Strip]:
    """Draw one item; nothing if it is `hidden`, but for the rule where a `part` of a fork begins."""
    lines = chain(_part_rule(item, look) if part else (), () if hidden else _lines(item, look, folded=folded))
    shown = list(islice(lines, MOST_LINES + 1))
    if len(shown) > MOST_LINES:
        note = f"  … only the first {whole(MOST_LINES)} lines are shown; J shows all of it"
        shown[-1] = [Segment(note, look.tones.muted)]
    if item.rolled_back:
        shown = [_struck(line, look) for line in shown]
    return [Strip(line).crop(0, look.width) for line in shown]


def _struck(line: Line, look: Look) -> Line:
    """Strike the words of a line that was rolled back, but for the mark that says so."""
    return [
        segment
        if segment.style is None or segment.style.color == look.tones.warn.color
        else _strike(segment, look)
        for segment in line
    ]


def _strike(segment: Segment, look: Look) -> Segment:
    ground = Style(bgcolor=segment.style.bgcolor if segment.style else None)
    return Segment(
        segment.text, Style.chain(ground, look.tones.muted, Style(strike=bool(segment.text.strip())))
    )


def _part_rule(item: TranscriptItem, look: Look) -> Iterator[Line]:
    if item.inherited:
        yield _rule(f"from {visible_line(item.thread_id)}", look)
    else:
        yield []
        of = "the fork's own" if item.rollout_id is None else "what came after the revert"
        yield _rule(f"from here on {of}", look)


def _lines(item: TranscriptItem, look: Look, *, folded: bool) -> Iterator[Line]:
    if item.injected or item.kind == "context":
        return _foldable(item, look, folded=folded, name="context", what=_context_name(item))
    match item.kind:
        case "message":
            return _message(item, look, folded=folded)
        case "tool":
            return _tool(item, look, folded=folded)
        case "reasoning":
            what = _first_line(item.text or "").replace("**", "") or "encrypted, for Codex alone"
            return _foldable(item, look, folded=folded, name="reasoning", what=what)
        case "compaction":
            return _compaction(item, look, folded=folded)
        case "event":
            return _event(item, look, folded=folded)
        case _:
            name = visible_line(item.label) or "unknown"
            return _foldable(item, look, folded=folded, name=name, what=_first_line(item.text or ""))


def _message(item: TranscriptItem, look: Look, *, folded: bool) -> Iterator[Line]:
    tones, text = look.tones, item.text or ""
    by_user = item.role == "user"
    commentary = item.phase == "commentary"
    tone = tones.muted if commentary else tones.bright
    who = {"user": "you", "assistant": "codex", None: "codex"}.get(item.role) or visible_line(item.role or "")
    heading = [Segment(who, tone)]
    if item.phase and not by_user:
        heading.append(Segment(f" {look.glyphs.dot} {visible_line(item.phase.replace('_', ' '))}", tone))
    heading.extend(_rolled_back(item, look))
    if folded:
        room = min(look.width, MEASURE) - sum(cell_len(segment.text) for segment in heading) - 20
        heading.append(Segment(f"  {cut(_first_line(text), room)}", tones.muted))
    yield []
    yield _spread(heading, _at(item, look), look, band=tones.prompt if by_user else None)
    if folded:
        return
    if not text.strip():
        yield [Segment("  (no text)", tones.muted)]
        return
    base = tones.muted if commentary else tones.text
    width = min(look.width, MEASURE) - _INDENT
    # A prompt stands as it was typed: markdown would eat its "*.py" and "__init__".
    set_lines = _typed(text, width, tones) if by_user else _markdown(text, width, tones, base=base)
    yield from _indented(set_lines)


def _tool(item: TranscriptItem, look: Look, *, folded: bool) -> Iterator[Line]:
    tones, glyphs = look.tones, look.glyphs
    call = call_line(item)
    failed = item.failed or item.exit_code not in (None, 0)
    if failed:
        mark = Segment(f"{glyphs.failed} ", tones.bad)
    else:
        mark = Segment(f"{glyphs.folded if folded else glyphs.unfolded} ", tones.muted)
    notes = "".join(f" {glyphs.dot} {note}" for note in call.notes)
    end = [Segment(notes, tones.bad if failed else tones.muted), *_rolled_back(item, look)]
    room = look.width - 2 - sum(cell_len(segment.text) for segment in end)
    name = cut(call.name, max(8, room))
    what = cut(call.what, room - cell_len(name) - 1)
    yield [mark, Segment(name, tones.muted), Segment(f" {what}" if what else "", tones.text), *end]
    if folded:
        return
    width = look.width - _INDENT
    yield from _indented(_call_lines(item, width, tones))
    output = visible(item.output or "").rstrip("\n")
    if output:
        yield [Segment("  " + "─" * min(8, width), tones.muted)]
        lines = diff_lines(output, width, tones) if is_diff(output) else wrapped(output, width, tones.muted)
        yield from _indented(lines)


def _call_lines(item: TranscriptItem, width: int, tones: Tones) -> Iterator[Line]:
    """The whole of what a call was given."""
    fields = argument_fields(item)
    if (patch := patch_of(item)) is not None:
        yield from diff_lines(visible(patch), width, tones)
    elif is_shell(item) and item.text:
        for number, line in enumerate(code_lines(visible(item.text), "bash", width - 2, tones)):
            yield [Segment("  " if number else "$ ", tones.muted), *line]
        folder = (fields or {}).get("workdir")
        if isinstance(folder, str):
            yield from wrapped(f"in {visible_line(folder)}", width, tones.muted)
    elif item.text:
        yield from wrapped(visible(item.text), width, tones.text)
    elif fields is not None:
        text = json.dumps(fields, ensure_ascii=False, indent=2)
        yield from code_lines(visible(text), "json", width, tones)
    elif item.arguments:
        yield from wrapped(visible(item.arguments), width, tones.text)


def _foldable(item: TranscriptItem, look: Look, *, folded: bool, name: str, what: str) -> Iterator[Line]:
    """Something of which one muted line is enough until it is asked for."""
    tones, glyphs, text = look.tones, look.glyphs, item.text or ""
    size = f" {glyphs.dot} {count(len(text))} characters" if len(text) > 400 else ""
    end = _rolled_back(item, look)
    room = look.width - 2 - cell_len(size) - sum(cell_len(segment.text) for segment in end)
    words = f"{name} {glyphs.dot} {what}" if what else name
    says_it_all = not text.strip() or ("\n" not in text.strip() and not size and cell_len(words) <= room)
    mark = glyphs.dot if says_it_all else glyphs.folded if folded else glyphs.unfolded
    yield [Segment(f"{mark} {cut(words, room)}{size}", tones.muted), *end]
    if folded or says_it_all:
        return
    if item.kind == "reasoning":
        width = min(look.width, MEASURE) - _INDENT
        yield from _indented(_markdown(text, width, tones, base=tones.muted))
    elif text.lstrip().startswith(("{", "[")):
        yield from _indented(code_lines(visible(text), "json", look.width - _INDENT, tones))
    else:
        width = min(look.width, MEASURE) - _INDENT
        yield from _indented(worded(visible(text).strip("\n"), width, tones.muted))


def _context_name(item: TranscriptItem) -> str:
    first = _first_line(item.text or "")
    if first.startswith("<") and ">" in first:
        first = first[1:].partition(">")[0].replace("_", " ")
    return first.lstrip("# ") or visible_line(item.label.replace("_", " "))


def _compaction(item: TranscriptItem, look: Look, *, folded: bool) -> Iterator[Line]:
    text = item.text or ""
    yield []
    yield _rule("compacted: Codex went on from a summary", look)
    if not text.strip():
        return
    if folded:
        glyphs = look.glyphs
        yield [Segment(f"{glyphs.folded} {cut(_first_line(text), look.width - _INDENT)}", look.tones.muted)]
        return
    width = min(look.width, MEASURE) - _INDENT
    yield from _indented(_markdown(text, width, look.tones, base=look.tones.muted))


def _event(item: TranscriptItem, look: Look, *, folded: bool) -> Iterator[Line]:
    tones, glyphs = look.tones, look.glyphs
    tone, glyph = (tones.bad, glyphs.failed) if item.failed else (tones.muted, glyphs.dot)
    text = visible(item.text or "").strip()
    words = _first_line(text) or visible_line(item.label.replace("_", " "))
    width = min(look.width, MEASURE)
    room = width - 9
    yield _spread([Segment(f"{glyph} {cut(words, room)}", tone)], _at(item, look), look)
    if not folded and ("\n" in text or cell_len(words) > room):
        yield from _indented(worded(text, width - _INDENT, tone))


def _rolled_back(item: TranscriptItem, look: Look) -> Line:
    return [Segment(f" {look.glyphs.dot} rolled back", look.tones.warn)] if item.rolled_back else []


def _first_line(text: str) -> str:
    for line in text[:2_000].split("\n"):
        if shown := visible_line(line):
            return shown
    return ""


def _at(item: TranscriptItem, look: Look) -> str:
    if item.at is None:
        return ""
    is_prompt = item.kind == "message" and item.role == "user"
    return moment(item.at, look.zone).strftime("%Y-%m-%d %H:%M" if is_prompt else "%H:%M")


def _spread(left: Line, right: str, look: Look, *, band: Style | None = None) -> Line:
    """Put a time at the right end of a heading; `band` lies behind the whole line."""
    width = min(look.width, MEASURE)
    room = width - cell_len(right) - 1 if right else width
    shown = Strip(left).crop(0, max(0, room))
    line = [
        *shown,
        Segment(" " * (width - shown.cell_length - cell_len(right))),
        Segment(right, look.tones.muted),
    ]
    if band is None:
        return line
    ground = Style(bgcolor=band.bgcolor)
    return [Segment(text, Style.chain(style or Style.null(), ground)) for text, style, _ in line]


def _rule(title: str, look: Look) -> Line:
    width = min(look.width, MEASURE)
    title = cut(title, width - 6)
    return [Segment(f"── {title} {'─' * max(0, width - 4 - cell_len(title))}", look.tones.muted)]


def _indented(lines: Iterable[Line]) -> Iterator[Line]:
    for line in lines:
        yield [Segment(" " * _INDENT), *line]


# markdown-it takes a tenth of the time to the first rows, which hold none.


def _markdown(text: str, width: int, tones: Tones, *, base: Style) -> Iterable[Line]:
    from widgets.markdown_lines import markdown_lines

    return markdown_lines(text, width, tones, base=base)


def _typed(text: str, width: int, tones: Tones) -> Iterable[Line]:
    from widgets.markdown_lines import typed_lines

    return typed_lines(text, width, tones)
