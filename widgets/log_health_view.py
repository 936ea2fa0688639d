"""What fills a log, and what its database takes on disk: sizes, churn, rates, and the largest parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.segment import Segment

from widgets.code_lines import Line, worded
from widgets.formatting import count, cut, duration, fit, moment, size, visible_line, whole
from widgets.glyphs import ASCII, UNICODE, Glyphs
from widgets.log_rendering import level_mark
from widgets.sparkline import sparks
from widgets.strip_view import LinesView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from store.models import LogHealth, LogShare

LABEL_WIDTH: Final = 10
SHARES_SHOWN: Final = 12
_WIDEST: Final = 110
_BAR: Final = 20
_NUMBERS: Final = 6


class LogHealthView(LinesView):
    """One log after the other; words instead where there is none."""

    def __init__(self, *, zone: tzinfo | None = None, glyphs: Glyphs = UNICODE) -> None:
        super().__init__()
        self._zone = zone
        self._glyphs = glyphs
        self._logs: Sequence[LogHealth] | None = None
        self._now = 0

    def show(self, logs: Sequence[LogHealth], now: int) -> None:
        """Show how logs stand at `now`."""
        self._logs, self._now = logs, now
        self.rebuild()

    def build(self, width: int) -> Iterator[Line]:
        """Set each log's rows in groups."""
        width = min(width - 2, _WIDEST)
        if self._logs is not None and not self._logs:
            yield [Segment(" There is no log yet.", self.tones.text)]
        for number, log in enumerate(self._logs or ()):
            if number:
                yield []
            for line in self._log(log, width):
                yield [Segment(" "), *line]

    def _log(self, log: LogHealth, width: int) -> Iterator[Line]:
        tones, room = self.tones, max(12, width - LABEL_WIDTH)
        yield [Segment(cut(visible_line(log.path), width, self._glyphs.ellipsis), tones.bright)]
        for label, value in self._facts(log, room):
            for line in worded(value, room, tones.text):
                yield [Segment(f"{label:<{LABEL_WIDTH}}", tones.muted), *line]
                label = ""
        if log.partial:
            words = f"Shares are of the newest {whole(log.counted_rows)} rows: there was no time for all."
            yield from worded(words, width, tones.muted)
        nobody = {"target": "", "level": "", "thread": "no thread"}
        for name, shares in (("level", log.by_level), ("target", log.by_target), ("thread", log.by_thread)):
            yield []
            yield from self._shares(name, shares, log.counted_size, width, nobody[name])

    def _facts(self, log: LogHealth, room: int) -> Iterator[tuple[str, str]]:
        dot = f" {self._glyphs.dot} "
        yield "rows", dot.join([whole(log.rows), f"{whole(log.churn)} written and deleted again"])
        free = log.free_pages * log.page_size
        share = f"{100 * log.free_pages // max(1, log.pages)} %"
        parts = [size(log.file_size), f"{size(free)} of it free ({share})", f"WAL {size(log.wal_size)}"]
        yield "on disk", dot.join(parts)
        yield "oldest", self._time(log.oldest_at)
        yield "newest", self._time(log.newest_at)
        if log.per_minute:
            minutes = log.per_minute[-room:] if room < len(log.per_minute) else log.per_minute
            highest = f"at most {count(max(minutes))} in a minute"
            line = sparks(minutes, self._glyphs)
            fits = cell_len(line) + 2 + len(highest) <= room
            yield "a minute", f"{line}  {highest}" if fits else line
            yield "", f"the last {len(minutes)} minutes up to the newest row"

    def _time(self, at: int | None) -> str:
        if at is None:
            return "none"
        date = f"{moment(at, self._zone):%Y-%m-%d %H:%M:%S}"
        return f"{date} {self._glyphs.dot} {duration(self._now - at)} ago" if at <= self._now else date

    def _shares(
        self, name: str, shares: Sequence[LogShare], total: int, width: int, nobody: str
    ) -> Iterator[Line]:
        tones = self.tones
        wide = width >= 72
        room = width - 2 * (_NUMBERS + 3) - (_BAR + 2 if wide else 0)
        head = f"by {name:<{max(1, room - 3)}}{'rows':>{_NUMBERS + 3}}{'size':>{_NUMBERS + 3}}"
        yield [Segment(head, tones.muted)]
        for share in shares[:SHARES_SHOWN]:
            named = visible_line(share.name if share.name is not None else nobody) or "none"
            style = level_mark(named, tones, self._glyphs)[1] if name == "level" else tones.text
            if name == "level" and style == tones.muted:
                style = tones.text
            line = [
                Segment(fit(named, room, ellipsis=self._glyphs.ellipsis), style),
                Segment(f"{count(share.rows):>{_NUMBERS + 3}}{size(share.size):>{_NUMBERS + 3}}", tones.text),
            ]
            if wide:
                filled = round(_BAR * share.size / total) if total else 0
                bar = ("#" if self._glyphs is ASCII else "━") * filled
                line.append(Segment(f"  {bar}", tones.muted))
            yield line
        if len(shares) > SHARES_SHOWN:
            yield [Segment(f"and {whole(len(shares) - SHARES_SHOWN)} more", tones.muted)]
