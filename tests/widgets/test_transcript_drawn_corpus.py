"""Every item of the homes that real Codex versions wrote can be drawn, folded and unfolded."""

from __future__ import annotations

import unicodedata
from datetime import UTC
from pathlib import Path

import pytest
from reading import TONES

from store.rollouts.transcript import Transcript
from widgets.transcript_rendering import Look, item_strips

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
HOMES = sorted(path for path in CORPUS.glob("*") if (path / "sessions").is_dir())


@pytest.mark.corpus
@pytest.mark.skipif(not HOMES, reason="the homes that real Codex versions wrote are not here")
@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.name)
def test_every_item_can_be_drawn(home: Path) -> None:
    look, drawn = Look(58, TONES, UTC), 0
    for rollout in sorted(home.glob("*sessions/**/rollout-*.jsonl*")):
        thread_id = rollout.name.removesuffix(".zst").removesuffix(".jsonl")[-36:]
        with Transcript.open(rollout, thread_id=thread_id, resolve_base=lambda _base: None) as transcript:
            for one in transcript.all_items():
                for folded in (True, False):
                    strips = item_strips(one, look, folded=folded, hidden=False, part=False)
                    drawn += len(strips)
                    assert all(strip.cell_length <= look.width for strip in strips)
                    text = "".join(strip.text for strip in strips)
                    assert not any(unicodedata.category(character) == "Cc" for character in text)
    assert drawn > 100
