"""The methods of the Bot API that the two bots call, in Telegram's names; what they do stands in chats.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from .chats import ApiError, Bot, Chats, Json


class Parameters:
    """The parameters of one call: forms send everything as text, JSON bodies send types; both are read here."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        """A text; absent is empty."""
        return str(self._values.get(name, ""))

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number."""
        value = self._values.get(name, default)
        try:
            return int("" if value is None else value)
        except ValueError:
            raise ApiError(400, f"Bad Request: {name} is empty or not a number") from None

    def thing(self, name: str) -> Json | None:
        """An object, which forms send as JSON text."""
        value = self._values.get(name)
        try:
            value = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            raise ApiError(400, f"Bad Request: can't parse {name} JSON object") from None
        return value if isinstance(value, dict) else None


def get_me(_chats: Chats, bot: Bot, _call: Parameters) -> Json:
    """Who am I."""
    more = {"can_join_groups": True, "can_read_all_group_messages": True, "supports_inline_queries": False}
    return bot.user | more


def get_updates(chats: Chats, bot: Bot, call: Parameters) -> list[Json]:
    """Long polling; allowed_updates is not looked at, there are only messages and callback queries."""
    return chats.get_updates(bot, call.integer("offset", 0), call.integer("limit", 100), call.integer("timeout", 0))


def send_message(chats: Chats, bot: Bot, call: Parameters) -> Json:
    """A text, perhaps with buttons, perhaps in reply to a message."""
    reply_to = (call.thing("reply_parameters") or {}).get("message_id")
    return chats.send(bot, call.integer("chat_id"), call.text("text"), call.thing("reply_markup"), reply_to)


def edit_message_text(chats: Chats, bot: Bot, call: Parameters) -> Json:
    """Another text and other buttons."""
    markup = call.thing("reply_markup")
    return chats.edit(bot, call.integer("chat_id"), call.integer("message_id"), call.text("text"), markup)


def edit_message_reply_markup(chats: Chats, bot: Bot, call: Parameters) -> Json:
    """Other buttons."""
    return chats.edit(bot, call.integer("chat_id"), call.integer("message_id"), None, call.thing("reply_markup"))


def answer_callback_query(chats: Chats, _bot: Bot, call: Parameters) -> bool:
    """The button has been heard."""
    chats.answer_query(call.text("callback_query_id"))
    return True


def delete_webhook(_chats: Chats, _bot: Bot, _call: Parameters) -> bool:
    """There never is one."""
    return True


def get_file(chats: Chats, _bot: Bot, call: Parameters) -> Json:
    """Where a file can be fetched: /file/bot<token>/<file_path>."""
    file_id = call.text("file_id")
    return {
        "file_id": file_id,
        "file_unique_id": f"unique-{file_id}",
        "file_size": len(chats.file(file_id)),
        "file_path": f"voice/{file_id}.oga",
    }


# As in Telegram, the names of methods are read without regard to case.
METHODS: dict[str, Callable[[Chats, Bot, Parameters], Any]] = {
    "getme": get_me,
    "getupdates": get_updates,
    "sendmessage": send_message,
    "editmessagetext": edit_message_text,
    "editmessagereplymarkup": edit_message_reply_markup,
    "answercallbackquery": answer_callback_query,
    "deletewebhook": delete_webhook,
    "getfile": get_file,
}
