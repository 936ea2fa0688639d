"""Raw lines: set, numbered, bounded, harmless."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from reading import WidgetApp

from widgets.raw_view import MOST_CHARACTERS, RawView

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot


async def shown(raw: str, *, title: str = "", size: tuple[int, int] = (80, 24)) -> list[str]:
    """The lines that a text is shown as."""
    view = RawView()
    app = WidgetApp(view)
    async with app.run_test(size=size) as pilot:
        view.show(title, raw)
        await pilot.pause()
        return view.text.split("\n")


async def test_each_line_is_set_and_numbered() -> None:
    raw = '{"type":"a","n":[1,2.50,null]}\n{"type":"b"}\n'
    assert await shown(raw, title="line 3") == [
        "line 3",
        "  1 {",
        '  2   "type": "a",',
        '  3   "n": [',
        "  4     1,",
        "  5     2.5,",
        "  6     null",
        "  7   ]",
        "  8 }",
        "  9 {",
        ' 10   "type": "b"',
        " 11 }",
    ]


async def test_json_that_is_set_already_stays_so() -> None:
    set_already = json.dumps({"a": [None, {"b": 1}]}, indent=2)
    lines = await shown(set_already)
    assert [line[2:].strip("\n") for line in lines] == [f" {line}" for line in set_already.split("\n")]


async def test_what_is_no_json_stands_as_it_is() -> None:
    assert await shown('{"torn": "li') == [' 1 {"torn": "li']
    assert await shown("") == ["(nothing)"]


async def test_control_characters_are_seen() -> None:
    (line,) = await shown("\x1b]8;;x\x07 \u202e [@click=app.quit]x[/]")
    assert line == " 1 ␛]8;;x␇ \\u202e [@click=app.quit]x[/]"


async def test_a_huge_line_is_cut_and_counted() -> None:
    for raw in (json.dumps({"output": "x" * 400_000}), "y" * 3_000_000, "[" * 200_000):
        lines = await shown(raw)
        assert sum(map(len, lines)) < 1.2 * MOST_CHARACTERS
        if len(raw) > MOST_CHARACTERS:
            assert lines[-1].endswith("more characters are in the file")


async def test_long_lines_wrap_behind_the_number() -> None:
    lines = await shown("z" * 150, size=(60, 10))
    assert [line[:4] for line in lines] == [" 1 z", "   z", "   z"]
    assert sum(line.count("z") for line in lines) == 150


SOME = json.dumps(
    {
        "timestamp": "2026-09-21T14:13:20.000Z",
        "type": "response_item",
        "payload": {
            "type": "function_call",
            "name": "exec_command",
            "arguments": '{"cmd": "rg -n BEGIN store/ | sort | uniq -c | sort -rn | head -20"}',
            "call_id": None,
            "ok": True,
        },
    }
)


def test_raw_lines(snap_compare: Callable[..., bool]) -> None:
    """JSON in lines, numbers muted at the left, a long value wrapped behind its number."""
    view = RawView()

    async def show(pilot: Pilot[None]) -> None:
        view.show("Line 15 of the rollout", SOME)
        await pilot.pause()

    assert snap_compare(WidgetApp(view), terminal_size=(58, 20), run_before=show)
