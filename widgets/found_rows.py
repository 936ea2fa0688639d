"""The lines of a list of threads that are no threads: a heading, and what was found in the thread above."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment

from widgets.formatting import ELLIPSIS, cut, visible

if TYPE_CHECKING:
    from rich.style import Style

    from store.search.models import Snippet


@dataclass(frozen=True, slots=True)
class Heading:
    """What the rows below it are."""

    text: str


@dataclass(frozen=True, slots=True)
class HitText:
    """A piece of what was found, the match marked."""

    snippet: Snippet
    before: str = ""
    """Our own word on it."""


Aside = Heading | HitText


def hit_segments(
    hit: HitText, indent: int, width: int, text: Style, mark: Style, *, ellipsis: str = ELLIPSIS
) -> list[Segment]:
    """Return what was found, in at most `width` cells; the first mark stays in sight."""
    said, marks = hit.snippet.text, hit.snippet.marks
    room = max(1, width - indent)
    pieces = [(f"{hit.before} ", text)] if hit.before else []
    start = 0
    if marks and cell_len(visible(said[: marks[0][1]])) > room - 2:
        # Half the line is for what leads up to the match.
        start = max(0, marks[0][0] - room // 2)
        pieces.append((ellipsis, text))
    at = start
    for begin, end in marks:
        pieces += [(visible(said[at:begin]), text), (visible(said[begin:end]), mark)]
        at = end
    pieces.append((visible(said[at:]), text))
    segments = [Segment(" " * min(indent, width), text)]
    for piece, style in pieces:
        shown = cut(piece, room, ellipsis)
        room -= cell_len(shown)
        segments.append(Segment(shown, style))
        if shown != piece:
            break
    return segments
