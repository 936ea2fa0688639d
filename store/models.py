"""The frozen values that cross from the store to the screens and the command line.

Times are milliseconds since the epoch, UTC, unless a name says otherwise. Unknown is None. Every text that
comes from a rollout, a log or a database is foreign: whoever shows it makes control characters visible first.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

IndexState = Literal["heads", "full"]
"""How much of a rollout a row comes from: its head and tail, or all of it."""

ThreadSource = Literal["cli", "vscode", "exec", "mcp", "subagent", "unknown"]
Archived = Literal["no", "yes", "any"]
ThreadSort = Literal["updated", "created"]
ListedFrom = Literal["database", "files"]
ActivityState = Literal["working", "silent", "open", "ended", "died", "unknown"]

ItemKind = Literal["message", "reasoning", "tool", "context", "event", "compaction", "unknown"]
BackfillStatus = Literal["pending", "running", "complete"]
BackfillStep = Literal["heads", "full"]
LogLevel = Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]
LogOrigin = Literal["codex", "rollodex", "file"]
"""Whose log a row is from; `file` is a database that the person named."""


class Frozen(BaseModel):
    """A value that never changes once made."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tokens(Frozen):
    """The parts of `Thread.tokens_used`, from the last token count of the rollout."""

    input: int | None = None
    cached_input: int | None = None
    output: int | None = None
    reasoning_output: int | None = None
    total: int | None = None


class Git(Frozen):
    """Where the thread's folder stood when the thread began."""

    sha: str | None = None
    branch: str | None = None
    origin_url: str | None = None


class Activity(Frozen):
    """What Codex is doing with a thread.

    `working`: a turn is open and its rollout grew lately. `silent`: a turn is open, and nothing was written
    for a while: the model thinks, a command runs, or Codex waits for an answer. `open`: a process has the
    thread open, between turns. `died`: a turn is open, and no process has the thread. `unknown`: whether one
    does cannot be known here.
    """

    thread_id: str
    state: ActivityState
    since: int | None = None
    """When the turn began (working), the last line was written (silent, open, died, ended)."""
    pid: int | None = None
    """The process that writes the thread, where it is known."""
    pending: str | None = None
    """The call that waits for its output, in words."""


class Thread(Frozen):
    """One thread, as a row of the list.

    `rollout_path` is relative to the Codex home, with "/" between its parts, and is the file that is there
    now (`.zst` included). `turns` and `messages` count the thread's own: not inherited from a fork's base and
    not rolled back; both are None until the whole rollout was read. Of a reverted thread (0.169) the file is
    that of the last revert, and everything but its words is said of that file alone. `key` is the row's place
    in the listing it came from and means nothing elsewhere.
    """

    key: int
    id: str
    rollout_path: str
    archived: bool = False
    compressed: bool = False
    index: IndexState = "heads"
    created_at: int | None = None
    updated_at: int | None = None
    cwd: str | None = None
    title: str | None = None
    name: str | None = None
    first_user_message: str | None = None
    preview: str | None = None
    source: ThreadSource = "unknown"
    source_detail: Any = None
    """The object of a sub-agent's source (or a word that is none of ours), as JSON values."""
    parent_thread_id: str | None = None
    forked_from_id: str | None = None
    agent_nickname: str | None = None
    agent_role: str | None = None
    model_provider: str | None = None
    model: str | None = None
    reasoning_effort: str | None = None
    cli_version: str | None = None
    originator: str | None = None
    sandbox_policy: Any = None
    """The last turn's policy in the form it was written, as JSON values."""
    approval_mode: str | None = None
    memory_mode: str | None = None
    tokens_used: int | None = None
    tokens: Tokens = Tokens()
    git: Git = Git()
    size_bytes: int = 0
    turns: int | None = None
    messages: int | None = None
    bad_lines: int | None = None
    turn_since: int | None = None
    """When the turn began that has not ended; None when there is none, or it is not known."""
    pending_call: str | None = None
    """What the longest waiting call of that turn asks for."""
    pending_since: int | None = None
    activity: Activity | None = None
    """What was known of it when the row was asked for; None where nobody looked."""
    children: int = 0
    """How many sub-agent threads name this one as their parent."""

    @property
    def display_title(self) -> str:
        """What the screens call the thread."""
        return display_title(self.name, self.title, self.first_user_message, self.preview)


NO_PROMPT = "(no prompt yet)"


def display_title(
    name: str | None, title: str | None, first_user_message: str | None, preview: str | None
) -> str:
    """What the screens call a thread: the first of these that says anything, or that there is none."""
    for text in (name, title, first_user_message, preview):
        if text and text.strip():
            return text
    return NO_PROMPT


class ThreadQuery(Frozen):
    """Which threads, in which order."""

    archived: Archived = "no"
    cwd: str | None = None
    """Exactly this folder."""
    sources: tuple[ThreadSource, ...] = ()
    """Empty: any."""
    providers: tuple[str, ...] = ()
    """Empty: any."""
    text: str | None = None
    """In name, title, first user message, preview or cwd, whatever its case."""
    sort: ThreadSort = "updated"
    descending: bool = True
    parent: str | None = None
    """Only the sub-agent threads of this thread."""
    ids: tuple[str, ...] | None = None
    """Only these threads; None: any."""
    fold_children: bool = False
    """Leave out threads whose parent is itself in the listing (their parent's `children` counts them)."""


class Notice(Frozen):
    """Something the person should know: what happened, why, what to do next."""

    severity: Literal["information", "warning", "error"]
    what: str
    why: str = ""
    next_step: str = ""


class ThreadsPage(Frozen):
    """One page of a listing; `total` is None where counting would mean reading every file."""

    items: tuple[Thread, ...]
    next_cursor: str | None
    total: int | None
    hidden: dict[str, int]
    """What the defaults left out, by reason; today only `archived`."""
    source: ListedFrom
    notices: tuple[Notice, ...] = ()
    """Of a page that was read from the files: what could not be."""


class DynamicTool(Frozen):
    """A tool that the client gave the thread at its start, in the order given."""

    position: int
    name: str
    description: str | None = None
    input_schema: Any = None
    defer_loading: bool | None = None
    namespace: str | None = None


class TranscriptItem(Frozen):
    """One thing that happened in a thread.

    A call and its output are one item, and so are an event and the response item that says the same.

    `line` is the 0-based number of the line that opens the item in the rollout of `thread_id`; a fork shows
    what it inherits with the id of the thread that it comes from. `lines` are all the lines of the item.
    """

    line: int
    lines: tuple[int, ...]
    thread_id: str
    kind: ItemKind
    label: str
    """What the line calls itself: `user_message`, `exec_command_begin`, `turn_context`, …"""
    role: str | None = None
    at: int | None = None
    phase: str | None = None
    text: str | None = None
    tool: str | None = None
    arguments: str | None = None
    output: str | None = None
    exit_code: int | None = None
    duration_ms: int | None = None
    """How long a call ran, where the rollout says it."""
    failed: bool = False
    """A call that failed, a turn that ended in an error, or an error event."""
    injected: bool = False
    """Written by Codex in the user's or developer's name (environment, AGENTS.md, permissions)."""
    inherited: bool = False
    """From a fork's base, or from a rollout that the thread was reverted in."""
    rollout_id: str | None = None
    """The rollout in which `line` counts, where its id is not the thread's: a revert began it (0.169)."""
    rolled_back: bool = False
    turn: int | None = None
    """0-based number of the turn, counted over the whole conversation as shown."""


class BackfillOwner(Frozen):
    """Who holds the backfill lease."""

    host: str
    boot_id: str
    pid: int
    started_at: int
    """In ms from a zero that is the platform's (Linux: boot): only ever compared, never shown as a date."""
    token: str


class BackfillFailure(Frozen):
    """A rollout that the backfill could not read."""

    path: str
    reason: str


class BackfillProgress(Frozen):
    """Where the backfill stands. `rate` is files a second, `seconds_left` an estimate; None when unknown."""

    status: BackfillStatus
    step: BackfillStep | None = None
    owner: BackfillOwner | None = None
    owner_is_this_process: bool = False
    lease_until: int | None = None
    last_watermark: str | None = None
    last_success_at: int | None = None
    updated_at: int | None = None
    checked_at: int | None = None
    """When this process last compared the rows with the files; None before it did."""
    started_at: int | None = None
    done: int = 0
    total: int = 0
    failed: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    rate: float | None = None
    seconds_left: float | None = None
    failures: tuple[BackfillFailure, ...] = ()


class Discrepancy(Frozen):
    """The rollout and a database disagree; the rollout is the truth."""

    kind: str
    thread_id: str | None
    where: str
    field: str | None
    expected: str | None
    found: str | None
    first_seen_at: int
    last_seen_at: int
    resolved_at: int | None = None


class WatchStatus(Frozen):
    """How soon rows follow their files: at once, after polling (`notice` says why), or not all yet."""

    mode: Literal["catching up", "live", "polling"]
    notice: Notice | None = None


class LogRow(NamedTuple):
    """One row of a log, as its database has it; a tuple, for there may be very many."""

    id: int
    """Rises within one database, and is never used again there."""
    ts: int
    """Seconds since the epoch."""
    ts_nanos: int
    level: str
    """A `LogLevel`, or what else stands there."""
    target: str
    body: str
    """The message; from Codex 0.115 on with the chain of its spans before it (`store.log_messages`)."""
    module_path: str | None
    file: str | None
    line: int | None
    thread_id: str | None
    process_uuid: str | None
    """`pid:<pid>:<uuid>` of the process that wrote it."""
    origin: LogOrigin

    @property
    def at(self) -> int:
        """When it was written, in ms."""
        return self.ts * 1000 + self.ts_nanos // 1_000_000


class LogQuery(Frozen):
    """Which rows of a log; what is left empty asks nothing."""

    levels: tuple[LogLevel, ...] = ()
    min_level: LogLevel | None = None
    """This level and worse; a level that is none of ours is taken for worse."""
    from_ms: int | None = None
    to_ms: int | None = None
    """Up to and with this millisecond."""
    modules: tuple[str, ...] = ()
    """Parts of the module path (the target where there is none), one of which is in it, whatever its case."""
    files: tuple[str, ...] = ()
    """Parts of the source file's path, likewise."""
    thread_ids: tuple[str, ...] = ()
    """Whole ids, or their beginnings."""
    threadless: bool = False
    """Rows of no thread: these alone, or beside those of `thread_ids`."""
    text: str | None = None
    """In the whole body, whatever its case."""


class LogBatch(NamedTuple):
    """What came into a log since the batch before."""

    rows: list[LogRow]
    """In the order in which each database has them."""
    notices: tuple[Notice, ...] = ()
    """What keeps the log from being read now; empty again once it can be."""
    more: bool = False
    """Whether there is more to be had at once."""


class LogShare(NamedTuple):
    """What one level, target or thread holds of a log; `name` is None for rows without a thread."""

    name: str | None
    rows: int
    size: int
    """In bytes: Codex's own estimate, or the length of the text where it made none."""


class LogHealth(Frozen):
    """What fills a log, and what its database takes on disk."""

    path: str
    rows: int
    counted_rows: int
    """How many of the rows, newest first, the shares are of."""
    counted_size: int
    by_level: tuple[LogShare, ...]
    by_target: tuple[LogShare, ...]
    """The largest, and so for the threads."""
    by_thread: tuple[LogShare, ...]
    last_id: int
    churn: int
    """Rows that were written and are deleted again."""
    oldest_at: int | None
    newest_at: int | None
    per_minute: tuple[int, ...]
    """Rows of each of the last minutes, the newest row's last."""
    file_size: int
    wal_size: int
    page_size: int
    pages: int
    free_pages: int

    @property
    def partial(self) -> bool:
        """Whether there was too much to count it all."""
        return self.counted_rows < self.rows


class Checked(Frozen):
    """When the rows were last compared with all files, and what the person should know of it."""

    at_ms: int | None = None
    notices: tuple[Notice, ...] = ()


class Marks(Frozen):
    """What the person says of a thread, in Rollodex alone."""

    starred: bool = False
    tags: tuple[str, ...] = ()
    """In the order of the alphabet."""
    local_name: str | None = None
    """A name that Codex does not know."""
