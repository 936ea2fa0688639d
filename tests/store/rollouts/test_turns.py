"""Turns and messages that are the thread's own and still stand."""

from __future__ import annotations

from store.rollouts.turns import OwnTurns


def test_without_turn_events_each_prompt_begins_a_turn() -> None:
    own = OwnTurns()
    for _ in range(2):
        own.prompt()
        own.answer()
        own.answer()
    assert (own.turns, own.messages) == (2, 6)


def test_a_prompt_within_a_turn_begins_none() -> None:
    own = OwnTurns()
    own.begin()
    own.prompt()
    own.prompt()
    own.end()
    own.prompt()
    assert (own.turns, own.messages) == (2, 3)


def test_roll_back_takes_turns_a_person_spoke_in_and_what_came_after_them() -> None:
    own = OwnTurns()
    own.begin()
    own.prompt()
    own.answer()
    own.end()
    own.begin()
    own.prompt()
    own.end()
    own.begin()
    own.answer()
    own.end()
    own.roll_back(1)
    assert (own.turns, own.messages) == (1, 2)
    own.roll_back(5)
    assert (own.turns, own.messages) == (0, 0)


def test_an_answer_before_any_turn_is_a_message() -> None:
    own = OwnTurns()
    own.answer()
    own.roll_back(1)
    assert (own.turns, own.messages) == (0, 1)
