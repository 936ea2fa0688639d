"""`rollodex logs`: which logs and rows are meant, and printing them as they come."""

from __future__ import annotations

import os
import re
import select
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from store.errors import LogDatabaseError
from store.log_queries import merged, query_logs
from store.log_sources import codex_logs, log_file, rollodex_logs
from store.log_tail import LogTail
from store.models import LogQuery
from store.state_folder import STATE_GENERATION
from tui.log_output import json_line, text_line
from tui.text_output import notice_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from store.log_sources import LogSource
    from store.models import LogRow, Notice
    from tui.options import Options

SHORTEST_ID: Final = 8
"""Characters of a thread id that are worth looking for."""

_UNIX = re.compile(r"-?\d{1,12}(\.\d+)?")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_FORMS = 'an RFC 3339 time ("2026-11-22T23:11:00Z", with its offset) or unix seconds ("1795389060")'


def print_logs(options: Options, values: Mapping[str, Any], emit: Callable[[Iterable[str]], None]) -> None:
    """Print the rows that the options ask for, and then those that come, until the reader has gone."""
    query = log_query(values)
    sources = _sources(options, values)
    line = _formatter(values)
    if values["no_follow"]:
        emit(line(row) for row in _backlog(sources, query, values["backfill"]))
        return
    told: tuple[Notice, ...] = ()
    with closing(LogTail(sources, query, backfill=values["backfill"])) as tail:
        while True:
            batch = tail.poll()
            emit(line(row) for row in batch.rows)
            for notice in batch.notices:
                if notice not in told:
                    click.echo(f"rollodex: {notice_line(notice)}", err=True)
            told = batch.notices
            if not batch.more and not _wait(values["poll_ms"]):
                return


def log_query(values: Mapping[str, Any]) -> LogQuery:
    """The query that the options of `rollodex logs` ask for. Raises click.BadParameter."""
    for thread_id in values["thread_ids"]:
        if len(thread_id) < SHORTEST_ID:
            raise click.BadParameter(
                f"{thread_id!r} is too short: give the id or its first {SHORTEST_ID} characters or more.",
                param_hint="'--thread-id'",
            )
    begin, end = (
        None if values[name] is None else _span(values[name], hint)
        for name, hint in (("from_time", "'--from'"), ("to_time", "'--to'"))
    )
    return LogQuery(
        levels=tuple(values["levels"]),
        min_level=values["min_level"],
        from_ms=None if begin is None else begin[0],
        to_ms=None if end is None else end[1],
        modules=tuple(values["modules"]),
        files=tuple(values["files"]),
        thread_ids=tuple(thread_id.lower() for thread_id in values["thread_ids"]),
        threadless=values["threadless"],
        text=values["search"] or None,
    )


def _span(text: str, hint: str) -> tuple[int, int]:
    """The first and last millisecond that a time names: one given in whole seconds names the second."""
    text = text.strip()
    try:
        first = _unix_ms(text) if _UNIX.fullmatch(text) else _rfc3339_ms(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no time. It takes {_FORMS}.", param_hint=hint) from error
    return first, first if "." in text else first + 999


def _unix_ms(text: str) -> int:
    return round(float(text) * 1000)


def _rfc3339_ms(text: str) -> int:
    if _RFC3339.fullmatch(text) is None:
        raise ValueError(text)
    moment = datetime.fromisoformat(text.upper())
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _sources(options: Options, values: Mapping[str, Any]) -> Sequence[LogSource]:
    wanted = values["source"]
    if (path := values["db"]) is not None:
        if wanted is not None:
            raise click.UsageError("--db names the log itself; leave --source out.")
        return [log_file(path.absolute())]
    home = options.home()
    sources = []
    if wanted in (None, "codex", "all"):
        sources.append(codex_logs(home.sqlite_path))
    if wanted in ("rollodex", "all"):
        sources.append(rollodex_logs(_state(options.state_folder(home))))
    return sources


def _state(folder: Path) -> Path:
    return folder / f"state_{STATE_GENERATION}.sqlite"


def _backlog(sources: Sequence[LogSource], query: LogQuery, limit: int) -> list[LogRow]:
    found = []
    for source in sources:
        if source.find() is None:
            missing = f"There is no log in {source.place}"
            if source.origin == "file":
                raise LogDatabaseError(missing)
            click.echo(f"rollodex: {missing}.", err=True)
        found.append(query_logs(source, query, limit=limit))
    rows = merged(found)
    return rows[max(0, len(rows) - limit) :]


def _formatter(values: Mapping[str, Any]) -> Callable[[LogRow], str]:
    if values["as_json"]:
        return json_line
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    compact: bool = values["compact"]
    return lambda row: text_line(row, compact=compact, coloured=coloured)


def _wait(milliseconds: int) -> bool:
    """Wait, and say whether anybody still reads our output: a pipe's reader may leave while nothing comes."""
    if not hasattr(select, "poll"):
        time.sleep(milliseconds / 1000)
        return True
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return not output.poll(milliseconds)
