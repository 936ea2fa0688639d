"""From one prompt to another: which items of a transcript that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.export.models import Selection
    from store.rollouts.transcript import Transcript


def span(transcript: Transcript, selection: Selection) -> tuple[range, range]:
    """The positions of the items, and the numbers of the prompts among them; the index has to be there.

    A prompt takes with it what its turn begins with (Codex writes the turn's settings before it), and all
    that follows up to the next. Raises ExportError for a prompt that is not there.
    """
    prompts = transcript.prompts
    first, last = selection.from_prompt or 1, selection.to_prompt or len(prompts)
    for wanted in (selection.from_prompt, selection.to_prompt):
        if wanted is not None and not 1 <= wanted <= len(prompts):
            raise ExportError(f"There is no prompt {wanted}", why=_how_many(len(prompts)))
    if first > last and (selection.from_prompt or selection.to_prompt):
        raise ExportError(f"Prompt {first} comes after prompt {last}", next_step="Name the earlier one first")
    start = 0 if first == 1 else _beginning(transcript, prompts, first - 1)
    end = transcript.count if last >= len(prompts) else _beginning(transcript, prompts, last)
    return range(start, end), range(first, last + 1)


def _how_many(prompts: int) -> str:
    if prompts == 0:
        return "the thread has none"
    return f"the thread has {prompts}" if prompts > 1 else "the thread has one only"


def _beginning(transcript: Transcript, prompts: Sequence[int], number: int) -> int:
    """Where the part of a prompt begins, counted from 0; it is not the first."""
    start, before = prompts[number], prompts[number - 1]
    turn = _turn(transcript, start)
    if turn is None or turn == _turn(transcript, before):
        return start
    while start - 1 > before and _turn(transcript, start - 1) == turn:
        start -= 1
    return start


def _turn(transcript: Transcript, position: int) -> int | None:
    items = transcript.items(position, position + 1)
    return items[0].turn if items else None
