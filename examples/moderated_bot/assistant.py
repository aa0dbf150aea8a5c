"""Stand-ins for the models of a real bot: a drafting AI, a transcriber and a polisher, all answering from files."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

SECONDS_PER_WORD = 0.001


class NoDraftError(Exception):
    """The AI has nothing to say to this question."""


@dataclass(frozen=True)
class Draft:
    """An answer of the AI, not yet seen by a human."""

    text: str
    model: str
    tokens_used: int


class Assistant:
    """Answers from a JSON object, question to draft."""

    model = "drafts-from-a-file"

    def __init__(self, drafts: Path) -> None:
        self._drafts: dict[str, str] = json.loads(drafts.read_text(encoding="utf-8"))

    async def draft(self, question: str) -> Draft:
        """Think for a while that grows with the answer, then answer; raises NoDraftError."""
        text = self._drafts.get(question)
        if text is None:
            raise NoDraftError("no draft for this question")  # the message is stored, so people's texts stay out of it
        words = len(question.split()) + len(text.split())
        await asyncio.sleep(words * SECONDS_PER_WORD)
        return Draft(text, self.model, tokens_used=words)


class Transcriber:
    """Hears what a JSON object says, file id to text."""

    def __init__(self, transcripts: Path) -> None:
        self._transcripts: dict[str, str] = json.loads(transcripts.read_text(encoding="utf-8"))

    async def transcribe(self, file_id: str, audio: bytearray) -> str:
        """The words of a voice message, with the noises that people make."""
        text = self._transcripts[file_id] if audio else ""
        await asyncio.sleep(len(text.split()) * SECONDS_PER_WORD)
        return f"{text} um"


async def polish(spoken: str) -> str:
    """Turn spoken words into a sentence: here, drop the noise."""
    await asyncio.sleep(len(spoken.split()) * SECONDS_PER_WORD)
    return spoken.removesuffix(" um")
