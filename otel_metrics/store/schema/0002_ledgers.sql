-- What: the account of every writer, so that `emitted = stored + in the journal + dropped` can be checked.

-- Lines carry the number that their writer gave them, without a gap. `stored` counts those that were read, `last` is
-- the highest number; what is between `base` and `last` and was not read is missing. `base` is above 0 where the tables
-- were built anew from a journal that no longer had the first lines. `dropped` is JSON: records by reason.
CREATE TABLE ledgers (
    process TEXT PRIMARY KEY,
    first INTEGER NOT NULL DEFAULT 1,
    last INTEGER NOT NULL DEFAULT 0,
    stored INTEGER NOT NULL DEFAULT 0,
    base INTEGER NOT NULL DEFAULT 0,
    dropped TEXT
) WITHOUT ROWID;

-- What was deleted before its time because the store had reached its size limit.
CREATE TABLE removals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp TEXT NOT NULL,
    reason TEXT NOT NULL,
    what TEXT NOT NULL,
    count INTEGER NOT NULL
);

ALTER TABLE processes ADD COLUMN forwards INTEGER;
