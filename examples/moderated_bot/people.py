"""What people do: users who ask, and moderators who approve, correct and reject; the same each time it is played."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from .chats import Chats
from .settings import Settings

USER_BOT, MODERATOR_BOT = "user_bot", "moderator_bot"

Verdict = Literal["approve", "text", "voice", "reject"]


@dataclass(frozen=True)
class Case:
    """One question and what becomes of it; no two cases of a play have the same question."""

    question: str
    draft: str | None  # None: the AI has no answer, and nobody else asks in this chat
    verdict: Verdict
    user_id: int
    chat_id: int
    moderator_id: int
    corrected: str = ""
    hashtag: str = ""  # before a text correction: #content, #style or #factual
    blocks: bool = False  # the user blocks the bot before the answer comes

    @property
    def file_id(self) -> str:
        """The voice message of a voice correction."""
        return hashlib.sha256(self.question.encode()).hexdigest()[:32]


def prepare(settings: Settings, cases: Sequence[Case]) -> None:
    """Write down what the AI will draft and what the voice messages will say."""
    drafts = {case.question: case.draft for case in cases if case.draft is not None}
    transcripts = {case.file_id: case.corrected for case in cases if case.verdict == "voice"}
    settings.drafts.write_text(json.dumps(drafts), encoding="utf-8")
    settings.transcripts.write_text(json.dumps(transcripts), encoding="utf-8")


def act(
    chats: Chats, moderators_chat: int, cases: Sequence[Case], timeout_s: float = 30,
    think: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Ask every question, judge every draft when it is shown, and return when every session is over.

    `think` is what a moderator does before each verdict: by default they know at once.
    """
    to_judge = {case.question: case for case in cases if case.draft is not None}
    judged: set[int] = set()

    def shown() -> dict[int, Case]:
        """The drafts that a moderator sees and has not judged: card to case."""
        open_cards = [card for card in chats.sent(moderators_chat) if "reply_markup" in card]
        cards = [card for card in open_cards if card["message_id"] not in judged]
        questions = {card["message_id"]: card["text"].partition("\n\n")[0] for card in cards}
        return {card_id: to_judge[question] for card_id, question in questions.items() if question in to_judge}

    def over() -> bool:
        open_cards = [card for card in chats.sent(moderators_chat) if "reply_markup" in card]
        no_apology = [case for case in cases if case.draft is None and not chats.sent(case.chat_id)]
        return judged.isdisjoint(card["message_id"] for card in open_cards) and not no_apology

    for case in cases:
        chats.say(USER_BOT, case.chat_id, case.user_id, case.question)
    while to_judge:
        chats.wait_until(lambda: bool(shown()), timeout_s, f"{len(to_judge)} drafts were never shown")
        for card_id, case in shown().items():
            judged.add(card_id)
            del to_judge[case.question]
            think()
            judge(chats, moderators_chat, case, card_id)
    chats.wait_until(over, timeout_s, "some sessions were never over")


def judge(chats: Chats, moderators_chat: int, case: Case, card_id: int) -> None:
    """One moderator does to one draft what the case says."""
    if case.blocks:
        chats.block(case.chat_id)
    if case.verdict == "text":
        text = f"{case.hashtag} {case.corrected}".strip()
        chats.say(MODERATOR_BOT, moderators_chat, case.moderator_id, text, reply_to=card_id)
    elif case.verdict == "voice":
        chats.speak(MODERATOR_BOT, moderators_chat, case.moderator_id, case.file_id, reply_to=card_id)
    else:
        chats.press(MODERATOR_BOT, moderators_chat, case.moderator_id, card_id, case.verdict)
