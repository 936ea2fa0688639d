"""Archiving, unarchiving and deleting by Codex itself, thread after thread, and looking what came of it."""

from __future__ import annotations

import asyncio
import os
import shlex
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from store import codex_connection
from store.codex_cli.models import ActionProgress, ActionResult
from store.codex_cli.planning import plan_action
from store.codex_cli.program import run
from store.errors import CodexDatabaseError, EngineFailed, UnsupportedOperation
from store.memories.app_server import app_server
from store.rollouts.scan import ARCHIVE_FOLDER, fingerprint, places

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from store.codex_cli.models import ActionPlan, ActionStep, Verb
    from store.home import CodexHome
    from store.memories.app_server import AppServer
    from store.models import Thread

__all__ = ["plan_action", "run_action"]

STEP_SECONDS: Final = 120.0
"""How long Codex may take for one thread: from 0.150 on it imports its threads before the first."""


async def run_action(
    home: CodexHome,
    plan: ActionPlan,
    report: Callable[[ActionProgress], None] = lambda _: None,
    *,
    environment: Mapping[str, str] | None = None,
) -> tuple[ActionResult, ...]:
    """Have Codex do each step of the plan, and look on disk what came of it.

    A step that fails does not stop the others. Cancelling lets the one under way come to its end, which is
    reported, and does none after it. Raises EngineFailed and UnsupportedOperation when a Codex without the
    command cannot be asked otherwise; nothing more is done then.
    """
    if plan.program is None or not plan.steps:
        return ()
    surroundings = {**(os.environ if environment is None else environment), **plan.environment}
    results: list[ActionResult] = []

    def tell(thread_id: str | None) -> None:
        report(
            ActionProgress(
                done=len(results), total=len(plan.steps), thread_id=thread_id, results=tuple(results)
            )
        )

    async with AsyncExitStack() as stack:
        server = None
        if plan.verb not in plan.program.commands:
            server = await stack.enter_async_context(
                app_server(plan.program.path, (), surroundings, home.path)
            )
        for step in plan.steps:
            tell(step.thread.id)
            doing = asyncio.ensure_future(_do(home, plan, step, server, surroundings))
            try:
                results.append(await asyncio.shield(doing))
            except asyncio.CancelledError:
                results.append(await doing)
                tell(None)
                raise
    tell(None)
    return tuple(results)


async def _do(
    home: CodexHome,
    plan: ActionPlan,
    step: ActionStep,
    server: AppServer | None,
    environment: Mapping[str, str],
) -> ActionResult:
    """One step. The files decide: what Codex said is only the reason."""
    assert plan.program is not None
    thread_id = step.thread.id
    if server is not None:
        method = f"thread/{plan.verb}"
        command = f"codex app-server, {method}"
        reason = await _asked(server, method, thread_id)
    else:
        # Without --force, deleting asks on a terminal.
        argv = (plan.program.path, plan.verb, *(("--force",) if plan.verb == "delete" else ()), thread_id)
        command = shlex.join(("codex", *argv[1:]))
        reason = await _ran(argv, environment, home)
    at_fault = await asyncio.to_thread(_what_is_left, home, plan.verb, step.thread)
    if at_fault:
        why = f"{reason or 'Codex reported no failure'}; {at_fault}"
        return ActionResult(thread_id=thread_id, outcome="failed", reason=why, command=command)
    left = await asyncio.to_thread(_odds, home, plan.verb, step)
    return ActionResult(thread_id=thread_id, outcome="done", reason="; ".join(left), command=command)


async def _asked(server: AppServer, method: str, thread_id: str) -> str:
    try:
        await server.call(method, {"threadId": thread_id}, seconds=STEP_SECONDS)
    except (EngineFailed, UnsupportedOperation) as error:
        return error.why or error.what
    return ""


async def _ran(argv: tuple[str, ...], environment: Mapping[str, str], home: CodexHome) -> str:
    try:
        ran = await run(argv, environment, home.path, STEP_SECONDS)
    except EngineFailed as error:
        return error.why or error.what
    return (ran.reason or f"it ended with code {ran.code}") if ran.code else ""


def _what_is_left(home: CodexHome, verb: Verb, thread: Thread) -> str:
    """What of the thread is not where it should be by now; "" when all of it is."""
    known = (thread.rollout_path, *places(thread.rollout_path))
    files = [path for path in known if fingerprint(home.path, path) is not None]
    if verb == "delete":
        return f"{files[0]} is still there" if files else ""
    if not files:
        return "its rollout is no longer to be found"
    misplaced = [path for path in files if path.startswith(f"{ARCHIVE_FOLDER}/") != (verb == "archive")]
    return f"{misplaced[0]} is still there" if misplaced else ""


def _odds(home: CodexHome, verb: Verb, step: ActionStep) -> list[str]:
    """What did not follow although the thread itself did: its sub-agents, and Codex's rows."""
    left = [
        f"its sub-agent {child.agent_nickname or child.id} was left: {why}"
        for child in step.with_it
        if (why := _what_is_left(home, verb, child))
    ]
    row = _row(home, step.thread.id)
    if row is not None and (verb == "delete" or row[0] != (verb == "archive")):
        left.append("Codex's database does not say so yet")
    return left


def _row(home: CodexHome, thread_id: str) -> tuple[bool] | None:
    """Whether Codex's row says archived; None without a row, or where that cannot be read."""
    try:
        path = codex_connection.find_databases(home.sqlite_path).state
        if path is None:
            return None
        rows = codex_connection.read(
            path,
            lambda c: c.execute("SELECT archived FROM threads WHERE id = ?", (thread_id,)).fetchall(),
        )
    except CodexDatabaseError:
        return None
    return (bool(rows[0][0]),) if rows else None
