from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from searching_homes import Writer, find, index, lines, threads_of

from store.rollouts.transcript import Transcript
from store.search.models import Elsewhere, Resolved, Scope

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from building import HomeBuilder
    from store_fixtures import FixedClock


def test_what_is_found_and_where(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    rollout = Writer.begin(builder.path)
    rollout.begin_turn()
    prompt = rollout.say("user", "Who takes the lease?")
    thought = rollout.response(
        "reasoning", summary=[{"type": "summary_text", "text": "The lease is taken somewhere."}], content=None
    )
    rollout.event("agent_reasoning", text="The lease is taken somewhere.")
    call = rollout.run("rg -n lease store/jobs.py")
    error = rollout.event("error", message="The lease server is down")
    answer = rollout.say("assistant", "The worker takes the lease.")
    index(connection, builder, clock)

    found = find(connection, "lease")

    assert found.total == 5
    assert found.complete is False  # no backfill ran
    assert lines(found) == [
        (prompt, "prompt"),
        (thought, "reasoning"),
        (call, "command"),
        (error, "error"),
        (answer, "answer"),
    ]
    assert [hit.thread_id for hit in found.threads] == [rollout.id]
    assert find(connection, "needle").total == 0  # outputs are for the scan
    (hit,) = find(connection, "worker").hits
    assert hit.snippet.text == "The worker takes the lease."
    assert [hit.snippet.text[a:b] for a, b in hit.snippet.marks] == ["worker"]


def test_lines_open_the_items_of_the_transcript(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    rollout = Writer.begin(builder.path)
    rollout.turn("alpha first", "alpha second", "alpha second")
    rollout.event("user_message", message="alpha third")  # 0.36: the event comes first
    rollout.response("message", role="user", content=[{"type": "input_text", "text": "alpha third"}])
    index(connection, builder, clock)

    with Transcript.open(builder.path / rollout.path, thread_id=rollout.id) as transcript:
        for _ in transcript.build():
            pass
        opening = [item.line for item in transcript.all_items() if item.kind == "message"]
    assert [line for line, _kind in lines(find(connection, "alpha"))] == opening


def test_appends_are_found_and_read_from_where_reading_ended(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    rollout = Writer.begin(builder.path)
    rollout.turn("one lease", "yes")
    index(connection, builder, clock)
    again = rollout.turn("another lease", "no")
    index(connection, builder, clock)

    assert find(connection, "lease").total == 2
    assert (again, "prompt") in lines(find(connection, "lease"))


def test_an_append_between_the_sides_of_a_message(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    rollout = Writer.begin(builder.path)
    rollout.begin_turn()
    line = rollout.response("message", role="user", content=[{"type": "input_text", "text": "a lease"}])
    index(connection, builder, clock)
    rollout.event("user_message", message="a lease")
    index(connection, builder, clock)

    assert lines(find(connection, "lease")) == [(line, "prompt")]


def test_a_line_without_its_end_is_found_once_it_has_one(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    rollout = Writer.begin(builder.path)
    rollout.turn("one lease", "yes")
    file = builder.path / rollout.path
    whole = file.read_bytes()
    rollout.event("agent_message", message="late lease")
    late = file.read_bytes()
    file.write_bytes(late[:-1])
    index(connection, builder, clock)
    assert find(connection, "late").total == 0
    assert len(whole) < len(late)

    with file.open("ab") as stream:
        stream.write(b"\n")
    index(connection, builder, clock)
    assert find(connection, "late").total == 1
    assert find(connection, "lease").total == 2


@pytest.mark.parametrize("read_between", [False, True])
def test_what_was_rolled_back_is_not_found(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock, read_between: bool
) -> None:
    rollout = Writer.begin(builder.path)
    kept = rollout.turn("first lease", "yes")
    rollout.begin_turn()
    rollout.say("user", "second lease")
    rollout.run("cat gone.txt")
    rollout.event("task_complete")
    if read_between:
        index(connection, builder, clock)
        assert find(connection, "lease").total == 2
    rollout.event("thread_rolled_back", num_turns=1)
    rollout.turn("third word")
    index(connection, builder, clock)

    assert lines(find(connection, "lease")) == [(kept, "prompt")]
    assert find(connection, "gone").total == 0
    assert find(connection, "file:gone.txt").total == 0
    assert find(connection, "third").total == 1


def test_a_fork_has_only_its_own_items(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    parent = Writer.begin(builder.path, 1)
    parent.turn("the parent's lease", "yes")
    copied = (builder.path / parent.path).read_bytes()
    fork = Writer.begin(builder.path, 2, forked_from_id=parent.id)
    with (builder.path / fork.path).open("ab") as stream:
        stream.write(copied)
    fork.lines += copied.count(b"\n")
    own = fork.turn("the fork's lease", "no")
    index(connection, builder, clock)

    found = find(connection, "lease")
    assert sorted((hit.thread_id, hit.line) for hit in found.hits) == sorted([(parent.id, 3), (fork.id, own)])


def test_archiving_hides_and_says_so_and_deleting_removes(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    rollout = Writer.begin(builder.path)
    rollout.turn("one lease", "yes")
    index(connection, builder, clock)
    file = builder.path / rollout.path
    archived = builder.path / "archived_sessions" / file.name
    archived.parent.mkdir()
    file.rename(archived)
    index(connection, builder, clock)

    hidden = find(connection, "lease")
    assert (hidden.total, hidden.threads_total, hidden.elsewhere) == (0, 0, Elsewhere(archived=1))
    shown = find(connection, "lease is:archived")
    assert (shown.total, shown.threads_total) == (1, 1)
    assert shown.hits[0].archived

    archived.unlink()
    index(connection, builder, clock)
    assert find(connection, "lease is:archived").total == 0
    for table in ("search_rollouts", "search_items", "search_titles", "file_touches"):
        assert connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,), table


def test_a_file_written_anew_is_searched_anew(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    rollout = Writer.begin(builder.path)
    rollout.turn("one lease", "yes")
    index(connection, builder, clock)
    file = builder.path / rollout.path
    other = file.with_suffix(".new")
    other.write_bytes(file.read_bytes().replace(b"lease", b"leash"))
    os.utime(other, ns=(file.stat().st_mtime_ns + 1,) * 2)
    other.replace(file)
    index(connection, builder, clock)

    assert find(connection, "lease").total == 0
    assert find(connection, "leash").total == 1


def test_a_copy_of_a_rollout_is_not_found_twice(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    rollout = Writer.begin(builder.path)
    rollout.turn("one lease", "yes")
    file = builder.path / rollout.path
    copy = builder.path / "archived_sessions" / file.name
    copy.parent.mkdir()
    copy.write_bytes(file.read_bytes())
    index(connection, builder, clock)

    assert find(connection, "lease", scope=Scope(archived="any")).total == 1
    file.unlink()
    index(connection, builder, clock)
    assert find(connection, "lease is:archived").total == 1


def test_names_are_found_as_they_change(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    rollout = Writer.begin(builder.path)
    rollout.turn("hello there")
    names = builder.path / "session_index.jsonl"
    names.write_text(
        f'{{"id":"{rollout.id}","thread_name":"Zebra crossing","updated_at":"2026-01-01T00:00:00Z"}}\n'
    )
    index(connection, builder, clock)
    (hit,) = find(connection, "zebra").threads
    assert hit.display_title == "Zebra crossing"
    assert hit.snippet.marks == ((0, 5),)

    with names.open("a") as stream:
        stream.write(f'{{"id":"{rollout.id}","thread_name":"Okapi","updated_at":"2026-01-02T00:00:00Z"}}\n')
    index(connection, builder, clock)
    assert find(connection, "zebra").threads == ()
    (hit,) = find(connection, "hello").threads
    assert (hit.display_title, hit.snippet.text) == ("Okapi", "hello there")


def test_any_script_and_identifiers_are_found(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    rollout = Writer.begin(builder.path)
    rollout.turn(
        "Warum sperrt list_threads_db() die Tabelle für Müller?", "全文検索の機能を store/rows.py に追加"
    )
    index(connection, builder, clock)

    for text in (
        "list_threads_db",
        "threads_db",
        "list_thr*",
        "MULLER",
        "検索",
        "store/rows.py",
        "rows.py 追加",
    ):
        assert find(connection, text).total == 1, text
    for text in ("list_db", "索検", "rows_py_store", "Mull"):
        assert find(connection, text).total == 0, text
    (hit,) = find(connection, "機能").hits
    assert [hit.snippet.text[a:b] for a, b in hit.snippet.marks] == ["機能"]


def test_filters(connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock) -> None:
    git = {"commit_hash": "1", "branch": "feature/lease", "repository_url": "x"}
    one = Writer.begin(builder.path, 1, git=git)
    one.turn("the lease one")
    one.patch("*** Begin Patch\n*** Update File: src/a.py\n@@\n-a\n+b\n*** End Patch")
    two = Writer.begin(builder.path, 2, cwd="/home/dev/app/web", source="exec", model_provider="azure")
    two.turn("the lease two")
    two.event("error", message="Quota exceeded")
    two.run("ls")
    index(connection, builder, clock)

    def found(text: str, resolved: Resolved = Resolved()) -> set[str]:  # noqa: B008 a value without state
        result = find(connection, text, resolved=resolved)
        assert threads_of(result.hits) == threads_of(result.threads)
        return threads_of(result.threads)

    assert found("lease") == {one.id, two.id}
    assert found("lease branch:feature/*") == found("lease branch:FEATURE/lease") == {one.id}
    assert found("lease -branch:feature/*") == {two.id}
    assert found("lease cwd:web") == found("lease cwd:/home/dev/app/web/") == {two.id}
    assert found("lease cwd:app") == found("lease cwd:/home/dev/app") == found("lease cwd:de*/app")
    assert found("lease cwd:app") == {one.id, two.id}
    assert found("lease cwd:we") == found("lease cwd:/home/dev/ap") == set()
    assert found("lease source:exec") == found("lease provider:AZURE") == {two.id}
    assert found("lease model:gpt*") == {one.id, two.id}
    assert found("lease has:error") == {two.id}
    assert found("lease tool:apply_patch") == found("lease file:a.py") == {one.id}
    assert found("lease -tool:apply_*") == {two.id}
    assert found("lease is:working", Resolved(working=frozenset({two.id}))) == {two.id}
    assert found("lease -is:hidden", Resolved(hidden=frozenset({two.id}))) == {one.id}
    assert found("lease tag:mine", Resolved(tagged={"mine": frozenset({one.id})})) == {one.id}
    assert found("lease tag:yours", Resolved(tagged={"mine": frozenset({one.id})})) == set()


def test_filters_alone_find_threads_calls_and_errors(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    rollout = Writer.begin(builder.path)
    rollout.turn("one")
    patch = rollout.patch("*** Begin Patch\n*** Update File: src/a.py\n@@\n-a\n+b\n*** End Patch")
    error = rollout.event("error", message="Quota exceeded")
    Writer.begin(builder.path, 2).turn("two")
    index(connection, builder, clock)

    assert find(connection, "cwd:app").threads_total == 2
    assert find(connection, "cwd:app").total == 0
    assert lines(find(connection, "tool:apply_patch")) == [(patch, "command")]
    assert lines(find(connection, "has:error")) == [(error, "error")]
    (hit,) = find(connection, "file:src/a.py").hits
    assert (hit.kind, hit.line, hit.path, hit.action) == ("file", patch, "/home/dev/app/src/a.py", "write")


def test_days_are_those_of_the_item(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    Writer.begin(builder.path, 1, at_ms=1_790_000_000_000).turn("old lease")
    Writer.begin(builder.path, 2, at_ms=1_790_200_000_000).turn("new lease")
    index(connection, builder, clock)

    assert [h.snippet.text for h in find(connection, "lease after:2026-09-22").hits] == ["new lease"]
    assert [h.snippet.text for h in find(connection, "lease before:2026-09-22").hits] == ["old lease"]
    assert find(connection, "lease after:2026-09-25").total == 0


def test_the_scope_counts_what_it_leaves_out(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    Writer.begin(builder.path, 1).turn("a lease", "the lease")
    Writer.begin(builder.path, 2, cwd="/home/dev/web").turn("a lease")
    Writer.begin(builder.path, 3, source="exec").turn("a lease")
    index(connection, builder, clock)

    found = find(connection, "lease", scope=Scope(cwd="/home/dev/app", sources=("cli", "vscode")))
    assert found.total == 2
    assert found.threads_total == 1
    assert found.elsewhere == Elsewhere(other_projects=1, hidden=1)


def test_newer_and_more_to_the_point_comes_first(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    day = 86_400_000
    Writer.begin(builder.path, 1, at_ms=1_790_000_000_000).turn("a lease for the worker")
    Writer.begin(builder.path, 2, at_ms=1_790_000_000_000 + 20 * day).turn("a lease for the worker!")
    long = " ".join(f"word{n}" for n in range(200))
    Writer.begin(builder.path, 3, at_ms=1_790_000_000_000 + 25 * day).turn(f"{long} lease")
    index(connection, builder, clock)

    found = find(connection, "lease")
    assert [hit.snippet.text[-10:] for hit in found.hits] == ["he worker!", "the worker", "d199 lease"]
    assert [hit.thread_id for hit in find(connection, "lease", limit=1, offset=1).hits] == [
        found.hits[1].thread_id
    ]


def test_more_than_an_hour_holds(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.search.index._IN_AN_HOUR", 3)
    rollout = Writer.begin(builder.path, at_ms=1_790_000_000_000)
    for number in range(5):
        rollout.turn(f"lease {number}")
    index(connection, builder, clock)
    rollout.turn("lease again")
    index(connection, builder, clock)

    assert find(connection, "lease").total == 6


def test_the_index_of_a_home_is_the_same_however_it_was_read(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock, tmp_path: Path
) -> None:
    rollout = Writer.begin(builder.path)
    for number in range(4):
        rollout.turn(f"lease {number}", "yes")
        rollout.run(f"cat file{number}.txt")
        index(connection, builder, clock)
    piecemeal = contents(connection)
    connection.execute("UPDATE rollouts SET step = 'heads', parsed_bytes = 0, fold = NULL")
    index(connection, builder, clock)

    assert contents(connection) == piecemeal


def contents(connection: sqlite3.Connection) -> list[list[tuple[object, ...]]]:
    return [
        connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3").fetchall()
        for table, columns in (
            ("search_items", "line, kind, at, tool, words, original"),
            ("file_touches f JOIN touched_paths p ON p.key = f.path", "p.path, turn, action, line, at"),
        )
    ]
