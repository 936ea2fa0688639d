"""The engine that is Codex itself: `codex exec`, without a thread of its own, kept in by its own sandbox.

What is known of its options is what its help says, which is asked for only when the engine is used. Its login
is that of the home. The rest of the person's config.toml is left out (`--ignore-user-config`) but for the way
to the model; it is read whole, with what it would start switched off, by a Codex without that option, or when
the way to the model holds a secret, which is no thing for a command line.

Options, keys and effects as seen of 0.105 and 0.169.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from store.errors import EngineFailed, UnsupportedOperation
from store.memories.running import TIME_LIMIT_SECONDS, Program, run
from store.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from store.home import CodexHome
    from store.memories.engines import ConsolidationRequest, ExtractionRequest

NAME: Final = "codex"

_ANSWER: Final = {
    "type": "object",
    "properties": {
        "rollout_summary": {"type": "string"},
        "rollout_slug": {"type": ["string", "null"]},
        "raw_memory": {"type": "string"},
    },
    "required": ["rollout_summary", "rollout_slug", "raw_memory"],
    "additionalProperties": False,
}
"""What phase 1 answers; of a strict schema every property is required."""

_PROBE_SECONDS: Final = 30.0

_CARRIED: Final = (
    "model",
    "model_provider",
    "model_reasoning_effort",
    "oss_provider",
    "openai_base_url",
    "chatgpt_base_url",
    "cli_auth_credentials_store",
    "forced_login_method",
    "forced_chatgpt_workspace_id",
)
"""Keys of config.toml that say which model is asked, and as whom."""

_SECRET_KEYS: Final = frozenset({"experimental_bearer_token", "http_headers", "query_params", "auth"})
"""Keys of a model provider that may hold a secret."""

_FEATURES: Final = (
    "apps",
    "browser_use",
    "computer_use",
    "goals",
    "hooks",
    "image_generation",
    "memories",
    "multi_agent",
    "plugins",
    "shell_snapshot",
    "skill_search",
    "sleep_tool",
    "tool_suggest",
)
"""What is switched off: tools that reach out of the sandbox, and what writes in the home."""

_TOOLS: Final = ("shell_tool", "unified_exec")
"""The features that let the model run commands."""


class CodexEngine:
    """Asks the model that the person's Codex asks, in threads that leave nothing in the home."""

    name = NAME
    costs_tokens = True

    def __init__(
        self, home: CodexHome, *, program: str = "codex", seconds: float = TIME_LIMIT_SECONDS
    ) -> None:
        self._home = home
        self._given = program
        self._seconds = seconds
        self._probing = asyncio.Lock()
        self._probed: frozenset[str] | None = None

    async def extract(self, request: ExtractionRequest, say: Callable[[str], None]) -> str:
        """The model's answer; it has no tools to run commands with."""
        options = await self._options()
        with tempfile.TemporaryDirectory(prefix="rollodex-") as name:
            folder = Path(name)
            schema = folder / "answer.json"
            schema.write_text(json.dumps(_ANSWER))
            argv = [
                *self._argv(options, folder),
                *("--sandbox", "read-only", "--output-schema", str(schema)),
                *_settings({f"features.{tool}": False for tool in _TOOLS}),
                "-",
            ]
            prompt = f"{request.system}\n\n{request.prompt}"
            return await run(self._program(argv, folder), prompt, _but_for(prompt, say))

    async def consolidate(self, request: ConsolidationRequest, say: Callable[[str], None]) -> None:
        """Let the model run commands that write in the staging copy alone, without a network."""
        options = await self._options()
        if "--ignore-rules" not in options and any((self._home.path / "rules").glob("*.rules")):
            raise UnsupportedOperation(
                "This Codex cannot consolidate",
                why=f"it would run what {self._home.given / 'rules'} allows outside its sandbox, and its"
                " `codex exec` has no --ignore-rules",
                next_step="Update Codex (0.169 has it), or use another engine",
            )
        kept_in = {
            "exclude_slash_tmp": True,
            "exclude_tmpdir_env_var": True,
            "network_access": False,
            "writable_roots": [],
        }
        argv = [
            *self._argv(options, request.staging),
            *("--sandbox", "workspace-write"),
            *_settings({"sandbox_workspace_write": kept_in}),
            "-",
        ]
        told = _but_for(request.prompt, say)
        await run(self._program(argv, request.staging), request.prompt, told, answers=False)

    async def check(self) -> None:
        """Raise UnsupportedOperation where this Codex lacks what is needed, EngineFailed where it fails."""
        await self._options()

    def _program(self, argv: list[str], folder: Path) -> Program:
        environment = {
            **os.environ,
            "CODEX_HOME": str(self._home.path),
            "CODEX_SQLITE_HOME": str(self._home.sqlite_path),
        }
        return Program(argv, folder, "Codex", environment, self._seconds)

    def _argv(self, options: frozenset[str], folder: Path) -> list[str]:
        """What both phases have in common."""
        config = _config(self._home.path)
        way = _way_to_the_model(config)
        argv = [self._found(), "exec", "--ephemeral", "--skip-git-repo-check", "--color", "never"]
        argv += ["--cd", str(folder)]
        if "--ignore-rules" in options:
            argv.append("--ignore-rules")
        if "--ignore-user-config" in options and way is not None:
            argv += ["--ignore-user-config", *_settings(way)]
        else:
            argv += _settings(_switched_off(config))
        argv += _settings(
            {
                **{f"features.{feature}": False for feature in _FEATURES},
                "web_search": "disabled",
                "approval_policy": "never",
                # Instructions of folders above that are anybody's, such as /tmp, are none.
                "project_root_markers": [],
                "project_doc_max_bytes": 0,
            }
        )
        return argv

    def _found(self) -> str:
        found = shutil.which(self._given)
        if found is None:
            raise UnsupportedOperation(
                "Codex cannot be the engine",
                why=f"there is no program {self._given!r}",
                next_step="Install Codex, say where it is, or use another engine",
            )
        return str(Path(found).absolute())

    async def _options(self) -> frozenset[str]:
        """The options of `codex exec`, asked for once; raises UnsupportedOperation when one is missing."""
        async with self._probing:
            if self._probed is None:
                self._probed = await self._probe()
        missing = sorted({"--ephemeral", "--output-schema"} - self._probed)
        if missing:
            raise UnsupportedOperation(
                "This Codex cannot be the engine",
                why=f"its `codex exec` has no {' and no '.join(missing)}",
                next_step="Update Codex to 0.105 or later, or use another engine",
            )
        return self._probed

    async def _probe(self) -> frozenset[str]:
        # Not in the person's home: even for its help, Codex makes folders where it is at home.
        with tempfile.TemporaryDirectory(prefix="rollodex-") as folder:
            environment = {**os.environ, "CODEX_HOME": folder}
            argv = [self._found(), "exec", "--help"]
            program = Program(argv, Path(folder), "Codex", environment, _PROBE_SECONDS)
            return frozenset(re.findall(r"--[a-z][a-z-]*", await run(program, "", lambda _: None)))


def _but_for(prompt: str, say: Callable[[str], None]) -> Callable[[str], None]:
    """Tell what Codex prints, without the prompt, which it repeats."""
    repeated = set(prompt.split("\n"))

    def tell(text: str) -> None:
        said = "\n".join(line for line in text.split("\n") if line not in repeated)
        if said:
            say(said)

    return tell


def _config(home: Path) -> dict[str, Any]:
    path = home / "config.toml"
    try:
        config = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise EngineFailed(f"{path} cannot be read", why=str(error)) from error
    # Before 0.13x a profile in the same file may say otherwise.
    profile: dict[str, Any] = config.get("profiles", {}).get(config.get("profile"), {})
    return config | profile


def _way_to_the_model(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The settings that lead to the person's model; None when a secret is among them."""
    way = {key: config[key] for key in _CARRIED if key in config}
    name = config.get("model_provider")
    provider = config.get("model_providers", {}).get(name)
    if provider is not None:
        way["model_providers"] = {name: provider}
        if not _SECRET_KEYS.isdisjoint(provider):
            return None
    text = _toml(way)
    return way if redact(text) == text else None


def _switched_off(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a config.toml that is read whole would start."""
    # An empty table would be merged with the one in the file, and change nothing.
    servers = {name: {"enabled": False} for name in config.get("mcp_servers", {})}
    return {"notify": [], **({"mcp_servers": servers} if servers else {})}


def _settings(settings: Mapping[str, Any]) -> Iterator[str]:
    for key, value in settings.items():
        yield from ("-c", f"{key}={_toml(value)}")


def _toml(value: Any) -> str:
    """A value of a TOML file as it is written inline."""
    match value:
        case dict():
            return "{" + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case str() | bool():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case _:
            return str(value)
