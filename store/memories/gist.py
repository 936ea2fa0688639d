"""Foreign text made short, and safe to stand in a Markdown document: lines, sentences, first blocks.

Whatever `line`, `excerpt` and `blocks` return is one line that opens no heading, list, quote, fence, table or
HTML where it is put at the start of a block, and holds no control character.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ESCAPE_SEQUENCE: Final = re.compile(
    r"\x1b(?:\[[0-?]{0,40}[ -/]{0,4}[@-~]|\][^\x07\x1b\n]{0,200}(?:\x07|\x1b\\)|[@-_])"
)
# Controls, what hides or reorders text, tags, and halves of surrogate pairs; joiners stay, letters need them.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
_SPACES: Final = re.compile(r"\s+")
_BLOCK_OPENING: Final = re.compile(
    r"#{1,6}(?:\s|$)|>|[-+*](?:\s|$)|(?:[-*_=]\s?){3,}$|`{3}|~{3}|\||<|=+$|\[[^\]]*\]:|\\$"
)
_NUMBER_OPENING: Final = re.compile(r"(\d{1,9})([.)])(?=\s|$)")
_BACKTICKS: Final = re.compile(r"`+")

_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM: Final = re.compile(r"\s*(?:[-+*•]|\d{1,3}[.)])\s+(.*)")
_HEADING: Final = re.compile(r" {0,3}#{1,6}\s+(.*)")
_RULE: Final = re.compile(r" {0,3}(?:[-*_=]\s?){3,}$")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])[\"'”’»)\]*_]{0,3}\s+|(?<=[。！？])")
_ABBREVIATED: Final = re.compile(
    r"(?:^|[\s(])(?:e\.g|i\.e|vs|cf|approx|resp|etc|no|z\.B|bzw|p\.ex)\.$", re.IGNORECASE
)


def line(text: str, limit: int) -> str:
    """The text as one line of at most `limit` characters, cut at a word where that is near."""
    return _escaped(_cut(_flat(text[: 8 * limit + 400]), limit))


def excerpt(text: str, limit: int) -> str:
    """Like `line`, but of a text that is longer the beginning and the end: a request may stand at either."""
    flat = _flat(without_fences(text))
    if len(flat) <= limit:
        return _escaped(flat)
    tail = limit // 3
    end = flat[-tail:]
    return _escaped(f"{_cut(flat, limit - tail - 1)} {end[end.find(' ') + 1 :]}")


def code(text: str, limit: int) -> str:
    """The text's first line as a code span; "…" for what is left out."""
    shown = text.strip()
    first = shown.split("\n", 1)[0].rstrip()
    flat = _cut(_flat(first[: 8 * limit]), limit)
    if len(first) < len(shown) and not flat.endswith("…"):
        flat = f"{flat} …"
    if not flat:
        return ""
    ticks = "`" * (1 + max(map(len, _BACKTICKS.findall(flat)), default=0))
    space = " " if flat[0] == "`" or flat[-1] == "`" else ""
    return f"{ticks}{space}{flat}{space}{ticks}"


def heading(raw: str) -> str | None:
    """What a line says if it is a heading, on one line, as it is."""
    match = _HEADING.match(raw)
    return _flat(match[1]) if match else None


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, each on one line, as they are; a line break between blocks ends one, too."""
    for paragraph, _ in paragraphs(text):
        begun = 0
        for end in _SENTENCE_END.finditer(paragraph):
            if not _ABBREVIATED.search(paragraph, max(0, end.start() - 12), end.start()):
                yield paragraph[begun : end.end()].strip()
                begun = end.end()
        if rest := paragraph[begun:].strip():
            yield rest


def blocks(text: str, limit: int, *, most: int = 6) -> list[str]:
    """The first blocks of an answer, of together about `limit` characters: paragraphs, and items as "- …".

    Code, tables, rules and headings are left out; of what is too long there are the first sentences.
    """
    found: list[str] = []
    for paragraph, is_item in paragraphs(text):
        if limit < 40 or len(found) >= most:
            break
        short = _first_sentences(paragraph, limit)
        if found and short.endswith("…") and len(short) < len(paragraph):
            break  # a sentence cut short is worth it only where there is nothing else
        limit -= len(short)
        found.append(f"- {_escaped(short)}" if is_item else _escaped(short))
    if len(found) > 1 and found[-1].endswith(":"):  # of what it announces nothing is left
        found.pop()
    return found


def spaced(blocks: Sequence[str]) -> list[str]:
    """What `blocks` returned as lines: an empty one between paragraphs, none between items."""
    lines: list[str] = []
    for block in blocks:
        if lines and not (block.startswith("- ") and lines[-1].startswith("- ")):
            lines.append("")
        lines.append(block)
    return lines


def lead(text: str, limit: int) -> str:
    """The first block of an answer as one line; where that only announces items, they follow it."""
    said = ""
    for paragraph, is_item in paragraphs(text):
        if said and not (is_item and said[-1] in ":;"):
            break
        short = _first_sentences(paragraph, limit - len(said))
        if said and len(said) + len(short) >= limit:
            break
        said = f"{said} {short}".strip()
        if is_item and limit - len(said) > 40:
            said = f"{said.rstrip('.')};"
    return _escaped(said.rstrip(";"))


def _first_sentences(paragraph: str, limit: int) -> str:
    if len(paragraph) <= limit:
        return paragraph
    kept = ""
    for sentence in sentences(paragraph):
        longer = f"{kept} {sentence}".lstrip()
        if len(longer) > limit:
            break
        kept = longer
    return kept or _cut(paragraph, limit)


def paragraphs(text: str) -> Iterator[tuple[str, bool]]:
    """Paragraphs and list items, each on one line, as they are; whether it is an item."""
    gathered: list[str] = []
    is_item = False
    for raw in [*without_fences(text).split("\n"), ""]:
        item = _ITEM.match(raw)
        skipped = not raw.strip() or raw.lstrip().startswith("|") or _HEADING.match(raw) or _RULE.match(raw)
        if skipped or item:
            if flat := _flat(" ".join(gathered)):
                yield flat, is_item
            gathered = []
            is_item = item is not None
        if item:
            gathered = [item[1]]
        elif not skipped:
            gathered.append(raw)


def without_fences(text: str) -> str:
    """The text without its code blocks."""
    kept: list[str] = []
    fence = ""
    for raw in text.split("\n"):
        match = _FENCE.match(raw)
        if match is None:
            if not fence:
                kept.append(raw)
        elif not fence:
            fence = match[1]
            kept.append("")
        elif match[1].startswith(fence) and raw.strip() == match[1]:
            fence = ""
    return "\n".join(kept)


def _flat(text: str) -> str:
    text = _ESCAPE_SEQUENCE.sub("", text) if "\x1b" in text else text
    return _SPACES.sub(" ", _UNSEEN.sub("", text)).strip()


def _cut(flat: str, limit: int) -> str:
    if len(flat) <= limit:
        return flat
    at = flat.rfind(" ", limit - 24, limit)
    return flat[: at if at > 0 else limit - 1].rstrip(" ,;:.") + "…"


def _escaped(flat: str) -> str:
    """With what would open a block, a comment or a reference where the line stands made plain."""
    flat = flat.replace("<!--", "\\<!--")
    if _BLOCK_OPENING.match(flat):
        return f"\\{flat}"
    return _NUMBER_OPENING.sub(r"\1\\\2", flat, count=1) if _NUMBER_OPENING.match(flat) else flat
