"""The line on top: where we are on the left, how fresh it is on the right."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from widgets.glyphs import UNICODE, Glyphs


@dataclass(frozen=True, slots=True)
class Standing:
    """What the header says; every text is plain."""

    home: str = ""
    scope: str = ""
    total: str = ""
    working: int = 0
    silent: int = 0
    freshness: str = ""
    warning: str = ""


class HeaderBar(Widget):
    """One line; where it is too narrow, the middle goes before the ends."""

    DEFAULT_CSS = """
    HeaderBar { height: 1; padding: 0 1; background: $footer-background; color: $text-muted; }
    """

    standing: reactive[Standing] = reactive(Standing())

    def __init__(self, *, glyphs: Glyphs = UNICODE) -> None:
        super().__init__()
        self._glyphs = glyphs

    def render(self) -> Content:
        """Draw the line."""
        width, now = self.content_size.width, self.standing
        told = []
        if now.warning:
            told.append(Content.styled(f"{self._glyphs.warning} {now.warning}", "$text-warning"))
        if now.working:
            told.append(Content.styled(f"{self._glyphs.working} {now.working} working", "$text-success"))
        if now.silent:
            told.append(Content.styled(f"{self._glyphs.silent} {now.silent} silent", "$text-warning"))
        if now.freshness:
            told.append(Content(now.freshness))
        right = Content("  ").join(told)
        dot = f" {self._glyphs.dot} "
        parts = [part for part in (now.home, now.scope, now.total) if part]
        choices = [parts, [part for part in parts if part != now.scope], parts[-1:], []]
        for choice in choices:
            left = Content.styled("Rollodex", "bold $text") + Content(
                "  " + dot.join(choice) if choice else ""
            )
            gap = width - left.cell_length - right.cell_length
            if gap >= 2:
                return left + " " * gap + right
        return left.truncate(width, ellipsis=True)
