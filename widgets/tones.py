"""The few ways that text of the reading widgets may look, taken from the theme."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from rich.style import Style

if TYPE_CHECKING:
    from textual.widget import Widget


@dataclass(frozen=True, slots=True)
class Tones:
    """One style for each purpose; no background but where a theme gives the purpose one."""

    text: Style
    muted: Style
    bright: Style
    prompt: Style
    accent: Style
    good: Style
    warn: Style
    bad: Style
    added: Style
    removed: Style
    keyword: Style
    string: Style
    number: Style
    comment: Style
    name: Style
    link: Style


TONE_CLASSES = frozenset(f"tone--{field.name}" for field in fields(Tones))
"""Component classes that a widget with tones declares."""

TONE_CSS = """
    {widget} > .tone--text {{ color: $foreground; }}
    {widget} > .tone--muted {{ color: $text-muted; }}
    {widget} > .tone--bright {{ color: $foreground; text-style: bold; }}
    {widget} > .tone--prompt {{ color: $foreground; text-style: bold; background: $panel; }}
    {widget} > .tone--accent {{ color: $accent; }}
    {widget} > .tone--good {{ color: $text-success; }}
    {widget} > .tone--warn {{ color: $text-warning; }}
    {widget} > .tone--bad {{ color: $text-error; }}
    {widget} > .tone--added {{ color: $text-success; }}
    {widget} > .tone--removed {{ color: $text-error; }}
    {widget} > .tone--keyword {{ color: $text-secondary; text-style: bold; }}
    {widget} > .tone--string {{ color: $text-secondary; }}
    {widget} > .tone--number {{ color: $text-secondary; }}
    {widget} > .tone--comment {{ color: $text-muted; text-style: italic; }}
    {widget} > .tone--name {{ color: $foreground; text-style: bold; }}
    {widget} > .tone--link {{ color: $text-secondary; text-style: underline; }}
"""


def tones_of(widget: Widget) -> Tones:
    """Return the tones that the theme gives a widget now."""
    return Tones(**{field.name: _style(widget, f"tone--{field.name}") for field in fields(Tones)})


def _style(widget: Widget, name: str) -> Style:
    full = widget.get_component_rich_style(name)
    own = widget.get_component_rich_style(name, partial=True)
    # The blended colour, without the background of the moment: focus may tint that later.
    return Style(
        color=full.color,
        bgcolor=own.bgcolor and full.bgcolor,
        bold=full.bold,
        italic=full.italic,
        underline=full.underline,
        strike=full.strike,
    )
