"""Threads of a few lines for the tests of exports, and a strict look at a web page."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from conversation_lines import OWN

from store.export.exporting import Document
from store.export.models import ExportSource, Selection
from store.models import Thread

if TYPE_CHECKING:
    from pathlib import Path

    from store.export.models import ExportReport

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
_VOID = {"meta", "hr", "br"}
_KNOWN = {
    *("html", "head", "title", "style", "body", "header", "main", "footer", "article", "details", "summary"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "dl", "dt", "dd", "p", "div", "span", "b", "a", "pre", "code"),
    *("ul", "ol", "li", "blockquote", "table", "thead", "tbody", "tr", "th", "td", "em", "strong", "s"),
}
_ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "id", "dir", "start", "href", "title"),
}


def source_of(folder: Path, data: bytes, **fields: Any) -> ExportSource:
    """A home of one thread whose rollout is `data`."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    (home / "rollout.jsonl").write_bytes(data)
    given = {"key": 1, "id": OWN, "rollout_path": "rollout.jsonl", "title": "Fix the test", **fields}
    return ExportSource(home=home, thread=Thread.model_validate(given))


def text_of(source: ExportSource, **selection: Any) -> tuple[str, ExportReport]:
    """The document, and what is said of it."""
    document = Document(source, Selection(**selection), None)
    text = "".join(document)
    return text, document.report(size=len(text.encode()))


class Page(HTMLParser):
    """A page of ours: each element closed in its turn, known, and leading nowhere."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        text.encode()
        assert not [c for c in text if ord(c) < 32 and c not in "\n\t"]
        self.feed(text)
        self.close()
        assert self.open == []

    @property
    def text(self) -> str:
        """All that a reader sees."""
        return "".join(text for element, text in self.texts if element != "style")

    def of(self, element: str) -> list[str]:
        """The texts directly in elements of this name."""
        return [text for name, text in self.texts if name == element]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _KNOWN | _VOID
        given = dict(attrs)
        assert given.keys() <= _ATTRIBUTES, given
        assert (given.get("href") or "#").startswith("#")
        self.elements.append((tag, given))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        raise AssertionError(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        assert decl == "DOCTYPE html"

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)
