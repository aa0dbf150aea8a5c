"""Owns what Telegram's Bot API calls things, for every framework that speaks it: kinds of messages, methods that deliver."""

from collections.abc import Mapping
from typing import Any

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


def delivers(endpoint: str, data: Mapping[str, Any], handling: Handling | None) -> bool:
    """Whether a call of the Bot API gives something to the person whose update is being handled."""
    if handling is None:
        return False
    if not (endpoint in _DELIVERED or (endpoint.startswith("send") and endpoint not in _NOT_DELIVERED)):
        return False
    chat = data.get("chat_id")
    return chat is None or handling.is_with(chat)


def message_facts(message: object) -> Json:
    """The kind of a message, and how many characters its text or caption has."""
    text = getattr(message, "text", None) or getattr(message, "caption", None)
    facts: Json = {"message_kind": message_kind(message)}
    if text:
        facts["message_length"] = len(text)
    return facts


def message_kind(message: object) -> str:
    """What a message holds, by the name of its field."""
    for kind in _MESSAGE_KINDS:
        if getattr(message, kind, None):
            return kind
    return "other"
