"""aiogram bots over HTTP: what is recorded of their updates and calls, and that they work as without tracing."""

import asyncio
import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("aiogram")

from aiogram import BaseMiddleware, Dispatcher, F
from aiogram.client.session.middlewares.base import BaseRequestMiddleware
from aiogram.dispatcher.event.bases import CancelHandler, SkipHandler
from aiogram.exceptions import TelegramRetryAfter
from aiogram.filters import Command, CommandStart
from aiogram.fsm.context import FSMContext
from aiogram.fsm.state import State, StatesGroup
from aiogram.methods import DeleteMessage, SendMessage
from aiogram.types import BufferedInputFile, CallbackQuery, ErrorEvent, Message, Update
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.aiogram_bot import (
    ANN,
    GROUP,
    PRIVATE,
    bot_of,
    calls,
    message,
    play,
    play_all,
    sessions,
    stages,
    told,
    webhook,
)
from support.telegram_api import TOKEN, TelegramApi

from otel_metrics import MetricsService
from otel_metrics.instrumentation.aiogram import AiogramInstrumentor, TracingMiddleware, traced
from otel_metrics.testing import temporary_service

FILE = {"file_id": "f", "file_unique_id": "u"}
SIZED = {**FILE, "width": 1, "height": 1}
POLL = {
    "id": "9", "question": "MARKED?", "options": [{"persistent_id": "0", "text": "MARKED", "voter_count": 0}],
    "total_voter_count": 0, "is_closed": False, "is_anonymous": False, "type": "regular",
    "allows_multiple_answers": False, "allows_revoting": False, "members_only": False,
}  # fmt: skip
CHANNEL = {"id": -1009, "type": "channel", "title": "MARKED"}
MOVE = {
    "chat": GROUP, "from": ANN, "date": 1_800_000_000, "old_chat_member": {"user": ANN, "status": "left"},
    "new_chat_member": {"user": ANN, "status": "member"},
}  # fmt: skip
ADDRESS = {"country_code": "DE", "state": "", "city": "MARKED", "street_line1": "", "street_line2": "", "post_code": ""}
HERE, THERE, NOWHERE = (77, "private"), (-1005, "supergroup"), (0, None)

# The update, and what is to be told of it: kind, user, chat and its type.
KINDS = [
    ({"message": message("MARKED")}, "text", 77, HERE),
    ({"message": message("MARKED", chat=GROUP)}, "text", 77, THERE),
    ({"message": message(photo=[SIZED], caption="MARKED")}, "photo", 77, HERE),
    ({"message": message(voice={**FILE, "duration": 1})}, "voice", 77, HERE),
    ({"message": message(document={**FILE, "file_name": "MARKED"})}, "document", 77, HERE),
    ({"message": message(sticker={**SIZED, "is_animated": False, "is_video": False, "type": "regular"})}, "sticker", 77, HERE),
    ({"message": message(video={**SIZED, "duration": 1})}, "video", 77, HERE),
    ({"message": message(animation={**SIZED, "duration": 1}, document={**FILE, "file_name": "MARKED"})}, "animation", 77, HERE),
    ({"message": message(location={"longitude": 13.4, "latitude": 52.5})}, "location", 77, HERE),
    ({"message": message(contact={"phone_number": "MARKED", "first_name": "MARKED"})}, "contact", 77, HERE),
    ({"message": message(poll=POLL)}, "poll", 77, HERE),
    ({"message": message(chat=GROUP, new_chat_members=[ANN])}, "new_chat_members", 77, THERE),
    ({"message": message(chat=GROUP, left_chat_member=ANN)}, "left_chat_member", 77, THERE),
    ({"edited_message": message("MARKED", edit_date=1_800_000_001)}, "edited_message", 77, HERE),
    ({"channel_post": {"message_id": 1, "date": 1_800_000_000, "chat": CHANNEL, "text": "MARKED"}}, "channel_post", 0, (-1009, "channel")),
    ({"callback_query": {"id": "1", "from": ANN, "chat_instance": "1", "data": "MARKED", "message": message("MARKED")}}, "callback_query", 77, HERE),
    ({"callback_query": {"id": "1", "from": ANN, "chat_instance": "1", "data": "MARKED", "inline_message_id": "1"}}, "callback_query", 77, NOWHERE),
    ({"inline_query": {"id": "1", "from": ANN, "query": "MARKED", "offset": ""}}, "inline_query", 77, NOWHERE),
    ({"chosen_inline_result": {"result_id": "MARKED", "from": ANN, "query": "MARKED"}}, "chosen_inline_result", 77, NOWHERE),
    ({"poll_answer": {"poll_id": "9", "user": ANN, "option_ids": [0], "option_persistent_ids": ["0"]}}, "poll_answer", 77, NOWHERE),
    ({"poll": POLL}, "poll", 0, NOWHERE),
    ({"my_chat_member": MOVE}, "my_chat_member", 77, THERE),
    ({"chat_member": MOVE}, "chat_member", 77, THERE),
    ({"chat_join_request": {"chat": GROUP, "from": ANN, "date": 1_800_000_000, "user_chat_id": 77, "bio": "MARKED"}}, "chat_join_request", 77, THERE),
    ({"message_reaction": {"chat": PRIVATE, "message_id": 1, "date": 1_800_000_000, "user": ANN, "old_reaction": [], "new_reaction": [{"type": "emoji", "emoji": "👍"}]}}, "message_reaction", 77, HERE),
    ({"shipping_query": {"id": "1", "from": ANN, "invoice_payload": "MARKED", "shipping_address": ADDRESS}}, "shipping_query", 77, NOWHERE),
    ({"pre_checkout_query": {"id": "1", "from": ANN, "currency": "EUR", "total_amount": 100, "invoice_payload": "MARKED"}}, "pre_checkout_query", 77, NOWHERE),
]  # fmt: skip
# Kinds that aiogram has learned since its oldest version that is supported.
SINCE = {"message_reaction"}


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[MetricsService]:
    """A strict service with the machine's clock: bots that talk over HTTP take the time they take."""
    with temporary_service(tmp_path) as made:
        yield made


@pytest.fixture
def api() -> Iterator[TelegramApi]:
    """A Bot API server of this test's own."""
    with TelegramApi() as served:
        yield served


def echoing() -> Dispatcher:
    """A traced bot that answers every message with its text."""
    dispatcher = traced(Dispatcher())

    @dispatcher.message()
    async def echo(message: Message) -> None:
        await message.answer(message.text)

    return dispatcher


def own_provider() -> InMemorySpanExporter:
    """What the exporter of a provider gets that the bot's own code has set."""
    seen, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(seen))
    trace.set_tracer_provider(provider)
    return seen


def test_every_kind_of_update_is_a_session_of_its_kind(recorded, api):
    """Each update becomes a session with its kind, its chat's kind and its person's id; no text of it stands in a file."""
    known = [one for one in KINDS if one[1] not in SINCE or one[1] in Update.model_fields]
    for update, *_ in known:
        api.push(**update)
    play(traced(Dispatcher()), api, handle_as_tasks=False, allowed_updates=[])

    found = [
        (one["metadata"]["message_kind"], one["user_id"], (one["chat_id"], one["metadata"].get("chat_type")))
        for one in sessions(recorded)
    ]
    assert found == [tuple(facts) for _, *facts in known]
    assert {one["outcome"] for one in sessions(recorded)} == {"abandoned"}
    assert {(one["metadata"]["platform"], one["metadata"].get("language")) for one in sessions(recorded)} == {
        ("telegram", "en"),
        ("telegram", None),
    }
    assert stages(recorded) == ["query_received"] * len(known)
    written = b"".join(path.read_bytes() for path in recorded.settings.database.parent.iterdir() if path.is_file())
    assert b"MARKED" not in written
    assert TOKEN.encode() not in written


@pytest.mark.filterwarnings("ignore:Detected unknown update type")
def test_odd_updates_are_sessions_too(recorded, api):
    """What no documentation describes is a session that has ended, and no command is found in it."""
    odd = [
        {},
        {"a_kind_of_next_year": {"text": "MARKED"}},
        {"message": message()},
        {"message": message("")},
        {"message": message("/")},
        {"message": message("/ MARKED")},
        {"message": message("   ")},
        {"message": message("/MARKED", a_field_of_next_year={"x": [1]})},
        {"message": message("x", chat={"id": 1 << 80, "type": "private"}, **{"from": {**ANN, "language_code": "x" * 9000}})},
    ]  # fmt: skip
    dispatcher = traced(Dispatcher())

    @dispatcher.message(Command("known"))
    async def known(message: Message) -> None:
        """Is never reached."""

    for update in odd:
        api.push(**update)
    play(dispatcher, api, handle_as_tasks=False)
    assert [one["outcome"] for one in sessions(recorded)] == ["abandoned"] * len(odd)
    assert all("command" not in one["metadata"] for one in sessions(recorded))
    assert "MARKED" not in recorded.settings.log_file.read_text()


def test_json_that_is_no_update_is_answered_as_without_tracing(recorded, api):
    """What aiogram can not read fails in aiogram as it always does; there is no session of it, and the next one works."""

    async def run() -> list[int]:
        async with webhook(echoing(), bot_of(api), background=False) as post:
            bodies = ["{", "[]", {"update_id": "x"}, {"update_id": 1, "message": {"text": 5}}]
            codes = [(await post(body))[0] for body in bodies]
            return [*codes, (await post({"update_id": 2, "message": message("hello")}))[0]]

    assert asyncio.run(run()) == [500, 500, 500, 500, 200]
    assert told(recorded) == ["text delivered"]


def test_commands_are_told_where_a_handler_names_them(recorded, api):
    """A command's name is told without its arguments; a word that no handler names is the user's own and is not."""
    dispatcher = traced(Dispatcher())

    @dispatcher.message(CommandStart())
    @dispatcher.message(Command("help", "about", ignore_case=True))
    @dispatcher.message(Command("bang", prefix="!"))
    async def known(message: Message) -> None:
        """Does nothing."""

    for text in ("/start MARKED", "/HELP@echo_bot MARKED", "!bang", "/bang", "/MARKED", "start"):
        api.push(message=message(text))
    play(dispatcher, api, handle_as_tasks=False)
    assert [one["metadata"].get("command") for one in sessions(recorded)] == ["start", "help", "bang", None, None, None]
    assert "MARKED" not in recorded.settings.log_file.read_text()


def test_an_answer_is_a_delivery(recorded, api):
    """An answered message is a delivered session: `query_received`, then `user_delivery` with the call inside."""
    api.push(message=message("MARKED"))
    play(echoing(), api)
    assert api.texts() == ["MARKED"]
    assert told(recorded) == ["text delivered"]
    assert stages(recorded) == ["query_received", "user_delivery"]
    assert calls(recorded) == ["telegram sendMessage"]
    assert "MARKED" not in recorded.settings.log_file.read_text()
    assert TOKEN not in recorded.settings.log_file.read_text()


def test_concurrent_updates_keep_apart(recorded, api):
    """Fifty updates that are handled at once are fifty sessions, each with the delivery of its own."""
    dispatcher, together = traced(Dispatcher()), asyncio.Event()
    waiting: list[int] = []

    @dispatcher.message()
    async def wait_for_all(message: Message) -> None:
        waiting.append(message.chat.id)
        if len(waiting) == 50:
            together.set()
        await together.wait()
        await message.answer(str(message.chat.id))

    for number in range(1, 51):
        api.push(message=message("x", chat={**PRIVATE, "id": number}, **{"from": {**ANN, "id": number}}))
    play(dispatcher, api, handle_as_tasks=True)
    assert told(recorded) == ["text delivered"] * 50
    delivered = recorded.sql("SELECT session_id, chat_id FROM processing_metrics WHERE stage = 'user_delivery'")
    assert {(row["session_id"], row["chat_id"]) for row in delivered} == {
        (one["session_id"], one["chat_id"]) for one in sessions(recorded)
    }


def test_a_returned_method_is_called_inside_of_its_session(recorded, api):
    """A handler that returns its answer instead of awaiting it delivers as well, by polling and by a webhook in the background."""
    dispatcher = traced(Dispatcher())

    @dispatcher.message()
    async def answer(message: Message) -> SendMessage:
        return message.answer("MARKED")

    api.push(message=message("x"))
    play(dispatcher, api)

    async def run() -> None:
        async with webhook(dispatcher, bot_of(api), background=True) as post:
            await post({"update_id": 1, "message": message("x")})

    asyncio.run(run())
    assert told(recorded) == ["text delivered"] * 2
    assert stages(recorded) == ["query_received", "user_delivery"] * 2
    assert calls(recorded) == ["telegram sendMessage"] * 2


def test_a_returned_method_that_is_refused_fails_the_session(recorded, api):
    """Where Telegram refuses what a handler returned, the session has failed and the delivery says by which kind."""
    dispatcher = traced(Dispatcher())

    @dispatcher.message()
    async def answer(message: Message) -> SendMessage:
        return message.answer("MARKED")

    api.refuse_next("sendMessage", 403, "Forbidden: MARKED")
    api.push(message=message("x"))
    play(dispatcher, api)
    assert told(recorded) == ["text failed"]
    assert stages(recorded) == ["query_received", "user_delivery aiogram.exceptions.TelegramForbiddenError"]
    assert "MARKED" not in recorded.settings.log_file.read_text()


def test_an_answer_to_a_webhook_is_a_delivery_without_a_call(recorded, api):
    """What goes out in the HTTP answer is a delivery that names its way; there is no span of a call, since there is none."""
    dispatcher = traced(Dispatcher())

    @dispatcher.message(F.text == "delete")
    async def delete(message: Message) -> DeleteMessage:
        return message.delete()

    @dispatcher.message()
    async def answer(message: Message) -> SendMessage:
        return message.answer("MARKED")

    async def run() -> list[tuple[int, str]]:
        async with webhook(dispatcher, bot_of(api), background=False) as post:
            return [await post({"update_id": 1, "message": message(text)}) for text in ("x", "delete")]

    (code, body), (_, other) = asyncio.run(run())
    assert code == 200
    assert "sendMessage" in body
    assert "MARKED" in body
    assert "deleteMessage" in other
    gc.collect()
    assert told(recorded) == ["text delivered", "text abandoned"]
    assert stages(recorded) == ["query_received", "user_delivery", "query_received"]
    (delivery,) = recorded.sql("SELECT metadata FROM processing_metrics WHERE stage = 'user_delivery'")
    assert "webhook_answer" in json.dumps(delivery["metadata"])
    assert calls(recorded) == []
    assert "MARKED" not in recorded.settings.log_file.read_text()


def test_a_method_that_is_returned_every_time_answers_every_time(recorded, api):
    """A bot that keeps one method object and returns it for every update delivers in each of the sessions."""
    dispatcher, kept = traced(Dispatcher()), SendMessage(chat_id=77, text="MARKED")

    @dispatcher.message()
    async def answer(message: Message) -> SendMessage:
        return kept

    for _ in range(3):
        api.push(message=message("x"))
    play(dispatcher, api)
    assert told(recorded) == ["text delivered"] * 3


def test_errors_are_told_by_their_kind(recorded, api):
    """An exception of a handler fails `query_received` and the session by its class, and its words stand nowhere."""
    dispatcher = traced(Dispatcher())

    @dispatcher.message()
    async def fail(message: Message) -> None:
        raise KeyError("MARKED")

    api.push(message=message("x"))
    play(dispatcher, api)
    assert told(recorded) == ["text failed"]
    assert stages(recorded) == ["query_received KeyError"]
    assert "MARKED" not in recorded.settings.log_file.read_text()


def test_error_handlers_work_inside_of_the_session(recorded, api):
    """The bot's own error handler gets the error and answers; the session has failed, and the answer is a delivery in it."""
    dispatcher, seen = traced(Dispatcher()), []

    @dispatcher.message()
    async def fail(message: Message) -> None:
        raise KeyError("MARKED")

    @dispatcher.errors()
    async def sorry(event: ErrorEvent) -> SendMessage | None:
        seen.append(event.exception)
        return event.update.message.answer("sorry") if event.update.message.text == "return" else (
            await event.update.message.answer("sorry")
        )  # fmt: skip

    for text in ("await", "return"):
        api.push(message=message(text))
    play(dispatcher, api, handle_as_tasks=False)
    assert [type(error) for error in seen] == [KeyError, KeyError]
    assert api.texts() == ["sorry", "sorry"]
    assert told(recorded) == ["text failed"] * 2
    assert stages(recorded) == ["query_received KeyError", "user_delivery"] * 2


def test_middlewares_of_the_bot_keep_their_order_and_their_errors(recorded, api):
    """The bot's middlewares run in the order in which it registered them; what they raise or refuse is told as it is meant."""
    dispatcher, order = Dispatcher(), []

    class Note(BaseMiddleware):
        def __init__(self, name: str) -> None:
            self.name = name

        async def __call__(self, handler, event, data):
            order.append(self.name)
            text = event.message.text if isinstance(event, Update) else event.text
            stops = {"raise": KeyError("MARKED"), "cancel": CancelHandler(), "skip": SkipHandler()}
            if self.name == "second" and text in stops:
                raise stops[text]
            return await handler(event, data)

    dispatcher.update.outer_middleware(Note("first"))
    traced(dispatcher)
    dispatcher.update.outer_middleware(Note("second"))
    dispatcher.message.outer_middleware(Note("third"))
    dispatcher.message.middleware(Note("fourth"))

    @dispatcher.message()
    async def echo(message: Message) -> None:
        await message.answer("x")

    for text in ("fine", "raise", "cancel", "skip"):
        api.push(message=message(text))
    play(dispatcher, api, handle_as_tasks=False)
    assert order == ["first", "second", "third", "fourth", *["first", "second"] * 3]
    assert told(recorded) == ["text delivered", "text failed", "text abandoned", "text abandoned"]


def test_middlewares_of_calls_work_and_every_try_is_a_span(recorded, api):
    """A bot's own retrying middleware makes one delivery of two requests, wherever it was registered."""
    bot = bot_of(api)
    dispatcher = echoing()

    class Retry(BaseRequestMiddleware):
        async def __call__(self, make_request, bot, method):
            try:
                return await make_request(bot, method)
            except TelegramRetryAfter:
                return await make_request(bot, method)

    traced(bot)
    bot.session.middleware(Retry())
    api.refuse_next("sendMessage", 429, "Too Many Requests", retry_after=1)
    api.push(message=message("x"))
    play(dispatcher, api, bot)
    assert told(recorded) == ["text delivered"]
    assert stages(recorded) == ["query_received", "user_delivery"]
    assert calls(recorded) == ["telegram sendMessage"] * 2
    failed = recorded.sql("SELECT error_type FROM spans WHERE name = 'telegram sendMessage' ORDER BY start_time")
    assert [row["error_type"] or "" for row in failed] == ["aiogram.exceptions.TelegramRetryAfter", ""]


def test_a_conversation_is_a_session_for_each_update(recorded, api):
    """A conversation that keeps its state in the bot's storage works as without tracing; each of its updates is a session."""

    class Form(StatesGroup):
        name = State()
        size = State()

    dispatcher = traced(Dispatcher())

    @dispatcher.message(CommandStart())
    async def begin(message: Message, state: FSMContext) -> None:
        await state.set_state(Form.name)
        await message.answer("Name?")

    @dispatcher.message(Form.name)
    async def name(message: Message, state: FSMContext) -> None:
        await state.update_data(name=message.text)
        await state.set_state(Form.size)
        await message.answer("Size?")

    @dispatcher.callback_query(Form.size)
    async def size(query: CallbackQuery, state: FSMContext) -> None:
        await query.answer()
        await query.message.edit_text(f"{query.data} for {(await state.get_data())['name']}")

    api.push(message=message("/start"))
    api.push(message=message("Ann"))
    api.push(
        callback_query={"id": "1", "from": ANN, "chat_instance": "1", "data": "large", "message": message("Size?")}
    )
    play(dispatcher, api, handle_as_tasks=False)
    assert api.calls[-1][1]["text"] == "large for Ann"
    assert told(recorded) == ["text delivered", "text delivered", "callback_query delivered"]
    assert calls(recorded) == [
        "telegram sendMessage", "telegram sendMessage", "telegram answerCallbackQuery", "telegram editMessageText",
    ]  # fmt: skip


def test_work_that_outlives_its_handler_is_of_no_session(tmp_path, api):
    """What a background task sends after its handler's end is a trace of its own; the session has ended as abandoned."""
    seen = own_provider()
    dispatcher, tasks, ended = traced(Dispatcher()), [], asyncio.Event()

    @dispatcher.message()
    async def later(message: Message) -> None:
        async def remind() -> None:
            await ended.wait()
            await message.answer("MARKED")

        tasks.append(asyncio.create_task(remind()))

    async def run() -> None:
        async with webhook(dispatcher, bot_of(api), background=False) as post:
            await post({"update_id": 1, "message": message("x")})
            ended.set()
            await asyncio.gather(*tasks)

    with temporary_service(tmp_path) as recorded:
        asyncio.run(run())
        assert told(recorded) == ["text abandoned"]
        assert stages(recorded) == ["query_received"]
        assert calls(recorded) == []
    assert api.texts() == ["MARKED"]
    (call,) = [span for span in seen.get_finished_spans() if span.name == "telegram sendMessage"]
    assert call.parent is None


def test_long_polls_are_not_told(tmp_path, api):
    """Of what a bot calls outside of updates there is a span each, but none of the polls by which it waits."""
    seen = own_provider()
    with temporary_service(tmp_path):
        api.push(message=message("x"))
        play(echoing(), api)
    sent = [span.name for span in seen.get_finished_spans() if span.name.startswith("telegram ")]
    assert sent == ["telegram getMe", "telegram sendMessage"]


def test_several_bots_in_one_dispatcher(recorded):
    """Two bots of one dispatcher each answer their own updates, and all are traced."""
    with TelegramApi() as one, TelegramApi() as other:
        for api, text in ((one, "one"), (other, "other")):
            api.push(message=message(text))
        play_all(echoing(), [(one, bot_of(one)), (other, bot_of(other))])
        assert (one.texts(), other.texts()) == (["one"], ["other"])
    assert told(recorded) == ["text delivered"] * 2
    assert calls(recorded) == ["telegram sendMessage"] * 2


def test_files_are_sent_unchanged(recorded, api):
    """A document that a bot uploads arrives as without tracing, and neither its name nor its content is recorded."""
    dispatcher = traced(Dispatcher())

    @dispatcher.message()
    async def send(message: Message) -> None:
        await message.answer_document(BufferedInputFile(b"MARKED", "MARKED.txt"))

    api.push(message=message("x"))
    play(dispatcher, api)
    assert "sendDocument" in api.methods()
    assert told(recorded) == ["text delivered"]
    assert "MARKED" not in recorded.settings.log_file.read_text()


def test_a_bot_is_traced_once_and_only_while_asked(recorded, api):
    """Asking twice traces once; after `uninstrument()` new dispatchers are aiogram's own again."""
    instrumentor = AiogramInstrumentor()
    instrumentor.instrument()
    try:
        dispatcher = traced(traced(echoing()))
    finally:
        instrumentor.uninstrument()
    assert sum(isinstance(one, TracingMiddleware) for one in dispatcher.update.outer_middleware) == 1
    assert not any(isinstance(one, TracingMiddleware) for one in Dispatcher().update.outer_middleware)
    assert not len(bot_of(api).session.middleware)
    api.push(message=message("x"))
    play(dispatcher, api)
    assert told(recorded) == ["text delivered"]


def test_with_recording_switched_off_the_bot_works(tmp_path, api):
    """A traced bot whose recording is switched off answers as before and writes no file."""
    with temporary_service(tmp_path, enabled=False):
        api.push(message=message("x"))
        play(echoing(), api)
    assert api.texts() == ["x"]
    assert list(tmp_path.iterdir()) == []


def test_what_can_not_be_read_does_not_stop_the_bot(tmp_path, api):
    """A handler's flags that mean something else to the bot cost a warning and the facts, never an update."""
    dispatcher = traced(Dispatcher())

    @dispatcher.message(flags={"commands": 5})
    async def echo(message: Message) -> None:
        await message.answer("x")

    api.push(message=message("/start"))
    with temporary_service(tmp_path, strict=False) as lenient:
        with pytest.warns(RuntimeWarning, match="the bot goes on"):
            play(dispatcher, api)
        assert told(lenient) == ["other delivered"]
    assert api.texts() == ["x"]
