"""The delivery: the last stages, the session's end, and what goes out otherwise than a moderator approved."""

import asyncio
import json

import pytest
from support.stores import only_row, rows

from otel_metrics import ModerationItem


def decided(service, verdict="approve", *arguments, draft="The shop opens at nine", **more) -> ModerationItem:
    """An item with a verdict, as the next process opens it."""
    session = service.create_session(1, 2)
    with service.timer(session, 1, 2, "ai_processing") as stage:
        stage.text(draft)
    item = ModerationItem.create(session, 1, 2, draft=draft, **more)
    item = ModerationItem.from_string(str(item))
    with item.review(901) as review:
        getattr(review, verdict)(*arguments)
    return ModerationItem.from_string(str(item))


def delivered(service) -> dict:
    return only_row(service, "processing_metrics", "stage = 'user_delivery'")


@pytest.mark.parametrize("carry_texts", [True, False])
@pytest.mark.parametrize(("verdict", "arguments"), [("approve", ()), ("edit", ("At ten",)), ("approve", ("At ten",))])
def test_what_was_approved_goes_out_unmarked(service, clock, verdict, arguments, carry_texts):
    """Draft or corrected text, carried or not: the delivery is as approved, here and in the question about oversight."""
    item = decided(service, verdict, *arguments, carry_texts=carry_texts)
    answer = arguments[0] if arguments else "The shop opens at nine"
    assert item.text == (answer if carry_texts else None)
    clock.advance(60)
    with item.delivery(answer, channel="chat") as delivery:
        clock.advance(1)
    row = delivered(service)
    assert (row["metadata"]["approval"], row["metadata"]["channel"], row["duration_ms"]) == (
        "as_approved",
        "chat",
        1000,
    )
    assert row["events"] is None
    assert rows(service, "logs") == []
    assert delivery.outcome == only_row(service, "sessions")["outcome"] == "delivered"
    document = service.answers.oversight(24)
    assert (document["deliveries"], document["deliveries_as_approved"]) == (1, 1)


@pytest.mark.parametrize("carry_texts", [True, False])
def test_another_text_than_was_approved_is_marked(service, clock, carry_texts):
    """One space more is another text: stage, event, log line, count and oversight say so, and no text is kept."""
    item = decided(service, carry_texts=carry_texts)
    counted = []
    service.kit.instruments.deliveries.add = lambda *values: counted.append(values[1])
    clock.advance(60)
    with item.delivery("The shop opens at nine "):
        pass
    row = delivered(service)
    assert row["metadata"]["approval"] == "differs"
    (event,) = row["events"]
    line = only_row(service, "logs")
    hashes = service.kit.hasher.text("The shop opens at nine"), service.kit.hasher.text("The shop opens at nine ")
    assert (event["name"], event["attributes"]["hitl.delivery.approval"]) == (
        "hitl.delivery.not_as_approved",
        "differs",
    )
    assert (line["level"], line["event_type"], line["session_id"]) == ("warning", "delivery_differs", item.session_id)
    assert (line["fields"]["approved_hash"], line["fields"]["delivered_hash"]) == hashes
    assert counted == [{"hitl.delivery.approval": "differs"}]
    assert only_row(service, "sessions")["outcome"] == "delivered"
    (found,) = service.answers.oversight(24)["differing"]
    assert (found["moderator_id"], found["approved_hash"], found["delivered_hash"]) == (901, *hashes)
    assert b"opens at nine" not in service.settings.log_file.read_bytes()


def test_a_delivery_after_a_rejection_is_marked(service, clock):
    """The session stays rejected, and the delivery is listed as one that nobody should have let out."""
    item = decided(service, "reject")
    clock.advance(60)
    with item.delivery("The shop opens at nine"):
        pass
    assert delivered(service)["metadata"]["approval"] == "after_rejection"
    assert only_row(service, "logs")["event_type"] == "delivery_after_rejection"
    assert only_row(service, "sessions")["outcome"] == "rejected"
    assert service.answers.oversight(24)["deliveries_after_rejection"] == 1


def test_an_item_without_a_verdict_does_not_know(service):
    """A string that was made before the review can not tell what was approved, and says what to do."""
    item = ModerationItem.create(service.create_session(1, 2), 1, 2, draft="d")
    with item.delivery("d"):
        pass
    assert delivered(service)["metadata"]["approval"] == "not_known"
    assert "as it is after the review" in only_row(service, "logs")["message"]


def test_hashes_of_another_key_are_not_compared(service):
    """Of an item from a process with another key it is known that another text goes out, never that it is as approved."""
    for carry_texts, out, approval in (
        (True, "The shop opens at nine", "not_known"),
        (True, "At ten", "differs"),
        (False, "The shop opens at nine", "not_known"),
    ):
        text = str(decided(service, carry_texts=carry_texts))
        mark = service.kit.hasher.text("")
        item = ModerationItem.from_string(text.replace(mark, "0" * 16))
        with item.delivery(out):
            pass
        found = rows(service, "processing_metrics", "stage = 'user_delivery' AND session_id = ?", item.session_id)
        assert found[0]["metadata"]["approval"] == approval


def test_preparing_the_answer_is_the_final_response(service, clock):
    """Without a text the block begins with final_response; sending() begins the delivery."""
    with decided(service).delivery() as delivery:
        clock.advance(2)
        delivery.sending("The shop opens at nine")
        clock.advance(3)
    found = {row["stage"]: row["duration_ms"] for row in rows(service, "processing_metrics")}
    assert (found["final_response"], found["user_delivery"]) == (2000, 3000)
    assert delivered(service)["metadata"]["approval"] == "as_approved"


def test_the_last_told_text_is_what_went_out(service, clock):
    """Who finds while sending that the text must be cut tells it, and that is compared."""
    item = decided(service)
    clock.advance(60)
    with item.delivery("The shop opens at nine") as delivery:
        delivery.sending("The shop")
    assert delivered(service)["metadata"]["approval"] == "differs"
    assert service.answers.oversight(24)["deliveries_differing"] == 1


def test_a_failed_delivery_fails_the_session_and_the_error_passes(service):
    """The caller gets its own exception; stage and session are failed, and nothing is said about the text."""
    item, error = decided(service), ConnectionError("blocked")
    with pytest.raises(ConnectionError) as raised, item.delivery("other") as delivery:
        raise error
    assert raised.value is error
    assert (delivery.outcome, only_row(service, "sessions")["outcome"]) == ("failed", "failed")
    assert delivered(service)["error_type"] == "ConnectionError"
    assert rows(service, "logs") == []


def test_a_failure_without_an_exception(service):
    """fail() is for who gets a refusal as a value."""
    with decided(service).delivery("The shop opens at nine") as delivery:
        delivery.fail("the user has blocked the bot")
    assert delivered(service)["success"] == 0
    assert only_row(service, "sessions")["outcome"] == "failed"


def test_a_failure_while_preparing(service):
    """An exception before sending() fails final_response and the session; there is no delivery."""
    with pytest.raises(ValueError, match="markup"), decided(service).delivery():
        raise ValueError("markup")
    row = only_row(service, "processing_metrics", "stage = 'final_response'")
    assert row["error_type"] == "ValueError"
    assert rows(service, "processing_metrics", "stage = 'user_delivery'") == []
    assert only_row(service, "sessions")["outcome"] == "failed"


def test_nothing_sent_is_a_failure(service):
    """A block that was given no text and told none has delivered nothing."""
    with decided(service).delivery():
        pass
    assert only_row(service, "processing_metrics", "stage = 'final_response'")["error_message"] == "nothing was sent"
    assert only_row(service, "sessions")["outcome"] == "failed"


def test_another_try_may_follow(service):
    """With may_retry a failure leaves the session open, and the try that succeeds ends it."""
    item = decided(service)
    with pytest.raises(TimeoutError), item.delivery("The shop opens at nine", may_retry=True):
        raise TimeoutError
    assert only_row(service, "sessions")["outcome"] is None
    with item.delivery("The shop opens at nine"):
        pass
    assert only_row(service, "sessions")["outcome"] == "delivered"


def test_a_bot_that_is_stopped_in_a_delivery_may_go_on_later(service):
    """Cancellation decides nothing about the session: after the restart the same item is delivered."""

    async def stopped() -> None:
        async with decided(service).delivery("The shop opens at nine"):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(stopped())
    assert delivered(service)["error_type"] == "asyncio.exceptions.CancelledError"
    assert only_row(service, "sessions")["outcome"] is None


def test_a_verdict_without_a_hash_is_not_believed(service):
    """An item that says approved, with a text and no hash of it, does not make a delivery one as approved."""
    fields = json.loads(str(ModerationItem.create(service.create_session(1, 2), 1, 2, draft="d")))
    item = ModerationItem.from_string(json.dumps({**fields, "decision": "approved", "text": "Anything"}))
    with item.delivery("Anything"):
        pass
    assert delivered(service)["metadata"]["approval"] == "not_known"


@pytest.mark.parametrize("text", ["The shop opens at nine", None])
def test_the_message_of_an_exception_is_not_kept(service, text):
    """A platform may quote the text that it refuses: the stage is told the exception's type and nothing else."""
    with pytest.raises(ValueError, match="zebra"), decided(service).delivery(text):
        raise ValueError("can not send 'zebra'")
    failed = only_row(service, "processing_metrics", "success = 0")
    assert (failed["error_type"], failed["error_message"]) == ("ValueError", "ValueError")
    assert b"zebra" not in service.settings.log_file.read_bytes()
