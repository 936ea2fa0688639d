"""Finding words in the transcript that is shown: marks on its lines and scroll bar, and the way between them.

A hit is an item. Within one that is longer than the screen the next lines with the words come first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.cache import LRUCache
from textual.message import Message

from store.errors import StoreError
from store.needle import Needle
from widgets.found_lines import found_spans, marked, wrapped_pattern
from widgets.glyphs import ASCII
from widgets.hits import Hits
from widgets.marked_bar import ASCII_MARK, MARK, MarkedBar
from widgets.transcript_reading import TranscriptReading
from widgets.transcript_rendering import is_quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.strip import Strip
    from textual.worker import Worker

    from store.models import TranscriptItem
    from widgets.found_lines import Spans
    from widgets.transcript_source import Search

SPANS_KEPT = 200
"""Items of which it is remembered where the words stand."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the person was."""

    anchor: tuple[int, int]
    cursor: int
    follows: bool


class _Finding:
    """What is looked for, and what was found of it."""

    def __init__(self, needle: Needle) -> None:
        self.needle = needle
        self.pattern = wrapped_pattern(needle)
        self.hits = Hits()
        self.search: Search | None = None
        """None until the transcript is indexed."""
        self.looks: Worker[None] | None = None
        self.again = False
        """Whether more is indexed than when it last asked."""
        self.searched: float | None = 0.0
        self.arrived = False
        """Whether a hit was gone to by itself."""
        self.spans: LRUCache[int, tuple[Sequence[Strip], Spans]] = LRUCache(SPANS_KEPT)


class TranscriptFinding(TranscriptReading):
    """A transcript in which the words that are looked for are marked, also in what comes later."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"transcript--found", "transcript--here", "transcript--mark"}
    DEFAULT_CSS = """
    TranscriptFinding {
        & > .transcript--found { text-style: bold underline; }
        & > .transcript--here {
            color: $block-cursor-foreground;
            background: $block-cursor-background;
            text-style: bold underline;
        }
        & > .transcript--mark { color: $foreground; }
    }
    """

    @dataclass
    class Found(Message):
        """How far a search has come."""

        number: int | None
        """Which of the hits the cursor is on."""
        total: int
        searched: float | None
        """The share of the rollout that was looked through; None once all of it is."""

        def can_replace(self, message: Message) -> bool:
            """Only the last count matters."""
            return isinstance(message, TranscriptFinding.Found)

    @dataclass
    class FindingEnded(Message):
        """Another thread is shown, or none: nothing is looked for any more."""

    _finding: _Finding | None = None
    _from: _Place | None = None
    """Where the person was before words were typed."""
    _told: Found | None = None

    @property
    def finding(self) -> bool:
        """Whether words are looked for."""
        return self._finding is not None

    # What is looked for

    def begin_find(self) -> None:
        """Remember where the person is, before words are typed."""
        indexed = self._source is self._whole
        self._from = _Place(self._anchor(), self._cursor, self._follows) if indexed else None

    def find(self, words: str) -> None:
        """Look for plain text, in any case unless it has a capital; the nearest comes into sight."""
        needle = Needle(words) if words else None
        if needle == (self._finding and self._finding.needle):
            return
        self._stop_finding()
        if needle is None:
            self._go_back()
        else:
            self._finding = _Finding(needle)
            self._taken()
        self._moved()
        self.refresh()

    def end_find(self, *, back: bool) -> None:
        """Take the marks away, and go `back` to where the person was or stay."""
        self._stop_finding()
        if back:
            self._go_back()
        else:
            self._layout.leave_open()
        self._note, self._from = "", None
        self.refresh()

    def _stop_finding(self) -> None:
        self.workers.cancel_group(self, "find")
        self.workers.cancel_group(self, "hit")
        self._finding = self._told = None
        self._bar.mark((), self.rich_style)

    def _go_back(self) -> None:
        self._layout.look_into(None)
        place = self._from
        if place is not None and self._source is self._whole:
            self._follows = place.follows
            self._settle(place.anchor)
            self._cursor = place.cursor
            self._moved()

    def _blank(self) -> None:
        if self._finding is not None:
            self._stop_finding()
            self.post_message(self.FindingEnded())
        self._from = None
        super()._blank()

    def _taken(self) -> None:
        finding, source = self._finding, self._whole
        if finding is None or source is None or self._source is not source:
            return
        finding.again = True
        if finding.search is None:
            finding.search = source.find(finding.needle, lambda item: not is_quiet(item))
        if finding.looks is None or finding.looks.is_finished:
            look = self._look_through(finding, finding.search)
            finding.looks = self.run_worker(look, group="find", exit_on_error=False, description="Finding")

    async def _look_through(self, finding: _Finding, search: Search) -> None:
        try:
            while finding.again:
                finding.again = False
                while (findings := await search.more()) is not None:
                    finding.hits.add(findings.positions)
                    finding.searched = findings.searched / max(1, findings.total)
                    self._arrive(finding)
                    self._moved()
                    self.refresh()
        except StoreError as error:
            self.note(error.what)
        finding.searched = None
        self._arrive(finding)
        self._moved()

    def _arrive(self, finding: _Finding) -> None:
        """Go to the first hit from what was in sight on; when there is none, to the last one above."""
        if finding.arrived:
            return
        start = self._anchor()[0] if self._from is None else self._from.anchor[0]
        position = finding.hits.beside(start - 1, 1)
        if position is None and finding.searched is None:
            position = finding.hits.beside(start, -1)
        finding.arrived = position is not None or finding.searched is None
        if position is not None:
            self._go_to_hit(position, 1)
        elif finding.arrived:
            self._go_back()

    # From hit to hit

    def action_hit(self, by: int) -> None:
        """Go to the next or the previous hit, or to lines of this one that are not in sight yet."""
        finding = self._finding
        if finding is None:
            self.note("nothing to find yet: / asks for words")
            return
        line = self._further(by)
        position = finding.hits.beside(self._cursor, by)
        if line is not None:
            self._keep_at(self._cursor, self._height // 3 - line)
        elif position is not None:
            self._go_to_hit(position, by)
        elif finding.searched is not None and by > 0:
            self.note("no hit below yet: still looking")
        else:
            self.note(f"no hit {'below' if by > 0 else 'above'}")

    def _further(self, by: int) -> int | None:
        top = self._layout.heights.top(self._cursor) - round(self.scroll_y)
        lines = sorted(self._spans(self._cursor))
        if by > 0:
            return next((line for line in lines if top + line >= self._height), None)
        return next((line for line in reversed(lines) if top + line < 0), None)

    def _go_to_hit(self, position: int, by: int) -> None:
        self.run_worker(
            self._show_hit(position, by),
            group="hit",
            exclusive=True,
            exit_on_error=False,
            description="Going to a hit",
        )

    async def _show_hit(self, position: int, by: int) -> None:
        source, layout, finding = self._source, self._layout, self._finding
        if source is None or finding is None:
            return
        first = max(0, position - 1)
        try:
            items = await source.items(first, position + 1)
        except StoreError as error:
            self.note(error.what)
            return
        if layout is not self._layout or finding is not self._finding:
            return
        layout.accept(first, items)
        layout.look_into(None)
        item = layout.item(position)
        if item is not None and self._is_inside(item, finding.needle, position):
            layout.look_into(position)
        layout.measure(position)
        lines = sorted(self._spans(position))
        line = 0 if not lines else lines[0] if by > 0 else lines[-1]
        row = layout.heights.top(position) + line - round(self.scroll_y)
        if not 0 <= row < self._height - 1:
            row = self._height // 3
        self._note = "" if lines else "in what is not drawn of this item: J shows all of it"
        self._keep_at(position, row - line)

    def _is_inside(self, item: TranscriptItem, needle: Needle, position: int) -> bool:
        """Whether the words stand in what is folded away."""
        return self._layout.is_folded(item) and (needle.is_in(item.output) or not self._spans(position))

    # What is marked

    def _spans(self, position: int) -> Spans:
        """Where the words stand in the lines of an item that is a hit."""
        finding, strips = self._finding, self._layout.strips(position)
        if finding is None or strips is None or position not in finding.hits:
            return {}
        known = finding.spans.get(position)
        if known is None or known[0] is not strips:
            known = strips, found_spans(strips, finding.pattern, self._layout.heading(position))
            finding.spans[position] = known
        return known[1]

    def _drawn(self, position: int, within: int, strip: Strip) -> Strip:
        spans = self._spans(position).get(within)
        if not spans:
            return strip
        name = "transcript--here" if position == self._cursor else "transcript--found"
        return marked(strip, spans, self.get_component_rich_style(name, partial=True))

    def _moved(self) -> None:
        """Say which hit the cursor is on, and mark on the scroll bar where all of them are."""
        finding = self._finding
        if finding is None:
            return
        told = self.Found(finding.hits.number(self._cursor), len(finding.hits), finding.searched)
        if told != self._told:
            self._told = told
            self.post_message(told)
        rows = finding.hits.shares(self._layout.heights.shares(self._height))
        self._bar.mark(rows, self.get_component_rich_style("transcript--mark"))

    @property
    def _bar(self) -> MarkedBar:
        bar = self.vertical_scrollbar
        assert isinstance(bar, MarkedBar)
        return bar

    @property
    def vertical_scrollbar(self) -> MarkedBar:
        """The scroll bar, which Textual makes when it is first asked for."""
        bar = self._vertical_scrollbar
        if not isinstance(bar, MarkedBar):
            glyph = ASCII_MARK if self._glyphs is ASCII else MARK
            bar = MarkedBar(thickness=self.scrollbar_size_vertical, glyph=glyph)
            self._vertical_scrollbar = bar
            bar.display = False
            self.app._start_widget(self, bar)
        return bar
