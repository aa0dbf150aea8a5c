"""What tracing costs a bot for each update: a python-telegram-bot application, traced and not, with a handler that does nothing.

Both run in turn in one process, in rounds, with bare spans of the SDK as yardstick: as many as tracing makes (the
session and its stage), each with six attributes and no processor. Updates are read from JSON before the clock starts, and
each is handled once, as in a bot. `--sdk-provider` measures the same in a provider of the user's own, as it is under
`opentelemetry-instrument`: there stages are the SDK's own spans.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from telegram import Update
from telegram.ext import Application, ApplicationBuilder, MessageHandler, filters
from telegram.request import BaseRequest

from otel_metrics import configure
from otel_metrics.instrumentation.telegram import traced

UPDATES = 500
ROUNDS = 31
SPANS_OF_AN_UPDATE = 2
VALUES = {
    "model": "gpt-4o", "intent": "refund", "prompt_version": "v7", "tokens": 812, "temperature": 0.2, "cached": False,
}  # fmt: skip
ANN = {"id": 77, "is_bot": False, "first_name": "Ann", "language_code": "en"}


class Nobody(BaseRequest):
    """A Bot API that knows `getMe` alone, without a network."""

    @property
    def read_timeout(self) -> float:
        return 1.0

    async def initialize(self) -> None:
        """Nothing to open."""

    async def shutdown(self) -> None:
        """Nothing to close."""

    async def do_request(self, *_: Any, **__: Any) -> tuple[int, bytes]:
        return 200, b'{"ok": true, "result": {"id": 1, "is_bot": true, "first_name": "Bot", "username": "bot"}}'


async def nothing(update: Update, context: Any) -> None:
    del update, context


def builder() -> ApplicationBuilder:
    return ApplicationBuilder().token("1:none").request(Nobody()).get_updates_request(Nobody()).job_queue(None)


def updates(application: Application, first: int) -> list[Update]:
    """Messages as the platform sends them."""
    return [
        Update.de_json(
            {
                "update_id": first + number,
                "message": {
                    "message_id": first + number, "date": 1_800_000_000, "text": "When do you open?", "from": ANN,
                    "chat": {"id": 77, "type": "private", "first_name": "Ann"},
                },
            },
            application.bot,
        )
        for number in range(UPDATES)
    ]  # fmt: skip


async def handled(application: Application, first: int) -> float:
    """Seconds for one update, as the application's own fetcher handles it."""
    waiting = updates(application, first)
    before = time.perf_counter()
    for update in waiting:
        await application.update_processor.process_update(update, application.process_update(update))
    return (time.perf_counter() - before) / UPDATES


def bare_spans(tracer: Any) -> float:
    """Seconds for as many bare spans as an update has."""
    before = time.perf_counter()
    for _ in range(UPDATES * SPANS_OF_AN_UPDATE):
        with tracer.start_as_current_span("query_received", attributes=VALUES):
            pass
    return (time.perf_counter() - before) / UPDATES


async def measure() -> None:
    if "--sdk-provider" in sys.argv:
        trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
    service = configure()
    plain, watched = builder().build(), traced(builder()).build()
    for application in (plain, watched):
        application.add_handler(MessageHandler(filters.TEXT, nothing))
        await application.initialize()
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("bare")
    extra, bare, untraced = [], [], []
    for number in range(ROUNDS):
        untraced.append(await handled(plain, number * UPDATES))
        extra.append(await handled(watched, number * UPDATES) - untraced[-1])
        bare.append(bare_spans(tracer))
    service.shutdown()
    more_us, bare_us, untraced_us = (statistics.median(values) * 1e6 for values in (extra, bare, untraced))
    ratio = statistics.median(ours / theirs for ours, theirs in zip(extra, bare, strict=True))
    print(
        f"a traced update costs {more_us:.0f} µs more (untraced {untraced_us:.0f} µs), {ratio:.2f} times "
        f"{SPANS_OF_AN_UPDATE} bare SDK spans ({bare_us:.0f} µs, {ROUNDS} rounds of {UPDATES})"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        asyncio.run(measure())


if __name__ == "__main__":
    main()
