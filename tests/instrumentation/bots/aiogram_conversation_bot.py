"""A bot that takes an order in a few questions, as the framework's documentation would write it. It knows nothing of tracing."""

import asyncio
import logging
import sys
from os import getenv

from aiogram import Bot, Dispatcher, F, Router
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.filters import Command, CommandStart
from aiogram.fsm.context import FSMContext
from aiogram.fsm.state import State, StatesGroup
from aiogram.types import (
    CallbackQuery,
    ErrorEvent,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Message,
    ReplyKeyboardRemove,
)

router = Router()
SIZES = InlineKeyboardMarkup(
    inline_keyboard=[[InlineKeyboardButton(text=size, callback_data=f"size:{size}") for size in ("small", "large")]]
)


class Order(StatesGroup):
    """What is asked, in order."""

    name = State()
    size = State()
    count = State()


@router.message(CommandStart())
async def begin(message: Message, state: FSMContext) -> None:
    """Asks the first question."""
    await state.set_state(Order.name)
    await message.answer("Hi! What is your name?", reply_markup=ReplyKeyboardRemove())


@router.message(Command("cancel"))
@router.message(F.text.casefold() == "cancel")
async def cancel(message: Message, state: FSMContext) -> None:
    """Forgets the order."""
    await state.clear()
    await message.answer("Cancelled.")


@router.message(Order.name)
async def take_name(message: Message, state: FSMContext) -> None:
    """Takes the name and asks for the size."""
    await state.update_data(name=message.text)
    await state.set_state(Order.size)
    await message.answer("Which size?", reply_markup=SIZES)


@router.callback_query(Order.size, F.data.startswith("size:"))
async def take_size(query: CallbackQuery, state: FSMContext) -> None:
    """Takes the size and asks for the number."""
    await query.answer()
    await state.update_data(size=query.data.removeprefix("size:"))
    await state.set_state(Order.count)
    await query.message.edit_text("How many?")


@router.message(Order.count)
async def take_count(message: Message, state: FSMContext):
    """Takes the number and sums the order up; anything but a number is an error."""
    count = int(message.text)
    data = await state.get_data()
    await state.clear()
    return message.answer(f"{count} {data['size']} for {data['name']}.")


@router.error(F.update.message.as_("message"))
async def not_understood(event: ErrorEvent, message: Message) -> None:
    """Asks again."""
    await message.answer("A number, please.")


async def main() -> None:
    """Runs the bot until it is told to stop."""
    dp = Dispatcher()
    dp.include_router(router)
    session = AiohttpSession(api=TelegramAPIServer.from_base(getenv("BOT_API")))
    await dp.start_polling(Bot(getenv("BOT_TOKEN"), session=session))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stdout)
    asyncio.run(main())
