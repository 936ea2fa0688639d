"""The few marks that the screens draw, and their ASCII stand-ins."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One set of marks; every one takes one cell, the ellipsis and the dot included."""

    working: str = "●"
    silent: str = "◌"
    fine: str = "✓"
    warning: str = "!"
    failed: str = "✗"
    archived: str = "a"
    folded: str = "+"
    unfolded: str = "-"
    ellipsis: str = "…"
    dot: str = "·"


UNICODE = Glyphs()
ASCII = Glyphs(working="*", silent="o", fine="v", failed="x", ellipsis="~", dot="-")
