"""A thread as a Markdown document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conversation_lines import (
    OWN,
    answered,
    asked,
    called,
    event,
    items_of,
    line,
    meta,
    response,
    returned,
    said,
)

from store.export.markdown import to_markdown
from store.models import Git, Thread

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rollout.jsonl"


def document(path: Path, data: bytes) -> str:
    thread = Thread(
        key=1,
        id=OWN,
        rollout_path="x",
        title="Fix\nthe test",
        cwd="/w/`odd`",
        created_at=1_795_389_042_000,
        git=Git(branch="main"),
    )
    return "".join(to_markdown(thread, items_of(path, data)))


def test_the_dialogue_stands_in_full_and_the_rest_is_folded(path: Path) -> None:
    data = meta() + said("user", "<environment_context>") + asked("why?") + event("token_count", info=None)
    data += response("reasoning", summary=[{"type": "summary_text", "text": "thinking"}])
    data += called("c", "ls <dir>") + returned("c", "Exit code: 2\nOutput:\nno such file\n")
    data += answered("Because.") + line("compacted", {"message": "summary"}) + event("error", message="boom")
    assert document(path, data) == (
        "# Fix the test\n\n"
        f"- Thread: `{OWN}`\n- Folder: `` /w/`odd` ``\n- Created: 2026-11-22 23:10:42 UTC\n"
        "- Branch: `main`\n\n"
        "<details><summary>Context from Codex</summary>\n\n```\n<environment_context>\n```\n\n</details>\n\n"
        "## You · 2026-11-22 23:10:00 UTC\n\nwhy?\n\n"
        "<details><summary>Reasoning</summary>\n\nthinking\n\n</details>\n\n"
        "<details><summary>exec_command · ls &lt;dir&gt; · exit 2</summary>\n\n"
        "```\nls <dir>\n```\n\n```\nno such file\n```\n\n</details>\n\n"
        "## Codex · final answer · 2026-11-22 23:10:00 UTC\n\nBecause.\n\n"
        "---\n\n<details><summary>Context compacted</summary>\n\nsummary\n\n</details>\n\n"
        "**Error:** boom\n\n"
    )


def test_a_fence_is_longer_than_any_in_what_it_holds(path: Path) -> None:
    text = document(path, meta() + called("c", "cat x.md") + returned("c", "a\n````md\n```\n````\nb"))
    assert "`````\na\n````md\n```\n````\nb\n`````" in text


def test_a_fence_that_a_message_leaves_open_is_closed(path: Path) -> None:
    text = document(path, meta() + asked("look:\n```py\nx = 1") + asked("~~~\n```\n~~~\ndone"))
    assert "look:\n```py\nx = 1\n```\n\n## You" in text
    assert text.endswith("~~~\n```\n~~~\ndone\n\n")


def test_what_was_rolled_back_says_so(path: Path) -> None:
    text = document(path, meta() + asked("undo me") + event("thread_rolled_back", num_turns=1))
    assert "## You · 2026-11-22 23:10:00 UTC · rolled back\n\nundo me" in text
    assert "**Note:** 1 turn rolled back" in text


@pytest.mark.parametrize(
    ("said_so", "written"),
    [
        ("use Vec<String> and a < b", "use Vec&lt;String> and a < b"),
        ("in `Vec<T>` or ``a`<b>`` but <b>", "in `Vec<T>` or ``a`<b>`` but &lt;b>"),
        ("an open ` and <b>", "an open ` and &lt;b>"),
        ("</details><!-- <?php <![CDATA[", "&lt;/details>&lt;!-- &lt;?php &lt;![CDATA["),
        ("```html\n<b>\n```\n<b>", "```html\n<b>\n```\n&lt;b>"),
        ("10. x\n    ```\n    <b>\n    ```", "10. x\n    ```\n    <b>\n    ```"),
        ("```not a fence``` <b>", "```not a fence``` &lt;b>"),
    ],
)
def test_tags_are_shown(path: Path, said_so: str, written: str) -> None:
    assert document(path, meta() + asked(said_so)).endswith(f"UTC\n\n{written}\n\n")


def test_names_are_no_markdown(path: Path) -> None:
    text = document(path, meta() + event("error", message="[x](javascript:y) snake_case _em_ <b> &lt;"))
    assert "**Error:** \\[x\\](javascript:y) snake_case \\_em\\_ \\<b> \\&lt;\n" in text
