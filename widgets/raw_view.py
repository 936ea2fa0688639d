"""An item's lines as they are in the rollout: JSON set in lines, numbered, bounded whatever its size."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.segment import Segment

from widgets.code_lines import LONGEST_LINE, Line, code_lines, wrapped
from widgets.formatting import count, visible, visible_line
from widgets.strip_view import LinesView

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_CHARACTERS = 200_000
"""What is shown of the text, once it is set in lines."""

LONGEST_PARSED = 1_000_000
"""Characters of a line that is set as JSON; a longer one stands as it is in the file."""


class RawView(LinesView):
    """Raw JSON lines, to be scrolled; `show` says whose they are."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, classes=classes)
        self._title = ""
        self._numbered: list[str] = []
        self._left_out = 0

    def show(self, title: str, raw: str) -> None:
        """Show the text of one or more JSON lines under a title."""
        self._title = title
        self._numbered = []
        room = MOST_CHARACTERS
        self._left_out = 0
        for text, left_out in map(_in_lines, raw.split("\n")):
            self._left_out += left_out
            for line in text.split("\n") if text else ():
                self._left_out += max(0, len(line) - room)
                if room > 0:
                    self._numbered.append(line[:room])
                room -= len(line) + 1
        self.scroll_to(y=0, animate=False)
        self.rebuild()

    def build(self, width: int) -> Iterator[Line]:
        """Set the lines behind their numbers."""
        tones = self.tones
        if self._title:
            yield [Segment(visible_line(self._title), tones.bright)]
        margin = len(str(len(self._numbered))) + 2
        room = max(8, width - margin)
        for number, line in enumerate(self._numbered, 1):
            if len(line) <= LONGEST_LINE:
                rows = code_lines(line, "json", room, tones)
            else:
                rows = wrapped(line, room, tones.text, longest=MOST_CHARACTERS)
            for row, segments in enumerate(rows):
                label = str(number) if row == 0 else ""
                yield [Segment(f"{label:>{margin - 1}} ", tones.muted), *segments]
        if self._left_out:
            yield [Segment(f"… {count(self._left_out)} more characters are in the file", tones.muted)]
        elif not self._numbered:
            yield [Segment("(nothing)", tones.muted)]


def _in_lines(line: str) -> tuple[str, int]:
    """Set one line of JSON, leave anything else as it is, and count the characters cut off."""
    # Anything else may be a line of JSON that is set already.
    if line.startswith(("{", "[")) and len(line) <= LONGEST_PARSED:
        with suppress(ValueError, RecursionError):
            line = json.dumps(json.loads(line), ensure_ascii=False, indent=2)
    return visible(line[:MOST_CHARACTERS]), max(0, len(line) - MOST_CHARACTERS)
