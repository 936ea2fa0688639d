"""The index against a plain scan of what was said."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from building import HomeBuilder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from searching_homes import Writer, find, index
from store_fixtures import FixedClock

from store.connection import connect_writer
from store.search.models import Scope
from store.search.words import words
from store.state_folder import prepare

WORD = st.sampled_from(
    [
        "lease",
        "Lease",
        "leases",
        "lock",
        "list_threads_db",
        "threads",
        "Müller",
        "muller",
        "検索",
        "検",
        "a1",
        "Straße",
    ]
)
TEXT = st.lists(
    st.sampled_from([" ", ", ", "\n", "/"]).flatmap(lambda gap: WORD.map(lambda word: word + gap)),
    min_size=1,
    max_size=8,
).map("".join)
TURN = st.tuples(TEXT, st.lists(TEXT, max_size=2), st.booleans())
HOME = st.lists(st.lists(TURN, min_size=1, max_size=3), min_size=1, max_size=4)


@dataclass
class Asked:
    text: str
    words: list[str]
    prefix: bool
    negated: bool


@st.composite
def terms(draw: st.DrawFn) -> list[Asked]:
    made = []
    for number in range(draw(st.integers(1, 3))):
        text = draw(st.lists(WORD, min_size=1, max_size=2).map(" ".join))
        prefix, negated = draw(st.booleans()), number > 0 and draw(st.booleans())
        if prefix and draw(st.booleans()):
            text = text[: len(text) - 1] or text
        asked = f'"{text}"' if " " in text else text
        made.append(
            Asked(f"{'-' if negated else ''}{asked}{'*' if prefix else ''}", words(text), prefix, negated)
        )
    return [term for term in made if term.words]


def stands(term: Asked, said: list[str]) -> bool:
    """Whether the term is among the words, looked for as plainly as can be."""
    size = len(term.words)
    return any(
        said[at : at + size] == term.words
        or (
            term.prefix
            and said[at : at + size - 1] == term.words[:-1]
            and said[at + size - 1].startswith(term.words[-1])
        )
        for at in range(len(said) - size + 1)
    )


def matches(query: list[Asked], text: str) -> bool:
    said = words(text)
    return all(stands(term, said) != term.negated for term in query)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HOME, st.lists(terms().filter(bool), min_size=1, max_size=4))
def test_search_finds_what_a_plain_scan_finds(
    home: list[list[tuple[str, list[str], bool]]], queries: list[list[Asked]]
) -> None:
    with TemporaryDirectory() as folder:
        clock = FixedClock()
        builder = HomeBuilder(Path(folder) / "codex")
        builder.path.mkdir()
        said: list[tuple[str, int, str]] = []
        titles: dict[str, str] = {}
        state = prepare(Path(folder) / "state", clock).state
        with closing(connect_writer(state)) as connection:
            for number, turns in enumerate(home, 1):
                rollout = Writer.begin(builder.path, number)
                for prompt, answers, rolled_back in turns:
                    line = rollout.turn(prompt, *answers)
                    titles.setdefault(rollout.id, prompt)
                    if rolled_back:
                        rollout.event("thread_rolled_back", num_turns=1)
                    else:
                        items = [prompt, *answers]
                        said += [(rollout.id, line + 2 * n, text) for n, text in enumerate(items)]
                    index(connection, builder, clock)
            for query in queries:
                result = find(connection, " ".join(term.text for term in query), scope=Scope(), limit=1000)
                wanted = {(thread, line) for thread, line, text in said if matches(query, text)}
                assert {(hit.thread_id, hit.line) for hit in result.hits} == wanted
                assert result.total == len(wanted)
                assert {hit.thread_id for hit in result.threads} == {
                    thread for thread, title in titles.items() if matches(query, title)
                }
                for hit in result.hits:
                    assert hit.snippet.marks
