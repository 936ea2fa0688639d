"""Where items lie, and what of them stays in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from reading import TONES, answer, prompt, shell

from widgets.item_heights import ItemHeights
from widgets.transcript_layout import CHARACTERS_KEPT, ITEMS_KEPT, LINES_KEPT, TranscriptLayout
from widgets.transcript_rendering import Look


@given(
    st.integers(0, 700),
    st.lists(st.tuples(st.integers(0, 699), st.integers(0, 50))),
    st.integers(0, 700),
)
def test_heights_add_up(items: int, measured: list[tuple[int, int]], later: int) -> None:
    heights, plain = ItemHeights(items, estimate=2), [2] * items
    for position, height in measured:
        if position < items:
            heights.measure(position, height)
            plain[position] = height
    heights.resize(later)
    plain = (plain + [2] * later)[:later] if later > items else plain[:later]
    assert heights.total == sum(plain)
    places = [(position, line) for position, height in enumerate(plain) for line in range(height)]
    for line in range(0, len(places), 7):
        assert heights.at(line) == places[line]
    for position in range(0, later, 13):
        assert heights.top(position) == sum(plain[:position])
    if plain:
        assert heights.at(len(places) + 5)[0] == later - 1


def test_a_million_items_are_found_by_few_steps() -> None:
    heights = ItemHeights(1_000_000)
    heights.measure(999_999, 40)
    assert heights.at(heights.total - 1) == (999_999, 39)
    assert heights.top(999_999) == heights.total - 40


def test_memory_is_bounded_by_items_by_characters_and_by_lines() -> None:
    layout = TranscriptLayout(10_000)
    layout.look(Look(80, TONES))
    layout.accept(0, [prompt(line, "x") for line in range(10_000)])
    layout.forget_far(5_000, 5_040)
    kept = [position for position in range(10_000) if layout.item(position)]
    assert len(kept) == ITEMS_KEPT
    assert kept[0] <= 4_999
    assert kept[-1] >= 5_040

    layout = TranscriptLayout(100)
    layout.look(Look(80, TONES))
    layout.accept(0, [shell(line, "cat", "y\n" * 500_000) for line in range(100)])
    layout.forget_far(50, 52)
    characters = sum(len(one.output or "") for position in range(100) if (one := layout.item(position)))
    assert characters <= CHARACTERS_KEPT
    assert all(layout.item(position) for position in range(50, 53))

    layout = TranscriptLayout(100)
    layout.look(Look(80, TONES))
    layout.unfold_all(True)
    layout.accept(0, [answer(line, "z\n\n" * 500) for line in range(100)])
    for position in range(100):
        layout.measure(position)
        assert layout._lines_kept <= LINES_KEPT
    assert layout.heights.total == 100 * 1001


def test_a_changed_item_is_measured_again_and_an_equal_one_is_not() -> None:
    layout = TranscriptLayout(3)
    layout.look(Look(80, TONES))
    layout.accept(0, [prompt(0, "a"), answer(1, "b"), answer(2, "c")])
    assert all(layout.measure(position) or layout.heights.is_measured(position) for position in range(3))
    layout.grown()
    assert layout.missing(0, 2) == (0, 3)
    layout.accept(0, [prompt(0, "a"), answer(1, "b\n\nmore", lines=(1, 3)), answer(2, "c")])
    assert [layout.heights.is_measured(position) for position in range(3)] == [True, False, False]
    assert layout.missing(0, 2) is None
    assert layout.measure(1)
    assert layout.heights.height(1) == 5
