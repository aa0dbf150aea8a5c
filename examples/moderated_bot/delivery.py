"""The last steps of a session: the final answer is made, sent to the user, and the session ended."""

from __future__ import annotations

from telegram import Bot
from telegram.constants import MessageLimit
from telegram.error import TelegramError

from otel_metrics import ProcessingStage, end_session, timer

from .notes import Notes
from .review_queue import Review


class Delivery:
    """Sends with the bot that the user wrote to, although it runs in the moderators' process."""

    def __init__(self, user_bot: Bot, notes: Notes) -> None:
        self._user_bot = user_bot
        self._notes = notes

    async def deliver(self, review: Review, text: str) -> str:
        """Give the user the answer; returns the session's outcome, delivered or failed."""
        session_id = review.session_id
        with (
            timer(*review.ids, ProcessingStage.FINAL_RESPONSE) as final,
            self._notes.stage(session_id, "final_response"),
        ):
            answer = text.strip()[: MessageLimit.MAX_TEXT_LENGTH]
            final.metadata["message_length"] = len(answer)
        try:
            with timer(*review.ids, ProcessingStage.USER_DELIVERY), self._notes.stage(session_id, "user_delivery"):
                await self._user_bot.send_message(review.chat_id, answer)
        except TelegramError:  # the timer has recorded it; a user may have blocked the bot meanwhile
            outcome = "failed"
        else:
            outcome = "delivered"
        end_session(session_id, outcome)
        return outcome
