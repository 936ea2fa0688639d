"""The message behind a chain of spans."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.log_messages import LONGEST_CHAIN, message_of, message_start


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("models cache: evaluating cache eligibility", "models cache: evaluating cache eligibility"),
        ("serve_inner: client initialized", "serve_inner: client initialized"),
        ('get_model_info{model="gpt-5"}: Unknown model', "Unknown model"),
        (
            'session_loop{thread_id=01a2}:turn{model=gpt-5}:run_turn:list{a="b}: c"}: cache: hit',
            "cache: hit",
        ),
        ('turn{a=1}:  name="Metrics" limit=2000', 'name="Metrics" limit=2000'),
        ("turn{op=Submission { id: 1, items: [Text { text: 2 }] }}: done", "done"),
        (r'turn{text="a \" quote }: x"}: done', "done"),
        ("turn{said=it's \"odd}: done", "done"),
        ("turn{a=1}:a span of other letters{b=2}: done", "done"),
        (
            "turn{a=1}: ToolCall: apply_patch *** Begin Patch\n+{}: x",
            "ToolCall: apply_patch *** Begin Patch\n+{}: x",
        ),
        ("turn{a=1}: ", "turn{a=1}: "),
        ("turn{a=1}", "turn{a=1}"),
        ("", ""),
        ('{"json": 1}: 2', '{"json": 1}: 2'),
    ],
)
def test_the_message_is_what_stands_behind_the_spans(body: str, message: str) -> None:
    assert message_of(body) == message


def test_a_chain_that_does_not_end_is_left() -> None:
    body = 'turn{a="' + "{" * 200_000
    assert message_of(body) == body
    assert message_of("a:" * LONGEST_CHAIN) == "a:" * LONGEST_CHAIN


@given(st.text(alphabet='a{}": =\\\n', max_size=60))
def test_nothing_but_the_beginning_is_ever_taken_away(body: str) -> None:
    start = message_start(body)
    assert 0 <= start <= len(body)
    assert body.endswith(message_of(body))
