-- What cannot be rebuilt. Only ever migrated.

-- Where each thread was left when it was last read.
CREATE TABLE reading_places (
    thread_id TEXT PRIMARY KEY,
    line INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
