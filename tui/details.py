"""Everything known of one thread, gathered for the details."""

from __future__ import annotations

from typing import TYPE_CHECKING

from widgets.thread_details import Details

if TYPE_CHECKING:
    from store.models import Thread
    from tui.services import Services


async def read_details(services: Services, thread: Thread, now: int) -> Details:
    """Return the details of a thread: its dynamic tools, its sandbox in words and its memory included."""
    # Every form of policy is a model of its own: not worth the time before the first frame.
    from store.sandbox import describe, parse_policy, short_label

    policy = None if thread.sandbox_policy is None else parse_policy(thread.sandbox_policy)
    return Details(
        thread=thread,
        now=now,
        tools=await services.threads.get_dynamic_tools(thread.id),
        sandbox_lines=(short_label(policy), *describe(policy)) if policy is not None else (),
        user_home=services.user_home,
        memory=await services.memories.thread_memory(thread.id),
        recent_memories=() if thread.cwd is None else await services.memories.project_memories(thread.cwd),
    )
