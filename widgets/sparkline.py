"""Numbers as a line of marks, each against the highest of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from widgets.glyphs import ASCII

if TYPE_CHECKING:
    from collections.abc import Sequence

    from widgets.glyphs import Glyphs

_SPARKS: Final = "▁▂▃▄▅▆▇█"
_ASCII_SPARKS: Final = "_.-=+*%#"


def sparks(numbers: Sequence[float], glyphs: Glyphs) -> str:
    """Return one mark for each number."""
    marks = _ASCII_SPARKS if glyphs is ASCII else _SPARKS
    highest, last = max(numbers, default=0), len(marks) - 1
    return "".join(marks[round(number / highest * last) if highest > 0 else 0] for number in numbers)
