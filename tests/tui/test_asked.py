"""What the words in the search box ask for."""

from __future__ import annotations

import pytest
from fake_services import APP, NOW

from store.search.query import Filter, QueryError
from tui.asked import STARRED, understand
from tui.listing import View


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        ("lease", "text", "lease"),
        ("lease cwd:/src/app/", "text", "lease"),
        ("lease claim", "text", None),
        ('"lease"', "text", None),
        ("lea*", "text", None),
        ("note:", "text", "note:"),
        ("source:cli,exec", "sources", ("cli", "exec")),
        ("provider:openai,azure x", "providers", ("openai", "azure")),
        ("archived:yes", "archived", "yes"),
        ("is:archived", "archived", "any"),
        ("archived:perhaps", "text", "archived:perhaps"),
        ('"archived:yes"', "archived", "no"),
        ("", "text", None),
    ],
)
def test_what_the_list_is_asked_for(words: str, field: str, value: object) -> None:
    assert getattr(View(understand(words, NOW)).query(), field) == value


def test_a_view_searches_messages_where_it_lists_threads() -> None:
    view = View(understand("lease archived:any source:cli,exec", NOW), project=APP, archived="yes")
    assert (view.scope.cwd, view.scope.archived, view.scope.sources) == (APP, "any", ("cli", "exec"))


def test_stars_are_found_like_tags_that_nobody_can_type() -> None:
    assert understand("lease is:starred", NOW).query.filters == (Filter("tag", STARRED),)
    assert understand("lease -is:starred", NOW).query.filters == (Filter("tag", STARRED, negated=True),)


@pytest.mark.parametrize(
    ("words", "terms"),
    [
        ("lease cla", ["lease", "cla*"]),
        ("lease cla ", ["lease", "cla"]),
        ("lease branch:main", ["lease"]),
        ("lease -cla", ["lease", "cla"]),
    ],
)
def test_the_last_word_of_a_title_may_be_only_begun(words: str, terms: list[str]) -> None:
    asked = understand(words, NOW).of_threads.terms
    assert [" ".join(term.words) + "*" * term.prefix for term in asked] == terms


@pytest.mark.parametrize(
    "words", ['"lease', "source:nobody", "clud is:hidden", "-lease", "sorce:cli", "after:x"]
)
def test_what_is_no_query_says_what_would_be(words: str) -> None:
    with pytest.raises(QueryError) as raised:
        understand(words, NOW)
    assert raised.value.what
    assert raised.value.next_step


def test_an_error_is_where_its_characters_are() -> None:
    with pytest.raises(QueryError) as raised:
        understand("archived:yes lease is:asleep", NOW)
    assert "archived:yes lease is:asleep"[raised.value.start : raised.value.end] == "is:asleep"
