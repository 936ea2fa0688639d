"""Telling a word being typed from keys being pressed."""

from __future__ import annotations

from typing import Final, Literal

GAP: Final = 0.12
"""Seconds; letters closer together than this are a word."""


Verdict = Literal["act", "hold", "type"]


class TypeAhead:
    """Letters as they come; `moves` are those that move the cursor and so may come fast."""

    def __init__(self, moves: str) -> None:
        self._moves = moves
        self._word = ""
        self._last = -1.0
        self._searching = False

    def press(self, letter: str, at: float) -> tuple[Verdict, str]:
        """Take a letter pressed `at` seconds; return what to do, and with which text.

        "act" lets it through, "hold" keeps it back until `GAP` has passed without another, "type" is text to
        look for, a letter held back included.
        """
        together = at - self._last <= GAP
        self._last = at
        if not together:
            self._word, self._searching = "", False
        self._word += letter
        if self._searching:
            return "type", letter
        if len(self._word) == 1 or all(each in self._moves for each in self._word):
            return ("act" if letter in self._moves else "hold"), letter
        # One moving letter may begin a word; a run of them is somebody on the way.
        if len(self._word) > 2 and all(each in self._moves for each in self._word[:-1]):
            self._word = letter
            return "hold", letter
        self._searching = True
        return "type", self._word
