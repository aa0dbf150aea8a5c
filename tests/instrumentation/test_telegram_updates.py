"""Every kind of update that the platform sends, over HTTP: what is recorded of it, and what never is."""

import asyncio

import pytest

pytest.importorskip("telegram")

from support.telegram_bot import ANN, GROUP, PRIVATE, builder, command, message, play, polling, sessions, stages
from telegram import Update
from telegram.ext import CommandHandler, ConversationHandler, MessageHandler, TypeHandler, filters

from otel_metrics.instrumentation.telegram import traced

FILE = {"file_id": "f", "file_unique_id": "u"}
PHOTO = [{**FILE, "width": 1, "height": 1}]
POLL = {
    "id": "9", "question": "MARKED?", "options": [{"persistent_id": "0", "text": "MARKED", "voter_count": 0}], "total_voter_count": 0,
    "is_closed": False, "is_anonymous": False, "type": "regular", "allows_multiple_answers": False,
    "allows_revoting": False, "members_only": False,
}  # fmt: skip
CHANNEL = {"id": -1009, "type": "channel", "title": "MARKED"}
LEFT = {"user": ANN, "status": "left"}
MEMBER = {"user": ANN, "status": "member"}
MOVE = {"chat": GROUP, "from": ANN, "date": 1_800_000_000, "old_chat_member": LEFT, "new_chat_member": MEMBER}
ADDRESS = {"country_code": "DE", "state": "", "city": "MARKED", "street_line1": "", "street_line2": "", "post_code": ""}

KINDS = {
    "text": {"message": message("MARKED")},
    "text in a group": {"message": message("MARKED", chat=GROUP)},
    "photo": {"message": message(photo=PHOTO, caption="MARKED")},
    "voice": {"message": message(voice={**FILE, "duration": 1})},
    "document": {"message": message(document={**FILE, "file_name": "MARKED"})},
    "sticker": {
        "message": message(
            sticker={**FILE, "width": 1, "height": 1, "is_animated": False, "is_video": False, "type": "regular"}
        )
    },
    "video": {"message": message(video={**FILE, "width": 1, "height": 1, "duration": 1})},
    "audio": {"message": message(audio={**FILE, "duration": 1, "title": "MARKED"})},
    "video_note": {"message": message(video_note={**FILE, "length": 1, "duration": 1})},
    "animation": {
        "message": message(
            animation={**FILE, "width": 1, "height": 1, "duration": 1}, document={**FILE, "file_name": "MARKED"}
        )
    },
    "location": {"message": message(location={"longitude": 13.4, "latitude": 52.5})},
    "contact": {"message": message(contact={"phone_number": "MARKED", "first_name": "MARKED"})},
    "poll": {"message": message(poll=POLL)},
    "dice": {"message": message(dice={"emoji": "🎲", "value": 3})},
    "new_chat_members": {"message": message(chat=GROUP, new_chat_members=[ANN])},
    "left_chat_member": {"message": message(chat=GROUP, left_chat_member=ANN)},
    "pinned_message": {"message": message(chat=GROUP, pinned_message=message("MARKED"))},
    "edited_message": {"edited_message": message("MARKED", edit_date=1_800_000_001)},
    "channel_post": {"channel_post": {"message_id": 1, "date": 1_800_000_000, "chat": CHANNEL, "text": "MARKED"}},
    "callback_query": {
        "callback_query": {"id": "1", "from": ANN, "chat_instance": "1", "data": "MARKED", "message": message("MARKED")}
    },
    "inline_query": {"inline_query": {"id": "1", "from": ANN, "query": "MARKED", "offset": ""}},
    "chosen_inline_result": {"chosen_inline_result": {"result_id": "MARKED", "from": ANN, "query": "MARKED"}},
    "poll_answer": {"poll_answer": {"poll_id": "9", "user": ANN, "option_ids": [0], "option_persistent_ids": ["0"]}},
    "poll that changed": {"poll": POLL},
    "my_chat_member": {"my_chat_member": MOVE},
    "chat_member": {"chat_member": MOVE},
    "chat_join_request": {
        "chat_join_request": {
            "chat": GROUP, "from": ANN, "date": 1_800_000_000, "user_chat_id": 77, "bio": "MARKED", "query_id": "1",
        }
    },
    "message_reaction": {
        "message_reaction": {
            "chat": PRIVATE, "message_id": 1, "date": 1_800_000_000, "user": ANN, "old_reaction": [],
            "new_reaction": [{"type": "emoji", "emoji": "👍"}],
        }
    },
    "shipping_query": {
        "shipping_query": {"id": "1", "from": ANN, "invoice_payload": "MARKED", "shipping_address": ADDRESS}
    },
    "pre_checkout_query": {
        "pre_checkout_query": {
            "id": "1", "from": ANN, "currency": "EUR", "total_amount": 100, "invoice_payload": "MARKED",
        }
    },
}  # fmt: skip
NAMED = {"text in a group": "text", "poll that changed": "poll"}
WITHOUT_USER = {"channel_post", "poll that changed"}
WITHOUT_CHAT = {
    "inline_query",
    "chosen_inline_result",
    "poll_answer",
    "poll that changed",
    "shipping_query",
    "pre_checkout_query",
}
IN_THE_GROUP = {
    "text in a group", "new_chat_members", "left_chat_member", "pinned_message", "my_chat_member", "chat_member",
    "chat_join_request",
}  # fmt: skip

ODD = [
    {},
    {"a_kind_of_next_year": {"text": "MARKED"}},
    {"message": message()},
    {"message": message("")},
    {"message": message("/start MARKED", entities=[{"type": "bot_command", "offset": 0, "length": 600}])},
    {"message": message("MARKED", entities=[{"type": "bot_command", "offset": 3, "length": 2}])},
    {"message": message(entities=[{"type": "bot_command", "offset": 0, "length": 6}])},
    {"message": message("/", entities=[{"type": "bot_command", "offset": 0, "length": 1}])},
    {"message": message("MARKED", **{"from": {**ANN, "language_code": "MARK\ud800ED" * 3000}})},
    {"message": message("MARKED" * 2000, a_field_of_next_year={"x": [1]})},
    {"message": message("\ud800\udfff\u0000", chat={"id": 1 << 80, "type": "a_type_of_next_year"})},
]


async def _nothing(*_: object) -> None:
    """Handles an update by doing nothing."""


def test_every_kind_of_update_is_a_session_of_its_kind(recorded, telegram_api):
    """Each update becomes a session with `query_received`, its kind, its chat's kind and its person's id and language."""
    application = traced(builder(telegram_api)).build()
    application.add_handler(TypeHandler(Update, _nothing))
    for update in KINDS.values():
        telegram_api.push(**update)
    play(application, telegram_api)

    found = sessions(recorded)
    assert [one["metadata"]["message_kind"] for one in found] == [NAMED.get(name, name) for name in KINDS]
    for name, one in zip(KINDS, found, strict=True):
        metadata = one["metadata"]
        assert metadata["platform"] == "telegram"
        assert one["outcome"] == "abandoned", name
        assert one["user_id"] == (0 if name in WITHOUT_USER else 77), name
        assert metadata.get("language") == (None if name in WITHOUT_USER else "en"), name
        if name in WITHOUT_CHAT:
            assert (one["chat_id"], metadata.get("chat_type")) == (0, None), name
        elif name in IN_THE_GROUP:
            assert (one["chat_id"], metadata["chat_type"]) == (-1005, "supergroup"), name
        elif name == "channel_post":
            assert (one["chat_id"], metadata["chat_type"]) == (-1009, "channel")
        else:
            assert (one["chat_id"], metadata["chat_type"]) == (77, "private"), name
    assert [(one["stage"], one["success"]) for one in stages(recorded)] == [("query_received", True)] * len(KINDS)


def test_odd_updates_are_sessions_too(recorded, telegram_api):
    """What no documentation describes is handled by the bot as without tracing, and is a session that has ended."""
    handled = []

    async def count(update, _):
        handled.append(update.update_id)

    application = traced(builder(telegram_api)).build()
    application.add_handler(TypeHandler(Update, count))
    pushed = [telegram_api.push(**update) for update in ODD]
    play(application, telegram_api)
    assert handled == pushed
    assert [one["outcome"] for one in sessions(recorded)] == ["abandoned"] * len(ODD)


def test_an_update_that_can_not_be_read_leaves_the_bot_alone(recorded, telegram_api):
    """What the framework itself can not read is its own error; it asks again, and the next updates are traced."""
    application = traced(builder(telegram_api)).build()
    application.add_handler(TypeHandler(Update, _nothing))
    telegram_api.push(message={"text": "MARKED"})

    async def run():
        async with polling(application):
            await asyncio.to_thread(telegram_api.wait_until, lambda: telegram_api.polls >= 3)
            telegram_api.forget_updates()
            telegram_api.push(message=message("MARKED"))
            await asyncio.to_thread(telegram_api.wait_until_read)

    asyncio.run(run())
    assert [one["metadata"]["message_kind"] for one in sessions(recorded)] == ["text"]


def test_a_command_is_told_by_its_name_alone(recorded, telegram_api):
    """`/start` is recorded as start, also with the bot's name and in a conversation; arguments and unknown words are not."""
    application = traced(builder(telegram_api)).build()
    application.add_handler(CommandHandler(["start", "begin"], _nothing))
    inner = ConversationHandler([CommandHandler("order", _nothing)], {}, [CommandHandler("cancel", _nothing)])
    application.add_handler(ConversationHandler([MessageHandler(filters.LOCATION, _nothing)], {1: [inner]}, []))
    application.add_handler(TypeHandler(Update, _nothing))
    for text in ("/start MARKED", "/BEGIN@echo_bot MARKED", "/order", "/cancel", "/MARKED now", "start"):
        telegram_api.push(message=command(text) if text.startswith("/") else message(text))
    play(application, telegram_api)
    commands = [one["metadata"].get("command") for one in sessions(recorded)]
    assert commands == ["start", "begin", "order", "cancel", None, None]


def test_no_text_and_no_token_is_in_any_file(recorded, telegram_api, tmp_path):
    """What people wrote, and the bot's token, stand in no file of the store, whatever the update and the error."""

    async def quote(update, context):
        if update.message is not None and update.message.text:
            await context.bot.send_message(77, f"you said {update.message.text}")
            raise ValueError(f"can not read {update.message.text} with {context.bot.token}")
        raise KeyError("MARKED")

    application = traced(builder(telegram_api)).build()
    application.add_handler(TypeHandler(Update, quote))
    for update in [*KINDS.values(), *ODD]:
        telegram_api.push(**update)
    telegram_api.refuse_next("sendMessage", 400, 'Bad Request: can\'t parse entities: unsupported start tag "MARKED"')
    play(application, telegram_api)
    recorded.flush()
    assert [one["outcome"] for one in sessions(recorded)] == ["failed"] * (len(KINDS) + len(ODD))
    recorded.shutdown()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 2
    for path in files:
        content = path.read_bytes()
        assert b"AAExampleTokenThat" not in content, path
        if path.suffix != ".err":
            assert content.count(b"MARKED") == 0, path
