"""Pictures of every state that the shell and the Threads pane can be in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desks import SMALL_AND_LARGE, Compare, an_app, pressing, sized
from fake_services import HOME, NOW, USER_HOME, FakeServices, a_desk, a_thread

from store.errors import HomeError
from store.models import BackfillFailure, BackfillProgress, Notice
from widgets.empty_state import EmptyState

if TYPE_CHECKING:
    import pytest
    from textual.pilot import Pilot

READING = BackfillProgress(
    status="running",
    step="full",
    done=7_310,
    total=12_408,
    failed=2,
    rate=1_240.0,
    seconds_left=4.1,
    bytes_done=700_000_000,
    bytes_total=1_600_000_000,
    owner_is_this_process=True,
    started_at=NOW - 6_000,
    failures=(
        BackfillFailure(path="sessions/2025/10/02/rollout-a.jsonl", reason="permission denied"),
        BackfillFailure(path="sessions/2025/09/28/rollout-b.jsonl", reason="no line says what it is"),
    ),
)
LOCKED = Notice(
    severity="warning",
    what="Codex's state_5.sqlite cannot be read",
    why="locked for 30 s by pid 4711",
    next_step="The list is complete from the files; trying again in 10 s",
)
CORRUPT = Notice(
    severity="warning",
    what="state_1.sqlite was damaged and has been set aside as state_1.sqlite.20251009T085320",
    why="file is not a database",
    next_step="It is being rebuilt from the rollouts",
)


@sized()
def test_threads(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Ages and tokens line up; titles are bright, all about them muted; one row is selected."""
    assert snap_compare(an_app(FakeServices(a_desk())), terminal_size=size, run_before=pressing("down"))


@sized(SMALL_AND_LARGE)
def test_unfolded(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Sub-agent threads stand indented under their parent, which says -3."""
    services = FakeServices(a_desk())
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing("right", "down", "down"))


@sized(SMALL_AND_LARGE)
def test_filtering(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The box stands above the list, and the header counts what matches."""
    services = FakeServices(a_desk())
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing("slash", *"lea"))


@sized(SMALL_AND_LARGE)
def test_archived_too_sorted_by_start(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Archived threads are muted and carry their glyph; the frame says how the list is sorted."""
    services = FakeServices(a_desk())
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing("A", "s", "S"))


@sized()
def test_reading_a_thread(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The focus is in the transcript; where it is narrow it has the screen, and the tabs say so."""
    assert snap_compare(an_app(FakeServices(a_desk())), terminal_size=size, run_before=pressing("enter"))


@sized(SMALL_AND_LARGE)
def test_backfill_with_the_focus(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The strip has grown to twelve rows."""
    services = FakeServices(a_desk(), progress=READING)
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing("4"))


@sized()
def test_locked_database(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The notice says what, why and what happens next; the list is badged as coming from files."""
    services = FakeServices(a_desk(), source="files", notices=[LOCKED], progress=READING)
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing())


@sized(SMALL_AND_LARGE)
def test_corrupt_database(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Two notices: the first is shown, the other counted."""
    services = FakeServices(a_desk(), source="files", notices=[CORRUPT, LOCKED])
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing())


@sized()
def test_empty_home(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Calm words in the middle say what to do."""
    assert snap_compare(an_app(FakeServices()), terminal_size=size, run_before=pressing())


@sized()
def test_missing_home(snap_compare: Compare, size: tuple[int, int]) -> None:
    """What, why, and what to do; two keys."""
    error = HomeError(
        "There is no Codex home",
        why=f"{HOME} does not exist",
        next_step="Run codex once, or name another home with --codex-home",
    )
    services = FakeServices(open_error=error)
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing())


@sized()
def test_no_match(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The words say where there would be matches, and the keys that show them."""
    infra = str(USER_HOME / "src/infra")
    threads = [*a_desk(), a_thread(50, title="Old lease", archived=True, cwd=infra)]
    services = FakeServices(threads, launch_folder=infra)
    keys = pressing("full_stop", "slash", *"lease")
    assert snap_compare(an_app(services), terminal_size=size, run_before=keys)


@sized(SMALL_AND_LARGE)
def test_loading(snap_compare: Compare, size: tuple[int, int]) -> None:
    """After 300 ms without rows a quiet word."""

    async def wait(pilot: Pilot[None]) -> None:
        while not pilot.app.screen.query_one(EmptyState).words:
            await pilot.pause(0.01)
        await pilot.pause()

    assert snap_compare(an_app(FakeServices(opens=False)), terminal_size=size, run_before=wait)


@sized()
def test_help(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Every key once, in as many columns as fit."""
    services = FakeServices(a_desk())
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing("question_mark"))


@sized(SMALL_AND_LARGE)
def test_palette(snap_compare: Compare, size: tuple[int, int]) -> None:
    """One line a command, its keys on the right."""
    services = FakeServices(a_desk())
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing("ctrl+p"))


@sized(SMALL_AND_LARGE)
def test_light_theme(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The same calm on white."""
    services = FakeServices(a_desk(), notices=[LOCKED])
    app = an_app(services, theme="rollodex-light")
    assert snap_compare(app, terminal_size=size, run_before=pressing("down"))


@sized(SMALL_AND_LARGE)
def test_no_color(snap_compare: Compare, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Focus, selection and states are told apart without a colour."""
    monkeypatch.setenv("NO_COLOR", "1")
    services = FakeServices(a_desk(), notices=[LOCKED])
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing("down"))


@sized(SMALL_AND_LARGE)
def test_ascii(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Frames, glyphs and cuts need nothing but ASCII."""
    services = FakeServices(a_desk(), notices=[LOCKED], source="files", progress=READING)
    assert snap_compare(an_app(services, ascii_only=True), terminal_size=size, run_before=pressing("down"))


@sized({"120x40": (120, 40)})
def test_textual_theme(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Textual's own dark theme serves as well."""
    app = an_app(FakeServices(a_desk()), theme="textual-dark")
    assert snap_compare(app, terminal_size=size, run_before=pressing("down"))
