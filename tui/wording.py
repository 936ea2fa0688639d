"""What the browser's frames and empty panes say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from widgets.formatting import whole

if TYPE_CHECKING:
    from store.models import BackfillProgress, WatchStatus
    from tui.listing import Listed, View
    from widgets.glyphs import Glyphs


def threads(number: int) -> str:
    """Return "1 thread" or "12,408 threads"."""
    return f"{whole(number)} {'thread' if number == 1 else 'threads'}"


def standing(progress: BackfillProgress | None, glyphs: Glyphs) -> str:
    """Return where the backfill stands, in as little as a tab has room for."""
    if progress is None or progress.status == "pending":
        return ""
    if progress.status == "complete":
        return glyphs.warning if progress.failed else glyphs.fine
    return f"{100 * progress.done // max(1, progress.total)}%"


def freshness(status: WatchStatus | None, glyphs: Glyphs) -> str:
    """Return how soon the list follows the files."""
    if status is None:
        return ""
    return f"{glyphs.fine} live" if status.mode == "live" else status.mode


def order(view: View) -> str:
    """Return how the list is sorted."""
    return f"by {view.sort}" if view.descending else f"by {view.sort}, oldest first"


def why_empty(listed: Listed, home: str, project: str | None) -> tuple[str, ...]:
    """Return why the list is empty and how to widen it, title first; paths come shortened."""
    view = listed.view
    words = view.words.strip()
    others, archived = listed.elsewhere.in_other_projects, listed.elsewhere.archived
    where = project or home
    if not words and not others and not archived and view.archived != "yes":
        return f"No threads in {where} yet.", "Start one with codex in any folder,", "and it is listed here."
    if view.working:
        what = f"Codex is at work on nothing in {where} ( w )."
    elif words:
        what = f"Nothing in {where} matches “{words}”."
    elif view.archived == "yes":
        what = f"Nothing in {where} is archived."
    else:
        what = f"No threads in {where}."
    ways = []
    if others:
        found = "match" if words and others > 1 else "matches" if words else "are" if others > 1 else "is"
        ways.append(f"{whole(others)} {found} in other projects ( . )")
    if archived:
        ways.append(f"{whole(archived)} {'is' if archived == 1 else 'are'} archived ( A )")
    lines = [", ".join(ways) + "."] if ways else []
    if words:
        lines.append("esc clears the filter.")
    return (what, *lines)
