-- The store's own events, in the columns of Codex's `logs` table (0.105), so that one reader does for both.

CREATE TABLE logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    ts INTEGER NOT NULL,
    ts_nanos INTEGER NOT NULL,
    level TEXT NOT NULL,
    target TEXT NOT NULL,
    message TEXT NOT NULL,
    module_path TEXT,
    file TEXT,
    line INTEGER,
    thread_id TEXT,
    process_uuid TEXT NOT NULL
) STRICT;

CREATE INDEX logs_by_time ON logs (ts, ts_nanos);
CREATE INDEX logs_by_thread ON logs (thread_id) WHERE thread_id IS NOT NULL;
