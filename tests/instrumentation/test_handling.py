"""The session of one update: what ends it, and how, whatever becomes of the service and of the item made from it."""

import pytest
from support.stores import only_row

import otel_metrics
from otel_metrics import ModerationItem
from otel_metrics.instrumentation import bot_api, slack_requests
from otel_metrics.instrumentation.handling import handle
from otel_metrics.testing import temporary_service


@pytest.mark.parametrize("change", ["retention_days", "database"])
def test_a_service_made_anew_inside_a_handler(service, tmp_path, change):
    """The session ends in the store that it began in, with the stage that the handler opened through its handling."""
    before = service.settings
    values = {"database": before.database, "log_file": before.log_file, "retention_days": before.retention_days}
    if change == "database":
        values |= {"database": tmp_path / "other" / "metrics.db", "log_file": tmp_path / "other" / "metrics.jsonl"}
    else:
        values["retention_days"] = 7.0
    with handle(1, 2, {"platform": "telegram"}) as handling:
        otel_metrics.configure(strict=True, drain_interval_s=0, **values)
        with handling.stage("user_delivery"):
            pass
        handling.delivery_ended(delivered=True)
    otel_metrics.shutdown()
    with temporary_service(tmp_path) as again:
        assert only_row(again, "sessions")["outcome"] == "delivered"
        assert only_row(again, "processing_metrics", "stage = 'user_delivery'")["success"] == 1


def test_a_handler_that_fails_after_it_made_an_item(service):
    """The item may be in the queue by then: its session stays open for it, and the error passes unchanged."""
    with pytest.raises(ConnectionError), handle(1, 2, {"platform": "telegram"}):
        ModerationItem.create(draft="The shop opens at nine")
        raise ConnectionError
    assert only_row(service, "sessions")["outcome"] is None
    assert only_row(service, "processing_metrics")["error_type"] == "ConnectionError"


class Mute:
    """A value that fails whatever it is asked."""

    __hash__ = None

    def __bool__(self):
        raise ValueError

    def __str__(self):
        raise ValueError


@pytest.mark.parametrize(
    ("chat", "expected"),
    [(-5, True), ("-5", True), ("7", True), (8, False), (["-5"], False), ({}, False), (Mute(), False), (None, True)],
)
def test_a_chat_may_be_anything(service, chat, expected):
    """Numbers and text are compared as text; what can be neither is another chat, and raises nothing into the bot."""
    with handle(7, -5, {"platform": "telegram"}) as handling:
        assert bot_api.delivers("sendMessage", {"chat_id": chat}, handling) is expected
        assert slack_requests.delivers("chat.postMessage", {"channel": chat}, handling) is expected
