"""Going on with a thread: a sheet says what will be, and Codex gets the terminal."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest
from desks import SMALL_AND_LARGE, Compare, Desk, a_desk_with, an_app, pressing, sized
from fake_actions import SETTINGS
from fake_services import FakeServices, a_desk

from store.errors import ActionRefused
from store.models import Notice
from tui.screens import going_on
from tui.screens.choice import ChoiceScreen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from building import HomeBuilder
    from stand_in_codex import StandIn
    from terminals import Terminals
    from textual.app import App

MISSING: Final = Notice(
    severity="error",
    what="Codex is not installed",
    why="there is no codex on PATH",
    next_step="Install it, then try again",
)
OPEN: Final = Notice(
    severity="error",
    what="The thread is open elsewhere",
    why="process 4711 has it open, and two writers would spoil it",
    next_step="Watch it here, close it there, or fork it",
)
GONE: Final = Notice(
    severity="error",
    what="The thread's folder is gone",
    why="there is no /home/ada/src/app any more",
    next_step="Name a folder to go on in",
)
ELSEWHERE: Final = {
    "open_elsewhere": True,
    "open_pid": 4711,
    "notices": (OPEN,),
    "alternatives": ("watch", "fork"),
}
NO_FOLDER: Final = {"cwd_there": False, "branch_now": None, "notices": (GONE,)}


class Handed:
    """Stands in for the terminal: what it was handed to."""

    def __init__(self) -> None:
        self.to: list[tuple[tuple[str, ...], str | None]] = []
        self.code = 0
        self.error: ActionRefused | None = None

    async def over(
        self, _app: App[Any], argv: Sequence[str], *, cwd: str | None, environment: Mapping[str, str]
    ) -> int:
        self.to.append((tuple(argv), cwd))
        if self.error is not None:
            raise self.error
        return self.code


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> Handed:
    handed = Handed()
    monkeypatch.setattr(going_on, "hand_over", handed.over)
    return handed


def desk_services(**resume: Any) -> FakeServices:
    services = FakeServices(a_desk())
    services.actions.resume = resume
    return services


def said(desk: Desk) -> str:
    """What the sheet says, once there is one."""
    screen = desk.app.screen
    return screen.facts.text if isinstance(screen, ChoiceScreen) and screen.is_mounted else ""


def answers(desk: Desk) -> str:
    screen = desk.app.screen
    assert isinstance(screen, ChoiceScreen)
    return screen.choices.text


async def ask(desk: Desk, key: str = "r") -> None:
    await desk.press(key)
    await desk.until(lambda: said(desk))


async def test_nothing_is_started_unless_it_is_chosen(handed: Handed) -> None:
    async with a_desk_with(desk_services()) as desk:
        await ask(desk)
        assert "gpt-5.4 · sandbox workspace-write · approval on-request" in said(desk)
        assert "cd /home/ada/src/app && /usr/local/bin/codex resume" in said(desk)
        await desk.press("enter")
        await desk.until(lambda: not desk.shows(ChoiceScreen))
        assert handed.to == []


async def test_codex_gets_the_terminal_in_the_threads_folder(handed: Handed) -> None:
    services = desk_services()
    async with a_desk_with(services) as desk:
        await ask(desk)
        await desk.press("down", "enter")
        await desk.until(lambda: services.looked_again)
        first = services.threads.all[0]
        assert handed.to == [(("/usr/local/bin/codex", "resume", first.id), first.cwd)]


async def test_the_thread_that_is_read_is_meant_in_the_transcript(handed: Handed) -> None:
    services = desk_services()
    async with a_desk_with(services) as desk:
        await desk.press("down", "enter")
        await desk.until(lambda: desk.browser.reader.thread == services.threads.all[1])
        await ask(desk)
        assert [thread_id for _, thread_id, _ in services.actions.planned] == [services.threads.all[1].id]


async def test_what_has_ended_badly_is_said(handed: Handed) -> None:
    handed.code = 3
    async with a_desk_with(desk_services()) as desk:
        await ask(desk)
        await desk.press("down", "enter")
        await desk.until(
            lambda: [n.message for n in desk.app._notifications] == ["Codex has ended with exit code 3."]
        )


async def test_what_cannot_be_started_is_said(handed: Handed) -> None:
    handed.error = ActionRefused("/usr/local/bin/codex cannot be started", why="Permission denied")
    async with a_desk_with(desk_services()) as desk:
        await ask(desk)
        await desk.press("down", "enter")
        await desk.until(lambda: desk.browser.notice_bar.notices)
        assert desk.browser.notice_bar.notices[0].why == "Permission denied"


async def test_without_codex_there_is_nothing_to_choose(handed: Handed) -> None:
    async with a_desk_with(desk_services(program=None, notices=(MISSING,))) as desk:
        await ask(desk)
        assert "Codex is not installed: there is no codex on PATH." in said(desk)
        assert answers(desk).split() == [">", "Close"]


async def test_what_is_open_elsewhere_is_watched_or_forked(handed: Handed) -> None:
    services = desk_services(**ELSEWHERE)
    async with a_desk_with(services) as desk:
        await ask(desk)
        assert "process 4711" in said(desk)
        assert "Resume" not in answers(desk)
        await desk.press("down", "enter")
        await desk.until(lambda: desk.pane() == "transcript")
        assert handed.to == []
        await ask(desk)
        await desk.press("down", "down", "enter")
        await desk.until(lambda: handed.to)
        assert handed.to[0][0][1] == "fork"


async def test_another_folder_stands_in_for_one_that_is_gone(handed: Handed) -> None:
    services = desk_services(**NO_FOLDER)
    async with a_desk_with(services) as desk:
        await ask(desk)
        assert "The thread's folder is gone" in said(desk)
        await desk.press("down", "enter")
        await desk.until(lambda: handed.to)
        (argv, cwd) = handed.to[0]
        assert (argv[1:4], cwd) == (("resume", "-C", "/somewhere/else"), "/somewhere/else")


async def test_what_would_fail_can_be_tried_all_the_same(handed: Handed) -> None:
    azure = Notice(severity="error", what="The model provider azure is not configured")
    async with a_desk_with(desk_services(notices=(azure,), provider_configured=False)) as desk:
        await ask(desk)
        assert "The model provider azure is not configured." in said(desk)
        assert "Resume it in Codex all the same" in answers(desk)


async def test_what_comes_from_rollouts_is_plain_text(handed: Handed) -> None:
    services = desk_services(last=SETTINGS.model_copy(update={"model": "[b]m[/b]\x1b[31m"}))
    async with a_desk_with(services) as desk:
        await desk.press(*["down"] * 5)
        await ask(desk)
        assert "[b]m[/b]" in said(desk)
        assert "\x1b" not in said(desk)


def notes(desk: Desk) -> list[str]:
    return [each.message for each in desk.app._notifications]


@pytest.mark.parametrize(
    ("key", "copied"),
    [
        ("i", "0199c000-0000-7000-8000-000000000000"),
        ("p", "/home/ada/.codex/sessions/2025/10/09/rollout-0.jsonl"),
        ("r", "cd /home/ada/src/app && /usr/local/bin/codex resume 0199c000-0000-7000-8000-000000000000"),
    ],
)
async def test_a_letter_after_y_copies(key: str, copied: str) -> None:
    services = desk_services()
    async with a_desk_with(services) as desk:
        await ask(desk, "y")
        await desk.press(key)
        await desk.until(lambda: services.actions.copied)
        assert services.actions.copied == [copied]
        await desk.until(lambda: notes(desk) == [f"Sent {len(copied)} B to the terminal's clipboard"])


async def test_what_the_item_under_the_cursor_says_is_copied() -> None:
    services = desk_services()
    async with a_desk_with(services) as desk:
        await desk.press("enter")
        await desk.until(lambda: desk.browser.reader.cursor_item)
        await ask(desk, "y")
        await desk.press("m")
        await desk.until(lambda: services.actions.copied)
        assert services.actions.copied[0].startswith("The claim reads before it takes the lock.")


async def test_where_nothing_is_read_there_is_no_message() -> None:
    services = desk_services()
    async with a_desk_with(services, (80, 24)) as desk:
        await ask(desk, "y")
        await desk.press("m")
        await desk.until(lambda: notes(desk))
        assert "no message" in notes(desk)[0]
        await desk.press("escape")
        assert services.actions.copied == []


@sized(SMALL_AND_LARGE)
def test_copying(snap_compare: Compare, size: tuple[int, int]) -> None:
    """What each letter copies; the arrows show it first."""
    assert snap_compare(an_app(desk_services()), terminal_size=size, run_before=pressing("y", "down"))


@sized(SMALL_AND_LARGE)
def test_before_resuming(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Where and with what it goes on, the exact command, and Cancel is chosen."""
    services = desk_services(
        branch_now="side",
        next=SETTINGS.model_copy(update={"model": "gpt-5.4-codex"}),
        next_from="config.toml",
        environment={"CODEX_HOME": "/home/ada/.codex"},
    )
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing("r"))


@sized(SMALL_AND_LARGE)
def test_open_elsewhere(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Watching and forking instead."""
    services = desk_services(**ELSEWHERE)
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing("r", "down", "down"))


@sized(SMALL_AND_LARGE)
def test_not_installed(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Said before anything else; what is known of the thread stays."""
    services = desk_services(program=None, next=None, next_from=None, notices=(MISSING,))
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing("r"))


SESSION: Final = """
print("\\nchild in", os.getcwd(), flush=True)
try:
    print("ready", flush=True)
    input()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(7)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
def test_in_a_real_terminal(
    builder: HomeBuilder, codex_stand_in: StandIn, terminals: Terminals, tmp_path: Path
) -> None:
    """^C is for Codex; the screen comes back whole, in the size that the terminal has by then."""
    import fcntl
    import termios

    codex_stand_in.tell(session=SESSION)
    work = tmp_path / "work"
    work.mkdir()
    thread_id = builder.add("fix the lease", cwd=str(work))
    terminal = terminals.run("--codex-home", str(builder.path), "--state-dir", str(tmp_path / "state"))
    fcntl.ioctl(terminal.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 110, 0, 0))
    terminal.until("fix the lease")
    terminal.type(b"r")
    terminal.until("Resume it in Codex")
    terminal.type(b"\x1b[B\r")
    seen = terminal.until("ready")
    assert f"child in {work}" in seen
    # The screen is not drawn on while it is somebody else's, though everything here goes on.
    builder.add("came meanwhile", cwd=str(work))
    terminal.seen = ""
    fcntl.ioctl(terminal.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
    terminal.type(b"\x03")
    terminal.until("interrupted")
    between = terminal.seen.partition("interrupted")[0]
    assert "\x1b[" not in between
    seen = terminal.until("exit code 7")
    terminal.until("came meanwhile")
    assert "\x1b[?1049h" in seen
    for part in ("Rollodex", "1 Threads", "fix the lease", "4 Backfill"):
        assert part in terminal.seen.partition("interrupted")[2]
    terminal.type(b"q")
    assert terminal.end() == 0
    assert [call[0] for call in codex_stand_in.calls()] == [["resume", thread_id]]
    assert "Traceback" not in terminal.seen
