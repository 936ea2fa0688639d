"""Everything known of one thread, gathered for the details."""

from __future__ import annotations

from typing import TYPE_CHECKING

from widgets.thread_details import Details

if TYPE_CHECKING:
    from pathlib import Path

    from store.models import Thread
    from tui.services import Threads


async def read_details(threads: Threads, thread: Thread, now: int, user_home: Path) -> Details:
    """Return the details of a thread, its dynamic tools and its sandbox in words included."""
    # Every form of policy is a model of its own: not worth the time before the first frame.
    from store.sandbox import describe, parse_policy, short_label

    policy = None if thread.sandbox_policy is None else parse_policy(thread.sandbox_policy)
    return Details(
        thread=thread,
        now=now,
        tools=await threads.get_dynamic_tools(thread.id),
        sandbox_lines=(short_label(policy), *describe(policy)) if policy is not None else (),
        user_home=user_home,
    )
