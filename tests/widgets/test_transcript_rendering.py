"""What each kind of item looks like, and that no foreign text gets out of its place."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reading import PARENT_ID, THREAD_ID, TONES, answer, item, prompt, shell, tone_of
from rich.cells import cell_len

from widgets.code_lines import code_lines, worded, wrapped
from widgets.diff_lines import diff_lines, diff_size, is_diff
from widgets.formatting import visible
from widgets.glyphs import ASCII
from widgets.markdown_lines import markdown_lines, typed_lines
from widgets.transcript_rendering import (
    MOST_LINES,
    Look,
    begins_part,
    folded_at_first,
    is_quiet,
    item_strips,
)

if TYPE_CHECKING:
    from store.models import TranscriptItem

HOSTILE = (
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil\x07link\x1b]8;;\x07 \x9b2J \u202eabc\u202c \u200bzero\ufeff "
    "[@click=app.quit]x[/] [link=http://evil]y[/link] <b>&#27;[2J&#x202e;</b> "
    "\ud83d 日本語 \U000e0041 \r over"
)
PATCH = """*** Begin Patch
*** Update File: src/calc.py
@@ def add
 def add(a, b):
-    return a - b
+    return a + b
*** Add File: src/new.py
+one
+two
*** End Patch"""


def draw(
    one: TranscriptItem,
    width: int = 80,
    *,
    folded: bool | None = None,
    previous: TranscriptItem | None = None,
    ascii_only: bool = False,
) -> list[str]:
    """The lines of an item, folded as at first unless said otherwise."""
    look = Look(width, TONES, UTC, ASCII) if ascii_only else Look(width, TONES, UTC)
    shut = folded_at_first(one) if folded is None else folded
    strips = item_strips(one, look, folded=shut, hidden=False, part=begins_part(one, previous))
    assert all(strip.cell_length <= width for strip in strips)
    return [strip.text.rstrip() for strip in strips]


def tones(one: TranscriptItem, *, folded: bool = False) -> dict[str, str]:
    """The tone of each piece of text of an item."""
    strips = item_strips(one, Look(80, TONES, UTC), folded=folded, hidden=False, part=False)
    return {
        segment.text.strip(): tone_of(segment)
        for strip in strips
        for segment in strip
        if segment.text.strip()
    }


# Messages


def test_a_prompt_has_its_day_and_stands_as_it_was_typed() -> None:
    typed = "rename *.py and __init__\n\n  - keep   blanks\n```py\nx = 1\n```"
    assert draw(prompt(0, typed), 60) == [
        "",
        "you                                         2026-09-21 14:13",
        "  rename *.py and __init__",
        "",
        "    - keep   blanks",
        "  ```py",
        "  x = 1",
        "  ```",
    ]


def test_an_answer_says_its_phase_and_is_set_as_markdown() -> None:
    text = "# Cause\n\nIt **reads** `BEGIN`\nfirst.\n\n- one\n- two\n\n> quoted"
    text += "\n\n```python\ndef f(): return 1\n```"
    final = answer(0, text, phase="final_answer")
    assert draw(final, 60) == [
        "",
        "codex · final answer                                   14:13",
        "  Cause",
        "",
        "  It reads BEGIN first.",
        "",
        "  • one",
        "  • two",
        "",
        "  │ quoted",
        "",
        "    def f(): return 1",
    ]
    shown = tones(final)
    assert shown["BEGIN"] == "string"
    assert shown["def"] == "keyword"
    assert shown["quoted"] == "muted"


def test_commentary_is_muted_and_a_final_answer_is_not() -> None:
    assert tones(answer(0, "looking", phase="commentary"))["looking"] == "muted"
    assert tones(answer(0, "found", phase="final_answer"))["found"] == "text"
    assert tones(answer(0, "plain"))["codex"] == "bright"


def test_a_rolled_back_turn_is_struck_and_marked() -> None:
    gone = prompt(0, "never mind", rolled_back=True)
    assert draw(gone)[1].startswith("you · rolled back")
    strips = item_strips(gone, Look(80, TONES, UTC), folded=False, hidden=False, part=False)
    words = next(segment for strip in strips for segment in strip if "never mind" in segment.text)
    assert words.style is not None
    assert words.style.strike
    assert tone_of(words) == "muted"
    assert tones(gone)["· rolled back"] == "warn"


def test_links_show_their_address_once_and_are_no_hyperlinks() -> None:
    text = "[calc](src/calc.py:12) <https://a.b/c> [https://x.y](https://x.y) ![shot](a.png)"
    lines = markdown_lines(text, 100, TONES, base=TONES.text)
    assert "".join(segment.text for segment in lines[0]).rstrip() == (
        "calc (src/calc.py:12) https://a.b/c https://x.y [shot] (a.png)"
    )
    assert all(segment.style is None or segment.style.link is None for line in lines for segment in line)


def test_html_and_entities_stay_as_written() -> None:
    assert (
        draw(answer(0, "<div>kept</div> &lt;b&gt; <!-- too -->"))[2]
        == "  <div>kept</div> &lt;b&gt; <!-- too -->"
    )


def test_a_table_keeps_its_cells_whatever_the_width() -> None:
    table = "| a | b |\n|---|---:|\n| one | 1 |\n| two | 22 |"
    assert draw(answer(0, table), 40)[2:] == ["  a      b", "  ────────", "  one    1", "  two   22"]
    wide = "|" + "|".join(f"c{n}" for n in range(40)) + "|\n|" + "-|" * 40
    assert all(f"c{n}" in " ".join(draw(answer(0, wide), 58)) for n in range(40))


# Tools


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            shell(0, "rg -n BEGIN", "x\n" * 42, duration_ms=100),
            "+ exec rg -n BEGIN · exit 0 · 0.1 s · 42 lines",
        ),
        (shell(0, "false", "no\n", exit_code=1, failed=True), "✗ exec false · exit 1 · 1 line"),
        (shell(0, "a\nb   c", None, exit_code=None), "+ exec a b c · no output"),
        (
            item(0, "tool", tool="apply_patch", text=PATCH, output="ok", exit_code=0),
            "+ patch src/calc.py and 1 more +3 -1 · exit 0 · 1 line",
        ),
        (
            item(
                0,
                "tool",
                tool="update_plan",
                text="why\n[x] read\n[~] write\n[ ] test",
                output="Plan updated",
            ),
            "+ plan 1 of 3 done · write · 1 line",
        ),
        (
            item(0, "tool", tool="srv.lookup", arguments='{"id": "T-42", "deep": true}', output=""),
            "+ srv.lookup id=T-42 deep=true · 0 lines",
        ),
        (
            item(0, "tool", tool="view_image", text="red.png", output="[image]"),
            "+ view_image red.png · 1 line",
        ),
        (item(0, "tool", tool="odd", arguments="[1, 2", failed=True), "✗ odd [1, 2 · failed"),
        (item(0, "tool", label="mystery"), "+ mystery · no output"),
    ],
)
def test_a_call_is_one_line(call: TranscriptItem, line: str) -> None:
    assert draw(call) == [line]


def test_a_long_command_is_cut_before_its_outcome() -> None:
    (line,) = draw(shell(0, "echo " + "x" * 500, "done"), 58)
    assert line.endswith("… · exit 0 · 1 line")
    assert cell_len(line) == 58


def test_an_unfolded_call_shows_what_it_was_given_and_what_came_out() -> None:
    call = shell(0, "cd src &&\nmake", "one\n  two\n").model_copy(
        update={"arguments": json.dumps({"cmd": "…", "workdir": "/w"})}
    )
    assert draw(call, folded=False) == [
        "- exec cd src && make · exit 0 · 2 lines",
        "  $ cd src &&",
        "    make",
        "  in /w",
        "  ────────",
        "  one",
        "    two",
    ]


def test_an_unfolded_patch_has_its_signs_in_a_column() -> None:
    call = item(0, "tool", tool="apply_patch", text=PATCH, output="Success", exit_code=0)
    assert draw(call, folded=False)[1:] == [
        "  update src/calc.py",
        "  @@ def add",
        "    def add(a, b):",
        "  -     return a - b",
        "  +     return a + b",
        "  add src/new.py",
        "  + one",
        "  + two",
        "  ────────",
        "  Success",
    ]
    assert tones(call)["add src/new.py"] == "bright"


def test_a_unified_diff_in_an_output_is_coloured() -> None:
    diff = (
        "diff --git a/x.py b/x.py\nindex 1..2\n--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@ f\n same\n-old\n+new\n"
    )
    assert is_diff(diff)
    assert diff_size(diff).files == ("x.py",)
    assert (diff_size(diff).added, diff_size(diff).removed) == (1, 1)
    call = shell(0, "git diff", diff)
    strips = item_strips(call, Look(80, TONES, UTC), folded=False, hidden=False, part=False)
    signs = {strip.text.strip(): {tone_of(part) for part in strip if part.text.strip()} for strip in strips}
    assert signs["+ new"] == {"added"}
    assert signs["- old"] == {"removed"}
    assert signs["same"] == {"text"}
    assert not is_diff("a + b\n- c\n@@ mention")


def test_a_huge_output_is_capped_and_says_so() -> None:
    lines = draw(shell(0, "seq", "\n".join(map(str, range(50_000)))), folded=False)
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == "  … only the first 2,000 lines are shown; J shows all of it"
    assert lines[0].endswith("50,000 lines")


def test_a_huge_line_is_capped_and_says_so() -> None:
    lines = draw(shell(0, "cat", "x" * 100_000), folded=False)
    assert lines[-1] == "  … 96k more characters"
    assert len(lines) < 100


# The rest


def test_reasoning_and_context_are_folded_to_one_line() -> None:
    assert draw(item(0, "reasoning", text="**Looking around**\n\nThe test…")) == [
        "+ reasoning · Looking around"
    ]
    assert draw(item(0, "reasoning")) == ["· reasoning · encrypted, for Codex alone"]
    context = "<environment_context>\n<cwd>/w</cwd>\n</environment_context>"
    assert draw(item(0, "context", text=context, injected=True)) == ["+ context · environment context"]
    agents = "# AGENTS.md instructions for /w\n\n" + "rule " * 200
    assert draw(item(0, "message", role="user", text=agents, injected=True)) == [
        "+ context · AGENTS.md instructions for /w · 1.0k characters"
    ]
    assert draw(item(0, "context", text=context), folded=False)[1:] == [
        "  <environment_context>",
        "  <cwd>/w</cwd>",
        "  </environment_context>",
    ]


def test_compaction_is_a_rule_with_its_summary() -> None:
    compaction = item(0, "compaction", text="## Done\n\nAll of it.")
    folded, unfolded = draw(compaction, 60), draw(compaction, 60, folded=False)
    assert folded[1] == "── compacted: Codex went on from a summary ─────────────────"
    assert folded[2:] == ["+ ## Done"]
    assert unfolded[2:] == ["  Done", "", "  All of it."]


def test_events_say_what_happened_and_failures_stand_out() -> None:
    aborted = item(0, "event", label="turn_aborted", text="turn aborted · interrupted", failed=True)
    assert draw(aborted, 60) == ["✗ turn aborted · interrupted                           14:13"]
    assert tones(aborted)["✗ turn aborted · interrupted"] == "bad"
    assert draw(item(0, "event", label="undo_completed", at=None)) == ["· undo completed"]


def test_what_happens_in_every_turn_is_quiet_unless_it_failed() -> None:
    assert is_quiet(item(0, "event", label="task_complete"))
    assert not is_quiet(item(0, "event", label="task_complete", failed=True))
    assert not is_quiet(prompt(0, "x"))


def test_an_unknown_kind_shows_its_raw_words() -> None:
    assert draw(item(0, "unknown", label="hologram", text='{"depth": 3}')) == ['· hologram · {"depth": 3}']
    strange = item(0, "unknown", label="hologram", text=json.dumps({"depth": list(range(60))}))
    (line,) = draw(strange)
    assert line.startswith('+ hologram · {"depth": [0, 1')
    assert cell_len(line) == 80
    assert "59]}" in "".join(draw(strange, folded=False))


def test_a_fork_shows_where_what_it_inherits_begins_and_ends() -> None:
    inherited = prompt(0, "before", inherited=True, thread_id=PARENT_ID)
    own = answer(9, "after")
    assert draw(inherited, 60)[0] == f"── from {PARENT_ID} ───────────────"
    assert not begins_part(inherited, inherited)
    assert (
        draw(own, 60, previous=inherited)[1] == "── from here on the fork's own ─────────────────────────────"
    )
    assert not begins_part(own, own)
    assert own.thread_id == THREAD_ID
    reverted = own.model_copy(update={"rollout_id": PARENT_ID})
    assert draw(reverted, 60, previous=inherited)[1].startswith(
        "── from here on what came after the revert ─"
    )


def test_a_hidden_item_still_carries_the_rule() -> None:
    first = item(0, "event", label="task_started", inherited=True, thread_id=PARENT_ID)
    strips = item_strips(first, Look(60, TONES, UTC), folded=True, hidden=True, part=True)
    assert [strip.text[:8] for strip in strips] == ["── from "]
    assert item_strips(first, Look(60, TONES, UTC), folded=True, hidden=True, part=False) == []


def test_ascii_marks() -> None:
    assert draw(shell(0, "no", "", exit_code=2), ascii_only=True) == ["x exec no - exit 2 - 0 lines"]


# Foreign text


def harmless(text: str) -> bool:
    """Whether nothing in a drawn text moves, colours, reorders or hides."""
    return not any(unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") for one in text)


EVERY_KIND = [
    prompt(0, HOSTILE),
    answer(0, HOSTILE, phase=HOSTILE),
    answer(
        0,
        f"# {HOSTILE}\n\n- {HOSTILE}\n\n```{HOSTILE}\n{HOSTILE}\n```\n\n"
        f"[{HOSTILE}](<{HOSTILE}>)\n\n`{HOSTILE}`",
    ),
    item(0, "message", role=HOSTILE, text=HOSTILE),
    shell(0, HOSTILE, HOSTILE),
    item(0, "tool", tool=HOSTILE, arguments=json.dumps({HOSTILE: HOSTILE}), output=HOSTILE),
    item(0, "tool", tool="apply_patch", text=PATCH + HOSTILE, output=HOSTILE),
    item(0, "tool", tool="update_plan", text=f"[x] {HOSTILE}"),
    item(0, "reasoning", text=HOSTILE),
    item(0, "context", text=HOSTILE, label=HOSTILE),
    item(0, "event", text=HOSTILE, label=HOSTILE),
    item(0, "compaction", text=HOSTILE),
    item(0, "unknown", text=HOSTILE, label=HOSTILE),
    item(0, "message", role="user", text="x", inherited=True, thread_id=HOSTILE),
]


@pytest.mark.parametrize("one", EVERY_KIND, ids=lambda one: f"{one.kind}-{one.tool or one.role}"[:20])
@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("width", [8, 58, 140])
def test_hostile_text_is_only_text(one: TranscriptItem, folded: bool, width: int) -> None:
    lines = draw(one, width, folded=folded)
    assert all(harmless(line) for line in lines)
    strips = item_strips(one, Look(width, TONES, UTC), folded=folded, hidden=False, part=False)
    styles = [segment.style for strip in strips for segment in strip if segment.style is not None]
    assert all(not style.meta and style.link is None for style in styles)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300), st.integers(min_value=8, max_value=120))
@example("> " * 1900 + "x", 60)
@example("- " * 300 + "deep", 20)
@example("|a" * 300 + "\n" + "|-" * 300, 30)
@example("```" * 900, 60)
@example("1. \n99999999999. x\n", 8)
@example("[x](y\n```\n| |\n|-|\n", 8)
def test_any_text_can_be_set(text: str, width: int) -> None:
    for lines in (
        markdown_lines(text, width, TONES, base=TONES.text),
        list(typed_lines(text, width, TONES)),
    ):
        for line in lines:
            drawn = "".join(segment.text for segment in line)
            assert harmless(drawn)
            assert cell_len(drawn) <= width
    letters = "".join(character for character in text if character.isalnum())
    typed = "".join(segment.text for line in typed_lines(text, width, TONES) for segment in line)
    assert sum(map(str.isalnum, typed)) >= len(letters)


@settings(max_examples=100, deadline=None)
@given(
    st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Zl", "Zp")), max_size=200)
)
@example("\U000e0000")
def test_wrapping_loses_nothing_but_blanks_at_the_ends(text: str) -> None:
    text = visible(text)
    for lines in (
        wrapped(text, 7, TONES.text),
        worded(text, 7, TONES.text),
        code_lines(text, "python", 7, TONES),
    ):
        drawn = "".join(segment.text for line in lines for segment in line)
        assert drawn.replace(" ", "") == text.rstrip("\n").replace("\n", "").replace(" ", "")


def test_a_message_too_long_for_markdown_stands_as_it_was_written() -> None:
    text = "**bold** " * 10_000
    lines = markdown_lines(text, 80, TONES, base=TONES.text)
    assert "**bold**" in "".join(segment.text for segment in lines[0])
    assert len(lines) < 2_000


def test_what_the_parser_gives_up_on_is_not_lost() -> None:
    deep = "> " * 1900 + "treasure"
    shown = "".join(
        segment.text for line in markdown_lines(deep, 80, TONES, base=TONES.text) for segment in line
    )
    assert "treasure" in shown


def test_diff_lines_wrap_behind_their_sign() -> None:
    lines = list(diff_lines("@@ -1 +1 @@\n+" + "y" * 30, 20, TONES))
    assert ["".join(segment.text for segment in line) for line in lines] == [
        "@@ -1 +1 @@",
        "+ " + "y" * 18,
        "  " + "y" * 12,
    ]
