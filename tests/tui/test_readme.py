"""The README says what the program does: its keys, its commands, its pictures."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import click

from tui.cli import rollodex
from tui.keymap import readme_table

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_keys_are_those_of_the_registry() -> None:
    assert readme_table().strip() in README, f"Put this under “Keys”:\n\n{readme_table()}"


def test_every_command_and_option_is_named() -> None:
    for name, command in rollodex.commands.items():
        assert f"`rollodex {name}" in README
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert max(parameter.opts, key=len) in README, f"{name} {parameter.opts}"


def test_every_picture_is_there() -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", README)
    assert pictures
    for picture in pictures:
        assert (ROOT / unquote(picture)).is_file(), picture
