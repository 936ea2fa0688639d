"""What went wrong, why, and what to do next, in a line or two under the header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content
from textual.widget import Widget

from widgets.formatting import visible_line
from widgets.glyphs import UNICODE, Glyphs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.models import Notice

_WORST_FIRST: Final = ("error", "warning", "information")
_STYLES: Final = {"error": "$text-error", "warning": "$text-warning", "information": "$text"}


class NoticeBar(Widget):
    """The worst notice, and how many more there are; nothing at all when there is none."""

    DEFAULT_CSS = """
    NoticeBar { height: auto; max-height: 4; padding: 0 1; color: $text-muted; display: none; }
    """

    def __init__(self, *, glyphs: Glyphs = UNICODE) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._notices: list[Notice] = []
        self._dismissed: set[Notice] = set()

    @property
    def notices(self) -> Sequence[Notice]:
        """What is shown, the worst first."""
        return self._notices

    def show(self, notices: Sequence[Notice]) -> None:
        """Show these, but none that was dismissed and has not gone since."""
        self._dismissed &= set(notices)
        self._notices = sorted(
            (notice for notice in notices if notice not in self._dismissed),
            key=lambda notice: _WORST_FIRST.index(notice.severity),
        )
        self.display = bool(self._notices)
        self.refresh(layout=True)

    def dismiss(self) -> bool:
        """Put the shown notice away; return whether there was one."""
        if not self._notices:
            return False
        self._dismissed.add(self._notices[0])
        self.show(self._notices[1:] + list(self._dismissed))
        return True

    def on_click(self) -> None:
        """Put the notice away."""
        self.dismiss()

    def render(self) -> Content:
        """Draw the worst notice."""
        if not self._notices:
            return Content("")
        worst = self._notices[0]
        glyph = self._glyphs.failed if worst.severity == "error" else self._glyphs.warning
        what = visible_line(worst.what).rstrip(".")
        why = visible_line(worst.why).rstrip(".")
        rest = f" ({why})." if why else "."
        if worst.next_step:
            rest += f" {visible_line(worst.next_step).rstrip('.')}."
        if len(self._notices) > 1:
            rest += f" {len(self._notices) - 1} more notices."
        return Content.assemble((f"{glyph} ", _STYLES[worst.severity]), (what, "$text"), rest)
