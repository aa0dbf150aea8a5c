"""Slack apps are traced: real requests over HTTP with real signatures, against a Web API on loopback."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from slack_bolt import App
from slack_bolt.adapter.socket_mode.internals import run_bolt_app
from slack_bolt.app.app import SlackAppDevelopmentServer
from slack_bolt.lazy_listener import ThreadLazyListenerRunner
from slack_sdk import WebClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.base_client import BaseClient
from support.guides import run_blocks
from support.slack_api import (
    BOT_USER,
    CHANNEL,
    SECRET,
    TOKEN,
    USER,
    SlackApi,
    action,
    command,
    event,
    message,
    signed,
    view_submission,
)
from support.stores import only_row, rows

import otel_metrics
from otel_metrics import MetricsService
from otel_metrics.instrumentation.slack import SlackInstrumentor, traced

Json = dict[str, Any]
SECRET_WORDS = ("nobody else may read", TOKEN, "ResponseUrlThatMustNeverBeSeen", SECRET)


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


def serve(app: App, *bodies: Json, **how: Any) -> list[tuple[int, str]]:
    """Bolt's own HTTP server for an app, and Slack, which waits until the app is done with its requests."""
    server = SlackAppDevelopmentServer(0, "/slack/events", app, http_server_logger_enabled=False)
    http = server._server
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        url = f"http://127.0.0.1:{http.server_address[1]}/slack/events"
        return [_sent(url, body, **how) for body in bodies]
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
        app.listener_runner.listener_executor.shutdown()


class Bot:
    """An app of a test; `send()` is Slack."""

    def __init__(self, api: SlackApi, hook: Callable[[App], App] = lambda app: app, **more: Any) -> None:
        self.pool = ThreadPoolExecutor(4)
        client = WebClient(token=TOKEN, base_url=f"{api.url}/api/")
        self.app = hook(App(client=client, signing_secret=SECRET, listener_executor=self.pool, **more))

    def send(self, *bodies: Json, **how: Any) -> list[tuple[int, str]]:
        return serve(self.app, *bodies, **how)


def _sent(url: str, body: Json, **how: Any) -> tuple[int, str]:
    try:
        with urlopen(signed(url, body, **how), timeout=10) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def stages(service: MetricsService) -> list[Json]:
    return sorted(rows(service, "processing_metrics"), key=lambda row: row["start_time"])


def session(service: MetricsService) -> Json:
    return only_row(service, "sessions")


def everything(service: MetricsService) -> str:
    service.flush()
    kept = [rows(service, table) for table in ("sessions", "processing_metrics", "spans", "running", "logs")]
    return json.dumps(kept, default=str) + service.settings.log_file.read_text()


def test_a_message_and_its_answer_are_one_session(slack: SlackApi, instrumented: MetricsService) -> None:
    """A message that the app answers by `say()` is a delivered session: received, then delivered, with the API call below."""
    bot = Bot(slack)

    @bot.app.message("question")
    def answer(say: Any) -> None:
        say("an answer that nobody else may read")

    assert bot.send(message()) == [(200, "")]
    assert slack.methods() == ["chat.postMessage"]
    made = session(instrumented)
    assert made["outcome"] == "delivered"
    assert made["metadata"] | {"user_id": 0, "chat_id": 0} == {
        "platform": "slack", "message_kind": "text", "chat_type": "channel", "user_id": 0, "chat_id": 0,
    }  # fmt: skip
    assert (made["metadata"]["user_id"], made["metadata"]["chat_id"]) == (USER, CHANNEL)
    received, delivered = stages(instrumented)
    assert (received["stage"], received["success"]) == ("query_received", 1)
    assert (delivered["stage"], delivered["success"]) == ("user_delivery", 1)
    assert received["end_time"][:23] <= delivered["start_time"][:23]  # to the millisecond: two clocks measure
    (call,) = rows(instrumented, "spans", "name = 'slack chat.postMessage'")
    assert call["session_id"] == made["session_id"]
    assert call["parent_span_id"] == delivered["span_id"]


def test_neither_texts_nor_secrets_are_kept(slack: SlackApi, instrumented: MetricsService) -> None:
    """No word that somebody wrote, no token and no response URL stands in the store or the log, errors included."""
    bot = Bot(slack)
    slack.refuse["chat.postMessage"] = "a reason that nobody else may read"

    @bot.app.message("question")
    def answer(say: Any) -> None:
        say("an answer that nobody else may read")

    @bot.app.command("/ask")
    def ask(ack: Any, respond: Any) -> None:
        ack()
        respond("an answer that nobody else may read")

    bot.send(message(), command("/ask", "a question that nobody else may read", slack))
    kept = everything(instrumented)
    assert "chat.postMessage" in kept
    assert not [word for word in SECRET_WORDS if word in kept]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (message(), "text"),
        (message(subtype="message_changed", message={"user": USER, "text": "x"}), "edited_message"),
        (message(subtype="message_deleted", previous_message={"user": USER}), "deleted_message"),
        (message(subtype="file_share", files=[{"id": "F1", "mimetype": "image/png"}]), "photo"),
        (message(subtype="file_share", files=[{"id": "F1", "mimetype": "audio/webm"}]), "voice"),
        (message(subtype="file_share", files=[{"id": "F1", "mimetype": "application/pdf"}]), "document"),
        (message(subtype="channel_topic"), "channel_topic"),
        (event("app_mention", text="x"), "app_mention"),
        (event("reaction_added", reaction="eyes", item={"type": "message", "channel": CHANNEL, "ts": "1"}), "reaction_added"),
        (event("app_home_opened", tab="home"), "app_home_opened"),
        (view_submission("ask"), "view_submission"),
        ({**event("message"), "event": {"type": 7, "files": "?", "user": ["?"], "channel": {"?": 1}}}, "other"),
        ({**event("message"), "event": {"type": "message", "subtype": {}, "files": [None]}}, "document"),
        ({"type": ["?"], "user": None, "team": {"id": "T0TEAM"}}, "other"),
    ],
)  # fmt: skip
def test_every_kind_of_request_is_a_session_of_its_kind(
    slack: SlackApi, instrumented: MetricsService, body: Json, kind: str
) -> None:
    """What Slack sends, odd shapes too, becomes one session that tells what kind of thing it was."""
    bot = Bot(slack)
    bot.send(body)
    made = session(instrumented)
    assert (made["metadata"]["message_kind"], made["outcome"]) == (kind, "abandoned")
    assert [stage["stage"] for stage in stages(instrumented)] == ["query_received"]


def test_a_slash_command_tells_its_name_alone(slack: SlackApi, instrumented: MetricsService) -> None:
    """A command answered through `respond()` is delivered, and its session knows the command without its arguments."""
    bot = Bot(slack)

    @bot.app.command("/ask")
    def ask(ack: Any, respond: Any) -> None:
        ack()
        assert respond("later").status_code == 200

    bot.send(command("/ask", "a question that nobody else may read", slack))
    made = session(instrumented)
    assert made["outcome"] == "delivered"
    assert (made["metadata"]["command"], made["metadata"]["chat_type"]) == ("ask", "im")
    assert [stage["stage"] for stage in stages(instrumented)] == ["query_received", "user_delivery"]
    assert rows(instrumented, "spans", "name = 'slack response_url'")


def test_an_answer_within_ack_is_a_delivery(slack: SlackApi, instrumented: MetricsService) -> None:
    """`ack("text")` answers in the HTTP response itself: the session is delivered, without a stage for it."""
    bot = Bot(slack)

    @bot.app.command("/ask")
    def ask(ack: Any) -> None:
        ack("at once")

    ((status, text),) = bot.send(command("/ask", "", slack))
    assert (status, "at once" in text) == (200, True)
    assert session(instrumented)["outcome"] == "delivered"
    assert [stage["stage"] for stage in stages(instrumented)] == ["query_received"]


def test_a_refused_response_url_is_a_failed_delivery(slack: SlackApi, instrumented: MetricsService) -> None:
    """Where Slack takes no more answers for a click, `respond()` still returns what Slack said, and the session failed."""
    bot = Bot(slack)
    slack.refuse["response_url"] = "used_url"
    seen = []

    @bot.app.action("approve")
    def approve(ack: Any, respond: Any) -> None:
        ack()
        seen.append(respond("thanks").status_code)

    bot.send(action("approve", slack))
    assert seen == [404]
    assert session(instrumented)["outcome"] == "failed"
    assert session(instrumented)["metadata"]["message_kind"] == "block_actions"
    assert stages(instrumented)[1]["error_type"] == "otel_metrics.instrumentation.slack.NotAccepted"


def test_modals_are_deliveries(slack: SlackApi, instrumented: MetricsService) -> None:
    """Opening a modal shows the person something; sending it off is a session of its own."""
    bot = Bot(slack)

    @bot.app.shortcut("ask")
    def ask(ack: Any, client: Any, shortcut: Json) -> None:
        ack()
        client.views_open(trigger_id=shortcut["trigger_id"], view={"type": "modal", "callback_id": "ask"})

    @bot.app.view("ask")
    def asked(ack: Any, client: Any) -> None:
        ack()
        client.chat_postMessage(channel=USER, text="we will see")

    shortcut = {
        "type": "shortcut", "callback_id": "ask", "trigger_id": "1.2.3", "user": {"id": USER}, "team": {"id": "T0TEAM"},
    }  # fmt: skip
    bot.send(shortcut, view_submission("ask"))
    assert sorted(slack.methods()) == ["chat.postMessage", "views.open"]
    found = {row["metadata"]["message_kind"]: row["outcome"] for row in rows(instrumented, "sessions")}
    assert found == {"shortcut": "delivered", "view_submission": "delivered"}


def test_a_message_to_another_channel_is_no_delivery(slack: SlackApi, instrumented: MetricsService) -> None:
    """Handing a draft to the moderators' channel, or looking something up, gives the person nothing yet."""
    bot = Bot(slack)

    @bot.app.message("question")
    def hand_over(client: Any) -> None:
        client.users_info(user=USER)
        client.chat_postMessage(channel="C0MODERATORS", text="please look")

    bot.send(message())
    assert session(instrumented)["outcome"] == "abandoned"
    assert [stage["stage"] for stage in stages(instrumented)] == ["query_received"]
    assert len(rows(instrumented, "spans", "name IN ('slack chat.postMessage', 'slack users.info')")) == 2


def test_an_error_in_a_listener_is_the_sessions(slack: SlackApi, instrumented: MetricsService) -> None:
    """What a listener raises marks the session failed by its kind; the app's own error handler is called as ever."""
    bot = Bot(slack)
    handled = []

    @bot.app.error
    def on_error(error: Exception) -> None:
        handled.append(error)

    @bot.app.message("question")
    def answer() -> None:
        raise LookupError("a question that nobody else may read")

    bot.send(message())
    assert [type(error) for error in handled] == [LookupError]
    (received,) = stages(instrumented)
    assert (received["success"], received["error_type"]) == (0, "LookupError")
    assert session(instrumented)["outcome"] == "failed"
    assert "nobody else" not in everything(instrumented)


def test_a_refused_call_fails_its_stage_once(slack: SlackApi, instrumented: MetricsService) -> None:
    """An error of the Web API is told where it happened, in the delivery, and not again in what came before."""
    bot = Bot(slack)
    slack.refuse["chat.postMessage"] = "channel_not_found"
    bot.app.message("question")(lambda say: say("x"))
    bot.send(message())
    received, delivered = stages(instrumented)
    assert (received["success"], delivered["success"]) == (1, 0)
    assert delivered["error_type"] == "slack_sdk.errors.SlackApiError"
    assert session(instrumented)["outcome"] == "failed"


def test_an_error_in_a_middleware_is_the_sessions(slack: SlackApi, instrumented: MetricsService) -> None:
    """A middleware of the app's own that raises makes the session failed, and Slack gets the same 500 as without us."""
    bot = Bot(slack)

    @bot.app.middleware
    def broken() -> None:
        raise LookupError("broken")

    assert bot.send(message()) == [(500, "")]
    assert stages(instrumented)[0]["error_type"] == "LookupError"
    assert session(instrumented)["outcome"] == "failed"


def test_a_middleware_that_answers_belongs_to_the_session(slack: SlackApi, instrumented: MetricsService) -> None:
    """What the app's own middleware says to the person is a delivery, even where no listener follows."""
    bot = Bot(slack)

    @bot.app.middleware
    def closed(context: Any, next: Callable[[], None]) -> None:  # noqa: A002
        context.say("we are closed")
        next()

    bot.send(message())
    assert session(instrumented)["outcome"] == "delivered"


def test_lazy_listeners_keep_the_session_open(slack: SlackApi, instrumented: MetricsService) -> None:
    """Lazy listeners run after Slack has its answer: the session ends with the last of them and has what they did."""
    bot = Bot(slack)
    together = Barrier(2, timeout=10)

    def first(say: Any) -> None:
        together.wait()
        say("first")

    def second(respond: Any) -> None:
        together.wait()
        respond("second")

    bot.app.command("/ask")(ack=lambda ack: ack(), lazy=[first, second])
    bot.send(command("/ask", "", slack))
    assert sorted(slack.methods()) == ["chat.postMessage", "response_url"]
    assert session(instrumented)["outcome"] == "delivered"
    assert [stage["stage"] for stage in stages(instrumented)] == ["query_received", "user_delivery", "user_delivery"]


def test_an_error_in_a_lazy_listener_is_the_sessions(slack: SlackApi, instrumented: MetricsService) -> None:
    """Bolt only logs what a lazy listener raises; the session tells it."""
    bot = Bot(slack)

    def broken() -> None:
        raise LookupError("broken")

    bot.app.command("/ask")(ack=lambda ack: ack(), lazy=[broken])
    bot.send(command("/ask", "", slack))
    assert stages(instrumented)[0]["error_type"] == "LookupError"
    assert session(instrumented)["outcome"] == "failed"


def test_listeners_before_the_response(slack: SlackApi, instrumented: MetricsService) -> None:
    """With `process_before_response`, as on a function platform, listeners run within the request and are traced too."""
    bot = Bot(slack, process_before_response=True)
    bot.app.message("question")(lambda say: say("x"))
    bot.send(message())
    assert session(instrumented)["outcome"] == "delivered"


@pytest.mark.parametrize(
    ("body", "how", "status"),
    [
        (message(), {"secret": "somebody else's"}, 401),
        ({"type": "url_verification", "challenge": "c", "token": "t"}, {}, 200),
        (message(user=BOT_USER), {}, 200),
    ],
)
def test_what_is_nobodys_question_is_no_session(
    slack: SlackApi, instrumented: MetricsService, body: Json, how: Json, status: int
) -> None:
    """Forged requests, Slack's own checks and the bot's own messages leave no session."""
    bot = Bot(slack)
    assert [found for found, _ in bot.send(body, **how)] == [status]
    assert rows(instrumented, "sessions") == []


def test_a_second_delivery_of_an_event_is_told(slack: SlackApi, instrumented: MetricsService) -> None:
    """Slack sends an event again that was not answered in time: that session says which time it is."""
    Bot(slack).send(message(), headers={"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"})
    assert session(instrumented)["metadata"]["redelivery"] == "1"


def test_requests_at_once_are_sessions_of_their_own(slack: SlackApi, instrumented: MetricsService) -> None:
    """Listeners that run at the same time keep their sessions apart."""
    bot = Bot(slack)
    together = Barrier(3, timeout=10)

    @bot.app.message("question")
    def answer(say: Any) -> None:
        together.wait()
        say("x")

    bot.send(*(message(user=f"U{number}") for number in range(3)))
    made = rows(instrumented, "sessions")
    assert {(row["metadata"]["user_id"], row["outcome"]) for row in made} == {(f"U{n}", "delivered") for n in range(3)}
    assert len({row["session_id"] for row in stages(instrumented)}) == 3
    assert len(stages(instrumented)) == 6


def test_stages_of_the_bots_own_are_in_the_session(slack: SlackApi, instrumented: MetricsService) -> None:
    """A stage that the listener times itself takes over from `query_received`."""
    from otel_metrics.instrumentation.handling import current_handling

    bot = Bot(slack)

    @bot.app.message("question")
    def answer(say: Any) -> None:
        handling = current_handling()
        assert handling is not None
        with handling.stage("ai_processing"):
            pass
        say("x")

    bot.send(message())
    assert [row["stage"] for row in stages(instrumented)] == ["query_received", "ai_processing", "user_delivery"]


def test_one_app_alone(slack: SlackApi, recorded: MetricsService) -> None:
    """`traced(app)` traces that app, its `say` and `respond`, without the instrumentor."""
    bot, other = Bot(slack, traced), Bot(slack)

    for app in (bot.app, other.app):
        app.message("question")(lambda say: say("x"))
        app.command("/ask")(ack=lambda ack: ack(), lazy=[lambda respond: respond("x")])
    other.send(message())
    assert rows(recorded, "sessions") == []
    bot.send(message(), command("/ask", "", slack))
    assert [row["outcome"] for row in rows(recorded, "sessions")] == ["delivered", "delivered"]
    assert len(rows(recorded, "spans", "name LIKE 'slack %'")) == 2


def test_both_ways_together_record_once(slack: SlackApi, instrumented: MetricsService) -> None:
    """An app that asks for tracing under the instrumentor has one session and one span a call."""
    bot = Bot(slack, traced)
    bot.app.message("question")(lambda say: say("x"))
    bot.send(message())
    assert session(instrumented)["outcome"] == "delivered"
    assert len(rows(instrumented, "spans", "name = 'slack chat.postMessage'")) == 1


def test_the_page_as_written(slack: SlackApi, recorded: MetricsService, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of the page about Slack, run as it stands, is traced."""
    monkeypatch.setenv("SLACK_BOT_TOKEN", TOKEN)
    monkeypatch.setenv("SLACK_SIGNING_SECRET", SECRET)
    defaults = tuple(
        f"{slack.url}/api/" if one == WebClient.BASE_URL else one for one in BaseClient.__init__.__defaults__
    )
    monkeypatch.setattr(BaseClient.__init__, "__defaults__", defaults)
    try:
        serve(run_blocks("docs/instrumentation/slack.md")["app"], message("hello"))
    finally:
        SlackInstrumentor().uninstrument()
    assert slack.methods() == ["chat.postMessage"]
    assert session(recorded)["outcome"] == "delivered"


def test_a_handler_that_replaces_ours_is_traced_again(slack: SlackApi, instrumented: MetricsService) -> None:
    """An adapter that puts its own lazy runner into the app, as Django's does, keeps it, and the session sees through it."""
    started = []

    class Own(ThreadLazyListenerRunner):
        def start(self, function: Any, request: Any) -> None:
            started.append(function.__name__)
            super().start(function, request)

    bot = Bot(slack)

    def answer(respond: Any) -> None:
        respond("x")

    bot.app.command("/ask")(ack=lambda ack: ack(), lazy=[answer])
    bot.app.listener_runner.lazy_listener_runner = Own(bot.app.logger, bot.pool)
    bot.send(command("/ask", "", slack))
    assert started == ["answer"]
    assert session(instrumented)["outcome"] == "delivered"


def test_socket_mode(slack: SlackApi, instrumented: MetricsService) -> None:
    """Requests that come through a socket are sessions as those over HTTP are."""
    bot = Bot(slack)
    bot.app.message("question")(lambda say: say("x"))
    request = SocketModeRequest(type="events_api", envelope_id="e", payload=message(), retry_attempt=0)
    run_bolt_app(bot.app, request)
    bot.pool.shutdown()
    assert session(instrumented)["outcome"] == "delivered"


def test_the_bots_name_and_handlers_stay(slack: SlackApi, instrumented: MetricsService) -> None:
    """An app is named after the file that makes it, and its own executor and error handler do what they did."""
    assert (
        App(client=WebClient(token=TOKEN, base_url=f"{slack.url}/api/"), signing_secret=SECRET).name == "test_slack.py"
    )


def test_calls_outside_of_a_request_are_no_session(slack: SlackApi, instrumented: MetricsService) -> None:
    """What the bot sends on its own, such as a daily report, is a span without a session."""
    WebClient(token=TOKEN, base_url=f"{slack.url}/api/").chat_postMessage(channel=CHANNEL, text="good morning")
    assert rows(instrumented, "sessions") == []
    assert slack.methods() == ["chat.postMessage"]


def test_a_provider_of_the_users_own(slack: SlackApi, recorded: MetricsService) -> None:
    """Spans go to the provider that was given, each once and in one trace, without texts, tokens and Slack's ids."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    instrumentor = SlackInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        bot = Bot(slack)
        bot.app.message("question")(lambda say: say("x"))
        bot.send(message())
    finally:
        otel_metrics.get_metrics_service().flush()
        instrumentor.uninstrument()
    sent = "".join(span.to_json() for span in kept.get_finished_spans())
    assert not [word for word in (*SECRET_WORDS, USER, CHANNEL) if word in sent]
    names = [span.name for span in kept.get_finished_spans()]
    assert [names.count(name) for name in ("query_received", "user_delivery", "slack chat.postMessage")] == [1, 1, 1]
    assert len({span.context.trace_id for span in kept.get_finished_spans() if "auth" not in span.name}) == 1


def test_an_assistant(slack: SlackApi, instrumented: MetricsService) -> None:
    """An assistant's thread, which Bolt handles in a middleware, is a session as other messages are."""
    assistant = pytest.importorskip("slack_bolt.middleware.assistant").Assistant()

    @assistant.user_message
    def answer(say: Any, set_status: Any) -> None:
        set_status("thinking")
        say("x")

    bot = Bot(slack)
    bot.app.use(assistant)
    body = event("message", text="a question", channel="D0DIRECT", channel_type="im", thread_ts="1767268800.000001")
    bot.send(body)
    assert session(instrumented)["outcome"] == "delivered"
    assert session(instrumented)["metadata"]["chat_type"] == "im"
    assert {"assistant.threads.setStatus", "chat.postMessage"} <= {name.split("?")[0] for name in slack.methods()}


def test_switched_off(slack: SlackApi, tmp_path: Any) -> None:
    """With recording switched off the bot answers as ever and nothing is written."""
    otel_metrics.configure(enabled=False, database=tmp_path / "m.db", log_file=tmp_path / "m.jsonl")
    instrumentor = SlackInstrumentor()
    instrumentor.instrument()
    try:
        bot = Bot(slack)
        bot.app.command("/ask")(ack=lambda ack: ack("x"), lazy=[lambda respond: respond("y")])
        bot.app.message("question")(lambda say: say("x"))
        assert [status for status, _ in bot.send(message(), command("/ask", "", slack))] == [200, 200]
    finally:
        instrumentor.uninstrument()
    assert sorted(slack.methods()) == ["chat.postMessage", "response_url"]
    assert list(tmp_path.iterdir()) == []


def test_taken_out_again(slack: SlackApi, recorded: MetricsService) -> None:
    """After `uninstrument()` apps are as the framework makes them."""
    before = (App.__init__, App.dispatch, WebClient.api_call)
    instrumentor = SlackInstrumentor()
    instrumentor.instrument()
    assert App.dispatch is not before[1]
    instrumentor.uninstrument()
    assert (App.__init__, App.dispatch, WebClient.api_call) == before
