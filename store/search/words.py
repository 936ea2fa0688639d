"""What a word is, for the index, for queries and for snippets alike.

The rule:

- A word is an unbroken run of letters, marks and digits (Unicode categories L, M, N); everything else parts
  words. So `list_threads_db` is the words `list threads db`, `store/rows.py` is `store rows py`, and both are
  found whole, as words that follow each other, and by their parts.
- Case does not count (Unicode case folding), nor do compatibility forms (`ﬁ` is `fi`, `Ａ` is `A`) and the
  diacritics of U+0300 to U+036F: `Müller`, `MÜLLER` and `muller` are one word.
- In scripts that are written without spaces between words (Han, Kana, Bopomofo, Hangul, Thai, Lao, Myanmar,
  Khmer) each character is a word, so that any part of a sentence is found as words that follow each other.
- Format characters and variation selectors are not there at all, but the zero width space parts words.

SQLite is given the text with all of this done, and a tokenizer (`ascii`) that only parts it at what is
neither a letter or digit of ASCII nor beyond ASCII. So the rule is the same whatever Unicode tables a SQLite
library has. `words` is what the two make of a text, in plain Python.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from unicodedata import category, normalize

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD: Final = re.compile("[0-9a-z\x80-\U0010ffff]+")
_DIACRITICS: Final = range(0x300, 0x370)
_ZERO_WIDTH_SPACE: Final = "\u200b"
_SELECTORS: Final = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_SPACELESS: Final = (
    range(0x0E00, 0x0F00),  # Thai, Lao
    range(0x1000, 0x10A0),  # Myanmar
    range(0x1780, 0x1800),  # Khmer
    range(0x3005, 0x3008),  # ideographic iteration mark and its neighbours
    range(0x3040, 0x3130),  # Hiragana, Katakana, Bopomofo
    range(0x31A0, 0x31C0),  # Bopomofo extended
    range(0x31F0, 0x3200),  # Katakana extended
    range(0x3400, 0x4DC0),  # Han
    range(0x4E00, 0xA000),
    range(0xAC00, 0xD7A4),  # Hangul
    range(0xF900, 0xFB00),
    range(0x20000, 0x40000),
)


class Word(NamedTuple):
    """A word of a text, and from where to where it stands in it."""

    text: str
    start: int
    end: int


def fold(text: str) -> str:
    """The text as the index is given it: nothing but its words matter in it. ASCII is given as it is."""
    return text if text.isascii() else normalize("NFC", text).translate(_FOLDED)


def words(text: str) -> list[str]:
    """The words of a text, in order."""
    return _WORD.findall(fold(text).lower() if text.isascii() else fold(text))


def placed_words(text: str) -> Iterator[Word]:
    """The words of a text with their places in it; the text must be in Unicode's form NFC."""
    if text.isascii():
        yield from (Word(match[0], match.start(), match.end()) for match in _WORD.finditer(text.lower()))
        return
    word, start, end = "", 0, 0
    for index, char in enumerate(text):
        for piece in _FOLDED[ord(char)]:
            if _WORD.match(piece):
                start = start if word else index
                word, end = word + piece, index + 1
            elif word:
                yield Word(word, start, end)
                word = ""
    if word:
        yield Word(word, start, end)


class _Folded(dict[int, str]):
    """What each character becomes; worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _fold(chr(code))
        return folded


def _fold(char: str) -> str:
    if _is_invisible(char):
        return ""
    plain = "".join(part for part in normalize("NFKD", char) if ord(part) not in _DIACRITICS)
    return "".join(map(_standing, normalize("NFC", plain).casefold()))


def _is_invisible(char: str) -> bool:
    is_format = category(char) == "Cf" and char != _ZERO_WIDTH_SPACE
    return is_format or any(ord(char) in selectors for selectors in _SELECTORS)


def _standing(char: str) -> str:
    if category(char)[0] not in "LMN":
        return " "
    return f" {char} " if any(ord(char) in script for script in _SPACELESS) else char


_FOLDED: Final = _Folded()
