"""Runs real aiogram bots against the loopback Bot API, by polling and by webhooks, and reads what was recorded of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.webhook.aiohttp_server import SimpleRequestHandler, setup_application
from aiohttp import ClientSession, web

from otel_metrics import MetricsService
from support.telegram_api import TOKEN, TelegramApi

ANN = {"id": 77, "is_bot": False, "first_name": "Ann", "language_code": "en"}
PRIVATE = {"id": 77, "type": "private", "first_name": "Ann"}
GROUP = {"id": -1005, "type": "supergroup", "title": "Group"}

Json = dict[str, Any]


def message(text: str | None = None, **more: Any) -> Json:
    """A message of Ann's in her private chat, as the platform sends it."""
    told = {"message_id": 5, "date": 1_800_000_000, "chat": PRIVATE, "from": ANN, **more}
    return told if text is None else {**told, "text": text}


def bot_of(api: TelegramApi, session: AiohttpSession | None = None) -> Bot:
    """A bot for the loopback server."""
    session = session or AiohttpSession()
    session.api = TelegramAPIServer.from_base(api.url)
    return Bot(TOKEN, session=session)


def play(dispatcher: Dispatcher, api: TelegramApi, *bots: Bot, **options: Any) -> None:
    """Lets the bots handle by polling every update that the server has, then stops them."""
    play_all(dispatcher, [(api, bot) for bot in bots or (bot_of(api),)], **options)


def play_all(dispatcher: Dispatcher, pairs: list[tuple[TelegramApi, Bot]], **options: Any) -> None:
    """The same for bots that each have a server of their own."""

    async def run() -> None:
        bots = [bot for _, bot in pairs]
        playing = asyncio.create_task(
            dispatcher.start_polling(*bots, polling_timeout=5, handle_signals=False, **options)
        )
        for api, _ in pairs:
            await asyncio.to_thread(api.wait_until_read)
        await all_handled()
        await dispatcher.stop_polling()
        await playing

    asyncio.run(run())


async def all_handled() -> None:
    """Waits until every update that was read has been handled and what its handler returned has been sent."""
    names = {"_process_update", "_process_with_semaphore", "_background_feed_update"}
    while running := [task for task in asyncio.all_tasks() if task.get_coro().__name__ in names]:
        await asyncio.wait(running)


@asynccontextmanager
async def webhook(dispatcher: Dispatcher, bot: Bot, *, background: bool) -> AsyncIterator[Any]:
    """The bot behind a webhook: gives a function that posts a body as the platform would, for status and answer."""
    application = web.Application()
    SimpleRequestHandler(dispatcher, bot, handle_in_background=background).register(application, path="/hook")
    setup_application(application, dispatcher, bot=bot)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with ClientSession() as client:

        async def post(body: Json | str) -> tuple[int, str]:
            data = body if isinstance(body, str) else json.dumps(body)
            headers = {"Content-Type": "application/json"}
            async with client.post(f"http://127.0.0.1:{port}/hook", data=data, headers=headers) as answer:
                return answer.status, (await answer.read()).decode()

        try:
            yield post
            await all_handled()
        finally:
            await runner.cleanup()


def sessions(service: MetricsService) -> list[Json]:
    """Every session in order: outcome, ids and metadata."""
    rows = service.sql("SELECT session_id, user_id, chat_id, outcome, metadata FROM sessions ORDER BY session_id")
    return [{**row, "metadata": _decoded(row["metadata"])} for row in rows]


def told(service: MetricsService) -> list[str]:
    """The sessions in short: their message kinds and outcomes."""
    return [f"{one['metadata']['message_kind']} {one['outcome']}" for one in sessions(service)]


def stages(service: MetricsService) -> list[str]:
    """The stages in short, in order: their names, and the kind of error of those that failed."""
    rows = service.sql("SELECT stage, error_type FROM processing_metrics ORDER BY start_time, metric_id")
    return [f"{row['stage']} {row['error_type']}" if row["error_type"] else row["stage"] for row in rows]


def calls(service: MetricsService) -> list[str]:
    """The calls of the Bot API inside of sessions, in order."""
    return [
        row["name"] for row in service.sql("SELECT name FROM spans WHERE name LIKE 'telegram %' ORDER BY start_time")
    ]


def _decoded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
