"""The frozen values that searches take and give. Times are milliseconds since the epoch, UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from store.models import Archived, ThreadSource
    from store.rollouts.touched import TouchAction

HitKind = Literal["prompt", "answer", "reasoning", "command", "error", "file"]
"""What was found: words of that kind, or a file that a call touched."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to search; what the query itself says of the archive counts more."""

    cwd: str | None = None
    """Only threads of this folder and the folders in it."""
    archived: Archived = "no"
    sources: tuple[ThreadSource, ...] = ()
    """Empty: any."""
    providers: tuple[str, ...] = ()
    """Empty: any."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the index does not know, as ids of threads: see `Query.needs`."""

    tagged: Mapping[str, frozenset[str]] = field(default_factory=dict)
    working: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of a text on one line, and where in it the match stands; foreign text, never markup.

    Line ends and control characters have become spaces; `…` stands where more was written.
    """

    text: str
    marks: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One item of a transcript that was found.

    `line` opens the item in the thread's rollout, as in `TranscriptItem.line`.
    """

    thread_id: str
    line: int
    kind: HitKind
    at: int | None
    display_title: str
    cwd: str | None
    archived: bool
    snippet: Snippet
    tool: str | None = None
    path: str | None = None
    """The file of a `file` hit."""
    action: TouchAction | None = None
    """What was done with that file."""


@dataclass(frozen=True, slots=True)
class ThreadHit:
    """A thread whose name, title or first prompt was found, or that the filters alone ask for."""

    thread_id: str
    display_title: str
    cwd: str | None
    archived: bool
    updated_at: int
    snippet: Snippet


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """How many more items would have been found, were the scope wider."""

    archived: int = 0
    other_projects: int = 0
    hidden: int = 0
    """Left out by the scope's sources or providers."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found, the best first; the totals are exact."""

    hits: tuple[SearchHit, ...]
    total: int
    threads: tuple[ThreadHit, ...]
    threads_total: int
    elsewhere: Elsewhere
    complete: bool
    """False while rollouts are still being read: there may be more."""


@dataclass(frozen=True, slots=True)
class ScanHit:
    """A line of a rollout in which a scan found all words."""

    thread_id: str
    path: str
    """Of the rollout, relative to the home."""
    line: int
    """Of the rollout, from 0; it belongs to an item, and need not open it."""
    kind: str
    """What the transcript makes of the line (`ItemKind`)."""
    label: str
    at: int | None
    snippet: Snippet


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How far a scan has come."""

    files: int
    total_files: int
    bytes: int
    """Decoded, so that compressed rollouts count by what they hold."""
    unreadable: tuple[str, ...] = ()
    """Rollouts that could not be read so far."""
