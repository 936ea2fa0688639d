"""`rollodex resume` in a real terminal, with a program that stands in for Codex."""

from __future__ import annotations

import errno
import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from click.testing import CliRunner
from other_processes import ROOT

from tui.cli import rollodex

if TYPE_CHECKING:
    from pathlib import Path

    from building import HomeBuilder
    from stand_in_codex import StandIn

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")

SECONDS: Final = 30.0
"""The longest that a test waits for what takes far less."""

SESSION: Final = """
import signal
print("cwd", os.getcwd())
print("arguments", *arguments)
print("home", os.environ.get("CODEX_HOME"))
print("terminal", os.isatty(0) and os.isatty(1) and os.getpgrp() == os.tcgetpgrp(0))
print("interrupts", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
print("ready", flush=True)
try:
    said = input()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(7)
print("said", said, flush=True)
sys.exit(3)
"""


@dataclass
class Terminal:
    """Rollodex in a terminal of its own."""

    process: subprocess.Popen[bytes]
    descriptor: int
    seen: str = ""

    def until(self, text: str) -> str:
        """Read until this is on the terminal; all that was read."""
        deadline = time.monotonic() + SECONDS
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if not self._read():
                break
        assert text in self.seen, self.seen
        return self.seen

    def type(self, keys: bytes) -> None:
        os.write(self.descriptor, keys)

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        return self.process.wait(SECONDS)

    def _read(self) -> bool:
        if not select.select([self.descriptor], [], [], SECONDS)[0]:
            raise AssertionError(f"nothing more came after {self.seen!r}")
        try:
            data = os.read(self.descriptor, 65536)
        except OSError as error:
            if error.errno != errno.EIO:  # how Linux says that the other side was closed
                raise
            return False
        self.seen += data.decode()
        return bool(data)


@dataclass
class Terminals:
    """Opens terminals, and closes what is left of them."""

    arguments: tuple[str, ...]
    opened: list[Terminal]

    def run(self, *arguments: str) -> Terminal:
        ours, theirs = pty.openpty()
        code = (
            "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
            "from tui.cli import main; sys.argv[0] = 'rollodex'; main()"
        )
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code, *self.arguments, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        os.close(theirs)
        self.opened.append(Terminal(process, ours))
        return self.opened[-1]


@pytest.fixture
def where(builder: HomeBuilder, tmp_path: Path) -> tuple[str, ...]:
    return ("--codex-home", str(builder.path), "--state-dir", str(tmp_path / "state"))


@pytest.fixture
def terminals(where: tuple[str, ...]) -> Any:
    made = Terminals(("resume", *where), [])
    yield made
    for terminal in made.opened:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.descriptor)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/side\n")
    return folder


def test_codex_gets_the_terminal_and_its_exit_code_is_ours(
    builder: HomeBuilder, codex_stand_in: StandIn, terminals: Terminals, work: Path
) -> None:
    codex_stand_in.tell(session=SESSION)
    thread_id = builder.add("fix the lease", cwd=str(work), git={"branch": "main"})
    terminal = terminals.run(thread_id)
    seen = terminal.until("ready")
    assert "fix the lease" in seen
    assert "side (then main)" in seen
    assert "sandbox read-only · approval never" in seen
    assert f"cwd {work}\r\n" in seen
    assert f"arguments resume {thread_id}\r\n" in seen
    assert f"home {builder.home.path}\r\n" in seen
    assert "terminal True" in seen
    assert "interrupts True" in seen
    terminal.type(b"hello\n")
    assert terminal.end() == 3
    assert "said hello" in terminal.seen


def test_an_interrupt_is_for_codex(
    builder: HomeBuilder, codex_stand_in: StandIn, terminals: Terminals, work: Path
) -> None:
    codex_stand_in.tell(session=SESSION)
    terminal = terminals.run(builder.add("one", cwd=str(work)))
    terminal.until("ready")
    before = termios.tcgetattr(terminal.descriptor)
    terminal.type(b"\x03")
    assert terminal.end() == 7
    assert "interrupted" in terminal.seen
    assert "Traceback" not in terminal.seen
    assert termios.tcgetattr(terminal.descriptor) == before


def test_a_fork_in_another_folder(
    builder: HomeBuilder, codex_stand_in: StandIn, terminals: Terminals, work: Path, tmp_path: Path
) -> None:
    codex_stand_in.tell(session=SESSION)
    thread_id = builder.add("one", cwd=str(tmp_path / "gone"))
    terminal = terminals.run(thread_id[:35], "--fork", "--cwd", str(work))
    seen = terminal.until("ready")
    assert f"arguments fork -C {work} {thread_id}" in seen
    terminal.type(b"\n")
    assert terminal.end() == 3


def test_what_is_in_the_way_is_said_and_nothing_started(
    builder: HomeBuilder, codex_stand_in: StandIn, terminals: Terminals, work: Path
) -> None:
    codex_stand_in.tell(session=SESSION)
    thread_id = builder.add("one", cwd=str(work), model_provider="azure")
    terminal = terminals.run(thread_id)
    assert terminal.end() == 1
    assert "The model provider azure is not configured" in terminal.seen
    assert "--anyway" in terminal.seen
    assert not codex_stand_in.calls()

    terminal = terminals.run(thread_id, "--anyway")
    terminal.until("ready")
    terminal.type(b"\n")
    assert terminal.end() == 3


def test_a_folder_that_is_gone_cannot_be_gone_on_in(
    builder: HomeBuilder, codex_stand_in: StandIn, terminals: Terminals, tmp_path: Path
) -> None:
    terminal = terminals.run(builder.add("one", cwd=str(tmp_path / "gone")), "--anyway")
    assert terminal.end() == 1
    assert "The thread's folder is gone" in terminal.seen
    assert "You can put that right first" in terminal.seen
    assert not codex_stand_in.calls()


def invoke(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(rollodex, ["resume", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_the_command_alone(
    builder: HomeBuilder, codex_stand_in: StandIn, where: tuple[str, ...], work: Path
) -> None:
    thread_id = builder.add("one", cwd=str(work))
    code, out, err = invoke(*where, thread_id, "--print")
    assert (code, err) == (0, "")
    assert out == (
        f"cd {work} && CODEX_HOME={builder.home.path} {codex_stand_in.program} resume {thread_id}\n"
    )
    gone = builder.add("two", cwd=str(work / "gone"))
    code, out, err = invoke(*where, gone, "--print")
    assert (code, out.count("\n")) == (1, 1)
    assert "folder is gone" in err


def test_what_is_known_as_json(
    builder: HomeBuilder, codex_stand_in: StandIn, where: tuple[str, ...], work: Path
) -> None:
    thread_id = builder.add("one", cwd=str(work), git={"branch": "main"})
    code, out, _ = invoke(*where, thread_id, "--json")
    plan = json.loads(out)
    assert (code, plan["schema_version"], plan["thread_id"]) == (0, 1, thread_id)
    assert plan["argv"] == [codex_stand_in.program, "resume", thread_id]
    assert plan["codex"] == {"path": codex_stand_in.program, "version": "0.169.0"}
    assert (plan["branch_then"], plan["branch_now"]) == ("main", "side")
    assert (
        plan["next"]
        == plan["last"]
        == {
            "model": "gpt-5-codex",
            "provider": "openai",
            "sandbox": "read-only",
            "approval": "never",
        }
    )
    assert plan["notices"] == []


def test_without_a_terminal_it_is_said(
    builder: HomeBuilder, codex_stand_in: StandIn, where: tuple[str, ...], work: Path
) -> None:
    thread_id = builder.add("one", cwd=str(work))
    done = CliRunner().invoke(rollodex, ["resume", *where, thread_id])
    assert "There is no terminal to hand over" in str(done.exception)
    assert not codex_stand_in.calls()
