"""A program that stands in for `codex`: its commands move the files of a home as Codex's do, and no more."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from pathlib import Path

NEW: Final = "0.169.0"
OLD: Final = "0.105.0"

_COMMANDS: Final = {
    NEW: ("exec", "app-server", "resume", "archive", "delete", "unarchive", "fork"),
    OLD: ("exec", "app-server", "resume", "fork"),
}

_SCRIPT: Final = """#!{python}
import json, os, pathlib, shutil, sys, time

here = pathlib.Path(__file__).parent
told = json.loads((here / "told.json").read_text())
home = pathlib.Path(os.environ["CODEX_HOME"]) if "CODEX_HOME" in os.environ else None
arguments = sys.argv[1:]


def files(thread):
    return [*home.glob(f"sessions/*/*/*/*{{thread}}*"), *home.glob(f"archived_sessions/*{{thread}}*")]


def do(verb, thread):
    if told["idle"]:
        return True
    found = files(thread)
    if not found or thread in told["refuses"]:
        return False
    for each in [thread, *told["takes_along"].get(thread, [])]:
        for file in files(each):
            if verb == "delete":
                file.unlink()
                continue
            day = file.name.removeprefix("rollout-")[:10].split("-")
            folder = home / "archived_sessions" if verb == "archive" else home.joinpath("sessions", *day)
            folder.mkdir(parents=True, exist_ok=True)
            shutil.move(file, folder / file.name)
    return True


def answer(method, parameters):
    if method == "initialize":
        return {{"userAgent": "stand-in/" + told["version"]}}
    if method in ("thread/archive", "thread/unarchive") and do(method[7:], parameters["threadId"]):
        return {{}}
    return None


with (here / "calls.jsonl").open("a") as calls:
    here_now = os.getcwd()
    calls.write(json.dumps([arguments, here_now, os.environ.get("CODEX_HOME")]) + "\\n")
if arguments == ["--version"]:
    print("codex-cli", told["version"])
elif arguments == ["--help"]:
    print("Usage: codex\\n\\nCommands:")
    for command in told["commands"]:
        print(f"  {{command}}  What it does")
    print("\\nOptions:\\n  -h, --help")
elif arguments[0] == "app-server":
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        result = answer(message["method"], message.get("params", {{}}))
        error = {{"code": -32600, "message": "no rollout found"}}
        said = {{"result": result}} if result is not None else {{"error": error}}
        print(json.dumps({{"id": message["id"], **said}}), flush=True)
elif arguments[0] in ("resume", "fork"):
    exec(told["session"])
else:
    if told["waits_for"] is not None:
        (here / "waiting").touch()
        while not pathlib.Path(told["waits_for"]).exists():
            time.sleep(0.01)
    print("WARNING: proceeding, whatever", file=sys.stderr)
    verb, *_, thread = arguments
    if not do(verb, thread):
        print(f"Error: failed to {{verb}} session", file=sys.stderr)
        sys.exit(1)
"""


@dataclass
class StandIn:
    """The program, in a folder of its own that can stand on PATH."""

    folder: Path
    told: dict[str, Any]

    @property
    def program(self) -> str:
        return str(self.folder / "codex")

    def tell(self, **told: Any) -> None:
        """Say how it is to behave from now on.

        `idle`: it does nothing and says that all is well; `refuses`: threads that it fails with;
        `takes_along`: by thread, its sub-agents; `waits_for`: a file without which no command ends;
        `session`: the code that `resume` and `fork` are.
        """
        self.told |= told
        (self.folder / "told.json").write_text(json.dumps(self.told))

    def calls(self) -> list[tuple[list[str], str, str | None]]:
        """Arguments, folder and CODEX_HOME of each call that was no mere question."""
        lines = (self.folder / "calls.jsonl").read_text().splitlines()
        calls = [tuple(json.loads(line)) for line in lines]
        return [call for call in calls if call[0][0] not in ("--version", "--help")]


def stand_in(folder: Path, version: str = NEW) -> StandIn:
    """A stand-in for this version of Codex."""
    folder.mkdir()
    script = folder / "codex"
    script.write_text(_SCRIPT.format(python=sys.executable))
    script.chmod(0o755)
    (folder / "calls.jsonl").touch()
    made = StandIn(folder, {})
    made.tell(
        version=version,
        commands=_COMMANDS[version],
        idle=False,
        refuses=[],
        takes_along={},
        waits_for=None,
        session="",
    )
    return made


@pytest.fixture
def codex_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """A stand-in for today's Codex, alone on PATH but for what the system needs."""
    if os.name != "posix":
        pytest.skip("a script stands in for the program")
    made = stand_in(tmp_path / "stand-in")
    monkeypatch.setenv("PATH", f"{made.folder}:/usr/bin:/bin")
    monkeypatch.delenv("CODEX_HOME", raising=False)
    monkeypatch.delenv("CODEX_SQLITE_HOME", raising=False)
    return made
