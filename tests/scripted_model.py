"""A model server that says what a test told it to, for the real Codex CLI: the Responses API on loopback."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

INPUT_TOKENS, CACHED_TOKENS, OUTPUT_TOKENS, REASONING_TOKENS = 1200, 100, 50, 10
"""What every response says that it cost."""


@dataclass(frozen=True)
class Message:
    """Words of the model; `phase` is `commentary` or `final_answer`."""

    text: str
    phase: str = "final_answer"


@dataclass(frozen=True)
class Reasoning:
    """A summary of what the model thought."""

    text: str


@dataclass(frozen=True)
class Command:
    """A call of whichever shell tool the request offers."""

    line: str


@dataclass(frozen=True)
class Call:
    """A call of any other tool, by its name in the request."""

    name: str
    arguments: dict[str, Any]
    namespace: str | None = None


@dataclass
class Gate:
    """The response comes here, sets `reached`, and waits until the test sets `opened`."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Failed:
    """The response ends as failed, with this error code."""

    code: str
    message: str


@dataclass(frozen=True)
class Refused:
    """No response at all, but this HTTP status; only as a response's first step."""

    status: int
    message: str


Step = Message | Reasoning | Command | Call | Gate | Failed | Refused
DONE: Sequence[Step] = (Message("Done."),)


class ScriptedModel:
    """Answers by the prompt of a turn; a prompt that no script names is answered with "Done."."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        """The bodies of all requests for a response, in order of arrival."""
        self._scripts: dict[str, tuple[Sequence[Step], ...]] = {}
        self._numbers = itertools.count()
        self._port = 0

    @property
    def base_url(self) -> str:
        """For `base_url` in config.toml."""
        return f"http://127.0.0.1:{self._port}/v1"

    def script(self, prompt: str, *responses: Sequence[Step]) -> None:
        """Say how the turn of this prompt goes: the n-th response answers its n-th request.

        A prompt that ends in "…" stands for all that begin with what is before it.
        """
        self._scripts[prompt] = responses

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen on a free port of loopback; a request that no server of ours can answer fails the test."""
        tasks: list[asyncio.Task[None]] = []

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.append(asyncio.create_task(self._serve(reader, writer)))

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request; the connection closes behind it."""
        # Codex may be killed, or interrupt a turn, in the middle of an answer.
        with suppress(ConnectionError, asyncio.IncompleteReadError), closing(writer):
            await self._respond(reader, writer)

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, path, _ = first.split(" ", 2)
        if (method, path) != ("POST", "/v1/responses"):
            await _answer(writer, 404, {"error": {"message": f"no {method} {path} here"}})
            return
        request: dict[str, Any] = json.loads(body)
        self.requests.append(request)
        steps = self._steps(request)
        if steps and isinstance(refused := steps[0], Refused):
            await _answer(writer, refused.status, {"error": {"message": refused.message}})
            return
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n",
        )
        await self._stream(writer, request, steps)

    def _steps(self, request: dict[str, Any]) -> Sequence[Step]:
        """The script's response to this request of its turn."""
        items: list[dict[str, Any]] = request["input"]
        place = max((n for n, item in enumerate(items) if _is_prompt(item)), default=0)
        prompt = _user_text(items[place])
        named = (name for name in self._scripts if name.endswith("…") and prompt.startswith(name[:-1]))
        responses: Sequence[Sequence[Step]] = self._scripts.get(prompt) or self._scripts.get(
            next(named, ""), ()
        )
        answered = sum(item["type"].endswith("_call_output") for item in items[place:])
        if answered < len(responses):
            return responses[answered]
        asked_for = request.get("text", {}).get("format", {})
        if asked_for.get("type") == "json_schema":
            return (Message(json.dumps(example(asked_for["schema"]))),)
        return DONE

    async def _stream(
        self, writer: asyncio.StreamWriter, request: dict[str, Any], steps: Sequence[Step]
    ) -> None:
        number = next(self._numbers)
        response: dict[str, Any] = {"id": f"resp_{number}"}
        await _event(writer, "response.created", {"response": response})
        for place, step in enumerate(steps):
            if isinstance(step, Gate):
                step.reached.set()
                await step.opened.wait()
            elif isinstance(step, Failed):
                error = {"code": step.code, "message": step.message}
                await _event(writer, "response.failed", {"response": response | {"error": error}})
                return
            else:
                assert not isinstance(step, Refused), "a response that began cannot be refused"
                item = _item(step, f"{number}_{place}", request)
                await _event(writer, "response.output_item.done", {"item": item})
        usage = {
            "input_tokens": INPUT_TOKENS,
            "input_tokens_details": {"cached_tokens": CACHED_TOKENS},
            "output_tokens": OUTPUT_TOKENS,
            "output_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
            "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        }
        await _event(writer, "response.completed", {"response": response | {"usage": usage}})


def example(schema: dict[str, Any]) -> Any:
    """A value that this JSON schema allows, with every required property."""
    kind = schema.get("type", "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: example(properties.get(name, {})) for name in schema.get("required", properties)}
    if "enum" in schema:
        return schema["enum"][0]
    values: dict[str, Any] = {"array": [], "integer": 0, "number": 0, "boolean": False, "null": None}
    return values.get(kind, "text")


def _is_prompt(item: dict[str, Any]) -> bool:
    """Whether a person wrote it: what Codex says in the user's name begins with a tag."""
    return item.get("role") == "user" and not _user_text(item).startswith("<")


def _user_text(item: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in item.get("content") or ())


def _item(step: Message | Reasoning | Command | Call, number: str, request: dict[str, Any]) -> dict[str, Any]:
    if isinstance(step, Message):
        content = [{"type": "output_text", "text": step.text}]
        return {
            "type": "message",
            "role": "assistant",
            "id": f"msg_{number}",
            "content": content,
            "phase": step.phase,
        }
    if isinstance(step, Reasoning):
        summary = [{"type": "summary_text", "text": step.text}]
        return {"type": "reasoning", "id": f"rs_{number}", "summary": summary}
    if isinstance(step, Command):
        step = _shell_call(step.line, request)
    namespace = {} if step.namespace is None else {"namespace": step.namespace}
    return {
        "type": "function_call",
        "call_id": f"call_{number}",
        "name": step.name,
        "arguments": json.dumps(step.arguments),
        **namespace,
    }


def _shell_call(line: str, request: dict[str, Any]) -> Call:
    arguments: dict[str, Any] = {
        "exec_command": {"cmd": line},
        "shell_command": {"command": line},
        "shell": {"command": ["bash", "-c", line]},
    }
    offered = {tool.get("name") for tool in request["tools"]}
    name = next((name for name in arguments if name in offered), None)
    assert name is not None, f"no shell among the tools {offered}"
    return Call(name, arguments[name])


async def _event(writer: asyncio.StreamWriter, kind: str, data: dict[str, Any]) -> None:
    writer.write(f"event: {kind}\ndata: {json.dumps({'type': kind} | data)}\n\n".encode())
    await writer.drain()


async def _answer(writer: asyncio.StreamWriter, status: int, body: dict[str, Any]) -> None:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {len(content)}"
    writer.write(f"{head}\r\nconnection: close\r\n\r\n".encode() + content)
    await writer.drain()
