"""The jobs table and one job: filters, words where it is empty, and nothing that jumps."""

from __future__ import annotations

import re
from datetime import UTC
from pathlib import Path

import pytest
from memory_values import NOW, TITLES, busy_jobs, codex_pipeline, global_row, job_row, pipeline, thread_id
from reading import WidgetApp, screen_text, settled
from textual.app import ComposeResult  # noqa: TC002 - Textual reads it
from textual.containers import Vertical

from store.models import Notice
from widgets.glyphs import ASCII
from widgets.job_details import JobDetails
from widgets.memory_jobs import GROUPS, Columns, JobFilter, JobList, JobsHeading
from widgets.memory_words import job_name

HEADINGS = ("state", "thread", "project", "retries", "begun", "took", "lease")
EVIL = "\x1b[2J\u202e[@click=app.quit]x[/]\x00"


class Table(Vertical):
    def __init__(self, jobs: JobList) -> None:
        super().__init__()
        self.jobs = jobs

    def compose(self) -> ComposeResult:
        yield JobsHeading()
        yield self.jobs


def lines(jobs: JobList) -> list[str]:
    return [line for y in range(jobs.size.height) if (line := jobs.render_line(y).text.strip())]


async def test_the_wide_table_says_everything_of_each_job() -> None:
    jobs = JobList(zone=UTC)
    async with WidgetApp(Table(jobs), framed=False).run_test(size=(160, 20)) as pilot:
        jobs.show_jobs(pipeline(*busy_jobs()), NOW)
        await settled(pilot)
        # Two blanks at least stand between two columns.
        heading, *rows = (re.split(r" {2,}", line.strip()) for line in screen_text(pilot.app).split("\n")[:7])
    assert heading == [*HEADINGS, "next try", "error"]
    assert rows[0] == ["◌ pending", "consolidation"]
    assert rows[1] == ["● running", TITLES[0], "app", "8m", "8 min", "52 min"]
    assert rows[2][:-1] == ["✗ failed", TITLES[1], "app", "2 left", "2h", "41 s", "14:53"]
    assert rows[2][-1].startswith("EOF while parsing")
    assert rows[3][-2] == "now"
    assert rows[4][3:5] == ["0 left", "2h"]
    assert rows[4][-2] == "no retry left"
    assert rows[5] == ["! abandoned", TITLES[4], "app", "3 left", "2h", "over", "at next run"]


@pytest.mark.parametrize("width", [20, 40, 71, 72, 109, 110, 139, 140, 200])
def test_columns_fill_the_width_and_never_more(width: int) -> None:
    columns = Columns.of(width)
    cells = [columns.thread, columns.project, columns.retries, columns.started, columns.took]
    cells += [columns.lease, columns.next, columns.error]
    total = 11 + sum(cell + columns.gap for cell in cells if cell)
    assert total <= max(width, 42)
    assert columns.thread >= 8


@pytest.mark.parametrize(
    ("wanted", "titles"),
    [
        (JobFilter("running"), {"Fix the flaky stage-1 test", "Leases for jobs"}),
        (JobFilter("pending"), {"consolidation"}),
        (JobFilter(words="PARSER eof"), {"Port the parser to the new grammar"}),
        (JobFilter(words="infra"), {"nightly: bump dependencies"}),
        (JobFilter(words=thread_id(7)), {thread_id(7)}),
        (JobFilter("failed", "gave up"), {TITLES[3]}),
    ],
)
def test_filters_take_states_and_words(wanted: JobFilter, titles: set[str]) -> None:
    assert {job_name(row) for row in busy_jobs() if wanted.takes(row)} == titles


def test_every_state_is_in_one_group() -> None:
    states = [state for group in GROUPS.values() if group for state in group]
    assert len(states) == len(set(states)) == 7


async def test_the_cursor_stays_on_its_job_through_refresh_and_filter() -> None:
    jobs = JobList(zone=UTC)
    rows = tuple(job_row(number) for number in range(1, 60))
    async with WidgetApp(jobs).run_test(size=(80, 12)) as pilot:
        jobs.show_jobs(pipeline(*rows), NOW)
        await settled(pilot)
        jobs.action_page(2.0)
        chosen, line = jobs.current_job, jobs.cursor - round(jobs.scroll_y)
        assert chosen is not None
        newer = (job_row(60, "running"), *rows)
        jobs.show_jobs(pipeline(*newer), NOW + 1)
        await settled(pilot)
        assert jobs.current_job == chosen
        assert jobs.cursor - round(jobs.scroll_y) == line
        jobs.filter_jobs(JobFilter("done"))
        await settled(pilot)
        assert jobs.current_job == chosen
        assert jobs.hidden == 1
        jobs.select_job(rows[0].job.kind, thread_id(1))
        assert jobs.cursor == 0


async def test_a_job_that_changes_is_drawn_anew_and_times_go_on() -> None:
    jobs = JobList(zone=UTC)
    async with WidgetApp(jobs).run_test(size=(120, 12)) as pilot:
        jobs.show_jobs(pipeline(job_row(1, "running")), NOW)
        await settled(pilot)
        assert "52 min" in lines(jobs)[0]
        jobs.go_on(NOW + 120)
        assert "50 min" in lines(jobs)[0]
        jobs.show_jobs(pipeline(job_row(1, "gave up")), NOW + 130)
        await settled(pilot)
        assert lines(jobs)[0].startswith("✗ gave up    Thread 1")


async def test_another_pipeline_has_other_jobs() -> None:
    jobs = JobList(zone=UTC)
    async with WidgetApp(jobs).run_test(size=(80, 12)) as pilot:
        jobs.show_jobs(pipeline(*(job_row(number) for number in range(1, 6))), NOW)
        await settled(pilot)
        jobs.action_last()
        jobs.show_jobs(codex_pipeline(job_row(3, thread_title="Codex's")), NOW)
        await settled(pilot)
        assert jobs.current_job is not None
        assert jobs.current_job.thread_title == "Codex's"
        assert len(lines(jobs)) == 1


async def test_an_opened_job_is_told() -> None:
    class Listening(WidgetApp):
        def on_virtual_list_opened(self, message: JobList.Opened) -> None:
            self.messages.append(message)

    jobs = JobList(zone=UTC)
    app = Listening(jobs)
    async with app.run_test(size=(80, 12)) as pilot:
        jobs.show_jobs(pipeline(job_row(1)), NOW)
        await settled(pilot)
        jobs.action_open()
        await pilot.pause()
        (message,) = app.messages
        assert isinstance(message, JobList.Opened)
        assert jobs.current_row == message.row


async def test_an_empty_table_says_why() -> None:
    jobs = JobList(zone=UTC)
    async with WidgetApp(jobs).run_test(size=(80, 12)) as pilot:
        assert lines(jobs) == ["Reading the memory jobs…"]
        jobs.show_jobs(pipeline(waiting=6, waits=("Threads must be idle for 12 hours.",)), NOW)
        await settled(pilot)
        assert lines(jobs) == [
            "No memory job has run yet.",
            "6 threads can be extracted now ( X ).",
        ]
        jobs.show_jobs(pipeline(waiting=1), NOW)
        await settled(pilot)
        assert lines(jobs)[1:] == ["1 thread can be extracted now ( X )."]
        jobs.show_jobs(pipeline(job_row(1), job_row(2)), NOW)
        jobs.filter_jobs(JobFilter("failed", EVIL))
        await settled(pilot)
        assert lines(jobs)[0].startswith("No failed job with “␛[2J\\u202e")
        assert lines(jobs)[1:] == ["The filter hides 2."]
        jobs.filter_jobs(JobFilter())
        notice = Notice(severity="error", what="memories_1.sqlite cannot be read", why="disk I/O error")
        jobs.show_jobs(codex_pipeline(notice=notice), NOW)
        await settled(pilot)
        assert lines(jobs) == ["memories_1.sqlite cannot be read", "disk I/O error"]
        jobs.show_jobs(codex_pipeline(), NOW)
        await settled(pilot)
        assert lines(jobs) == ["Codex has no memory job yet."]


@pytest.mark.parametrize("width", [30, 80, 158])
async def test_foreign_text_is_only_text(width: int) -> None:
    jobs, details = JobList(zone=UTC), JobDetails(zone=UTC)
    row = job_row(1, "running", thread_title=EVIL, cwd=EVIL, last_error=EVIL, host=EVIL, worker_id=EVIL)
    for widget in (jobs, details):
        async with WidgetApp(widget).run_test(size=(width, 30)) as pilot:
            jobs.show_jobs(pipeline(row), NOW)
            details.show(row, NOW)
            await settled(pilot)
            text = screen_text(pilot.app)
            assert "␛[2J" in text
            assert not any(character in text for character in "\x1b\u202e\x00")


async def test_marks_in_ascii() -> None:
    jobs = JobList(zone=UTC, glyphs=ASCII)
    rows = [row for row in busy_jobs() if (row.thread_title or "").isascii()]
    async with WidgetApp(jobs, framed=False).run_test(size=(60, 14)) as pilot:
        jobs.show_jobs(pipeline(*rows), NOW)
        await settled(pilot)
        assert all(line.isascii() for line in lines(jobs))


async def details_of(**fields: object) -> dict[str, str]:
    view = JobDetails(user_home=Path("/home/me"), zone=UTC)
    state = fields.pop("state", "done")
    async with WidgetApp(view).run_test(size=(110, 40)) as pilot:
        view.show(job_row(1, state, **fields), NOW)  # type: ignore[arg-type]
        await pilot.pause()
        rows = view.text.split("\n")
    found = {"title": rows[0].strip(), "sentence": rows[1].strip()}
    label = ""
    for row in rows[2:]:
        label = row[1:15].strip() or label
        found[label] = f"{found.get(label, '')} {row[15:].strip()}".strip()
    return found


async def test_all_that_is_known_of_a_job() -> None:
    found = await details_of(state="running")
    assert found["title"] == "Thread 1"
    assert found["sentence"] == "● running on devbox, pid 4711, lease 52 min left"
    assert found["thread"] == thread_id(1)
    assert found["folder"] == "~/src/app"
    assert found["job"] == "extraction · memory_stage1"
    assert found["run by"] == "pid 4711 · devbox"
    assert found["lease until"] == "2026-09-21 15:05:20 · 52 min left"
    assert found["retries left"] == "3"
    assert found["input"] == "the thread as of 2026-09-20 18:13:20"
    assert "last success" not in found
    assert "next try" not in found


async def test_the_whole_error_stands_below_and_not_twice() -> None:
    found = await details_of(state="waits", last_error="first line\n\n  second line")
    assert found["sentence"] == "✗ failed, next try 14:53"
    assert found["next try"] == "14:53"
    view = JobDetails(zone=UTC)
    async with WidgetApp(view).run_test(size=(60, 40)) as pilot:
        view.show(job_row(1, "gave up", last_error="first line\n\n  second line\n" + "x" * 60_000), NOW)
        await pilot.pause()
        assert "error\n   first line\n\n     second line\n   xxxx" in view.text
        assert view.text.count("first line") == 1
        assert "more characters" in view.text.split("\n")[-1]


async def test_the_consolidation_has_no_thread() -> None:
    view = JobDetails(zone=UTC)
    async with WidgetApp(view).run_test(size=(80, 40)) as pilot:
        view.show(global_row("done", input_watermark=0, last_success_watermark=NOW), NOW)
        await pilot.pause()
        assert view.text.startswith(" consolidation\n")
        assert "thread" not in view.text
        assert "input" not in view.text
        assert "memories as of 2026-09-21 14:13:20" in view.text
        view.clear()
        assert view.text == ""


async def test_the_same_job_again_stays_where_it_was_scrolled_to() -> None:
    view = JobDetails(zone=UTC)
    async with WidgetApp(view).run_test(size=(60, 8)) as pilot:
        view.show(job_row(1, "waits"), NOW)
        await pilot.pause()
        view.scroll_to(y=4)
        view.show(job_row(1, "running"), NOW + 1)
        await pilot.pause()
        assert view.scroll_y == 4
        view.show(job_row(2), NOW + 1)
        await pilot.pause()
        assert view.scroll_y == 0
