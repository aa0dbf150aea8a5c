"""A bot that asks three questions in a conversation, as the framework's documentation would write it. It knows no tracing."""

import os

from telegram import ReplyKeyboardMarkup, ReplyKeyboardRemove, Update
from telegram.ext import Application, CommandHandler, ContextTypes, ConversationHandler, MessageHandler, filters

GENDER, PHOTO, BIO = range(3)


async def start(update: Update, context: ContextTypes.DEFAULT_TYPE) -> int:
    """Starts the conversation."""
    keyboard = ReplyKeyboardMarkup([["Boy", "Girl", "Other"]], one_time_keyboard=True)
    await update.message.reply_text("Hi! Are you a boy or a girl?", reply_markup=keyboard)
    return GENDER


async def gender(update: Update, context: ContextTypes.DEFAULT_TYPE) -> int:
    """Keeps the answer and asks for a photo."""
    context.user_data["gender"] = update.message.text
    await update.message.reply_text("Send me a photo of you, or /skip.", reply_markup=ReplyKeyboardRemove())
    return PHOTO


async def photo(update: Update, context: ContextTypes.DEFAULT_TYPE) -> int:
    """Looks at the photo and asks for some words."""
    await update.message.photo[-1].get_file()
    await update.message.reply_text("Gorgeous! Tell me something about yourself.")
    return BIO


async def skip_photo(update: Update, context: ContextTypes.DEFAULT_TYPE) -> int:
    """Goes on without a photo."""
    await update.message.reply_text("You look great anyway. Tell me something about yourself.")
    return BIO


async def bio(update: Update, context: ContextTypes.DEFAULT_TYPE) -> int:
    """Ends the conversation."""
    await update.message.reply_text("Thank you!")
    return ConversationHandler.END


async def cancel(update: Update, context: ContextTypes.DEFAULT_TYPE) -> int:
    """Ends the conversation early."""
    await update.message.reply_text("Bye!", reply_markup=ReplyKeyboardRemove())
    return ConversationHandler.END


def main() -> None:
    """Runs the bot."""
    builder = Application.builder().token(os.environ["BOT_TOKEN"]).base_url(os.environ["BOT_API"] + "/bot")
    application = builder.build()
    conversation = ConversationHandler(
        entry_points=[CommandHandler("start", start)],
        states={
            GENDER: [MessageHandler(filters.Regex("^(Boy|Girl|Other)$"), gender)],
            PHOTO: [MessageHandler(filters.PHOTO, photo), CommandHandler("skip", skip_photo)],
            BIO: [MessageHandler(filters.TEXT & ~filters.COMMAND, bio)],
        },
        fallbacks=[CommandHandler("cancel", cancel)],
    )
    application.add_handler(conversation)
    application.run_polling(allowed_updates=Update.ALL_TYPES)


if __name__ == "__main__":
    main()
