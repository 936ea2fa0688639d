"""What the memory pipeline says of itself, word for word."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from memory_values import (
    EOF_ERROR,
    HOUR,
    NOW,
    busy_jobs,
    codex_pipeline,
    global_row,
    job_row,
    phase2,
    pipeline,
    run,
    thread_id,
)

from store.memories.models import CodexRun, ConsolidationResult, ExtractionResult, MemoryRun, Phase2, Pipeline
from store.models import Notice
from widgets.memory_run_words import result_words, run_words
from widgets.memory_words import (
    at_time,
    count_jobs,
    counted_states,
    job_name,
    job_reason,
    last_error,
    phase2_mark,
    phase2_reason,
    pipeline_line,
    pipeline_name,
    span,
    took,
)

if TYPE_CHECKING:
    from store.memories.models import JobState

DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("then", "words"),
    [
        (NOW, "14:13"),
        (NOW + DAY, "tomorrow 14:13"),
        (NOW - DAY, "yesterday 14:13"),
        (NOW - 3 * DAY, "18 Sep 14:13"),
        (NOW - 400 * DAY, "17 Aug 2025"),
        (10**15, "1 Jan 1970"),
    ],
)
def test_a_time_is_as_long_as_it_must_be(then: int, words: str) -> None:
    assert at_time(then, NOW, UTC) == words


def test_a_time_is_in_the_given_zone() -> None:
    assert at_time(NOW, NOW, timezone(timedelta(hours=10))) == "00:13"
    assert at_time(NOW - 13 * HOUR, NOW, timezone(timedelta(hours=10))) == "yesterday 11:13"


def test_midnight_between_needs_no_date() -> None:
    midnight = NOW + 9 * HOUR + 46 * 60 + 40  # 00:00
    assert at_time(midnight + 600, midnight - 600, UTC) == "00:10"
    assert at_time(midnight - 600, midnight + 600, UTC) == "23:50"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "60 min"), (5400, "1 h"), (2 * DAY, "2 d")],
)
def test_spans_have_one_unit(seconds: int, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("started", "finished", "words"),
    [(None, 5, ""), (5, None, ""), (9, 5, ""), (5, 46, "41 s"), (0, 200, "3 min 20 s")],
)
def test_how_long_it_took_where_that_is_known(started: int | None, finished: int | None, words: str) -> None:
    assert took(started, finished) == words
    assert took(0, 200, short=True) == "3 min"


@pytest.mark.parametrize(
    ("state", "fields", "words"),
    [
        ("pending", {}, "pending: it has not been started since it last ended"),
        ("pending", {"finished_at": None}, "pending: it has not been started"),
        ("running", {}, "running on devbox, pid 4711, lease 52 min left"),
        ("running", {"host": None, "pid": None}, "running, lease 52 min left"),
        ("running", {"host": None, "pid": None, "lease_until": None}, "running"),
        (
            "abandoned",
            {},
            "abandoned: the lease of pid 4711 on devbox ran out at 13:13; the next run takes it over",
        ),
        (
            "abandoned",
            {"lease_until": NOW - DAY, "host": None, "pid": None},
            "abandoned: its lease ran out yesterday 14:13; the next run takes it over",
        ),
        (
            "abandoned",
            {"lease_until": NOW + 60},
            "abandoned: pid 4711 on devbox has ended; the next run takes it over",
        ),
        ("done", {}, "done 1 h ago"),
        ("done", {"finished_at": None}, "done"),
        ("waits", {}, f"failed: {EOF_ERROR}, next try 14:53"),
        ("retriable", {}, f"failed: {EOF_ERROR}, can be tried now"),
        ("gave up", {}, f"failed: {EOF_ERROR}, no retry left"),
        ("gave up", {"last_error": None}, "failed: no reason was recorded, no retry left"),
        ("waits", {"last_error": "a\x1b[31m\n  b."}, "failed: a␛[31m b, next try 14:53"),
    ],
)
def test_each_state_of_a_job_is_a_sentence(state: JobState, fields: dict[str, Any], words: str) -> None:
    assert job_reason(job_row(1, state, **fields), NOW, zone=UTC) == words


def test_of_a_long_error_the_next_try_is_kept() -> None:
    row = job_row(1, "waits", last_error="x" * 500)
    assert job_reason(row, NOW, zone=UTC, longest=10) == "failed: xxxxxxxxx…, next try 14:53"
    assert job_reason(row, NOW, zone=UTC, longest=0) == "failed, next try 14:53"


def test_only_codex_takes_up_its_own_jobs_and_only_when_it_starts() -> None:
    failed, abandoned = (job_row(1, state, owner="codex") for state in STARTED)
    assert job_reason(failed, NOW, zone=UTC).endswith(", next try when Codex starts")
    assert job_reason(abandoned, NOW, zone=UTC).endswith("; Codex's next start takes it over")
    line = pipeline_line([codex_pipeline(failed)], NOW, zone=UTC)
    assert line.text == "Codex: 1 extraction failed, next try when Codex starts"
    error = phase2("error", job=failed.job)
    assert phase2_reason(error, NOW, owner="codex").endswith("next try when Codex starts")


def test_codes_of_codex_are_explained_and_kept() -> None:
    job = job_row(1, "waits", last_error="failed_invalid_artifacts").job
    assert last_error(job) == "what the agent wrote was not valid (failed_invalid_artifacts)"


def test_a_job_is_called_by_its_thread() -> None:
    assert job_name(global_row()) == "consolidation"
    assert job_name(job_row(1)) == "Thread 1"
    assert job_name(job_row(1, thread_title=None)) == thread_id(1)


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (phase2("none"), "nothing to consolidate"),
        (phase2("done"), "nothing to consolidate"),
        (phase2("pending"), "pending: 4 new inputs since 09:13"),
        (phase2("done", dirty=True, new_inputs=1), "pending: 1 new input"),
        (phase2("pending", new_inputs=0), "pending: what it was made of has changed"),
        (phase2("running"), "running on devbox, pid 4711, lease 52 min left"),
        (
            phase2("abandoned"),
            "abandoned: the lease of pid 4711 on devbox ran out at 13:13; the next run takes it over",
        ),
        (phase2("error"), f"failed: {EOF_ERROR}, next try 14:53"),
        (phase2("cooling down", cooldown_until=NOW + 2 * HOUR), "cooling down until 16:13"),
        (Phase2(state="running"), "running"),
        (Phase2(state="error"), "failed"),
        (Phase2(state="cooling down"), "cooling down"),
    ],
)
def test_where_consolidation_stands(shown: Phase2, words: str) -> None:
    assert phase2_reason(shown, NOW, zone=UTC) == words


def test_what_is_done_and_dirty_again_is_not_marked_as_fine() -> None:
    assert phase2_mark(phase2("done")) == "fine"
    assert phase2_mark(phase2("done", dirty=True)) == "silent"


def test_jobs_are_counted_with_what_went_wrong_first() -> None:
    assert list(count_jobs(busy_jobs()).items()) == [
        ("waits", 1),
        ("retriable", 1),
        ("gave up", 1),
        ("abandoned", 1),
        ("running", 1),
        ("done", 7),
    ]
    assert counted_states(busy_jobs()) == ("2 failed", "1 gave up", "1 abandoned", "1 running", "7 done")


STARTED: tuple[JobState, ...] = ("retriable", "abandoned")
EIGHT_FAILED = tuple(job_row(number, "waits", retry_at=NOW + number * 60) for number in range(1, 9))
DONE = phase2("done", last_success_at=NOW - 2 * DAY)


@pytest.mark.parametrize(
    ("shown", "mark", "words", "right"),
    [
        ((), "silent", "no memories yet", ""),
        ((pipeline(waiting=12),), "silent", "no memories yet", "12 waiting"),
        ((pipeline(outputs=1),), "fine", "1 memory", ""),
        ((pipeline(job_row(1), outputs=2, phase2=DONE, waiting=0),), "fine", "consolidated 2 d ago", ""),
        (
            (pipeline(waiting=6), codex_pipeline(*EIGHT_FAILED, phase2=DONE)),
            "failed",
            "Codex: 8 extractions failed, next try 14:14 · consolidated 2 d ago",
            "6 waiting",
        ),
        (
            (pipeline(*busy_jobs(), phase2=phase2("running")),),
            "failed",
            (
                "consolidation running on devbox, pid 4711, lease 52 min left"
                " · 2 extractions failed, can be tried now · 1 gave up · 1 abandoned · 1 running"
            ),
            "",
        ),
        (
            (pipeline(job_row(1, "running"), job_row(2, "running"), phase2=phase2("pending")),),
            "working",
            "2 extractions running · consolidation pending: 4 new inputs since 09:13",
            "",
        ),
        (
            (pipeline(phase2=DONE), codex_pipeline(job_row(1, "gave up"))),
            "failed",
            "Codex: 1 extraction gave up · Rollodex: consolidated 2 d ago",
            "",
        ),
        (
            (
                pipeline(),
                codex_pipeline(
                    phase2=phase2("cooling down", cooldown_until=NOW + HOUR, last_success_at=NOW - 5 * HOUR)
                ),
            ),
            "silent",
            "Codex: consolidated 5 h ago, cooling down until 15:13",
            "",
        ),
        (
            (codex_pipeline(notice=Notice(severity="warning", what="memories_1.sqlite cannot be read")),),
            "warning",
            "Codex: memories_1.sqlite cannot be read",
            "",
        ),
    ],
)
def test_one_line_for_all_pipelines(shown: tuple[Pipeline, ...], mark: str, words: str, right: str) -> None:
    line = pipeline_line(shown, NOW, zone=UTC)
    assert (line.mark, line.text, line.right) == (mark, words, right)


def test_two_pipelines_of_codex_are_told_apart_by_their_folders() -> None:
    first, second = codex_pipeline(), codex_pipeline(root="/home/me/.codex/memories_v2")
    assert pipeline_name(first, [pipeline(), first]) == "Codex"
    assert pipeline_name(second, [first, second]) == "Codex memories_v2"
    assert pipeline_name(pipeline(), [first, second]) == "Rollodex"


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (ExtractionResult(outcome="succeeded"), "nothing to extract"),
        (
            ExtractionResult(
                outcome="succeeded", succeeded=2, no_output=1, failed=1, skipped=(("SkippedUpToDate", 3),)
            ),
            "2 memories extracted, 1 without output, 1 failed, 3 up to date",
        ),
        (
            ExtractionResult(outcome="SkippedRunning", reason="pid 4711", skipped=(("SkippedRunning", 1),)),
            "1 running elsewhere: pid 4711",
        ),
        (
            ConsolidationResult(outcome="succeeded", inputs=34, changed=("MEMORY.md",)),
            "34 memories consolidated, 1 file changed",
        ),
        (ConsolidationResult(outcome="succeeded", inputs=1), "1 memory consolidated, no file changed"),
        (ConsolidationResult(outcome="failed", reason="no \x1b auth"), "consolidation failed: no ␛ auth"),
        (ConsolidationResult(outcome="SkippedNotDirty"), "nothing to consolidate"),
        (run(kind="restore", restores=11), "undo of run 11, 2 files changed"),
        (run(kind="rebuild", changed=()), "rebuild of the artifacts, no file changed"),
        (CodexRun(outcome="skipped", reason="cooling down"), "Codex took no job: cooling down"),
        (
            CodexRun(outcome="succeeded", succeeded=2, failed=1, consolidation="done"),
            "2 memories extracted by Codex, 1 failed, consolidation done",
        ),
    ],
)
def test_what_a_run_came_to(
    result: ExtractionResult | ConsolidationResult | CodexRun | MemoryRun, words: str
) -> None:
    assert result_words(result) == words


def test_what_a_run_was() -> None:
    assert run_words(run()) == "consolidation"
    assert run_words(run(kind="restore", restores=12)) == "undo of run 12"


def test_the_command_line_may_say_it_without_textual() -> None:
    code = "import sys, widgets.memory_words; sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
