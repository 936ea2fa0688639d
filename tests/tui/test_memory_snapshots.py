"""Pictures of the Memory pane, the Memory screen and the sheets that come before anything runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from desks import Compare, pressing, settle, sized
from fake_services import FakeServices, StillClock, a_thread
from memory_values import (
    HOUR,
    NOW,
    TITLES,
    busy_jobs,
    change,
    codex_pipeline,
    global_row,
    job_row,
    phase2,
    pipeline,
    run,
    thread_id,
)

from store.memories.models import ExtractionResult, RunProgress
from store.models import Notice
from tui.app import RollodexApp
from tui.memory_orders import Errand, Extract
from tui.screens.memory import MemoryScreen
from widgets.memory_artifacts import Artifact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.pilot import Pilot

SIZES = {"80x24": (80, 24), "120x40": (120, 40), "160x45": (160, 45)}
NARROW_AND_WIDE = {name: SIZES[name] for name in ("80x24", "120x40")}

OURS = pipeline(*busy_jobs(), outputs=34, waiting=6, phase2=phase2("pending"))
CODEX = codex_pipeline(
    *(job_row(number, "waits", retry_remaining=2) for number in range(20, 28)),
    global_row("done"),
    outputs=12,
    phase2=phase2("done", last_success_at=NOW - 50 * HOUR),
    waits=("Codex takes two threads per start of a session.", "Threads must be idle for 6 hours."),
)
UNREADABLE = codex_pipeline(
    notice=Notice(
        severity="warning",
        what="Codex's memories_1.sqlite cannot be read",
        why="locked for 30 s by pid 4711",
        next_step="Trying again in 10 s",
    )
)


def services() -> FakeServices:
    threads = [a_thread(number, title=title) for number, title in enumerate(TITLES, 1)]
    fakes = FakeServices(threads)
    fakes.memories.now = (OURS, CODEX)
    fakes.memories.titles = {thread_id(number): title for number, title in enumerate(TITLES, 1)}
    return fakes


def an_app(fakes: FakeServices, *, ascii_only: bool = False, theme: str = "rollodex-dark") -> RollodexApp:
    return RollodexApp(fakes, StillClock(NOW * 1000), ascii_only=ascii_only, theme=theme)


def at_memory(*keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Open the memory screen, then press keys."""
    return pressing("5", "enter", *keys)


def under_way(fakes: FakeServices) -> Errand:
    """An extraction that has come half-way."""
    errand = Errand(Extract("codex"), NOW - 75, fakes.memories.titles)
    said = ("Reading the rollout.\n", "", "[bold]not markup[/bold] \x1b[31mred\n", "日本語の出力も\n")
    for number, output in enumerate(said):
        errand.report(
            RunProgress(
                phase="extraction",
                step="stored" if number == 1 else "engine",
                done=number,
                total=6,
                thread_id=thread_id(1 + number // 2),
                output=output,
            )
        )
    fakes.memories.errand = errand
    return errand


@sized(SIZES)
def test_pane_with_the_focus(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The strip has grown to twelve rows: each pipeline, where it stands and why."""
    assert snap_compare(an_app(services()), terminal_size=size, run_before=pressing("5"))


@sized(SIZES)
def test_jobs(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Every state of a job has its glyph; the one under the cursor is told in full, its error included."""
    assert snap_compare(an_app(services()), terminal_size=size, run_before=at_memory("down", "down"))


@sized(NARROW_AND_WIDE)
def test_failed_jobs_only(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The frame says what is listed, and how many are not."""
    assert snap_compare(an_app(services()), terminal_size=size, run_before=at_memory("F", "F"))


@sized(SIZES)
def test_codexs_pipeline(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The second tab: the same table, and why Codex waits."""
    assert snap_compare(an_app(services()), terminal_size=size, run_before=at_memory("tab"))


@sized(NARROW_AND_WIDE)
def test_unreadable(snap_compare: Compare, size: tuple[int, int]) -> None:
    """What, why, and what happens next, where the jobs would be."""
    fakes = services()
    fakes.memories.now = (OURS, UNREADABLE)
    assert snap_compare(an_app(fakes), terminal_size=size, run_before=at_memory("tab"))


@sized(NARROW_AND_WIDE)
def test_nothing_yet(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Calm words say what could be done."""
    fakes = services()
    fakes.memories.now = (pipeline(waiting=6),)
    assert snap_compare(an_app(fakes), terminal_size=size, run_before=at_memory())


@sized(SIZES)
def test_job_on_a_sheet(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Where there is no room beside the list, the job comes over it; else it gets the focus."""
    assert snap_compare(an_app(services()), terminal_size=size, run_before=at_memory("down", "down", "enter"))


@sized(SIZES)
def test_before_an_extraction(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Engine, threads, tokens and what is written, and Cancel is chosen."""
    assert snap_compare(an_app(services()), terminal_size=size, run_before=at_memory("X"))


@sized(NARROW_AND_WIDE)
def test_before_an_extraction_that_costs(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The facts are those of the answer under the cursor."""
    assert snap_compare(an_app(services()), terminal_size=size, run_before=at_memory("X", "down", "down"))


@sized(SIZES)
def test_a_root_of_codexs(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Codex may be asked to run its own, or another folder be taken; each says at what cost."""
    fakes = services()
    fakes.memories.consolidation = replace(
        fakes.memories.consolidation,
        owned="its memories_1.sqlite has jobs for it",
        elsewhere="/home/ada/.local/state/rollodex/codex-1a2b3c4d-memories",
        codex_skips=(
            "No thread is due for extraction: none has rested long enough with something new in it",
            "Consolidation is not due: Codex lets it rest for 6 hours after each success",
            "It costs tokens: extractions (up to 2), a consolidation by an agent and one short turn",
        ),
    )
    assert snap_compare(an_app(fakes), terminal_size=size, run_before=at_memory("c", "down"))


@sized(NARROW_AND_WIDE)
def test_before_an_undoing(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Which files go back, and that this can be undone as well."""
    fakes = services()
    fakes.memories.all_runs = [run(12)]
    assert snap_compare(an_app(fakes), terminal_size=size, run_before=at_memory("u"))


@sized(SIZES)
def test_what_runs(snap_compare: Compare, size: tuple[int, int]) -> None:
    """How far it is and what the engine says, thread by thread."""
    fakes = services()
    under_way(fakes)
    assert snap_compare(an_app(fakes), terminal_size=size, run_before=_at_run(fakes))


@sized(NARROW_AND_WIDE)
def test_what_ran(snap_compare: Compare, size: tuple[int, int]) -> None:
    """How it ended stays until it is put away, with each failure."""
    fakes = services()
    result = ExtractionResult(
        outcome="failed",
        reason="1 of 6 failed",
        claimed=6,
        succeeded=4,
        no_output=1,
        failed=1,
        failures=((thread_id(2), "the engine answered with no JSON"),),
    )
    under_way(fakes).end(result)
    assert snap_compare(an_app(fakes), terminal_size=size, run_before=_at_run(fakes))


def _at_run(fakes: FakeServices) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Open the memory screen, and wait for what the engine has said last."""

    async def wait(pilot: Pilot[None]) -> None:
        await at_memory()(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, MemoryScreen)
        while "日本語の出力も" not in screen.run_view.output.lines:
            await pilot.pause(0.01)
        screen.run_view.output.draw_what_came()
        await settle(pilot)

    return wait


@sized(SIZES)
def test_what_changed(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The runs, and what the one under the cursor changed, file by file."""
    fakes = services()
    fakes.memories.all_runs = [
        run(14, kind="restore", restores=12, engine=None, inputs=0),
        run(13, status="failed", changed=(), reason="the lease was lost"),
        run(12, engine="codex"),
    ]
    memory = change(
        "MEMORY.md", "# Memory\n\n- old habit\n- small commits\n", "# Memory\n\n- small commits\n- new\n"
    )
    changes = [memory, change("memory_summary.md", None, "v1\n\n## User Profile\n")]
    fakes.memories.run_changes = {12: changes, 13: [], 14: changes}
    assert snap_compare(an_app(fakes), terminal_size=size, run_before=at_memory("d"))


@sized(SIZES)
def test_files(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The files of the folder, and the one under the cursor set as markdown."""
    fakes = services()
    text = (
        "# Memory\n\n## app\n\n- Tests of claims need `BEGIN IMMEDIATE`.\n- The user prefers small commits.\n"
    )
    summary = f"rollout_summaries/{thread_id(1)}.md"
    fakes.memories.files = {
        "MEMORY.md": (Artifact("MEMORY.md", 2_140, NOW - HOUR), text),
        "memory_summary.md": (Artifact("memory_summary.md", 840, NOW - HOUR), "v1\n"),
        summary: (Artifact(summary, 1_200, NOW - 30 * HOUR, TITLES[0]), "summary"),
    }
    assert snap_compare(an_app(fakes), terminal_size=size, run_before=at_memory("a"))


@sized(NARROW_AND_WIDE)
def test_marked_threads(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Marked threads carry a mark; the frame says how many there are and what may be done with them."""
    run_before = pressing("space", "down", "space")
    assert snap_compare(an_app(services()), terminal_size=size, run_before=run_before)


@sized(NARROW_AND_WIDE)
def test_ascii(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Frames, glyphs and cuts need nothing but ASCII."""
    app = an_app(services(), ascii_only=True)
    assert snap_compare(app, terminal_size=size, run_before=at_memory("down", "down"))


@sized(NARROW_AND_WIDE)
def test_light_theme(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The same calm on white, and on the sheet."""
    app = an_app(services(), theme="rollodex-light")
    assert snap_compare(app, terminal_size=size, run_before=at_memory("X", "down"))
