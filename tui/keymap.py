"""The one registry of actions: bindings, footer, help, palette and the README's table come from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from textual.binding import Binding

Pane = Literal["everywhere", "threads", "filter", "help", "error"]
PANES: Final[tuple[Pane, ...]] = get_args(Pane)
TITLES: Final[dict[Pane, str]] = {
    "everywhere": "Everywhere",
    "threads": "1 Threads",
    "filter": "Filter box",
    "help": "Help",
    "error": "When Rollodex cannot start",
}
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

    @property
    def shown_keys(self) -> str:
        """The keys as people write them."""
        return " ".join(shown(key) for key in self.keys)


_SHOWN: Final = {
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "escape": "esc",
    "question_mark": "?",
    "slash": "/",
    "full_stop": ".",
    "shift+tab": "⇧tab",
}


def shown(key: str) -> str:
    """Return a key as people write it: "^d" for ctrl+d."""
    if key in _SHOWN:
        return _SHOWN[key]
    return "^" + key[5:] if key.startswith("ctrl+") else key


def _move(name: str, keys: str, description: str, run: str) -> Action:
    return Action(f"move.{name}", tuple(keys.split()), ("threads",), name, description, run, palette=False)


ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        "read",
        ("enter",),
        ("threads",),
        "read",
        "Read the thread",
        "open",
        footer=1,
        meaning="open",
        palette=False,
    ),
    Action("filter", ("slash",), ("everywhere",), "filter", "Filter the threads", "screen.filter", footer=2),
    Action(
        "project",
        ("full_stop",),
        ("threads",),
        "this project",
        "This project only, or all",
        "screen.project",
        3,
    ),
    Action("sort", ("s",), ("threads",), "sort", "Sort by last update or by start", "screen.sort", 4),
    Action("reverse", ("S",), ("threads",), "reverse", "Turn the order round", "screen.reverse"),
    Action(
        "archived", ("A",), ("threads",), "archived", "Hide, add or only show archived", "screen.archived", 5
    ),
    Action("unfold", ("right",), ("threads",), "children", "Show sub-agent threads", "unfold", 6, "inwards"),
    Action("fold", ("left",), ("threads",), "fold", "Put sub-agent threads away", "fold", None, "outwards"),
    _move("up", "up k", "Up", "move(-1)"),
    _move("down", "down j", "Down", "move(1)"),
    _move("page up", "pageup", "A page up", "page(-1.0)"),
    _move("page down", "pagedown", "A page down", "page(1.0)"),
    _move("half up", "ctrl+u", "Half a page up", "page(-0.5)"),
    _move("half down", "ctrl+d", "Half a page down", "page(0.5)"),
    _move("first", "g home", "First", "first"),
    _move("last", "G end", "Last", "last"),
    Action(
        "keep",
        ("enter", "down"),
        ("filter",),
        "keep",
        "Keep the filter, go to the list",
        "screen.pane('threads')",
        meaning="open",
        palette=False,
    ),
    Action("threads", ("1",), ("everywhere",), "threads", "Go to Threads", "screen.pane('threads')"),
    Action(
        "next", ("tab",), ("everywhere",), "next pane", "Next pane", "screen.next_pane(1)", 7, palette=False
    ),
    Action(
        "previous",
        ("shift+tab",),
        ("everywhere",),
        "previous pane",
        "Previous pane",
        "screen.next_pane(-1)",
        palette=False,
    ),
    Action("zoom", ("z",), ("everywhere",), "zoom", "Only this pane, or all again", "screen.zoom"),
    Action(
        "refresh",
        ("ctrl+r",),
        ("everywhere", "error"),
        "refresh",
        "Look at the home again",
        "screen.refresh_home",
    ),
    Action(
        "palette",
        ("ctrl+p",),
        ("everywhere",),
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
        ("everywhere", "help"),
        "close",
        "Close one thing; never quits",
        "screen.close_one",
        palette=False,
    ),
    Action("quit", ("q", "ctrl+q"), ("everywhere", "error"), "quit", "Quit", "app.quit", 9),
)


def actions(pane: Pane) -> list[Action]:
    """Return the actions of one pane, in the order of the registry."""
    return [action for action in ACTIONS if pane in action.panes]


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
    ]


def footer(pane: Pane) -> list[Action]:
    """Return what the footer shows while a pane has the focus: its own keys first, nine in all."""
    own = sorted((action for action in actions(pane) if action.footer is not None), key=_place)
    everywhere = [] if pane in ("help", "error") else actions("everywhere")
    others = sorted(
        (action for action in everywhere if action.footer is not None and action not in own), key=_place
    )
    room = FOOTER_KEYS - len(others)
    return sorted(own[:room], key=_place) + others


def _place(action: Action) -> int:
    return action.footer or 0


def readme_table() -> str:
    """Return the key map as a Markdown table."""
    lines = ["| Where | Keys | What |", "|---|---|---|"]
    for pane in PANES:
        for action in actions(pane):
            keys = " ".join(f"`{shown(key)}`" for key in action.keys)
            lines.append(f"| {TITLES[pane]} | {keys} | {action.description} |")
    return "\n".join(lines) + "\n"
