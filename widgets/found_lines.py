"""Where the words that are looked for stand in lines as they were drawn."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style

    from store.needle import Needle

Spans = dict[int, list[tuple[int, int]]]
"""By line, the cells from and up to which something stands."""

_BROKEN = r"(?: *\n *)?"
"""Between two characters of a word that was broken at the edge."""
_BLANK = r"(?: | *\n *)"
"""A blank, or the end of the line that was broken there."""


def wrapped_pattern(needle: Needle) -> re.Pattern[str]:
    """Return a pattern for lines that were wrapped and indented."""
    text = f"\0{needle.text}\0"
    parts: list[str] = []
    for before, character, after, pattern in zip(text, text[1:], text[2:], needle.characters, strict=False):
        # A break beside a blank is the blank's own, several blanks have none: nothing matches in two ways.
        if " " not in (before, character) and parts:
            parts.append(_BROKEN)
        alone = character == " " and " " not in (before, after)
        parts.append(_BLANK if alone else pattern)
    return re.compile("".join(parts))


def found_spans(strips: Sequence[Strip], pattern: re.Pattern[str], first: int = 0) -> Spans:
    """Return where the pattern of a needle matches in the lines from `first` on."""
    lines = [strip.text for strip in strips[first:]]
    text = "\n".join(lines)
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    spans: Spans = {}
    number = 0
    for match in pattern.finditer(text):
        while starts[number + 1] <= match.start():
            number += 1
        line = number
        while starts[line] < match.end():
            begin = max(match.start(), starts[line])
            whole = text[begin : min(match.end(), starts[line + 1] - 1)]
            shown = whole.lstrip(" ") if begin == starts[line] and line > number else whole
            before = cell_len(lines[line][: begin - starts[line] + len(whole) - len(shown)])
            if shown:
                spans.setdefault(first + line, []).append((before, before + cell_len(shown)))
            line += 1
    return spans


def marked(strip: Strip, spans: Sequence[tuple[int, int]], style: Style) -> Strip:
    """Return a line with some of its cells in another style."""
    cuts = sorted({edge for span in spans for edge in span if 0 < edge < strip.cell_length})
    pieces = strip.divide([*cuts, strip.cell_length])
    edges = [0, *cuts]
    return Strip.join(
        [
            Strip(Segment.apply_style(piece, post_style=style))
            if any(start <= edge < stop for start, stop in spans)
            else piece
            for edge, piece in zip(edges, pieces, strict=True)
        ]
    )
