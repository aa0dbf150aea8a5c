"""Process 1, the bot that users write to: it asks the AI for a draft and puts the draft into the review queue."""

from __future__ import annotations

from telegram import Update
from telegram.constants import MessageLimit
from telegram.ext import ApplicationBuilder, ContextTypes, MessageHandler, filters

from otel_metrics import ModerationItem, ProcessingStage, create_session, end_session, get_logger, shutdown, timer

from .assistant import Assistant, NoDraftError
from .notes import Notes
from .review_queue import ReviewQueue
from .settings import Settings

SORRY = "Sorry, I have no answer to that."


class UserBot:
    """Turns a user's message into a draft that waits for a moderator."""

    def __init__(self, assistant: Assistant, queue: ReviewQueue, notes: Notes) -> None:
        self._assistant = assistant
        self._queue = queue
        self._notes = notes

    async def on_question(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        """One message of a user: one session, which the moderators' bot will end."""
        message, user, chat = update.message, update.effective_user, update.effective_chat
        assert message is not None  # the filter lets nothing else through, which mypy cannot know
        assert message.text is not None
        assert user is not None
        assert chat is not None
        session_id = create_session(user.id, chat.id, platform="telegram", chat_type=chat.type)
        ids = (session_id, user.id, chat.id)
        self._notes.write("session", session=session_id, user=user.id, chat=chat.id, question=message.text)

        with timer(*ids, ProcessingStage.QUERY_RECEIVED) as received, self._notes.stage(session_id, "query_received"):
            question = message.text.strip()
            received.metadata["message_length"] = len(question)

        try:
            with timer(*ids, ProcessingStage.AI_PROCESSING) as thinking, self._notes.stage(session_id, "ai_processing"):
                draft = await self._assistant.draft(question)
                thinking.metadata["model"] = draft.model
                thinking.metadata["tokens_used"] = draft.tokens_used
        except NoDraftError:  # the timer has recorded the failure and let the exception pass
            end_session(session_id, "failed")
            await message.reply_text(SORRY)
            return

        # No timer around this: putting an item on a queue takes no time, the wait is measured when it ends.
        answer = draft.text.strip()[: MessageLimit.MAX_TEXT_LENGTH]
        item = ModerationItem.create(*ids, message_id=message.message_id, draft=answer)
        self._notes.write("enqueued", session=session_id)
        self._queue.put(item, question)
        get_logger().info("draft_enqueued", "Draft waits for a moderator", session_id=session_id)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = Settings.from_environment()
    queue, notes = ReviewQueue(settings.queue), Notes(settings.notes)
    bot = UserBot(Assistant(settings.drafts), queue, notes)
    application = (
        ApplicationBuilder().token(settings.user_token).base_url(settings.base_url).concurrent_updates(16).build()
    )
    new_text = filters.UpdateType.MESSAGE & filters.TEXT & ~filters.COMMAND
    application.add_handler(MessageHandler(new_text, bot.on_question))
    application.run_polling()
    shutdown()
    queue.close()
    notes.close()


if __name__ == "__main__":
    main()
