"""What the commands print for people: plain text in columns, nothing in it that a terminal would obey."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from widgets.formatting import (
    AGE_WIDTH,
    age,
    count,
    cut,
    duration,
    fit,
    last_part,
    moment,
    shorten_path,
    size,
    visible,
    visible_line,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from store.models import (
        BackfillFailure,
        BackfillProgress,
        DynamicTool,
        Notice,
        Thread,
        ThreadsPage,
        TranscriptItem,
    )

ID_WIDTH = 13
"""As much of an id as tells threads of one second apart."""

_PROJECT_WIDTH = 16


def terminal_width() -> int:
    """Columns of the terminal, or of the page it is piped to."""
    return max(60, shutil.get_terminal_size((120, 24)).columns)


def thread_lines(page: ThreadsPage, now_ms: int, width: int) -> Iterator[str]:
    """The listing, a thread a line, and below it what was left out and how to see it."""
    title_width = max(20, width - ID_WIDTH - AGE_WIDTH - _PROJECT_WIDTH - 6 - 2 * 5)
    for thread in page.items:
        mark = "a" if thread.archived else "!" if thread.bad_lines else " "
        yield "  ".join(
            (
                thread.id[:ID_WIDTH],
                mark,
                fit(age(thread.updated_at, now_ms), AGE_WIDTH, right=True),
                fit(visible_line(thread.display_title), title_width),
                fit(last_part(thread.cwd), _PROJECT_WIDTH),
                fit(count(thread.tokens_used), 4, right=True),
            )
        ).rstrip()
    if page.items:
        yield ""
    yield page_summary(page)


def page_summary(page: ThreadsPage) -> str:
    """How many are shown of how many, from where, and what the defaults left out."""
    shown = len(page.items)
    of = f" of {whole(page.total)}" if page.total is not None and page.total != shown else ""
    parts = [f"{whole(shown)}{of} thread{'' if shown == 1 and not of else 's'}"]
    if page.source == "files":
        parts.append("read from the files")
    if archived := page.hidden.get("archived"):
        parts.append(f"{whole(archived)} archived left out (--archived any shows them)")
    if page.next_cursor is not None:
        parts.append(f"more with --cursor {page.next_cursor}")
    return " · ".join(parts)


def show_lines(thread: Thread, items: Iterable[TranscriptItem], width: int) -> Iterator[str]:
    """A thread to read: what it is, then its messages in full and all else as a line."""
    yield visible_line(thread.display_title)
    for label, value in thread_facts(thread):
        yield f"  {label:<10}{visible_line(value)}"
    yield ""
    for item in items:
        yield from _item_lines(item, width)


def thread_facts(thread: Thread) -> Iterator[tuple[str, str]]:
    """Label and value of what is known of a thread."""
    yield "id", thread.id
    yield "file", f"{thread.rollout_path} · {size(thread.size_bytes)}"
    if thread.cwd:
        yield "folder", shorten_path(thread.cwd, 200, Path.home())
    branch = thread.git.branch
    if branch:
        yield "branch", branch
    model = " ".join(part for part in (thread.model, thread.reasoning_effort, thread.model_provider) if part)
    if model:
        yield "model", model
    yield (
        "source",
        " · ".join(part for part in (thread.source, thread.originator, thread.cli_version) if part),
    )
    if thread.updated_at is not None:
        yield "updated", f"{moment(thread.updated_at):%Y-%m-%d %H:%M}"
    counts = [
        f"{whole(n)} {name}{'s' * (n != 1)}"
        for n, name in ((thread.turns, "turn"), (thread.messages, "message"))
        if n
    ]
    if thread.tokens_used:
        counts.append(f"{count(thread.tokens_used)} tokens")
    if counts:
        yield "size", " · ".join(counts)


def _item_lines(item: TranscriptItem, width: int) -> Iterator[str]:
    at = "" if item.at is None else f" {moment(item.at):%H:%M}"
    mark = " · rolled back" if item.rolled_back else ""
    if item.kind == "message":
        who = "you" if item.role == "user" else "codex" if item.role == "assistant" else (item.role or "?")
        phase = f" · {item.phase.replace('_', ' ')}" if item.phase else ""
        yield f"{visible_line(who + phase)}{at}{mark}"
        for line in visible(item.text or "").split("\n"):
            yield f"  {line}" if line else ""
        yield ""
    elif item.kind == "tool":
        state = "✗" if item.failed else "+"
        code = "" if item.exit_code is None else f" · exit {item.exit_code}"
        lines = 0 if not item.output else item.output.count("\n") + (not item.output.endswith("\n"))
        rest = f"{code} · {whole(lines)} line{'s' * (lines != 1)}{mark}"
        what = visible_line(f"{item.tool or 'tool'} {item.text or item.arguments or ''}")
        yield cut(f"  {state} {what}", max(20, width - len(rest))) + rest
    elif item.kind == "compaction":
        yield f"  — compacted{at}{mark}"
    elif item.failed:
        yield cut(f"  ✗ {visible_line(item.text or item.label)}{at}{mark}", width)
    elif item.kind == "unknown":
        yield cut(f"  ? {visible_line(item.label)}: {visible_line(item.text or '')}", width)


def tool_lines(tools: Iterable[DynamicTool]) -> Iterator[str]:
    """The dynamic tools of a thread."""
    for tool in tools:
        name = tool.name if tool.namespace is None else f"{tool.namespace}.{tool.name}"
        yield f"{visible_line(name)}: {visible_line(tool.description or '')}"


def backfill_line(progress: BackfillProgress, now_ms: int, *, abandoned: bool = False) -> str:
    """Where the backfill stands, in one line; `abandoned` when whoever ran it is dead."""
    done = f"{whole(progress.done)} of {whole(progress.total)}"
    failed = f" · {whole(progress.failed)} could not be read" if progress.failed else ""
    if progress.status == "complete":
        when = f" · checked {duration(max(0, now_ms - (progress.updated_at or now_ms)))} ago"
        return f"complete · {done}{failed}{when}"
    if progress.status == "pending" and progress.step is None:
        return "not begun"
    step = "step 1 of 2, heads" if progress.step == "heads" else "step 2 of 2, full"
    if progress.status == "pending":
        return f"waiting · {step} · {done}{failed}"
    if abandoned:
        return f"interrupted · {step} · {done}{failed} · the next start goes on from here"
    owner = progress.owner
    by = f" · by pid {owner.pid} on {visible_line(owner.host)}" if owner is not None else ""
    left = f" · {duration(progress.seconds_left * 1000)} left" if progress.seconds_left else ""
    return f"running · {step} · {done}{failed}{left}{by}"


def failure_line(failure: BackfillFailure) -> str:
    """A rollout that could not be read."""
    return f"  ! {visible_line(failure.path)}: {visible_line(failure.reason)}"


def notice_line(notice: Notice) -> str:
    """A notice as one line for stderr."""
    what = f"{notice.what}: {notice.why}" if notice.why else notice.what
    return visible_line(f"{what.rstrip('.')}. {notice.next_step}".strip())
