"""Markdown of a message as lines of segments: calm headings, no hyperlinks, nothing of the text lost."""

from __future__ import annotations

from functools import lru_cache
from io import StringIO
from typing import TYPE_CHECKING
from urllib.parse import unquote

from markdown_it import MarkdownIt
from rich import box
from rich.console import Console
from rich.markdown import (
    BlockQuote,
    CodeBlock,
    Heading,
    HorizontalRule,
    ListElement,
    ListItem,
    Markdown,
    TableBodyElement,
    TableElement,
    TableHeaderElement,
    TableRowElement,
)
from rich.rule import Rule
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from widgets.code_lines import Line, code_lines, worded, wrapped
from widgets.diff_lines import diff_lines, is_diff
from widgets.formatting import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token
    from rich.console import ConsoleOptions, RenderResult

    from widgets.tones import Tones

LONGEST_MARKDOWN = 40_000
"""Characters of a message that are set as markdown; a longer one is shown as it was written."""

LONGEST_SOURCE_LINE = 4_000
"""Characters of a line of markdown; beyond it the parser's price grows with the square."""


def markdown_lines(text: str, width: int, tones: Tones, *, base: Style) -> list[Line]:
    """Set foreign markdown in lines of at most `width` cells; `base` is the style of its plain text."""
    text = visible(text).strip("\n")
    width = max(8, width)
    if len(text) > LONGEST_MARKDOWN or any(len(line) > LONGEST_SOURCE_LINE for line in text.split("\n")):
        return list(wrapped(text, width, base))
    console = _console(tones, base)
    document = _Message(text, tones)
    lines = console.render_lines(document, console.options.update_width(width), style=base, pad=False)
    while lines and not _text(lines[-1:]).strip():
        lines.pop()
    while lines and not _text(lines[:1]).strip():
        del lines[0]
    # What the parser gives up on (nesting without end, say) it drops: better as it was written.
    kept, given = (sum(map(str.isalnum, words)) for words in (_text(lines), text))
    return lines if 2 * kept >= given else list(wrapped(text, width, base))


def _text(lines: list[Line]) -> str:
    return "".join(segment.text for line in lines for segment in line)


def typed_lines(text: str, width: int, tones: Tones) -> Iterator[Line]:
    """Set foreign words as they were typed: every line break, blank and sign kept, fenced code coloured."""
    language: str | None = None
    code: list[str] = []
    for line in visible(text).strip("\n").split("\n"):
        fence = line.strip()
        if language is None:
            yield from worded(line, width, tones.text)
            if fence.startswith("```"):
                language = fence[3:].strip().partition(" ")[0]
        elif fence == "```":
            yield from code_lines("\n".join(code), language, width, tones)
            yield from worded(line, width, tones.text)
            language, code = None, []
        else:
            code.append(line)
    yield from code_lines("\n".join(code), language or "", width, tones) if code else ()


@lru_cache(maxsize=8)
def _console(tones: Tones, base: Style) -> Console:
    muted, bright = tones.muted, Style.chain(base, Style(bold=True))
    theme = Theme(
        {
            "markdown.paragraph": Style.null(),
            "markdown.text": Style.null(),
            "markdown.em": Style(italic=True),
            "markdown.strong": Style(bold=True),
            "markdown.s": Style(strike=True),
            "markdown.code": tones.string,
            "markdown.item.bullet": muted,
            "markdown.item.number": muted,
            "markdown.block_quote": muted,
            "markdown.hr": muted,
            "markdown.link": Style.null(),
            "markdown.link_url": tones.link,
            "markdown.table.border": muted,
            "markdown.table.header": bright,
            **{f"markdown.h{level}": bright for level in range(1, 7)},
        },
    )
    return Console(
        file=StringIO(),
        color_system="truecolor",
        force_terminal=True,
        legacy_windows=False,
        theme=theme,
        highlight=False,
        markup=False,
        emoji=False,
        width=80,
    )


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    # HTML stays as text (it would vanish); entities stay as written (one may name a control character).
    parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
    return parser.disable(["entity", "html_block", "html_inline", "reference"])


class _Message(Markdown):
    """Rich's markdown with our own parser and elements."""

    def __init__(self, text: str, tones: Tones) -> None:
        super().__init__("", hyperlinks=False)
        self.tones = tones
        self.parsed = list(_tame(_parser().parse(text)))


def _tame(tokens: Sequence[Token]) -> Iterator[Token]:
    """Make visible what the parser decoded by itself, and leave links alone whose words are their address."""
    plain = False
    for number, token in enumerate(tokens):
        token.content = visible(token.content)
        token.info = visible(token.info)
        for name in ("href", "src"):
            if name in token.attrs:
                token.attrs[name] = visible(str(token.attrs[name]))
        if token.type == "image":
            # An image stands where it is named, as the words that name it; nothing is fetched.
            token.type, token.content = "text", f"[{token.content or 'image'}] ({token.attrs['src']})"
        elif token.children:
            token.children = list(_tame(token.children))
        if token.type == "link_open":
            plain = tokens[number + 1].content in (token.attrs["href"], unquote(str(token.attrs["href"])))
        if token.type in ("link_open", "link_close") and plain:
            continue
        yield token


class _Heading(Heading):
    """A heading in bold at the left, its marks in front so that levels can be told apart without colour."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = self.text.copy()
        text.justify = "left"
        yield text


class _Code(CodeBlock):
    """A block of code at a small indent, without a box."""

    tones: Tones

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> _Code:
        words = token.info.split()
        block = cls(words[0] if words else "", "")
        if isinstance(markdown, _Message):
            block.tones = markdown.tones
        return block

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code, width = self.text.plain, options.max_width - 2
        if self.lexer_name in ("diff", "patch") or (not self.lexer_name and is_diff(code)):
            lines = diff_lines(code, width, self.tones)
        else:
            lines = code_lines(code, self.lexer_name, width, self.tones)
        for line in lines:
            yield Segment("  ")
            yield from line
            yield Segment.line()


class _Rule(HorizontalRule):
    """A thin rule."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Rule(style="markdown.hr", characters="─")


class _Quote(BlockQuote):
    """A quotation behind a bar."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        inner = options.update(width=max(8, options.max_width - 2))
        for line in console.render_lines(self.elements, inner, style=self.style, pad=False):
            yield Segment("│ ", self.style)
            yield from line
            yield Segment.line()


class _Item(ListItem):
    """An item of a list behind a bullet or its number."""

    def marked(self, mark: str, console: Console, options: ConsoleOptions) -> RenderResult:
        inner = options.update(width=max(8, options.max_width - len(mark)))
        style = console.get_style("markdown.item.bullet")
        lines = console.render_lines(self.elements, inner, style=self.style, pad=False)
        for number, line in enumerate(lines):
            yield Segment(" " * len(mark) if number else mark, style)
            yield from line
            yield Segment.line()


class _List(ListElement):
    """A list whose marks stand at the left edge."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        first = self.list_start or 0
        digits = len(str(first + len(self.items) - 1))
        for number, item in enumerate(self.items, first):
            mark = "• " if self.list_type == "bullet_list_open" else f"{number:>{digits}}. "
            if isinstance(item, _Item):
                yield from item.marked(mark, console, options)


def _rows(part: TableHeaderElement | TableBodyElement | None) -> Sequence[TableRowElement]:
    if isinstance(part, TableBodyElement):
        return part.rows
    return () if part is None or part.row is None else (part.row,)


class _Table(TableElement):
    """A table with one rule under its head."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        cells = [row.cells for part in (self.header, self.body) for row in _rows(part)]
        if cells and 4 * len(cells[0]) > options.max_width:
            for one in cells:
                yield Text(" | ").join(cell.content for cell in one)
            return
        table = Table(
            box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, border_style="markdown.table.border"
        )
        if self.header is not None and self.header.row is not None:
            for cell in self.header.row.cells:
                heading = cell.content.copy()
                heading.stylize("markdown.table.header")
                table.add_column(heading, overflow="fold")
        if self.body is not None:
            for row in self.body.rows:
                table.add_row(*(cell.content for cell in row.cells))
        yield table


_Message.elements = {
    **Markdown.elements,
    "heading_open": _Heading,
    "fence": _Code,
    "code_block": _Code,
    "hr": _Rule,
    "blockquote_open": _Quote,
    "bullet_list_open": _List,
    "ordered_list_open": _List,
    "list_item_open": _Item,
    "table_open": _Table,
}
