"""What a program in the sandbox can and cannot do, tried by real programs that mean harm."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from other_processes import Child

from store.sandbox import FullAccess, ReadOnly, Restricted, WorkspaceWrite, can_enforce, sandboxed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KEPT_OUT = {"EROFS", "EACCES", "EPERM", "ENOENT", "EXDEV", "EBADF", "ENOTDIR", "ESRCH", "ENETUNREACH"}

PRELUDE = """
import ctypes, errno, json, os, shutil, socket, stat, subprocess, sys
from pathlib import Path
outcome = {}
def attempt(name, do):
    try:
        result = do()
    except OSError as error:
        result = errno.errorcode[error.errno]
    outcome[name] = result if isinstance(result, (str, int, list)) else "done"
def env(name):
    return Path(os.environ[name])
"""
FINALE = "\nprint(json.dumps(outcome))\n"


@pytest.fixture(scope="module", autouse=True)
def enforced(request: pytest.FixtureRequest) -> None:
    """Skip where nothing can be enforced; never without a word."""
    reason = can_enforce() if sys.platform == "linux" else f"tried on Linux only, not on {sys.platform}"
    if reason is None:
        return
    plugins = request.config.pluginmanager
    reporter, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")
    assert reporter is not None
    assert capture is not None
    with capture.global_and_fixture_disabled():
        reporter.ensure_newline()
        reporter.write_line(f"WARNING: THE SANDBOX IS NOT TESTED HERE. {reason}", red=True, bold=True)
    pytest.skip(reason)


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    """The one folder that may be written, not alone in its folder."""
    folder = tmp_path / "staging"
    folder.mkdir()
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the person's, with a file in it."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "diary.txt").write_text("dear diary")
    return folder


def writing(
    *roots: Path, reads: FullAccess | Restricted | None = None, network: bool = False
) -> WorkspaceWrite:
    return WorkspaceWrite(
        writable_roots=tuple(map(str, roots)),
        read_only_access=reads or FullAccess(),
        network_access=network,
        exclude_slash_tmp=True,
        exclude_tmpdir_env_var=True,
    )


def only(*roots: Path) -> Restricted:
    return Restricted(readable_roots=tuple(map(str, roots)))


def run(
    argv: Sequence[str], policy: ReadOnly | WorkspaceWrite, cwd: Path, stdin: str = "", /, **env: object
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        sandboxed(argv, policy, cwd=cwd),
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=60,
        check=False,
        env={**os.environ, **{name: str(value) for name, value in env.items()}},
    )


def tried(attempts: str, policy: ReadOnly | WorkspaceWrite, cwd: Path, **env: object) -> dict[str, Any]:
    """What came of attempts; they are told paths by the environment, because what argv names may be read."""
    done = run([sys.executable, "-c", PRELUDE + attempts + FINALE], policy, cwd, **env)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert isinstance(outcome, dict)
    return outcome


def look(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """All that a write to a folder would change."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in (folder, *folder.rglob("*"))
    }


WRITES = """
outside, diary = env("OUTSIDE"), env("OUTSIDE") / "diary.txt"
here = Path(os.environ.get("HERE", "."))
around = lambda path, root: f"{root}{path}"
attempt("create", lambda: (outside / "new").write_text("x"))
attempt("overwrite", lambda: diary.write_text("x"))
attempt("append", lambda: diary.open("a").write("x"))
attempt("truncate", lambda: os.truncate(diary, 0))
attempt("remove", lambda: diary.unlink())
attempt("rename", lambda: diary.rename(outside / "other"))
attempt("mode", lambda: diary.chmod(0o777))
attempt("times", lambda: os.utime(diary, (1, 1)))
attempt("folder", lambda: (outside / "folder").mkdir())
attempt("fifo", lambda: os.mkfifo(outside / "fifo"))
attempt("by /proc/self/root", lambda: Path(around(diary, "/proc/self/root")).write_text("x"))
attempt("by /proc/1/root", lambda: Path(around(diary, "/proc/1/root")).write_text("x"))
attempt("by /proc/self/cwd", lambda: Path("/proc/self/cwd/../outside/diary.txt").write_text("x"))
attempt("link in", lambda: os.link(diary, here / "linked"))
attempt("to /tmp", lambda: Path("/tmp/escaped-from-the-sandbox").write_text("x"))
attempt("to home", lambda: Path("~/escaped-from-the-sandbox").expanduser().write_text("x"))
attempt("to the root", lambda: Path("/escaped-from-the-sandbox").write_text("x"))
attempt("to /sys", lambda: Path("/sys/kernel/uevent_helper").write_text("x"))
attempt("to /proc/sys", lambda: Path("/proc/sys/kernel/core_pattern").open("w"))
attempt("to sysrq", lambda: Path("/proc/sysrq-trigger").open("w"))
"""


@pytest.mark.parametrize("reads", [FullAccess(), Restricted()], ids=["full", "restricted"])
def test_a_reader_writes_nowhere(outside: Path, staging: Path, reads: FullAccess | Restricted) -> None:
    before = look(outside)
    outcome = tried(
        WRITES + "attempt('here', lambda: Path('x').write_text('x'))",
        ReadOnly(access=reads),
        staging,
        OUTSIDE=outside,
    )
    assert {name: result for name, result in outcome.items() if result not in KEPT_OUT} == {}
    assert look(outside) == before
    assert list(staging.iterdir()) == []


@pytest.mark.parametrize("reads", [FullAccess(), Restricted()], ids=["full", "restricted"])
def test_a_writer_writes_in_its_folder_alone(
    outside: Path, staging: Path, reads: FullAccess | Restricted
) -> None:
    before = look(outside)
    (staging / "link").symlink_to(outside / "diary.txt")
    (staging / "folder").symlink_to(outside)
    more = """
attempt("by a link", lambda: Path("link").write_text("x"))
attempt("by a linked folder", lambda: Path("folder/new").write_text("x"))
Path("made").symlink_to(outside)
attempt("by a link of its own", lambda: Path("made/new").write_text("x"))
Path("mine").write_text("mine")
attempt("move out", lambda: os.rename("mine", outside / "mine"))
attempt("link out", lambda: os.link("mine", outside / "mine"))
attempt("move the folder", lambda: os.rename(Path.cwd(), outside / "staging"))
attempt("beside it", lambda: Path("../beside").write_text("x"))
"""
    outcome = tried(WRITES + more, writing(staging, reads=reads), staging, OUTSIDE=outside)
    assert {name: result for name, result in outcome.items() if result not in KEPT_OUT} == {}
    assert look(outside) == before
    assert (staging / "mine").read_text() == "mine"
    assert not (staging.parent / "beside").exists()


def test_what_it_gained_by_being_root_it_cannot_use(outside: Path, staging: Path) -> None:
    attempts = """
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
outcome["capabilities"] = int(status["CapEff"], 16)
outcome["no new privileges"] = int(status["NoNewPrivs"])
libc = ctypes.CDLL(None, use_errno=True)
def remount():
    if libc.mount(None, str(env("MOUNT")).encode(), None, 32 | 4096, None):
        raise OSError(ctypes.get_errno(), "mount")
attempt("remount", remount)
def namespaces(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "syscall")
attempt("unshare", lambda: namespaces({"x86_64": 272}.get(os.uname().machine, 97), 0x10020000))
attempt("clone", lambda: namespaces({"x86_64": 56}.get(os.uname().machine, 220), 0x10000011, 0, 0, 0, 0))
attempt("clone3", lambda: namespaces(435, ctypes.create_string_buffer(64), 64))
attempt("write", lambda: (env("OUTSIDE") / "new").write_text("x"))
"""
    outcome = tried(attempts, writing(staging), staging, OUTSIDE=outside, MOUNT="/")
    assert outcome.pop("capabilities") == 0
    assert outcome.pop("no new privileges") == 1
    assert outcome.pop("clone3") == "ENOSYS"
    assert set(outcome.values()) <= {"EPERM", "EACCES", "EROFS"}, outcome


@dataclass(frozen=True)
class Services:
    """A service of each kind outside, and where each listens."""

    inet: socket.socket
    abstract: socket.socket
    stream: socket.socket
    datagram: socket.socket
    addresses: dict[str, object]

    def heard(self) -> list[str]:
        """Those that were reached."""
        by_name = {
            "inet": self.inet,
            "abstract": self.abstract,
            "stream": self.stream,
            "datagram": self.datagram,
        }
        ready, _, _ = select.select(list(by_name.values()), [], [], 0)
        return [name for name, service in by_name.items() if service in ready]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    name = f"rollodex-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as inet,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX) as stream,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram,
    ):
        abstract.bind(f"\0{name}")
        abstract.listen()
        stream.bind(str(tmp_path / "stream"))
        stream.listen()
        datagram.bind(str(tmp_path / "datagram"))
        addresses = {
            "PORT": inet.getsockname()[1],
            "ABSTRACT": name,
            "STREAM": tmp_path / "stream",
            "DATAGRAM": tmp_path / "datagram",
        }
        yield Services(inet, abstract, stream, datagram, addresses)


CONNECTS = """
def reach(family, kind, address):
    socket.socket(family, kind).connect(address)
def turn(address):
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"x", address)
attempt("inet", lambda: reach(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", int(os.environ["PORT"]))))
attempt("abstract", lambda: reach(socket.AF_UNIX, socket.SOCK_STREAM, "\\0" + os.environ["ABSTRACT"]))
attempt("stream", lambda: reach(socket.AF_UNIX, socket.SOCK_STREAM, os.environ["STREAM"]))
attempt("datagram", lambda: reach(socket.AF_UNIX, socket.SOCK_DGRAM, os.environ["DATAGRAM"]))
attempt("pair", lambda: turn(os.environ["DATAGRAM"]))
attempt("vsock", lambda: reach(socket.AF_VSOCK, socket.SOCK_STREAM, (2, 1)))
syscall = ctypes.CDLL(None, use_errno=True).syscall
def ring():
    if syscall(425, 1, ctypes.create_string_buffer(120)) < 0:
        raise OSError(ctypes.get_errno(), "io_uring_setup")
attempt("ring", ring)
socket.socketpair()
"""


def test_it_reaches_nothing(services: Services, staging: Path) -> None:
    outcome = tried(CONNECTS, ReadOnly(), staging, **services.addresses)
    assert services.heard() == []
    assert outcome.pop("inet") in ("ECONNREFUSED", "ENETUNREACH")
    assert outcome.pop("ring") == "ENOSYS"
    assert set(outcome.values()) == {"EACCES"}


def test_with_the_network_it_still_reaches_no_service_by_a_file(services: Services, staging: Path) -> None:
    outcome = tried(CONNECTS, ReadOnly(network_access="enabled"), staging, **services.addresses)
    assert services.heard() == ["inet"]
    assert outcome.pop("inet") == "done"
    assert outcome.pop("ring") == "ENOSYS"
    assert set(outcome.values()) == {"EACCES"}


def test_it_sees_and_touches_no_other_process(staging: Path) -> None:
    attempts = """
outcome["seen"] = [int(name) for name in os.listdir("/proc") if name.isdigit()]
attempt("signal", lambda: os.kill(int(os.environ["OTHER"]), 0))
attempt("root", lambda: os.listdir(f"/proc/{os.environ['OTHER']}/root"))
attempt("environment", lambda: Path(f"/proc/{os.environ['OTHER']}/environ").read_bytes())
outcome["terminal"] = os.getsid(0) == os.getpid() or os.getsid(0) in outcome["seen"]
"""
    with Child("import os; print(os.getpid()); input()") as other:
        outcome = tried(attempts, ReadOnly(), staging, OTHER=other.hear())
        assert max(outcome.pop("seen")) < 20
        assert outcome.pop("terminal") is True
        assert set(outcome.values()) <= {"ESRCH", "ENOENT"}


LINGER = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(1, b"lingering\\n")
        time.sleep(600)
    os._exit(0)
os.wait()
os.write(1, b"started\\n")
if sys.argv[1] == "stay":
    time.sleep(600)
"""


def test_what_it_leaves_behind_ends_with_it(staging: Path) -> None:
    done = run([sys.executable, "-c", LINGER, "go"], ReadOnly(), staging)
    assert done.returncode == 0
    assert sorted(done.stdout.split()) == ["lingering", "started"]


def test_all_of_it_ends_when_it_is_killed(staging: Path) -> None:
    argv = sandboxed([sys.executable, "-c", LINGER, "stay"], ReadOnly(), cwd=staging)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=staging) as process:
        assert process.stdout is not None
        assert {process.stdout.readline(), process.stdout.readline()} == {b"lingering\n", b"started\n"}
        process.send_signal(signal.SIGKILL)
        # The last holder of the pipe has ended when it is at its end.
        assert process.stdout.read() == b""


def test_all_of_it_ends_with_who_started_it(staging: Path) -> None:
    argv = sandboxed([sys.executable, "-c", LINGER, "stay"], ReadOnly(), cwd=staging)
    start = "import json, subprocess, sys; subprocess.run(json.loads(sys.argv[1]), stdin=subprocess.DEVNULL)"
    with Child(start, json.dumps(argv)) as starter:
        assert {starter.hear(), starter.hear()} == {"lingering", "started"}
        starter.kill()
        assert starter.hear() == ""


def test_descriptors_that_it_inherits_are_closed(outside: Path, staging: Path) -> None:
    folder = os.open(outside, os.O_RDONLY)
    diary = os.open(outside / "diary.txt", os.O_RDWR)
    attempts = f"""
attempt("folder", lambda: os.open("new", os.O_WRONLY | os.O_CREAT, dir_fd={folder}))
attempt("file", lambda: os.write({diary}, b"x"))
outcome["open"] = sorted(map(int, os.listdir("/proc/self/fd")))[:-1]
"""
    try:
        done = subprocess.run(
            sandboxed([sys.executable, "-c", PRELUDE + attempts + FINALE], ReadOnly(), cwd=staging),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=(folder, diary),
            check=True,
        )
    finally:
        os.close(folder)
        os.close(diary)
    assert json.loads(done.stdout) == {"folder": "EBADF", "file": "EBADF", "open": [0, 1, 2]}


@pytest.mark.parametrize("name", [".", "diary.txt"])
def test_input_that_leads_outside_is_refused(outside: Path, staging: Path, name: str) -> None:
    stream = os.open(outside / name, os.O_RDONLY)
    try:
        done = subprocess.run(
            sandboxed(["sh", "-c", "echo started"], ReadOnly(), cwd=staging),
            stdin=stream,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.close(stream)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr


READS = """
secret = env("OUTSIDE") / "diary.txt"
attempt("file", lambda: secret.read_text())
attempt("folder", lambda: os.listdir(env("OUTSIDE")))
attempt("status", lambda: os.stat(secret))
attempt("by /proc/self/root", lambda: Path(f"/proc/self/root{secret}").read_text())
attempt("by /proc/1/root", lambda: Path(f"/proc/1/root{secret}").read_text())
attempt("by /proc/1/cwd", lambda: Path("/proc/1/cwd/../outside/diary.txt").read_text())
attempt("beside", lambda: Path("../outside/diary.txt").read_text())
attempt("passwords", lambda: Path("/etc/shadow").read_text())
attempt("home", lambda: os.listdir(os.environ["HOME"]))
attempt("logs", lambda: os.listdir("/var/log"))
attempt("devices", lambda: Path("/dev/mem").read_bytes())
"""


def test_where_reading_is_restricted_nothing_else_can_be_read(
    outside: Path, staging: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (staging / "link").symlink_to(outside / "diary.txt")
    more = "attempt('link', lambda: Path('link').read_text())"
    outcome = tried(READS + more, ReadOnly(access=only()), staging, OUTSIDE=outside, HOME=home)
    assert set(outcome.values()) <= {"ENOENT", "EACCES"}, outcome


def test_the_same_can_be_read_where_it_is_not(outside: Path, staging: Path) -> None:
    outcome = tried(READS, ReadOnly(), staging, OUTSIDE=outside)
    assert outcome["file"] == outcome["by /proc/self/root"] == outcome["beside"] == "dear diary"
    assert outcome["folder"] == ["diary.txt"]


def test_readable_roots_are_read_and_not_written(outside: Path, staging: Path) -> None:
    before = look(outside)
    attempts = READS + WRITES
    outcome = tried(attempts, ReadOnly(access=only(outside)), staging, OUTSIDE=outside)
    assert outcome["file"] == "dear diary"
    assert outcome["create"] == outcome["overwrite"] == "EROFS"
    assert look(outside) == before


def test_a_root_that_is_a_link_is_read_by_both_its_names(
    outside: Path, staging: Path, tmp_path: Path
) -> None:
    (tmp_path / "middle").symlink_to(outside.name)
    (tmp_path / "link").symlink_to(tmp_path / "middle")
    attempts = """
for name in ("link", "middle", "outside"):
    attempt(name, lambda: (env("FOLDER") / name / "diary.txt").read_text())
outcome["real"] = os.path.realpath(env("FOLDER") / "link")
"""
    outcome = tried(attempts, ReadOnly(access=only(tmp_path / "link")), staging, FOLDER=tmp_path)
    assert outcome == {**dict.fromkeys(("link", "middle", "outside"), "dear diary"), "real": str(outside)}


@pytest.mark.parametrize("reads", [FullAccess(), Restricted()], ids=["full", "restricted"])
def test_a_writable_root_may_be_a_link(staging: Path, tmp_path: Path, reads: FullAccess | Restricted) -> None:
    link = tmp_path / "link"
    link.symlink_to(staging.name)
    done = run(
        ["sh", "-c", 'echo 1 >one; echo 2 >"$LINK/two"; pwd'], writing(link, reads=reads), link, LINK=link
    )
    assert done.stderr == ""
    assert sorted(path.name for path in staging.iterdir()) == ["one", "two"]


def test_roots_inside_one_another(outside: Path, staging: Path, tmp_path: Path) -> None:
    (staging / "inner").mkdir()
    policy = writing(staging, staging / "inner", reads=only(tmp_path, outside, staging / "inner"))
    script = "cat ../outside/diary.txt; echo x >inner/x; echo x >x; echo x >../outside/x"
    done = run(["sh", "-c", script], policy, staging)
    assert done.stdout == "dear diary"
    assert (staging / "x").exists()
    assert (staging / "inner" / "x").exists()
    assert not (outside / "x").exists()


@pytest.mark.parametrize("reads", [FullAccess(), Restricted()], ids=["full", "restricted"])
@pytest.mark.parametrize(
    "name",
    [
        "with space",
        "--bind",
        "new\nline",
        "quote'\"$(x)`",
        os.fsdecode(b"not-utf-8-\xff"),
        "ünï",
        "back\\slash",
    ],
)
def test_any_name_is_only_a_name(tmp_path: Path, name: str, reads: FullAccess | Restricted) -> None:
    staging, readable = tmp_path / name, tmp_path / f"{name}-2"
    staging.mkdir()
    readable.mkdir()
    (readable / name).write_text("read")
    if isinstance(reads, Restricted):
        reads = only(readable)
    script = 'cat "$READABLE/$NAME" && cat "$1" && echo x >"$NAME"'
    done = run(
        ["sh", "-c", script, "sh", str(readable / name)], writing(staging, reads=reads), staging,
        READABLE=readable, NAME=name,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("readread", "")
    assert (staging / name).read_text() == "x\n"


def test_what_the_command_line_names_can_be_read(outside: Path, staging: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("other")
    (tmp_path / "third").write_text("third")
    script = 'cat "$1" "${2#*=}" "$THIRD"'
    done = run(
        ["sh", "-c", script, "sh", "../outside/diary.txt", f"--file={tmp_path / 'other'}"],
        ReadOnly(access=only()), staging, THIRD=tmp_path / "third",
    )  # fmt: skip
    assert done.stdout == "dear diaryother"
    assert "third" in done.stderr


@pytest.mark.parametrize("named", ["/dev/null", "/dev", "/proc/self/status", "/proc", "/dev/stdin"])
def test_devices_and_processes_are_its_own_whatever_is_named(staging: Path, named: str) -> None:
    script = "ls /proc | grep -c '^[0-9]'; echo x >/dev/null && ls /dev | grep -c mem"
    done = run(["sh", "-c", script, "sh", named], ReadOnly(access=only()), staging)
    assert (int(done.stdout.split()[0]) < 10, done.stdout.split()[1], done.stderr) == (True, "0", "")


def test_everything_may_be_named_and_is_still_not_written(outside: Path, staging: Path) -> None:
    done = run(
        ["sh", "-c", 'cat "$DIARY"; echo x >"$DIARY"'],
        ReadOnly(access=only(Path("/"))), staging, DIARY=outside / "diary.txt",
    )  # fmt: skip
    assert done.stdout == "dear diary"
    assert "Read-only file system" in done.stderr


def test_without_the_platform_defaults_they_are_not_there(staging: Path) -> None:
    roots = tuple(path for path in ("/usr", "/bin", "/lib", "/lib64") if Path(path).exists())
    access = Restricted(include_platform_defaults=False, readable_roots=roots)
    done = run(["sh", "-c", "ls /etc || echo kept"], ReadOnly(access=access), staging)
    assert done.stdout == "kept\n", done.stderr


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_script_reads_its_own_folder_wherever_it_is_started(staging: Path, tmp_path: Path) -> None:
    engine = script(
        tmp_path / "engine" / "run",
        '#!/bin/sh\ncat "$(dirname "$(readlink -f "$0")")/data"; cat "$OUTSIDE"\n',
    )
    (engine.parent / "data").write_text("data")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "engine").symlink_to(engine)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    for name in ("../engine/run", str(engine), str(tmp_path / "bin" / "engine")):
        done = run([name], ReadOnly(access=only()), staging, OUTSIDE=tmp_path / "secret", PATH=path)
        assert done.stdout == "data", done.stderr


def test_a_program_is_found_on_path(staging: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "tools" / "my-engine", "#!/usr/bin/env -S sh -u\necho found\n")
    script(staging / "my-engine", "#!/bin/sh\necho planted\n")
    monkeypatch.setenv("PATH", f":.:{tmp_path / 'tools'}:{os.environ['PATH']}")
    assert run(["my-engine"], ReadOnly(access=only()), staging).stdout == "found\n"


def test_a_program_of_a_venv_has_its_packages(staging: Path, tmp_path: Path) -> None:
    """Also through the first line of a script that stands in no bin folder."""
    venv.create(tmp_path / "venv", symlinks=True, with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    [packages] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (packages / "engine_package.py").write_text("word = 'imported'")
    started = script(
        tmp_path / "own" / "engine", f"#!{python}\nimport engine_package; print(engine_package.word)\n"
    )
    assert run([str(started)], ReadOnly(access=only()), staging).stdout == "imported\n"
    code = "import engine_package, sys; print(sys.prefix)"
    assert run([str(python), "-c", code], ReadOnly(access=only()), staging).stdout == f"{tmp_path / 'venv'}\n"


def test_a_program_right_in_the_home_folder_brings_no_more_than_itself(
    staging: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, shared = tmp_path / "home", tmp_path / "shared"
    for folder in (home, shared):
        script(folder / "engine", '#!/bin/sh\necho started\ncat "$(dirname "$0")/secret"\n')
        (folder / "secret").write_text("secret")
    shared.chmod(0o777 | stat.S_ISVTX)
    monkeypatch.setenv("HOME", str(home))
    for folder in (home, shared):
        assert run([str(folder / "engine")], ReadOnly(access=only()), staging).stdout == "started\n"


def test_tmp_is_written_only_where_the_policy_says_so(tmp_path: Path, staging: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    policy = WorkspaceWrite(exclude_slash_tmp=True)
    assert run(["sh", "-c", 'echo x >"$TMPDIR/x"'], policy, staging, TMPDIR=temporary).returncode != 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        assert run(["sh", "-c", 'echo x >"$TMPDIR/x"'], policy, staging).returncode == 0
        policy = WorkspaceWrite(exclude_slash_tmp=True, exclude_tmpdir_env_var=True)
        assert run(["sh", "-c", 'echo x >"$TMPDIR/y"'], policy, staging).returncode != 0
    assert sorted(path.name for path in temporary.iterdir()) == ["x"]


def test_streams_exit_code_and_environment_come_through(staging: Path) -> None:
    script = 'echo "$(cat) $PYTHONPATH"; echo e >&2; exit 7'
    done = run(["sh", "-c", script], ReadOnly(), staging, "prompt", PYTHONPATH="/some/where")
    assert (done.returncode, done.stdout, done.stderr) == (7, "prompt /some/where\n", "e\n")


@pytest.mark.parametrize("reads", [FullAccess(), Restricted()], ids=["full", "restricted"])
def test_ordinary_programs_work(staging: Path, reads: FullAccess | Restricted) -> None:
    code = """
import asyncio, multiprocessing, multiprocessing.pool, socket, ssl, subprocess, sqlite3
assert ssl.create_default_context().cert_store_stats()["x509_ca"] >= 0
assert multiprocessing.get_context("fork").Pool(2).map(abs, [-1, 2]) == [1, 2]
async def main():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "localhost", 0)
    port = server.sockets[0].getsockname()[1]
    await asyncio.open_connection("localhost", port)
    process = await asyncio.create_subprocess_exec("sh", "-c", "cat", stdin=-1, stdout=-1)
    return (await process.communicate(b"piped"))[0]
assert asyncio.run(main()) == b"piped"
sqlite3.connect("here.sqlite").execute("CREATE TABLE t (a)")
print(open("/dev/null").read() == "", open("/dev/urandom", "rb").read(1) != b"")
"""
    done = run([sys.executable, "-W", "ignore", "-c", code], writing(staging, reads=reads), staging)
    assert (done.stdout, done.stderr) == ("True True\n", "")
