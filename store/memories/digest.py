"""`MEMORY.md` and `memory_summary.md` made of all memories by rules, whichever engine each is from.

What `memory_summary.md` must look like is said by Codex 0.169: it begins with a line `v1`, has four headings,
and is shorter than 10,000 bytes.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from store.memories import gist
from store.memories.artifacts import SUMMARIES
from store.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from store.memories.models import ThreadMemory

MEMORY: Final = "MEMORY.md"
SUMMARY: Final = "memory_summary.md"

_SUMMARY_BYTES: Final = 9_900
_PREFERENCES_BYTES: Final = 2_400
_TIPS_BYTES: Final = 1_200
_MEMORY_CHARS: Final = 200_000
_POINTERS_CHARS: Final = 50_000
_NOTES_CHARS: Final = 100_000
_READ_BYTES: Final = 4 << 20

_TITLE: Final = "# Memory"
_NOTES: Final = "# Notes"
_NOTES_EXPLAINED: Final = "What stands below this line is kept as it is."

# What a section is about, by a word of its heading; the first that fits.
_SUBJECTS: Final = {
    "asked": ("asked", "request"),
    "wanted": ("want", "preference"),
    "outcome": ("outcome", "result", "summary", "takeaway"),
    "failed": ("fail", "error", "wrong", "pitfall"),
    "learned": ("on the way", "knowledge", "learn", "fact", "insight"),
    "open": ("open", "todo", "next", "left", "unresolved"),
    "ran": ("ran", "command", "verif"),
    "files": ("file",),
}
_CHECK: Final = re.compile(r"(?i)test|check|lint|build|make|ruff|mypy|tsc|clippy|vet|fmt|bench|verify")


@dataclass(frozen=True, slots=True)
class _Note:
    """One memory, read."""

    thread_id: str
    at: int
    title: str
    cwd: str | None
    parts: dict[str, list[str]]
    """By subject, blocks for `outcome` and lines for the others."""
    has_summary: bool

    @property
    def date(self) -> str:
        """Of the thread's last change."""
        try:
            return datetime.fromtimestamp(self.at, UTC).date().isoformat()
        except (OverflowError, OSError, ValueError):
            return "at an unknown time"

    @property
    def pointer(self) -> str:
        """Where there is more of it."""
        return f"{SUMMARIES}/{self.thread_id}.md" if self.has_summary else f"thread {self.thread_id}"

    def of(self, subject: str) -> list[str]:
        """What it says about a subject, maybe nothing."""
        return self.parts.get(subject, [])


@dataclass(frozen=True, slots=True)
class _Project:
    """The memories of one folder, the newest first."""

    cwd: str | None
    notes: list[_Note]

    @property
    def name(self) -> str:
        """The folder, as a code span."""
        return _folder(self.cwd)

    @property
    def passed(self) -> list[str]:
        """Commands that checked something and passed: those of the most threads first, then the newest."""
        times = Counter(
            command
            for note in self.notes
            for command in dict.fromkeys(map(_command, note.of("ran")))
            if _CHECK.search(command)
        )
        return [command for command, _ in times.most_common(6)]


def write_digest(staging: Path, memories: Sequence[ThreadMemory]) -> None:
    """Write both files anew; what stands under the notes of `MEMORY.md`, or is no file of ours, stays there.

    Raises OSError.
    """
    notes = sorted(map(_read, memories), key=lambda note: (note.at, note.thread_id), reverse=True)
    try:
        with (staging / MEMORY).open("rb") as file:
            before = file.read(_READ_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        before = ""
    _write(staging / MEMORY, _memory(notes, _kept(before)))
    _write(staging / SUMMARY, _summary(notes))


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_bytes(("\n".join(lines) + "\n").encode("utf-8", "replace"))


def _kept(before: str) -> str:
    """What of the file as it was is the user's, or another engine's."""
    _, found, after = f"\n{before}".partition(f"\n{_NOTES}\n")
    if found:
        kept = after.replace(_NOTES_EXPLAINED, "", 1)
    else:
        kept = "" if before.startswith(f"{_TITLE}\n") else before
    return kept.strip()[:_NOTES_CHARS].rstrip()


def _read(memory: ThreadMemory) -> _Note:
    at = memory.updated_at if memory.source_updated_at is None else memory.source_updated_at
    title = gist.line(redact((memory.title or "")[:4_000]), 100) or "(no title)"
    has_summary = bool(memory.trace_summary.strip())
    return _Note(memory.thread_id, at, title, memory.cwd, _parts(memory), has_summary)


def _parts(memory: ThreadMemory) -> dict[str, list[str]]:
    """The raw memory by subject; where it tells no outcome, the first that it or the summary says."""
    parts: dict[str, list[str]] = {}
    for heading, text in _sections(memory.memory_summary):
        subject = _subject(heading)
        if subject == "outcome":
            parts.setdefault(subject, []).extend(gist.blocks(text, 600))
        elif subject is not None:
            parts.setdefault(subject, []).extend(gist.line(said, 400) for said, _ in gist.paragraphs(text))
    if not parts:
        sources = [*_sections(memory.memory_summary), *_sections(memory.trace_summary)]
        parts["outcome"] = next((said for _, text in sources if (said := gist.blocks(text, 400, most=3))), [])
    return parts


def _sections(markdown: str) -> Iterator[tuple[str, str]]:
    """Each heading, of whatever level, and the text under it."""
    heading, lines = "", list[str]()
    for raw in gist.without_fences(markdown).split("\n"):
        said = gist.heading(raw)
        if said is None:
            lines.append(raw)
            continue
        yield heading, "\n".join(lines)
        heading, lines = said, []
    yield heading, "\n".join(lines)


def _subject(heading: str) -> str | None:
    words = heading.casefold()
    for subject, signs in _SUBJECTS.items():
        if any(sign in words for sign in signs):
            return subject
    return None


def _projects(notes: Sequence[_Note]) -> list[_Project]:
    found: dict[str | None, _Project] = {}
    for note in notes:
        found.setdefault(note.cwd, _Project(note.cwd, [])).notes.append(note)
    return list(found.values())


def _memory(notes: Sequence[_Note], kept: str) -> Iterator[str]:
    projects = _projects(notes)
    yield from [
        _TITLE,
        "",
        f"{_count(len(notes), 'thread')} in {_count(len(projects), 'project')}, newest first.",
    ]
    left = _MEMORY_CHARS
    for position, project in enumerate(projects):
        if left <= 0:
            yield from ["", f"({_count(len(projects) - position, 'older project')} left out)"]
            break
        for lines in _project(project, left):
            left -= sum(map(len, lines))
            yield from lines
    yield from ["", _NOTES, "", _NOTES_EXPLAINED]
    if kept:
        yield from ["", kept]


def _project(project: _Project, left: int) -> Iterator[list[str]]:
    """Its lines, by parts; when fewer than so many characters are left, only where there is more."""
    yield ["", f"## {project.name}", "", _span(project.notes)]
    yield _listed("### Wanted", _distinct(said for note in project.notes for said in note.of("wanted")))
    yield _listed("### Passed", project.passed)
    yield ["", "### Threads"]
    for position, note in enumerate(project.notes):
        if left <= 0:
            yield ["", f"({_count(len(project.notes) - position, 'older thread')} left out)"]
            return
        entry = _entry(note, whole=left > _POINTERS_CHARS)
        left -= sum(map(len, entry))
        yield entry


def _entry(note: _Note, *, whole: bool) -> list[str]:
    lines = ["", f"#### {note.date} {note.title}", ""]
    if not whole:
        return [*lines, f"- Summary: {note.pointer}"]
    outcome = gist.spaced(note.of("outcome")[:5])
    told = {"Earlier": note.of("learned")[:3], "Failed": note.of("failed")[:4], "Open": note.of("open")[:4]}
    details = [f"- {word}: {said}" for word, lines_of_it in told.items() for said in lines_of_it]
    if files := note.of("files"):
        more = f" and {len(files) - 8} more" if len(files) > 8 else ""
        details.append(f"- Files: {', '.join(files[:8])}{more}")
    return [*lines, *outcome, *([""] if outcome else []), *details, f"- Summary: {note.pointer}"]


def _summary(notes: Sequence[_Note]) -> Iterator[str]:
    projects = _projects(notes)
    wanted = [
        f"- {said}{f' ({_folder(note.cwd)})' if note.cwd else ''}"
        for note in notes
        for said in note.of("wanted")
    ]
    passed = [
        f"- Passed in {project.name}: {', '.join(project.passed[:3])}"
        for project in projects
        if project.passed
    ]
    failed = [
        f"- Failed in {_folder(note.cwd)}: {said}"
        for note in notes
        for said in note.of("failed")[:2]
        if ": " in said  # with the error
    ]
    head = [
        *("v1", "", "## User Profile", "", *_profile(notes, projects), "", "## User preferences", ""),
        *(_fitting(_distinct(wanted), _PREFERENCES_BYTES) or ["- None were said."]),
        *("", "## General Tips", ""),
        f"- {MEMORY} has more of each thread, and names its summary in {SUMMARIES}/.",
        *_fitting(passed, _TIPS_BYTES),
        *_fitting(_distinct(failed)[:8], _TIPS_BYTES),
        *("", "## What's in Memory"),
    ]
    yield from head
    yield from _contents(projects, _SUMMARY_BYTES - _bytes(head))


def _profile(notes: Sequence[_Note], projects: Sequence[_Project]) -> list[str]:
    if not notes:
        return ["- No threads are remembered yet."]
    busiest = sorted(projects, key=lambda project: -len(project.notes))[:5]
    named = ", ".join(f"{project.name} ({len(project.notes)})" for project in busiest)
    return [f"- {_span(notes)}", f"- {_count(len(projects), 'project')}; most threads in {named}"]


def _contents(projects: Sequence[_Project], left: int) -> Iterator[str]:
    """Projects and their newest threads, as many as fit; the last line says what does not."""
    most = max(3, 48 // max(1, len(projects)))
    left -= 100  # for the last line
    for position, project in enumerate(projects):
        lines = ["", f"### {project.name}", ""]
        lines += [f"- {note.date} {note.title}{_short_outcome(note)}" for note in project.notes[:most]]
        fitting = _fitting(lines, left)
        shown = len(fitting) - 3
        if shown < 1:
            yield from ["", f"({_count(len(projects) - position, 'more project')} in {MEMORY})"]
            return
        if shown < len(project.notes):
            fitting.append(f"- {len(project.notes) - shown} more in {MEMORY}")
        yield from fitting
        left -= _bytes(fitting)


def _short_outcome(note: _Note) -> str:
    said = gist.lead("\n\n".join(note.of("outcome")), 140)
    return f": {said}" if said else ""


def _command(said: str) -> str:
    """The code span that the line begins with."""
    ticks = said[: len(said) - len(said.lstrip("`"))]
    end = said.find(ticks, len(ticks)) if ticks else -1
    return said[: end + len(ticks)] if end > 0 else ""


def _listed(heading: str, lines: Sequence[str]) -> list[str]:
    return ["", heading, "", *(f"- {line}" for line in lines[:12])] if lines else []


def _distinct(lines: Iterable[str]) -> list[str]:
    found: dict[str, str] = {}
    for line in lines:
        found.setdefault(line.casefold(), line)
    return list(found.values())


def _fitting(lines: Sequence[str], left: int) -> list[str]:
    """As many of the first lines as fit into so many bytes."""
    fitting: list[str] = []
    for line in lines:
        left -= _bytes([line])
        if left < 0:
            break
        fitting.append(line)
    return fitting


def _bytes(lines: Sequence[str]) -> int:
    return sum(len(line.encode("utf-8", "replace")) + 1 for line in lines)


def _folder(cwd: str | None) -> str:
    return gist.code(redact((cwd or "")[:4_000]), 160) or "a folder that is not known"


def _span(notes: Sequence[_Note]) -> str:
    newest, oldest = notes[0].date, notes[-1].date
    return f"{_count(len(notes), 'thread')}, {newest if newest == oldest else f'{oldest} to {newest}'}"


def _count(number: int, one: str) -> str:
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"
