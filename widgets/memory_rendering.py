"""What the memory widgets draw alike: glyphs of states, and rows of a label and a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment

from widgets.code_lines import Line, worded
from widgets.formatting import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.style import Style

    from widgets.glyphs import Glyphs
    from widgets.memory_words import Mark
    from widgets.tones import Tones


def marked(mark: Mark, tones: Tones, glyphs: Glyphs) -> tuple[str, Style]:
    """Return the glyph of a state and its colour."""
    match mark:
        case "failed":
            return glyphs.failed, tones.bad
        case "warning":
            return glyphs.warning, tones.warn
        case "working":
            return glyphs.working, tones.good
        case "fine":
            return glyphs.fine, tones.good
        case "silent":
            return glyphs.silent, tones.muted


def labelled(label: str, value: str, label_width: int, width: int, tones: Tones) -> Iterator[Line]:
    """Set a value beside its label, each line of it wrapped between words; it may be foreign text."""
    for text in visible(value).split("\n"):
        for line in worded(text, max(12, width - label_width), tones.text):
            yield [Segment(f"{label:<{label_width}}", tones.muted), *line]
            label = ""
