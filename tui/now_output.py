"""`rollodex now`: what Codex is doing at this moment, for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store.activity import LATELY_MS, look
from store.errors import StoreError
from store.filesystems import on_network
from store.opening import bring_up_to_date
from store.polling import live_rollouts
from store.refreshing import Touched, refresh
from tui import json_output
from tui.subcommands import tell
from tui.text_output import terminal_width
from widgets.formatting import AGE_WIDTH, age, fit, last_part, visible_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from store.models import Activity, Thread
    from store.opening import Store
    from tui.options import Options

_ORDER = ("working", "silent", "open", "died")
_STATE_WIDTH = 7
_PID_WIDTH = 12
_PROJECT_WIDTH = 16


async def now(options: Options, *, as_json: bool) -> list[str]:
    """The threads that something is done with, those that work first; rows are brought up to date before."""
    async with options.open_store() as store:
        found = await _look(store)
        if as_json:
            return [json_output.dumps(now_object(found)), "\n"]
        return [line + "\n" for line in now_lines(found, store.clock.now_ms(), terminal_width())]


async def _look(store: Store) -> list[tuple[Activity, Thread]]:
    state, files = store.state, store.files
    if state is None or files is None:
        raise StoreError(
            "What Codex is doing cannot be told",
            why="Rollodex has no database of its own here",
            next_step=store.notices[0].next_step if store.notices else "",
        )
    tell(store, await bring_up_to_date(store))
    # A row made of head and tail alone does not know of its turn.
    latest = await state.read(live_rollouts)
    refresh(files.state, store.home, Touched(paths=latest), clock=store.clock)
    network = bool(on_network(store.home.path))
    activities = await look(store.home, state, store.clock, network=network)
    oldest = store.clock.now_ms() - LATELY_MS
    shown = [
        each
        for each in activities.values()
        if each.state in _ORDER and (each.state != "died" or (each.since or 0) >= oldest)
    ]
    shown.sort(key=lambda each: (_ORDER.index(each.state), -(each.since or 0), each.thread_id))
    return [(each, await store.threads.get_thread(each.thread_id)) for each in shown]


def now_object(found: Sequence[tuple[Activity, Thread]]) -> dict[str, Any]:
    """What each thread is at."""
    return {
        "schema_version": json_output.SCHEMA_VERSION,
        "threads": [
            {
                "thread_id": activity.thread_id,
                "activity": activity.state,
                "since": json_output.rfc3339(activity.since),
                "pid": activity.pid,
                "pending": activity.pending,
                "display_title": thread.display_title,
                "cwd": thread.cwd,
            }
            for activity, thread in found
        ],
    }


def now_lines(found: Sequence[tuple[Activity, Thread]], now_ms: int, width: int) -> Iterator[str]:
    """A thread a line, in columns; below it the call that waits."""
    if not found:
        yield "Codex is doing nothing here."
    fixed = 13 + _STATE_WIDTH + AGE_WIDTH + _PID_WIDTH + _PROJECT_WIDTH + 2 * 5
    for activity, thread in found:
        yield "  ".join(
            (
                thread.id[:13],
                fit(activity.state, _STATE_WIDTH),
                fit(age(activity.since, now_ms), AGE_WIDTH, right=True),
                fit("" if activity.pid is None else f"pid {activity.pid}", _PID_WIDTH),
                fit(visible_line(thread.display_title), max(20, width - fixed)),
                fit(last_part(thread.cwd), _PROJECT_WIDTH),
            )
        ).rstrip()
        if activity.pending is not None and activity.state != "died":
            yield f"{'':13}  waits for {visible_line(activity.pending)}"
