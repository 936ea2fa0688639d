"""Sandbox policies in every form that Codex wrote them; what this program does not know is kept raw.

In rollouts: tag `mode` up to 0.47, tag `type` since; `access` and `read_only_access` in 0.104–0.113;
permission profiles beside the policy since 0.130 and in its place in the database of 0.169. The app-server
writes camelCase.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

PolicyLabel = Literal["read-only", "workspace-write", "danger-full-access", "external-sandbox", "unknown"]

Network = Literal["restricted", "enabled"]


class _Part(BaseModel):
    """A part of a policy: knows what was given, and keeps keys that it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="allow", strict=True, alias_generator=to_camel, populate_by_name=True
    )

    def model_post_init(self, _context: Any, /) -> None:
        """Count the tag as given, so that a part made here is printed with it."""
        if "type" in type(self).model_fields:
            self.model_fields_set.add("type")


Paths = Annotated[tuple[str, ...], Field(strict=False)]


class FullAccess(_Part):
    """Every file may be read."""

    type: Literal["full-access", "fullAccess"] = "full-access"


class Restricted(_Part):
    """Only these folders may be read, and what the platform needs."""

    type: Literal["restricted"] = "restricted"
    include_platform_defaults: bool = True
    readable_roots: Paths = ()


ReadOnlyAccess = Annotated[FullAccess | Restricted, Field(discriminator="type")]


_Tag = Literal["type", "mode", "word"]
"""Where a policy keeps its kind: under a key of this name, or as the whole value."""


class _Policy(_Part):
    _tag: _Tag = PrivateAttr(default="type")
    _camel: bool = PrivateAttr(default=False)


class ReadOnly(_Policy):
    """Nothing may be written."""

    type: Literal["read-only", "readOnly"] = "read-only"
    access: ReadOnlyAccess = FullAccess()
    network_access: bool | Network = False


class WorkspaceWrite(_Policy):
    """The working folder may be written, and what stands here."""

    type: Literal["workspace-write", "workspaceWrite"] = "workspace-write"
    writable_roots: Paths = ()
    read_only_access: ReadOnlyAccess = FullAccess()
    network_access: bool | Network = False
    exclude_tmpdir_env_var: bool = False
    exclude_slash_tmp: bool = False


class DangerFullAccess(_Policy):
    """No sandbox at all."""

    type: Literal["danger-full-access", "dangerFullAccess"] = "danger-full-access"


class ExternalSandbox(_Policy):
    """Something outside Codex keeps it in."""

    type: Literal["external-sandbox", "externalSandbox"] = "external-sandbox"
    network_access: bool | Network = "restricted"


class LiteralPath(_Part):
    """This folder or file."""

    type: Literal["path"]
    path: str


class GlobPattern(_Part):
    """Whatever matches."""

    type: Literal["glob_pattern", "globPattern"]
    pattern: str


class SpecialValue(_Part):
    """`root`, `project_roots`, `tmpdir`, `slash_tmp`, `minimal`, or what a later Codex adds."""

    kind: str
    subpath: str | None = None


class SpecialPath(_Part):
    """A place that Codex works out when it runs."""

    type: Literal["special"]
    value: SpecialValue


class FileSystemEntry(_Part):
    """What may be done with a place: `read`, `write`, `deny` (earlier `none`)."""

    path: Annotated[LiteralPath | GlobPattern | SpecialPath, Field(discriminator="type")]
    access: str


class RestrictedFileSystem(_Part):
    """Only what the entries allow."""

    type: Literal["restricted"]
    entries: Annotated[tuple[FileSystemEntry, ...], Field(strict=False)] = ()


class UnrestrictedFileSystem(_Part):
    """Every file may be read and written."""

    type: Literal["unrestricted"]


class ProfileNetwork(_Part):
    """The network of a permission profile as the app-server writes it."""

    enabled: bool


class ManagedProfile(_Policy):
    """A permission profile that Codex enforces."""

    type: Literal["managed"]
    file_system: Annotated[RestrictedFileSystem | UnrestrictedFileSystem, Field(discriminator="type")]
    network: Network | ProfileNetwork = "restricted"


class ExternalProfile(_Policy):
    """A permission profile that something outside Codex enforces."""

    type: Literal["external"]
    network: Network | ProfileNetwork = "restricted"


class DisabledProfile(_Policy):
    """A permission profile without a sandbox."""

    type: Literal["disabled"]


SandboxPolicy = Annotated[
    ReadOnly
    | WorkspaceWrite
    | DangerFullAccess
    | ExternalSandbox
    | ManagedProfile
    | ExternalProfile
    | DisabledProfile,
    Field(discriminator="type"),
]


class UnknownPolicy(BaseModel):
    """A form that this program does not know, as it was written."""

    model_config = ConfigDict(frozen=True)

    raw: Any


AnyPolicy = (
    ReadOnly
    | WorkspaceWrite
    | DangerFullAccess
    | ExternalSandbox
    | ManagedProfile
    | ExternalProfile
    | DisabledProfile
    | UnknownPolicy
)

_ADAPTER: TypeAdapter[SandboxPolicy] = TypeAdapter(SandboxPolicy)


def parse_policy(value: object) -> AnyPolicy:
    """The policy in a JSON value: an object of any era, or the bare word that Codex's default row holds."""
    tag: _Tag = "type"
    given = value
    if isinstance(value, str):
        tag, given = "word", {"type": value}
    elif isinstance(value, dict) and "type" not in value and "mode" in value:
        tag, given = "mode", {("type" if key == "mode" else key): item for key, item in value.items()}
    try:
        policy = _ADAPTER.validate_python(given)
    except ValidationError:
        return UnknownPolicy(raw=value)
    policy._tag = tag
    policy._camel = isinstance(value, dict) and any(_is_camel(word) for word in (policy.type, *value))
    # No Codex writes both dialects in one object; what mixes them is kept as it is.
    try:
        return policy if to_json(policy) == value else UnknownPolicy(raw=value)
    except RecursionError:
        return UnknownPolicy(raw=value)


def _is_camel(word: str) -> bool:
    return any(letter.isupper() for letter in word)


def to_json(policy: AnyPolicy) -> Any:
    """The policy as JSON values, in the form and with the fields that it was written with."""
    if isinstance(policy, UnknownPolicy):
        return policy.raw
    if policy._tag == "word":
        return policy.type
    written = _as_given(policy, camel=policy._camel)
    if policy._tag == "mode":
        return {("mode" if key == "type" else key): item for key, item in written.items()}
    return written


def _as_given(value: Any, *, camel: bool) -> Any:
    """What was given of a part; unlike `model_dump`, without a limit to the depth of keys kept raw."""
    if isinstance(value, tuple):
        return [_as_given(item, camel=camel) for item in value]
    if not isinstance(value, _Part):
        return value
    known = {
        (to_camel(name) if camel else name): _as_given(getattr(value, name), camel=camel)
        for name in type(value).model_fields
        if name in value.model_fields_set
    }
    return {**known, **(value.model_extra or {})}


def short_label(policy: AnyPolicy) -> PolicyLabel:
    """The one word for a policy; a permission profile gets that of the policy that Codex makes of it."""
    match policy:
        case ReadOnly():
            return "read-only"
        case WorkspaceWrite():
            return "workspace-write"
        case DangerFullAccess() | DisabledProfile():
            return "danger-full-access"
        case ExternalSandbox() | ExternalProfile():
            return "external-sandbox"
        case ManagedProfile():
            return _managed_label(policy)
        case UnknownPolicy():
            return "unknown"


def describe(policy: AnyPolicy) -> tuple[str, ...]:
    """What the policy lets a command do, a line each for writing, reading and the network."""
    match policy:
        case ReadOnly():
            return ("write: nothing", _readable(policy.access), _network(policy.network_access))
        case WorkspaceWrite():
            places = ["the working folder", *policy.writable_roots]
            if not policy.exclude_slash_tmp:
                places.append("/tmp")
            if not policy.exclude_tmpdir_env_var:
                places.append("$TMPDIR")
            return (
                f"write: {', '.join(places)}",
                _readable(policy.read_only_access),
                _network(policy.network_access),
            )
        case DangerFullAccess() | DisabledProfile():
            return ("write: everything", "read: everything", _network(True))
        case ExternalSandbox():
            return ("write, read: what the outer sandbox allows", _network(policy.network_access))
        case ExternalProfile():
            return ("write, read: what the outer sandbox allows", _network(policy.network))
        case ManagedProfile():
            return (*_places(policy.file_system), _network(policy.network))
        case UnknownPolicy():
            return (f"unknown form: {json.dumps(policy.raw, ensure_ascii=False, default=str)}",)


def _managed_label(profile: ManagedProfile) -> PolicyLabel:
    """As Codex's `to_legacy_sandbox_policy`: what may write everywhere is in no sandbox of Codex's."""
    if isinstance(profile.file_system, RestrictedFileSystem):
        written = [entry.path for entry in profile.file_system.entries if entry.access == "write"]
        if not written:
            return "read-only"
        if not any(isinstance(path, SpecialPath) and path.value.kind == "root" for path in written):
            return "workspace-write"
    return "danger-full-access" if is_on(profile.network) else "external-sandbox"


def is_on(network: bool | Network | ProfileNetwork) -> bool:
    """Whether the network may be used, in any of the forms."""
    if isinstance(network, ProfileNetwork):
        return network.enabled
    return network is True or network == "enabled"


def _network(network: bool | Network | ProfileNetwork) -> str:
    return f"network: {'on' if is_on(network) else 'off'}"


def _readable(access: FullAccess | Restricted) -> str:
    if isinstance(access, FullAccess):
        return "read: everything"
    places = ["the working folder", *access.readable_roots]
    if access.include_platform_defaults:
        places.append(_PLATFORM)
    return f"read: only {', '.join(places)}"


_PLATFORM = "what the platform needs"
_SPECIAL_PLACES = {
    "root": "everything",
    "project_roots": "the working folder",
    "current_working_directory": "the working folder",
    "tmpdir": "$TMPDIR",
    "slash_tmp": "/tmp",
    "minimal": _PLATFORM,
}


def _place(path: LiteralPath | GlobPattern | SpecialPath) -> str:
    match path:
        case LiteralPath():
            return path.path
        case GlobPattern():
            return path.pattern
        case SpecialPath(value=value):
            place = _SPECIAL_PLACES.get(value.kind, value.kind)
            return f"{place}/{value.subpath}" if value.subpath else place


def _places(file_system: RestrictedFileSystem | UnrestrictedFileSystem) -> tuple[str, ...]:
    if isinstance(file_system, UnrestrictedFileSystem):
        return ("write: everything", "read: everything")
    by_access: dict[str, dict[str, None]] = {"write": {}, "read": {}}
    for entry in file_system.entries:
        access = "deny" if entry.access == "none" else entry.access
        by_access.setdefault(access, {})[_place(entry.path)] = None
    if by_access["write"] and not by_access["read"]:
        by_access["read"]["what may be written"] = None
    return tuple(f"{access}: {', '.join(places) or 'nothing'}" for access, places in by_access.items())
