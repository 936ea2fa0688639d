"""Where a path really leads, in trees of links made at random."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.sandbox.confinement import follow, outermost

pytestmark = pytest.mark.skipif(os.name != "posix", reason="its paths are of POSIX systems")

NAMES = st.sampled_from("abc")
PATHS = st.lists(st.one_of(NAMES, st.sampled_from(["..", "."])), min_size=1, max_size=5).map("/".join)
LINKS = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.tuples(st.booleans(), PATHS)
)


@given(links=LINKS, path=PATHS)
def test_a_path_is_followed_as_the_kernel_does(links: dict[str, tuple[bool, str]], path: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        for name, (is_absolute, target) in links.items():
            link = folder / name
            try:
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(f"{folder}/{target}" if is_absolute else target)
            except OSError:
                continue
        asked = folder / path
        if not asked.exists():
            return
        place = follow(asked)
        assert place.real == Path(os.path.realpath(asked))
        assert all(str(link.readlink()) == text for link, text in place.links)
        assert all(link.parent == link.parent.resolve() for link, _ in place.links)


def test_links_that_go_round_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    with pytest.raises(OSError, match="too many symbolic links"):
        follow(tmp_path / "one" / "file")


def test_of_places_inside_one_another_the_outermost_counts() -> None:
    paths = map(Path, ("/a/b", "/a", "/a/b/c", "/ab", "/a-b/c", "/a"))
    assert outermost(paths) == [Path("/a"), Path("/a-b/c"), Path("/ab")]
