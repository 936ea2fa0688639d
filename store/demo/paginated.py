"""How Codex 0.169 writes: numbered lines, completed items, usage records."""

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
    usage_tokens,
    user_content,
)
from store.demo.material import permission_profile, sandbox_policy
from store.rollouts.envelope import RolloutItem, new_thread_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from store.demo.dialects import Beat, Era, Head
    from store.demo.stories import Command, Patch, Spawn, ToolCall


class PaginatedDialect(Dialect):
    """Codex 0.169: ordinals, items that are complete, and usage records."""

    paginated = True

    def __init__(self, head: Head, era: Era, now_ms: Callable[[], int], random: Random) -> None:
        super().__init__(head, era, now_ms, random)
        self._history = 0

    def _session_meta(self) -> dict[str, Any]:
        head = self.head
        meta = super()._session_meta()
        git = meta.pop("git", None)
        meta = {"account_scoped": True, "session_id": head.parent_id or head.thread_id, **meta}
        meta |= {"runtime_workspace_roots": [head.cwd], "history_mode": "paginated"}
        meta["thread_source"] = "subagent" if head.parent_id else "user"
        if head.parent_id:
            meta["parent_thread_id"] = head.parent_id
        if head.history_base:
            meta["forked_from_ordinal_exclusive"] = head.history_base["end_ordinal_exclusive"]
            meta["history_base"] = head.history_base
        return meta | ({"git": git} if git else {})

    def _item(self, payload: dict[str, Any]) -> RolloutItem:
        self._history += 1
        metadata = {
            "history_sequence": self._history,
            "sampled_through_sequence": max(self._history - 1, 0),
            "client_authored": False,
        }
        passed = {"internal_chat_message_metadata_passthrough": {"turn_id": self._turn_id}}
        return RolloutItem("response_item", payload | passed, metadata)

    def _new_id(self) -> str:
        return new_thread_id(self._now_ms(), self._random)

    def _done(self, item: dict[str, Any], began_ms: int | None = None) -> RolloutItem:
        now = self._now_ms()
        return event(
            {
                "type": "item_completed",
                "thread_id": self.head.thread_id,
                "turn_id": self._turn_id,
                "item": item,
                "started_at_ms": began_ms or now,
                "completed_at_ms": now,
            }
        )

    def _begin(self, prompt: str) -> Iterator[Beat]:
        head = self.head
        attribution = {"turn_id": self._turn_id, "turn_trigger": None, "root_turn_id": self._turn_id}
        yield event(
            {
                "type": "task_started",
                "turn_attribution": attribution,
                "turn_id": self._turn_id,
                "root_turn_id": self._turn_id,
                "started_at": self._now_ms() // 1000,
                "model_context_window": CONTEXT_WINDOW,
                "collaboration_mode_kind": "default",
            }
        )
        settings = {"model": head.model, "reasoning_effort": head.effort, "developer_instructions": None}
        mode = {"mode": "default", "settings": settings}
        profile = permission_profile(head.sandbox, head.cwd)
        if self.turns == 0 and not head.history_base:
            yield self._message_item("developer", head.skills)
            yield self._message_item("user", environment_context(head.cwd, self._now_ms()))
            environment = {"local": {"cwd": head.cwd, "status": "available", "shell": "bash"}}
            state = {"environments": {"environments": environment}, "host_skills": {"body": head.skills}}
            yield RolloutItem("world_state", {"full": True, "state": state | {"model": head.model}})
        yield RolloutItem(
            "turn_context",
            {
                "turn_id": self._turn_id,
                "root_turn_id": self._turn_id,
                "cwd": head.cwd,
                "approval_policy": head.approval,
                "approvals_reviewer": "user",
                "permission_profile": profile,
                "model": head.model,
                **({"effort": head.effort} if head.effort else {}),
                "collaboration_mode": mode,
                "summary": "none",
                "sandbox_policy": sandbox_policy(head.sandbox),
            },
        )
        if self.turns == 0:
            applied: dict[str, Any] = {
                "model": head.model,
                "model_provider_id": head.provider,
                "approval_policy": head.approval,
            }
            applied |= {"permission_profile": profile, "cwd": head.cwd, "collaboration_mode": mode}
            applied |= {"reasoning_effort": head.effort} if head.effort else {}
            yield event(
                {
                    "type": "thread_settings_applied",
                    "thread_id": head.thread_id,
                    "thread_settings": applied,
                }
            )
        yield self._message_item("user", prompt)
        content = [{"type": "text", "text": prompt, "text_elements": []}]
        yield self._done({"type": "UserMessage", "id": self._new_id(), "content": content})

    def _message_item(self, role: str, text: str) -> RolloutItem:
        message_id = f"msg_{self._new_id()}"
        return self._item({"type": "message", "id": message_id, "role": role, "content": user_content(text)})

    def _reasoning(self, text: str) -> Iterator[Beat]:
        reasoning_id = f"rs_{self._random.getrandbits(64):016x}"
        yield self._done({"type": "Reasoning", "id": reasoning_id, "summary_text": [text], "raw_content": []})
        summary = [{"type": "summary_text", "text": text}]
        sealed = f"gAAAAAB{self._random.getrandbits(256):064x}"
        item = {"type": "reasoning", "id": reasoning_id, "summary": summary, "content": None}
        yield self._item(item | {"encrypted_content": sealed})

    def _message(self, text: str, phase: str) -> Iterator[Beat]:
        message_id = f"msg_{self._random.getrandbits(64):016x}"
        content: list[dict[str, str]] = [{"type": "Text", "text": text}]
        yield self._done({"type": "AgentMessage", "id": message_id, "content": content, "phase": phase})
        content = [{"type": "output_text", "text": text}]
        message = {
            "type": "message",
            "id": message_id,
            "role": "assistant",
            "content": content,
            "phase": phase,
        }
        yield self._item(message)

    def _call(self, name: str, arguments: dict[str, Any], call_id: str) -> Iterator[Beat]:
        written = json.dumps(arguments, ensure_ascii=False)
        call = {"type": "function_call", "id": f"fc_{call_id}", "name": name, "arguments": written}
        yield self._item(call | {"call_id": call_id})
        yield from self._record_usage(len(written))

    def _output(self, output: Any, call_id: str, kind: str = "function_call_output") -> Iterator[Beat]:
        yield self._item({"type": kind, "id": f"fco_{self._new_id()}", "call_id": call_id, "output": output})
        yield self._token_count()

    def _command(self, step: Command, call_id: str) -> Iterator[Beat]:
        yield from self._call("exec_command", {"cmd": step.command}, call_id)
        began, seconds = self._now_ms(), self._seconds(step)
        yield seconds
        item = {
            "type": "CommandExecution",
            "id": call_id,
            "process_id": str(self._random.randrange(1_000, 65_000)),
            "command": ["/bin/bash", "-lc", step.command],
            "cwd": f"file://{self.head.cwd}",
            "parsed_cmd": [{"type": "unknown", "cmd": step.command}],
            "source": "unified_exec_startup",
            "status": "failed" if step.exit_code else "completed",
            "aggregated_output": step.output,
            "exit_code": step.exit_code,
            "duration": {"secs": int(seconds), "nanos": int(seconds % 1 * 1e9)},
        }
        yield self._done(item, began)
        yield from self._output(exec_output(step, seconds, self._random.getrandbits(24)), call_id)

    def _patch(self, step: Patch, call_id: str) -> Iterator[Beat]:
        call = {"type": "custom_tool_call", "id": f"ctc_{call_id}", "status": "completed", "call_id": call_id}
        yield self._item(call | {"name": "apply_patch", "input": self._patch_text(step)})
        yield from self._record_usage(len(step.diff))
        began = self._now_ms()
        yield 0.2
        change = {"type": "FileChange", "id": call_id, "changes": self._changes(step), "status": "completed"}
        yield self._done(change | {"stdout": self._patched(step), "stderr": ""}, began)
        text = f"Exit code: 0\nWall time: 0.2 seconds\nOutput:\n{self._patched(step)}"
        yield from self._output(text, call_id, "custom_tool_call_output")

    def _spawn(self, step: Spawn, call_id: str) -> Iterator[Beat]:
        yield from self._call("spawn_agent", {"message": step.prompt}, call_id)
        yield 0.1
        agent = {"thread_id": step.thread_id, "agent_nickname": step.nickname}
        item = {
            "type": "CollabAgentToolCall",
            "id": call_id,
            "tool": "spawn_agent",
            "status": "completed",
            "sender_thread_id": self.head.thread_id,
            "receiver_thread_ids": [step.thread_id],
            "receiver_agents": [agent],
            "prompt": step.prompt,
            "model": self.head.model,
            "agents_states": {step.thread_id: "pending_init"},
        }
        yield self._done(item)
        yield from self._output(json.dumps({"agent_id": step.thread_id, "nickname": step.nickname}), call_id)

    def _tool_call(self, step: ToolCall, call_id: str) -> Iterator[Beat]:
        arguments = json.loads(step.arguments)
        yield from self._call(step.name, arguments, call_id)
        yield 0.4
        item = {"type": "DynamicToolCall", "id": call_id, "tool": step.name, "arguments": arguments}
        shown = [{"type": "inputText", "text": step.output}]
        yield self._done(item | {"status": "completed", "content_items": shown, "success": True})
        yield from self._output([{"type": "input_text", "text": step.output}], call_id)

    def _counted(self, written: int) -> Iterator[Beat]:
        yield from self._record_usage(written)
        yield self._token_count()

    def _record_usage(self, written: int) -> Iterator[Beat]:
        self._count(written)
        record = {
            "thread_id": self.head.thread_id,
            "turn_id": self._turn_id,
            "session_id": self.head.thread_id,
        }
        usage = {
            "response_id": f"resp_{self._random.getrandbits(64):016x}",
            "usage": _tokens(self._last_usage),
            "thread_token_usage": _tokens(self._usage),
        }
        yield RolloutItem("token_usage_record", record | usage)

    def _token_count(self) -> RolloutItem:
        info = {
            "total_token_usage": _tokens(self._usage),
            "last_token_usage": _tokens(self._last_usage),
            "model_context_window": CONTEXT_WINDOW,
        }
        limits = {"limit_id": "codex", "primary": None, "secondary": None, "credits": None}
        return event({"type": "token_count", "info": info, "rate_limits": limits})

    def _complete(self, answer: str | None, error: str | None) -> Iterator[Beat]:
        done: dict[str, Any] = {
            "type": "task_complete",
            "turn_id": self._turn_id,
            "last_agent_message": answer,
        }
        if error is not None:
            done["error"] = {"message": error, "codex_error_info": "usage_limit_exceeded"}
        now = self._now_ms()
        times = {"started_at": self._turn_began_ms // 1000, "completed_at": now // 1000}
        yield event(done | times | {"duration_ms": now - self._turn_began_ms})

    def _interrupted(self) -> Iterator[Beat]:
        text = "<turn_aborted>\nThe user interrupted the previous turn on purpose.\n</turn_aborted>"
        yield self._message_item("user", text)
        yield event({"type": "turn_aborted", "turn_id": self._turn_id, "reason": "interrupted"})

    def _compaction(self, summary: str) -> Iterator[Beat]:
        content = user_content(SUMMARY_PREFIX + summary)
        kept = [{"type": "message", "id": f"msg_{self._new_id()}", "role": "user", "content": content}]
        yield RolloutItem("compacted", {"message": SUMMARY_PREFIX + summary, "replacement_history": kept})
        yield self._done({"type": "ContextCompaction", "id": self._new_id()})


def _tokens(usage: dict[str, int]) -> dict[str, int]:
    return usage_tokens(usage) | {"cache_write_input_tokens": 0}
