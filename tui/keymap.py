"""The one registry of actions: bindings, footer, help, palette and the README's table come from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from textual.binding import Binding

if TYPE_CHECKING:
    from collections.abc import Sequence

Pane = Literal[
    "everywhere",
    "threads",
    "transcript",
    "logs",
    "backfill",
    "memory",
    "history",
    "filter",
    "find",
    "choice",
    "copy",
    "sheet",
    "help",
    "error",
]
PANES: Final[tuple[Pane, ...]] = get_args(Pane)
TITLES: Final[dict[Pane, str]] = {
    "everywhere": "Everywhere",
    "threads": "1 Threads",
    "transcript": "2 Transcript",
    "logs": "3 Logs",
    "backfill": "4 Backfill",
    "memory": "5 Memory",
    "history": "Memory: what changed, and files",
    "filter": "Filter box",
    "find": "Find box of a transcript",
    "choice": "Before anything runs",
    "copy": "Copy: after y",
    "sheet": "Details and raw lines",
    "help": "Help",
    "error": "When Rollodex cannot start",
}
_WORKPLACES: Final[tuple[Pane, ...]] = ("threads", "transcript", "logs", "backfill", "memory")
_APART: Final[tuple[Pane, ...]] = ("history", "filter", "find", "choice", "copy", "sheet", "help", "error")
"""Where the keys of everywhere are not offered."""
FOOTER_KEYS: Final = 9
"""The footer never holds more."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that keys do; `run` is Textual's name for it, looked up on the pane first."""

    name: str
    keys: tuple[str, ...]
    panes: tuple[Pane, ...]
    label: str
    """One or two words, for the footer."""
    description: str
    """What it does, for help, palette and README."""
    run: str
    footer: int | None = None
    """Its place in the footer; None keeps it out."""
    meaning: str = ""
    """A key may do different actions in different panes only if they mean the same to the person."""
    palette: bool = True

    @property
    def sense(self) -> str:
        """What the key stands for."""
        return self.meaning or self.name

    def shown_keys(self, *, ascii_only: bool = False) -> str:
        """Return the keys as people write them."""
        return " ".join(shown(key, ascii_only=ascii_only) for key in self.keys)


_SHOWN: Final = {
    "escape": "esc",
    "question_mark": "?",
    "slash": "/",
    "full_stop": ".",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "plus": "+",
    "minus": "-",
    "circumflex_accent": "^",
    "ampersand": "&",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
}
_DRAWN: Final = {"up": "↑", "down": "↓", "left": "←", "right": "→", "shift+tab": "⇧tab"}


def shown(key: str, *, ascii_only: bool = False) -> str:
    """Return a key as people write it: "^d" for ctrl+d, "→" for right."""
    if key in _DRAWN:
        return key if ascii_only else _DRAWN[key]
    return _SHOWN.get(key, "^" + key[5:] if key.startswith("ctrl+") else key)


def _move(keys: str, description: str, run: str, *, choosing: bool = False) -> Action:
    panes: tuple[Pane, ...] = (*_WORKPLACES, "history", *(("choice",) if choosing else ()))
    return Action(run, tuple(keys.split()), panes, run, description, run, palette=False)


def _in(
    pane: Pane,
    keys: str,
    name: str,
    label: str,
    description: str,
    run: str,
    footer: int | None = None,
    *,
    meaning: str = "",
    palette: bool = True,
) -> Action:
    return Action(name, tuple(keys.split()), (pane,), label, description, run, footer, meaning, palette)


def _walk(key: str, name: str, description: str, run: str, footer: int | None = None) -> Action:
    return Action(name, (key,), ("transcript", "logs"), "error", description, run, footer)


def _copied(key: str, what: str, description: str) -> Action:
    run = f"screen.copy('{what}')"
    return Action(f"copy-{what}", (key,), ("copy",), what, description, run, palette=False)


ACTIONS: Final[tuple[Action, ...]] = (
    _in("everywhere", "1", "threads", "threads", "Go to Threads", "screen.pane('threads')"),
    _in("everywhere", "2", "transcript", "transcript", "Go to Transcript", "screen.pane('transcript')"),
    _in("everywhere", "3", "logs", "logs", "Go to Logs", "screen.pane('logs')"),
    _in("everywhere", "4", "backfill", "backfill", "Go to Backfill", "screen.pane('backfill')"),
    _in("everywhere", "5", "memory", "memory", "Go to Memory", "screen.pane('memory')"),
    _in("everywhere", "tab", "next", "next pane", "Next pane", "screen.next_pane(1)", 7, palette=False),
    _in(
        "everywhere",
        "shift+tab",
        "previous",
        "previous pane",
        "Previous pane",
        "screen.next_pane(-1)",
        palette=False,
    ),
    _in("everywhere", "slash", "filter", "filter", "Filter the threads", "screen.filter", 6),
    _in("everywhere", "z", "zoom", "zoom", "Only this pane, or all again", "screen.zoom"),
    _in("everywhere", "ctrl+r", "refresh", "look again", "Look at the home again", "screen.refresh_home"),
    _in(
        "everywhere",
        "ctrl+p",
        "palette",
        "palette",
        "Every command by name",
        "app.command_palette",
        palette=False,
    ),
    Action(
        "help",
        ("question_mark", "f1"),
        ("everywhere", "help"),
        "keys",
        "Show or hide the keys",
        "app.keys",
        8,
    ),
    Action(
        "close",
        ("escape",),
        ("everywhere", "history", "choice", "sheet", "help"),
        "close",
        "Close one thing",
        "screen.close_one",
        palette=False,
    ),
    Action("quit", ("q", "ctrl+q"), ("everywhere", "error"), "quit", "Quit", "app.quit", 9),
    _move("up k", "Up", "move(-1)", choosing=True),
    _move("down j", "Down", "move(1)", choosing=True),
    _move("pageup", "A page up", "page(-1.0)", choosing=True),
    _move("pagedown", "A page down", "page(1.0)", choosing=True),
    _move("ctrl+u", "Half a page up", "page(-0.5)"),
    _move("ctrl+d", "Half a page down", "page(0.5)"),
    _move("home g", "The first", "first"),
    _move("end G", "The last", "last"),
    _in("threads", "enter", "open", "read", "Read the thread", "open", 1, palette=False),
    _in("threads", "r", "resume", "resume…", "Resume the thread in Codex…", "screen.resume", 1),
    _in("threads", "full_stop", "project", "this project", "This project only, or all", "screen.project", 2),
    _in(
        "threads",
        "y",
        "copy-thread",
        "copy…",
        "Copy id, command, message or path…",
        "screen.copy",
        2,
        meaning="copy",
    ),
    _in(
        "threads",
        "w",
        "working",
        "working",
        "Only threads that Codex is at work on, or all",
        "screen.working",
    ),
    _in("threads", "s", "sort", "sort", "Sort by update or by start", "screen.sort", 3),
    _in("threads", "S", "reverse", "reverse", "Turn the order round", "screen.reverse"),
    _in("threads", "A", "archived", "archived", "Hide, add or only show archived", "screen.archived", 4),
    _in("threads", "space", "mark", "mark", "Mark the thread, or take the mark away", "mark"),
    _in(
        "threads",
        "X",
        "extract-marked",
        "extract…",
        "Extract memories of marked threads, or this…",
        "screen.extract",
        meaning="extract",
    ),
    _in("threads", "right", "unfold", "children", "Show sub-agent threads", "unfold", 5),
    _in("threads", "left", "fold", "fold", "Put sub-agent threads away", "fold"),
    _in("transcript", "enter", "open-item", "fold", "Fold or unfold the item", "fold", 1, meaning="open"),
    _in(
        "transcript",
        "r",
        "resume-read",
        "resume…",
        "Resume this thread in Codex…",
        "screen.resume",
        1,
        meaning="resume",
    ),
    _in(
        "transcript",
        "left_square_bracket",
        "earlier-prompt",
        "earlier prompt",
        "The prompt before",
        "prompt(-1)",
        2,
    ),
    _in("transcript", "right_square_bracket", "later-prompt", "prompt", "The next prompt", "prompt(1)"),
    Action(
        "find",
        ("slash",),
        ("transcript",),
        "find",
        "Find words in the thread",
        "find",
        3,
        meaning="filter",
    ),
    _in("transcript", "n", "later-hit", "next hit", "The next hit", "hit(1)"),
    _in("transcript", "N", "earlier-hit", "earlier hit", "The hit before", "hit(-1)"),
    _walk("e", "later-error", "The next error, of the thread or of its log", "error(1)", 4),
    _walk("E", "earlier-error", "The error before", "error(-1)"),
    _in("transcript", "left_curly_bracket", "earlier-tool", "tool", "The tool call before", "tool(-1)"),
    _in("transcript", "right_curly_bracket", "later-tool", "tool", "The next tool call", "tool(1)"),
    _in("transcript", "plus", "unfold-all", "unfold all", "Unfold everything", "unfold_all"),
    _in("transcript", "minus", "fold-all", "fold all", "Fold everything", "fold_all"),
    _in("transcript", "J", "raw", "raw", "The item's lines as they are in the file", "raw"),
    _in("transcript", "i", "details", "details", "Everything known of the thread", "details", 5),
    _in(
        "transcript",
        "y",
        "copy-read",
        "copy…",
        "Copy message, id, command or path…",
        "screen.copy",
        5,
        meaning="copy",
    ),
    _in(
        "transcript", "circumflex_accent", "parent", "parent", "The thread that this one comes from", "parent"
    ),
    _in("logs", "enter", "unfold-row", "all of it", "All that the row says", "fold", 1, meaning="open"),
    _in("logs", "f", "follow", "follow", "Follow the newest row, or stay", "follow", 2),
    _in("logs", "t", "tie", "this thread", "The thread under the cursor only, or all", "tie", 3),
    _in("logs", "l", "level", "level", "Only worse levels", "level(1)", 5),
    _in("logs", "L", "lower-level", "more levels", "More levels", "level(-1)"),
    _in("logs", "ampersand", "keep-only", "keep", "Keep only rows with these words", "keep", 6),
    _in("logs", "v", "wrap", "wrap", "Wrap long rows, or cut them", "wrap"),
    _in("logs", "y", "copy", "copy", "Copy the row", "copy"),
    _in("logs", "i", "log-health", "details", "What fills the log", "details", meaning="details"),
    _in(
        "memory",
        "enter",
        "open-job",
        "job",
        "The memory screen; there, all about the job",
        "open",
        1,
        meaning="open",
    ),
    _in(
        "memory",
        "c",
        "consolidate",
        "consolidate…",
        "Consolidate the memories…",
        "screen.consolidate",
        2,
    ),
    _in(
        "memory",
        "X",
        "extract",
        "extract…",
        "Extract memories of marked or waiting threads…",
        "screen.extract",
        3,
    ),
    _in("memory", "R", "retry-job", "retry…", "Try what failed again…", "screen.retry", 4),
    _in("memory", "d", "changes", "changes", "What the runs changed", "screen.changes", 5),
    Action(
        "undo",
        ("u",),
        ("memory", "history"),
        "undo…",
        "Put back what a run replaced…",
        "screen.undo",
        6,
    ),
    _in("memory", "a", "artifacts", "files", "Read the files of the memory folder", "screen.artifacts"),
    _in("memory", "F", "job-states", "states", "Only failed, running, pending or done jobs", "states"),
    _in("memory", "K", "stop", "stop…", "Stop what runs…", "screen.stop"),
    _in(
        "history",
        "enter",
        "read-file",
        "read",
        "Go to the text, or back to the list",
        "screen.read",
        1,
        meaning="open",
    ),
    _in(
        "history",
        "left_square_bracket",
        "earlier-file",
        "earlier file",
        "The changed file before",
        "screen.file(-1)",
        meaning="earlier-prompt",
    ),
    _in(
        "history",
        "right_square_bracket",
        "later-file",
        "file",
        "The next changed file",
        "screen.file(1)",
        meaning="later-prompt",
    ),
    _in("choice", "enter", "choose", "do it", "Do what is chosen", "open", 1, meaning="open"),
    _copied("i", "id", "The thread's id"),
    _copied("r", "command", "The command that resumes it"),
    _copied("m", "message", "The message under the cursor"),
    _copied("p", "path", "The path of its rollout"),
    _in(
        "sheet",
        "enter",
        "schemas",
        "tools' schemas",
        "Show or fold the tools' schemas",
        "focused.fold",
        meaning="open",
    ),
    _in("error", "ctrl+r", "retry", "try again", "Try again", "screen.retry", 1, meaning="refresh"),
    _in(
        "filter",
        "enter",
        "keep",
        "to the list",
        "Keep the filter and go to the list",
        "screen.leave_box",
        1,
        meaning="open",
    ),
    _in(
        "filter",
        "escape",
        "leave-box",
        "close",
        "Close the box; again clears the filter",
        "screen.close_one",
        2,
        meaning="close",
    ),
    _in(
        "filter",
        "down",
        "down-from-box",
        "to the list",
        "Down to the list",
        "screen.leave_box",
        meaning="move(1)",
    ),
    Action(
        "keep-finding",
        ("enter",),
        ("find",),
        "to the hits",
        "Keep the words and go on in the thread",
        "screen.leave_box",
        1,
        meaning="open",
    ),
    Action(
        "leave-finding",
        ("escape",),
        ("find",),
        "go back",
        "Close the box and go back to where you were",
        "screen.close_one",
        2,
        meaning="close",
    ),
)


def actions(pane: Pane) -> list[Action]:
    """Return the actions of one pane, in the order of the registry."""
    return [action for action in ACTIONS if pane in action.panes]


def heard_everywhere(pane: Pane) -> list[Action]:
    """Return what a pane leaves to the keys of everywhere: it may do the same in a way of its own."""
    own = {(key, action.sense) for action in actions(pane) for key in action.keys}
    return [
        action
        for action in actions("everywhere")
        if action in actions(pane) or not {(key, action.sense) for key in action.keys} <= own
    ]


def bindings(pane: Pane) -> list[Binding]:
    """Return Textual's bindings for one pane."""
    return [
        Binding(
            ",".join(action.keys),
            action.run,
            action.label,
            show=False,
            tooltip=action.description,
            id=action.name,
        )
        for action in actions(pane)
        if action.keys
    ]


def footer(pane: Pane) -> list[Action]:
    """Return what the footer shows while a pane has the focus: its own keys first, nine in all."""
    own = sorted((action for action in actions(pane) if action.footer is not None), key=_place)
    everywhere = [] if pane in _APART else heard_everywhere(pane)
    others = sorted(
        (action for action in everywhere if action.footer is not None and action not in own), key=_place
    )
    room = FOOTER_KEYS - len(others)
    return sorted(own[:room], key=_place) + others


def _place(action: Action) -> int:
    return action.footer or 0


def sections(panes: Sequence[Pane] = PANES) -> list[tuple[str, list[Action]]]:
    """Return every action once, under the pane that it belongs to; those of several panes come first."""
    shared = [action for action in ACTIONS if sum(pane in _WORKPLACES for pane in action.panes) > 1]
    sections, seen = [("Moving", shared)], set(shared)
    for pane in panes:
        own = [action for action in actions(pane) if action.keys and action not in seen]
        seen.update(own)
        if own:
            sections.append((TITLES[pane], own))
    return sections


def readme_table() -> str:
    """Return the key map as a Markdown table."""
    lines = ["| Where | Keys | What |", "|---|---|---|"]
    for title, section in sections():
        for action in section:
            keys = " ".join(f"`{shown(key)}`" for key in action.keys)
            lines.append(f"| {title} | {keys} | {action.description} |")
    return "\n".join(lines) + "\n"
