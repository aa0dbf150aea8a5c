"""Owns what is told of a Slack request and of a call of its Web API: kinds and ids, never what somebody wrote."""

from collections.abc import Mapping
from typing import Any, Protocol

from otel_metrics.instrumentation.handling import Handling
from otel_metrics.model.records import Json
from otel_metrics.model.values import text_of

PLATFORM = "slack"
RESPONSE_URL = "response_url"
"""What a call of `respond()` is named by: its URL is a secret."""
_MESSAGE_SUBTYPES = {
    "message_changed": "edited_message",
    "message_deleted": "deleted_message",
    "bot_message": "text",
    "me_message": "text",
    "thread_broadcast": "text",
}
_FILE_KINDS = {"image": "photo", "audio": "voice", "video": "video"}
_CONVERSATIONS = {"C": "channel", "G": "group", "D": "im"}
_NAMED_CONVERSATIONS = {"directmessage": "im", "privategroup": "group"}
_TO_A_CHANNEL = frozenset(
    {
        "chat.postMessage", "chat.postEphemeral", "chat.update", "chat.meMessage", "chat.stopStream",
        "files.upload", "files.completeUploadExternal",
    }
)  # fmt: skip
_TO_THE_USER = frozenset({"views.open", "views.push", "views.update", "views.publish", "dialog.open"})


class Request(Protocol):
    """What Bolt's two kinds of requests have in common."""

    body: dict[str, Any]
    headers: Any
    context: Any


def facts_of(request: Request) -> tuple[str | int, str | int, Json]:
    """User id, channel id (0 where there is none) and the metadata of a request's session."""
    body = request.body
    event = _mapping(body.get("event"))
    facts: Json = {"platform": PLATFORM, "message_kind": _kind(body, event)}
    command = body.get("command")
    if isinstance(command, str):
        facts["command"] = command.removeprefix("/")
    user = request.context.user_id or _mapping(event.get("message")).get("user")
    channel = request.context.channel_id or _mapping(event.get("item")).get("channel")
    chat_type = event.get("channel_type") or _NAMED_CONVERSATIONS.get(str(body.get("channel_name")))
    if not isinstance(chat_type, str) and isinstance(channel, str):
        chat_type = _CONVERSATIONS.get(channel[:1])
    if isinstance(chat_type, str):
        facts["chat_type"] = chat_type
    if resent := request.headers.get("x-slack-retry-num"):
        facts["redelivery"] = resent[0]
    return _id(user), _id(channel), facts


def delivers(method: str, arguments: Mapping[str, Any], handling: Handling | None) -> bool:
    """Whether a call of the Web API gives something to the person whose request is being handled."""
    if handling is None:
        return False
    if method in _TO_THE_USER:
        return True
    if method not in _TO_A_CHANNEL:
        return False
    named = (arguments.get(name) for name in ("channel", "channel_id", "channels"))
    channel = next((one for one in named if one is not None and text_of(one)), None)
    return channel is None or handling.is_with(channel)


def arguments_of(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of a call of the Web API, whichever way `api_call` was given them."""
    for place in ("json", "data", "params"):
        if isinstance(found := call.get(place), Mapping):
            return found
    return {}


def _kind(body: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    if not event:
        kind = body.get("type")
        if isinstance(kind, str):
            return kind
        return "command" if "command" in body else "other"
    kind, subtype = event.get("type"), event.get("subtype")
    if kind != "message":
        return kind if isinstance(kind, str) else "other"
    files = event.get("files")
    if isinstance(files, list) and files:
        return _FILE_KINDS.get(str(_mapping(files[0]).get("mimetype")).split("/")[0], "document")
    if subtype is None:
        return "text"
    return _MESSAGE_SUBTYPES.get(subtype, subtype) if isinstance(subtype, str) else "other"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _id(value: object) -> str | int:
    return value if isinstance(value, str) and value else 0
