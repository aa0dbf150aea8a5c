"""What both bots must be told, read from the environment in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Tokens and places; otel_metrics reads its own ``METRICS_*`` variables itself."""

    user_token: str
    moderator_token: str
    moderators_chat: int
    folder: Path
    api: str = "https://api.telegram.org"

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the settings; a missing variable is a KeyError with its name."""
        return cls(
            user_token=os.environ["USER_BOT_TOKEN"],
            moderator_token=os.environ["MODERATOR_BOT_TOKEN"],
            moderators_chat=int(os.environ["MODERATORS_CHAT"]),
            folder=Path(os.environ.get("BOT_FOLDER", ".")),
            api=os.environ.get("BOT_API", cls.api),
        )

    def to_environment(self) -> dict[str, str]:
        """The same settings as variables, for starting the bots as child processes."""
        return {
            "USER_BOT_TOKEN": self.user_token,
            "MODERATOR_BOT_TOKEN": self.moderator_token,
            "MODERATORS_CHAT": str(self.moderators_chat),
            "BOT_FOLDER": str(self.folder),
            "BOT_API": self.api,
        }

    @property
    def base_url(self) -> str:
        """Where python-telegram-bot sends its calls."""
        return f"{self.api}/bot"

    @property
    def base_file_url(self) -> str:
        """Where python-telegram-bot fetches files."""
        return f"{self.api}/file/bot"

    @property
    def drafts(self) -> Path:
        """What the AI answers: a JSON object, question to draft."""
        return self.folder / "drafts.json"

    @property
    def transcripts(self) -> Path:
        """What voice messages say: a JSON object, file id to text."""
        return self.folder / "transcripts.json"

    @property
    def queue(self) -> Path:
        """The review queue between the two processes."""
        return self.folder / "queue.db"

    @property
    def notes(self) -> Path:
        """The bots' own record of what they did."""
        return self.folder / "notes.jsonl"
