"""`rollodex resume`: says what is in the way of going on with a thread, and hands the terminal to Codex."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

from store.codex_cli.resuming import plan_resume
from store.errors import ActionRefused
from store.opening import bring_up_to_date
from tui import json_output
from tui.subcommands import print_notices, tell, written_out
from widgets.formatting import visible_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.codex_cli.models import GoOn, ResumePlan, Settings
    from tui.options import Options


_INSTEAD: Final = {
    "watch": "watch it in `rollodex`",
    "fork": "fork it with --fork",
    "unarchive": "unarchive it in `rollodex`",
}


def make_plan(options: Options, wanted: str, *, verb: GoOn, folder: Path | None) -> ResumePlan:
    """The plan for one thread, with everything of ours closed again. Raises StoreError."""

    async def plan() -> ResumePlan:
        async with options.open_store() as store:
            tell(store, await bring_up_to_date(store))
            thread = await store.threads.get_thread(wanted)
            cwd = None if folder is None else written_out(folder)
            return await plan_resume(store, thread, verb=verb, cwd=cwd)

    return asyncio.run(plan())


def plan_object(plan: ResumePlan) -> dict[str, Any]:
    """A plan as `--json` prints it."""
    return {
        "schema_version": json_output.SCHEMA_VERSION,
        "thread_id": plan.thread.id,
        "display_title": plan.thread.display_title,
        **plan.model_dump(mode="json", exclude={"thread", "program"}),
        "codex": None if plan.program is None else plan.program.model_dump(include={"path", "version"}),
        "command": plan.command,
    }


def command_line(plan: ResumePlan) -> str:
    """The command as a shell takes it, with the notices on stderr.

    On a terminal everything in it is made visible.
    """
    print_notices(plan.notices)
    return visible_line(plan.command) if sys.stdout.isatty() else plan.command


def say_before(plan: ResumePlan) -> None:
    """Say on stderr how it will go on, and what the person should know."""
    print_notices(plan.notices)
    for line in _lines(plan):
        sys.stderr.write(f"{visible_line(line)}\n")


def _lines(plan: ResumePlan) -> Iterator[str]:
    yield plan.thread.display_title
    branch = plan.branch_now or ""
    if plan.branch_then and plan.branch_then != plan.branch_now:
        branch = f"{branch or 'no repository'} (then {plan.branch_then})"
    yield " · ".join(part for part in (plan.cwd, branch) if part)
    if plan.next is not None:
        yield " · ".join(_changes(plan.last, plan.next))


def _changes(last: Settings, following: Settings) -> Iterator[str]:
    """What it goes on with, and what that was where it differs."""
    for name in ("model", "sandbox", "approval"):
        then, now = getattr(last, name), getattr(following, name)
        if then or now:
            yield f"{name} {now or 'as Codex chooses'}" + (f" (then {then})" if then and then != now else "")


def hand_over(plan: ResumePlan, *, anyway: bool) -> NoReturn:
    """Become Codex, in the thread's folder; where a process cannot become another, wait for it and end as it.

    Raises ActionRefused when something would keep it from working, and there is no `anyway`, or when there is
    no terminal.
    """
    say_before(plan)
    possible = plan.program is not None and plan.cwd_there
    if plan.hindrances and not (anyway and possible):
        ways = [_INSTEAD[each] for each in plan.alternatives]
        if possible:
            ways.append("try it all the same with --anyway")
        ways = ways or ["put that right first"]
        raise ActionRefused(
            f"The thread is not {'forked' if plan.verb == 'fork' else 'resumed'}",
            why="of what is said above",
            next_step=f"You can {', or '.join(ways)}",
        )
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ActionRefused(
            "There is no terminal to hand over",
            why="the standard input or output is a pipe or a file",
            next_step="--print prints the command",
        )
    assert plan.cwd is not None
    environment = {**os.environ, **plan.environment}
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.chdir(plan.cwd)
        if os.name != "posix":
            sys.exit(subprocess.run(plan.argv, env=environment, check=False).returncode)
        # Python ignores it, and what is ignored stays so in the program that takes our place.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execve(plan.argv[0], plan.argv, environment)
    except OSError as error:
        raise ActionRefused("Codex cannot be started", why=error.strerror or str(error)) from error
