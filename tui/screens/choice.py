"""What is asked before anything runs, is written or costs something; the default is to do nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar

from rich.segment import Segment
from textual import getters
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from tui import keymap
from widgets.choices import Choices
from widgets.code_lines import worded
from widgets.formatting import visible
from widgets.glyphs import UNICODE, Glyphs
from widgets.strip_view import LinesView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from widgets.code_lines import Line

T = TypeVar("T")
Fact = tuple[str, str]

LABEL_WIDTH: Final = 10
MOST_OF_THE_SCREEN: Final = 96
"""Per cent of the screen's height that a sheet takes at most."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """Something that may be done."""

    label: str
    value: T
    facts: Sequence[Fact] = ()
    """What it means: with what, on what, at what cost, and what is written where."""


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """What is asked; the way out comes first and is no answer."""

    title: str
    words: Sequence[str]
    answers: Sequence[Answer[T]]
    way_out: str = "Cancel"
    facts: Sequence[Fact] = ()
    """What is known where there is no answer."""


class Facts(LinesView, can_focus=False):
    """Why it is asked, and what the answer under the cursor means."""

    def __init__(self, words: Sequence[str], *answers: Sequence[Fact]) -> None:
        super().__init__()
        self._words = words
        self._all = answers
        self._facts = answers[0] if answers else ()

    def show(self, facts: Sequence[Fact]) -> None:
        """Show what another answer means."""
        self._facts = facts
        self.rebuild()

    def build(self, width: int) -> Iterator[Line]:
        """Set the words, then the facts beside their labels."""
        return self._set(self._facts, width)

    def _set(self, facts: Sequence[Fact], width: int) -> Iterator[Line]:
        tones = self.tones
        for words in self._words:
            yield from worded(visible(words), width, tones.text)
        if facts:
            yield []
        for label, value in facts:
            for text in visible(value).split("\n"):
                for line in worded(text, max(8, width - LABEL_WIDTH), tones.text):
                    yield [Segment(f"{label:<{LABEL_WIDTH}}", tones.muted), *line]
                    label = ""

    def height_for(self, width: int) -> int:
        """Return how many rows the answer with the most to say takes."""
        return max(len(list(self._set(facts, width))) for facts in self._all or ((),))


class PaneChoices(Choices, inherit_bindings=False):
    """The answers, with the keys of the registry."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("choice")]

    def action_page(self, pages: float) -> None:
        """Scroll what is said above."""
        facts = self.screen.query_one(Facts)
        facts.scroll_relative(y=round(pages * facts.size.height), animate=False)


class ChoiceScreen(ModalScreen[T | None]):
    """One question; leaving it is no answer."""

    CSS_PATH = "choice.tcss"

    facts = getters.query_one(Facts)
    choices = getters.query_one(PaneChoices)

    def __init__(self, question: Question[T], *, glyphs: Glyphs = UNICODE) -> None:
        super().__init__()
        self._question = question
        self._glyphs = glyphs

    def compose(self) -> ComposeResult:
        """Make the frame."""
        question = self._question
        with Vertical() as frame:
            frame.border_title = Content(question.title)
            frame.border_subtitle = Content("esc closes")
            facts = [answer.facts for answer in question.answers]
            yield Facts(question.words, *(facts or [question.facts]))
            labels = [question.way_out, *(answer.label for answer in question.answers)]
            yield PaneChoices(labels, glyphs=self._glyphs)

    def on_mount(self) -> None:
        """Stand on the way out."""
        self.choices.focus()

    def on_resize(self) -> None:
        """Have room for the answer with the most to say, so that nothing jumps."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        frame = self.query_one(Vertical)
        around = frame.gutter.height + self.facts.styles.margin.height + self.choices.size.height
        room = max(1, self.size.height * MOST_OF_THE_SCREEN // 100 - around)
        self.facts.styles.height = min(room, self.facts.height_for(self.facts.size.width))

    def on_choices_considered(self, message: Choices.Considered) -> None:
        """Say what the answer means; on the way out, what the first one would."""
        if self._question.answers:
            self.facts.show(self._question.answers[max(0, message.index - 1)].facts)

    def on_choices_chosen(self, message: Choices.Chosen) -> None:
        """Answer."""
        self.dismiss(self._question.answers[message.index - 1].value if message.index else None)

    def action_close_one(self) -> None:
        """Give no answer."""
        self.dismiss(None)
