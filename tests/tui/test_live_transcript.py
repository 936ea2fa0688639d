"""A reader's search of a real rollout, in threads."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from conversation_lines import OWN, answered, asked, called, meta, returned
from reading import WidgetApp, screen_text, settled, thread

from store.needle import Needle
from store.rollouts.finding import Finder
from tui.live_transcript import LiveTranscript
from widgets.transcript_view import TranscriptView

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from store.needle import Findings


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[LiveTranscript]:
    transcript = await LiveTranscript.open(path, OWN, {})
    try:
        await transcript.indexed()
        yield transcript
    finally:
        await transcript.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A rollout of 200 turns."""
    path = tmp_path / "rollout.jsonl"
    turns = (
        asked(f"question {n}") + called(f"c{n}") + returned(f"c{n}", f"output {n}\n" * 3) for n in range(200)
    )
    path.write_bytes(meta() + b"".join(turns))
    return path


def append(path: Path, text: str) -> None:
    with path.open("ab") as file:
        file.write(answered(text))


async def test_it_looks_off_the_event_loop_and_goes_on_where_the_file_grew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    step = Finder.step

    def noted(self: Finder) -> Findings | None:
        threads.append(threading.current_thread())
        return step(self)

    monkeypatch.setattr(Finder, "step", noted)
    async with opened(path) as transcript:
        search = transcript.find(Needle("output 77"), lambda _item: True)
        found = await search.more()
        assert found is not None
        assert list(found.positions) == [1 + 2 * 77 + 1]
        assert await search.more() is None
        append(path, "output 77")
        await transcript.indexed()
        found = await search.more()
        assert found is not None
        assert list(found.positions) == [401]
    assert await search.more() is None
    assert threading.main_thread() not in threads


async def test_the_view_finds_an_output_in_the_file_and_what_is_appended(path: Path) -> None:
    view = TranscriptView()
    async with opened(path) as transcript, asyncio.timeout(60):
        app = WidgetApp(view)
        async with app.run_test(size=(80, 24)) as pilot:
            view.show(thread(id=OWN), transcript)
            await settled(pilot)
            view.begin_find()
            view.find("output 42")
            await settled(pilot)
            assert view.cursor_item is not None
            assert view.cursor_item.output is not None
            assert view.cursor_item.output.startswith("output 42\n")
            assert screen_text(app).count("output 42") == 3
            append(path, "the last output 42")
            view.grew()
            await settled(pilot)
            view.action_hit(1)
            await settled(pilot)
            assert view.cursor_item.text == "the last output 42"
