from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.search.query import FILTERS, VALUES, Filter, Query, QueryError, Term, parse_query

NOW_MS = 1_795_003_200_000
"""2026-11-18 12:00 UTC."""


def parse(text: str) -> Query:
    return parse_query(text, now_ms=NOW_MS, zone=UTC)


def day(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp() * 1000)


def test_words_phrases_prefixes_and_negations() -> None:
    assert parse('Lease "the  Lock" back* -table -"not this" "two wor"*').terms == (
        Term(("lease",)),
        Term(("the", "lock")),
        Term(("back",), prefix=True),
        Term(("table",), negated=True),
        Term(("not", "this"), negated=True),
        Term(("two", "wor"), prefix=True),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("list_threads_db", ("list", "threads", "db")),
        ("store/rows.py:33", ("store", "rows", "py", "33")),
        ("std::vector", ("std", "vector")),
        ("https://example.org/a", ("https", "example", "org", "a")),
        ("検索する", ("検", "索", "す", "る")),
        ("Müller-Lüdenscheidt", ("muller", "ludenscheidt")),
    ],
)
def test_what_looks_like_one_word_and_is_several_is_a_phrase(text: str, words: tuple[str, ...]) -> None:
    assert parse(text).terms == (Term(words),)


def test_filters_with_their_values() -> None:
    query = parse(
        'cwd:"~/my app" -branch:main MODEL:gpt* is:Archived has:error tool:exec_command tag:"to do"'
    )

    assert query.filters == (
        Filter("cwd", "~/my app"),
        Filter("branch", "main", negated=True),
        Filter("model", "gpt*"),
        Filter("is", "archived"),
        Filter("has", "error"),
        Filter("tool", "exec_command"),
        Filter("tag", "to do"),
    )
    assert query.needs == {"tagged"}
    assert parse("is:working -is:hidden").needs == {"working", "hidden"}


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("2026-11-05", day(2026, 11, 5)),
        ("2026-2", day(2026, 2, 1)),
        ("2026", day(2026, 1, 1)),
        ("today", day(2026, 11, 18)),
        ("Yesterday", day(2026, 11, 17)),
        ("3d", NOW_MS - 3 * 86_400_000),
        ("2w", NOW_MS - 14 * 86_400_000),
        ("5h", NOW_MS - 5 * 3_600_000),
    ],
)
def test_days(text: str, after: int) -> None:
    assert parse(f"after:{text}").after_ms == after
    assert parse(f"before:{text}").before_ms == after


def test_days_begin_where_the_person_is() -> None:
    tokyo = timezone(timedelta(hours=9))

    assert parse_query("after:today", now_ms=NOW_MS, zone=tokyo).after_ms == day(2026, 11, 18) - 9 * 3_600_000


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("lease brnch:main", (6, 12), "branch: is one"),
        ('lease "the lock', (6, 15), "Close it"),
        ("lease &&", (6, 8), "letters and digits"),
        ('""', (0, 2), "empty phrase"),
        ("-lease", (0, 6), "Say what is"),
        ("is:gone", (0, 7), "archived, working or hidden"),
        ("has:fun", (0, 7), "has: takes error"),
        ("source:web", (0, 10), "cli, vscode, exec, mcp, subagent or unknown"),
        ("after:soon", (0, 10), "2026-11-05"),
        ("after:2026-13", (0, 13), "2026-11-05"),
        ("-after:today", (0, 12), "before:today"),
        ("after:today before:yesterday", (0, 28), "earlier day"),
        ('cwd:""', (0, 6), FILTERS["cwd"]),
        ("tool:*", (0, 6), FILTERS["tool"]),
    ],
)
def test_a_mistake_is_explained_where_it_is(text: str, at: tuple[int, int], says: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)

    assert (caught.value.start, caught.value.end) == at
    assert says in str(caught.value)


def test_nothing_is_an_empty_query() -> None:
    assert parse("").is_empty
    assert parse("  \t ").is_empty
    assert not parse("after:today").is_empty


@given(st.text(alphabet=st.sampled_from('ab -":*\\/é検 \u200b\x00.') | st.characters(codec="utf-8")))
def test_any_text_is_understood_or_explained(text: str) -> None:
    answer = understood(text)

    if isinstance(answer, QueryError):
        assert answer.what
        assert 0 <= answer.start <= answer.end <= len(text)
    else:
        assert all(term.words for term in answer.terms)


def understood(text: str) -> Query | QueryError:
    try:
        return parse(text)
    except QueryError as error:
        return error


def test_every_filter_says_what_it_takes() -> None:
    assert set(VALUES) <= set(FILTERS)
    assert all(FILTERS.values())
