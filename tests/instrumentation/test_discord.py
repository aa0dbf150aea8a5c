"""Discord clients are traced: the real library against a gateway and a REST API on loopback."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import discord
import pytest
from discord import app_commands
from discord.ext import commands
from support.discord_api import (
    BOT,
    CHANNEL,
    INTERACTION_TOKEN,
    OTHER_CHANNEL,
    PERSON,
    TOKEN,
    DiscordApi,
    connected,
    interaction,
    message,
    settled,
    slash,
    user,
)
from support.guides import run_blocks
from support.stores import only_row, rows

import otel_metrics
from otel_metrics import MetricsService
from otel_metrics.instrumentation.discord import Traced, TracedBot, TracedClient, TracedErrors, TracedTree, note
from otel_metrics.instrumentation.handling import current_handling
from otel_metrics.testing import temporary_service

Json = dict[str, Any]
Event = tuple[str, Json]


def intents() -> discord.Intents:
    wanted = discord.Intents.default()
    wanted.message_content = True
    return wanted


def run(
    make: Callable[[], discord.Client], *events: Event, refuse: dict[str, int] | None = None,
    once: dict[str, int] | None = None, waits: bool = True,
) -> DiscordApi:  # fmt: skip
    """Connects a client and sends it events, one after the other or all at once; comes back when they are handled."""

    async def play() -> DiscordApi:
        async with DiscordApi() as api:
            api.refuse, api.once = refuse or {}, once or {}
            client = make()
            async with connected(client):
                for event in events:
                    await api.push(*event)
                    if waits:
                        await settled(api, client)
                await settled(api, client)
            return api

    return asyncio.run(play())


def said(**more: Any) -> Event:
    return "MESSAGE_CREATE", message(**more)


def asked(data: Json) -> Event:
    return "INTERACTION_CREATE", data


def stages(service: MetricsService) -> list[Json]:
    return sorted(rows(service, "processing_metrics"), key=lambda row: row["start_time"])


def session(service: MetricsService) -> Json:
    return only_row(service, "sessions")


class Echo(TracedClient):
    """Answers every message."""

    def __init__(self, **more: Any) -> None:
        super().__init__(intents=intents(), guild_ready_timeout=0.01, **more)

    async def on_message(self, received: discord.Message) -> None:
        if not received.author.bot:
            await received.channel.send("an answer that nobody else may read")


def bot(**more: Any) -> TracedBot:
    return TracedBot("!", intents=intents(), guild_ready_timeout=0.01, **more)


def test_a_message_and_its_answer_are_one_session(recorded: MetricsService) -> None:
    """A message that the client answers is a delivered session: received, then delivered, with the API call below."""
    api = run(Echo, said())
    assert api.paths() == [f"POST channels/{CHANNEL}/messages"]
    made = session(recorded)
    assert (made["outcome"], made["user_id"], made["chat_id"]) == ("delivered", PERSON, CHANNEL)
    assert made["metadata"] == {"platform": "discord", "message_kind": "text", "chat_type": "text"}
    received, delivered = stages(recorded)
    assert (received["stage"], delivered["stage"]) == ("query_received", "user_delivery")
    assert received["end_time"][:23] <= delivered["start_time"][:23]  # to the millisecond: two clocks measure
    (call,) = rows(recorded, "spans", "name = 'discord POST /channels/*/messages'")
    assert (call["session_id"], call["parent_span_id"]) == (made["session_id"], delivered["span_id"])


def test_neither_texts_nor_tokens_are_kept(recorded: MetricsService) -> None:
    """No word that somebody wrote, no token of the bot's and none of an interaction's stands in the store or the log."""

    def make() -> discord.Client:
        made = bot()

        @made.tree.command()
        async def ask(asked: discord.Interaction, question: str) -> None:
            await asked.response.defer(thinking=True)
            await asked.followup.send(question)
            raise LookupError(question)

        return made

    run(make, asked(slash("ask", question="a question that nobody else may read")), said())
    run(Echo, said(), refuse={"channels": 403})
    recorded.flush()
    tables = [rows(recorded, table) for table in ("sessions", "processing_metrics", "spans", "running", "logs")]
    kept = json.dumps(tables, default=str) + recorded.settings.log_file.read_text()
    assert "discord POST /webhooks/*/*" in kept
    assert not [word for word in ("nobody else may read", TOKEN, INTERACTION_TOKEN) if word in kept]


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({}, "text"),
        ({"attachments": [{"id": "1", "filename": "a.png", "size": 1, "url": "u", "proxy_url": "p", "content_type": "image/png"}]}, "photo"),
        ({"attachments": [{"id": "1", "filename": "a.ogg", "size": 1, "url": "u", "proxy_url": "p", "content_type": "audio/ogg"}], "flags": 8192}, "voice"),
        ({"attachments": [{"id": "1", "filename": "a.pdf", "size": 1, "url": "u", "proxy_url": "p"}]}, "document"),
        ({"sticker_items": [{"id": "1", "name": "s", "format_type": 1}]}, "sticker"),
        ({"type": 7}, "new_member"),
        ({"type": 6}, "pins_add"),
    ],
)  # fmt: skip
def test_every_kind_of_message_is_a_session_of_its_kind(recorded: MetricsService, more: Json, kind: str) -> None:
    """A session tells what kind of message it began with."""
    run(Echo, said(**more))
    assert session(recorded)["metadata"]["message_kind"] == kind


def test_an_edited_message_is_a_session(recorded: MetricsService) -> None:
    """An edit that changes the text is a session of its own; the preview that Discord adds to a link is none."""
    edited = {**message("another question"), "edited_timestamp": "2026-01-01T12:01:00+00:00"}
    run(Echo, said(), ("MESSAGE_UPDATE", message()), ("MESSAGE_UPDATE", edited))
    assert [row["metadata"]["message_kind"] for row in rows(recorded, "sessions")] == ["text", "edited_message"]


def test_a_slash_command_is_a_session(recorded: MetricsService) -> None:
    """A slash command that is answered is delivered, and its session knows its name and the person's language alone."""

    def make() -> discord.Client:
        made = bot()

        @made.tree.command()
        async def ask(asked: discord.Interaction, question: str) -> None:
            await asked.response.send_message("later")

        return made

    api = run(make, asked(slash("ask", question="a question that nobody else may read")))
    assert api.paths() == ["POST interactions/8001/*/callback"]
    made = session(recorded)
    assert (made["outcome"], made["user_id"], made["chat_id"]) == ("delivered", PERSON, CHANNEL)
    assert made["metadata"] == {
        "platform": "discord", "message_kind": "application_command", "command": "ask", "chat_type": "text",
        "language": "de",
    }  # fmt: skip
    _, delivered = stages(recorded)
    assert delivered["stage"] == "user_delivery"
    (call,) = rows(recorded, "spans", "name = 'discord POST /interactions/*/*/callback'")
    assert call["parent_span_id"] == delivered["span_id"]


def test_a_deferred_answer_is_delivered_when_it_comes(recorded: MetricsService) -> None:
    """Saying that an answer will come is no delivery; the answer is, within the same session."""

    def make() -> discord.Client:
        made = bot()

        @made.tree.command()
        async def ask(asked: discord.Interaction) -> None:
            await asked.response.defer(thinking=True)
            handling = current_handling()
            assert handling is not None
            with handling.stage("ai_processing"):
                await asyncio.sleep(0)
            await asked.edit_original_response(content="here it is")

        return made

    run(make, asked(slash("ask")))
    assert session(recorded)["outcome"] == "delivered"
    assert [row["stage"] for row in stages(recorded)] == ["query_received", "ai_processing", "user_delivery"]
    assert len(rows(recorded, "spans", "name LIKE 'discord %/callback'")) == 1


def test_a_click_and_a_modal_are_sessions(recorded: MetricsService) -> None:
    """Buttons of a view and modals are sessions; what their callbacks do belongs to them."""

    class Ask(TracedErrors, discord.ui.Modal, title="Ask"):
        question = discord.ui.TextInput(label="Question", custom_id="q")

        async def on_submit(self, asked: discord.Interaction) -> None:
            await asked.response.send_message("thanks")

    class Buttons(TracedErrors, discord.ui.View):
        @discord.ui.button(label="Ask", custom_id="ask")
        async def ask(self, asked: discord.Interaction, _: Any) -> None:
            await asked.response.send_modal(Ask(custom_id="modal"))

        @discord.ui.button(label="Break", custom_id="break")
        async def broken(self, asked: discord.Interaction, _: Any) -> None:
            raise LookupError

    class Client(Echo):
        async def setup_hook(self) -> None:
            self.add_view(Buttons(timeout=None))

    click = interaction(3, {"custom_id": "ask", "component_type": 2})
    broken = interaction(3, {"custom_id": "break", "component_type": 2})
    field = {"type": 1, "components": [{"type": 4, "custom_id": "q", "value": "a question"}]}
    run(Client, asked(click), asked(interaction(5, {"custom_id": "modal", "components": [field]})), asked(broken))
    found = [(row["metadata"]["message_kind"], row["outcome"]) for row in rows(recorded, "sessions")]
    assert found == [("component", "delivered"), ("modal_submit", "delivered"), ("component", "failed")]
    assert [row["error_type"] for row in stages(recorded) if not row["success"]] == ["LookupError"]


def test_a_prefix_command_is_named(recorded: MetricsService) -> None:
    """A command that the bot has is told by its name, without its arguments; a word that is no command is not."""

    def make() -> discord.Client:
        made = bot()

        @made.command()
        async def ask(context: commands.Context, *, question: str) -> None:
            await context.send("later")

        return made

    run(make, said(content="!ask a question"), said(content="!secret", id=7002))
    found = [(row["outcome"]) for row in rows(recorded, "sessions")]
    assert found == ["delivered", "abandoned"]
    assert [row["metadata"].get("command") for row in stages(recorded)] == ["ask", None, None]


def test_errors_are_the_sessions(recorded: MetricsService) -> None:
    """What an event handler or a command raises fails its session by its kind; the bot's own handlers are called as ever."""
    handled = []

    class Client(TracedBot):
        async def on_error(self, event: str, *args: Any) -> None:
            handled.append(event)

        async def on_command_error(self, context: Any, error: Exception) -> None:
            handled.append(type(error).__name__)

    def make() -> discord.Client:
        made = Client("!", intents=intents(), guild_ready_timeout=0.01)

        @made.command()
        async def ask(context: commands.Context) -> None:
            raise LookupError("a question that nobody else may read")

        @made.tree.command()
        async def slashed(asked: discord.Interaction) -> None:
            raise KeyError("a question that nobody else may read")

        @made.tree.error
        async def on_tree_error(asked: discord.Interaction, error: app_commands.AppCommandError) -> None:
            handled.append(type(error).__name__)

        @made.listen("on_message")
        async def also(received: discord.Message) -> None:
            if received.content == "break":
                raise IndexError

        return made

    run(make, said(content="!ask"), asked(slash("slashed")), said(content="break", id=7002))
    assert handled == ["CommandInvokeError", "CommandInvokeError", "on_message"]
    assert [row["error_type"] for row in stages(recorded)] == ["LookupError", "KeyError", "IndexError"]
    assert {row["outcome"] for row in rows(recorded, "sessions")} == {"failed"}


def test_a_tree_of_the_clients_own(recorded: MetricsService) -> None:
    """With a tree that is not ours a failed command is known, though not its kind; with `TracedTree` its kind too."""

    def with_tree(kind: Any) -> Callable[[], discord.Client]:
        def make() -> discord.Client:
            client = Echo()
            tree = kind(client)

            @tree.command()
            async def ask(asked: discord.Interaction) -> None:
                raise KeyError

            return client

        return make

    run(with_tree(app_commands.CommandTree), asked(slash("ask")))
    run(with_tree(TracedTree), asked(slash("ask")))
    kinds = [row["error_type"] for row in stages(recorded)]
    assert kinds == ["discord.app_commands.errors.AppCommandError", "KeyError"]


def test_a_refused_answer_fails_its_stage_once(recorded: MetricsService) -> None:
    """An answer that Discord refuses is told where it happened, in the delivery, and not again in what came before."""
    run(Echo, said(), refuse={"channels": 403})
    received, delivered = stages(recorded)
    assert (received["success"], delivered["success"]) == (1, 0)
    assert delivered["error_type"] == "discord.errors.Forbidden"
    assert session(recorded)["outcome"] == "failed"


def test_a_message_elsewhere_is_no_delivery(recorded: MetricsService) -> None:
    """Handing a draft to the moderators' channel gives the person nothing yet; typing and looking things up neither."""

    class Client(Echo):
        async def on_message(self, received: discord.Message) -> None:
            async with received.channel.typing():
                await self.fetch_user(PERSON)
            elsewhere = self.get_channel(OTHER_CHANNEL)
            assert isinstance(elsewhere, discord.TextChannel)
            await elsewhere.send("please look")

    run(Client, said())
    assert session(recorded)["outcome"] == "abandoned"
    assert [row["stage"] for row in stages(recorded)] == ["query_received"]
    names = {row["name"] for row in rows(recorded, "spans", "session_id = ?", session(recorded)["session_id"])}
    assert {"discord POST /channels/*/typing", "discord GET /users/*", "discord POST /channels/*/messages"} <= names


def test_a_direct_message_to_the_person_is_a_delivery(recorded: MetricsService) -> None:
    """Who asks in a channel and is answered in private has been answered."""

    class Client(Echo):
        async def on_message(self, received: discord.Message) -> None:
            await received.author.send("in private")

    api = run(Client, said())
    assert api.paths() == ["POST users/@me/channels", "POST channels/506/messages"]
    assert session(recorded)["outcome"] == "delivered"


def test_messages_at_once_are_sessions_of_their_own(recorded: MetricsService) -> None:
    """Handlers that wait for each other keep their sessions apart, slash commands among them."""

    def make() -> discord.Client:
        made = bot()
        waiting: list[asyncio.Future[None]] = []

        async def together() -> None:
            mine = asyncio.get_running_loop().create_future()
            waiting.append(mine)
            if len(waiting) == 3:
                for one in waiting:
                    one.set_result(None)
            await mine

        @made.listen("on_message")
        async def answer(received: discord.Message) -> None:
            await together()
            await received.channel.send("x")

        @made.tree.command()
        async def ask(asked: discord.Interaction) -> None:
            await together()
            await asked.response.send_message("x")

        return made

    run(make, said(author=user(1)), asked(slash("ask")), said(author=user(2), id=7002), waits=False)
    made = rows(recorded, "sessions")
    assert {(row["user_id"], row["outcome"]) for row in made} == {(who, "delivered") for who in (1, 2, PERSON)}
    assert len({row["session_id"] for row in stages(recorded)}) == 3
    assert len(stages(recorded)) == 6


def test_work_that_outlives_its_handler_is_no_part_of_it(recorded: MetricsService) -> None:
    """A task that a handler leaves behind sends in a trace of its own, and the session ended without it."""
    left: list[asyncio.Task[Any]] = []
    handled = asyncio.Event()

    class Client(Echo):
        async def on_message(self, received: discord.Message) -> None:
            async def later() -> None:
                await handled.wait()
                await received.channel.send("a reminder")

            left.append(asyncio.create_task(later()))

        async def close(self) -> None:
            handled.set()
            await asyncio.gather(*left)
            await super().close()

    api = run(Client, said())
    assert api.paths() == [f"POST channels/{CHANNEL}/messages"]
    assert session(recorded)["outcome"] == "abandoned"
    assert len(stages(recorded)) == 1


def test_what_is_nobodys_question_is_no_session(recorded: MetricsService) -> None:
    """The bot's own messages, other events and what the bot does not want traced leave no session."""

    class Client(Echo):
        def is_traced(self, subject: Any) -> bool:
            return getattr(subject, "content", None) != "small talk"

    typing = {"channel_id": str(CHANNEL), "guild_id": "303", "user_id": str(PERSON), "timestamp": 1}
    run(Client, said(author=user(BOT, bot=True)), ("TYPING_START", typing), said(content="small talk", id=7002))
    assert rows(recorded, "sessions") == []


def test_odd_interactions_hurt_nobody(tmp_path: Path) -> None:
    """What discord.py or we can not read is counted and goes on; the next message and the next click are traced as ever."""

    class Client(Echo):
        async def on_interaction(self, asked: discord.Interaction | None) -> None:
            if asked is not None:
                await asked.response.send_message("x")

    async def play() -> None:
        async with DiscordApi() as api:
            client = Client()
            async with connected(client):
                client.dispatch("socket_event_type", "INTERACTION_CREATE")
                client.dispatch("socket_event_type", "INTERACTION_CREATE")
                client.dispatch("interaction", None)
                await api.push("MESSAGE_CREATE", message())
                await api.push("INTERACTION_CREATE", interaction(3, {"custom_id": "?", "component_type": 2}))
                await settled(api, client)

    with temporary_service(tmp_path, strict=False) as service:
        with pytest.warns(RuntimeWarning, match="otel_metrics"):
            asyncio.run(play())
        found = [(row["metadata"]["message_kind"], row["outcome"]) for row in rows(service, "sessions")]
    assert found == [("text", "delivered"), ("component", "delivered")]


def test_the_bots_own_http_trace_stays(recorded: MetricsService) -> None:
    """A client's own `http_trace` keeps seeing its requests, though in use already, and the mixin goes with other bases."""
    seen = []

    async def started(_session: Any, context: Any, told: Any) -> None:
        context.method = told.method

    async def ended(_session: Any, context: Any, told: Any) -> None:
        seen.append(context.method)

    config = aiohttp.TraceConfig()
    config.on_request_start.append(started)
    config.on_request_end.append(ended)
    config.freeze()

    class Other(Traced, commands.Bot):
        async def on_message(self, received: discord.Message) -> None:
            await received.reply("x")

    for _ in range(2):
        run(lambda: Other("!", intents=intents(), http_trace=config, guild_ready_timeout=0.01), said())
    assert seen.count("POST") == 2
    assert [row["outcome"] for row in rows(recorded, "sessions")] == ["delivered", "delivered"]
    assert len(rows(recorded, "spans", "name LIKE 'discord POST %'")) == 2


def test_a_try_that_is_repeated(recorded: MetricsService) -> None:
    """Where Discord has an error of its own, discord.py tries again: each try is a stage, and the session is delivered."""

    class Client(Echo):
        async def on_message(self, received: discord.Message) -> None:
            await received.channel.send("x")

    run(Client, said(), once={"channels": 502})
    assert [(row["stage"], row["success"]) for row in stages(recorded)] == [
        ("query_received", 1), ("user_delivery", 0), ("user_delivery", 1),
    ]  # fmt: skip
    assert stages(recorded)[1]["error_type"] == "discord.errors.DiscordServerError"
    assert session(recorded)["outcome"] == "delivered"


def test_a_handler_of_the_bots_own_that_notes_nothing(recorded: MetricsService) -> None:
    """A view that handles its error itself is told by `note(error)`."""

    class Buttons(discord.ui.View):
        @discord.ui.button(label="Break", custom_id="break")
        async def broken(self, asked: discord.Interaction, _: Any) -> None:
            raise LookupError

        async def on_error(self, asked: discord.Interaction, error: Exception, item: Any) -> None:
            note(error)

    class Client(Echo):
        async def setup_hook(self) -> None:
            self.add_view(Buttons(timeout=None))

    run(Client, asked(interaction(3, {"custom_id": "break", "component_type": 2})))
    assert session(recorded)["outcome"] == "failed"


def test_the_page_as_written(recorded: MetricsService) -> None:
    """The code of the page about Discord, run as it stands, is traced."""
    page = run_blocks("docs/instrumentation/discord.md")
    run(lambda: page["bot"], said(content="!hello"))
    run(lambda: page["Helper"]("!", intents=intents()), said())
    assert session(recorded)["outcome"] == "delivered"


def test_switched_off(tmp_path: Path) -> None:
    """With recording switched off the bot answers as ever and nothing is written."""
    otel_metrics.configure(enabled=False, database=tmp_path / "m.db", log_file=tmp_path / "m.jsonl")

    def make() -> discord.Client:
        made = bot()

        @made.tree.command()
        async def ask(asked: discord.Interaction) -> None:
            await asked.response.send_message("x")
            note(KeyError())

        return made

    assert run(make, said(), asked(slash("ask"))).paths() == ["POST interactions/8001/*/callback"]
    assert list(tmp_path.iterdir()) == []
