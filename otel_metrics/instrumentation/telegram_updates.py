"""Owns what is told of an update of python-telegram-bot: kinds and ids, never what somebody wrote."""

from collections.abc import Iterator
from typing import Any

from telegram import Message, MessageEntity, Update
from telegram.ext import Application, CommandHandler, ConversationHandler

from otel_metrics.instrumentation.bot_api import PLATFORM, message_facts
from otel_metrics.model.records import Json


def facts_of(update: object, application: Application[Any, Any, Any, Any, Any, Any]) -> tuple[int, int, Json]:
    """User id, chat id (0 where there is none) and the metadata of an update's session."""
    facts: Json = {"platform": PLATFORM}
    if not isinstance(update, Update):
        return 0, 0, {**facts, "message_kind": "other"}
    user, chat, message = update.effective_user, update.effective_chat, update.message
    if message is not None:
        facts |= message_facts(message)
        if message.entities and (command := _command(message, application)):
            facts["command"] = command
    else:
        facts["message_kind"] = _update_kind(update)
    if chat is not None:
        facts["chat_type"] = str(chat.type)
    if user is not None and user.language_code:
        facts["language"] = user.language_code
    return user.id if user else 0, chat.id if chat else 0, facts


def _update_kind(update: Update) -> str:
    for kind in Update.ALL_TYPES:
        if getattr(update, kind, None) is not None:
            return kind
    return "other"


def _command(message: Message, application: Application[Any, Any, Any, Any, Any, Any]) -> str | None:
    """The command that a message begins with, if the bot has a handler for it: any other word is a text of the user's."""
    first = message.entities[0]
    if first.type != MessageEntity.BOT_COMMAND or first.offset or not message.text:
        return None
    name = message.text[1 : first.length].split("@")[0].lower()
    known = (handler for group in application.handlers.values() for handler in _flat(group))
    return name if any(name in handler.commands for handler in known if isinstance(handler, CommandHandler)) else None


def _flat(handlers: Any) -> Iterator[object]:
    """Handlers, and those inside of conversations."""
    for handler in handlers:
        if isinstance(handler, ConversationHandler):
            yield from _flat(handler.entry_points)
            for state in handler.states.values():
                yield from _flat(state)
            yield from _flat(handler.fallbacks)
        else:
            yield handler
