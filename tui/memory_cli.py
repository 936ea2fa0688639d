"""`rollodex memories`: its subcommands and their options."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tui.emitting import emit
from tui.where import FOLDER, where_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from tui.memory_commands import Answer
    from tui.options import Options

Command = TypeVar("Command", bound="Callable[..., Any]")

_RUN = click.IntRange(1, 2**63 - 1)  # what SQLite can number

_root = click.option(
    "--memory-root", type=FOLDER, help="The folder of the artifacts  [default: memories in the home]"
)
_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")
_yes = click.option("--yes", is_flag=True, help="Do not ask before tokens are spent.")


def _engine(command: Command) -> Command:
    """Which engine, and what it may."""
    result: Any = command
    for option in (
        click.option(
            "--engine-read",
            "engine_read",
            multiple=True,
            type=FOLDER,
            metavar="DIR",
            help="Let a program read only this, itself and what the platform needs; repeatable.",
        ),
        click.option(
            "--engine-network/--no-engine-network",
            default=None,
            help="Whether a program may use the network.  [default: no]",
        ),
        click.option(
            "--engine",
            metavar="NAME",
            help="extractive (no model), codex, or command:PROGRAM  [default: extractive]",
        ),
    ):
        result = option(result)
    return result  # type: ignore[no-any-return]  # click's decorators give back what they are given


@click.group()
def memories() -> None:
    """See the memory pipeline, run it by hand, and undo what it did."""


@memories.command()
@_root
@_json
@where_options
def status(options: Options, **values: Any) -> None:
    """Say where extraction and consolidation stand: ours, and Codex's own."""
    from tui.memory_commands import pipeline_status

    _answer(pipeline_status(options, values))


@memories.command()
@click.argument("thread_ids", nargs=-1, metavar="[ID]...")
@_engine
@click.option("--min-idle-hours", type=click.IntRange(min=0), help="How long a thread must rest.  [12]")
@click.option("--max-age-days", type=click.IntRange(min=0), help="How old it may be.  [30]")
@_root
@_yes
@_json
@where_options
def extract(options: Options, **values: Any) -> None:
    """Make a memory of each thread that waits (phase 1), or of the threads named."""
    from tui.memory_commands import run_extraction

    _answer(run_extraction(options, values))


@memories.command()
@click.option("--force", is_flag=True, help="Also when nothing is new, and past a back-off.")
@_engine
@_root
@_yes
@_json
@where_options
def consolidate(options: Options, **values: Any) -> None:
    """Consolidate all memories in MEMORY.md and memory_summary.md (phase 2)."""
    from tui.memory_commands import run_consolidation

    _answer(run_consolidation(options, values))


@memories.command()
@_root
@_json
@where_options
def rebuild(options: Options, **values: Any) -> None:
    """Write raw_memories.md and rollout_summaries/ anew from the database."""
    from tui.memory_commands import run_rebuild

    _answer(run_rebuild(options, values))


@memories.command()
@click.argument("thread_id", metavar="ID")
@_json
@where_options
def show(options: Options, **values: Any) -> None:
    """Print what was made of one thread."""
    from tui.memory_commands import show_memory

    _answer(show_memory(options, values))


@memories.command()
@click.option("--cwd", type=FOLDER, default=Path(), help="The project's folder.  [default: this one]")
@click.option("-n", "number", type=click.IntRange(1, 10_000), default=5, show_default=True, help="How many.")
@_json
@where_options
def recent(options: Options, **values: Any) -> None:
    """Print the newest memories of one project."""
    from tui.memory_commands import recent_memories

    _answer(recent_memories(options, values))


@memories.command()
@_root
@_json
@where_options
def history(options: Options, **values: Any) -> None:
    """List the last runs that changed the folder."""
    from tui.memory_commands import list_history

    _answer(list_history(options, values))


@memories.command()
@click.argument("run", type=_RUN, metavar="RUN")
@_root
@_json
@where_options
def diff(options: Options, **values: Any) -> None:
    """Print what one run changed."""
    from tui.memory_commands import show_changes

    _answer(show_changes(options, values))


@memories.command()
@click.argument("run", type=_RUN, metavar="RUN")
@_root
@click.option("--yes", is_flag=True, help="Also where files were changed since.")
@_json
@where_options
def restore(options: Options, **values: Any) -> None:
    """Undo one run: put back what it replaced."""
    from tui.memory_commands import run_restore

    _answer(run_restore(options, values))


def _answer(work: Any) -> None:
    import asyncio

    answer: Answer = asyncio.run(work)
    emit(answer.pieces)
    sys.exit(answer.exit_code)
