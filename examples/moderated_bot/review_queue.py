"""The queue of drafts that wait for a moderator: the bot's own durable file between its two processes.

Of otel_metrics an item carries the session id and nothing else.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

TABLE = """
CREATE TABLE IF NOT EXISTS reviews (
    session_id  TEXT PRIMARY KEY,
    user_id     INTEGER NOT NULL,
    chat_id     INTEGER NOT NULL,
    question    TEXT NOT NULL,
    draft       TEXT NOT NULL,
    enqueued_at REAL NOT NULL,
    card_id     INTEGER UNIQUE,  -- the message that shows it to the moderators
    shown_at    REAL
)"""


@dataclass(frozen=True)
class Review:
    """One draft on its way past a moderator; times are epoch seconds."""

    session_id: str
    user_id: int
    chat_id: int
    question: str
    draft: str
    enqueued_at: float
    card_id: int = 0
    shown_at: float = 0.0

    @property
    def ids(self) -> tuple[str, int, int]:
        """What every recording call begins with."""
        return self.session_id, self.user_id, self.chat_id


class ReviewQueue:
    """Calls take well under a millisecond, so the bots make them straight from their event loop."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None)
        self._db.execute(TABLE)

    def put(self, session_id: str, user_id: int, chat_id: int, question: str, draft: str) -> None:
        """Let a draft wait for a moderator."""
        self._db.execute(
            "INSERT INTO reviews (session_id, user_id, chat_id, question, draft, enqueued_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (session_id, user_id, chat_id, question, draft, time.time()),
        )

    def waiting(self) -> list[Review]:
        """The drafts that no moderator has seen yet, the oldest first."""
        rows = self._db.execute(
            "SELECT session_id, user_id, chat_id, question, draft, enqueued_at FROM reviews"
            " WHERE card_id IS NULL ORDER BY enqueued_at"
        )
        return [Review(*row) for row in rows]

    def show(self, session_id: str, card_id: int, shown_at: float) -> None:
        """Remember which message shows a draft, and since when."""
        self._db.execute(
            "UPDATE reviews SET card_id = ?, shown_at = ? WHERE session_id = ?", (card_id, shown_at, session_id)
        )

    def claim(self, card_id: int) -> Review | None:
        """Take a shown draft out of the queue; None if another moderator was faster."""
        rows = self._db.execute("DELETE FROM reviews WHERE card_id = ? RETURNING *", (card_id,)).fetchall()
        return Review(*rows[0]) if rows else None

    def close(self) -> None:
        """Close the file."""
        self._db.close()
