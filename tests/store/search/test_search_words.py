from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from itertools import chain, islice, pairwise
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.search.words import fold, placed_words, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("list_threads_db()", ["list", "threads", "db"]),
        ("Don't", ["don", "t"]),
        ("ÜBER Straße ﬁle Ａ１", ["uber", "strasse", "file", "a1"]),
        ("全文検索 with SQLite", ["全", "文", "検", "索", "with", "sqlite"]),
        ("이메일을", ["이", "메", "일", "을"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("Ελλάδα ЖЁЛТЫЙ", ["ελλαδα", "желтыи"]),
        ("soft\u00adhyphen zero\u200bwidth می\u200cخواهم", ["softhyphen", "zero", "width", "میخواهم"]),
        ("🦊 fox\ufe0f ½", ["fox", "1", "2"]),
        ("e\u0301tude étude", ["etude", "etude"]),
        ("", []),
    ],
)
def test_the_rule(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def tokens_of_sqlite(texts: list[str]) -> list[list[str]]:
    """What the index makes of the texts."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE t USING fts5 (words, tokenize = 'ascii')")
        connection.execute("CREATE VIRTUAL TABLE v USING fts5vocab (t, 'instance')")
        connection.executemany(
            "INSERT INTO t (rowid, words) VALUES (?, ?)",
            [(number, fold(text)) for number, text in enumerate(texts)],
        )
        found: list[list[str]] = [[] for _ in texts]
        for number, term in connection.execute("SELECT doc, term FROM v ORDER BY doc, offset"):
            found[number].append(term)
        return found


def test_sqlite_makes_the_same_of_each_character() -> None:
    codes = chain(range(0x3400), range(0x3400, sys.maxunicode, 97))
    characters = (chr(code) for code in codes if not 0xD800 <= code < 0xE000)
    texts = [f"a{'b '.join(some)}b" for some in iter(lambda: list(islice(characters, 512)), [])]

    assert tokens_of_sqlite(texts) == [words(text) for text in texts]


TEXTS = st.text(
    st.sampled_from("aB1 _-.é\u0301ß検한ไ\u0e31İ\x00\u200b\u200d😀") | st.characters(codec="utf-8"),
    max_size=30,
)


@given(st.lists(TEXTS, max_size=5))
def test_sqlite_makes_the_same_of_a_text(texts: list[str]) -> None:
    assert tokens_of_sqlite(texts) == [words(text) for text in texts]


@given(TEXTS)
def test_words_stand_where_they_are_said_to(text: str) -> None:
    text = normalize("NFC", text)
    placed = list(placed_words(text))

    assert [word.text for word in placed] == words(text)
    assert all(words(text[word.start : word.end]) for word in placed)
    assert all(one.start < one.end and one.end <= two.end for one, two in pairwise(placed))


@given(TEXTS)
def test_folding_twice_changes_no_word(text: str) -> None:
    assert words(fold(text)) == words(text)
