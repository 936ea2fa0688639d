"""`rollodex export`: one thread as a document, into a file or to the standard output."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tui.emitting import emit
from tui.where import FOLDER, where_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from store.export.models import ExportProgress, ExportReport, ExportSource, Selection
    from tui.options import Options

T = TypeVar("T")

_PROMPT = click.IntRange(min=1)


@click.command()
@click.argument("thread_id", metavar="ID")
@click.option(
    "--format", "form", type=click.Choice(["markdown", "json", "html"]), default="markdown", show_default=True
)
@click.option("--from-prompt", type=_PROMPT, metavar="N", help="Begin with the thread's Nth prompt.")
@click.option("--to-prompt", type=_PROMPT, metavar="N", help="End with what follows the Nth prompt.")
@click.option("--no-tools", is_flag=True, help="Leave out tool calls.")
@click.option("--no-reasoning", is_flag=True, help="Leave out reasoning.")
@click.option("--with-secrets", is_flag=True, help="Leave keys, tokens and passwords as they are.")
@click.option("--out", type=FOLDER, help="This file, or into this folder; - prints it.  [default: here]")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="What was written and masked, as one JSON object.")
@where_options
def export(options: Options, *, thread_id: str, out: Path | None, as_json: bool, **values: Any) -> None:
    """Write one thread as a document, its secrets masked, for its owner's eyes only.

    ID may be the beginning of one, as long as no other begins so.
    """
    from store.export.models import Selection

    selection = Selection(
        format=values["form"],
        from_prompt=values["from_prompt"],
        to_prompt=values["to_prompt"],
        tools=not values["no_tools"],
        reasoning=not values["no_reasoning"],
        secrets=values["with_secrets"],
    )
    if selection.from_prompt and selection.to_prompt and selection.from_prompt > selection.to_prompt:
        raise click.UsageError("--from-prompt comes after --to-prompt.")
    printed = out is not None and str(out) == "-"
    if printed and as_json:
        raise click.UsageError("--json says what was written to a file; with --out - there is none.")
    asyncio.run(_export(options, thread_id, selection, out, force=values["force"], as_json=as_json))


async def _export(
    options: Options, wanted: str, selection: Selection, out: Path | None, *, force: bool, as_json: bool
) -> None:
    from store.export.exporting import export_source
    from store.opening import bring_up_to_date
    from tui import json_output
    from tui.export_output import report_lines, report_object
    from tui.subcommands import tell

    async with options.open_store() as store:
        tell(store, await bring_up_to_date(store))
        thread = await store.threads.get_thread(wanted)
        source = await export_source(store.threads, store.home.path, thread)
        if out is not None and str(out) == "-":
            quiet = sys.stdout.isatty()
            report = await _stoppable(lambda told: _print(source, selection, told), quiet=quiet)
            sys.stderr.writelines(f"rollodex: {line}\n" for line in report_lines(report, selection))
            return
        report = await _stoppable(lambda told: _write(source, selection, out, told, force=force))
    if as_json:
        emit([json_output.dumps(report_object(report)), "\n"])
    else:
        emit(line + "\n" for line in report_lines(report, selection))


def _write(
    source: ExportSource,
    selection: Selection,
    out: Path | None,
    told: Callable[[ExportProgress], None],
    *,
    force: bool,
) -> ExportReport:
    from store.export.exporting import export as write

    return write(source, selection, out, folder=Path(), force=force, report=told)


def _print(
    source: ExportSource, selection: Selection, told: Callable[[ExportProgress], None]
) -> ExportReport:
    from store.export.exporting import Document
    from tui.subcommands import for_terminal

    size = 0

    def counted(pieces: Iterable[str]) -> Iterator[str]:
        nonlocal size
        for piece in pieces:
            size += len(piece.encode("utf-8", "backslashreplace"))
            yield piece

    document = Document(source, selection, told)
    emit(for_terminal(counted(document)))
    return document.report(size=size)


class _Stopped(Exception):
    """Nobody waits for the export any more."""


async def _stoppable(work: Callable[[Callable[[ExportProgress], None]], T], *, quiet: bool = False) -> T:
    """Run what blocks on a thread; ^C ends it between two items, and what it began is gone."""
    stop = threading.Event()
    shown = _Progress(quiet=quiet)

    def told(progress: ExportProgress) -> None:
        if stop.is_set():
            raise _Stopped
        shown.show(progress)

    task = asyncio.ensure_future(asyncio.to_thread(work, told))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([task])
        if task.exception() is None:
            return task.result()  # it was done, and stays
        raise
    finally:
        shown.clear()


class _Progress:
    """How far it is, in place on a terminal's stderr; nothing elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._is_shown = sys.stderr.isatty() and not quiet
        self._last = ""

    def show(self, progress: ExportProgress) -> None:
        line = f"{progress.step.capitalize()}: {100 * progress.done // max(1, progress.total)} %"
        if self._is_shown and line != self._last:
            sys.stderr.write(f"\r{line:<14}")
            sys.stderr.flush()
            self._last = line

    def clear(self) -> None:
        if self._last:
            sys.stderr.write(f"\r{'':<14}\r")
            sys.stderr.flush()
