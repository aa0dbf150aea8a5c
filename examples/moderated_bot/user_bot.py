"""Process 1, the bot that users write to: it asks the AI for a draft and puts the draft into the review queue."""

from __future__ import annotations

from telegram import Update
from telegram.constants import MessageLimit
from telegram.ext import ApplicationBuilder, ContextTypes, MessageHandler, filters

from otel_metrics import ModerationItem, ProcessingStage, current_session, get_logger, shutdown
from otel_metrics.instrumentation.telegram import traced

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
        """One message of a user: one session, begun by the traced application, which the moderators' bot will end."""
        message, session = update.message, current_session()
        assert message is not None  # the filter lets nothing else through, which mypy cannot know
        assert message.text is not None
        assert session is not None
        session_id = session.session_id
        with self._notes.stage(session_id, "query_received"):
            self._notes.write("session", session=session_id, chat=message.chat_id, question=message.text)
            question = message.text.strip()

        try:
            with (
                session.stage(ProcessingStage.AI_PROCESSING) as thinking,
                self._notes.stage(session_id, "ai_processing"),
            ):
                draft = await self._assistant.draft(question)
                thinking.metadata["model"] = draft.model
                thinking.metadata["tokens_used"] = draft.tokens_used
        except NoDraftError as error:  # the stage has recorded it and let it pass
            session.fail(error)
            with self._notes.stage(session_id, "user_delivery"):
                await message.reply_text(SORRY)
            return

        # No timer around this: putting an item on a queue takes no time, the wait is measured when it ends.
        answer = draft.text.strip()[: MessageLimit.MAX_TEXT_LENGTH]
        item = ModerationItem.create(message_id=message.message_id, draft=answer)
        self._notes.write("enqueued", session=session_id)
        self._queue.put(item, question)
        get_logger().info("draft_enqueued", "Draft waits for a moderator", session_id=session_id)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = Settings.from_environment()
    queue, notes = ReviewQueue(settings.queue), Notes(settings.notes)
    bot = UserBot(Assistant(settings.drafts), queue, notes)
    builder = ApplicationBuilder().token(settings.user_token).base_url(settings.base_url).concurrent_updates(16)
    application = traced(builder).build()
    new_text = filters.UpdateType.MESSAGE & filters.TEXT & ~filters.COMMAND
    application.add_handler(MessageHandler(new_text, bot.on_question))
    application.run_polling()
    shutdown()
    queue.close()
    notes.close()


if __name__ == "__main__":
    main()
