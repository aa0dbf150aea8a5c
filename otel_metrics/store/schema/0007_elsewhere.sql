-- What: what else a span has, so that stored rows can be sent as the spans that they were; and what was taken in from
-- elsewhere, each line once.

-- links: JSON. NULL in rows of before, and where there are none.
ALTER TABLE processing_metrics ADD COLUMN links TEXT;
ALTER TABLE spans ADD COLUMN links TEXT;
-- trace_id: where it is not the one that follows from the session id.
ALTER TABLE spans ADD COLUMN trace_id TEXT;
ALTER TABLE spans ADD COLUMN parent_is_remote BOOLEAN;
ALTER TABLE spans ADD COLUMN scope_version TEXT;
ALTER TABLE spans ADD COLUMN trace_state TEXT;
-- root: of a session's root span what its end told, JSON: user_id, chat_id, outcome, metadata.
ALTER TABLE spans ADD COLUMN root TEXT;

-- One row for each file that was imported. `source` follows from its first line, so that a file keeps its row when it is
-- renamed or grows; `tail` is a digest of what stands before `offset`. `skipped` is JSON: lines or spans by reason.
CREATE TABLE imports (
    source TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    imported_at TEXT NOT NULL,
    offset INTEGER NOT NULL,
    tail TEXT NOT NULL,
    stored INTEGER NOT NULL,
    known INTEGER NOT NULL,
    skipped TEXT
) WITHOUT ROWID;

-- Which numbers of other stores' writers have been read, as ranges: a line is known by its writer and number, whatever
-- file it stands in. They are no part of this store's account (`ledgers`).
CREATE TABLE imported_lines (
    process TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (process, first)
) WITHOUT ROWID;
