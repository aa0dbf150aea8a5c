"""A bot's process whose records reach every metric and every kind of span: what dashboards and rules are checked against."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.gateway import Gateway
from support.processes import finish, start

_BOT = """
    import resource, signal, sys, warnings
    from datetime import UTC, datetime, timedelta
    from opentelemetry import trace
    from otel_metrics import ModerationItem, create_session, end_session, get_metrics_service, record_stage, timer

    def model_call():
        attributes = {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
        }
        with trace.get_tracer("model").start_as_current_span("chat gpt-4o-mini", attributes=attributes) as span:
            span.set_attribute("gen_ai.response.model", "gpt-4o-mini")
            span.set_attribute("gen_ai.usage.input_tokens", 1200)
            span.set_attribute("gen_ai.usage.output_tokens", 300)

    def past(session, stage, seconds, **more):
        end = datetime.now(UTC)
        record_stage(session, 7, 7, stage, start_time=end - timedelta(seconds=seconds), end_time=end, platform="telegram", **more)

    def moderated(decide, text):
        session = create_session(7, 7, platform="telegram")
        past(session, "query_received", 0.05)
        past(session, "ai_processing", 12, prompt_version="v3")
        with timer(session, 7, 7, "ai_processing", platform="telegram", retry_count=1):
            model_call()
        item = ModerationItem.create(session_id=session, user_id=7, chat_id=7, message_id=1, draft="It is open.")
        with item.review(99) as review:
            decide(review)
        if text is not None:
            with item.delivery(text):
                pass
        else:
            end_session(session, "rejected")

    for _ in range(8):
        moderated(lambda review: review.approve(), "It is open.")
    for kind in ("text_correction", "voice_correction", "style_improvement", "factual_correction"):
        moderated(lambda review: review.edit("It is closed.", kind, satisfaction=2, processing_time_ms=4000), "It is closed.")
    moderated(lambda review: review.reject("off_topic", satisfaction=1), None)
    moderated(lambda review: review.approve(), "Something else.")
    session = create_session(7, 7)
    past(session, "ai_processing", 30, success=False)
    end_session(session, "failed")

    # A disk that is full for a moment: what it refuses is counted.
    log = get_metrics_service().settings.log_file
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, unlimited[1]))
    past(create_session(7, 7), "ai_processing", 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)

    waiting = create_session(7, 7)
    past(waiting, "ai_processing", 3)
    get_metrics_service().flush()
    print("recorded", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def fed(gateway: Gateway, folder: Path) -> Iterator[None]:
    """The bot while it is still there, with all that it recorded sent; a process that ends takes its exemplars along."""
    bot = start(
        _BOT, folder, OTEL_EXPORTER_OTLP_ENDPOINT=gateway.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_SERVICE_NAME="fed-bot", METRICS_DRAIN_INTERVAL="0.05",
    )  # fmt: skip
    try:
        assert bot.stdout is not None
        told = bot.stdout.readline()
        yield
    finally:
        rest = finish(bot)
    assert told == "recorded\n", rest
