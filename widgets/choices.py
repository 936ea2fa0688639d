"""A few answers to a question, one a line, the first one the harmless one that is chosen at the beginning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.message import Message

from widgets.formatting import fit
from widgets.glyphs import UNICODE, Glyphs
from widgets.strip_view import LinesView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual import events

    from widgets.code_lines import Line


class Choices(LinesView):
    """Answers; actions for the key map: `move(±1)` and `open`."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"choices--cursor"}
    DEFAULT_CSS = """
    Choices { height: auto; overflow-y: hidden; }
    Choices > .choices--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
    """

    @dataclass
    class Considered(Message):
        """Another answer is under the cursor."""

        index: int

    @dataclass
    class Chosen(Message):
        """This one it is."""

        index: int

    def __init__(self, answers: Sequence[str], *, glyphs: Glyphs = UNICODE) -> None:
        super().__init__()
        self._answers = answers
        self._glyphs = glyphs
        self._cursor = 0
        self.styles.height = len(answers)

    def build(self, width: int) -> Iterator[Line]:
        """Make the lines."""
        for index, answer in enumerate(self._answers):
            mark = ">" if index == self._cursor else " "
            style = self.tones.text
            if index == self._cursor:
                style = self.get_component_rich_style("choices--cursor")
            yield [Segment(fit(f" {mark} {answer}", width, ellipsis=self._glyphs.ellipsis), style)]

    def action_move(self, by: int) -> None:
        """Consider another answer."""
        self._consider(self._cursor + by)

    def action_open(self) -> None:
        """Choose."""
        self.post_message(self.Chosen(self._cursor))

    def on_click(self, event: events.Click) -> None:
        """Consider the answer under the pointer; twice chooses it."""
        if 0 <= event.y < len(self._answers):
            self._consider(event.y)
            if event.chain == 2:
                self.action_open()

    def _consider(self, index: int) -> None:
        index = max(0, min(index, len(self._answers) - 1))
        if index != self._cursor:
            self._cursor = index
            self.rebuild()
            self.post_message(self.Considered(index))
