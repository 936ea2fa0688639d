"""A thread as a web page: whole, valid, and harmless whatever the thread holds."""

from __future__ import annotations

import base64
import hashlib
import re
import tempfile
from pathlib import Path

import pytest
from conversation_lines import answered, asked, called, event, line, meta, response, returned, said
from exporting import Page, source_of, text_of
from hypothesis import given, settings
from hypothesis import strategies as st

from store.export.rich_text import rich_text


def page_of(folder: Path, data: bytes, **fields: object) -> Page:
    return Page(text_of(source_of(folder, data, **fields), format="html")[0])


def fragment(text: str) -> Page:
    return Page(rich_text(text))


def test_the_dialogue_stands_in_full_and_the_rest_is_folded(tmp_path: Path) -> None:
    data = (
        meta() + said("user", "<environment_context>") + asked("why <b>?") + event("token_count", info=None)
    )
    data += response("reasoning", summary=[{"type": "summary_text", "text": "thinking"}])
    data += called("c", "ls <dir>") + returned("c", "Exit code: 2\nOutput:\n\nno such file\n")
    data += answered("Because **of** `x < y`.") + line("compacted", {"message": "summary"})
    data += event("error", message="boom & <i>") + asked("undo me") + event("thread_rolled_back", num_turns=1)
    page = page_of(tmp_path, data, cwd="/w/<a>", created_at=1_795_389_042_000)
    assert page.of("title") == page.of("h1") == ["Fix the test"]
    assert "/w/<a>" in page.of("dd")
    assert "2026-11-22 23:10:42 UTC" in page.of("dd")
    assert page.of("summary") == [
        "Context from Codex",
        "Reasoning",
        "exec_command · ls <dir> · exit 2",
        "Context compacted",
    ]
    assert page.of("pre") == ["\n<environment_context>", "\nls <dir>", "\n\nno such file\n"]
    assert (page.of("strong"), page.of("code")) == (["of"], ["x < y"])
    assert "why <b>?" in page.of("div")
    assert " boom & <i>" in page.of("p")
    kinds = [
        given["class"]
        for tag, given in page.elements
        if tag in ("article", "details", "p") and "class" in given
    ]
    assert kinds == [
        "context",
        "you",
        "reasoning",
        "tool failed",
        "codex",
        "compaction",
        "error failed",
        "you undone",
        "note",
    ]


def test_prompts_are_numbered_and_lead_to_each_other(tmp_path: Path) -> None:
    source = source_of(
        tmp_path, meta() + b"".join(asked(text) + answered(text) for text in ("a", "b", "c", "d"))
    )
    page = Page(text_of(source, format="html", from_prompt=2, to_prompt=3)[0])
    assert [given["id"] for _, given in page.elements if "id" in given] == ["prompt-2", "prompt-3"]
    assert [given["href"] for tag, given in page.elements if tag == "a"] == ["#prompt-3", "#prompt-2"]


def test_the_page_needs_nothing_and_may_do_nothing(tmp_path: Path) -> None:
    text = text_of(
        source_of(tmp_path, meta() + answered("![x](https://x/y.png) [z](https://z)")), format="html"
    )[0]
    page = Page(text)
    (style,) = page.of("style")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [
        given["content"]
        for tag, given in page.elements
        if given.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert "[image: x] (https://x/y.png)" in page.text
    assert "z (https://z)" in page.text


HOSTILE = [
    "</title></style></pre></details><script>alert(1)</script><img src=x onerror=alert(1)>",
    '"><a href="javascript:alert(1)">x</a><!-- <![CDATA[ <?php',
    "```html\n<script>\n``",
    "[x](javascript:alert(1)) <https://example.org> [a]: https://b\n[a]",
    '[x](<https://a" onclick="b> "t")  ![y](data:text/html,<script>)',
    "nul \0 esc \x1b]0;owned\x07 c1 \x9b31m bidi \u202egnp \u2066 zero \u200b tag \U000e0041 \ufeff",
    "&lt;script&gt; &#27; &#x202e;",
    "| a | b |\n|---|---|\n| <i> | `|` |\n\n1. x\n   - y\n> z\n***\n# h <b>\n~~s~~",
    "7. <li>\n\n99999999999999999999. x",
    ">" * 300 + "x",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_wherever_it_stands(tmp_path: Path, text: str) -> None:
    data = (
        meta()
        + asked(text)
        + answered(text, phase=text)
        + response("reasoning", summary=[{"type": "summary_text", "text": text}])
        + called("c", text, name=text)
        + returned("c", text)
        + event("error", message=text)
        + line("compacted", {"message": text})
        + line(text, {"type": text, "a": text})
    )
    fields = {"title": text, "cwd": text, "model": text, "git": {"branch": text}}
    page = page_of(tmp_path, data, **fields)
    for sign in "\x1b\x07\x9b\u202e\u2066\u200b\ufeff\U000e0041":
        assert sign not in page.text
    markdown = text_of(source_of(tmp_path, data, **fields), format="markdown")[0]
    markdown.encode()
    assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", markdown)
    text_of(source_of(tmp_path, data, **fields), format="json")[0].encode()


def test_lone_surrogates_and_control_characters_are_shown(tmp_path: Path) -> None:
    text = "\ud83d a\r\nb\rc\td \x00\x1b\x7f\x85 \u202e"
    for form in ("markdown", "html", "json"):
        document = text_of(source_of(tmp_path, meta(), title=text, cwd=text), format=form)[0]
        document.encode()
        if form != "json":
            assert "\\ud83d a b␍c d ␀␛␡\\x85 \\u202e" in document


def test_scripts_keep_the_signs_that_they_are_written_with(tmp_path: Path) -> None:
    text = "می\u200cخواهم 👩\u200d💻 \u200fא ❤\ufe0f"
    for form in ("markdown", "html"):
        assert text in text_of(source_of(tmp_path, meta() + asked(text)), format=form)[0]


def test_markdown_becomes_plain_elements() -> None:
    page = fragment(
        "# Head\n\n3. a\n4. b\n\n```py\nx = 1\n```\n\nsee [docs](https://a/b) or <https://c>\n- x\n- y"
    )
    assert [tag for tag, _ in page.elements] == [
        *("div", "h3", "ol", "li", "li", "pre", "p", "span", "ul", "li", "li"),
    ]
    assert dict(page.elements)["ol"] == {"start": "3"}
    assert page.of("pre") == ["\nx = 1"]
    assert "see docs (https://a/b) or https://c" in page.text.replace("\n", " ")


@pytest.mark.parametrize(
    "text",
    [
        "*a" * 3_000,
        ">" * 3_000 + "x",
        "[" * 100_000,
        "a\n" * 50_000,
    ],
)
def test_what_costs_too_much_or_would_be_lost_stays_as_it_was_written(text: str) -> None:
    page = fragment(text)
    assert [tag for tag, _ in page.elements] == ["div"]
    assert page.text == text


SIGNS = st.sampled_from(
    [
        *"<>&\"'`*_~[]()!#|-+ \n\t1.:\\=/",
        "\n\n",
        "```",
        "<b",
        "</pre>",
        "<!--",
        "](",
        "http://a",
        "\ud800",
        "\x1b",
        "é",
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(SIGNS | st.text(max_size=4), max_size=40).map("".join))
def test_any_text_makes_a_whole_page(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = source_of(
            Path(folder),
            meta() + asked("".join(text.splitlines())[:5].encode("utf-8", "replace").decode()),
            title=text,
            cwd=text,
        )
        Page(text_of(source, format="html")[0])
    from store.export.words import legible

    Page(rich_text(legible(text)))
