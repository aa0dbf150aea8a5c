"""Process 2, the moderators' bot: it shows waiting drafts to the moderators' chat and takes their verdicts."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, Message, Update
from telegram.constants import MessageLimit
from telegram.error import TelegramError
from telegram.ext import Application, ApplicationBuilder, CallbackQueryHandler, ContextTypes, MessageHandler, filters

from otel_metrics import CorrectionType, ProcessingStage, get_logger, record_system_metric, shutdown

from .assistant import Transcriber, polish
from .delivery import Delivery
from .notes import Notes
from .review_queue import Review, ReviewQueue
from .settings import Settings

BUTTONS = InlineKeyboardMarkup(
    [[InlineKeyboardButton("Approve", callback_data="approve"), InlineKeyboardButton("Reject", callback_data="reject")]]
)
HASHTAGS = {
    "#content": CorrectionType.CONTENT_MODIFICATION,
    "#style": CorrectionType.STYLE_IMPROVEMENT,
    "#factual": CorrectionType.FACTUAL_CORRECTION,
}
TOO_LATE = "This draft has been decided already."


def read_correction(text: str) -> tuple[CorrectionType, str]:
    """A moderator's text is the better answer; a leading hashtag may say what kind of correction it is."""
    tag, _, rest = text.partition(" ")
    if tag in HASHTAGS:
        return HASHTAGS[tag], rest.strip()
    return CorrectionType.TEXT_CORRECTION, text.strip()


class ModeratorBot:
    """Takes each draft from the queue past a moderator; a draft is decided once, whoever is faster."""

    def __init__(
        self, queue: ReviewQueue, notes: Notes, transcriber: Transcriber, delivery: Delivery, moderators_chat: int
    ) -> None:
        self._queue = queue
        self._notes = notes
        self._transcriber = transcriber
        self._delivery = delivery
        self._chat = moderators_chat
        self._showing = asyncio.Lock()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let show_waiting() return after the draft that it is showing."""
        self._stopping.set()

    async def show_waiting(self, bot: Bot) -> None:
        """Show every new draft to the moderators until stop()."""
        while not self._stopping.is_set():
            try:
                for review in self._queue.waiting():
                    await self._show(bot, review)
                    if self._stopping.is_set():
                        break
            except TelegramError as error:  # what was not shown stays in the queue for the next round
                get_logger().warning("show_failed", "Cannot show a draft", reason=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), timeout=0.1)

    async def _show(self, bot: Bot, review: Review) -> None:
        async with self._showing:
            text = f"{review.question}\n\n{review.item.draft}"[: MessageLimit.MAX_TEXT_LENGTH]
            card = await bot.send_message(self._chat, text, reply_markup=BUTTONS)
            review.item.take()  # the wait is over; the review begins here, whoever answers and when
            self._notes.write("shown", session=review.item.session_id)
            self._queue.show(review, card.message_id)
        record_system_metric("reviews_waiting", len(self._queue.waiting()), tags={"bot": "moderators"})

    async def on_button(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """Approve or reject."""
        query = update.callback_query
        assert query is not None  # a button stands under a message of the bot, which mypy cannot know
        assert query.message is not None
        review = await self._claim(query.message.message_id)
        if review is None:
            await query.answer(TOO_LATE)
            return
        with suppress(TelegramError):  # too old to be answered is not too old to count
            await query.answer()
        with review.item.review(query.from_user.id) as verdict:
            self._notes.write("decided", session=review.item.session_id)
            if query.data == "approve":
                verdict.approve()
            else:
                verdict.reject()
                self._note_correction(review, CorrectionType.REJECTION, query.from_user.id)
        if query.data == "approve":
            await self._finish(context.bot, review)
        else:
            await self._settle(context.bot, review, "rejected")

    async def on_text(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """A text reply to a draft is the better answer."""
        message = update.message
        assert message is not None
        assert message.text is not None
        assert message.from_user is not None
        review = await self._claim_replied(message)
        if review is None:
            return
        session_id = review.item.session_id
        with review.item.review(message.from_user.id) as verdict:
            self._notes.write("decided", session=session_id)
            with (
                verdict.timer(ProcessingStage.CORRECTION_PROCESSING, input="text"),
                self._notes.stage(session_id, "correction_processing"),
            ):
                kind, corrected = read_correction(message.text)
                verdict.edit(corrected, kind, message_id=message.message_id)
                self._note_correction(review, kind, message.from_user.id)
        await self._finish(context.bot, review)

    async def on_voice(self, update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        """A voice reply to a draft is transcribed, polished by the AI, and then the better answer."""
        message = update.message
        assert message is not None
        assert message.voice is not None
        assert message.from_user is not None
        review = await self._claim_replied(message)
        if review is None:
            return
        session_id = review.item.session_id
        with review.item.review(message.from_user.id) as verdict:
            self._notes.write("decided", session=session_id)
            with (
                verdict.timer(ProcessingStage.CORRECTION_PROCESSING, input="voice"),
                self._notes.stage(session_id, "correction_processing"),
            ):
                began = time.perf_counter()
                file = await message.voice.get_file()
                spoken = await self._transcriber.transcribe(message.voice.file_id, await file.download_as_bytearray())
                heard = time.perf_counter()
                with verdict.timer(ProcessingStage.CORRECTION_AI), self._notes.stage(session_id, "correction_ai"):
                    corrected = await polish(spoken)
                verdict.edit(
                    corrected,
                    CorrectionType.VOICE_CORRECTION,
                    message_id=message.message_id,
                    voice_transcription_time_ms=round((heard - began) * 1000),
                    ai_correction_time_ms=round((time.perf_counter() - heard) * 1000),
                    transcription_quality="good",
                )
                self._note_correction(review, CorrectionType.VOICE_CORRECTION, message.from_user.id)
        await self._finish(context.bot, review)

    async def _claim(self, card_id: int) -> Review | None:
        async with self._showing:  # a quick moderator may answer before the card's number is in the queue
            return self._queue.claim(card_id)

    async def _claim_replied(self, message: Message) -> Review | None:
        assert message.reply_to_message
        review = await self._claim(message.reply_to_message.message_id)
        if review is None:
            await message.reply_text(TOO_LATE)
        return review

    async def _finish(self, bot: Bot, review: Review) -> None:
        outcome = await self._delivery.deliver(review.item)
        await self._settle(bot, review, outcome)

    async def _settle(self, bot: Bot, review: Review, outcome: str) -> None:
        """Say what became of a draft; an edit without buttons takes them away."""
        text = f"{outcome}: {review.question}"[: MessageLimit.MAX_TEXT_LENGTH]
        await bot.edit_message_text(text, self._chat, review.card_id)

    def _note_correction(self, review: Review, kind: CorrectionType, moderator: int) -> None:
        self._notes.write("correction", session=review.item.session_id, type=kind.value, moderator=moderator)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = Settings.from_environment()
    queue, notes = ReviewQueue(settings.queue), Notes(settings.notes)
    user_bot = Bot(settings.user_token, base_url=settings.base_url)
    desk = ModeratorBot(
        queue, notes, Transcriber(settings.transcripts), Delivery(user_bot, notes), settings.moderators_chat
    )
    showing: list[asyncio.Task[None]] = []

    async def start(application: Application[Any, Any, Any, Any, Any, Any]) -> None:
        await user_bot.initialize()
        showing.append(asyncio.create_task(desk.show_waiting(application.bot)))

    async def stop(_: Application[Any, Any, Any, Any, Any, Any]) -> None:
        desk.stop()
        await asyncio.gather(*showing)
        await user_bot.shutdown()

    application = (
        ApplicationBuilder()
        .token(settings.moderator_token)
        .base_url(settings.base_url)
        .base_file_url(settings.base_file_url)
        .concurrent_updates(16)
        .post_init(start)
        .post_stop(stop)
        .build()
    )
    reply = filters.Chat(settings.moderators_chat) & filters.UpdateType.MESSAGE & filters.REPLY
    application.add_handler(CallbackQueryHandler(desk.on_button))
    application.add_handler(MessageHandler(reply & filters.TEXT, desk.on_text))
    application.add_handler(MessageHandler(reply & filters.VOICE, desk.on_voice))
    application.run_polling()
    shutdown()
    queue.close()
    notes.close()


if __name__ == "__main__":
    main()
