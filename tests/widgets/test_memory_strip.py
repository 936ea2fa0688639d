"""The memory pipelines' line and its rows: the worst first, and what matters least goes first."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from memory_values import EOF_ERROR, HOUR, NOW, busy_jobs, codex_pipeline, job_row, phase2, pipeline
from reading import WidgetApp
from textual.widgets import Static

from store.errors import DatabaseBusy
from store.models import Notice
from widgets.glyphs import ASCII, UNICODE, Glyphs
from widgets.memory_strip import JOBS_NAMED, MemoryStrip

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from store.memories.models import Pipeline

DONE = phase2("done", last_success_at=NOW - 2 * 24 * HOUR)
PENDING = pipeline(job_row(1), outputs=34, waiting=6, phase2=phase2("pending"))


class StripApp(WidgetApp):
    """A strip under something else that can have the focus."""

    CSS = "#above { height: 1fr; }"

    def __init__(self, glyphs: Glyphs = UNICODE) -> None:
        self.strip = MemoryStrip(user_home=Path("/home/me"), zone=UTC, glyphs=glyphs)
        super().__init__(self.strip)
        self.above = Static("the panes", id="above")
        self.above.can_focus = True

    def compose(self) -> ComposeResult:
        yield self.above
        yield self.strip

    def on_ready(self) -> None:
        self.above.focus()


async def line_of(*pipelines: Pipeline, width: int = 110, glyphs: Glyphs = UNICODE) -> str:
    app = StripApp(glyphs)
    async with app.run_test(size=(width, 24)) as pilot:
        app.strip.show(pipelines, NOW)
        await pilot.pause()
        assert app.strip.size.height == 1
        return app.strip.text


async def rows_of(*pipelines: Pipeline, width: int = 100) -> list[str]:
    app = StripApp()
    async with app.run_test(size=(width, 24)) as pilot:
        app.strip.focus()
        app.strip.show(pipelines, NOW)
        await pilot.pause()
        assert app.strip.outer_size.height == 12
        return [line[1:] for line in app.strip.text.split("\n")]


async def test_one_line_as_it_is_drawn_in_the_design() -> None:
    failed = [job_row(number, "waits") for number in range(1, 9)]
    line = await line_of(pipeline(waiting=6), codex_pipeline(*failed, phase2=DONE))
    assert line.startswith(
        " 5 Memory    ✗ Codex: 8 extractions failed, next try 14:53 · consolidated 2 d ago   "
    )
    assert line.endswith("  6 waiting")
    assert len(line) == 109


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (pipeline(), "◌ no memories yet"),
        (PENDING, "◌ consolidation pending: 4 new inputs since 09:13"),
        (
            pipeline(phase2=phase2("running")),
            "● consolidation running on devbox, pid 4711, lease 52 min left",
        ),
        (pipeline(phase2=phase2("error")), f"✗ consolidation failed: {EOF_ERROR[:39]}…, next try 14:53"),
        (pipeline(job_row(1), phase2=DONE), "✓ consolidated 2 d ago"),
    ],
)
async def test_each_state_has_its_words(shown: Pipeline, words: str) -> None:
    assert (await line_of(shown)).removeprefix(" 5 Memory    ").removesuffix("6 waiting").rstrip() == words


@pytest.mark.parametrize(("width", "end"), [(90, "6 waiting"), (64, "since 09:13"), (40, "pending:…")])
async def test_what_matters_least_goes_first_where_it_is_narrow(width: int, end: str) -> None:
    line = await line_of(PENDING, codex_pipeline(phase2=DONE), width=width)
    assert line.endswith(end)
    assert len(line) <= width


async def test_before_it_is_read_it_says_so() -> None:
    app = StripApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.strip.text == " 5 Memory    ◌ not read yet"
        app.strip.focus()
        await pilot.pause()
        assert app.strip.text.strip() == "The memories have not been read yet."


async def test_ascii_marks() -> None:
    rows = [row for row in busy_jobs() if (row.thread_title or "").isascii()]
    assert (await line_of(pipeline(*rows, phase2=phase2("pending")), glyphs=ASCII, width=160)).isascii()


async def test_it_grows_with_the_focus_and_shrinks_without() -> None:
    app = StripApp()
    async with app.run_test(size=(100, 24)) as pilot:
        app.strip.show([PENDING], NOW)
        app.strip.focus()
        await pilot.pause()
        assert app.strip.outer_size.height == 12
        app.above.focus()
        await pilot.pause()
        assert app.strip.outer_size.height == 1
        assert app.strip.text.startswith(" 5 Memory    ◌")


async def test_all_of_both_pipelines() -> None:
    jobs = (job_row(1, "running"), job_row(2, "waits"), job_row(3))
    ours = pipeline(*jobs, outputs=34, waiting=6, phase2=phase2("pending", last_success_at=NOW - 5 * HOUR))
    codex = codex_pipeline(outputs=1, phase2=DONE, waits=("Two threads per start of a session.",))
    assert await rows_of(ours, codex) == [
        "Rollodex  ~/.codex/memories · 34 memories · 6 waiting",
        "consolidation ◌ pending: 4 new inputs since 09:13 · last done 5 h ago",
        "extraction    ✗ 1 failed · 1 running · 1 done",
        "              ● Thread 1                     running on devbox, pid 4711, lease 52 min left",
        "              ✗ Thread 2                     failed: EOF while parsing a st…, next try 14:53",
        "",
        "Codex  ~/.codex/memories · 1 memory",
        "consolidation ✓ nothing to consolidate · last done 2 d ago",
        "extraction      no job yet",
        "                Two threads per start of a session.",
    ]


async def test_jobs_are_named_up_to_a_number_and_the_rest_counted() -> None:
    rows = await rows_of(pipeline(*(job_row(number, "gave up") for number in range(JOBS_NAMED + 5))))
    assert sum("Thread" in row for row in rows) == JOBS_NAMED
    assert rows[-1].strip() == "and 5 more"


async def test_what_cannot_be_read_says_what_why_and_what_next() -> None:
    notice = Notice(severity="error", what="state_5.sqlite cannot be read", why="locked", next_step="Wait")
    rows = await rows_of(codex_pipeline(notice=notice))
    assert rows[1].strip() == "✗ state_5.sqlite cannot be read. locked. Wait."
    error = DatabaseBusy("The memories cannot be read", why="locked by pid 4711", next_step="Trying again")
    app = StripApp()
    async with app.run_test(size=(110, 24)) as pilot:
        app.strip.show_error(error)
        await pilot.pause()
        words = "✗ The memories cannot be read: locked by pid 4711. Trying again."
        assert app.strip.text == f" 5 Memory    {words}"
        app.strip.focus()
        await pilot.pause()
        assert [row.strip() for row in app.strip.text.split("\n")] == [
            "✗ The memories cannot be read",
            "locked by pid 4711",
            "Trying again",
        ]
        app.strip.show([PENDING], NOW)
        assert "cannot" not in app.strip.text


async def test_times_go_on_and_nothing_is_made_again_while_they_read_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = StripApp()
    async with app.run_test(size=(110, 24)) as pilot:
        app.strip.show([pipeline(phase2=phase2("running"))], NOW)
        await pilot.pause()
        made: list[str] = []
        rebuild = app.strip.rebuild

        def counted() -> None:
            made.append("again")
            rebuild()

        monkeypatch.setattr(app.strip, "rebuild", counted)
        app.strip.show([pipeline(phase2=phase2("running"))], NOW)
        app.strip.go_on(NOW)
        assert not made
        app.strip.go_on(NOW + 120)
        assert made == ["again"]
        assert "lease 50 min left" in app.strip.text


@pytest.mark.parametrize("width", [30, 80, 158])
async def test_foreign_text_is_only_text(width: int) -> None:
    evil = "\x1b[2J\u202e[@click=app.quit]x[/]\x00"
    row = job_row(1, "waits", thread_title=evil, last_error=evil)
    shown = pipeline(row, root=f"/{evil}", waits=(evil,), phase2=phase2("running", host=evil))
    text = await line_of(shown, width=width) + "".join(await rows_of(shown, width=width))
    assert not any(character in text for character in "\x1b\u202e\x00")
    assert "␛" in text
