"""Owns what is told of a Discord event and of a call of its REST API: kinds and ids, never what somebody wrote."""

import re
from typing import Any

import discord

from otel_metrics.instrumentation.handling import Handling
from otel_metrics.model.records import Json

PLATFORM = "discord"
_FILE_KINDS = {"image": "photo", "audio": "audio", "video": "video"}
_API = re.compile(r"/api/v\d+(/.*)")
_WORDS = frozenset(
    {
        "@me", "@original", "application", "applications", "bans", "bot", "bulk-delete", "callback", "channels", "commands",
        "emojis", "followers", "gateway", "guilds", "interactions", "invites", "members", "messages", "oauth2",
        "permissions", "pins", "polls", "reactions", "roles", "stickers", "threads", "typing", "users", "webhooks",
    }
)  # fmt: skip
"""Words of the API's paths. Everything else in a path is an id, a token or a name, and is left out."""
_CHANNEL = re.compile(r"/channels/(\d+)/messages(?:/\d+)?")
_FOLLOW_UP = re.compile(r"/webhooks/(\d+)/[^/]+(?:/messages/[^/]+)?")
_TYPE = re.compile(rb'\A\{\s*"type":\s*(\d+)')
_ANSWERS = frozenset({4, 7, 8, 9})  # a message, an edited one, completions, a modal; others only say that one is coming


def facts_of_message(message: discord.Message, kind: str | None = None) -> tuple[int, int, Json]:
    """User id, channel id and the metadata of a message's session."""
    facts: Json = {"platform": PLATFORM, "message_kind": kind or _message_kind(message)}
    facts["chat_type"] = str(getattr(message.channel, "type", "other"))
    return message.author.id, message.channel.id, facts


def facts_of_interaction(interaction: discord.Interaction[discord.Client]) -> tuple[int, int, Json]:
    """User id, channel id (0 where there is none) and the metadata of an interaction's session."""
    facts: Json = {"platform": PLATFORM, "message_kind": interaction.type.name, "language": str(interaction.locale)}
    data: Any = interaction.data or {}
    command = data.get("name")
    if isinstance(command, str):
        facts["command"] = command
    if interaction.channel is not None:
        facts["chat_type"] = str(getattr(interaction.channel, "type", "other"))
    return interaction.user.id, interaction.channel_id or 0, facts


def path_of(full_path: str) -> str | None:
    """The path of a call within the API's version; None for what is no call of the REST API: gateway and files."""
    found = _API.fullmatch(full_path)
    return found[1] if found else None


def method_of(verb: str, path: str) -> str:
    """What a call is named by: `POST /channels/*/messages`."""
    return f"{verb} " + "/".join(word if not word or word in _WORDS else "*" for word in path.split("/"))


def is_answer(path: str) -> bool:
    """Whether this answers an interaction; what kind of answer it is stands in its body."""
    return path.startswith("/interactions/") and path.endswith("/callback")


def answers(chunk: bytes) -> bool:
    """Whether the answer to an interaction, by the beginning of its body, shows something to the person."""
    found = _TYPE.match(chunk)
    return found is None or int(found[1]) in _ANSWERS


def delivers(verb: str, path: str, handling: Handling | None, client: discord.Client) -> bool:
    """Whether a call gives something to the person whose event is being handled."""
    if handling is None or verb not in {"POST", "PATCH"}:
        return False
    if found := _FOLLOW_UP.fullmatch(path):
        return int(found[1]) == client.application_id
    found = _CHANNEL.fullmatch(path)
    return found is not None and _is_of(int(found[1]), handling, client)


def error_of(status: int) -> discord.HTTPException:
    """The error that discord.py makes of a status, without what Discord says of it."""
    kind: type[discord.HTTPException] = discord.HTTPException
    if status >= 500:
        kind = discord.DiscordServerError
    elif status == 403:
        kind = discord.Forbidden
    elif status == 404:
        kind = discord.NotFound
    return kind.__new__(kind)


def _is_of(channel_id: int, handling: Handling, client: discord.Client) -> bool:
    """Whether somebody who wrote in the session's channel reads this one: it, a thread in it, or their direct messages."""
    if channel_id == handling.chat_id:
        return True
    channel = client.get_channel(channel_id)
    if isinstance(channel, discord.Thread):
        return channel.parent_id == handling.chat_id
    recipient = getattr(channel, "recipient", None)
    return recipient is not None and recipient.id == handling.user_id


def _message_kind(message: discord.Message) -> str:
    if message.type not in {discord.MessageType.default, discord.MessageType.reply}:
        return message.type.name
    if message.attachments:
        first = message.attachments[0]
        if getattr(message.flags, "voice", False):
            return "voice"
        return _FILE_KINDS.get((first.content_type or "").split("/")[0], "document")
    if message.stickers:
        return "sticker"
    return "poll" if getattr(message, "poll", None) is not None else "text"
