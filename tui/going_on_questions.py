"""What is asked before a thread goes on in Codex: where, with what, and what is in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from store.codex_cli.models import ResumePlan
from tui.screens.choice import Answer, Question
from widgets.formatting import shorten_path, visible_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from store.codex_cli.models import Settings
    from store.models import Notice
    from tui.screens.choice import Fact

Way = ResumePlan | Literal["watch"]
"""Going on as planned, or only watching."""

PATH_WIDTH: Final = 60


def about_going_on(plan: ResumePlan, others: Sequence[ResumePlan], user_home: Path) -> Question[Way]:
    """Ask whether a thread goes on in Codex; `others` are the plans that stand in for one that would fail."""
    instead = [each for each in others if is_possible(each)]
    words = [visible_line(plan.thread.display_title), *map(sentence, plan.notices)]
    said = set(plan.notices)
    answers: list[Answer[Way]] = []
    if is_possible(plan) and "watch" not in plan.alternatives:
        answers.append(Answer(_label(plan, user_home), plan, facts(plan, user_home)))
    if "watch" in plan.alternatives:
        answers.append(
            Answer("Watch it here", "watch", [("watches", "the transcript follows what is written")])
        )
    for each in instead:
        words += [sentence(notice) for notice in each.notices if notice not in said]
        said.update(each.notices)
        answers.append(Answer(_label(each, user_home), each, facts(each, user_home)))
    title = "Fork the thread in Codex" if plan.verb == "fork" else "Resume the thread in Codex"
    way_out = "Cancel" if answers else "Close"
    return Question(title, words, answers, way_out, facts(plan, user_home))


def is_possible(plan: ResumePlan) -> bool:
    """Whether Codex can be started at all."""
    return plan.program is not None and plan.cwd_there


def _label(plan: ResumePlan, user_home: Path) -> str:
    doing = "Fork it in Codex" if plan.verb == "fork" else "Resume it in Codex"
    if plan.cwd is not None and "-C" in plan.argv:
        doing += f", in {shorten_path(plan.cwd, PATH_WIDTH, user_home)}"
    return f"{doing} all the same" if plan.hindrances else doing


def facts(plan: ResumePlan, user_home: Path) -> list[Fact]:
    """Where and with what it would go on."""
    return [
        ("folder", _folder(plan, user_home)),
        ("branch", _branch(plan)),
        ("last with", _settings(plan.last) or "not known"),
        ("goes on", _next(plan)),
        ("provider", _provider(plan)),
        ("open in", _writer(plan)),
        (
            "codex",
            "not installed" if plan.program is None else plan.program.version or "its version is not known",
        ),
        ("command", visible_line(plan.command)),
    ]


def _folder(plan: ResumePlan, user_home: Path) -> str:
    if plan.cwd is None:
        return "not known"
    path = shorten_path(visible_line(plan.cwd), PATH_WIDTH, user_home)
    return f"{path}, which is there" if plan.cwd_there else f"{path}, which is gone"


def _branch(plan: ResumePlan) -> str:
    now = plan.branch_now or ("no repository" if plan.cwd_there else "not known")
    if plan.branch_then is None:
        return f"{now} now; then not known"
    return f"{now}, as then" if plan.branch_then == plan.branch_now else f"{now} now; {plan.branch_then} then"


def _settings(settings: Settings) -> str:
    return " · ".join(_named(settings))


def _named(settings: Settings) -> Iterator[str]:
    if settings.model:
        yield settings.model
    if settings.sandbox:
        yield f"sandbox {settings.sandbox}"
    if settings.approval:
        yield f"approval {settings.approval}"


def _next(plan: ResumePlan) -> str:
    if plan.program is None:
        return "not known without Codex"
    if plan.next is None:
        return "with what this Codex chooses; that is not known before"
    if plan.next == plan.last:
        return "with the same"
    source = "config.toml" if plan.next_from == "config.toml" else "the thread"
    return f"with {_settings(plan.next) or 'the defaults of Codex'}, from {source}"


def _provider(plan: ResumePlan) -> str:
    name = (plan.next or plan.last).provider
    if name is None:
        return "not known"
    known = {True: "configured", False: "not configured", None: "whether it is configured is not known"}
    return f"{name}, {known[plan.provider_configured]}"


def _writer(plan: ResumePlan) -> str:
    if plan.open_elsewhere is None:
        return "not known here"
    if not plan.open_elsewhere:
        return "no other process"
    return "another process" if plan.open_pid is None else f"process {plan.open_pid}"


def sentence(notice: Notice) -> str:
    """A notice as words on a sheet."""
    parts = [notice.what + (f": {notice.why}" if notice.why else ""), notice.next_step]
    return " ".join(f"{visible_line(part).rstrip('.')}." for part in parts if part)
