-- What can be searched. It is made by the full step, which therefore has to read everything once more.

CREATE TABLE search_rollouts (
    key INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    parsed_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One row for each thing said. The id is made of the hour in which it was said, the rollout, and a number: the
-- order of the index is that of time, and whose the matches are is known without opening these rows.
-- `words` is what the index was given (`store.search.words`), `original` what was written where that differs.
CREATE TABLE search_items (
    id INTEGER PRIMARY KEY,
    rollout INTEGER NOT NULL,
    line INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('prompt', 'answer', 'reasoning', 'command', 'error')),
    at INTEGER,
    tool TEXT COLLATE NOCASE,
    words TEXT NOT NULL,
    original TEXT
) STRICT;

CREATE INDEX search_items_by_rollout ON search_items (rollout, line);
CREATE INDEX search_items_by_tool ON search_items (tool, rollout);
CREATE INDEX search_items_of_errors ON search_items (rollout) WHERE kind = 'error';

-- It keeps no text of its own: what goes must be told to it with the words that it was given.
CREATE VIRTUAL TABLE search_words USING fts5 (
    words, tokenize = 'ascii', content = 'search_items', content_rowid = 'id'
);
INSERT INTO search_words (search_words, rank) VALUES ('automerge', 8);

-- The rowid is the thread's key.
CREATE VIRTUAL TABLE search_titles USING fts5 (name, title, prompt, tokenize = 'ascii');

-- All that a search asks of a thread, so that its row need not be opened.
CREATE INDEX threads_searched ON threads (
    rollout_path, archived, cwd, git_branch, model, source, model_provider, updated_at, id
);

CREATE TABLE touched_paths (
    key INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
) STRICT;

CREATE INDEX touched_paths_by_name ON touched_paths (name);

CREATE TABLE file_touches (
    path INTEGER NOT NULL,
    rollout INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('read', 'write', 'delete')),
    line INTEGER NOT NULL,
    at INTEGER,
    PRIMARY KEY (path, rollout, turn, action)
) STRICT, WITHOUT ROWID;

CREATE INDEX file_touches_by_rollout ON file_touches (rollout, line);

UPDATE rollouts SET step = 'heads', parsed_bytes = 0, fold = NULL WHERE step = 'full';
UPDATE backfill_state SET status = 'pending', step = 'full', last_watermark = NULL, done = 0, failed = 0,
    bytes_done = 0, owner_host = NULL, owner_boot_id = NULL, owner_pid = NULL, owner_started_at = NULL,
    owner_token = NULL, lease_until = NULL
    WHERE status = 'complete' OR step = 'full';
