"""What a person wants to see of a tool call: its command line, its patch, its output and exit code."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SHELLS = frozenset(
    {"bash", "sh", "zsh", "dash", "fish", "pwsh", "powershell", "powershell.exe", "cmd", "cmd.exe"}
)
_SHELL_FLAGS = frozenset({"-lc", "-c", "-command", "/c"})
_PATCHERS = frozenset({"apply_patch", "applypatch"})
_HEREDOC_PATCH = re.compile(
    r"\s*(?:cd\s[^\n]*&&\s*)?(?:apply_patch|applypatch)\s*<<-?\s*(['\"]?)(\w+)\1\n(.*?)\n?\2\s*", re.DOTALL
)

_HEADER_LINE = re.compile(
    r"(?:Chunk ID|Wall time|Original token count|Total output lines|Exit code|"
    r"Process exited with code|Process running with session ID)\b[^\n]*\n"
)
_EXIT_CODE = re.compile(r"(?:Exit code:|Process exited with code) (-?\d{1,10})\b")
_WALL_TIME = re.compile(r"Wall time: (\d{1,7}(?:\.\d{1,9})?) seconds")
_RUNNING = re.compile(r"Process running with session ID[^\n]*\n")
_FAILED_OUTPUT = re.compile(
    r"(?:exec_command|write_stdin|apply_patch verification|shell|view_image) failed"
    r"|failed in sandbox |failed to parse function arguments|unsupported (?:custom tool )?call: "
    r"|execution error: |apply_patch verification failed|aborted by user|tool call error: "
)
_SANDBOX_EXIT_CODE = re.compile(r"failed in sandbox [^\n]*?exit code: (-?\d{1,10})\b")

_PLAN_MARKS = {"completed": "[x]", "in_progress": "[~]", "pending": "[ ]"}


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """An output as a person reads it; `failed` is None where the output does not say."""

    text: str
    exit_code: int | None = None
    failed: bool | None = None
    duration_ms: int | None = None


def compact_json(value: Any) -> str:
    """`value` on one line, as Codex writes JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def text_of(value: Any) -> str | None:
    """`value` if it is text."""
    return value if isinstance(value, str) else None


def object_of(value: Any) -> Mapping[str, Any]:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> list[Any]:
    """`value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def whole_number(value: Any) -> int | None:
    """`value` if it is a whole number (a JSON boolean is none)."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def milliseconds_of(value: Any, unit_ms: float = 1000.0) -> int | None:
    """A duration in milliseconds: a number of units, or `{"secs", "nanos"}`."""
    if isinstance(value, dict):
        seconds, nanos = whole_number(value.get("secs")), whole_number(value.get("nanos"))
        return None if seconds is None else milliseconds_of(seconds + (nanos or 0) / 1e9)
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return round(value * unit_ms) if is_number else None


def content_text(content: Any) -> str | None:
    """The text of a message's or output's content: its parts joined, `[image]` where a picture stands."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts: list[str] = []
    for part in content:
        fields = object_of(part)
        kind = (text_of(fields.get("type")) or "").lower()
        if (text := text_of(fields.get("text"))) is not None:
            parts.append(text)
        elif "image" in kind:
            parts.append("[image]")
        elif "audio" in kind:
            parts.append("[audio]")
        elif "file" in kind:
            parts.append(f"[file {fields.get('filename') or ''}]".replace(" ]", "]"))
    return "\n".join(parts)


def command_line(command: Any) -> str | None:
    """A command as one would type it: `["bash", "-lc", "ls"]` is `ls`, a call of `apply_patch` its patch."""
    if isinstance(command, str):
        patch = _HEREDOC_PATCH.fullmatch(command)
        return patch[3] if patch else command
    words = [word if isinstance(word, str) else compact_json(word) for word in list_of(command)]
    if not words:
        return None
    program = re.split(r"[/\\]", words[0])[-1].lower()
    if len(words) == 3 and program in _SHELLS and words[1].lower() in _SHELL_FLAGS:
        return command_line(words[2])
    if len(words) == 2 and program in _PATCHERS:
        return words[1]
    return shlex.join(words)


def call_text(tool: str | None, arguments: str | None) -> str | None:
    """The readable form of a function call's arguments, or None where they say it best themselves."""
    if tool is None or arguments is None:
        return None
    try:
        fields = object_of(json.loads(arguments))
    except (ValueError, RecursionError):
        return None
    reader = _CALL_TEXTS.get(tool.rsplit("__", 1)[-1])
    if reader is not None:
        return reader(fields)
    return command_line(fields.get("cmd") or fields.get("command"))


def _patch_text(fields: Mapping[str, Any]) -> str | None:
    return text_of(fields.get("input")) or text_of(fields.get("patch"))


def _plan_text(fields: Mapping[str, Any]) -> str:
    steps = [object_of(step) for step in list_of(fields.get("plan"))]
    lines = [
        f"{_PLAN_MARKS.get(text_of(step.get('status')) or '', '[ ]')} {text_of(step.get('step')) or ''}"
        for step in steps
    ]
    explanation = text_of(fields.get("explanation"))
    return "\n".join([explanation, *lines] if explanation else lines)


def _field(*names: str) -> Callable[[Mapping[str, Any]], str | None]:
    def read(fields: Mapping[str, Any]) -> str | None:
        for name in names:
            value = fields.get(name)
            if isinstance(value, str) and value:
                return value
            if isinstance(value, list) and value:
                return ", ".join(item if isinstance(item, str) else compact_json(item) for item in value)
        return None

    return read


_CALL_TEXTS: dict[str, Callable[[Mapping[str, Any]], str | None]] = {
    "apply_patch": _patch_text,
    "update_plan": _plan_text,
    "view_image": _field("path"),
    "spawn_agent": _field("message", "prompt"),
    "send_input": _field("message", "prompt"),
    "wait": _field("targets", "ids"),
    "wait_agent": _field("targets", "ids"),
    "close_agent": _field("target", "id"),
    "write_stdin": _field("chars"),
    "web_search": _field("query"),
}


def search_text(action: Any, query: Any = None) -> str | None:
    """What a web search looked for, or the page that it opened."""
    fields = object_of(action)
    for name in ("query", "queries", "url"):
        if found := _field(name)(fields):
            pattern = text_of(fields.get("pattern"))
            return f"{pattern} in {found}" if pattern else found
    return text_of(query) or None


def changes_text(changes: Any) -> str | None:
    """The file changes of a patch event as one diff."""
    blocks: list[str] = []
    for path, change in object_of(changes).items():
        fields = object_of(change)
        verb = (text_of(fields.get("type")) or "change").capitalize()
        moved = text_of(fields.get("move_path"))
        head = f"*** {verb} File: {path}" + (f"\n*** Move to: {moved}" if moved else "")
        body = text_of(fields.get("unified_diff")) or text_of(fields.get("content")) or ""
        blocks.append(f"{head}\n{body}".rstrip("\n"))
    return "\n".join(blocks) or None


def read_output(output: Any) -> ToolOutput | None:
    """The output of a call without the envelope that Codex put round it for the model.

    0.20 and 0.36 wrote JSON with `output` and `metadata`, 0.63 and 0.77 `Exit code: … Output:`, 0.98 and
    later `Chunk ID: … Process exited with code … Output:`; 0.130 and 0.169 nest two of them for a patch.
    """
    if isinstance(output, dict):  # Codex before 0.2x: {"content": …, "success": …}
        success = output.get("success")
        inner = read_output(output.get("content"))
        failed = (not success) if isinstance(success, bool) else None
        if inner is None:
            return None
        return ToolOutput(inner.text, inner.exit_code, failed or inner.failed, inner.duration_ms)
    text = content_text(output)
    if text is None:
        return None
    return _unwrap(text) if isinstance(output, str) else ToolOutput(text)


def _unwrap(text: str) -> ToolOutput:
    exit_code: int | None = None
    duration: int | None = None
    for _ in range(3):
        inner = _json_output(text) if text.startswith('{"output":') else _without_header(text)
        if inner is None:
            break
        text = inner.text
        exit_code = inner.exit_code if inner.exit_code is not None else exit_code
        duration = inner.duration_ms or duration
    failed = None if exit_code is None else exit_code != 0
    if exit_code is None and _FAILED_OUTPUT.match(text):
        failed = True
        denied = _SANDBOX_EXIT_CODE.match(text)
        exit_code = int(denied[1]) if denied else None
    return ToolOutput(text, exit_code, failed, duration)


def _json_output(text: str) -> ToolOutput | None:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    inner, metadata = text_of(fields.get("output")), fields.get("metadata")
    if inner is None or not isinstance(metadata, dict):
        return None
    duration = milliseconds_of(metadata.get("duration_seconds"))
    return ToolOutput(inner, whole_number(metadata.get("exit_code")), duration_ms=duration)


def _without_header(text: str) -> ToolOutput | None:
    at = 0
    while line := _HEADER_LINE.match(text, at):
        at = line.end()
    if at == 0 or not text.startswith("Output:\n", at):
        return None
    header = text[:at]
    code, wall_time, running = (found.search(header) for found in (_EXIT_CODE, _WALL_TIME, _RUNNING))
    return ToolOutput(
        (running[0] if running else "") + text[at + len("Output:\n") :],
        int(code[1]) if code else None,
        duration_ms=milliseconds_of(float(wall_time[1])) if wall_time else None,
    )
