"""The Bot API server of the moderated bot's example: what it answers where the bots have no occasion to ask."""

import httpx
import pytest

from examples.moderated_bot.bot_api import BotApi


@pytest.mark.parametrize(
    ("path", "code", "description"),
    [
        ("/bot1001:users/getStickers", 404, "Not Found: method not found"),
        ("/bot1001:wrong/getMe", 401, "Unauthorized"),
        ("/botmalformed/getMe", 404, "Not Found"),
        ("/bot1001:users/sendMessage?chat_id=4&text=hi", 400, "Bad Request: chat not found"),
        ("/bot1001:users/sendMessage?chat_id=-4&text=", 400, "Bad Request: message text is empty"),
    ],
)
def test_bot_api_refuses_in_telegrams_words(path: str, code: int, description: str) -> None:
    """A wrong call gets Telegram's error document, with the same code as status."""
    with BotApi({"user_bot": "1001:users"}) as api:
        answer = httpx.get(api.url + path)
    assert answer.status_code == code
    assert answer.json() == {"ok": False, "error_code": code, "description": description}


def test_bot_api_keeps_updates_until_they_are_confirmed() -> None:
    """An update comes again with every poll until an offset above it confirms it."""
    with BotApi({"user_bot": "1001:users"}) as api:
        api.chats.say("user_bot", 4, 4, "Hello")

        def poll(offset: int) -> list[int]:
            answer = httpx.post(f"{api.url}/bot1001:users/getUpdates", data={"offset": offset, "timeout": 0})
            return [update["update_id"] for update in answer.json()["result"]]

        assert [poll(0), poll(1), poll(2)] == [[1], [1], []]
