"""Asynchronous Slack apps are traced: Bolt's own aiohttp server, real signatures, a Web API on loopback."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest
import slack_sdk.version
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from support.slack_api import APP_TOKEN, SECRET, TOKEN, USER, SlackApi, action, command, message, signed
from support.stores import only_row, rows

from otel_metrics import MetricsService
from otel_metrics.instrumentation.slack import SlackInstrumentor
from otel_metrics.instrumentation.slack_async import traced_async

Json = dict[str, Any]
_LISTENERS = ("run_ack_function_asynchronously", "to_runnable_function")


@pytest.fixture
def slack() -> Iterator[SlackApi]:
    """A Web API of this test's own."""
    with SlackApi() as api:
        yield api


@pytest.fixture
def instrumented(recorded: MetricsService) -> Iterator[MetricsService]:
    """A service, and every app made from now on traced into it."""
    instrumentor = SlackInstrumentor()
    instrumentor.instrument()
    yield recorded
    instrumentor.uninstrument()


def send(
    api: SlackApi, told: Callable[[AsyncApp], object], *bodies: Json, hook: Callable[[AsyncApp], AsyncApp] = lambda app: app,
    **more: Any,
) -> list[int]:  # fmt: skip
    """Makes an app, tells it its listeners, and sends requests at once; comes back when every listener is done."""

    async def run() -> list[int]:
        client = AsyncWebClient(token=TOKEN, base_url=f"{api.url}/api/")
        app = hook(AsyncApp(client=client, signing_secret=SECRET, **more))
        told(app)
        runner = aiohttp.web.AppRunner(app.web_app(path="/slack/events"))
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            async with aiohttp.ClientSession() as session:
                url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
                found = await asyncio.gather(*(_sent(session, url, body) for body in bodies))
                await asyncio.gather(*_running_listeners())
            return found
        finally:
            await runner.cleanup()

    return asyncio.run(run())


async def _sent(session: aiohttp.ClientSession, url: str, body: Json) -> int:
    request = signed(url, body)
    async with session.post(url, data=request.data, headers=dict(request.header_items())) as response:
        return response.status


def _running_listeners() -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if task.get_coro().__qualname__.endswith(_LISTENERS)]


def stages(service: MetricsService) -> list[Json]:
    return sorted(rows(service, "processing_metrics"), key=lambda row: row["start_time"])


def test_a_message_and_its_answer_are_one_session(slack: SlackApi, instrumented: MetricsService) -> None:
    """A message answered by `say()` is a delivered session, although the listener runs after Slack has its answer."""

    def told(app: AsyncApp) -> None:
        @app.message("question")
        async def answer(say: Any) -> None:
            await asyncio.sleep(0)
            await say("an answer")

    assert send(slack, told, message()) == [200]
    assert only_row(instrumented, "sessions")["outcome"] == "delivered"
    received, delivered = stages(instrumented)
    assert (received["stage"], delivered["stage"]) == ("query_received", "user_delivery")
    (call,) = rows(instrumented, "spans", "name = 'slack chat.postMessage'")
    assert call["parent_span_id"] == delivered["span_id"]


def test_requests_at_once_are_sessions_of_their_own(slack: SlackApi, instrumented: MetricsService) -> None:
    """Listeners that wait for each other keep their sessions apart."""

    def told(app: AsyncApp) -> None:
        together = asyncio.Barrier(3)

        @app.message("question")
        async def answer(say: Any) -> None:
            await together.wait()
            await say("x")

    send(slack, told, *(message(user=f"U{number}") for number in range(3)))
    made = rows(instrumented, "sessions")
    assert {(row["metadata"]["user_id"], row["outcome"]) for row in made} == {(f"U{n}", "delivered") for n in range(3)}
    assert len(stages(instrumented)) == 6


def test_lazy_listeners_keep_the_session_open(slack: SlackApi, instrumented: MetricsService) -> None:
    """The session ends with the last lazy listener; what one of them raises is told, and the others go on."""

    def told(app: AsyncApp) -> None:
        async def acknowledge(ack: Any) -> None:
            await ack()

        async def answer(respond: Any) -> None:
            await asyncio.sleep(0)
            await respond("x")

        async def broken() -> None:
            raise LookupError

        app.command("/ask")(ack=acknowledge, lazy=[answer, broken])

    send(slack, told, command("/ask", "", slack))
    assert slack.methods() == ["response_url"]
    assert only_row(instrumented, "sessions")["outcome"] == "failed"
    received, delivered = stages(instrumented)
    assert (received["error_type"], delivered["success"]) == ("LookupError", 1)


def test_errors_and_the_apps_own_handler(slack: SlackApi, instrumented: MetricsService) -> None:
    """What a listener and what a middleware raises fails its session, and the app's error handler sees both."""
    handled: list[str] = []

    def told(app: AsyncApp) -> None:
        @app.middleware
        async def checked(body: Json, next: Any) -> None:  # noqa: A002
            if body.get("type") == "block_actions":
                raise KeyError
            await next()

        @app.message("question")
        async def answer() -> None:
            raise LookupError

        @app.error
        async def on_error(error: Exception) -> None:
            handled.append(type(error).__name__)

    assert sorted(send(slack, told, message(), action("approve", slack))) == [200, 500]
    assert sorted(handled) == ["KeyError", "LookupError"]
    assert sorted(row["error_type"] for row in stages(instrumented)) == ["KeyError", "LookupError"]
    assert {row["outcome"] for row in rows(instrumented, "sessions")} == {"failed"}


def test_a_refused_answer_fails_its_stage(slack: SlackApi, instrumented: MetricsService) -> None:
    """A call that Slack refuses is a failed delivery; the stage before it succeeded."""
    slack.refuse["chat.postMessage"] = "channel_not_found"

    def told(app: AsyncApp) -> None:
        @app.message("question")
        async def answer(say: Any) -> None:
            await say("x")

    send(slack, told, message())
    received, delivered = stages(instrumented)
    assert (received["success"], delivered["success"]) == (1, 0)
    assert only_row(instrumented, "sessions")["outcome"] == "failed"


def test_no_listener_no_delivery(slack: SlackApi, instrumented: MetricsService) -> None:
    """A message that no listener takes is an abandoned session, and it ends."""
    assert send(slack, lambda _: None, message()) == [404]
    assert only_row(instrumented, "sessions")["outcome"] == "abandoned"


@pytest.mark.parametrize("hook", [lambda app: app, traced_async])
def test_listeners_before_the_response(slack: SlackApi, instrumented: MetricsService, hook: Any) -> None:
    """With `process_before_response` listeners run within the request; both ways of asking together record once."""

    def told(app: AsyncApp) -> None:
        @app.message("question")
        async def answer(client: Any) -> None:
            await client.chat_postMessage(channel=USER, text="x")

    send(slack, told, message(), hook=hook, process_before_response=True)
    assert only_row(instrumented, "sessions")["outcome"] == "delivered"
    assert len(rows(instrumented, "spans", "name = 'slack chat.postMessage'")) == 1


def test_one_app_alone(slack: SlackApi, recorded: MetricsService) -> None:
    """`traced_async(app)` traces that app, its `say` and `respond`, without the instrumentor."""

    def told(app: AsyncApp) -> None:
        @app.message("question")
        async def answer(say: Any) -> None:
            await say("x")

        @app.action("approve")
        async def approve(ack: Any, respond: Any) -> None:
            await ack()
            await respond("x")

    send(slack, told, message())
    assert rows(recorded, "sessions") == []
    send(slack, told, message(), action("approve", slack), hook=traced_async)
    assert [row["outcome"] for row in rows(recorded, "sessions")] == ["delivered", "delivered"]


@pytest.mark.skipif(
    slack_sdk.version.__version__.startswith("3.21."),
    reason="this slack_sdk sends pings as text, which the aiohttp of today refuses",
)
def test_socket_mode(slack: SlackApi, instrumented: MetricsService) -> None:
    """Requests that come through a socket, from a server that speaks Slack's envelopes, are sessions as those over HTTP are."""
    acknowledged: list[str] = []

    async def talk(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1})
        envelope = {"type": "events_api", "envelope_id": "e1", "payload": message(), "accepts_response_payload": False}
        await socket.send_json(envelope)
        acknowledged.append((await socket.receive_json())["envelope_id"])
        done.set()
        await socket.receive()
        return socket

    async def play() -> None:
        server = aiohttp.web.Application()
        server.router.add_get("/", talk)
        runner = aiohttp.web.AppRunner(server)
        await runner.setup()
        await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
        slack.socket_url = f"ws://127.0.0.1:{runner.addresses[0][1]}/"
        app = AsyncApp(client=AsyncWebClient(token=TOKEN, base_url=f"{slack.url}/api/"), signing_secret=SECRET)

        @app.message("question")
        async def answer(say: Any) -> None:
            await say("x")

        web = AsyncWebClient(token=APP_TOKEN, base_url=f"{slack.url}/api/")
        handler = AsyncSocketModeHandler(app, APP_TOKEN, web_client=web)
        await handler.connect_async()
        await done.wait()
        await asyncio.gather(*_running_listeners())
        await handler.close_async()
        await runner.cleanup()

    done = asyncio.Event()
    asyncio.run(asyncio.wait_for(play(), 20))
    assert acknowledged == ["e1"]
    assert slack.methods() == ["apps.connections.open", "chat.postMessage"]
    assert only_row(instrumented, "sessions")["outcome"] == "delivered"
