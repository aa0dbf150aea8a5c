"""The last step of a session: the answer that a moderator let through is sent to the user."""

from __future__ import annotations

from telegram import Bot
from telegram.error import TelegramError

from otel_metrics import ModerationItem

from .notes import Notes


class Delivery:
    """Sends with the bot that the user wrote to, although it runs in the moderators' process."""

    def __init__(self, user_bot: Bot, notes: Notes) -> None:
        self._user_bot = user_bot
        self._notes = notes

    async def deliver(self, item: ModerationItem) -> str:
        """Give the user the answer; returns the session's outcome, delivered or failed."""
        try:
            with self._notes.stage(item.session_id, "user_delivery"):
                async with item.delivery(item.text):
                    await self._user_bot.send_message(str(item.chat_id), item.text or "")
        except TelegramError:  # it is recorded; a user may have blocked the bot meanwhile
            return "failed"
        return "delivered"
