"""How Codex wrote until 0.130: bare lines first, then events and response items in an envelope."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from store.demo.dialects import (
    CONTEXT_WINDOW,
    SUMMARY_PREFIX,
    Dialect,
    environment_context,
    event,
    exec_output,
    old_output,
    permissions_text,
    usage_tokens,
    user_content,
)
from store.demo.material import permission_profile, sandbox_policy
from store.rollouts.envelope import RolloutItem, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.demo.dialects import Beat
    from store.demo.stories import Command, Patch, Spawn, ToolCall


class BareDialect(Dialect):
    """Codex 0.20: raw items without envelope, times, usage or events."""

    bare = True

    def open(self) -> Iterator[Beat]:
        """The header line."""
        header: dict[str, Any] = {
            "id": self.head.thread_id,
            "timestamp": rfc3339(self.head.created_ms),
            "instructions": None,
        }
        yield self._record(header | ({"git": self.head.git} if self.head.git else {}))
        yield self._record({"record_type": "state"})

    def _record(self, record: dict[str, Any]) -> RolloutItem:
        return RolloutItem("", record)

    def _begin(self, prompt: str) -> Iterator[Beat]:
        yield self._record({"type": "message", "id": None, "role": "user", "content": user_content(prompt)})

    def _reasoning(self, text: str) -> Iterator[Beat]:
        summary = [{"type": "summary_text", "text": text}]
        yield self._record({"type": "reasoning", "id": f"rs_{self._calls}", "summary": summary})

    def _message(self, text: str, phase: str) -> Iterator[Beat]:
        content = [{"type": "output_text", "text": text}]
        yield self._record(
            {"type": "message", "id": f"msg_{self._calls}", "role": "assistant", "content": content}
        )

    def _call(
        self, name: str, arguments: dict[str, Any], output: str, call_id: str, seconds: float
    ) -> Iterator[Beat]:
        call = {"type": "function_call", "id": f"fc_{self._calls}", "name": name, "call_id": call_id}
        yield self._record(call | {"arguments": json.dumps(arguments)})
        yield seconds
        yield self._record({"type": "function_call_output", "call_id": call_id, "output": output})
        yield self._record({"record_type": "state"})

    def _command(self, step: Command, call_id: str) -> Iterator[Beat]:
        seconds = self._seconds(step)
        output = old_output(step.output, step.exit_code, seconds)
        yield from self._call("shell", {"command": ["bash", "-lc", step.command]}, output, call_id, seconds)

    def _patch(self, step: Patch, call_id: str) -> Iterator[Beat]:
        output = old_output(self._patched(step), 0, 0.0)
        yield from self._call(
            "shell", {"command": ["apply_patch", self._patch_text(step)]}, output, call_id, 0.1
        )

    def _spawn(self, step: Spawn, call_id: str) -> Iterator[Beat]:
        return iter(())

    def _tool_call(self, step: ToolCall, call_id: str) -> Iterator[Beat]:
        return iter(())

    def _counted(self, written: int) -> Iterator[Beat]:
        return iter(())

    def _complete(self, answer: str | None, error: str | None) -> Iterator[Beat]:
        yield self._record({"record_type": "state"})

    def _interrupted(self) -> Iterator[Beat]:
        return iter(())

    def _compaction(self, summary: str) -> Iterator[Beat]:
        return iter(())


class LegacyDialect(Dialect):
    """Codex 0.36 to 0.130: what happened as events, and what the model saw as response items."""

    @property
    def _is_old(self) -> bool:
        """Before unified exec, turn delimiters and developer messages."""
        return self.era == "0.36.0"

    def _item(self, payload: dict[str, Any]) -> RolloutItem:
        return RolloutItem("response_item", payload)

    def _begin(self, prompt: str) -> Iterator[Beat]:
        head = self.head
        if not self._is_old:
            started: dict[str, Any] = {"type": "task_started", "turn_id": self._turn_id}
            if self.era == "0.130.0":
                started |= {"started_at": self._now_ms() // 1000}
            yield event(
                started | {"model_context_window": CONTEXT_WINDOW, "collaboration_mode_kind": "default"}
            )
        if self.turns == 0:
            if not self._is_old:
                instructions = [
                    *user_content(permissions_text(head.sandbox, head.approval)),
                    *user_content(head.skills),
                ]
                yield self._item({"type": "message", "role": "developer", "content": instructions})
            context = environment_context(head.cwd, self._now_ms())
            yield self._item({"type": "message", "role": "user", "content": user_content(context)})
        yield self._turn_context()
        yield self._item({"type": "message", "role": "user", "content": user_content(prompt)})
        said = {"type": "user_message", "message": prompt}
        if self._is_old:
            yield event(said | {"kind": "plain"})
        else:
            yield event(said | {"images": [], "local_images": [], "text_elements": []})

    def _turn_context(self) -> RolloutItem:
        head = self.head
        context: dict[str, Any] = {} if self._is_old else {"turn_id": self._turn_id}
        context |= {
            "cwd": head.cwd,
            "approval_policy": head.approval,
            "sandbox_policy": sandbox_policy(head.sandbox, tag="mode" if self._is_old else "type"),
        }
        if self.era == "0.130.0":
            context["permission_profile"] = permission_profile(head.sandbox, None)
        context["model"] = head.model
        if head.effort:
            context["effort"] = head.effort
        if not self._is_old:
            settings = {"model": head.model, "reasoning_effort": head.effort, "developer_instructions": None}
            context["collaboration_mode"] = {"mode": "default", "settings": settings}
        return RolloutItem("turn_context", context | {"summary": "auto"})

    def _reasoning(self, text: str) -> Iterator[Beat]:
        yield event({"type": "agent_reasoning", "text": text})
        summary = [{"type": "summary_text", "text": text}]
        sealed = f"gAAAAAB{self._random.getrandbits(256):064x}"
        yield self._item(
            {"type": "reasoning", "summary": summary, "content": None, "encrypted_content": sealed}
        )

    def _message(self, text: str, phase: str) -> Iterator[Beat]:
        phased = {} if self._is_old else {"phase": phase}
        cited = {"memory_citation": None} if self.era == "0.130.0" else {}
        yield event({"type": "agent_message", "message": text, **phased, **cited})
        content = [{"type": "output_text", "text": text}]
        yield self._item({"type": "message", "role": "assistant", "content": content, **phased})

    def _call(self, name: str, arguments: dict[str, Any], call_id: str) -> Iterator[Beat]:
        written = json.dumps(arguments, ensure_ascii=False)
        yield self._item({"type": "function_call", "name": name, "arguments": written, "call_id": call_id})
        yield from self._counted(len(written))

    def _output(self, output: Any, call_id: str, kind: str = "function_call_output") -> Iterator[Beat]:
        yield self._item({"type": kind, "call_id": call_id, "output": output})
        if self.era != "0.130.0":
            # Up to 0.105 every model request writes its settings anew.
            yield self._turn_context()

    def _command(self, step: Command, call_id: str) -> Iterator[Beat]:
        seconds = self._seconds(step)
        if self._is_old:
            yield from self._call("shell", {"command": ["bash", "-lc", step.command]}, call_id)
            yield seconds
            yield from self._output(old_output(step.output, step.exit_code, seconds), call_id)
        else:
            yield from self._call("exec_command", {"cmd": step.command}, call_id)
            yield seconds
            yield from self._output(exec_output(step, seconds, self._random.getrandbits(24)), call_id)

    def _patch(self, step: Patch, call_id: str) -> Iterator[Beat]:
        if self._is_old:
            yield from self._call("shell", {"command": ["apply_patch", self._patch_text(step)]}, call_id)
            yield 0.2
            yield from self._output(old_output(self._patched(step), 0, 0.1), call_id)
            return
        call = {"type": "custom_tool_call", "status": "completed", "call_id": call_id, "name": "apply_patch"}
        yield self._item(call | {"input": self._patch_text(step)})
        yield from self._counted(len(step.diff))
        yield 0.2
        if self.era == "0.130.0":
            result = {
                "stdout": self._patched(step),
                "stderr": "",
                "success": True,
                "changes": self._changes(step),
            }
            ended = {"type": "patch_apply_end", "call_id": call_id, "turn_id": self._turn_id}
            yield event(ended | result | {"status": "completed"})
        yield from self._output(old_output(self._patched(step), 0, 0.0), call_id, "custom_tool_call_output")

    def _spawn(self, step: Spawn, call_id: str) -> Iterator[Beat]:
        yield from self._call("spawn_agent", {"message": step.prompt, "agent_type": step.role}, call_id)
        yield 0.1
        yield from self._output(json.dumps({"agent_id": step.thread_id, "nickname": step.nickname}), call_id)

    def _tool_call(self, step: ToolCall, call_id: str) -> Iterator[Beat]:
        yield from self._call(step.name, json.loads(step.arguments), call_id)
        yield 0.4
        yield from self._output([{"type": "input_text", "text": step.output}], call_id)

    def _counted(self, written: int) -> Iterator[Beat]:
        self._count(written)
        info = {
            "total_token_usage": usage_tokens(self._usage),
            "last_token_usage": usage_tokens(self._last_usage),
            "model_context_window": CONTEXT_WINDOW,
        }
        limits = (
            {} if self._is_old else {"rate_limits": {"limit_id": "codex", "primary": None, "secondary": None}}
        )
        yield event({"type": "token_count", "info": info, **limits})

    def _complete(self, answer: str | None, error: str | None) -> Iterator[Beat]:
        if self._is_old:
            return
        # Up to 0.130 a failed turn leaves no error behind: only a turn without a last message.
        done: dict[str, Any] = {
            "type": "task_complete",
            "turn_id": self._turn_id,
            "last_agent_message": answer,
        }
        if self.era == "0.130.0":
            duration = self._now_ms() - self._turn_began_ms
            done |= {"completed_at": self._now_ms() // 1000, "duration_ms": duration}
        yield event(done)

    def _interrupted(self) -> Iterator[Beat]:
        text = "<turn_aborted>\nThe user interrupted the previous turn on purpose.\n</turn_aborted>"
        yield self._item({"type": "message", "role": "user", "content": user_content(text)})
        yield event({"type": "turn_aborted", "turn_id": self._turn_id, "reason": "interrupted"})

    def _rolled_back(self) -> Iterator[Beat]:
        yield event({"type": "thread_rolled_back", "num_turns": 1})

    def _compaction(self, summary: str) -> Iterator[Beat]:
        kept = [{"type": "message", "role": "user", "content": user_content(SUMMARY_PREFIX + summary)}]
        yield RolloutItem("compacted", {"message": SUMMARY_PREFIX + summary, "replacement_history": kept})
        yield event({"type": "context_compacted"})
