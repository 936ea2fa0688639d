"""The Logs pane in the browser: what its keys do, what it says, and pictures of each of its states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from desks import SIZES, SMALL_AND_LARGE, Compare, Desk, a_desk_with, an_app, pressing, settle, sized
from fake_services import HOME, MINUTE, NOW, FakeServices, FakeTranscript, a_desk, a_thread, many
from log_databases import make_log, writing_process

from store.log_sources import log_file
from store.log_tail import tail_logs
from store.models import LogHealth, LogRow, LogShare, Notice
from tui.log_feed import LogFeed
from tui.log_filter import LogFilter
from tui.screens.sheet import SheetScreen
from tui.thread_errors import next_error
from widgets.log_buffer import ROWS_KEPT, ThreadError
from widgets.log_health_view import LogHealthView

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from textual.pilot import Pilot

    from store.models import LogBatch, LogOrigin, LogQuery

THREAD = a_thread(0).id
SPANS = (
    f'session_loop{{thread_id={THREAD}}}:submission_dispatch{{codex.op="user_turn" submission.id="01a2"}}:'
    'turn{otel.name="session_task.turn" model="gpt-5.4"}:run_turn: '
)
PATCH = (
    f"{SPANS}ToolCall: apply_patch *** Begin Patch\n*** Update File: store/claims.py\n@@\n def claim(self):\n"
    '-    self.run("SELECT owner")\n+    self.run("BEGIN IMMEDIATE")\n*** End Patch'
)

UNKNOWN = (
    "Unknown model gpt-5-codex is used. This will use fallback model metadata, whose context window and"
    " limits may be too small or too large"
)
OURS: dict[str, Any] = {"origin": "rollodex", "thread_id": None, "file": None, "line": None}


def row(number: int, ago: float, level: str, target: str, message: str, **fields: Any) -> LogRow:
    """A row so many seconds ago."""
    at = NOW - round(ago * 1000)
    given: dict[str, Any] = {
        "thread_id": THREAD,
        "file": "core/src/x.rs",
        "line": 67,
        "origin": "codex",
        **fields,
    }
    return LogRow(
        id=number,
        ts=at // 1000,
        ts_nanos=at % 1000 * 1_000_000,
        level=level,
        target=target,
        body=message,
        module_path=target,
        process_uuid="pid:4711:db01d3c6",
        **{**given, **fields},
    )


def a_log() -> list[LogRow]:
    """What Codex writes while it works on a turn, with what went wrong in it."""
    rows = [
        row(1, 700, "INFO", "codex_core::session", f"{SPANS}session configured"),
        row(2, 610, "INFO", "codex_otel.log_only", f'{SPANS}event.name="codex.user_prompt" length=142'),
        row(3, 400, "DEBUG", "hyper_util::client::legacy::pool", "reuse idle connection for api"),
        row(4, 380, "WARN", "codex_models_manager::model_info", SPANS + UNKNOWN),
        row(5, 300, "INFO", "codex_core::stream_events_utils", PATCH),
        row(6, 240, "INFO", "store.reconcile", "3 threads are gone and were pruned", **OURS),
        row(7, 120, "ERROR", "codex_core::exec", f"{SPANS}exec failed: 日本語 [red]no markup[/red] \x1b[31m"),
        row(8, 60, "WARN", "codex_client::retry", f"{SPANS}stream disconnected, retrying 1/5 in 203 ms"),
    ]
    return rows + [
        row(9 + n, 40 - n, "INFO", "codex_otel.log_only", f'{SPANS}event.name="codex.sse_event" n={n}')
        for n in range(30)
    ]


def with_log(**services: Any) -> FakeServices:
    made = FakeServices(a_desk(), **services)
    made.log_rows = a_log()
    return made


class FailingTranscript(FakeTranscript):
    """A transcript whose call failed, half an hour before what its thread's log has."""

    def __init__(self, thread: Any) -> None:
        super().__init__(thread)
        self._items[1] = self._items[1].model_copy(update={"failed": True, "exit_code": 2})
        self.errors = (1,)


class FailingServices(FakeServices):
    async def transcript(self, thread: Any) -> FailingTranscript:
        return FailingTranscript(thread)


def shown(desk: Desk) -> list[str]:
    """The bodies of the rows that the pane has, without their spans."""
    return [entry.body.removeprefix(SPANS) for entry in desk.browser.logs.rows.buffer.rows]


# What the words in the box mean


def test_words_in_the_box() -> None:
    query, origins = LogFilter(words="module:exec lease file:turn.rs source:rollodex held").query()
    assert (query.modules, query.files, query.text) == (("exec",), ("turn.rs",), "lease held")
    assert origins == ("rollodex",)
    query, origins = LogFilter(words="source:nobody module:").query()
    assert query.text == "source:nobody module:"
    assert origins == ("codex", "rollodex")


def test_levels_end_where_there_are_no_more() -> None:
    assert [LogFilter(min_level="WARN").level(by) for by in (-9, -1, 0, 1, 9)] == [
        "TRACE", "INFO", "WARN", "ERROR", "ERROR",
    ]  # fmt: skip
    assert LogFilter(min_level="TRACE").query()[0].min_level is None


def test_a_thread_is_asked_for_only_while_tied() -> None:
    thread = a_thread(3)
    assert LogFilter(thread=thread).query()[0].thread_ids == ()
    assert LogFilter(thread=thread, tied=True).query()[0].thread_ids == (thread.id,)


# Errors by time


def test_the_next_error_is_the_nearest_by_time_wherever_it_is() -> None:
    rows = [row(n, ago, "WARN", "t", "m") for n, ago in ((1, 100), (2, 50), (3, 50), (4, 10))]
    ahead = ThreadError(NOW - 30_000, 7, "exit 1")
    assert next_error(ahead, rows, NOW - 120_000, 1, None) == rows[0]
    assert next_error(ahead, rows, NOW - 120_000, 1, rows[0]) == rows[1]
    assert next_error(ahead, rows, NOW - 120_000, 1, rows[1]) == rows[2]
    assert next_error(ahead, rows, NOW - 120_000, 1, rows[2]) == ahead
    assert next_error(None, rows, NOW - 30_000, 1, None) == rows[3]
    assert next_error(None, rows, NOW - 30_000, 1, rows[3]) is None
    assert next_error(ahead, rows, NOW, -1, None) == rows[3]
    assert next_error(ahead, rows, NOW, -1, rows[3]) == ahead
    assert next_error(None, [], None, 1, None) is None


# The feed


async def test_the_feed_hands_on_everything_once() -> None:
    closed: list[bool] = []

    async def batches() -> AsyncGenerator[LogBatch, None]:
        from store.models import LogBatch

        try:
            yield LogBatch([row(1, 3, "INFO", "t", "a")])
            yield LogBatch([row(2, 2, "INFO", "t", "b"), row(3, 1, "INFO", "t", "c")])
        finally:
            closed.append(True)

    feed = LogFeed(kept=2)
    await feed.follow(batches())
    assert feed.received == 3
    assert [each.body for each in feed.take().rows] == ["b", "c"]
    assert feed.take().rows == []
    assert closed == [True]


# Keys


async def test_it_begins_with_info_and_levels_are_keys_away() -> None:
    async with a_desk_with(with_log()) as desk:
        await desk.until(lambda: len(shown(desk)) == 37)
        await desk.press("3")
        await desk.until(lambda: desk.pane() == "logs")
        await desk.press("l")
        await desk.until(lambda: len(shown(desk)) == 3)
        await desk.press("L", "L")
        await desk.until(lambda: len(shown(desk)) == 38)
        assert "all levels" not in str(desk.browser.logs.border_title)
        await desk.press("L")
        await desk.until(lambda: "all levels" in str(desk.browser.logs.border_title))


async def test_words_keep_what_matches_and_esc_gives_the_rest_back() -> None:
    async with a_desk_with(with_log()) as desk:
        await desk.press("3")
        await desk.until(lambda: len(shown(desk)) == 37)
        await desk.press("ampersand", *"module:exec")
        await desk.until(lambda: len(shown(desk)) == 1)
        await desk.press("enter")
        await desk.until(lambda: desk.browser.logs.rows.has_focus)
        assert desk.browser.logs.box.display
        await desk.press("escape")
        await desk.until(lambda: len(shown(desk)) == 37)
        assert desk.pane() == "logs"
        await desk.press("escape")
        await desk.until(lambda: desk.pane() == "threads")


async def test_rows_come_while_one_looks_and_wait_while_one_reads() -> None:
    services = with_log()
    async with a_desk_with(services) as desk:
        await desk.press("3")
        await desk.until(lambda: len(shown(desk)) == 37)
        services.log(row(100, 0, "INFO", "t", "fresh"))
        await desk.until(lambda: shown(desk)[-1] == "fresh")
        await desk.press("k")
        assert not desk.browser.logs.rows.follows
        services.log(*(row(101 + n, 0, "WARN", "t", f"later {n}") for n in range(12)))
        await desk.until(lambda: desk.browser.logs.rows.new == 12)
        await desk.until(lambda: "12 new" in str(desk.browser.logs.border_subtitle))
        await desk.press("f")
        await desk.until(lambda: desk.browser.logs.rows.follows)


async def test_tied_rows_go_with_the_cursor_of_the_list() -> None:
    services = with_log()
    other = services.threads.all[1]
    services.log_rows.append(row(200, 0, "INFO", "t", "of the other", thread_id=other.id))
    async with a_desk_with(services) as desk:
        await desk.press("3", "t")
        await desk.until(lambda: "this thread" in str(desk.browser.logs.border_title))
        await desk.until(lambda: len(shown(desk)) == 36)
        await desk.press("1", "down")
        await desk.until(lambda: shown(desk) == ["of the other"])
        await desk.press("3", "t")
        await desk.until(lambda: len(shown(desk)) == 38)


async def test_errors_of_the_transcript_stand_among_the_rows_and_the_reader_goes_along() -> None:
    services = FailingServices(a_desk())
    services.log_rows = [row(1, 3_600, "INFO", "t", "long before"), *a_log()]
    async with a_desk_with(services) as desk:
        await desk.until(lambda: desk.browser.reader.thread is not None)
        await desk.press("3", "t")
        await desk.until(lambda: any(isinstance(e, ThreadError) for e in desk.browser.logs.rows.buffer.rows))
        await desk.press("g", "e")
        await desk.until(lambda: isinstance(desk.browser.logs.rows.cursor_row, LogRow))
        walked = [desk.browser.logs.rows.cursor_row]
        for _ in range(3):
            await desk.press("e")
            walked.append(desk.browser.logs.rows.cursor_row)
        assert [type(each).__name__ for each in walked] == ["LogRow", "LogRow", "ThreadError", "LogRow"]
        assert desk.browser.reader.position == 1


async def test_the_reader_walks_over_to_the_log_and_back() -> None:
    services = FailingServices(a_desk())
    services.log_rows = a_log()
    async with a_desk_with(services) as desk:
        await desk.press("enter")
        await desk.until(lambda: desk.browser.reader.cursor_item is not None)
        await desk.press("g", "e")
        await desk.until(lambda: desk.browser.reader.position == 1)
        assert desk.pane() == "transcript"
        await desk.press("e")
        await desk.until(lambda: desk.pane() == "logs")
        await desk.until(lambda: isinstance(desk.browser.logs.rows.cursor_row, LogRow))
        await desk.until(lambda: getattr(desk.browser.logs.rows.cursor_row, "id", 0) == 8)
        assert desk.browser.logs.filter.tied


async def test_where_codex_logs_nothing_the_pane_says_so_and_e_goes_to_the_transcript() -> None:
    services = FailingServices([a_thread(0, source="exec")])
    async with a_desk_with(services) as desk:
        await desk.press("3", "t")
        words = (
            "No log rows for this thread: it ran with codex exec, which writes none."
            " 1 error is in its transcript ( e )."
        )
        await desk.until(lambda: words in _lines(desk))
        await desk.press("e")
        await desk.until(lambda: desk.pane() == "transcript")
        await desk.until(lambda: desk.browser.reader.position == 1)


def _lines(desk: Desk) -> str:
    rows = desk.browser.logs.rows
    text = [rows.render_line(y).text.strip() for y in range(rows.size.height)]
    return " ".join(filter(None, text))


async def test_a_log_that_cannot_be_read_is_said_and_its_rows_stay() -> None:
    services = with_log()
    async with a_desk_with(services) as desk:
        await desk.until(lambda: len(shown(desk)) == 37)
        services.log_notices = (LOCKED,)
        services.log(row(100, 0, "INFO", "t", "fresh"))
        await desk.press("3")
        await desk.until(lambda: "locked by pid 4711" in _lines(desk))
        services.log_notices = ()
        services.log(row(101, 0, "INFO", "t", "again"))
        await desk.until(lambda: "locked by pid 4711" not in _lines(desk))


async def test_details_say_what_fills_the_log() -> None:
    services = with_log()
    services.health = [HEALTH]
    async with a_desk_with(services) as desk:
        await desk.press("3", "i")
        await desk.until(lambda: desk.shows(SheetScreen))
        view = desk.app.screen.query_one(LogHealthView)
        await desk.until(lambda: "1,204,611 written and deleted again" in view.text)
        await desk.press("escape")
        await desk.until(lambda: desk.pane() == "logs")


class TailingServices(FakeServices):
    """Follows a real log."""

    def __init__(self, path: Path) -> None:
        super().__init__(many(3))
        self.path = path

    def logs(
        self, query: LogQuery, origins: Sequence[LogOrigin], backfill: int
    ) -> AsyncGenerator[LogBatch, None]:
        return tail_logs([log_file(self.path)], query, backfill=backfill, poll_seconds=0.02)


async def test_a_flood_loses_no_row_and_leaves_the_keys_to_the_person(tmp_path: Path) -> None:
    path = tmp_path / "logs_2.sqlite"
    make_log(path)
    async with a_desk_with(TailingServices(path)) as desk:
        logs = desk.browser.logs
        await desk.press("3")
        await desk.until(lambda: logs.settled)
        with writing_process(path, batches=60, size=1_000, pause=0.05) as writer:
            assert writer.hear() == "ready"
            writer.say()
            await desk.until(lambda: logs.received >= 10_000)
            await desk.press("k")
            assert not logs.rows.follows
            under = logs.rows.cursor_row
            await desk.until(lambda: logs.rows.new >= 10_000)
            assert logs.rows.cursor_row == under
            await desk.press("f")
            await desk.until(lambda: logs.received == 60_000)
        await desk.until(lambda: logs.rows.buffer.end - logs.rows.buffer.first == ROWS_KEPT)
        await desk.until(lambda: logs.rows.buffer[logs.rows.buffer.end - 1].body.startswith("row 59999 "))
        kept = [entry.id for entry in logs.rows.buffer.rows if isinstance(entry, LogRow)]
        assert kept == list(range(60_001 - ROWS_KEPT, 60_001))
        assert "row 59999 " in _lines(desk)


# Pictures

LOCKED = Notice(
    severity="warning",
    what=f"The log in {HOME}/logs_2.sqlite cannot be read",
    why="locked by pid 4711",
    next_step="Its rows follow as soon as it can be read",
)
NONE_YET = Notice(
    severity="information",
    what=f"There is no log in {HOME} yet",
    next_step="Rows show as soon as one is written",
)
HEALTH = LogHealth(
    path=str(HOME / "logs_2.sqlite"),
    rows=86_204,
    counted_rows=86_204,
    counted_size=61_300_000,
    by_level=(
        LogShare("TRACE", 51_000, 38_100_000),
        LogShare("DEBUG", 24_100, 15_900_000),
        LogShare("INFO", 10_411, 7_100_000),
        LogShare("WARN", 690, 198_000),
        LogShare("ERROR", 3, 2_000),
    ),
    by_target=tuple(
        LogShare(name, 40_000 // n, 30_000_000 // n)
        for n, name in enumerate(("codex_otel.log_only", "hyper_util::client::legacy::pool", "log"), 1)
    ),
    by_thread=tuple(
        LogShare(a_thread(n).id if n else None, 9_000 - n * 400, 7_000_000 - n * 300_000) for n in range(15)
    ),
    last_id=1_290_815,
    churn=1_204_611,
    oldest_at=NOW - 9 * 24 * 60 * MINUTE,
    newest_at=NOW - 4_000,
    per_minute=tuple((n * 37) % 90 + 5 for n in range(60)),
    file_size=101_200_000,
    wal_size=4_300_000,
    page_size=4096,
    pages=24_700,
    free_pages=6_900,
)


@sized()
def test_follow(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Twelve rows, or all there are where it is narrow: times, levels, modules and messages line up."""
    assert snap_compare(an_app(with_log()), terminal_size=size, run_before=pressing("3"))


@sized({name: SIZES[name] for name in ("120x40", "200x60")})
def test_without_the_focus(snap_compare: Compare, size: tuple[int, int]) -> None:
    """One line says what went wrong lately; where there is room the rows are open."""
    assert snap_compare(an_app(with_log()), terminal_size=size, run_before=pressing("down"))


@sized(SMALL_AND_LARGE)
def test_not_following(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The last line counts what came."""
    services = with_log()

    async def run(pilot: Pilot[None]) -> None:
        await pressing("3", "ctrl+u")(pilot)
        services.log(*(row(100 + n, 0, "INFO", "t", f"later {n}") for n in range(12)))
        await pilot.pause(0.2)
        await settle(pilot)

    assert snap_compare(an_app(services), terminal_size=size, run_before=run)


@sized(SMALL_AND_LARGE)
def test_filtered(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The words stand in the box and in the frame, the level too."""
    keys = pressing("3", "l", "ampersand", *"retry", "enter")
    assert snap_compare(an_app(with_log()), terminal_size=size, run_before=keys)


@sized(SMALL_AND_LARGE)
def test_wrapped(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Messages take the lines that they need, in their own column."""
    keys = pressing("3", "v", "g")
    assert snap_compare(an_app(with_log()), terminal_size=size, run_before=keys)


@sized()
def test_unfolded(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The whole message as a diff, the spans one below the other, and where the row is from."""
    keys = pressing("3", "z", "g", "j", "j", "j", "enter")
    assert snap_compare(an_app(with_log()), terminal_size=size, run_before=keys)


@sized(SMALL_AND_LARGE)
def test_no_log_yet(snap_compare: Compare, size: tuple[int, int]) -> None:
    """No database yet: calm words."""
    services = FakeServices(a_desk())
    services.log_notices = (NONE_YET,)
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing("3"))


@sized(SMALL_AND_LARGE)
def test_empty_log(snap_compare: Compare, size: tuple[int, int]) -> None:
    """A database without rows."""
    assert snap_compare(an_app(FakeServices(a_desk())), terminal_size=size, run_before=pressing("3"))


@sized(SMALL_AND_LARGE)
def test_locked(snap_compare: Compare, size: tuple[int, int]) -> None:
    """What there is stays; the last line says why nothing comes."""
    services = with_log()
    services.log_notices = (LOCKED,)
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing("3"))


@sized(SMALL_AND_LARGE)
def test_exec_thread(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Codex logs nothing there; the transcript's errors are a key away."""
    services = FailingServices([a_thread(0, source="exec")])
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing("3", "t"))


@sized()
def test_health(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Sizes, churn, the last hour, and who fills it."""
    services = with_log()
    services.health = [HEALTH]
    assert snap_compare(an_app(services), terminal_size=size, run_before=pressing("3", "i"))


@sized({"120x40": (120, 40)})
def test_ascii_and_light(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Nothing but ASCII, on white."""
    app = an_app(with_log(), ascii_only=True, theme="rollodex-light")
    assert snap_compare(app, terminal_size=size, run_before=pressing("3"))
