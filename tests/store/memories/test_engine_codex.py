"""How Codex is started as the engine, seen by a program in its place."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from store.errors import EngineFailed, UnsupportedOperation
from store.home import CodexHome
from store.memories.engines import (
    ConsolidationRequest,
    Engine,
    ExtractionRequest,
    check_engine,
    make_engine,
)
from store.models import Thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no program is run elsewhere")

REQUEST = ExtractionRequest(
    thread=Thread(key=1, id="t", rollout_path="sessions/t.jsonl"),
    items=(),
    left_out=0,
    system="S",
    prompt="P",
)
OLD = "--ephemeral --output-schema --sandbox"
NEW = f"{OLD} --ignore-user-config --ignore-rules"

IN_ITS_PLACE = """#!{python}
import json, os, sys
with open({calls!r}, "a") as calls:
    names = ("CODEX_HOME", "CODEX_SQLITE_HOME")
    print(json.dumps([sys.argv[1:], {{name: os.environ.get(name) for name in names}}]), file=calls)
print({help!r} if "--help" in sys.argv else "answer")
"""


@pytest.fixture
def home(tmp_path: Path) -> CodexHome:
    folder = tmp_path / "home"
    folder.mkdir()
    return CodexHome(path=folder, given=folder, sqlite_path=tmp_path / "databases")


Calls = list[tuple[list[str], dict[str, str]]]


@pytest.fixture
def calls(tmp_path: Path) -> Callable[[], Calls]:
    """What the program was called with so far: its arguments, and two variables of its environment."""

    def read() -> Calls:
        return [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]

    return read


@pytest.fixture
def codex(home: CodexHome, tmp_path: Path) -> Callable[[str], Engine]:
    """The engine on a Codex whose help is this."""

    def make(options: str) -> Engine:
        program = tmp_path / "codex"
        text = IN_ITS_PLACE.format(python=sys.executable, calls=str(tmp_path / "calls"), help=options)
        program.write_text(text)
        program.chmod(0o755)
        return make_engine("codex", home=home, program=str(program))

    return make


def silent(_: str) -> None:
    """For what a program says when nobody listens."""


def settings(arguments: list[str]) -> dict[str, Any]:
    """What `-c` says, read as Codex reads it."""
    given = [arguments[i + 1] for i, argument in enumerate(arguments) if argument == "-c"]
    return {
        key: tomllib.loads(f"value = {value}")["value"]
        for key, _, value in (it.partition("=") for it in given)
    }


async def test_it_is_asked_once_what_it_can_do(
    codex: Callable[[str], Engine], calls: Callable[[], Calls], home: CodexHome
) -> None:
    engine = codex(NEW)
    await check_engine(engine)
    assert await engine.extract(REQUEST, silent) == "answer\n"
    await engine.extract(REQUEST, silent)
    (asked, environment), (arguments, at_work), _ = calls()
    assert asked == ["exec", "--help"]
    assert environment["CODEX_HOME"] != str(home.path)
    assert arguments[0] == "exec"
    assert arguments[-1] == "-"
    assert {"--ephemeral", "--ignore-user-config", "--ignore-rules"} <= set(arguments)
    assert at_work == {"CODEX_HOME": str(home.path), "CODEX_SQLITE_HOME": str(home.sqlite_path)}


@pytest.mark.parametrize("missing", ["--ephemeral", "--output-schema"])
async def test_a_codex_without_what_is_needed_is_refused(
    codex: Callable[[str], Engine], calls: Callable[[], Calls], missing: str
) -> None:
    engine = codex(OLD.replace(missing, ""))
    for ask in (check_engine(engine), engine.extract(REQUEST, silent)):
        with pytest.raises(UnsupportedOperation, match=rf"no {missing}.*Update Codex to 0\.105"):
            await ask
    assert len(calls()) == 1


async def test_a_codex_that_is_not_there_is_named_each_time(home: CodexHome) -> None:
    engine = make_engine("codex", home=home, program="no-such-codex")
    for _ in range(2):
        with pytest.raises(UnsupportedOperation, match="no-such-codex"):
            await check_engine(engine)


WAY = """
model = "big"
model_provider = "mine.own"
cli_auth_credentials_store = "keyring"
personality = "rude"
[model_providers."mine.own"]
name = "Mine \\"own\\" \\u007f ü"
base_url = "https://models.example.org/v1"
env_key = "MINE_KEY"
stream_max_retries = 3
requires_openai_auth = false
[model_providers.other]
name = "Other"
[mcp_servers."a b"]
command = "serve"
"""


async def test_the_way_to_the_model_is_what_it_keeps_of_the_config(
    codex: Callable[[str], Engine], calls: Callable[[], Calls], home: CodexHome
) -> None:
    (home.path / "config.toml").write_text(WAY)
    await codex(NEW).extract(REQUEST, silent)
    arguments, _ = calls()[-1]
    given, config = settings(arguments), tomllib.loads(WAY)
    assert "--ignore-user-config" in arguments
    assert given["model_providers"] == {"mine.own": config["model_providers"]["mine.own"]}
    for key in ("model", "model_provider", "cli_auth_credentials_store"):
        assert given[key] == config[key]
    assert {"personality", "mcp_servers", "notify"}.isdisjoint(given)


@pytest.mark.parametrize(
    "secret",
    [
        'http_headers = { Authorization = "Basic eHl6" }',
        'experimental_bearer_token = "xyz"',
        'base_url = "https://me:hunter22@models.example.org/v1"',
    ],
)
async def test_a_secret_on_the_way_is_left_in_the_config(
    codex: Callable[[str], Engine], calls: Callable[[], Calls], home: CodexHome, secret: str
) -> None:
    base = 'base_url = "https://models.example.org/v1"'
    (home.path / "config.toml").write_text(
        WAY.replace(base, secret if secret.startswith("base_url") else f"{base}\n{secret}")
    )
    await codex(NEW).extract(REQUEST, silent)
    arguments, _ = calls()[-1]
    given = settings(arguments)
    assert "--ignore-user-config" not in arguments
    assert "model_providers" not in given
    assert given["mcp_servers"] == {"a b": {"enabled": False}}
    assert given["notify"] == []


async def test_an_older_codex_reads_the_config_with_what_it_starts_switched_off(
    codex: Callable[[str], Engine], calls: Callable[[], Calls], home: CodexHome
) -> None:
    (home.path / "config.toml").write_text(WAY)
    await codex(OLD).extract(REQUEST, silent)
    arguments, _ = calls()[-1]
    assert {"--ignore-user-config", "--ignore-rules"}.isdisjoint(arguments)
    assert settings(arguments)["mcp_servers"] == {"a b": {"enabled": False}}


async def test_a_profile_says_which_model(
    codex: Callable[[str], Engine], calls: Callable[[], Calls], home: CodexHome
) -> None:
    (home.path / "config.toml").write_text(
        'model = "big"\nprofile = "cheap"\n[profiles.cheap]\nmodel = "small"\n'
    )
    await codex(NEW).extract(REQUEST, silent)
    assert settings(calls()[-1][0])["model"] == "small"


async def test_a_config_that_is_no_toml_is_named(codex: Callable[[str], Engine], home: CodexHome) -> None:
    (home.path / "config.toml").write_text("model = \n")
    with pytest.raises(EngineFailed, match=r"config\.toml cannot be read: .*line 1"):
        await codex(NEW).extract(REQUEST, silent)


async def test_consolidation_is_kept_in_the_staging_copy(
    codex: Callable[[str], Engine], calls: Callable[[], Calls], tmp_path: Path
) -> None:
    request = ConsolidationRequest(staging=tmp_path, memories=(), prompt="P")
    await codex(NEW).consolidate(request, silent)
    arguments, _ = calls()[-1]
    assert arguments[arguments.index("--sandbox") + 1] == "workspace-write"
    assert arguments[arguments.index("--cd") + 1] == str(tmp_path)
    assert settings(arguments)["sandbox_workspace_write"] == {
        "exclude_slash_tmp": True,
        "exclude_tmpdir_env_var": True,
        "network_access": False,
        "writable_roots": [],
    }


def test_limits_that_codex_would_not_keep_are_refused(home: CodexHome, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOperation, match="--engine-read"):
        make_engine("codex", home=home, readable=[tmp_path])
    with pytest.raises(UnsupportedOperation, match="--engine-network"):
        make_engine("codex", home=home, network=True)


@pytest.mark.parametrize("name", ["", "Codex", "gpt", "command"])
def test_an_engine_that_is_not_known_is_refused(home: CodexHome, name: str) -> None:
    with pytest.raises(EngineFailed, match="extractive, codex or command:PROGRAM"):
        make_engine(name, home=home)


def test_engines_know_their_names_and_whether_they_may_cost(home: CodexHome) -> None:
    engines = [make_engine(name, home=home) for name in ("extractive", "codex", "command:cat")]
    engines.append(make_engine("command:cat -", home=home, network=True))
    assert [(engine.name, engine.costs_tokens) for engine in engines] == [
        ("extractive", False),
        ("codex", True),
        ("command:cat", False),
        ("command:cat -", True),
    ]
