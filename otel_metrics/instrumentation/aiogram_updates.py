"""Owns what is told of an update of aiogram: kinds and ids, never what somebody wrote."""

from typing import Any

from aiogram import Dispatcher
from aiogram.filters import Command
from aiogram.types import Message, Update

from otel_metrics.instrumentation.bot_api import PLATFORM, message_facts
from otel_metrics.model.records import Json

_KINDS = tuple(kind for kind in Update.model_fields if kind != "update_id")


def facts_of(update: object, dispatcher: object) -> tuple[int, int, Json]:
    """User id, chat id (0 where there is none) and the metadata of an update's session."""
    facts: Json = {"platform": PLATFORM, "message_kind": "other"}
    kind = next((one for one in _KINDS if getattr(update, one, None) is not None), None)
    if kind is None:
        return 0, 0, facts
    event = getattr(update, kind)
    if kind == "message":
        facts |= message_facts(event)
        if command := _command(event, dispatcher):
            facts["command"] = command
    else:
        facts["message_kind"] = kind
    user, chat = _user_of(event), _chat_of(event)
    if chat is not None:
        facts["chat_type"] = str(chat.type)
    if user is not None and user.language_code:
        facts["language"] = user.language_code
    return user.id if user else 0, chat.id if chat else 0, facts


def _user_of(event: Any) -> Any:
    """Whose update it is. The fields that hold a person have three names in the Bot API."""
    for name in ("from_user", "user"):
        if (user := getattr(event, name, None)) is not None:
            return user
    return getattr(getattr(getattr(event, "boost", None), "source", None), "user", None)


def _chat_of(event: Any) -> Any:
    """The chat of an event, or of the message whose button was pressed."""
    return getattr(event, "chat", None) or getattr(getattr(event, "message", None), "chat", None)


def _command(message: Message, dispatcher: object) -> str | None:
    """The command that a message begins with, if a handler names it: any other word is a text of the user's.

    Commands that are given as patterns are not told, since what matches one may be the user's own words.
    """
    words = (message.text or message.caption or "").split(maxsplit=1)
    if not words or words[0][0].isalnum() or not isinstance(dispatcher, Dispatcher):
        return None
    name = words[0][1:].partition("@")[0]
    for router in dispatcher.chain_tail:
        for handler in router.message.handlers:
            for known in handler.flags.get("commands", ()):
                if isinstance(known, Command) and words[0][0] in known.prefix:
                    said = name.casefold() if known.ignore_case else name
                    if said in known.commands:
                        return said
    return None
