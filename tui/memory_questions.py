"""What is asked before the memory pipeline does anything: with what, on what, at what cost, to what end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui import wording
from tui.memory_orders import Consolidate, Extract, Restore, RunCodex
from tui.screens.choice import Answer, Question
from widgets.formatting import count, shorten_path, visible_line, whole
from widgets.memory_run_words import run_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from store.errors import StoreError
    from store.memories.models import MemoryRun
    from tui.memory_orders import ConsolidationPlan, EngineChoice, ExtractionPlan, Order
    from tui.screens.choice import Fact

FILES = "MEMORY.md, memory_summary.md, raw_memories.md and rollout_summaries/"
FILES_NAMED = 3


def about_extraction(plan: ExtractionPlan) -> Question[Order]:
    """Ask whether threads are to be made memories of, and by which engine."""
    number = wording.threads(plan.threads)
    if plan.thread_ids is None and not plan.threads:
        words = [
            "No thread waits for extraction.",
            "A thread waits once nothing was added to it for 12 hours, if it is not older than 30 days.",
            "Mark others in the list of threads ( space ) to have them extracted now.",
        ]
        return Question("Extract memories", words, (), way_out="Close")
    if plan.thread_ids is None:
        words = [f"{number} {'waits' if plan.threads == 1 else 'wait'} for extraction."]
    else:
        its = "its" if plan.threads == 1 else "their"
        words = [
            f"{number} that you named, whatever {its} age and earlier failures.",
            "What is being extracted elsewhere, or whose memory is disabled, is left out.",
        ]
    return Question(
        "Extract memories",
        words,
        [
            Answer(
                f"Extract with {each.name}",
                Extract(each.name, plan.thread_ids),
                [
                    ("engine", _engine(each)),
                    ("threads", number),
                    ("tokens", _tokens(each, plan.tokens)),
                    ("writes", plan.writes),
                ],
            )
            for each in plan.engines
        ],
    )


def about_consolidation(plan: ConsolidationPlan, user_home: Path) -> Question[Order]:
    """Ask whether the memories are to be consolidated; in a root of Codex's, whether Codex is to do it."""
    root = shorten_path(plan.root, 60, user_home)
    if plan.owned is not None:
        words = [f"{root} belongs to Codex: {plan.owned}. Rollodex does not write there."]
        return Question("Consolidate memories", words, [about_codex(plan), *_elsewhere(plan, user_home)])
    if not plan.memories:
        words = ["No thread has a memory yet that could be consolidated.", "Extract some first ( X )."]
        return Question("Consolidate memories", words, (), way_out="Close")
    words = [_sentence(plan.needed)]
    if not plan.new:
        words.append("Nothing new has come since; it can be done again all the same.")
    return Question(
        "Consolidate memories",
        words,
        [
            Answer(
                f"Consolidate with {each.name}",
                Consolidate(each.name, plan.root, plan.force),
                [*_work(each, plan), ("writes", f"{FILES} in {root}; u undoes it")],
            )
            for each in plan.engines
        ],
    )


def about_codex(plan: ConsolidationPlan) -> Answer[Order]:
    """What it means to have Codex run its own pipeline."""
    skips = "\n".join(_sentence(each) for each in plan.codex_skips)
    facts: list[Fact] = [
        ("engine", "Codex itself, in a session of its app-server"),
        ("threads", "those that Codex chooses"),
        ("tokens", "what Codex spends; how many is not known before"),
        ("writes", "its memory folder and its own databases"),
    ]
    if skips:
        facts.append(("note", skips))
    return Answer("Have Codex run its own pipeline", RunCodex(), facts)


def about_codex_alone(plan: ConsolidationPlan) -> Question[Order]:
    """Ask whether Codex is to run its own pipeline."""
    words = ["Codex's memory jobs are Codex's own: only Codex runs them."]
    return Question("Run Codex's pipeline", words, [about_codex(plan)])


def about_undoing(run: MemoryRun, user_home: Path, refused: StoreError | None = None) -> Question[Order]:
    """Ask whether a run is to be undone; `refused` is why that was not done without a word more."""
    root = shorten_path(run.root, 60, user_home)
    names = [visible_line(path) for path in run.changed[:FILES_NAMED]]
    more = len(run.changed) - len(names)
    files = ", ".join(names) + (f" and {whole(more)} more" if more > 0 else "")
    words = [f"Run {run.id} was a {run_words(run)}: it changed {files}."]
    if refused is not None:
        words = [_sentence(refused.what), *([_sentence(refused.why)] if refused.why else [])]
    facts = [
        ("engine", "none"),
        ("tokens", "none"),
        ("writes", f"these files in {root}, as they were before run {run.id}; that can be undone as well"),
    ]
    label = f"Undo run {run.id}" + (" all the same" if refused is not None else "")
    return Question(
        f"Undo run {run.id}", words, [Answer(label, Restore(run.id, confirmed=refused is not None), facts)]
    )


def about_stopping() -> Question[bool]:
    """Ask whether what runs is to be stopped."""
    words = [
        "The engine is ended. What was extracted so far stays; of a consolidation nothing is written.",
        "Tokens that were spent are spent.",
    ]
    return Question("Stop the run", words, [Answer("Stop it", True)], way_out="Let it go on")


def under_way(order: Order, user_home: Path) -> str:
    """Return what is being done, in a few words."""
    match order:
        case Extract():
            return f"Extracting memories with {order.engine}"
        case Consolidate():
            root = shorten_path(order.root, 60, user_home)
            return f"Consolidating memories in {root} with {order.engine}"
        case Restore():
            return f"Undoing run {order.run_id}"
        case RunCodex():
            return "Codex runs its own memory pipeline"


def _elsewhere(plan: ConsolidationPlan, user_home: Path) -> Iterator[Answer[Order]]:
    if not plan.memories:
        return
    folder = shorten_path(plan.elsewhere, 60, user_home)
    for each in plan.engines:
        yield Answer(
            f"Consolidate into another folder with {each.name}",
            Consolidate(each.name, plan.elsewhere, force=True),
            [*_work(each, plan), ("writes", f"{FILES} in {folder}, which Codex will not read")],
        )


def _work(engine: EngineChoice, plan: ConsolidationPlan) -> Sequence[Fact]:
    threads = f"{whole(plan.memories)} {'memory' if plan.memories == 1 else 'memories'} of threads"
    return ("engine", _engine(engine)), ("threads", threads), ("tokens", _tokens(engine, plan.tokens))


def _engine(engine: EngineChoice) -> str:
    if engine.name == "extractive":
        return "extractive: by rule, on this machine, without a model"
    if engine.name == "codex":
        return "codex exec, in its sandbox, with your own Codex account"
    return f"{visible_line(engine.name)}, in a sandbox"


def _tokens(engine: EngineChoice, tokens: int) -> str:
    if engine.costs_tokens:
        return f"about {count(tokens)} to read, and what it answers"
    return "none"


def _sentence(text: str) -> str:
    text = visible_line(text).rstrip(".")
    # The name of a file stays as it is.
    return f"{text}." if "." in text.partition(" ")[0] else f"{text[:1].upper()}{text[1:]}."
