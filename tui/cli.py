"""The command line: `rollodex` opens the screens, subcommands print and never load them."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from store.errors import BadCursor, StoreError
from tui.emitting import OutputClosed, OutputFailed, drop_output, emit
from tui.export_command import export
from tui.memory_cli import memories
from tui.where import FOLDER, where_options

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from tui.options import Options

T = TypeVar("T")

LEVEL = click.Choice(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"], case_sensitive=False)
SOURCES = ("cli", "vscode", "exec", "mcp", "subagent", "unknown")


def main() -> None:
    """The console script. Errors are one line on stderr; a closed pipe and ^C end quietly."""
    try:
        rollodex(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except OutputClosed:
        drop_output()
        sys.exit(0)
    except StoreError as error:
        from widgets.formatting import visible_line

        if isinstance(error, OutputFailed):
            drop_output()
        click.echo(f"rollodex: {visible_line(str(error))}", err=True)
        sys.exit(2 if isinstance(error, BadCursor) else 1)


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="rollodex", prog_name="rollodex")
@click.option("--demo", is_flag=True, help="Open the screens on a synthetic live home.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII signs only.")
@click.option("--theme", help="Colours of the screens.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal.")
@where_options
def rollodex(options: Options, *, demo: bool, ascii_only: bool, theme: str | None, no_mouse: bool) -> None:
    """The terminal console for everything that the Codex CLI leaves on a machine.

    Without a command it opens the screens.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return
    from tui.launch import launch

    sys.exit(launch(options, demo=demo, ascii_only=ascii_only, theme=theme, mouse=not no_mouse))


@rollodex.command()
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Threads on a page.")
@click.option("--all", "everything", is_flag=True, help="All of them on one page.")
@click.option("--cursor", help="Go on behind an earlier page (its next_cursor).")
@click.option("--archived", type=click.Choice(["no", "yes", "any"]), default="no", show_default=True)
@click.option("--cwd", type=FOLDER, help="Only threads of exactly this folder.")
@click.option("--source", "sources", multiple=True, type=click.Choice(SOURCES), help="Repeatable.")
@click.option("--provider", "providers", multiple=True, help="Only this model provider; repeatable.")
@click.option("--sort", type=click.Choice(["updated", "created"]), default="updated", show_default=True)
@click.option("--search", help="Only threads whose title, first message or folder has this text in it.")
@click.option("--from-files", is_flag=True, help="Read the rollouts themselves, without a database.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@where_options
def threads(options: Options, **values: Any) -> None:
    """List threads, newest first."""
    from tui.subcommands import list_threads, thread_query

    emit(_run(list_threads(options, thread_query(values), values)))


@rollodex.command()
@click.argument("query")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Hits to print.")
@click.option("--everywhere", is_flag=True, help="Read the rollouts themselves, tool outputs and all.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@where_options
def search(options: Options, **values: Any) -> None:
    """Find threads, and what was said in them; the README says how a QUERY is written."""
    from tui.search_commands import run_search

    emit(_run(run_search(options, values)))


@rollodex.command()
@click.argument("path", metavar="PATH")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Turns to print.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@where_options
def files(options: Options, **values: Any) -> None:
    """Say which threads read, wrote or deleted a file, or files of a folder."""
    from tui.search_commands import list_touches

    emit(_run(list_touches(options, values)))


@rollodex.command()
@click.argument("thread_id", metavar="ID")
@click.option("--markdown", "form", flag_value="markdown", help="As Markdown.")
@click.option("--raw", "form", flag_value="raw", help="The lines of the rollout as they are.")
@click.option("--tools", "form", flag_value="tools", help="Only the thread's dynamic tools.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@where_options
def show(options: Options, *, thread_id: str, form: str | None, as_json: bool) -> None:
    """Print one thread; ID may be the beginning of one, as long as no other begins so."""
    from tui.subcommands import show_thread

    _run(show_thread(options, thread_id, form=form, as_json=as_json, emit=emit))


@rollodex.command()
@click.argument("thread_id", metavar="ID")
@click.option("--fork", is_flag=True, help="Go on in a fork, and leave the thread as it is.")
@click.option("--cwd", type=FOLDER, help="Go on in this folder  [default: the thread's own]")
@click.option("--anyway", is_flag=True, help="Hand over whatever was found to be in the way.")
@click.option("--print", "print_only", is_flag=True, help="Only print the command.")
@click.option("--json", "as_json", is_flag=True, help="Only print what is known, as one JSON object.")
@where_options
def resume(
    options: Options,
    *,
    thread_id: str,
    fork: bool,
    cwd: Path | None,
    anyway: bool,
    print_only: bool,
    as_json: bool,
) -> None:
    """Hand the terminal to `codex resume` for a thread; ID may be the beginning of one."""
    from tui import json_output, resume_command

    plan = resume_command.make_plan(options, thread_id, verb="fork" if fork else "resume", folder=cwd)
    if as_json:
        emit([json_output.dumps(resume_command.plan_object(plan)), "\n"])
    elif print_only:
        emit([resume_command.command_line(plan), "\n"])
    else:
        resume_command.hand_over(plan, anyway=anyway)
    sys.exit(1 if plan.hindrances else 0)


@rollodex.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@where_options
def now(options: Options, *, as_json: bool) -> None:
    """Show what Codex is doing: which threads work, wait, are open, or died lately."""
    from tui.now_output import now as look

    emit(_run(look(options, as_json=as_json)))


@rollodex.command()
@click.option("--status", "action", flag_value="status", help="Only say how far it is.")
@click.option("--reset", "action", flag_value="reset", help="Forget what was read and read everything again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@where_options
def backfill(options: Options, *, action: str | None, as_json: bool) -> None:
    """Read every rollout into the database; goes on where it was left."""
    from tui.subcommands import run_backfill

    emit(run_backfill(options, action=action, as_json=as_json))


@rollodex.command()
@click.option("--db", type=FOLDER, help="This database instead of the home's own.")
@click.option(
    "--source", type=click.Choice(["codex", "rollodex", "all"]), help="Whose log.  [default: codex]"
)
@click.option("--level", "levels", multiple=True, type=LEVEL, help="Exactly this level; repeatable.")
@click.option("--min-level", type=LEVEL, help="This level and worse.")
@click.option("--from", "from_time", metavar="TIME", help="No rows before: RFC 3339 or unix seconds.")
@click.option("--to", "to_time", metavar="TIME", help="No rows after.")
@click.option("--module", "modules", multiple=True, help="Part of the module's path; repeatable.")
@click.option("--file", "files", multiple=True, help="Part of the source file's path; repeatable.")
@click.option("--thread-id", "thread_ids", multiple=True, help="Only this thread; repeatable.")
@click.option("--threadless", is_flag=True, help="Rows of no thread, alone or beside --thread-id.")
@click.option("--search", help="Only rows with this text in them.")
@click.option(
    "--backfill", type=click.IntRange(min=0), default=200, show_default=True, help="Rows at the start."
)
@click.option("--poll-ms", type=click.IntRange(min=10), default=500, show_default=True, help="Between looks.")
@click.option("--compact", is_flag=True, help="Only time, level and message.")
@click.option("--no-follow", is_flag=True, help="End after the rows that are there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@where_options
def logs(options: Options, **values: Any) -> None:
    """Follow Codex's structured log; times are UTC."""
    from tui.log_commands import print_logs

    print_logs(options, values, emit)


@rollodex.command()
@click.argument("name", required=False)
@click.option("--out", type=FOLDER, help="Write each to a file of its own in this folder.")
def schema(*, name: str | None, out: Path | None) -> None:
    """Print the JSON Schemas of the public models, or that of one."""
    from tui import json_output, schema_output

    found = schema_output.schemas()
    if name is not None and name not in found:
        raise click.BadParameter(f"one of {', '.join(found)} is meant", param_hint="NAME")
    if out is not None:
        emit(f"{written}\n" for written in schema_output.write_schemas(out))
    elif name is not None:
        emit([schema_output.as_file(found[name])])
    else:
        emit([json_output.dumps({"schema_version": json_output.SCHEMA_VERSION, "schemas": found}), "\n"])


rollodex.add_command(memories)
rollodex.add_command(export)


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


if __name__ == "__main__":
    main()
