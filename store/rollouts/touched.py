"""Which files a patch or a command names, and what it does with them.

Of a command only the plain forms are understood: `cat`, `head`, `tail`, `nl`, `less`, `bat`, `sed`, `rg`,
`grep`, `tee`, `touch`, `rm`, `mv`, `cp`, redirections, and `cd` before them. What a shell would have to work
out first (variables, globs, substitutions) names no file here.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from store.rollouts.tool_text import list_of, object_of, text_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

TouchAction = Literal["read", "write", "delete"]

LONGEST_COMMAND: Final = 2_000
"""How much of a command is looked at, in characters."""

LONGEST_PATH: Final = 1_000


class Touch(NamedTuple):
    """A file as it was named, and what was done with it."""

    path: str
    action: TouchAction


_PATCH_HEAD: Final = re.compile(
    r"^\*\*\* (Add File|Update File|Delete File|Move to): (.+?)\s*$", re.MULTILINE
)
_TOKEN: Final = re.compile(r"""(?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s;&|<>()'"\\])+|[;&|<>()]+|\n+""")
_WORTH_A_LOOK: Final = re.compile(r"\b(?:cat|head|tail|nl|less|bat|sed|rg|grep|tee|touch|rm|mv|cp)\s|[<>]")
_SPECIAL: Final = re.compile(r"[;&|<>()'\"\\\n]")
_WORKED_OUT: Final = re.compile(r"[$`*?{}\[\]\n]")
_OPERATOR: Final = re.compile(r"[;&|<>()\n]+")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=")
_NUMBER: Final = re.compile(r"[+-]?\d+[a-zA-Z]?")
_FILE_NAME: Final = re.compile(r"[^/]*[^/.]\.\w+|Makefile|Dockerfile|LICENSE|README")
_DRIVE: Final = re.compile(r"[A-Za-z]:[\\/]")


def patch_touches(patch: str) -> Iterator[Touch]:
    """The files of a patch in the form of `apply_patch`; one that is moved is deleted and written."""
    updated = ""
    for verb, path in _PATCH_HEAD.findall(patch):
        if verb == "Move to":
            yield Touch(updated, "delete")
        updated = path
        yield Touch(path, "delete" if verb == "Delete File" else "write")


def change_touches(changes: Any) -> Iterator[Touch]:
    """The files of `changes` in `patch_apply_end` (0.130) and `FileChange` (0.169)."""
    for path, change in object_of(changes).items():
        fields = object_of(change)
        moved = text_of(fields.get("move_path"))
        yield Touch(path, "delete" if fields.get("type") == "delete" or moved else "write")
        if moved:
            yield Touch(moved, "write")


def parsed_touches(parsed: Any) -> Iterator[Touch]:
    """The files that Codex itself has found a command to read (`parsed_cmd`)."""
    for part in list_of(parsed):
        fields = object_of(part)
        if fields.get("type") == "read" and (path := text_of(fields.get("path"))):
            yield Touch(path, "read")


def command_touches(command: str) -> Iterator[Touch]:
    """The files that a command line names."""
    command = command[:LONGEST_COMMAND]
    if not _WORTH_A_LOOK.search(command):
        return
    if not _SPECIAL.search(command):
        yield from _simple(command.split(), "")
        return
    command = _without_documents(command)
    folder = ""
    argv: list[str] = []
    tokens = _TOKEN.findall(command)
    position = 0
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if not _OPERATOR.fullmatch(token):
            argv.append(_unquoted(token))
            continue
        if token in (">", ">>", "<", "&>", ">|"):
            if argv and argv[-1].isdigit():
                argv.pop()
            if position < len(tokens):
                yield from _touch(folder, _unquoted(tokens[position]), "read" if token == "<" else "write")
                position += 1
            continue
        if ">&" in token or "<&" in token:
            position += 1
            continue
        folder = yield from _simple(argv, folder)
        argv = []
    yield from _simple(argv, folder)


def resolve(path: str, cwd: str | None) -> str:
    """A path as it is wherever one stands, so far as the folder is known."""
    if path.startswith("/"):
        return posixpath.normpath(path)
    if cwd is None or _DRIVE.match(path) or _DRIVE.match(cwd):
        return path
    return posixpath.normpath(posixpath.join(cwd, path))


def _without_documents(command: str) -> str:
    """A command without what it is given to read: the first line of one with a here-document."""
    return command.partition("\n")[0] if "<<" in command else command


def _simple(argv: Sequence[str], folder: str) -> Generator[Touch, None, str]:
    """The files of one command; returns the folder in which the next one runs."""
    words = list(argv)
    while words and (_ASSIGNMENT.match(words[0]) or words[0] in ("sudo", "time", "command", "exec")):
        del words[0]
    if not words:
        return folder
    program, options, named = _parted(words)
    if program == "cd":
        return posixpath.join(folder, named[0]) if len(named) == 1 else folder
    for path, action in _named_files(program, options, named):
        yield from _touch(folder, path, action)
    return folder


def _parted(words: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """The program, its options, and its other arguments."""
    options = [word for word in words[1:] if word.startswith("-") and len(word) > 1]
    named = [word for word in words[1:] if not word.startswith("-")]
    return words[0].rpartition("/")[2], options, named


def _named_files(
    program: str, options: Sequence[str], named: Sequence[str]
) -> Iterator[tuple[str, TouchAction]]:
    match program:
        case "cat" | "nl" | "less" | "bat" | "head" | "tail":
            yield from ((path, "read") for path in named if not _NUMBER.fullmatch(path))
        case "sed":
            in_place = any(option.startswith(("-i", "--in-place")) for option in options)
            yield from ((path, "write" if in_place else "read") for path in named[1:])
        case "rg" | "grep":
            yield from ((p, "read") for p in named[1:] if _FILE_NAME.fullmatch(p.rpartition("/")[2]))
        case "tee" | "touch":
            yield from ((path, "write") for path in named)
        case "rm":
            yield from ((path, "delete") for path in named)
        case "mv" | "cp" if len(named) == 2:
            yield named[0], "delete" if program == "mv" else "read"
            yield named[1], "write"
        case _:
            pass


def _touch(folder: str, path: str, action: TouchAction) -> Iterator[Touch]:
    if not path or len(path) > LONGEST_PATH or path.startswith(("/dev/", "~", "-")):
        return
    if _WORKED_OUT.search(path) or path in (".", "..", "/"):
        return
    yield Touch(posixpath.join(folder, path), action)


def _unquoted(token: str) -> str:
    if "'" not in token and '"' not in token and "\\" not in token:
        return token
    return _QUOTED.sub(lambda match: match[1] or match[2] or match[3] or "", token)


_QUOTED: Final = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)""")
