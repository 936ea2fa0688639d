"""What a search found, for people and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tui.json_output import rfc3339
from tui.text_output import ID_WIDTH
from widgets.formatting import AGE_WIDTH, age, cut, fit, last_part, visible, visible_line, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from store.file_touches import FileTouch, FileTouches
    from store.models import Thread
    from store.search.models import ScanHit, SearchHit, SearchResult, Snippet, ThreadHit

_PROJECT_WIDTH = 16
_KIND_WIDTH = 9


def search_object(query: str, found: SearchResult) -> dict[str, Any]:
    """The hits, best first, with the threads whose title or first prompt match."""
    return {
        "schema_version": 1,
        "query": query,
        "total": found.total,
        "hits": [_hit_object(hit) for hit in found.hits],
        "threads_total": found.threads_total,
        "threads": [_thread_object(hit) for hit in found.threads],
        "complete": found.complete,
    }


def _hit_object(hit: SearchHit) -> dict[str, Any]:
    return {
        "thread_id": hit.thread_id,
        "line": hit.line,
        "kind": hit.kind,
        "at": rfc3339(hit.at),
        "display_title": hit.display_title,
        "cwd": hit.cwd,
        "archived": hit.archived,
        "snippet": hit.snippet.text,
        "marks": [list(mark) for mark in hit.snippet.marks],
        "tool": hit.tool,
        "path": hit.path,
        "action": hit.action,
    }


def _thread_object(hit: ThreadHit) -> dict[str, Any]:
    return {
        "thread_id": hit.thread_id,
        "display_title": hit.display_title,
        "cwd": hit.cwd,
        "archived": hit.archived,
        "updated_at": rfc3339(hit.updated_at),
    }


def search_lines(found: SearchResult, now_ms: int, width: int) -> Iterator[str]:
    """Threads by their titles, then what was said, each with the match between « and »."""
    for thread in found.threads:
        yield _row(thread.thread_id, thread.updated_at, thread.display_title, thread.cwd, now_ms, width)
    if found.threads_total > len(found.threads):
        yield f"… and {whole(found.threads_total - len(found.threads))} more threads"
    if found.threads and found.hits:
        yield ""
    if found.hits:
        yield f"in messages · {whole(found.total)}"
    for hit in found.hits:
        yield _row(hit.thread_id, hit.at, hit.display_title, hit.cwd, now_ms, width)
        yield _said(hit.kind, hit.snippet, hit.line, width)
    if found.total > len(found.hits):
        yield f"… and {whole(found.total - len(found.hits))} more; --limit shows more"
    if not found.threads and not found.hits:
        yield f"Nothing matches.{_elsewhere(found)}"
    elif found.elsewhere.archived:
        yield _elsewhere(found).strip()


@dataclass
class Scanned:
    """What a look through the rollouts has found."""

    hits: list[tuple[ScanHit, Thread]] = field(default_factory=list)
    """The first of them."""
    total: int = 0
    unreadable: Sequence[str] = ()
    """Paths of rollouts."""


def scan_object(query: str, found: Scanned) -> dict[str, Any]:
    """What a scan of the rollouts found; `line` belongs to the item, and need not open it."""
    return {
        "schema_version": 1,
        "query": query,
        "total": found.total,
        "hits": [
            {
                "thread_id": hit.thread_id,
                "line": hit.line,
                "kind": hit.kind,
                "at": rfc3339(hit.at),
                "display_title": thread.display_title,
                "cwd": thread.cwd,
                "archived": thread.archived,
                "snippet": hit.snippet.text,
                "marks": [list(mark) for mark in hit.snippet.marks],
            }
            for hit, thread in found.hits
        ],
    }


def scan_lines(found: Scanned, now_ms: int, width: int) -> Iterator[str]:
    """The hits of a scan, thread by thread."""
    for number, (hit, thread) in enumerate(found.hits):
        if not number or found.hits[number - 1][1].id != thread.id:
            yield _row(thread.id, thread.updated_at, thread.display_title, thread.cwd, now_ms, width)
        yield _said(hit.kind, hit.snippet, hit.line, width)
    if found.total > len(found.hits):
        yield f"… and {whole(found.total - len(found.hits))} more; --limit shows more"
    if not found.total:
        yield "Nothing matches, in no rollout."


def _said(kind: str, snippet: Snippet, line: int, width: int) -> str:
    said = f"{fit(kind, _KIND_WIDTH)} {_marked(snippet)}"
    return f"{' ' * (ID_WIDTH + 2)}{cut(said, width - ID_WIDTH - 16)}  · line {line}"


def _elsewhere(found: SearchResult) -> str:
    archived = found.elsewhere.archived
    return f" {whole(archived)} more in archived threads (is:archived)" if archived else ""


def _row(thread_id: str, at: int | None, title: str, cwd: str | None, now_ms: int, width: int) -> str:
    title_width = max(20, width - ID_WIDTH - AGE_WIDTH - _PROJECT_WIDTH - 2 * 3)
    parts = (
        visible_line(thread_id)[:ID_WIDTH],
        fit(age(at, now_ms), AGE_WIDTH, right=True),
        fit(visible_line(title), title_width),
        fit(last_part(cwd), _PROJECT_WIDTH),
    )
    return "  ".join(parts).rstrip()


def _marked(snippet: Snippet) -> str:
    pieces, place = [], 0
    for start, end in snippet.marks:
        pieces += [visible(snippet.text[place:start]), f"«{visible(snippet.text[start:end])}»"]
        place = end
    return "".join([*pieces, visible(snippet.text[place:])])


def touches_object(path: str, found: FileTouches) -> dict[str, Any]:
    """The turns that touched the path, newest first."""
    return {
        "schema_version": 1,
        "path": path,
        "total": found.total,
        "touches": [_touch_object(touch) for touch in found.touches],
    }


def _touch_object(touch: FileTouch) -> dict[str, Any]:
    return {
        "thread_id": touch.thread_id,
        "turn": touch.turn,
        "line": touch.line,
        "path": touch.path,
        "action": touch.action,
        "at": rfc3339(touch.at),
        "display_title": touch.display_title,
        "cwd": touch.cwd,
        "archived": touch.archived,
    }


def touch_lines(path: str, found: FileTouches, now_ms: int, width: int) -> Iterator[str]:
    """A turn a line pair: the thread, then what was done with which file."""
    for touch in found.touches:
        yield _row(touch.thread_id, touch.at, touch.display_title, touch.cwd, now_ms, width)
        what = f"{fit(touch.action, _KIND_WIDTH)} {visible_line(touch.path)}"
        where = f"turn {touch.turn + 1}, line {touch.line}"
        yield f"{' ' * (ID_WIDTH + 2)}{cut(what, width - ID_WIDTH - 2)}  · {where}"
    more = found.total - len(found.touches)
    if more:
        yield f"… and {whole(more)} more; --limit shows more"
    if not found.touches:
        yield f"No thread touched {visible_line(path)}"
