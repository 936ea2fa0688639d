from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from searching_homes import Writer, index

from store.file_touches import touches_of
from store.rollouts.touched import command_touches, patch_touches, resolve

if TYPE_CHECKING:
    import sqlite3

    from building import HomeBuilder
    from store_fixtures import FixedClock


@pytest.mark.parametrize(
    ("command", "touched"),
    [
        ("cat a.py b.py", "read a.py, read b.py"),
        ("cd src && sed -n '1,20p' 'my file.py' | head -n 5", "read src/my file.py"),
        ("sed -i s/a/b/ x.toml", "write x.toml"),
        ("head -n 20 a.py", "read a.py"),
        ("nl -ba store/rows.py | sed -n '1,5p'", "read store/rows.py"),
        ("rg -n 'a|b' store/rows.py tests", "read store/rows.py"),
        ("rg -n BEGIN src", ""),
        ("grep -rn TODO . || echo none", ""),
        ("echo hi > out.txt; make 2>&1 >> build.log", "write out.txt, write build.log"),
        ("make test 2>/dev/null | tee log.txt", "write log.txt"),
        (
            "FOO=1 rm -rf build/old && mv a b && cp c d",
            "delete build/old, delete a, write b, read c, write d",
        ),
        ("cat <<'EOF' > new.py\nrm x\nEOF", "write new.py"),
        ("cat $FILE *.py ~/x `ls`", ""),
        ("python3 -c 'print(1 > 2)'", ""),
        ("/bin/cat /etc/hosts", "read /etc/hosts"),
        ("(cat a) & cat < b", "read a, read b"),
        ("git log", ""),
    ],
)
def test_commands(command: str, touched: str) -> None:
    assert ", ".join(f"{touch.action} {touch.path}" for touch in command_touches(command)) == touched


def test_patches() -> None:
    patch = (
        "*** Begin Patch\n*** Add File: a b.py\n+*** Delete File: not\n*** Update File: c.py\n"
        "*** Move to: d.py\n@@\n-x\n+y\n*** Delete File: e.py\n*** End Patch"
    )

    assert [tuple(touch) for touch in patch_touches(patch)] == [
        ("a b.py", "write"),
        ("c.py", "write"),
        ("c.py", "delete"),
        ("d.py", "write"),
        ("e.py", "delete"),
    ]


@pytest.mark.parametrize(
    ("path", "cwd", "resolved"),
    [
        ("a.py", "/w", "/w/a.py"),
        ("../b/./a.py", "/w/x", "/w/b/a.py"),
        ("/a//b/../c", None, "/a/c"),
        ("a.py", None, "a.py"),
        ("C:\\x\\a.py", "/w", "C:\\x\\a.py"),
    ],
)
def test_paths_are_those_of_the_turns_folder(path: str, cwd: str | None, resolved: str) -> None:
    assert resolve(path, cwd) == resolved


@given(
    st.text(alphabet=st.sampled_from("cat rm>|&;<'\"\\\n-ia./$") | st.characters(codec="utf-8"), max_size=60)
)
def test_any_command_can_be_looked_at(command: str) -> None:
    for touch in command_touches(command):
        assert touch.path


def test_which_thread_touched_which_file(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    one = Writer.begin(builder.path, 1)
    one.begin_turn("/home/dev/app/web")
    patch = one.patch("*** Begin Patch\n*** Update File: src/rows.py\n@@\n-a\n+b\n*** End Patch")
    one.event(
        "patch_apply_end",
        call_id="call_1",
        success=True,
        changes={"/home/dev/app/web/src/rows.py": {"type": "update", "unified_diff": "", "move_path": None}},
    )
    one.run("cat rows.py", workdir="/home/dev/app/web/src")
    two = Writer.begin(builder.path, 2)
    two.begin_turn()
    two.run("ls", tool="exec_command")
    ran = two.event(
        "item_completed",
        thread_id="x",
        turn_id="y",
        item={
            "type": "CommandExecution",
            "id": "z",
            "command": ["bash", "-lc", "cat src/rows.py"],
            "cwd": "file:///home/dev/app/web",
            "parsed_cmd": [
                {"type": "read", "cmd": "cat src/rows.py", "name": "rows.py", "path": "src/rows.py"}
            ],
            "source": "agent",
            "aggregated_output": "x",
        },
    )
    failed = two.event(
        "patch_apply_end", call_id="c", success=False, changes={"/home/dev/app/other.py": {"type": "delete"}}
    )
    index(connection, builder, clock)

    found = touches_of(connection, "rows.py")
    assert failed
    assert found.total == 3
    assert [(t.thread_id, t.action, t.line, t.turn) for t in found.touches] == [
        (two.id, "read", ran, 0),
        (one.id, "read", patch + 2, 0),
        (one.id, "write", patch, 0),
    ]
    assert {touch.path for touch in found.touches} == {"/home/dev/app/web/src/rows.py"}
    for path, total in (
        ("src/rows.py", 3),
        ("web/src/rows.py", 3),
        ("eb/src/rows.py", 0),
        ("ows.py", 0),
        ("*.py", 3),
        ("/home/dev/app/web/src/rows.py", 3),
        ("/home/dev/app/web", 3),
        ("/home/dev/app/we", 0),
        ("other.py", 0),
    ):
        assert touches_of(connection, path).total == total, path
    assert len(touches_of(connection, "rows.py", limit=1, offset=1).touches) == 1


def test_the_arguments_of_every_kind_of_call(
    connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock
) -> None:
    rollout = Writer.begin(builder.path)
    rollout.begin_turn()
    heredoc = "apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: one.py\n+x\n*** End Patch\nEOF\n"
    rollout.run(heredoc)
    arguments = json.dumps({"command": ["bash", "-lc", "cat two.py"], "workdir": "/w"})
    rollout.response("function_call", name="shell", arguments=arguments, call_id="a")
    rollout.response("local_shell_call", action={"type": "exec", "command": ["cat", "three.py"]}, call_id="b")
    rollout.response("function_call", name="odd", arguments="{not json", call_id="c")
    rollout.response("function_call", name=None, arguments=[1], call_id="d")
    index(connection, builder, clock)

    paths = [touches_of(connection, name).touches[0].path for name in ("one.py", "two.py", "three.py")]
    assert paths == ["/home/dev/app/one.py", "/w/two.py", "/home/dev/app/three.py"]
    tools = connection.execute(
        "SELECT tool FROM search_items WHERE kind = 'command' ORDER BY line"
    ).fetchall()
    assert tools == [("apply_patch",), ("shell",), ("local_shell",), ("odd",)]
