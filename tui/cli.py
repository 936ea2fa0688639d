"""The command line: `rollodex` opens the screens, subcommands print and never load them."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from store.errors import BadCursor, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator

    from tui.options import Options

T = TypeVar("T")
Command = TypeVar("Command", bound="Callable[..., Any]")

FOLDER = click.Path(readable=False, path_type=Path)  # the store says in a line why it cannot read one
LEVEL = click.Choice(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"], case_sensitive=False)
SOURCES = ("cli", "vscode", "exec", "mcp", "subagent", "unknown")


class OutputClosed(Exception):
    """Whoever read our output wants no more of it."""


class OutputFailed(StoreError):
    """What we print cannot be written where it should go."""


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
        _drop_output()
        sys.exit(0)
    except StoreError as error:
        from widgets.formatting import visible_line

        if isinstance(error, OutputFailed):
            _drop_output()
        click.echo(f"rollodex: {visible_line(str(error))}", err=True)
        sys.exit(2 if isinstance(error, BadCursor) else 1)


def _drop_output() -> None:
    """Let what is left in the buffer, which has nowhere to go, not fail again when the process ends."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def where_options(command: Command) -> Command:
    """The options that say which home is meant; given after a subcommand they beat those given before it."""

    @functools.wraps(command)
    @click.pass_context
    def with_options(context: click.Context, /, *args: Any, **values: Any) -> Any:
        given = {name: values.pop(name) for name in ("codex_home", "sqlite_home", "state_dir")}
        context.obj = (context.obj or _options()).over(**given)
        return context.invoke(command, context.obj, *args, **values)

    result: Any = with_options
    for option in (
        click.option("--codex-home", type=FOLDER, help="The Codex home  [default: $CODEX_HOME or ~/.codex]"),
        click.option("--sqlite-home", type=FOLDER, help="Where Codex keeps its databases"),
        click.option("--state-dir", type=FOLDER, help="Where Rollodex keeps its own  [default: per home]"),
    ):
        result = option(result)
    return result  # type: ignore[no-any-return]  # click's decorators give back what they are given


def _options() -> Options:
    from tui.options import Options

    return Options()


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

    _emit(_run(list_threads(options, thread_query(values), values)))


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

    _run(show_thread(options, thread_id, form=form, as_json=as_json, emit=_emit))


@rollodex.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@where_options
def now(options: Options, *, as_json: bool) -> None:
    """Show what Codex is doing: which threads work, wait, are open, or died lately."""
    from tui.now_output import now as look

    _emit(_run(look(options, as_json=as_json)))


@rollodex.command()
@click.option("--status", "action", flag_value="status", help="Only say how far it is.")
@click.option("--reset", "action", flag_value="reset", help="Forget what was read and read everything again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@where_options
def backfill(options: Options, *, action: str | None, as_json: bool) -> None:
    """Read every rollout into the database; goes on where it was left."""
    from tui.subcommands import run_backfill

    _emit(run_backfill(options, action=action, as_json=as_json))


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

    print_logs(options, values, _emit)


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def _emit(pieces: Iterable[str]) -> None:
    """Write text pieces to stdout as they come. Raises OutputClosed and OutputFailed."""
    out = sys.stdout
    if out is None:
        raise OutputFailed("Nothing can be printed", why="the standard output is closed")
    # A lone surrogate of a hostile rollout must not end the program.
    reconfigure = getattr(out, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    for piece in pieces:
        with _writing():
            out.write(piece)
    with _writing():
        out.flush()


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        # click would make it a failure.
        raise OutputClosed from error
    except OSError as error:
        raise OutputFailed(
            "The output cannot be written", why=error.strerror or str(error), next_step="Send it elsewhere"
        ) from error


if __name__ == "__main__":
    main()
