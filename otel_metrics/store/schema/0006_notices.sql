-- What: messages about alerts to people, from the decision that one is to be sent until it has arrived or was given up.

-- One row for a change of an alert (firing or resolved) and a target, written by who holds the drain lock, in the
-- transaction that changes the alert's state. `state`: waiting, delivered or undelivered. A try is counted before the
-- sending begins, so a process that dies in it leaves a try and no answer. `title` and `body` are of the decision.
CREATE TABLE notices (
    notice_id INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id INTEGER NOT NULL,
    target TEXT NOT NULL,
    change TEXT NOT NULL,
    decided_at TEXT NOT NULL,
    severity TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL,
    tried_at TEXT,
    error TEXT NOT NULL
);
CREATE UNIQUE INDEX notices_once ON notices (alert_id, change, target);
CREATE INDEX notices_waiting ON notices (notice_id) WHERE state = 'waiting';
