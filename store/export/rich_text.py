"""Markdown that Codex wrote as HTML: a few plain elements, all text escaped, nothing to load or to follow."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token

LONGEST: Final = 40_000
"""Characters that are set as Markdown; a longer text is shown as it was written."""

LONGEST_LINE: Final = 4_000
"""Characters of a line; beyond it the parser's price grows with the square."""

_HEADINGS: Final = {f"h{level}": f"h{min(6, level + 2)}" for level in range(1, 7)}
_ELEMENTS: Final = frozenset(
    {"p", "ul", "li", "blockquote", "table", "thead", "tbody", "tr", "th", "td", "em", "strong", "s"}
)


def rich_text(text: str) -> str:
    """The Markdown as HTML; where that would cost too much or lose something, the text as it was written."""
    if len(text) <= LONGEST and all(len(line) <= LONGEST_LINE for line in text.split("\n")):
        tokens = _parser().parse(text)
        kept, given = (sum(map(str.isalnum, words)) for words in ("".join(_words(tokens)), text))
        if 2 * kept >= given:
            return f'<div class="rich">{"".join(_blocks(tokens))}</div>'
    return typed(text)


def typed(text: str) -> str:
    """Text as it was typed, each line break and blank kept."""
    return f'<div class="typed" dir="auto">{escape(text)}</div>'


def code(text: str) -> str:
    """Text in a box of its own, in letters of one width."""
    # The first line break behind <pre> is not part of it.
    return f"<pre>\n{escape(text)}</pre>"


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    # HTML stays as text; entities stay as written (one may name a control character).
    parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
    return parser.disable(["entity", "html_block", "html_inline", "reference"])


def _words(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        yield token.info if token.type == "fence" else ""
        yield token.content


def _blocks(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "inline":
            yield from _inline(token.children or ())
        elif token.type in ("fence", "code_block"):
            yield code(token.content.removesuffix("\n"))
        elif token.type == "hr":
            yield "<hr>\n"
        elif not token.hidden:
            yield _tag(token)


def _tag(token: Token) -> str:
    name = _HEADINGS.get(token.tag, token.tag)
    if token.nesting < 0:
        return f"</{name}>\n" if _is_known(name) else ""
    if name == "ol":
        return f'<ol start="{int(token.attrs.get("start", 1))}">'
    direction = ' dir="auto"' if name in ("p", "li", "th", "td") or name in _HEADINGS else ""
    return f"<{name}{direction}>" if _is_known(name) else escape(token.content)


def _is_known(name: str) -> bool:
    return name in _ELEMENTS or name in _HEADINGS or name == "ol"


def _inline(tokens: Sequence[Token]) -> Iterator[str]:
    links: list[tuple[str, list[str]]] = []
    for token in tokens:
        if token.type == "code_inline":
            yield f"<code>{escape(token.content)}</code>"
        elif token.type == "softbreak":
            yield "\n"
        elif token.type == "hardbreak":
            yield "<br>\n"
        elif token.type == "link_open":
            links.append((str(token.attrs.get("href", "")), []))
        elif token.type == "link_close":
            address, words = links.pop() if links else ("", [])
            if unquote(address) != unquote("".join(words)):
                yield _address(address)
        elif token.type == "image":
            yield f"[image: {escape(token.content)}]{_address(str(token.attrs.get('src', '')))}"
        elif token.tag in _ELEMENTS:
            yield _tag(token).rstrip("\n")
        else:
            yield escape(token.content)
        for _, words in links:
            words.append(token.content)


def _address(address: str) -> str:
    return f' <span class="address">({escape(address)})</span>' if address else ""
