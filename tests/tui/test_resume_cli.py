"""`rollodex resume` in a real terminal, with a program that stands in for Codex."""

from __future__ import annotations

import json
import sys
import termios
from typing import TYPE_CHECKING, Final

import pytest
from click.testing import CliRunner

from tui.cli import rollodex

if TYPE_CHECKING:
    from pathlib import Path

    from building import HomeBuilder
    from stand_in_codex import StandIn
    from terminals import Terminals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")

SESSION: Final = """
import signal
print("cwd", os.getcwd())
print("arguments", *arguments)
print("home", os.environ.get("CODEX_HOME"))
print("terminal", os.isatty(0) and os.isatty(1) and os.getpgrp() == os.tcgetpgrp(0))
print("interrupts", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
try:
    print("ready", flush=True)
    said = input()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(7)
print("said", said, flush=True)
sys.exit(3)
"""


@pytest.fixture
def where(builder: HomeBuilder, tmp_path: Path) -> tuple[str, ...]:
    return ("--codex-home", str(builder.path), "--state-dir", str(tmp_path / "state"))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/side\n")
    return folder


def test_codex_gets_the_terminal_and_its_exit_code_is_ours(
    builder: HomeBuilder, codex_stand_in: StandIn, terminals: Terminals, where: tuple[str, ...], work: Path
) -> None:
    codex_stand_in.tell(session=SESSION)
    thread_id = builder.add("fix the lease", cwd=str(work), git={"branch": "main"})
    terminal = terminals.run("resume", *where, thread_id)
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
    builder: HomeBuilder, codex_stand_in: StandIn, terminals: Terminals, where: tuple[str, ...], work: Path
) -> None:
    codex_stand_in.tell(session=SESSION)
    terminal = terminals.run("resume", *where, builder.add("one", cwd=str(work)))
    terminal.until("ready")
    before = termios.tcgetattr(terminal.descriptor)
    terminal.type(b"\x03")
    assert terminal.end() == 7
    assert "interrupted" in terminal.seen
    assert "Traceback" not in terminal.seen
    assert termios.tcgetattr(terminal.descriptor) == before


def test_a_fork_in_another_folder(
    builder: HomeBuilder,
    codex_stand_in: StandIn,
    terminals: Terminals,
    where: tuple[str, ...],
    work: Path,
    tmp_path: Path,
) -> None:
    codex_stand_in.tell(session=SESSION)
    thread_id = builder.add("one", cwd=str(tmp_path / "gone"))
    terminal = terminals.run("resume", *where, thread_id[:35], "--fork", "--cwd", str(work))
    seen = terminal.until("ready")
    assert f"arguments fork -C {work} {thread_id}" in seen
    terminal.type(b"\n")
    assert terminal.end() == 3


def test_what_is_in_the_way_is_said_and_nothing_started(
    builder: HomeBuilder, codex_stand_in: StandIn, terminals: Terminals, where: tuple[str, ...], work: Path
) -> None:
    codex_stand_in.tell(session=SESSION)
    thread_id = builder.add("one", cwd=str(work), model_provider="azure")
    terminal = terminals.run("resume", *where, thread_id)
    assert terminal.end() == 1
    assert "The model provider azure is not configured" in terminal.seen
    assert "--anyway" in terminal.seen
    assert not codex_stand_in.calls()

    terminal = terminals.run("resume", *where, thread_id, "--anyway")
    terminal.until("ready")
    terminal.type(b"\n")
    assert terminal.end() == 3


def test_a_folder_that_is_gone_cannot_be_gone_on_in(
    builder: HomeBuilder,
    codex_stand_in: StandIn,
    terminals: Terminals,
    where: tuple[str, ...],
    tmp_path: Path,
) -> None:
    terminal = terminals.run("resume", *where, builder.add("one", cwd=str(tmp_path / "gone")), "--anyway")
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
