"""The chats of a pretend Telegram: what was said, and what each bot has yet to hear; it knows nothing of HTTP."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

Json = dict[str, Any]

MAX_TEXT_LENGTH = 4096


class ApiError(Exception):
    """A refusal in Telegram's own words."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description


@dataclass
class Bot:
    """A bot account and its updates, kept until the bot has confirmed them."""

    token: str
    username: str
    updates: list[Json] = field(default_factory=list)
    next_update: int = 1
    polls: int = 0

    @property
    def user(self) -> Json:
        """The bot as a Telegram user; its id is the first part of its token, as in Telegram."""
        return {
            "id": int(self.token.partition(":")[0]),
            "is_bot": True,
            "first_name": self.username,
            "username": self.username,
        }


class Chats:
    """People act by say(), press(), speak() and block(); bots by the rest, which answers in Telegram's JSON."""

    def __init__(self, bots: Mapping[str, str]) -> None:
        self._changed = Condition()
        self._by_name = {username: Bot(token, username) for username, token in bots.items()}
        self._by_token = {bot.token: bot for bot in self._by_name.values()}
        self._messages: dict[tuple[int, int], Json] = {}
        self._next_message = itertools.count(1)
        self._next_query = itertools.count(1)
        self._queries: set[str] = set()
        self._files: dict[str, bytes] = {}
        self._blocked: set[int] = set()

    # ---- what people do

    def say(self, bot: str, chat_id: int, user_id: int, text: str, reply_to: int | None = None) -> Json:
        """A person writes a text, perhaps in reply to a message of the chat."""
        return self._tell(bot, chat_id, user_id, {"text": text}, reply_to)

    def speak(
        self, bot: str, chat_id: int, user_id: int, file_id: str, reply_to: int | None = None, audio: bytes = b"OggS"
    ) -> Json:
        """A person sends a voice message."""
        voice = {
            "file_id": file_id,
            "file_unique_id": f"unique-{file_id}",
            "duration": 3,
            "mime_type": "audio/ogg",
            "file_size": len(audio),
        }
        self._files[file_id] = audio
        return self._tell(bot, chat_id, user_id, {"voice": voice}, reply_to)

    def press(self, bot: str, chat_id: int, user_id: int, message_id: int, data: str) -> Json:
        """A person presses the button with this data under a message; LookupError where there is none."""
        with self._changed:
            message = self._messages[chat_id, message_id]
            rows = message.get("reply_markup", {}).get("inline_keyboard", [])
            if data not in [button.get("callback_data") for row in rows for button in row]:
                raise LookupError(f"message {message_id} of chat {chat_id} has no button {data!r}")
            query_id = str(next(self._next_query))
            query = {
                "id": query_id,
                "from": person(user_id),
                "message": message,
                "chat_instance": str(chat_id),
                "data": data,
            }
            self._queries.add(query_id)
            self._push(self._by_name[bot], "callback_query", query)
            return query

    def block(self, chat_id: int) -> None:
        """The person of a private chat blocks the bots."""
        self._blocked.add(chat_id)

    # ---- what can be seen

    def sent(self, chat_id: int | None = None) -> list[Json]:
        """The messages of bots as they stand now, of one chat or of all, in order."""
        with self._changed:
            return [
                dict(message)
                for (chat, _), message in self._messages.items()
                if message["from"]["is_bot"] and chat_id in (None, chat)
            ]

    def wait_until(self, seen: Callable[[], bool], timeout_s: float, otherwise: str) -> None:
        """Wait until something is to be seen in the chats; TimeoutError says what was not."""
        with self._changed:
            if not self._changed.wait_for(seen, timeout_s):
                raise TimeoutError(f"after {timeout_s:g} s: {otherwise}")

    # ---- what bots do

    def bot(self, token: str) -> Bot:
        """The bot of a token."""
        if token not in self._by_token:
            raise ApiError(401, "Unauthorized")
        return self._by_token[token]

    def get_updates(self, bot: Bot, offset: int, limit: int, timeout_s: float) -> list[Json]:
        """Long polling: what is below the offset is confirmed and dropped; a second poll ends the first."""
        with self._changed:
            bot.polls += 1
            poll = bot.polls
            self._changed.notify_all()
            if offset < 0:
                bot.updates = bot.updates[offset:]
            bot.updates = [update for update in bot.updates if update["update_id"] >= offset]
            self._changed.wait_for(lambda: bot.updates or bot.polls != poll, timeout_s)
            if bot.polls != poll:
                raise ApiError(
                    409,
                    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
                )
            return bot.updates[:limit]

    def send(self, bot: Bot, chat_id: int, text: str, reply_markup: Json | None, reply_to: int | None) -> Json:
        """A bot writes."""
        check_text(text)
        with self._changed:
            if chat_id in self._blocked:
                raise ApiError(403, "Forbidden: bot was blocked by the user")
            if chat_id > 0 and not any(chat == chat_id for chat, _ in self._messages):
                raise ApiError(400, "Bad Request: chat not found")
            message = self._new_message(chat_id, bot.user, {"text": text}, reply_to)
            if reply_markup:
                message["reply_markup"] = reply_markup
            return message

    def edit(self, bot: Bot, chat_id: int, message_id: int, text: str | None, reply_markup: Json | None) -> Json:
        """A bot edits its message; no text leaves the text as it is, no markup takes the buttons away."""
        with self._changed:
            old = self._messages.get((chat_id, message_id))
            if old is None:
                raise ApiError(400, "Bad Request: message to edit not found")
            if old["from"]["id"] != bot.user["id"]:
                raise ApiError(400, "Bad Request: message can't be edited")
            new = {key: value for key, value in old.items() if key not in ("reply_markup", "edit_date")}
            if text is not None:
                check_text(text)
                new["text"] = text
            if reply_markup:
                new["reply_markup"] = reply_markup
            if new == {key: value for key, value in old.items() if key != "edit_date"}:
                raise ApiError(400, "Bad Request: message is not modified")
            new["edit_date"] = int(time.time())
            self._messages[chat_id, message_id] = new
            self._changed.notify_all()
            return new

    def answer_query(self, query_id: str) -> None:
        """A bot has heard a press; once for each."""
        if query_id not in self._queries:
            raise ApiError(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        self._queries.remove(query_id)

    def file(self, file_id: str) -> bytes:
        """The bytes of a file that someone has sent."""
        if file_id not in self._files:
            raise ApiError(400, "Bad Request: wrong file_id or the file is temporarily unavailable")
        return self._files[file_id]

    # ---- within

    def _tell(self, bot: str, chat_id: int, user_id: int, content: Json, reply_to: int | None) -> Json:
        with self._changed:
            message = self._new_message(chat_id, person(user_id), content, reply_to)
            self._push(self._by_name[bot], "message", message)
            return message

    def _new_message(self, chat_id: int, sender: Json, content: Json, reply_to: int | None) -> Json:
        message: Json = {
            "message_id": next(self._next_message),
            "from": sender,
            "chat": chat(chat_id),
            "date": int(time.time()),
        }
        if reply_to is not None:
            replied = self._messages.get((chat_id, reply_to))
            if replied is None:
                raise ApiError(400, "Bad Request: message to be replied not found")
            # As in Telegram, a quoted message does not quote in its turn.
            message["reply_to_message"] = {k: v for k, v in replied.items() if k != "reply_to_message"}
        message |= content
        if command := re.match(r"/\w+", message.get("text", "")):
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": command.end()}]
        self._messages[chat_id, message["message_id"]] = message
        self._changed.notify_all()
        return message

    def _push(self, bot: Bot, kind: str, content: Json) -> None:
        bot.updates.append({"update_id": bot.next_update, kind: content})
        bot.next_update += 1
        self._changed.notify_all()


def check_text(text: str) -> None:
    """Refuse what Telegram refuses."""
    if not text.strip():
        raise ApiError(400, "Bad Request: message text is empty")
    if len(text) > MAX_TEXT_LENGTH:
        raise ApiError(400, "Bad Request: message is too long")


def person(user_id: int) -> Json:
    """A Telegram user."""
    return {"id": user_id, "is_bot": False, "first_name": f"User {user_id}"}


def chat(chat_id: int) -> Json:
    """A chat: as in Telegram, groups have negative ids and a private chat has its user's."""
    if chat_id > 0:
        return {"id": chat_id, "type": "private", "first_name": f"User {chat_id}"}
    return {"id": chat_id, "type": "supergroup" if chat_id <= -(10**12) else "group", "title": f"Group {-chat_id}"}
