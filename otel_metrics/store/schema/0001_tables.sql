-- What: the tables of the store. The columns of the public contract come first and in its order; ours follow.
-- Every table that is read by cursor has `seq`, a number of our own that is never used twice: inserts and updates
-- raise it, so that a reader can ask for what is new or changed.

CREATE TABLE processing_metrics (
    metric_id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL,
    user_id INTEGER NOT NULL,
    chat_id INTEGER NOT NULL,
    stage TEXT NOT NULL,
    start_time TEXT NOT NULL,
    end_time TEXT,
    duration_ms INTEGER,
    success BOOLEAN,
    error_message TEXT,
    metadata TEXT,
    error_type TEXT,
    span_id TEXT,
    parent_span_id TEXT,
    process TEXT,
    attributes TEXT,
    events TEXT,
    flags INTEGER,
    seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX processing_metrics_seq ON processing_metrics (seq);

CREATE TABLE correction_metrics (
    correction_id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL,
    admin_user_id INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    correction_type TEXT NOT NULL,
    original_length INTEGER,
    corrected_length INTEGER,
    processing_time_ms INTEGER,
    voice_transcription_time_ms INTEGER,
    ai_correction_time_ms INTEGER,
    timestamp TEXT NOT NULL,
    admin_satisfaction INTEGER,
    retry_count INTEGER,
    metadata TEXT,
    word_edit_rate REAL,
    similarity REAL,
    original_text TEXT,
    corrected_text TEXT,
    process TEXT,
    seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX correction_metrics_seq ON correction_metrics (seq);

CREATE TABLE system_metrics (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp TEXT NOT NULL,
    metric_type TEXT NOT NULL,
    value TEXT NOT NULL,
    tags TEXT,
    metadata TEXT,
    process TEXT,
    seq INTEGER NOT NULL
);
CREATE INDEX system_metrics_seq ON system_metrics (seq);

CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY,
    user_id INTEGER NOT NULL,
    chat_id INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    outcome TEXT,
    metadata TEXT,
    seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_seq ON sessions (seq);

CREATE TABLE spans (
    record_id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL,
    name TEXT NOT NULL,
    span_kind TEXT,
    start_time TEXT NOT NULL,
    end_time TEXT NOT NULL,
    duration_ms INTEGER,
    success BOOLEAN,
    error_type TEXT,
    span_id TEXT NOT NULL,
    parent_span_id TEXT,
    scope TEXT,
    process TEXT,
    attributes TEXT,
    events TEXT,
    flags INTEGER,
    seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX spans_seq ON spans (seq);

CREATE TABLE logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp TEXT NOT NULL,
    level TEXT NOT NULL,
    event_type TEXT NOT NULL,
    message TEXT NOT NULL,
    session_id TEXT,
    fields TEXT,
    seq INTEGER NOT NULL
);
CREATE INDEX logs_seq ON logs (seq);

-- Stages that have begun and not ended; small by nature, read whole.
CREATE TABLE running (
    metric_id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL,
    user_id INTEGER NOT NULL,
    chat_id INTEGER NOT NULL,
    stage TEXT NOT NULL,
    start_time TEXT NOT NULL,
    span_id TEXT,
    process TEXT
) WITHOUT ROWID;

CREATE TABLE processes (
    process TEXT PRIMARY KEY,
    started_at TEXT NOT NULL,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    resource TEXT
) WITHOUT ROWID;

-- How far each journal file has been read. The offset moves in the same transaction as the rows it stands for.
CREATE TABLE journal_files (
    journal_id TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    sealed INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- seq: the last number given out; deletions: raised when rows are deleted, so that readers start anew.
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('seq', 0), ('deletions', 0);
