"""The subcommands: what each asks of the store, and in which form it prints the answer."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store.cursors import Cursor
from store.errors import HomeError
from store.models import ThreadQuery
from store.opening import bring_up_to_date
from tui import json_output, text_output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from store.models import BackfillProgress, Notice, Thread
    from store.opening import Store
    from tui.options import Options


def thread_query(values: Mapping[str, Any]) -> ThreadQuery:
    """The query that the options of `rollodex threads` ask for."""
    folder: Path | None = values["cwd"]
    query = ThreadQuery(
        archived=values["archived"],
        cwd=None if folder is None else str(written_out(folder)),
        sources=tuple(values["sources"]),
        providers=tuple(values["providers"]),
        text=values["search"] or None,
        sort=values["sort"],
    )
    if values["cursor"] is not None and query == ThreadQuery():
        return Cursor.from_text(values["cursor"]).query
    return query


def written_out(folder: Path) -> Path:
    """The folder as Codex would have written it: from the root, without `.` and `..`. Raises HomeError."""
    try:
        return Path(os.path.normpath(folder.expanduser().absolute()))
    except FileNotFoundError:
        raise HomeError(
            f"The folder {folder} cannot be told",
            why="the current folder is no longer there",
            next_step="Write the folder out from /",
        ) from None
    except RuntimeError as error:  # "~" of nobody
        raise HomeError(
            f"The folder {folder} cannot be told", why=str(error), next_step="Write it without ~"
        ) from error


async def list_threads(options: Options, query: ThreadQuery, values: Mapping[str, Any]) -> list[str]:
    """`rollodex threads`: one page, brought up to date before."""
    cursor: str | None = values["cursor"]
    async with options.open_store() as store:
        if not values["from_files"] and cursor is None:
            tell(store, await bring_up_to_date(store))
        page = await store.threads.list_threads(
            query,
            cursor,
            limit=sys.maxsize if values["everything"] else values["limit"],
            from_files=values["from_files"],
        )
        print_notices(page.notices)
        if values["as_json"]:
            return [json_output.dumps(json_output.page_object(page)), "\n"]
        width = text_output.terminal_width()
        return [line + "\n" for line in text_output.thread_lines(page, store.clock.now_ms(), width)]


async def show_thread(
    options: Options, wanted: str, *, form: str | None, as_json: bool, emit: Callable[[Iterable[str]], None]
) -> None:
    """`rollodex show ID`: the transcript is printed while it is read."""
    async with options.open_store() as store:
        tell(store, await bring_up_to_date(store))
        thread = await store.threads.get_thread(wanted)
        tools = await store.threads.get_dynamic_tools(thread)
        if form == "tools" and not as_json:
            emit(line + "\n" for line in text_output.tool_lines(tools))
            return
        if form == "raw" and not as_json:
            emit(_raw(store, thread))
            return
        bases = await store.threads.base_paths(thread)

        def pieces() -> Iterator[str]:
            from store.rollouts.transcript import Transcript

            with Transcript.open(
                store.home.path / thread.rollout_path, thread_id=thread.id, resolve_base=bases.get
            ) as t:
                items = t.all_items()
                if as_json:
                    yield from json_output.transcript_chunks(thread, tools, () if form == "tools" else items)
                elif form == "markdown":
                    from store.export.markdown import to_markdown

                    yield from for_terminal(to_markdown(thread, items))
                else:
                    for line in text_output.show_lines(thread, items, text_output.terminal_width()):
                        yield line + "\n"

        await asyncio.to_thread(emit, pieces())


def _raw(store: Store, thread: Thread) -> Iterator[str]:
    from store.rollouts.source import open_decoded

    with open_decoded(store.home.path / thread.rollout_path) as stream:
        while chunk := stream.read(1 << 20):
            yield from for_terminal([chunk.decode("utf-8", "backslashreplace")])


def for_terminal(pieces: Iterable[str]) -> Iterator[str]:
    """Text as it is into a pipe or a file; on a terminal with everything in it made visible."""
    from widgets.formatting import visible

    terminal = sys.stdout.isatty()
    for piece in pieces:
        yield visible(piece) if terminal else piece


def run_backfill(options: Options, *, action: str | None, as_json: bool) -> list[str]:
    """`rollodex backfill`: works in this process, or follows the one that works already."""
    from store.backfill_following import follow_backfill
    from store.backfill_state import get_backfill_state, is_stale
    from store.clock import SystemClock
    from store.connection import connect_writer
    from store.ownership import this_process
    from store.state_folder import prepare

    clock = SystemClock()
    home = options.home()
    files = prepare(options.state_folder(home), clock)
    print_notices((*home.notices, *files.notices))
    with closing(connect_writer(files.state)) as connection:
        if action != "status":
            notices = follow_backfill(
                connection, home, clock=clock, reset=action == "reset", report=progress_line(as_json=as_json)
            )
            print_notices(notices)
        progress = get_backfill_state(connection)
    if as_json:
        return [json_output.dumps(json_output.backfill_object(progress)), "\n"]
    now_ms = clock.now_ms()
    abandoned = progress.status == "running" and is_stale(progress, this_process(), now_ms=now_ms)
    lines = [text_output.backfill_line(progress, now_ms, abandoned=abandoned)]
    lines += [text_output.failure_line(failure) for failure in progress.failures]
    return [line + "\n" for line in lines]


def progress_line(*, as_json: bool, even_complete: bool = True) -> Callable[[BackfillProgress], None]:
    """Progress in place on a terminal's stderr; nothing elsewhere, nor where all was read before."""
    if as_json or not sys.stderr.isatty():
        return lambda _progress: None
    told = even_complete

    def report(progress: BackfillProgress) -> None:
        nonlocal told
        told = told or progress.status != "complete"
        if not told:
            return
        width = text_output.terminal_width() - 1
        line = text_output.backfill_line(progress, progress.updated_at or 0)
        end = "\n" if progress.status == "complete" else ""
        sys.stderr.write(f"\r{line[:width]:<{width}}{end}")
        sys.stderr.flush()

    return report


def tell(store: Store, notices: Iterable[Notice]) -> None:
    """Say on stderr what the person should know."""
    print_notices((*store.home.notices, *store.notices, *notices))


def print_notices(notices: Iterable[Notice]) -> None:
    """Say them on stderr, a line each."""
    for notice in notices:
        sys.stderr.write(f"rollodex: {text_output.notice_line(notice)}\n")
