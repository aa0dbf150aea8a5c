-- What: the manifest of the segments, the columnar files that hold the cold rows, and what must be known of sessions
-- that have moved there. A row is in a table or in a segment that stands here, never in both.

CREATE TABLE segments (
    name TEXT PRIMARY KEY,
    table_name TEXT NOT NULL,
    day TEXT NOT NULL,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    first_time TEXT NOT NULL,
    last_time TEXT NOT NULL
) WITHOUT ROWID;

-- Segments that were replaced or whose time is over: who read the manifest before may still open them for a while.
CREATE TABLE retired_segments (name TEXT PRIMARY KEY, retired_ns INTEGER NOT NULL) WITHOUT ROWID;

-- Sessions whose rows are in segments. `session`: the 16 bytes of an id of 32 hex digits, or the id itself as text;
-- `first_end`: a digest of the end that counts, so that a later one is known as such.
CREATE TABLE archived_sessions (session BLOB PRIMARY KEY, day TEXT NOT NULL, first_end BLOB) WITHOUT ROWID;

-- generation: raised when the manifest changes. store: who made this database's segments, so that those of an earlier
-- database beside it are not taken for leftovers.
INSERT INTO counters VALUES ('generation', 0), ('store', abs(random()));
