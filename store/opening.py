"""Opening everything that one home needs, and closing it again."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.connection import connect_writer
from store.database import Database
from store.errors import DatabaseError, LeaseLost, NewerDatabase, SqliteTooOld, StateFolderError
from store.models import Notice
from store.state_folder import prepare
from store.threads import Threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from store.clock import Clock
    from store.errors import StoreError
    from store.home import CodexHome
    from store.models import BackfillStep
    from store.state_folder import StateFiles


@dataclass(frozen=True, slots=True)
class Store:
    """What is open for one home. Without `files` and databases, everything comes from the rollouts."""

    home: CodexHome
    clock: Clock
    threads: Threads
    files: StateFiles | None = None
    state: Database | None = None
    user: Database | None = None
    notices: tuple[Notice, ...] = ()


@asynccontextmanager
async def open_store(home: CodexHome, folder: Path, clock: Clock) -> AsyncIterator[Store]:
    """Open our databases for a home.

    Where the state folder cannot be used, the store works from the files alone. Raises NewerDatabase and
    SqliteTooOld: then it is the program that has to change.
    """
    async with AsyncExitStack() as stack:
        try:
            files = await asyncio.to_thread(prepare, folder, clock)
            state = await stack.enter_async_context(Database.open(files.state))
            user = await stack.enter_async_context(Database.open(files.user, beside=files.state))
        except (NewerDatabase, SqliteTooOld):
            raise
        except (StateFolderError, DatabaseError) as error:
            store = Store(home, clock, Threads(home, None, clock), notices=(_without_database(error),))
        else:
            store = Store(home, clock, Threads(home, state, clock), files, state, user, files.notices)
        yield store


def _without_database(error: StoreError) -> Notice:
    return Notice(
        severity="warning",
        what=error.what,
        why=error.why,
        next_step=f"Threads are listed from the files meanwhile. {error.next_step}".strip(),
    )


async def bring_up_to_date(store: Store, *, last_step: BackfillStep = "heads") -> tuple[Notice, ...]:
    """Have a row for every thread before a listing is asked for.

    That takes the heads step when it never ran, else a reconcile.

    What another process is already doing, and a database that is busy, are left alone: the files can answer.
    """
    files = store.files
    if files is None:
        return ()
    notices = await asyncio.to_thread(_bring_up_to_date, store, files, last_step)
    return (*notices, *await note_missing(store))


async def note_missing(store: Store) -> tuple[Notice, ...]:
    """After a comparison with the files: note which threads are gone, delete what is of those long gone."""
    # The screens draw their first rows without it.
    from store.missing_threads import note_missing_threads

    if store.user is None:
        return ()
    now_s = store.clock.now_ms() // 1000
    try:
        await store.user.write(lambda connection: note_missing_threads(connection, now_s=now_s))
    except DatabaseError as error:
        return (_notice(error),)
    return ()


def _bring_up_to_date(store: Store, files: StateFiles, last_step: BackfillStep) -> tuple[Notice, ...]:
    # The screens draw their first rows without any of these.
    from store.backfill import BackfillWorker
    from store.backfill_state import get_backfill_state, list_is_complete
    from store.ownership import this_process
    from store.reconcile import reconcile
    from store.rollouts.scan import scan_home

    try:
        with closing(connect_writer(files.state)) as connection:
            scan = scan_home(store.home.path)
            if not list_is_complete(get_backfill_state(connection)):
                worker = BackfillWorker(
                    connection, store.home.path, scan.files, me=this_process(), clock=store.clock
                )
                worker.run(last_step=last_step)
            return reconcile(connection, store.home, clock=store.clock, scan=scan, quick=True).notices
    except LeaseLost:
        return ()
    except DatabaseError as error:
        return (_notice(error),)


def _notice(error: StoreError) -> Notice:
    return Notice(severity="warning", what=error.what, why=error.why, next_step=error.next_step)
