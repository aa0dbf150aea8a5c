"""A bot that repeats what it is told, as the framework's documentation would write it. It knows nothing of tracing."""

import asyncio
import logging
import sys
from os import getenv

from aiogram import Bot, Dispatcher, html
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.filters import CommandStart
from aiogram.types import Message

dp = Dispatcher()


@dp.message(CommandStart())
async def greet(message: Message) -> None:
    """Greets."""
    await message.answer(f"Hello, {html.bold(message.from_user.full_name)}!", parse_mode="HTML")


@dp.message()
async def echo(message: Message) -> None:
    """Sends back a copy of whatever came, if it can be copied."""
    try:
        await message.send_copy(chat_id=message.chat.id)
    except TypeError:
        await message.answer("Nice try!")


async def main() -> None:
    """Runs the bot until it is told to stop."""
    session = AiohttpSession(api=TelegramAPIServer.from_base(getenv("BOT_API")))
    await dp.start_polling(Bot(getenv("BOT_TOKEN"), session=session))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stdout)
    asyncio.run(main())
