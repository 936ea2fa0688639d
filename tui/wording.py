"""What the browser's frames and empty panes say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from widgets.formatting import whole
from widgets.memory_words import pipeline_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.memories.models import Pipeline
    from store.models import BackfillProgress, LogLevel, Notice, WatchStatus
    from tui.listing import Listed, View
    from tui.log_filter import LogFilter
    from widgets.glyphs import Glyphs
    from widgets.log_buffer import ThreadError


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


def memory(pipelines: Sequence[Pipeline], glyphs: Glyphs) -> str:
    """Return the glyph of what is worst in the memory pipelines; nothing while there is nothing in them."""
    used = [each for each in pipelines if each.jobs or each.outputs or each.notice]
    return str(getattr(glyphs, pipeline_line(used, 0).mark)) if used else ""


def which_rows(chosen: LogFilter) -> list[str]:
    """Return which rows of the log are meant, in a few words each; nothing for what is usual."""
    words = chosen.words.strip()
    level = [] if chosen.min_level == "INFO" else [_level(chosen.min_level)]
    return [*level, *([f"“{words}”"] if words else []), *(["this thread"] if chosen.thread_id else [])]


def _level(level: LogLevel) -> str:
    return "all levels" if level == "TRACE" else f"from {level}"


def why_no_rows(
    chosen: LogFilter,
    notices: Sequence[Notice],
    errors: Sequence[ThreadError] | None,
    *,
    began: bool,
    glyphs: Glyphs,
) -> tuple[str, ...]:
    """Return what stands where there are no rows; `errors` are the transcript's, once they are known."""
    if not began:
        return (f"Reading the log{glyphs.ellipsis}",)
    trouble = sorted(notices, key=lambda notice: notice.severity == "information")
    if trouble and (trouble[0].severity != "information" or not chosen.thread_id):
        notice = trouble[0]
        return tuple(f"{text.rstrip('.')}." for text in (notice.what, notice.why, notice.next_step) if text)
    level = "" if chosen.min_level == "TRACE" else f" {_level(chosen.min_level)} on"
    thread, words = chosen.thread if chosen.thread_id else None, chosen.words.strip()
    if thread is not None:
        why = f"No log rows for this thread{level}."
        if words:
            why = f"No row of this thread{level} matches “{words}”."
        elif thread.source == "exec":
            why = "No log rows for this thread: it ran with codex exec, which writes none."
        if errors:
            are = "error is" if len(errors) == 1 else "errors are"
            why += f" {whole(len(errors))} {are} in its transcript ( e )."
        return (why, "esc clears the words." if words else "t shows the rows of all threads.")
    if words:
        return (f"Nothing in the log{level} matches “{words}”.", "esc clears the words, L shows more levels.")
    return (f"No rows in the log{level}.", "They show as soon as they are written.")


def order(view: View) -> str:
    """Return how the list is sorted."""
    return f"by {view.sort}" if view.descending else f"by {view.sort}, oldest first"


def why_empty(listed: Listed, home: str, project: str | None) -> tuple[str, ...]:
    """Return why the list is empty and how to widen it, title first; paths come shortened."""
    view = listed.view
    words = view.words.strip()
    others, archived = listed.elsewhere.in_other_projects, listed.elsewhere.archived
    where = project or home
    if view.working:
        matching = f" that matches “{words}”" if words else ""
        return f"Codex is at work on nothing in {where}{matching}.", "w shows all threads again."
    if not words and not others and not archived and view.archived != "yes":
        return f"No threads in {where} yet.", "Start one with codex in any folder,", "and it is listed here."
    if words:
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
    inside = listed.found.result.elsewhere if listed.found is not None else None
    if inside is not None:
        said = [
            (inside.other_projects, "in other projects ( . )"),
            (inside.archived, "in archived threads ( A )"),
        ]
        more = [f"{whole(number)} {place}" for number, place in said if number]
        lines += [f"In messages: {', '.join(more)}."] if more else []
    if words:
        lines.append("esc clears the filter.")
    return (what, *lines)
