"""The real Codex CLI for tests: installed by npm into a cache folder, driven against a scripted model.

Where it cannot be had, the tests that ask for it are skipped, and the end of the run says so.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest
from scripted_model import ScriptedModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

T = TypeVar("T")

NEWEST: Final = "0.169.0"
VERSIONS: Final = (NEWEST, "0.105.0")
"""Paginated rollouts and today's databases; legacy rollouts and the database of early 2026."""

INSTALL_SECONDS: Final = 200
"""How long npm may take for one version; about 5 to 15 s as a rule, for 100 to 400 MB."""

TURN_SECONDS: Final = 30
"""Limit for what takes a second; less than the 60 s for which Codex waits on a locked database."""

_LINE_BYTES: Final = 1 << 24
"""The longest line that a program may print."""

ROOT: Final = Path(__file__).parents[1]

_outcome = pytest.StashKey[dict[str, str]]()
"""By version: where the program is from, or why it cannot be had."""


class Unavailable(Exception):
    """The program cannot be had here; the text says why."""


def installed(version: str) -> Path:
    """The program itself, installed into the cache folder where it is not there yet. Raises Unavailable."""
    if os.name != "posix":
        raise Unavailable("its processes are only reined in on Linux and macOS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rollodex-tests"
    folder = cache / f"codex-{version}"
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f"codex-{version}.lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=cache) as new:
                _npm_install(Path(new) / "codex", version)
                (Path(new) / "codex").rename(folder)
        return _program(folder)


def _npm_install(folder: Path, version: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is not installed")
    folder.mkdir()
    quiet = ("--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=0")
    command = [npm, "install", *quiet, "--prefix", str(folder), f"@openai/codex@{version}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False, cwd=folder
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"npm did not finish within {INSTALL_SECONDS} s") from error
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise Unavailable(f"npm install failed: {said[0] if said else f'exit code {done.returncode}'}")
    _program(folder)


def _program(folder: Path) -> Path:
    """The native program without the Node script round it: its pid is the writer's, and can be killed."""
    found = sorted(folder.glob("node_modules/@openai/codex*/vendor/*/*/codex"))
    if not found:
        raise Unavailable("the package holds no program for this platform")
    return found[0]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone on this file; a run that installs already is waited for."""
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session", params=VERSIONS)
def codex_program(request: pytest.FixtureRequest) -> tuple[str, Path]:
    """Version and path of a released Codex; a test that asks for it runs once with each."""
    version: str = request.param
    outcome = request.config.stash.setdefault(_outcome, {})
    try:
        program = installed(version)
    except Unavailable as error:
        outcome[version] = f"could not be had: {error}"
        pytest.skip(f"Codex {version} {outcome[version]}")
    outcome[version] = "ran"
    return version, program


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for version, outcome in sorted(config.stash.get(_outcome, {}).items()):
        terminalreporter.write_line(f"interop: Codex {version} {outcome}")


@dataclass
class Codex:
    """A released Codex on a home of its own, with a scripted model to talk to."""

    version: str
    program: Path
    home: Path
    work: Path
    """The folder that threads work in."""
    model: ScriptedModel

    @property
    def newest(self) -> bool:
        """Whether this is the version with paginated rollouts."""
        return self.version == NEWEST

    @property
    def environment(self) -> dict[str, str]:
        """All of it: nothing of the person who runs the tests leaks in."""
        names = ("PATH", "LANG", "TMPDIR")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        return kept | {"HOME": str(self.home.parent), "CODEX_HOME": str(self.home), "OPENAI_API_KEY": "none"}

    async def exec(self, prompt: str, *arguments: str | Path, ok: bool = True) -> str:
        """`codex exec` with this prompt, to its end; what it printed. `arguments` go before the prompt."""
        async with self.running("exec", "--skip-git-repo-check", *arguments, prompt) as process:
            async with asyncio.timeout(TURN_SECONDS):
                out, err = await process.communicate()
        assert (process.returncode == 0) is ok, err.decode()
        return out.decode()

    @asynccontextmanager
    async def running(
        self, *arguments: str | Path, stdin: int = asyncio.subprocess.DEVNULL
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """Codex with these arguments, gone with all that it started when the block is left."""
        process = await asyncio.create_subprocess_exec(
            self.program,
            *arguments,
            cwd=self.work,
            env=self.environment,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=_LINE_BYTES,
        )
        try:
            yield process
        finally:
            # It and all that it started may have ended by themselves.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    @asynccontextmanager
    async def app_server(self) -> AsyncIterator[AppServer]:
        """`codex app-server`, greeted."""
        async with self.running("app-server", stdin=asyncio.subprocess.PIPE) as process:
            server = AppServer(process)
            tasks = [asyncio.create_task(server.listen()), asyncio.create_task(_drain(process.stderr))]
            try:
                await server.call(
                    "initialize",
                    clientInfo={"name": "rollodex_tests", "title": "tests", "version": "1"},
                    capabilities={"experimentalApi": True},
                )
                server.notify("initialized")
                yield server
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class AppServer:
    """One connection to `codex app-server`: JSON-RPC, an object a line."""

    process: asyncio.subprocess.Process
    asked: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    """What Codex asks of its client (approvals), unanswered."""
    _told: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    _answers: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def listen(self) -> None:
        """Take what Codex says until it ends."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            message = json.loads(line)
            if "method" not in message:
                self._answers.pop(message["id"]).set_result(message)
            elif "id" in message:
                self.asked.put_nowait(message)
            else:
                self._told.put_nowait(message)

    def notify(self, method: str, **parameters: Any) -> None:
        """Tell Codex something that it does not answer."""
        self._send({"method": method, "params": parameters})

    def answer(self, asked: dict[str, Any], **result: Any) -> None:
        """Answer what Codex asked."""
        self._send({"id": asked["id"], "result": result})

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask Codex for something; its result."""
        number = next(self._numbers)
        future = self._answers[number] = asyncio.get_running_loop().create_future()
        self._send({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(TURN_SECONDS):
            message = await future
        assert "error" not in message, f"{method}: {message['error']}"
        result: dict[str, Any] = message["result"]
        return result

    async def told(self, method: str) -> dict[str, Any]:
        """The next notification of this method; those before it are dropped."""
        async with asyncio.timeout(TURN_SECONDS):
            while True:
                message = await self._told.get()
                if message["method"] == method:
                    parameters: dict[str, Any] = message["params"]
                    return parameters

    async def start_thread(self, work: Path, **parameters: Any) -> str:
        """A new thread that may do anything unasked; its id."""
        given = {"cwd": str(work), "sandbox": "danger-full-access", "approvalPolicy": "never"} | parameters
        started: str = (await self.call("thread/start", **given))["thread"]["id"]
        return started

    async def start_turn(self, thread_id: str, prompt: str) -> None:
        """Begin a turn and do not wait for it."""
        await self.call("turn/start", threadId=thread_id, input=[{"type": "text", "text": prompt}])

    async def turn(self, thread_id: str, prompt: str) -> str:
        """A turn to its end; the status it ended with."""
        await self.start_turn(thread_id, prompt)
        status: str = (await self.told("turn/completed"))["turn"]["status"]
        return status

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")


async def _drain(stream: asyncio.StreamReader | None) -> None:
    """Read and forget, so that the pipe never fills."""
    assert stream is not None
    while await stream.read(1 << 16):
        pass


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    model = ScriptedModel()
    async with model.serving():
        yield model


@pytest.fixture
def codex(codex_program: tuple[str, Path], model: ScriptedModel, tmp_path: Path) -> Codex:
    """A released Codex on a fresh home."""
    version, program = codex_program
    home, work = tmp_path / "codex home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    (home / "config.toml").write_text(_CONFIG.format(base_url=model.base_url))
    return Codex(version, program, home, work, model)


_CONFIG = """
model = "gpt-5-codex"
model_provider = "scripted"
check_for_update_on_startup = false
[analytics]
enabled = false
[features]
daemon_auto_start = false
[model_providers.scripted]
name = "scripted"
base_url = "{base_url}"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""


@dataclass(frozen=True)
class Rollodex:
    """Our own command line on a Codex home, in processes of its own."""

    home: Path
    state: Path

    async def run(self, *arguments: str) -> str:
        """What a subcommand prints; it must end well and have nothing to complain of."""
        async with self.running(*arguments) as process, asyncio.timeout(TURN_SECONDS):
            out, err = await process.communicate()
        complaint = err.decode()
        assert not complaint, complaint
        assert process.returncode == 0
        return out.decode()

    @asynccontextmanager
    async def running(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A subcommand at work, gone when the block is left."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "tui.cli", *arguments),
            env={
                **os.environ,
                "CODEX_HOME": str(self.home),
                "ROLLODEX_STATE_DIR": str(self.state),
                "PYTHONPATH": str(ROOT),
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def json(self, *arguments: str) -> Any:
        """What it prints as one JSON object."""
        return json.loads(await self.run(*arguments, "--json"))

    async def json_lines(self, *arguments: str) -> list[Any]:
        """What it prints as one JSON object a line."""
        return [json.loads(line) for line in (await self.run(*arguments, "--json")).splitlines()]


async def eventually(look: Callable[[], Awaitable[T]], wanted: Callable[[T], object]) -> T:
    """Look until what is seen is as wanted: Codex writes behind its answers."""
    deadline = asyncio.get_running_loop().time() + TURN_SECONDS
    while not wanted(seen := await look()):
        assert asyncio.get_running_loop().time() < deadline, f"this is not what was waited for: {seen}"
        await asyncio.sleep(0.05)
    return seen


@pytest.fixture
def rollodex(codex: Codex, tmp_path: Path) -> Rollodex:
    return Rollodex(codex.home, tmp_path / "state")
