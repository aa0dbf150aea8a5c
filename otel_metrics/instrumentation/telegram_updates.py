"""Owns what is told of a Telegram update and of a call of the Bot API: kinds and ids, never what somebody wrote."""

from collections.abc import Iterator, Mapping
from typing import Any

from telegram import Message, MessageEntity, Update
from telegram.ext import Application, CommandHandler, ConversationHandler

from otel_metrics.instrumentation.handling import Handling
from otel_metrics.model.records import Json

PLATFORM = "telegram"
_MESSAGE_KINDS = (
    "text", "photo", "voice", "animation", "document", "sticker", "video", "audio", "video_note", "venue", "location",
    "contact", "poll", "dice", "game", "new_chat_members", "left_chat_member", "pinned_message", "successful_payment",
    "invoice", "story",
)  # fmt: skip
_NOT_DELIVERED = frozenset({"sendChatAction", "sendMessageDraft"})
_DELIVERED = frozenset(
    {
        "editMessageText", "editMessageCaption", "editMessageMedia", "copyMessage", "copyMessages", "forwardMessage",
        "forwardMessages", "answerInlineQuery", "answerWebAppQuery", "answerGuestQuery",
    }
)  # fmt: skip


def facts_of(update: object, application: Application[Any, Any, Any, Any, Any, Any]) -> tuple[int, int, Json]:
    """User id, chat id (0 where there is none) and the metadata of an update's session."""
    facts: Json = {"platform": PLATFORM}
    if not isinstance(update, Update):
        return 0, 0, {**facts, "message_kind": "other"}
    user, chat, message = update.effective_user, update.effective_chat, update.message
    if message is not None:
        facts["message_kind"] = _message_kind(message)
        if message.entities and (command := _command(message, application)):
            facts["command"] = command
    else:
        facts["message_kind"] = _update_kind(update)
    if chat is not None:
        facts["chat_type"] = str(chat.type)
    if user is not None and user.language_code:
        facts["language"] = user.language_code
    return user.id if user else 0, chat.id if chat else 0, facts


def delivers(endpoint: str, data: Mapping[str, Any], handling: Handling | None) -> bool:
    """Whether a call of the Bot API gives something to the person whose update is being handled."""
    if handling is None:
        return False
    if not (endpoint in _DELIVERED or (endpoint.startswith("send") and endpoint not in _NOT_DELIVERED)):
        return False
    chat = data.get("chat_id")
    return chat is None or not handling.chat_id or chat in {handling.chat_id, handling.user_id, str(handling.chat_id)}


def _message_kind(message: Message) -> str:
    for kind in _MESSAGE_KINDS:
        if getattr(message, kind, None):
            return kind
    return "other"


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
