"""Plain text and source code as wrapped lines of segments, bounded whatever comes."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style

from widgets.formatting import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from widgets.tones import Tones

Line = list[Segment]
"""One line of the screen, without its end."""

_WORDS = re.compile(r" *[^ ]+| +$")

LONGEST_LINE = 4_000
"""Characters of one source line that are shown; the raw view has the rest."""

HIGHLIGHTED = 30_000
"""Characters of code that are coloured; more is shown plain, so that no lexer can hold up the screen."""


def wrapped(text: str, width: int, style: Style, *, longest: int = LONGEST_LINE) -> Iterator[Line]:
    """Wrap each line of an already visible text at exactly `width` cells; blanks keep their places.

    Of a line longer than `longest` characters the rest is left out, and counted.
    """
    width = max(1, width)
    for line in text.split("\n"):
        left_out = len(line) - longest
        shown = line[:longest] if left_out > 0 else line
        for piece in _pieces(shown, width):
            yield [Segment(piece, style)]
        if left_out > 0:
            yield [Segment(f"… {count(left_out)} more characters", style)]


def worded(text: str, width: int, style: Style) -> Iterator[Line]:
    """Wrap each line of an already visible text between its words; indents keep their places."""
    for line in text.split("\n"):
        yield from _worded_line(line, max(1, width), style)


def _worded_line(line: str, width: int, style: Style) -> Iterator[Line]:
    if cell_len(line) <= width or len(line) > LONGEST_LINE:
        yield from wrapped(line, width, style)
        return
    row = ""
    for word in _WORDS.findall(line):
        if row and cell_len(row) + cell_len(word) > width:
            yield [Segment(row, style)]
            row, word = "", word.lstrip(" ")
        *full, row = _pieces(row + word, width)
        for piece in full:
            yield [Segment(piece, style)]
    yield [Segment(row, style)]


def _pieces(line: str, width: int) -> list[str]:
    if line.isascii():
        return [line[at : at + width] for at in range(0, len(line), width)] or [""]
    return chop_cells(line, width) or [""]


def code_lines(code: str, language: str, width: int, tones: Tones) -> Iterator[Line]:
    """Return already visible source code, coloured where the language is known, wrapped by cells."""
    code = code.rstrip("\n")
    lexer = _lexer(language) if len(code) <= HIGHLIGHTED else None
    if lexer is None:
        yield from wrapped(code, width, tones.text)
        return
    style_of = _styles(tones)
    line: Line = []
    for token, value in lexer.get_tokens(code):
        style = style_of(str(token))
        first, *rest = value.split("\n")
        if first:
            line.append(Segment(first, style))
        for part in rest:
            yield from fold_line(line, width)
            line = [Segment(part, style)] if part else []
    if line:
        yield from fold_line(line, width)


def fold_line(line: Line, width: int) -> Iterator[Line]:
    """Break one styled line at `width` cells."""
    width = max(1, width)
    if sum(len(segment.text) for segment in line) > LONGEST_LINE:
        yield from wrapped("".join(segment.text for segment in line), width, line[0].style or Style.null())
        return
    room = width
    row: Line = []
    for text, style, _ in line:
        for piece in _fill(text, room, width):
            cells = cell_len(piece)
            if cells > room:
                yield row
                row, room = [], width
            row.append(Segment(piece, style))
            room -= cells
    yield row


def _fill(text: str, room: int, width: int) -> Iterable[str]:
    if cell_len(text) <= room:
        return (text,)
    first = chop_cells(text, room)[0] if room > 1 else ""
    rest = text[len(first) :]
    return (first, *chop_cells(rest, width)) if first else chop_cells(rest, width)


@lru_cache(maxsize=32)
def _lexer(language: str) -> Any:
    # Loading pygments would be felt before the first rows, which hold no code.
    from rich.syntax import Syntax

    return Syntax("", language.lower()).lexer


def _styles(tones: Tones) -> Callable[[str], Style]:
    kinds = (
        ("Token.Comment", tones.comment),
        ("Token.Keyword", tones.keyword),
        ("Token.Operator.Word", tones.keyword),
        ("Token.Literal.String", tones.string),
        ("Token.Literal.Number", tones.number),
        ("Token.Name.Function", tones.name),
        ("Token.Name.Class", tones.name),
    )
    known: dict[str, Style] = {}

    def style_of(token: str) -> Style:
        style = known.get(token)
        if style is None:
            style = next((style for kind, style in kinds if token.startswith(kind)), tones.text)
            known[token] = style
        return style

    return style_of
