-- What: the states that alerts are in and were in, and the silences over them. Written by who holds the drain lock.

-- One row from the time when a rule's condition came to hold for a set of labels until it is over. `state`: pending,
-- firing or resolved; what was pending and never fired goes again. `below_at`: since when a firing one no longer holds.
-- value, threshold, samples, message and figures are those of the last look at which it held.
CREATE TABLE alerts (
    alert_id INTEGER PRIMARY KEY AUTOINCREMENT,
    rule TEXT NOT NULL,
    labels TEXT NOT NULL,
    kind TEXT NOT NULL,
    severity TEXT NOT NULL,
    state TEXT NOT NULL,
    pending_at TEXT NOT NULL,
    fired_at TEXT,
    below_at TEXT,
    resolved_at TEXT,
    value REAL,
    threshold REAL NOT NULL,
    unit TEXT NOT NULL,
    samples INTEGER NOT NULL,
    message TEXT NOT NULL,
    figures TEXT NOT NULL
);
CREATE UNIQUE INDEX alerts_open ON alerts (rule, labels) WHERE state <> 'resolved';

-- `labels`: those that an alert must have to be silenced, a JSON object; an empty one is all of the rule.
CREATE TABLE silences (
    silence_id INTEGER PRIMARY KEY AUTOINCREMENT,
    rule TEXT NOT NULL,
    labels TEXT NOT NULL,
    reason TEXT NOT NULL,
    since TEXT NOT NULL,
    until TEXT NOT NULL
);
