-- Everything here can be rebuilt from the rollouts.

CREATE TABLE threads (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    rollout_path TEXT NOT NULL,
    archived INTEGER NOT NULL,
    compressed INTEGER NOT NULL,
    index_state TEXT NOT NULL CHECK (index_state IN ('heads', 'full')),
    created_at INTEGER,
    updated_at INTEGER NOT NULL,
    cwd TEXT,
    title TEXT,
    first_user_message TEXT,
    preview TEXT,
    source TEXT NOT NULL,
    source_detail TEXT,
    parent_thread_id TEXT,
    forked_from_id TEXT,
    history_base TEXT,
    agent_nickname TEXT,
    agent_role TEXT,
    model_provider TEXT,
    model TEXT,
    reasoning_effort TEXT,
    cli_version TEXT,
    originator TEXT,
    sandbox_policy TEXT,
    approval_mode TEXT,
    memory_mode TEXT,
    tokens_used INTEGER,
    tokens_input INTEGER,
    tokens_cached_input INTEGER,
    tokens_output INTEGER,
    tokens_reasoning_output INTEGER,
    git_sha TEXT,
    git_branch TEXT,
    git_origin_url TEXT,
    size_bytes INTEGER NOT NULL,
    turns INTEGER,
    messages INTEGER,
    bad_lines INTEGER,
    unknown_records INTEGER
) STRICT;

-- In the order of the pages, whichever threads are asked for; `archived` is there to be tested on the way.
CREATE INDEX threads_by_updated ON threads (updated_at DESC, id DESC, archived);
CREATE INDEX threads_by_created ON threads (COALESCE(created_at, 0) DESC, id DESC, archived);
CREATE INDEX threads_by_parent ON threads (parent_thread_id) WHERE parent_thread_id IS NOT NULL;

-- One row for each rollout file seen, whether or not it is the one that a thread shows.
CREATE TABLE rollouts (
    path TEXT PRIMARY KEY,
    thread_id TEXT,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    step TEXT NOT NULL CHECK (step IN ('heads', 'full', 'failed')),
    decoded_bytes INTEGER,
    parsed_bytes INTEGER NOT NULL DEFAULT 0,
    fold BLOB,
    problem TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX rollouts_by_thread ON rollouts (thread_id);

-- On which device each folder of rollouts lay: one that is on another now was unmounted, not emptied.
CREATE TABLE folders (
    path TEXT PRIMARY KEY,
    device INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE thread_dynamic_tools (
    thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    input_schema TEXT,
    defer_loading INTEGER,
    namespace TEXT,
    PRIMARY KEY (thread_id, position)
) STRICT, WITHOUT ROWID;

-- What Codex's own database and its session index say of a thread that the rollout does not.
CREATE TABLE codex_threads (
    thread_id TEXT PRIMARY KEY,
    name TEXT,
    memory_mode TEXT
) STRICT, WITHOUT ROWID;

-- Fingerprints of the other files that rows were made from.
CREATE TABLE home_files (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE backfill_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'complete')),
    step TEXT CHECK (step IN ('heads', 'full')),
    owner_host TEXT,
    owner_boot_id TEXT,
    owner_pid INTEGER,
    owner_started_at INTEGER,
    owner_token TEXT,
    lease_until INTEGER,
    last_watermark TEXT,
    last_success_at INTEGER,
    updated_at INTEGER NOT NULL,
    started_at INTEGER,
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    bytes_done INTEGER NOT NULL DEFAULT 0,
    bytes_total INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE discrepancies (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    thread_id TEXT,
    place TEXT NOT NULL,
    field TEXT NOT NULL DEFAULT '',
    expected TEXT,
    found TEXT,
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    resolved_at INTEGER,
    UNIQUE (kind, thread_id, place, field)
) STRICT;
