"""Foreign text and numbers as the screens show them."""

from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from widgets.formatting import (
    AGE_WIDTH,
    age,
    count,
    cut,
    duration,
    fit,
    last_part,
    shorten_path,
    size,
    visible,
    visible_line,
)

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOW = 1_760_000_000_000  # 2025-10-09 08:53:20 UTC


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("plain text", "plain text"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("bell\x07 nul\x00 del\x7f csi\x9b", "bell␇ nul␀ del␡ csi\\x9b"),
        ("one\r\ntwo\nthree", "one\ntwo\nthree"),
        ("over\rwritten", "over␍written"),
        ("abc\u202etxt.exe", "abc\\u202etxt.exe"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("half \ud83d", "half \\ud83d"),
        ("family 👨\u200d👩\u200d👧", "family 👨👩👧"),
        ("joined a\u200db", "joined a\\u200db"),
        ("heart ❤\ufe0f", "heart ❤"),
        ("[red]not markup[/red]", "[red]not markup[/red]"),
        ("日本語", "日本語"),
    ],
)
def test_visible_shows_what_would_act_or_hide(foreign: str, shown: str) -> None:
    assert visible(foreign) == shown


def test_visible_line_is_one_line() -> None:
    assert visible_line("  Fix\n\n\tthe   test\u2028now \x1b ") == "Fix the test now ␛"
    assert visible_line("two  blanks") == "two blanks"


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_nothing_shown_moves_the_cursor_or_fails_to_encode(foreign: str) -> None:
    line = visible_line(foreign)
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in line)
    assert line.encode().decode() == line
    assert "\u202e" not in visible(foreign)


@given(st.text(), st.integers(min_value=0, max_value=30))
def test_fit_is_exact_in_cells(foreign: str, width: int) -> None:
    assert cell_len(fit(visible_line(foreign), width)) == width
    assert cell_len(cut(visible_line(foreign), width)) <= width


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("日本語", 5, "日本…"),
        ("日本語", 6, "日本語"),
        ("ab cd", 4, "ab…"),
        ("x", 0, ""),
    ],
)
def test_cut_counts_cells(text: str, width: int, shown: str) -> None:
    assert cut(text, width) == shown


def test_fit_right_aligns() -> None:
    assert fit("12k", 5, right=True) == "  12k"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (None, ""),
        (0, "0"),
        (999, "999"),
        (1_000, "1.0k"),
        (9_949, "9.9k"),
        (9_950, "10k"),
        (840_000, "840k"),
        (999_499, "999k"),
        (999_500, "1.0M"),
        (1_240_000, "1.2M"),
        (2_100_000_000, "2.1G"),
        (-12_000, "-12k"),
    ],
)
def test_count(number: int | None, shown: str) -> None:
    assert count(number) == shown


@given(st.integers(min_value=0, max_value=2**63))
def test_count_never_widens_its_column(number: int) -> None:
    assert len(count(number)) <= 4


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0 B"), (999, "999 B"), (840_000, "840 kB"), (1_600_000_000, "1.6 GB")]
)
def test_size(number: int, shown: str) -> None:
    assert size(number) == shown


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (40, "0.0 s"),
        (440, "0.4 s"),
        (9_960, "10 s"),
        (59_600, "1 min"),
        (200_000, "3 min 20 s"),
        (2 * HOUR + 5 * MINUTE, "2 h 5 min"),
        (3 * DAY + 4 * HOUR, "3 d 4 h"),
    ],
)
def test_duration(milliseconds: int, shown: str) -> None:
    assert duration(milliseconds) == shown


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (-HOUR, "now"),
        (0, "now"),
        (59_999, "now"),
        (4 * MINUTE, "4m"),
        (3 * HOUR, "3h"),
        (6 * DAY, "6d"),
        (21 * DAY, "3w"),
        (40 * DAY, "30 Aug"),
        (400 * DAY, "Sep'24"),
    ],
)
def test_age(ago: int, shown: str) -> None:
    assert age(NOW - ago, NOW, UTC) == shown


@given(st.integers(min_value=-(2**60), max_value=2**60))
def test_age_never_widens_its_column(then: int) -> None:
    assert len(age(then, NOW, UTC)) <= AGE_WIDTH


def test_unknown_age_is_blank() -> None:
    assert age(None, NOW) == ""


@pytest.mark.parametrize(
    ("path", "width", "shown"),
    [
        ("/home/u/src/app", 20, "~/src/app"),
        ("/home/u", 20, "~"),
        ("/home/user2/app", 20, "/home/user2/app"),
        ("/home/u/src/a/very/deep/app", 14, "~/…/deep/app"),
        ("/home/u/src/a/very/deep/app", 8, "~/…/app"),
        ("/home/u/averyveryverylongname", 8, "averyve…"),
    ],
)
def test_shorten_path(path: str, width: int, shown: str) -> None:
    assert shorten_path(path, width, "/home/u") == shown


@pytest.mark.parametrize(
    ("path", "shown"),
    [("/src/app", "app"), ("/src/app/", "app"), ("C:\\src\\app", "app"), ("/", ""), (None, "")],
)
def test_last_part(path: str | None, shown: str) -> None:
    assert last_part(path) == shown
