"""Runs real python-telegram-bot applications against the loopback Bot API, and reads what was recorded of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from telegram import Update
from telegram.ext import Application, ApplicationBuilder

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


def command(text: str) -> Json:
    """A message that begins with a command."""
    length = len(text.split(maxsplit=1)[0])
    return message(text, entities=[{"type": "bot_command", "offset": 0, "length": length}])


def builder(api: TelegramApi) -> ApplicationBuilder:
    """A builder for the loopback server."""
    return ApplicationBuilder().token(TOKEN).base_url(f"{api.url}/bot").base_file_url(f"{api.url}/file/bot")


@asynccontextmanager
async def polling(application: Application) -> AsyncIterator[None]:
    """The application while it polls; at the end every update that was read has been handled."""
    async with application:
        await application.start()
        await application.updater.start_polling(timeout=5, allowed_updates=Update.ALL_TYPES)
        try:
            yield
        finally:
            await application.updater.stop()
            await application.stop()


def told(service: MetricsService) -> list[str]:
    """The sessions in short: their message kinds and outcomes."""
    return [f"{one['metadata']['message_kind']} {one['outcome']}" for one in sessions(service)]


def play(application: Application, api: TelegramApi, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
    """Lets the bot handle every update that the server has, then stops it."""

    async def run() -> None:
        async with polling(application):
            await asyncio.to_thread(api.wait_until_read)
            if meanwhile is not None:
                await meanwhile()

    asyncio.run(run())


def sessions(service: MetricsService) -> list[Json]:
    """Every session in order: outcome, ids and metadata."""
    rows = service.sql(
        "SELECT session_id, user_id, chat_id, outcome, metadata, ended_at FROM sessions ORDER BY session_id"
    )
    return [{**row, "metadata": _json(row["metadata"])} for row in rows]


def stages(service: MetricsService, session_id: str | None = None) -> list[Json]:
    """Every stage in order."""
    rows = service.sql(
        "SELECT session_id, stage, success, error_message, metadata, start_time, end_time FROM processing_metrics "
        "ORDER BY start_time, metric_id"
    )
    return [{**row, "metadata": _json(row["metadata"])} for row in rows if session_id in {None, row["session_id"]}]


def spans(service: MetricsService) -> list[Json]:
    """Every other span of a session, but the roots."""
    return service.sql("SELECT * FROM spans WHERE name <> 'session' ORDER BY start_time")


def _json(value: Any) -> Any:
    import json

    return json.loads(value) if isinstance(value, str) else value
