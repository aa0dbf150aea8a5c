"""What handlers do with an update, and what its session looks like then; the bot's own parts keep working."""

import asyncio
import json
import logging
import os
import socket
import warnings
from datetime import timedelta

import pytest

pytest.importorskip("telegram")

import httpx
import telegram
from support.telegram_bot import builder, command, message, play, sessions, spans, stages, told
from telegram import Update
from telegram.error import BadRequest
from telegram.ext import (
    Application,
    ApplicationHandlerStop,
    BaseRateLimiter,
    BaseUpdateProcessor,
    CommandHandler,
    ConversationHandler,
    ExtBot,
    MessageHandler,
    TypeHandler,
    filters,
)

from otel_metrics import create_session, timer
from otel_metrics.instrumentation.handling import current_handling
from otel_metrics.instrumentation.telegram import TelegramInstrumentor, TracingRateLimiter, traced
from otel_metrics.testing import temporary_service


async def echo(update, context):
    await update.message.reply_text(update.message.text)


async def fail(update, context):
    raise ValueError("broken")


def bot(api, *handlers, **options):
    """A traced application with these handlers for every update; `options` are calls of the builder."""
    made = builder(api)
    for name, value in options.items():
        made = getattr(made, name)(value)
    application = traced(made).build()
    for group, handler in enumerate(handlers):
        application.add_handler(TypeHandler(Update, handler) if callable(handler) else handler, group)
    return application


def in_short(service):
    return [(one["stage"], one["success"]) for one in stages(service)]


def test_an_answer_is_a_delivery(recorded, telegram_api):
    """A handler that answers: `query_received` ends where `user_delivery` begins, with a span for the call in it."""
    telegram_api.push(message=message("hello"))
    play(bot(telegram_api, echo), telegram_api)
    received, delivery = stages(recorded)
    assert (received["stage"], delivery["stage"]) == ("query_received", "user_delivery")
    assert abs(received["end_time"] - delivery["start_time"]) < timedelta(milliseconds=1)  # two clocks of the machine
    (call,) = spans(recorded)
    assert (call["name"], call["success"]) == ("telegram sendMessage", True)
    assert told(recorded) == ["text delivered"]


def test_calls_that_give_nobody_anything_are_no_delivery(recorded, telegram_api):
    """Typing signs, and messages to another chat such as the moderators', are spans; nothing was delivered."""

    async def handler(update, context):
        await update.message.reply_chat_action("typing")
        await context.bot.send_message(-5000, "a draft for moderators")

    telegram_api.push(message=message("hello"))
    play(bot(telegram_api, handler), telegram_api)
    assert [one["name"] for one in spans(recorded)] == ["telegram sendChatAction", "telegram sendMessage"]
    assert told(recorded) == ["text abandoned"]
    assert in_short(recorded) == [("query_received", True)]


def test_an_error_of_a_handler_is_told_by_its_kind(recorded, telegram_api, caplog):
    """The session failed, the stage names the class and not the message, and the framework logs the error as ever."""
    telegram_api.push(message=message("hello"))
    play(bot(telegram_api, fail), telegram_api)
    assert told(recorded) == ["text failed"]
    (row,) = recorded.sql("SELECT success, error_type, error_message FROM processing_metrics")
    assert row == {"success": False, "error_type": "ValueError", "error_message": None}
    assert "No error handlers are registered" in caplog.text


def test_the_bots_error_handler_gets_the_error_and_may_answer(recorded, telegram_api):
    """An error handler that apologises is called as ever; the session is failed and not delivered."""
    seen = []

    async def apologise(update, context):
        seen.append((type(context.error), update.update_id))
        await context.bot.send_message(77, "sorry")

    application = bot(telegram_api, fail)
    application.add_error_handler(apologise)
    number = telegram_api.push(message=message("hello"))
    play(application, telegram_api)
    assert seen == [(ValueError, number)]
    assert telegram_api.texts() == ["sorry"]
    assert told(recorded) == ["text failed"]
    assert in_short(recorded) == [("query_received", False), ("user_delivery", True)]


def test_a_delivery_that_fails_is_told_once(recorded, telegram_api):
    """What the platform refuses fails `user_delivery` and its span by kind, not `query_received` as well."""
    telegram_api.refuse_next("sendMessage", 403, "Forbidden: bot was blocked by the user")
    telegram_api.push(message=message("hello"))
    play(bot(telegram_api, echo), telegram_api)
    rows = recorded.sql("SELECT stage, success, error_type, error_message FROM processing_metrics ORDER BY start_time")
    kind = "telegram.error.Forbidden"
    assert [tuple(row.values()) for row in rows] == [
        ("query_received", True, None, None), ("user_delivery", False, kind, kind),
    ]  # fmt: skip
    assert [one["error_type"] for one in spans(recorded)] == [kind]
    assert told(recorded) == ["text failed"]


def test_a_refusal_that_the_handler_catches_still_delivered_nothing(recorded, telegram_api):
    """A caught refusal is a failed session; with a second try that works it is a delivered one."""

    async def handler(update, context):
        try:
            await update.message.reply_text("*")
        except BadRequest:
            if update.message.text == "again":
                await update.message.reply_text("again")

    async def refuse_once(update, context):
        telegram_api.refuse_next("sendMessage", 400, "Bad Request: can't parse entities")

    for text in ("once", "again"):
        telegram_api.push(message=message(text))
    play(bot(telegram_api, refuse_once, handler), telegram_api)
    assert told(recorded) == ["text failed", "text delivered"]


def test_an_ordered_stop_is_no_error(recorded, telegram_api):
    """`ApplicationHandlerStop` is how handlers end an update: the session is not failed."""

    async def stop(update, context):
        raise ApplicationHandlerStop

    telegram_api.push(message=message("hello"))
    play(bot(telegram_api, stop, fail), telegram_api)
    assert told(recorded) == ["text abandoned"]


def test_handlers_that_run_on_keep_the_session_open(recorded, telegram_api):
    """With `block=False` the session ends when the handler is done, also when it fails; later updates are not held up."""
    released = asyncio.Event()

    async def slow(update, context):
        if update.message.text == "slow":
            await released.wait()
            await update.message.reply_text("at last")
        elif update.message.text == "fail":
            raise ValueError
        else:
            released.set()

    for text in ("slow", "fail", "go"):
        telegram_api.push(message=message(text))
    play(bot(telegram_api, TypeHandler(Update, slow, block=False)), telegram_api)
    assert told(recorded) == ["text delivered", "text failed", "text abandoned"]
    assert len(recorded.sql("SELECT 1 FROM running")) == 0


def test_concurrent_updates_do_not_mix(recorded, telegram_api):
    """Twenty updates at once, each of which waits for all others: each session has its own stages and its own answer."""
    arrived, everybody = [], asyncio.Event()

    async def handler(update, context):
        arrived.append(update)
        if len(arrived) == 20:
            everybody.set()
        await everybody.wait()
        handling = current_handling()
        with timer(
            handling.session_id, handling.user_id, handling.chat_id, "ai_processing", text_number=update.update_id
        ):
            await asyncio.sleep(0)
        await update.message.reply_text(str(update.update_id))

    pushed = [telegram_api.push(message=message("hello")) for _ in range(20)]
    play(bot(telegram_api, handler, concurrent_updates=32), telegram_api)
    found = sessions(recorded)
    assert [one["outcome"] for one in found] == ["delivered"] * 20
    numbers = []
    for one in found:
        received, thinking, delivery = stages(recorded, one["session_id"])
        assert [received["stage"], thinking["stage"], delivery["stage"]] == [
            "query_received", "ai_processing", "user_delivery",
        ]  # fmt: skip
        numbers.append(thinking["metadata"]["text_number"])
    assert sorted(numbers) == pushed


def test_the_bots_own_update_processor_decides(recorded, telegram_api):
    """A processor of the bot's gets every update, is started and stopped, and an error that it raises fails the session."""
    calls = []

    class Own(BaseUpdateProcessor):
        colour = "blue"

        async def do_process_update(self, update, coroutine):
            calls.append(update.update_id)
            if update.message.text == "refuse":
                coroutine.close()
                raise PermissionError
            await coroutine

        async def initialize(self):
            calls.append("initialize")

        async def shutdown(self):
            calls.append("shutdown")

    application = bot(telegram_api, echo, concurrent_updates=Own(2))
    assert application.concurrent_updates == 2
    assert application.update_processor.colour == "blue"
    # Before version 22 an application can not be stopped after an error of its processor, traced or not.
    texts = ["hello", "refuse"] if telegram.__version_info__ >= (22,) else ["hello"]
    numbers = [telegram_api.push(message=message(text)) for text in texts]
    play(application, telegram_api)
    assert calls == ["initialize", *numbers, "shutdown"]
    assert told(recorded) == ["text delivered", "text failed"][: len(texts)]
    rows = recorded.sql("SELECT error_type FROM processing_metrics WHERE NOT success")
    assert rows == [{"error_type": "PermissionError"}][: len(texts) - 1]


def test_the_bots_own_rate_limiter_decides(recorded, telegram_api):
    """A limiter of the bot's gets every call with its arguments; its second try is a second span in the same delivery."""
    seen = []

    class Own(BaseRateLimiter):
        async def initialize(self):
            seen.append("initialize")

        async def shutdown(self):
            seen.append("shutdown")

        async def process_request(self, callback, args, kwargs, endpoint, data, rate_limit_args):
            seen.append((endpoint, rate_limit_args))
            try:
                return await callback(*args, **kwargs)
            except BadRequest:
                return await callback(*args, **kwargs)

    async def handler(update, context):
        await context.bot.send_message(77, "hello", rate_limit_args="slow")

    telegram_api.refuse_next("sendMessage", 400, "Bad Request: try again")
    telegram_api.push(message=message("hello"))
    play(bot(telegram_api, handler, rate_limiter=Own()), telegram_api)
    assert [one for one in seen if isinstance(one, tuple)] == [
        ("getMe", None), ("deleteWebhook", None), ("sendMessage", "slow"),
    ]  # fmt: skip
    assert {"initialize", "shutdown"} < set(seen)
    assert [one["success"] for one in spans(recorded)] == [False, True]
    assert in_short(recorded) == [("query_received", True), ("user_delivery", True)]
    assert told(recorded) == ["text delivered"]


def test_arguments_for_a_limiter_that_is_not_there_are_an_error_as_ever(recorded, telegram_api):
    """Without a limiter of its own a bot gets the framework's ValueError for `rate_limit_args`."""
    errors = []

    async def handler(update, context):
        try:
            await context.bot.send_message(77, "hello", rate_limit_args=1)
        except ValueError as error:
            errors.append(str(error))

    telegram_api.push(message=message("hello"))
    play(bot(telegram_api, handler), telegram_api)
    assert len(errors) == 1 and "rate_limit_args" in errors[0]


def test_an_application_class_of_the_bots_own_stays_itself(telegram_api):
    """A subclass of the user's keeps its arguments, its methods and its name."""

    class Mine(Application):
        __slots__ = ("colour",)

        def __init__(self, colour, **kwargs):
            super().__init__(**kwargs)
            self.colour = colour

    application = traced(builder(telegram_api).application_class(Mine, {"colour": "red"})).build()
    assert isinstance(application, Mine)
    assert (application.colour, type(application).__name__) == ("red", "Mine")


def test_a_conversation_is_a_session_for_each_update(recorded, telegram_api):
    """Each answer in a conversation is an update and so a session, also where its handlers run on beside."""

    async def ask(update, context):
        await update.message.reply_text("Your name?")
        return 1

    async def name(update, context):
        await update.message.reply_text("Thanks")
        return ConversationHandler.END

    conversation = ConversationHandler(
        [CommandHandler("start", ask)], {1: [MessageHandler(filters.TEXT, name, block=False)]}, []
    )
    telegram_api.push(message=command("/start"))
    telegram_api.push(message=message("Ann"))
    play(bot(telegram_api, conversation), telegram_api)
    assert told(recorded) == ["text delivered", "text delivered"]
    assert telegram_api.texts() == ["Your name?", "Thanks"]


def test_what_outlives_the_handler_is_not_of_its_session(recorded, telegram_api):
    """A task or a timer that a handler left behind has no part in the session, neither its calls nor its spans."""
    from opentelemetry import trace

    left, go, facts = [], asyncio.Event(), []

    async def later(bot):
        await go.wait()
        with trace.get_tracer("bot").start_as_current_span("later") as span:
            facts.append((current_handling(), f"{span.get_span_context().trace_id:032x}"))
            await bot.send_message(77, "later")

    async def handler(update, context):
        left.append(asyncio.create_task(later(context.bot)))
        asyncio.get_running_loop().call_later(0, lambda: facts.append("timer"))

    async def wait():
        go.set()
        await asyncio.gather(*left)

    application = bot(telegram_api, handler)
    telegram_api.push(message=message("hello"))
    play(application, telegram_api, wait)
    (one,) = sessions(recorded)
    assert one["outcome"] == "abandoned"
    assert (None, one["session_id"]) not in facts
    assert next(fact for fact in facts if fact != "timer")[0] is None
    assert spans(recorded) == []
    assert in_short(recorded) == [("query_received", True)]


def test_jobs_are_not_of_the_session_that_scheduled_them(recorded, telegram_api):
    """A job that runs while its handler still waits sends on its own account; the session stays without an answer."""
    pytest.importorskip("apscheduler")
    done = asyncio.Event()
    found = []

    async def job(context):
        found.append(current_handling())
        await context.bot.send_message(77, "a reminder")
        done.set()
        raise ValueError

    async def handler(update, context):
        context.job_queue.run_once(job, 0)
        await done.wait()

    telegram_api.push(message=message("hello"))
    play(bot(telegram_api, handler), telegram_api)
    assert found == [None]
    assert told(recorded) == ["text abandoned"]


def test_updates_that_the_bot_hands_in_itself_are_traced(recorded, telegram_api):
    """A webhook of the bot's own may call `process_update` or fill the queue: one session each, not two."""
    application = bot(telegram_api, echo)

    async def run():
        async with application:
            await application.start()
            for number in (1, 2):
                update = Update.de_json({"update_id": number, "message": message("hello")}, application.bot)
                await (application.process_update(update) if number == 1 else application.update_queue.put(update))
            await application.update_queue.join()
            await application.stop()

    asyncio.run(run())
    assert told(recorded) == ["text delivered", "text delivered"]


def test_a_webhook_is_traced(recorded, telegram_api):
    """The framework's own webhook: what the platform posts is a session like what is polled."""
    pytest.importorskip("tornado")
    application = bot(telegram_api, echo)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def run():
        async with application, httpx.AsyncClient() as platform:
            await application.start()
            await application.updater.start_webhook("127.0.0.1", port, "hook", secret_token="only-us")
            posted = {"update_id": 1, "message": message("hello")}
            headers = {"X-Telegram-Bot-Api-Secret-Token": "only-us"}
            for body in (json.dumps(posted), "{broken"):
                await platform.post(
                    f"http://127.0.0.1:{port}/hook",
                    content=body,
                    headers={**headers, "Content-Type": "application/json"},
                )
            await application.update_queue.join()
            await application.updater.stop()
            await application.stop()

    asyncio.run(run())
    assert told(recorded) == ["text delivered"]


def test_a_fork_in_a_handler_leaves_the_session_to_the_parent(recorded, telegram_api):
    """A forked child is in no session; the parent's goes on and ends once."""

    async def handler(update, context):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python 3.12 warns of forks beside threads
            child = os.fork()
        if child == 0:
            os._exit(0 if current_handling() is None else 1)
        assert (await asyncio.to_thread(os.waitpid, child, 0))[1] == 0
        await update.message.reply_text("done")

    telegram_api.push(message=message("hello"))
    play(bot(telegram_api, handler), telegram_api)
    assert told(recorded) == ["text delivered"]
    assert in_short(recorded) == [("query_received", True), ("user_delivery", True)]


def test_calls_outside_of_an_update_are_no_session(recorded, telegram_api):
    """A bot that announces something at its start makes no session by it."""
    application = bot(telegram_api)

    async def run():
        async with application:
            await application.bot.send_message(77, "I am back")

    asyncio.run(run())
    assert sessions(recorded) == []


def test_a_bot_without_recording_runs_as_ever(tmp_path, telegram_api):
    """With ENABLE_METRICS=false a traced bot answers and nothing is written."""
    with temporary_service(tmp_path, enabled=False):
        telegram_api.push(message=message("hello"))
        play(bot(telegram_api, echo), telegram_api)
    assert telegram_api.texts() == ["hello"]
    assert list(tmp_path.iterdir()) == []


class instrumented:
    """The instrumentor for as long as a `with` lasts."""

    def __enter__(self):
        TelegramInstrumentor().instrument()

    def __exit__(self, *_):
        TelegramInstrumentor().uninstrument()


def test_the_instrumentor_traces_what_is_built_while_it_is_in(recorded, telegram_api):
    """`instrument()` traces applications and bots made by hand, and `uninstrument()` leaves the classes as they were."""
    constructors = (Application.builder().build.__func__, ExtBot.__init__)
    with instrumented():
        made_by_hand = ExtBot("123456789:AAExampleTokenThatMustNeverBeSeenAny", f"{telegram_api.url}/bot")
        assert isinstance(made_by_hand.rate_limiter, TracingRateLimiter)
        application = Application.builder().bot(made_by_hand).build()
        application.add_handler(TypeHandler(Update, echo))
        telegram_api.push(message=message("hello"))
        play(application, telegram_api)
        assert told(recorded) == ["text delivered"]
    assert (Application.builder().build.__func__, ExtBot.__init__) == constructors
    assert type(builder(telegram_api).build()) is Application


def test_a_stage_of_another_session_changes_nothing(recorded, telegram_api):
    """A handler that works on another session, as a moderators' bot does, leaves its own update's stage alone."""
    other = create_session(1, 2)

    async def handler(update, context):
        with timer(other, 1, 2, "admin_review"):
            pass

    telegram_api.push(message=message("hello"))
    play(bot(telegram_api, handler), telegram_api)
    rows = {one["stage"]: one for one in stages(recorded)}
    assert rows["admin_review"]["session_id"] == other
    assert rows["query_received"]["end_time"] >= rows["admin_review"]["end_time"]


logging.getLogger("telegram").setLevel(logging.ERROR)
