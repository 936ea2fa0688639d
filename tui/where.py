"""Options of every command that say which home is meant."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from tui.options import Options

Command = TypeVar("Command", bound="Callable[..., Any]")

FOLDER: Final = click.Path(readable=False, path_type=Path)  # the store says in a line why it cannot read one


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
