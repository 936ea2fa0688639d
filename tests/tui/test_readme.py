"""The README says what the program does: its keys, its commands, its pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import click

from tui.cli import rollodex
from tui.keymap import readme_table

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_keys_are_those_of_the_registry() -> None:
    assert readme_table().strip() in README, f"Put this under “Keys”:\n\n{readme_table()}"


def test_every_command_and_option_is_named() -> None:
    for name, command in all_commands("rollodex", rollodex):
        assert f"`{name}" in README
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert max(parameter.opts, key=len) in README, f"{name} {parameter.opts}"


def all_commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for below, inner in command.commands.items():
            yield from all_commands(f"{name} {below}", inner)


def test_every_picture_is_there() -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    assert pictures
    for picture in pictures:
        assert (ROOT / unquote(picture)).is_file(), picture
