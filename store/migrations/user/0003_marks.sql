-- What the person says of threads, and Codex knows nothing of.

CREATE TABLE stars (
    thread_id TEXT PRIMARY KEY,
    starred_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tags (
    thread_id TEXT NOT NULL,
    tag TEXT NOT NULL,
    tagged_at INTEGER NOT NULL,
    PRIMARY KEY (thread_id, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_by_tag ON tags (tag, thread_id);

-- Names for threads that Codex could not be asked to rename.
CREATE TABLE local_names (
    thread_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    named_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
