"""Everything known of one thread, in rows of a label and a value; its memory and its tools below.

Actions for the key map: `fold` (raw memory, memories of the project and tools' schemas, all of them; a click
folds one), and the scrolling keys.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment

from widgets.code_lines import Line, code_lines, worded
from widgets.formatting import cut, duration, moment, shorten_path, size, visible, visible_line, whole
from widgets.glyphs import UNICODE, Glyphs
from widgets.markdown_lines import markdown_lines
from widgets.memory_words import ago
from widgets.strip_view import LinesView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from rich.style import Style
    from textual import events

    from store.memories.models import ThreadMemory
    from store.models import DynamicTool, Thread

LABEL_WIDTH = 14
WIDEST = 110
"""Cells that a row uses at most."""


@dataclass(frozen=True, slots=True)
class Details:
    """What the panel shows; `sandbox_lines` say the policy in words, the short label first."""

    thread: Thread
    now: int
    tools: Sequence[DynamicTool] = ()
    sandbox_lines: Sequence[str] = ()
    user_home: Path | None = None
    memory: ThreadMemory | None = None
    """What was extracted from the thread."""
    recent_memories: Sequence[ThreadMemory] = ()
    """Of threads of the same folder, the newest first; the thread's own among them is passed over."""


_MONTH = 35 * 86_400_000
_RAW = "raw memory"

Row = tuple[str, str]


class ThreadDetails(LinesView):
    """The details of a thread; nothing before `show`."""

    def __init__(
        self,
        *,
        zone: tzinfo | None = None,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._zone = zone
        self._glyphs = glyphs
        self._details: Details | None = None
        self._unfolded: set[int | str] = set()
        self._fold_at: dict[int, int | str] = {}

    @property
    def thread(self) -> Thread | None:
        """The thread shown."""
        return None if self._details is None else self._details.thread

    def show(self, details: Details) -> None:
        """Show a thread; the same one again stays where it was scrolled to."""
        other = self._details is None or self._details.thread.id != details.thread.id
        self._details = details
        if other:
            self._unfolded.clear()
            self.scroll_to(y=0, animate=False)
        self.rebuild()

    def clear(self) -> None:
        """Show nothing."""
        self._details = None
        self.rebuild()

    def action_fold(self) -> None:
        """Show everything that is folded, or none of it."""
        if self._details is None:
            return
        folds = set(_folds(self._details))
        self._unfolded = set() if self._unfolded >= folds else folds
        self.rebuild()

    def on_click(self, event: events.Click) -> None:
        """Fold or unfold what was clicked."""
        offset = event.get_content_offset(self)
        fold = None if offset is None else self._fold_at.get(round(self.scroll_y) + offset.y)
        if fold is not None:
            self._unfolded ^= {fold}
            self.rebuild()

    def build(self, width: int) -> Iterator[Line]:
        """Set the rows in groups."""
        self._fold_at = {}
        if self._details is None:
            return
        lines = 0
        for part in self._parts(self._details, min(width - 2, WIDEST)):
            if isinstance(part, int | str):
                self._fold_at[lines] = part
            else:
                yield [Segment(" "), *part] if part else []
                lines += 1

    def _parts(self, details: Details, width: int) -> Iterator[Line | int | str]:
        """Yield the lines, and before the first line of a fold what it is called."""
        yield from self._rows(details, width)
        yield from self._memories(details, width)
        if not details.tools:
            return
        yield []
        yield [Segment(f"{len(details.tools)} dynamic tools", self.tones.bright)]
        for tool in details.tools:
            yield tool.position
            yield from self._tool(tool, width)

    def _rows(self, details: Details, width: int) -> Iterator[Line]:
        thread = details.thread
        yield from worded(visible_line(thread.display_title), width, self.tones.bright)
        for group in (
            self._place(details, width),
            _origin(thread),
            _settings(thread, details.sandbox_lines),
            self._work(thread, details.now),
        ):
            rows = [(label, value) for label, value in group if value]
            if rows:
                yield []
            for label, value in rows:
                yield from self._row(label, value, width)

    def _row(self, label: str, value: str, width: int) -> Iterator[Line]:
        room = max(12, width - LABEL_WIDTH)
        style: Style = self.tones.text
        for line in visible(value).split("\n"):
            for row in worded(line, room, style):
                yield [Segment(f"{label:<{LABEL_WIDTH}}", self.tones.muted), *row]
                label = ""

    def _place(self, details: Details, width: int) -> Iterator[Row]:
        thread, home = details.thread, details.user_home
        room = max(12, width - LABEL_WIDTH)
        yield "id", thread.id
        yield "name", visible_line(thread.name or "") if thread.name != thread.display_title else ""
        states = ["archived"] * thread.archived + ["compressed"] * thread.compressed
        yield "rollout", thread.rollout_path
        yield "size", f" {self._glyphs.dot} ".join([size(thread.size_bytes), *states])
        yield "folder", shorten_path(thread.cwd, max(room, 200), home) if thread.cwd else ""
        git = thread.git
        yield "git", f" {self._glyphs.dot} ".join(part for part in (git.branch, (git.sha or "")[:12]) if part)
        yield "git origin", git.origin_url or ""

    def _work(self, thread: Thread, now: int) -> Iterator[Row]:
        dot = f" {self._glyphs.dot} "
        yield "created", self._time(thread.created_at, now)
        yield "updated", self._time(thread.updated_at, now)
        uncounted = "not counted yet" if thread.index == "heads" else ""
        yield "turns", uncounted if thread.turns is None else whole(thread.turns)
        yield "messages", uncounted if thread.messages is None else whole(thread.messages)
        parts = (
            ("input", thread.tokens.input),
            ("cached", thread.tokens.cached_input),
            ("output", thread.tokens.output),
            ("reasoning", thread.tokens.reasoning_output),
        )
        if thread.tokens_used is not None:
            words = [f"{name} {whole(number)}" for name, number in parts if number is not None]
            yield "tokens", dot.join([whole(thread.tokens_used), *words])
        bad = thread.bad_lines
        yield "bad lines", whole(bad) if bad else ""
        yield "index", "head and tail read; the rest follows" if thread.index == "heads" else "read in full"

    def _time(self, at: int | None, now: int) -> str:
        if at is None:
            return ""
        date = moment(at, self._zone).strftime("%Y-%m-%d %H:%M:%S")
        return f"{date} {self._glyphs.dot} {duration(now - at)} ago" if 0 <= now - at < _MONTH else date

    def _memories(self, details: Details, width: int) -> Iterator[Line | int | str]:
        tones, memory = self.tones, details.memory
        if memory is not None:
            facts = [f"written {ago(memory.updated_at, details.now // 1000)}"]
            facts += [f"by {visible_line(memory.engine)}"] if memory.engine else []
            source = memory.source_updated_at
            if source is not None and (details.thread.updated_at or 0) // 1000 > source:
                facts.append("the thread has gone on since")
            yield []
            words = f" {self._glyphs.dot} ".join(facts)
            yield [Segment("Memory", tones.bright), Segment(cut(f"  {words}", width - 6), tones.muted)]
            yield from markdown_lines(memory.trace_summary, width, tones, base=tones.text)
            yield []
            yield _RAW
            yield from self._folded(_RAW, _RAW, "", memory.memory_summary, width)
        recent = [each for each in details.recent_memories if each.thread_id != details.thread.id]
        if not recent:
            return
        yield []
        yield [Segment("Recent memories of this project", tones.bright)]
        for each in recent:
            name = each.title or each.rollout_slug or each.thread_id
            yield each.thread_id
            when = ago(each.updated_at, details.now // 1000)
            yield from self._folded(each.thread_id, name, when, each.trace_summary, width)

    def _folded(self, fold: str, name: str, words: str, body: str, width: int) -> Iterator[Line]:
        """A line that stands for a text, and the text below it while it is unfolded."""
        tones, glyphs = self.tones, self._glyphs
        unfolded = fold in self._unfolded
        mark = glyphs.unfolded if unfolded else glyphs.folded
        words = f"  {words}" if words else ""
        shown = cut(visible_line(name), width - 2 - cell_len(words), glyphs.ellipsis)
        yield [Segment(f"{mark} ", tones.muted), Segment(shown, tones.text), Segment(words, tones.muted)]
        if unfolded:
            for line in markdown_lines(body, width - 2, tones, base=tones.text):
                yield [Segment("  "), *line]

    def _tool(self, tool: DynamicTool, width: int) -> Iterator[Line]:
        tones, glyphs = self.tones, self._glyphs
        unfolded = tool.position in self._unfolded
        name = visible_line(f"{tool.namespace}.{tool.name}" if tool.namespace else tool.name)
        words = visible_line(tool.description or "")
        mark = glyphs.unfolded if unfolded else glyphs.folded
        room = width - 2 - cell_len(name) - 2
        head = [Segment(f"{mark} ", tones.muted), Segment(cut(name, width - 2), tones.text)]
        if not unfolded:
            yield [*head, Segment(f"  {cut(words, room)}" if words and room > 4 else "", tones.muted)]
            return
        yield [*head, Segment("  loaded when asked for" if tool.defer_loading else "", tones.muted)]
        for text in visible(tool.description or "").strip().split("\n"):
            for line in worded(text, width - 2, tones.muted):
                yield [Segment("  "), *line]
        if tool.input_schema is not None:
            schema = visible(json.dumps(tool.input_schema, ensure_ascii=False, indent=2))
            for line in code_lines(schema, "json", width - 2, tones):
                yield [Segment("  "), *line]


def _folds(details: Details) -> Iterator[int | str]:
    yield from (tool.position for tool in details.tools)
    if details.memory is not None:
        yield _RAW
    yield from (memory.thread_id for memory in details.recent_memories)


def _origin(thread: Thread) -> Iterator[Row]:
    detail = thread.source_detail
    yield "source", thread.source
    yield "", json.dumps(detail, ensure_ascii=False) if detail is not None else ""
    yield "originator", thread.originator or ""
    yield "parent", thread.parent_thread_id or ""
    yield "forked from", thread.forked_from_id or ""
    yield "agent", " ".join(part for part in (thread.agent_nickname, thread.agent_role) if part)
    yield "sub-agents", whole(thread.children) if thread.children else ""


def _settings(thread: Thread, sandbox_lines: Sequence[str]) -> Iterator[Row]:
    yield "model", " ".join(part for part in (thread.model, thread.reasoning_effort) if part)
    yield "provider", thread.model_provider or ""
    yield "Codex", thread.cli_version or ""
    yield "approval", thread.approval_mode or ""
    yield "sandbox", "\n".join(sandbox_lines)
    yield "memory", thread.memory_mode or ""
