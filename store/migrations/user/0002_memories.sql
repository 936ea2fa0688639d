-- The memory pipeline. Times are seconds since the epoch, as in the tables of Codex that these are shaped after.

CREATE TABLE jobs (
    kind TEXT NOT NULL,
    job_key TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'done', 'error')),
    worker_id TEXT,
    ownership_token TEXT,
    started_at INTEGER,
    finished_at INTEGER,
    lease_until INTEGER,
    retry_at INTEGER,
    retry_remaining INTEGER NOT NULL,
    last_error TEXT,
    input_watermark INTEGER,
    last_success_watermark INTEGER,
    PRIMARY KEY (kind, job_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX jobs_by_status ON jobs (kind, status, retry_at, lease_until);

-- Stage-1 outputs: the rollout summary is the trace summary, the raw memory the memory summary.
CREATE TABLE thread_memory (
    thread_id TEXT PRIMARY KEY,
    trace_summary TEXT NOT NULL,
    memory_summary TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    source_updated_at INTEGER,
    rollout_slug TEXT,
    engine TEXT
) STRICT;

CREATE INDEX thread_memory_by_updated ON thread_memory (updated_at DESC, thread_id DESC);

-- Threads that have rows in this database and no file any more, and since when: hidden, and deleted later.
CREATE TABLE missing_threads (
    thread_id TEXT PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every run that was to change files of a memory root. One that is `publishing` has been decided on: its files
-- are written by whoever comes next, should its process end.
CREATE TABLE memory_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('consolidate', 'rebuild', 'restore', 'import')),
    root TEXT NOT NULL,
    engine TEXT,
    status TEXT NOT NULL CHECK (status IN ('publishing', 'done', 'failed')),
    reason TEXT,
    restores INTEGER,
    inputs INTEGER NOT NULL DEFAULT 0,
    -- Of the consolidation's claim, and what it has consolidated once the files are written.
    ownership_token TEXT,
    watermark INTEGER,
    started_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;

-- What a run found and what it left there; NULL is no file.
CREATE TABLE memory_run_files (
    run_id INTEGER NOT NULL REFERENCES memory_runs (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    before BLOB,
    after BLOB,
    PRIMARY KEY (run_id, path)
) STRICT;
