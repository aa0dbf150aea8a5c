"""A Discord for loopback: a gateway that speaks HELLO, IDENTIFY, READY and events, and the REST calls that bots make."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp
import discord
import yarl
from aiohttp import web
from discord.gateway import DiscordWebSocket

TOKEN = "MTAx.ExampleTokenThatMustNeverBeSeen.Gk"
INTERACTION_TOKEN = "InteractionTokenThatMustNeverBeSeen"
BOT, PERSON, GUILD, CHANNEL, OTHER_CHANNEL, DIRECT = 101, 202, 303, 404, 405, 506
_TASKS = ("discord.py: ", "CommandTree-invoker", "discord-ui-")

Json = dict[str, Any]


def user(number: int, name: str = "person", *, bot: bool = False) -> Json:
    return {"id": str(number), "username": name, "discriminator": "0", "avatar": None, "bot": bot, "global_name": None}


def message(content: str = "a question that nobody else may read", **more: Any) -> Json:
    """A message that somebody wrote in the guild's channel."""
    return {
        "id": str(more.pop("id", 7001)), "channel_id": str(CHANNEL), "guild_id": str(GUILD), "author": user(PERSON),
        "member": {"roles": [], "joined_at": "2024-01-01T00:00:00+00:00", "deaf": False, "mute": False, "flags": 0},
        "content": content, "timestamp": "2026-01-01T12:00:00+00:00", "edited_timestamp": None, "tts": False,
        "mention_everyone": False, "mentions": [], "mention_roles": [], "attachments": [], "embeds": [], "pinned": False,
        "type": 0, "flags": 0, "components": [], **more,
    }  # fmt: skip


def interaction(kind: int, data: Json) -> Json:
    """A slash command (2), a click (3), completions (4) or a modal (5)."""
    return {
        "id": "8001", "application_id": str(BOT), "type": kind, "data": data, "guild_id": str(GUILD),
        "channel_id": str(CHANNEL), "channel": _channel(CHANNEL), "token": INTERACTION_TOKEN, "version": 1,
        "member": {
            "user": user(PERSON), "roles": [], "joined_at": "2024-01-01T00:00:00+00:00", "deaf": False, "mute": False,
            "flags": 0, "permissions": "0",
        },
        "locale": "de", "guild_locale": "en-US", "app_permissions": "0", "entitlements": [], "attachment_size_limit": 1,
        "authorizing_integration_owners": {}, "context": 0, "message": message(author=user(BOT, bot=True), id=9001),
    }  # fmt: skip


def slash(name: str, **options: str) -> Json:
    """A slash command with text options."""
    given = [{"name": option, "type": 3, "value": value} for option, value in options.items()]
    return interaction(2, {"id": "6001", "name": name, "type": 1, "options": given})


def _channel(number: int) -> Json:
    return {
        "id": str(number), "type": 0, "name": f"c{number}", "position": 0, "permission_overwrites": [], "nsfw": False,
        "parent_id": None, "guild_id": str(GUILD), "topic": None, "rate_limit_per_user": 0, "permissions": "0",
    }  # fmt: skip


class DiscordApi:
    """The platform while an `async with` lasts: `calls` are the REST calls, `refuse` gives statuses by path, `once` for one call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Json]] = []
        self.refuse: dict[str, int] = {}
        self.once: dict[str, int] = {}
        self._sockets: list[tuple[web.WebSocketResponse, Any]] = []
        self._sequence = 0
        self._ids = 9100

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/gateway/", self._gateway)
        app.router.add_route("*", "/api/v10/{path:.*}", self._rest)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port = self._runner.addresses[0][1]
        self._real = discord.http.Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
        discord.http.Route.BASE = f"http://127.0.0.1:{port}/api/v10"
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(f"ws://127.0.0.1:{port}/gateway/")
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        discord.http.Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = self._real
        await self._runner.cleanup()

    async def push(self, event: str, data: Json) -> None:
        """Sends an event to the bot that is connected."""
        self._sequence += 1
        for socket, pack in self._sockets:
            await socket.send_bytes(pack({"op": 0, "t": event, "s": self._sequence, "d": data}))

    def paths(self) -> list[str]:
        """What the bot called after it had logged in."""
        return [path for path, _ in self.calls if not path.endswith(("users/@me", "applications/@me"))]

    async def _gateway(self, request: web.Request) -> web.WebSocketResponse:
        assert request.query.get("compress") == "zlib-stream"
        deflate = zlib.compressobj()

        def pack(content: Json) -> bytes:
            return deflate.compress(json.dumps(content).encode()) + deflate.flush(zlib.Z_SYNC_FLUSH)

        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_bytes(pack({"op": 10, "d": {"heartbeat_interval": 41250}}))
        async for told in socket:
            if told.type is not aiohttp.WSMsgType.TEXT:
                continue
            content = json.loads(told.data)
            if content["op"] == 1:
                await socket.send_bytes(pack({"op": 11}))
            elif content["op"] == 2 and content["d"]["token"] == TOKEN:
                self._sockets.append((socket, pack))
                ready = {
                    "v": 10, "user": user(BOT, "bot", bot=True), "guilds": [{"id": str(GUILD), "unavailable": True}],
                    "session_id": "s", "resume_gateway_url": str(DiscordWebSocket.DEFAULT_GATEWAY),
                    "application": {"id": str(BOT), "flags": 0}, "private_channels": [], "relationships": [],
                }  # fmt: skip
                await self.push("READY", ready)
                await self.push("GUILD_CREATE", _guild())
                await self.push("CONNECTED", {})
        return socket

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        path = f"{request.method} {request.match_info['path']}"
        body = await request.read()
        sent = json.loads(body) if body and request.content_type == "application/json" else {}
        self.calls.append((path.replace(INTERACTION_TOKEN, "*"), sent))
        if request.headers.get("Authorization") not in {f"Bot {TOKEN}", None}:
            return _json({"message": "401: Unauthorized", "code": 0}, status=401)
        status = next((status for part, status in self.refuse.items() if part in path), None)
        if status is None:
            part = next((part for part in self.once if part in path), "")
            status = self.once.pop(part, None)
        if status is not None:
            return _json({"message": "a reason that nobody else may read", "code": 50013}, status=status)
        return _answer(path, sent, self._number())

    def _number(self) -> int:
        self._ids += 1
        return self._ids


def _json(content: Json, status: int = 200) -> web.Response:
    # discord.py wants this type to the letter, without a charset
    return web.Response(body=json.dumps(content).encode(), status=status, headers={"Content-Type": "application/json"})


def _answer(path: str, sent: Json, number: int) -> web.StreamResponse:
    if path == "GET users/@me":
        return _json(user(BOT, "bot", bot=True))
    if path.endswith("applications/@me"):
        about = {
            "id": str(BOT), "name": "bot", "icon": None, "description": "", "bot_public": False, "verify_key": "k", "flags": 0,
            "bot_require_code_grant": False, "owner": user(PERSON), "summary": "",
        }  # fmt: skip
        return _json(about)
    if path == "POST users/@me/channels":
        return _json({"id": str(DIRECT), "type": 1, "last_message_id": None, "recipients": [user(PERSON)]})
    if path.endswith("/callback"):
        made = {
            "id": "8001",
            "type": 2,
            "response_message_id": str(number),
            "response_message_loading": sent.get("type") == 5,
        }
        resource = {"type": sent.get("type", 4), "message": message("x", id=number, author=user(BOT, bot=True))}
        return _json({"interaction": made, "resource": resource})
    if path.endswith("/typing"):
        return web.Response(status=204)
    if path == f"GET users/{PERSON}":
        return _json(user(PERSON))
    return _json(message(sent.get("content") or "", id=number, author=user(BOT, "bot", bot=True)))


def _guild() -> Json:
    return {
        "id": str(GUILD), "name": "g", "icon": None, "owner_id": str(PERSON), "region": "", "afk_timeout": 0, "roles": [],
        "verification_level": 0, "default_message_notifications": 0, "explicit_content_filter": 0, "emojis": [],
        "features": [], "mfa_level": 0, "system_channel_flags": 0, "premium_tier": 0, "nsfw_level": 0, "stickers": [],
        "preferred_locale": "en-US", "member_count": 2, "members": [], "threads": [], "presences": [], "voice_states": [],
        "channels": [_channel(CHANNEL), _channel(OTHER_CHANNEL)], "stage_instances": [], "guild_scheduled_events": [],
        "soundboard_sounds": [], "large": False, "unavailable": False, "joined_at": "2024-01-01T00:00:00+00:00",
    }  # fmt: skip


@asynccontextmanager
async def connected(client: discord.Client) -> AsyncIterator[None]:
    """The client logged in and connected, with the guild known."""
    try:
        await client.login(TOKEN)
        task = asyncio.create_task(client.connect(reconnect=False))
        await _told(client, "CONNECTED")
        yield
    finally:
        await client.close()
    await task


async def settled(api: DiscordApi, client: discord.Client) -> None:
    """Comes back when everything that was pushed is handled."""
    marked = asyncio.create_task(_told(client, "MARK"))
    await asyncio.sleep(0)
    await api.push("MARK", {})
    await marked
    while tasks := [one for one in asyncio.all_tasks() if one.get_name().startswith(_TASKS)]:
        await asyncio.gather(*tasks, return_exceptions=True)


async def _told(client: discord.Client, event: str) -> None:
    await client.wait_for("socket_event_type", check=lambda name: name == event, timeout=10)
