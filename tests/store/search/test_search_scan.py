from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from searching_homes import Writer, index

from store.search import scan as scanning
from store.search.models import ScanHit, ScanProgress
from store.search.query import parse_query
from store.search.scan import scan
from store.search.searching import rollouts

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from building import HomeBuilder
    from store_fixtures import FixedClock


def look(home: Path, text: str, *written: Writer, **options: Any) -> list[tuple[int, str]]:
    """The lines found and their snippets."""
    found = scan(home, [(w.id, w.path) for w in written], parse_query(text, now_ms=0), **options)
    return [(hit.line, hit.snippet.text) for hit in found if isinstance(hit, ScanHit)]


def output(writer: Writer, text: str, call_id: str = "") -> int:
    return writer.response("function_call_output", call_id=call_id or f"c{writer.lines}", output=text)


def test_outputs_are_found_with_their_lines(tmp_path: Path) -> None:
    rollout = Writer.begin(tmp_path)
    rollout.turn("hello")
    one = output(rollout, "Traceback: LeaseLost was raised\nin store/jobs.py")
    two = output(rollout, "nothing of the kind")
    three = output(rollout, "the lease\\n was lost")

    assert [line for line, _ in look(tmp_path, "leaselost", rollout)] == [one]
    assert [line for line, _ in look(tmp_path, "lease was", rollout)] == [three]
    assert [line for line, _ in look(tmp_path, '"in store/jobs.py"', rollout)] == [one]
    assert [line for line, _ in look(tmp_path, "the*", rollout)] == [two, three]
    assert [line for line, _ in look(tmp_path, "the -kind", rollout)] == [three]
    assert look(tmp_path, "lea", rollout) == []
    ((_, snippet),) = look(tmp_path, "leaselost", rollout)
    assert snippet == "Traceback: LeaseLost was raised in store/jobs.py"


def test_any_script_is_found_however_it_is_written(tmp_path: Path) -> None:
    rollout = Writer.begin(tmp_path)
    plain = output(rollout, "Grüße an Müller, 全文検索の機能")
    escaped = rollout.response(
        "function_call", name="shell", call_id="x", arguments=json.dumps({"cmd": "echo Müller"})
    )

    assert [line for line, _ in look(tmp_path, "MULLER", rollout)] == [plain, escaped]
    assert [line for line, _ in look(tmp_path, "検索", rollout)] == [plain]
    assert look(tmp_path, "索検", rollout) == []
    assert [line for line, _ in look(tmp_path, "gruss*", rollout)] == [plain]


def test_an_item_is_told_once(tmp_path: Path) -> None:
    rollout = Writer.begin(tmp_path)
    line = rollout.turn("needle please", "fine")
    call = rollout.response("function_call", name="shell", call_id="c", arguments='{"cmd":"rg needle"}')
    output(rollout, "src/a.py: needle", "c")

    assert [found for found, _ in look(tmp_path, "needle", rollout)] == [line, call]


def test_what_a_fork_copied_is_left_out(tmp_path: Path) -> None:
    parent = Writer.begin(tmp_path, 1)
    parent.turn("needle")
    copied = (tmp_path / parent.path).read_bytes()
    fork = Writer.begin(tmp_path, 2, forked_from_id=parent.id)
    with (tmp_path / fork.path).open("ab") as stream:
        stream.write(copied)
    fork.lines += copied.count(b"\n")
    own = fork.turn("needle again")

    assert [line for line, _ in look(tmp_path, "needle", fork)] == [own]


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000, 1 << 20])
def test_lines_are_found_wherever_a_read_ends(
    tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "CHUNK", chunk)
    rollout = Writer.begin(tmp_path)
    wanted = [output(rollout, f"{'x ' * n} needle {n}") for n in range(0, 60, 7)]
    file = tmp_path / rollout.path
    file.write_bytes(file.read_bytes()[:-1])

    assert [line for line, _ in look(tmp_path, "needle", rollout)] == wanted


def test_compressed_rollouts_are_found(tmp_path: Path) -> None:
    rollout = Writer.begin(tmp_path)
    line = rollout.turn("needle")
    file = tmp_path / rollout.path
    rollout.path += ".zst"
    (tmp_path / rollout.path).write_bytes(zstandard.compress(file.read_bytes()))
    file.unlink()

    assert [found for found, _ in look(tmp_path, "needle", rollout)] == [line]


def test_a_line_that_is_too_long_is_searched_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "MAX_LINE", 1 << 16)
    monkeypatch.setattr(scanning, "CHUNK", 1 << 14)
    rollout = Writer.begin(tmp_path)
    rollout.turn("hello")
    long = output(rollout, "word " * 400_000 + "needle and needle" + " word" * 400_000)
    after = output(rollout, "needle")
    tracemalloc.start()
    found = look(tmp_path, "needle", rollout)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert [line for line, _ in found] == [long, after]
    assert "needle and needle" in found[0][1]
    assert peak < 1 << 20


def test_what_cannot_be_read_is_named_and_stopping_stops(tmp_path: Path) -> None:
    rollout = Writer.begin(tmp_path)
    rollout.turn("needle")
    wanted = [("a", "sessions/gone.jsonl"), (rollout.id, rollout.path)]
    query = parse_query("needle", now_ms=0)

    *_, last = scan(tmp_path, wanted, query)
    assert last == ScanProgress(2, 2, (tmp_path / rollout.path).stat().st_size, ("sessions/gone.jsonl",))
    assert [
        hit for hit in scan(tmp_path, wanted, query, stopping=lambda: True) if isinstance(hit, ScanHit)
    ] == []


def test_days_and_filters_choose(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    old = Writer.begin(builder.path, 1, at_ms=1_790_000_000_000)
    output(old, "needle")
    new = Writer.begin(builder.path, 2, at_ms=1_790_200_000_000, cwd="/home/dev/web")
    line = output(new, "needle")
    index(connection, builder, clock)

    assert look(builder.path, "needle after:2026-09-23", old, new) == [(line, "needle")]
    assert look(builder.path, "needle before:2026-09-23", old, new) == [(1, "needle")]
    chosen = rollouts(connection, parse_query("needle cwd:web", now_ms=0))
    assert chosen == [(new.id, new.path)]
    assert [path for _id, path in rollouts(connection, parse_query("needle", now_ms=0))] == [
        new.path,
        old.path,
    ]
