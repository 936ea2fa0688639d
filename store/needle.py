"""Words to find in a text, and what was found of them so far."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Needle:
    """Plain text that is looked for in any case, unless it has an upper-case letter itself."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.any_case = text == text.lower()

    def __eq__(self, other: object) -> bool:
        """Whether the same is looked for."""
        return isinstance(other, Needle) and other.text == self.text

    def __hash__(self) -> int:
        """Equal for equal text."""
        return hash(self.text)

    @cached_property
    def characters(self) -> Sequence[str]:
        """A pattern for each character, for whoever has to let something stand between two of them."""
        return [self._pattern(character) for character in self.text]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """A pattern for all of it."""
        return re.compile("".join(self.characters))

    def is_in(self, text: str | None) -> bool:
        """Whether a text holds it."""
        return bool(text) and self.pattern.search(text or "") is not None

    def _pattern(self, character: str) -> str:
        forms = {character}
        if self.any_case:
            # Not re.IGNORECASE: there "K" is also the Kelvin sign, which no search of bytes would find.
            others = (character.lower(), character.upper())
            forms |= {form for form in others if len(form) == 1 and form.isascii() == character.isascii()}
        if len(forms) == 1:
            return re.escape(character)
        return f"[{''.join(map(re.escape, sorted(forms)))}]"


class Findings(NamedTuple):
    """What one part of a search found."""

    positions: Sequence[int]
    """Items that were not found before, in no order that could be relied on."""
    searched: int
    """Bytes that were looked through by now."""
    total: int
    """Bytes that there are to look through, as far as is known."""
