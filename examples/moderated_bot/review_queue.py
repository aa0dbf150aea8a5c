"""The queue of drafts that wait for a moderator: the bot's own durable file between its two processes.

Of otel_metrics a row carries the moderation item's string and nothing else.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from otel_metrics import ModerationItem

TABLE = """
CREATE TABLE IF NOT EXISTS reviews (
    number      INTEGER PRIMARY KEY,
    item        TEXT NOT NULL,
    question    TEXT NOT NULL,
    card_id     INTEGER UNIQUE  -- the message that shows it to the moderators
)"""


@dataclass(frozen=True)
class Review:
    """One draft on its way past a moderator."""

    number: int
    item: ModerationItem
    question: str
    card_id: int = 0


class ReviewQueue:
    """Calls take well under a millisecond, so the bots make them straight from their event loop."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None)
        self._db.execute(TABLE)

    def put(self, item: ModerationItem, question: str) -> None:
        """Let a draft wait for a moderator."""
        self._db.execute("INSERT INTO reviews (item, question) VALUES (?, ?)", (str(item), question))

    def waiting(self) -> list[Review]:
        """The drafts that no moderator has seen yet, the oldest first."""
        rows = self._db.execute("SELECT number, item, question FROM reviews WHERE card_id IS NULL ORDER BY number")
        return [Review(number, ModerationItem.from_string(item), question) for number, item, question in rows]

    def show(self, review: Review, card_id: int) -> None:
        """Remember which message shows a draft, and since when: that is in the item."""
        change = "UPDATE reviews SET card_id = ?, item = ? WHERE number = ?"
        self._db.execute(change, (card_id, str(review.item), review.number))

    def claim(self, card_id: int) -> Review | None:
        """Take a shown draft out of the queue; None if another moderator was faster."""
        rows = self._db.execute("DELETE FROM reviews WHERE card_id = ? RETURNING *", (card_id,)).fetchall()
        return next((Review(number, ModerationItem.from_string(item), *rest) for number, item, *rest in rows), None)

    def close(self) -> None:
        """Close the file."""
        self._db.close()
