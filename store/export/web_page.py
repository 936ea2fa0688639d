"""A thread as one HTML file that needs nothing else: no script, no font, no picture, no address followed."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from store.export.rich_text import code, rich_text, typed
from store.export.words import event_text, facts, folded_heading, heading, one_line, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from store.models import Thread, TranscriptItem


def to_html(
    thread: Thread, items: Iterable[TranscriptItem], *, prompts: range, note: Callable[[], str]
) -> Iterator[str]:
    """The page in pieces: one for the head, one for each item that is shown, one for the end.

    The texts have to be legible (`store.export.words`). `prompts` are the numbers of the prompts among the
    items; `note` is asked last what is to be said below.
    """
    yield _head(thread)
    numbers = iter(prompts)
    for item in items:
        number = next(numbers, None) if _is_prompt(item) else None
        if shown(item):
            yield _body(item, number, prompts)
    said = note()
    footer = f"<footer>{escape(said)}</footer>\n" if said else ""
    yield f"</main>\n{footer}</body>\n</html>\n"


@lru_cache(maxsize=1)
def _style() -> tuple[str, str]:
    """The style sheet, and what tells a browser that it is ours."""
    text = resources.files("store.export").joinpath("page.css").read_text(encoding="utf-8")
    return text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _head(thread: Thread) -> str:
    style, digest = _style()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = escape(one_line(thread.display_title))
    rows = "".join(
        f'<dt>{name}</dt><dd dir="auto">{escape(one_line(value))}</dd>\n' for name, value in facts(thread)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="generator" content="Rollodex">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<header>\n<h1 dir="auto">{title}</h1>\n<dl>\n{rows}</dl>\n</header>\n<main>\n'
    )


def _is_prompt(item: TranscriptItem) -> bool:
    return item.kind == "message" and item.role == "user"


def _body(item: TranscriptItem, number: int | None, prompts: range) -> str:
    text = item.text or ""
    if item.kind == "message":
        place = f' id="prompt-{number}"' if number is not None else ""
        words = typed(text) if item.role == "user" else rich_text(text)
        kind = "you" if item.role == "user" else "codex"
        return (
            f'<article class="{_classes(item, kind)}"{place}>\n'
            f"<h2>{_heading(item)}{_links(number, prompts)}</h2>\n{words}\n</article>\n"
        )
    if item.kind == "event":
        kind, words = event_text(item)
        return f'<p class="{_classes(item, kind.lower())}"><b>{kind}:</b> {escape(words)}</p>\n'
    said = item.kind in ("reasoning", "compaction")
    body = rich_text(text) if said else _tool_body(item) if item.kind == "tool" else code(text)
    return (
        f'<details class="{_classes(item, item.kind)}">'
        f"<summary>{escape(folded_heading(item))}</summary>\n{body}\n</details>\n"
    )


def _classes(item: TranscriptItem, kind: str) -> str:
    marks = ("failed" if item.failed else "", "undone" if item.rolled_back else "")
    return " ".join(filter(None, (kind, *marks)))


def _heading(item: TranscriptItem) -> str:
    who, _, rest = one_line(heading(item)).partition(" · ")
    return f"<b>{escape(who)}</b>" + (f" · {escape(rest)}" if rest else "")


def _links(number: int | None, prompts: range) -> str:
    """To the prompts before and behind."""
    if number is None:
        return ""
    signs = ((number - 1, "‹", "The prompt before"), (number + 1, "›", "The next prompt"))
    links = (
        f'<a href="#prompt-{to}" title="{words}">{sign}</a>' for to, sign, words in signs if to in prompts
    )
    return f" · {number} {' '.join(links)}"


def _tool_body(item: TranscriptItem) -> str:
    called = item.text or item.arguments
    return (code(called) + "\n" if called else "") + (
        code(item.output) if item.output else '<p class="note">No output.</p>'
    )
