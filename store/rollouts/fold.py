"""A rollout's lines folded into its facts, one by one, in a state that can be kept and gone on from."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Self

from store.errors import RolloutError
from store.models import DynamicTool
from store.rollouts import settings
from store.rollouts.facts import Problem, RolloutFacts
from store.rollouts.forks import TURN_BEGINS, InheritedPrefix
from store.rollouts.items import (
    KNOWN_TYPES,
    GoalUpdated,
    ItemCompleted,
    Message,
    RolledBack,
    SessionMeta,
    ThreadSettingsApplied,
    TokenCount,
    TurnContext,
    UserMessage,
    completed_item_type,
    is_injected,
    read_payload,
    text_of,
)
from store.rollouts.lines import (
    EVENT_MSG,
    RESPONSE_ITEM,
    SESSION_META,
    TURN_CONTEXT,
    BadLine,
    LineType,
    RawLine,
    has_ordinal,
    is_bare,
    stamp,
    verify,
)
from store.rollouts.open_turn import CALL_TYPES, OUTPUT_TYPES, OpenTurn
from store.rollouts.scan import RolloutFile, created_ms_in_name
from store.rollouts.searchable import GATHERED, Searchable, payload_of
from store.rollouts.turns import OwnTurns

if TYPE_CHECKING:
    from collections.abc import Callable

    from store.rollouts.facts import ProblemKind

KEPT_PROBLEMS: Final = 20

_VERSION: Final = 4
_USAGE_TOLD = re.compile(rb'[^\\]{0,200}"payload":\{"type":"token_count","info":\{"total_token_usage":\{')
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_INJECTED_KINDS: Final = frozenset({"user_instructions", "environment_context"})


class Fold:
    """What the lines taken so far say.

    Lines of which only the last one counts are kept as bytes and decoded when they are asked for.
    """

    def __init__(self) -> None:
        self.next_line = 0
        self._thread_id: str | None = None
        self._values: dict[str, Any] = {}
        self._tools: list[dict[str, Any]] = []
        self._inherited = InheritedPrefix()
        self._own = OwnTurns()
        self._turn = OpenTurn()
        self.searchable = Searchable()
        self._turn_cwd: str | None = None
        self._bad_lines = 0
        self._unknown_records = 0
        self._problems: list[Problem] = []
        self._problem_count = 0
        self._context_line: bytes | None = None
        self._usage_line: bytes | None = None
        self._last_line: bytes | None = None

    @property
    def has_prompt(self) -> bool:
        """Whether title and first user message are known, so that no later line can change them."""
        return "title" in self._values and "first_user_message" in self._values

    def add(self, line: RawLine, name_id: str | None = None) -> None:
        """Take the next line, whatever it is. `name_id` is the thread's id as the file's name has it."""
        number, start, end, data, finished, too_long = line
        self.next_line = number + 1
        if too_long:
            self._bad("long_line", line, f"a line of {(end - start) >> 20} MiB, longer than is read")
            return
        if not data or data.isspace():
            return
        kind = verify(data)
        if isinstance(kind, BadLine):
            self._bad("bad_line" if finished else "unfinished_line", line, kind.reason)
            return
        inherited = self._inherited.active and self._inherited.feed(data, kind)
        self._last_line = data
        if not inherited and (gather := GATHERED.get(kind)) is not None:
            gather(self.searchable, number, data, self._folder)
        if (handler := _HANDLERS.get(kind)) is not None:
            handler(self, data, inherited)
        elif kind == _META:
            self.take_meta(data, name_id)
        elif kind not in KNOWN_TYPES:
            self._unknown_records += 1

    def take_head(self, line: bytes, kind: LineType, name_id: str | None) -> None:
        """Apply one line from the beginning of a rollout of which not all is read: counts nothing."""
        self.next_line += 1
        if kind == _META:
            self.take_meta(line, name_id)
        elif kind in _OPENING:
            _HANDLERS[kind](self, line, True)

    def take_meta(self, line: bytes, name_id: str | None) -> None:
        """The first one is the thread's; a later one of the same thread says its memory mode (0.130)."""
        meta = read_payload(SessionMeta, line)
        if meta is None or not meta.id:
            return
        if self._thread_id is None:
            if self.next_line > 1 and name_id is not None and meta.id != name_id:
                return
            self._thread_id = meta.id
            told = settings.from_session_meta(meta)
            self._values.update({key: value for key, value in told.items() if value is not None})
            self._tools = settings.flat_tools(meta.dynamic_tools or ())
        elif meta.id == self._thread_id and meta.memory_mode is not None:
            self._values["memory_mode"] = meta.memory_mode

    def take_time(self, line: bytes) -> bool:
        """Apply when the last good line was written; whether it is a good line."""
        if isinstance(verify(line), BadLine):
            return False
        self._last_line = line
        return True

    @property
    def cwd(self) -> str | None:
        """The thread's folder, as far as it is known."""
        return self._values.get("cwd")

    def forget_cwd(self) -> None:
        """What is known of the thread's folder is no longer sure."""
        self._values.pop("cwd", None)

    def take_context(self, line: bytes) -> TurnContext | None:
        """Apply a turn's settings, if the line holds any."""
        context = read_payload(TurnContext, line)
        if context is not None:
            self._values.update(settings.from_turn_context(context, paginated=has_ordinal(line)))
            self._turn_cwd = context.cwd or self._turn_cwd
        return context

    def take_settings(self, line: bytes) -> bool:
        """Apply a change of settings that follows everything taken before; whether the line holds one."""
        applied = read_payload(ThreadSettingsApplied, line)
        if applied is None or applied.thread_settings is None:
            return False
        self._settle()
        self._values.update(settings.from_thread_settings(applied.thread_settings))
        return True

    def take_usage(self, line: bytes) -> bool:
        """Apply the last token count; whether the line holds one."""
        count = read_payload(TokenCount, line)
        if count is None or count.info is None or count.info.total_token_usage is None:
            return False
        self._values.update(settings.from_token_usage(count.info.total_token_usage))
        return True

    def damaged(self, reason: str, offset: int) -> None:
        """Note that the file ended before its end: what is missing counts as one bad line."""
        self._bad_lines += 1
        self._note(Problem("damaged_file", self.next_line, offset, reason))

    def facts(self, file: RolloutFile, *, whole: bool) -> RolloutFacts:
        """What is known now; counts only when the `whole` file was taken.

        Raises RolloutError when neither the lines nor the file's name say which thread this is.
        """
        self._settle()
        thread_id = self._thread_id
        if thread_id is None or (file.thread_id is not None and not _UUID.fullmatch(thread_id)):
            thread_id = file.thread_id
        if thread_id is None:
            raise RolloutError(
                f"{file.path} is no rollout",
                why=self._problems[0].reason
                if self._problems
                else "neither its name nor its lines say which thread it is of",
                next_step="Move it out of the Codex home if it does not belong there",
            )
        problems = self._problems
        count = self._problem_count
        if self._thread_id is None:
            empty = file.size == 0
            problem = Problem(
                "empty_file" if empty else "no_session_meta",
                0,
                0,
                "the file is empty" if empty else "no line says which thread this is; its name does",
            )
            problems, count = [problem, *problems][:KEPT_PROBLEMS], count + 1
        values = dict(self._values)
        if not whole:
            # A later session_meta may say otherwise, and the tail is not searched for one.
            values.pop("memory_mode", None)
        if values.get("created_at") is None:
            values["created_at"] = created_ms_in_name(file.path)
        pending, pending_since = self._turn.pending or (None, None)
        return RolloutFacts(
            thread_id=thread_id,
            **values,
            turn_since=self._turn.since,
            pending_call=pending,
            pending_since=pending_since,
            turns=self._own.turns if whole else None,
            messages=self._own.messages if whole else None,
            bad_lines=self._bad_lines if whole else None,
            unknown_records=self._unknown_records if whole else None,
            tools=tuple(DynamicTool(position=i, **tool) for i, tool in enumerate(self._tools)),
            problems=tuple(problems),
            problem_count=count,
        )

    def dump(self) -> bytes:
        """The state, for `load`; of the same lines always the same bytes."""
        self._settle()
        state = {
            "version": _VERSION,
            "next_line": self.next_line,
            "thread_id": self._thread_id,
            "values": dict(sorted(self._values.items())),
            "tools": self._tools,
            "inherited": self._inherited.state(),
            "own": [self._own.standing, self._own.begun, self._own.before],
            "turn": self._turn.state(),
            "turn_cwd": self._turn_cwd,
            "searchable": self.searchable.state(),
            "bad_lines": self._bad_lines,
            "unknown_records": self._unknown_records,
            "problems": [asdict(problem) for problem in self._problems],
            "problem_count": self._problem_count,
        }
        return json.dumps(state, ensure_ascii=False, separators=(",", ":")).encode("utf-8")

    @classmethod
    def load(cls, state: bytes) -> Self | None:
        """The fold that `dump` gave; None when another version of it did, and the file must be read anew."""
        kept = json.loads(state)
        if kept["version"] != _VERSION:
            return None
        fold = cls()
        fold.next_line = kept["next_line"]
        fold._thread_id = kept["thread_id"]
        fold._values = kept["values"]
        fold._tools = kept["tools"]
        fold._inherited = InheritedPrefix(*kept["inherited"])
        fold._own = OwnTurns(*kept["own"])
        fold._turn = OpenTurn(*kept["turn"])
        fold._turn_cwd = kept["turn_cwd"]
        fold.searchable = Searchable(*kept["searchable"])
        fold._bad_lines = kept["bad_lines"]
        fold._unknown_records = kept["unknown_records"]
        fold._problems = [Problem(**problem) for problem in kept["problems"]]
        fold._problem_count = kept["problem_count"]
        return fold

    def _settle(self) -> None:
        """Decode the lines that were kept for being the last of their type."""
        if self._last_line is not None:
            self._values["updated_at"] = stamp(self._last_line)
            self._last_line = None
        if self._context_line is not None:
            self.take_context(self._context_line)
            self._context_line = None
        if self._usage_line is not None:
            self.take_usage(self._usage_line)
            self._usage_line = None

    def _bad(self, kind: ProblemKind, line: RawLine, reason: str) -> None:
        self._bad_lines += 1
        self._note(Problem(kind, line.number, line.start, reason))

    def _note(self, problem: Problem) -> None:
        self._problem_count += 1
        if len(self._problems) < KEPT_PROBLEMS:
            self._problems.append(problem)

    def _take_prompt(self, line: bytes, text: str, *, images: bool, inherited: bool) -> None:
        request = settings.request_of(text)
        shown = request or (settings.IMAGE_ONLY if images else "")
        if shown:
            self._values.setdefault("first_user_message", shown)
            self._values.setdefault("preview", shown)
        if request:
            self._values.setdefault("title", request)
        if not inherited:
            opening = self.searchable.opening(self._number, text)
            self._own.prompt()
            self._note_turn(opening)
            self.searchable.message(opening, "prompt", line, text)

    def _take_answer(self, line: bytes, text: str, *, inherited: bool) -> None:
        if not inherited:
            self._own.answer()
            self.searchable.message(self.searchable.opening(self._number, text), "answer", line, text)

    @property
    def _number(self) -> int:
        """Of the line that is being taken."""
        return self.next_line - 1

    def _note_turn(self, line: int) -> None:
        if self._own.turns > self.searchable.standing:
            self.searchable.turn_began(line)

    def _folder(self) -> str | None:
        """In which folder the turn runs."""
        if self._context_line is not None:
            self.take_context(self._context_line)
            self._context_line = None
        return self._turn_cwd or self.cwd

    def _on_user_message(self, line: bytes, inherited: bool) -> None:
        message = read_payload(UserMessage, line)
        if message is None or message.kind in _INJECTED_KINDS:
            return
        images = bool(message.images or message.local_images)
        self._take_prompt(line, message.message or "", images=images, inherited=inherited)

    def _on_agent_message(self, line: bytes, inherited: bool) -> None:
        if not inherited:
            self._take_answer(line, _words_of(line), inherited=False)

    def _on_item_completed(self, line: bytes, inherited: bool) -> None:
        """Counted only where lines have ordinals; elsewhere `user_message`, `agent_message` say the same."""
        kind = completed_item_type(line)
        if kind in ("UserMessage", "AgentMessage"):
            completed = read_payload(ItemCompleted, line)
            content = completed.item.content if completed is not None and completed.item is not None else None
            inherited = inherited or not has_ordinal(line)
            if kind == "AgentMessage":
                self._take_answer(line, text_of(content), inherited=inherited)
                return
            images = any(part is not None and "image" in (part.type or "") for part in content or ())
            self._take_prompt(line, text_of(content), images=images, inherited=inherited)

    def _on_message(self, line: bytes, inherited: bool) -> None:
        """A response item; in the bare form (before 0.36) nothing else tells what was said."""
        if not is_bare(line):
            return
        message = read_payload(Message, line)
        if message is None:
            return
        text = text_of(message.content)
        if message.role == "assistant":
            self._take_answer(line, text, inherited=inherited)
        elif message.role == "user" and not is_injected(text):
            images = any(part is not None and "image" in (part.type or "") for part in message.content or ())
            self._take_prompt(line, text, images=images, inherited=inherited)

    def _on_turn_begun(self, line: bytes, inherited: bool) -> None:
        if not inherited:
            self._own.begin()
            self._note_turn(self._number)
            self._turn.begin(line)

    def _on_turn_ended(self, line: bytes, inherited: bool) -> None:
        self._own.end()
        self._turn.end()

    def _on_call(self, line: bytes, inherited: bool) -> None:
        self._turn.call(line)

    def _on_output(self, line: bytes, inherited: bool) -> None:
        self._turn.output(line)

    def _on_rolled_back(self, line: bytes, inherited: bool) -> None:
        if not inherited and (rolled_back := read_payload(RolledBack, line)) is not None:
            self._own.roll_back(rolled_back.num_turns or 0)
            self.searchable.roll_back(self._own.turns)
            self._turn.end()

    def _on_token_count(self, line: bytes, inherited: bool) -> None:
        if _USAGE_TOLD.match(line):
            self._usage_line = line
        elif self.take_usage(line):
            self._usage_line = None

    def _on_turn_context(self, line: bytes, inherited: bool) -> None:
        self._context_line = line
        if "cwd" not in self._values and (context := read_payload(TurnContext, line)) and context.cwd:
            self._values["cwd"] = context.cwd

    def _on_goal_updated(self, line: bytes, inherited: bool) -> None:
        update = read_payload(GoalUpdated, line)
        if update is None or update.goal is None:
            return
        if objective := settings.trimmed(update.goal.objective or ""):
            self._values.setdefault("preview", objective)

    def _on_settings_applied(self, line: bytes, inherited: bool) -> None:
        self.take_settings(line)


def _words_of(line: bytes) -> str:
    message = payload_of(line).get("message")
    return message if isinstance(message, str) else ""


_META: Final[LineType] = (SESSION_META, None)
_HANDLERS: Final[dict[LineType, Callable[[Fold, bytes, bool], None]]] = {
    (TURN_CONTEXT, None): Fold._on_turn_context,
    (EVENT_MSG, "user_message"): Fold._on_user_message,
    (EVENT_MSG, "agent_message"): Fold._on_agent_message,
    (EVENT_MSG, "item_completed"): Fold._on_item_completed,
    (RESPONSE_ITEM, "message"): Fold._on_message,
    **{(EVENT_MSG, name): Fold._on_turn_begun for name in TURN_BEGINS},
    **{(EVENT_MSG, name): Fold._on_turn_ended for name in ("task_complete", "turn_complete", "turn_aborted")},
    **{(RESPONSE_ITEM, name): Fold._on_call for name in CALL_TYPES},
    **{(RESPONSE_ITEM, name): Fold._on_output for name in OUTPUT_TYPES},
    (EVENT_MSG, "thread_rolled_back"): Fold._on_rolled_back,
    (EVENT_MSG, "token_count"): Fold._on_token_count,
    (EVENT_MSG, "thread_goal_updated"): Fold._on_goal_updated,
    (EVENT_MSG, "thread_settings_applied"): Fold._on_settings_applied,
}
_OPENING: Final[frozenset[LineType]] = frozenset(
    {
        (EVENT_MSG, "user_message"),
        (EVENT_MSG, "item_completed"),
        (EVENT_MSG, "thread_goal_updated"),
        (RESPONSE_ITEM, "message"),
    }
)
