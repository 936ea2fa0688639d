"""Pictures of the search box and of what stands under it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from desks import SMALL_AND_LARGE, Compare, an_app, pressing, sized
from fake_search import a_hit, found
from fake_services import FakeServices, a_desk

from store.search.models import Elsewhere

if TYPE_CHECKING:
    from store.search.models import SearchResult

DESK = {thread.display_title: thread for thread in a_desk()}
OF_LEASE = found(
    a_hit(DESK["Fix flaky stage-1 test"], "…two starts take the «lease» at once: the claim reads first"),
    a_hit(DESK["Port the parser to the new item format"], "it takes a «lease» of 900 s before it reads"),
    a_hit(
        DESK["日本語のタイトルも列をそろえて表示する"],
        "期限が切れると «lease» を取り直す",
    ),
    a_hit(DESK["Rewrite the importer"], "[bold]no markup[/bold] \x1b[31m«lease» \u202e in what a log said"),
    a_hit(
        DESK["nightly: bump dependencies"],
        "the words before the match are many, and still more of them, until at its end comes the «lease»",
    ),
    total=18,
)


def finding(result: SearchResult = OF_LEASE) -> FakeServices:
    services = FakeServices(a_desk())
    services.search.result = result
    return services


@sized(SMALL_AND_LARGE)
def test_titles_and_messages(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Titles, then a heading with all hits counted; under each thread what was found, the match marked."""
    app = an_app(finding())
    assert snap_compare(app, terminal_size=size, run_before=pressing("slash", *"lease"))


@sized(SMALL_AND_LARGE)
def test_a_hit_under_the_cursor(snap_compare: Compare, size: tuple[int, int]) -> None:
    """The cursor is on the thread of a hit; its transcript stands at the item."""
    keys = ("slash", *"lease", "enter", "down", "down", "down", "down", "slash")
    assert snap_compare(an_app(finding()), terminal_size=size, run_before=pressing(*keys))


@sized(SMALL_AND_LARGE)
def test_no_query(snap_compare: Compare, size: tuple[int, int]) -> None:
    """What is not understood is said under the box, with what would be; the list stays."""
    app = an_app(finding())
    assert snap_compare(app, terminal_size=size, run_before=pressing("slash", *"lease is:asleep"))


@sized(SMALL_AND_LARGE)
def test_found_elsewhere(snap_compare: Compare, size: tuple[int, int]) -> None:
    """Nothing here: where else it is."""
    nothing = found(elsewhere=Elsewhere(archived=2, other_projects=4))
    app = an_app(finding(nothing))
    assert snap_compare(app, terminal_size=size, run_before=pressing("slash", *"watermark"))


def test_with_ascii(snap_compare: Compare) -> None:
    """No glyph beyond ASCII of our own."""
    app = an_app(finding(), ascii_only=True)
    assert snap_compare(app, terminal_size=(80, 24), run_before=pressing("slash", *"lease"))
