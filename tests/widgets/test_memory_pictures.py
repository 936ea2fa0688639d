"""How the panes of the memory pipeline look, narrow and wide."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from memory_values import (
    EOF_ERROR,
    NOW,
    ROOT,
    TITLES,
    busy_jobs,
    change,
    codex_pipeline,
    global_row,
    job_row,
    memory,
    phase2,
    pipeline,
    run,
    thread_id,
)
from reading import WidgetApp, settled, thread
from textual.containers import Vertical
from textual.widgets import Static

from store.memories.models import ExtractionResult, RunProgress
from widgets.glyphs import ASCII, UNICODE
from widgets.job_details import JobDetails
from widgets.memory_artifacts import Artifact, ArtifactList, ArtifactReader
from widgets.memory_diff import MemoryDiff
from widgets.memory_history import RunList
from widgets.memory_jobs import JobList, JobsHeading
from widgets.memory_run_view import MemoryRunView
from widgets.memory_strip import MemoryStrip
from widgets.thread_details import Details, ThreadDetails

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.pilot import Pilot

HOME = Path("/home/me")
WIDTHS = pytest.mark.parametrize("width", [78, 158])

OURS = pipeline(*busy_jobs(), outputs=34, waiting=6, phase2=phase2("pending"))
CODEX = codex_pipeline(
    *(job_row(number, "waits") for number in range(20, 28)),
    global_row("done"),
    outputs=12,
    phase2=phase2("done", last_success_at=NOW - 50 * 3600),
    waits=("Codex takes two threads per start of a session.", "Threads must be idle for 6 hours."),
)


class Table(Vertical):
    """The jobs below the names of their columns."""

    def __init__(self, jobs: JobList) -> None:
        super().__init__()
        self.jobs = jobs

    def compose(self) -> ComposeResult:
        yield JobsHeading()
        yield self.jobs


class StripApp(WidgetApp):
    """A strip under something else."""

    CSS = "#above { height: 1fr; }"

    def compose(self) -> ComposeResult:
        above = Static("", id="above")
        above.can_focus = True
        yield above
        yield self.widget


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("focused", [False, True], ids=["line", "grown"])
def test_strip(snap_compare: Callable[..., bool], width: int, focused: bool) -> None:
    """One line with the worst first, or both pipelines in rows: consolidation, counts, jobs by name."""
    strip = MemoryStrip(user_home=HOME, zone=UTC)

    async def show(pilot: Pilot[None]) -> None:
        strip.show([OURS, CODEX], NOW)
        (strip if focused else app.query_one("#above")).focus()
        await pilot.pause()

    app = StripApp(strip)
    assert snap_compare(app, terminal_size=(width, 14 if focused else 3), run_before=show)


@WIDTHS
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_jobs(snap_compare: Callable[..., bool], width: int, glyphs: object) -> None:
    """The consolidation first and bright; failures red with their error; numbers right, columns in line."""
    jobs = JobList(zone=UTC, glyphs=glyphs)  # type: ignore[arg-type]

    async def show(pilot: Pilot[None]) -> None:
        jobs.show_jobs(OURS, NOW)
        jobs.focus()
        await settled(pilot)

    assert snap_compare(WidgetApp(Table(jobs)), terminal_size=(width + 2, 20), run_before=show)


@WIDTHS
def test_job(snap_compare: Callable[..., bool], width: int) -> None:
    """What the job is about, the sentence, the facts in a column, the whole error."""
    details = JobDetails(user_home=HOME, zone=UTC)
    error = f"{EOF_ERROR}\n\nstderr of the engine:\n  thread 'main' panicked at \x1b[31mlib.rs:12\x1b[0m\n"

    async def show(pilot: Pilot[None]) -> None:
        details.show(job_row(1, "waits", thread_title=TITLES[0], last_error=error * 3), NOW)
        await pilot.pause()

    assert snap_compare(WidgetApp(details), terminal_size=(width + 2, 34), run_before=show)


@WIDTHS
@pytest.mark.parametrize("ended", [False, True], ids=["running", "ended"])
def test_run(snap_compare: Callable[..., bool], width: int, ended: bool) -> None:
    """What runs and for how long, a bar with the count, what is done now; the engine's words below."""
    view = MemoryRunView()

    async def show(pilot: Pilot[None]) -> None:
        titles = {thread_id(number): title for number, title in enumerate(TITLES, 1)}
        view.begin("Extracting 12 threads with codex", NOW, titles)
        for number in range(1, 5):
            progress = RunProgress(
                phase="extraction",
                step="engine",
                done=number - 1,
                total=12,
                thread_id=thread_id(number),
                output="reading the conversation\ntokens used: 12,345\n",
            )
            view.add(progress, NOW + 20 * number)
        if ended:
            view.add(RunProgress(phase="extraction", step="engine", done=12, total=12), NOW + 120)
            failures = ((thread_id(2), EOF_ERROR),)
            result = ExtractionResult(
                outcome="succeeded", claimed=12, succeeded=10, no_output=1, failed=1, failures=failures
            )
            view.finish(result, NOW + 123)
        view.draw_what_came()
        await pilot.pause()

    assert snap_compare(WidgetApp(view), terminal_size=(width + 2, 20), run_before=show)


@WIDTHS
def test_runs(snap_compare: Callable[..., bool], width: int) -> None:
    """Number, time, what it was, engine, inputs and files; a failure with its reason in red."""
    runs = RunList(zone=UTC)
    shown = [
        run(
            14, kind="restore", restores=12, engine=None, inputs=0, started_at=NOW - 60, finished_at=NOW - 60
        ),
        run(
            13, status="failed", engine="codex", reason="codex exec ended with status 1: no auth", changed=()
        ),
        run(12, engine="command:summarize --fast", finished_at=NOW - 100),
        run(11, kind="rebuild", engine=None, started_at=NOW - 86_400, finished_at=NOW - 86_399),
        run(10, changed=(), started_at=NOW - 40 * 86_400, finished_at=NOW - 40 * 86_400 + 4),
        run(9, kind="import", engine=None, inputs=0, started_at=NOW - 400 * 86_400, finished_at=None),
    ]

    async def show(pilot: Pilot[None]) -> None:
        runs.show_runs(shown, NOW)
        await settled(pilot)

    assert snap_compare(WidgetApp(runs), terminal_size=(width + 2, 10), run_before=show)


@WIDTHS
def test_diff(snap_compare: Callable[..., bool], width: int) -> None:
    """The run's line; each file with what became of it and the changed lines behind their signs."""
    view = MemoryDiff(zone=UTC)
    before = "# Memory\n\n## app\n\n- Tests need `BEGIN`.\n- Small commits.\n\n## infra\n\n- Bump weekly.\n"
    after = before.replace("`BEGIN`", "`BEGIN IMMEDIATE`") + "- Pin the base image.\n"
    changes = (
        change("MEMORY.md", before, after),
        change("memory_summary.md", None, "v1\n\n## User Profile\n\nWrites \x1b[31mPython\x1b[0m.\n"),
        change("rollout_summaries/old.md", "gone\n", None),
    )

    async def show(pilot: Pilot[None]) -> None:
        view.show(run(), changes, NOW)
        await pilot.pause()

    assert snap_compare(WidgetApp(view), terminal_size=(width + 2, 36), run_before=show)


@WIDTHS
def test_artifacts(snap_compare: Callable[..., bool], width: int) -> None:
    """Files with size and age; a rollout summary by the title of its thread."""
    files = ArtifactList(user_home=HOME, zone=UTC)
    shown = [
        Artifact("MEMORY.md", 8_200, NOW - 300),
        Artifact("memory_summary.md", 2_100, NOW - 300),
        Artifact("raw_memories.md", 184_000, NOW - 4_000),
        *(
            Artifact(f"rollout_summaries/{thread_id(number)}.md", 900 * number, NOW - 86_400 * number, title)
            for number, title in enumerate(TITLES, 1)
        ),
        Artifact(f"rollout_summaries/{thread_id(9)}.md", 12, None),
    ]

    async def show(pilot: Pilot[None]) -> None:
        files.show_artifacts(ROOT, shown, NOW)
        await settled(pilot)

    assert snap_compare(WidgetApp(files), terminal_size=(width + 2, 14), run_before=show)


def test_reader(snap_compare: Callable[..., bool]) -> None:
    """Markdown with calm headings, lists and code."""
    reader = ArtifactReader()
    text = (
        "v1\n\n## User Profile\n\nWrites *Python*, reads diffs.\n\n## General Tips\n\n- run `pytest -q`\n"
        "- commit in small steps\n\n```sh\nrg -n BEGIN store\n```\n"
    )

    async def show(pilot: Pilot[None]) -> None:
        reader.show("memory_summary.md", text)
        await pilot.pause()

    assert snap_compare(WidgetApp(reader), terminal_size=(80, 18), run_before=show)


@WIDTHS
def test_memory_of_a_thread(snap_compare: Callable[..., bool], width: int) -> None:
    """Below the facts: the thread's memory, its raw memory unfolded, and those of the project."""
    view = ThreadDetails(zone=UTC)
    shown = thread(id=thread_id(1), title=TITLES[0], cwd="/home/me/src/app", updated_at=NOW * 1000)
    recent = [memory(number, title=TITLES[number - 1]) for number in range(1, 5)]

    async def show(pilot: Pilot[None]) -> None:
        view.show(
            Details(shown, NOW * 1000, user_home=HOME, memory=memory(1), recent_memories=recent),
        )
        view._unfolded.add("raw memory")
        view.rebuild()
        await pilot.pause()

    assert snap_compare(WidgetApp(view), terminal_size=(width + 2, 36), run_before=show)
