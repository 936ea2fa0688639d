"""The one registry of actions."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING

import pytest
from textual.keys import Keys

from tui import keymap
from tui.keymap import (
    ACTIONS,
    FOOTER_KEYS,
    PANES,
    Pane,
    actions,
    bindings,
    footer,
    readme_table,
    sections,
    shown,
)
from tui.logs_pane import LogRows
from tui.panes import BackfillPane, MemoryPane, ThreadsPane, TranscriptPane
from tui.screens.browser import BrowserScreen
from tui.screens.choice import ChoiceScreen, PaneChoices
from tui.screens.copying import CopyScreen
from tui.screens.error import ErrorScreen
from tui.screens.help import HelpScreen
from tui.screens.memory import JobsPane, MemoryScreen
from tui.screens.memory_files import FilePane, FilesPane, MemoryFilesScreen
from tui.screens.memory_history import DiffPane, MemoryHistoryScreen, RunsPane
from tui.screens.sheet import SheetScreen

if TYPE_CHECKING:
    from textual.dom import DOMNode

UNDER_EVERYWHERE: tuple[Pane, ...] = ("threads", "transcript", "logs", "backfill", "memory")
BROWSERS: tuple[type[DOMNode], ...] = (BrowserScreen, MemoryScreen)
OWNERS: dict[Pane, tuple[type[DOMNode], ...]] = {
    "everywhere": BROWSERS,
    "threads": (ThreadsPane,),
    "transcript": (TranscriptPane,),
    "logs": (LogRows,),
    "backfill": (BackfillPane,),
    "memory": (MemoryPane, JobsPane),
    "history": (RunsPane, DiffPane, FilesPane, FilePane),
    "choice": (PaneChoices,),
    "copy": (CopyScreen,),
    "sheet": (SheetScreen,),
    "help": (HelpScreen,),
    "error": (ErrorScreen,),
}
"""What has the bindings of a pane."""
SCREENS: dict[Pane, tuple[type[DOMNode], ...]] = {
    **dict.fromkeys(("threads", "transcript", "logs", "backfill"), (BrowserScreen,)),
    "everywhere": BROWSERS,
    "memory": BROWSERS,
    "history": (MemoryHistoryScreen, MemoryFilesScreen),
    "choice": (ChoiceScreen,),
}
"""Where its actions of the screen are looked up; those of the screens themselves on these."""


@pytest.mark.parametrize("pane", PANES)
def test_no_key_clashes_in_a_pane(pane: Pane) -> None:
    heard = actions(pane) + (keymap.heard_everywhere(pane) if pane in UNDER_EVERYWHERE else [])
    keys = [key for action in dict.fromkeys(heard) for key in action.keys]
    assert len(keys) == len(set(keys)), sorted(key for key in set(keys) if keys.count(key) > 1)


def test_no_key_means_two_things() -> None:
    senses: dict[str, set[str]] = defaultdict(set)
    for action in ACTIONS:
        # Those after y are the second letters of a pair, and never heard alone.
        for key in action.keys if action.panes != ("copy",) else ():
            senses[key].add(action.sense)
    assert {key: sense for key, sense in senses.items() if len(sense) > 1} == {}


def test_names_are_unique() -> None:
    names = [action.name for action in ACTIONS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("pane", PANES)
def test_the_footer_holds_at_most_nine_keys_the_panes_own_first(pane: Pane) -> None:
    entries = footer(pane)
    assert len(entries) <= FOOTER_KEYS
    own = [pane in action.panes for action in entries]
    assert own == sorted(own, reverse=True)
    assert len(set(entries)) == len(entries)


@pytest.mark.parametrize("pane", ["threads", "transcript", "backfill"])
def test_help_and_quit_end_every_footer(pane: Pane) -> None:
    assert [action.name for action in footer(pane)][-2:] == ["help", "quit"]


@pytest.mark.parametrize("pane", sorted(OWNERS))
def test_every_action_exists(pane: Pane) -> None:
    for action in actions(pane):
        namespace, _, name = action.run.partition("(")[0].rpartition(".")
        if namespace == "app" or namespace == "focused":
            continue
        owners = SCREENS.get(pane, OWNERS[pane]) if namespace == "screen" else OWNERS[pane]
        for owner in owners:
            assert hasattr(owner, f"action_{name}"), (owner, action.run)


@pytest.mark.parametrize("pane", sorted(OWNERS))
def test_the_panes_have_the_bindings_of_the_registry(pane: Pane) -> None:
    expected = {binding.key: binding.action for binding in bindings(pane)}
    for owner in OWNERS[pane]:
        bound = (binding for binding in owner.BINDINGS if not isinstance(binding, tuple))
        assert {binding.key: binding.action for binding in bound} == expected, owner


def test_every_key_is_one_that_textual_knows() -> None:
    known = {key.value for key in Keys}
    for key in chain.from_iterable(action.keys for action in ACTIONS):
        assert len(key) == 1 or key in known or shown(key) != key, key


def test_help_shows_every_action_once() -> None:
    listed = [action for _, section in sections() for action in section]
    assert set(listed) == {action for action in ACTIONS if action.keys}
    assert len(listed) == len(set(listed))


def test_the_readme_table_names_every_key() -> None:
    table = readme_table()
    assert table.splitlines()[:2] == ["| Where | Keys | What |", "|---|---|---|"]
    for action in ACTIONS:
        assert (action.description in table) == bool(action.keys)
        assert all(f"`{shown(key)}`" in table for key in action.keys)
    assert "| 1 Threads | `.` | This project only, or all |" in table


def test_free_numbers_stay_free() -> None:
    pressed = {key for action in ACTIONS for key in action.keys}
    assert {"1", "2", "3", "4", "5"} <= pressed
    assert not {"6", "7", "8"} & pressed
    assert keymap.TITLES["backfill"] == "4 Backfill"
