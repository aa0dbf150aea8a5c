"""The review: a wait that is told once, the moderator's time, and what each verdict leaves in the store."""

import asyncio
import json
import threading

import pytest
from opentelemetry.context import get_current
from support.stores import count, only_row, rows
from support.tiers import move_to_segments

from otel_metrics import ModerationItem, create_session, timer
from otel_metrics.testing import SteppedClock, temporary_service

HOURS = 5 * 3600


def made(service, clock, draft="The shop opens at nine", **more) -> ModerationItem:
    """An item that has waited for five hours."""
    session = service.create_session(1, 2)
    item = ModerationItem.create(session, 1, 2, message_id=77, draft=draft, **more)
    clock.advance(HOURS)
    return ModerationItem.from_string(str(item))


def stages(service) -> list[tuple[str, int]]:
    """Every stage with its seconds, in order."""
    found = rows(service, "processing_metrics", "true ORDER BY start_time, end_time")
    return [(row["stage"], row["duration_ms"] // 1000) for row in found]


def test_taking_an_item_tells_its_wait_and_opens_the_review(service, clock):
    """Five hours of waiting and half a minute of reading are two stages side by side under the session's root."""
    item = made(service, clock, platform="telegram")
    with item.review(901) as review:
        clock.advance(30)
        review.approve()
        clock.advance(60)
    assert stages(service) == [("moderation_queue", HOURS), ("admin_review", 30)]
    wait, looked = rows(service, "processing_metrics", "true ORDER BY start_time")
    assert wait["parent_span_id"] == looked["parent_span_id"] != ""
    assert wait["metadata"] == {"platform": "telegram", "message_id": "77"}
    assert looked["metadata"]["admin_user_id"] == 901
    assert looked["metadata"]["decision"] == review.decision == item.decision == "approved"
    assert item.text == item.draft
    assert count(service, "correction_metrics") == 0


def test_a_wait_is_one_row_however_often_the_item_is_opened(service, clock):
    """Opened twice and reviewed twice, also after the session is over and moved away, an item has waited once."""
    text = str(made(service, clock))
    for moderator in (901, 902):
        with ModerationItem.from_string(text).review(moderator) as review:
            review.approve()
        service.kit.waits.clear()  # as in another process
        clock.advance(60)
    assert [stage for stage, _ in stages(service)].count("moderation_queue") == 1
    service.end_session(ModerationItem.from_string(text).session_id)
    move_to_segments(service)
    with ModerationItem.from_string(text).review(903) as review:
        review.approve()
    (found,) = service.sql(
        "SELECT count(*) AS n, sum(duration_ms) AS ms FROM processing_metrics WHERE stage = 'moderation_queue'"
    )
    assert found == {"n": 1, "ms": HOURS * 1000}
    assert service.sql("SELECT count(*) AS n FROM processing_metrics WHERE stage = 'admin_review'") == [{"n": 3}]


def test_agreement_of_two_moderators_is_known_from_their_reviews(service, clock):
    """Two verdicts about one item are one item that two people decided; the session's outcome is the first end's."""
    text = str(made(service, clock))
    with ModerationItem.from_string(text).review(901) as review:
        review.approve()
    with ModerationItem.from_string(text).review(902) as review:
        review.reject("tone")
    (pair,) = service.answers.moderators(24)["agreement"]
    assert (pair["one_id"], pair["other_id"], pair["items"]) == (901, 902, 1)


def test_an_edit_is_a_correction_with_its_edit_size(service, clock):
    """The draft against the corrected text, with who, what kind and how long it took; neither text is kept."""
    item = made(service, clock)
    with item.review(901) as review:
        clock.advance(40)
        review.edit(
            "The shop opens at ten", "factual_correction", voice_transcription_time_ms=1500, ai_correction_time_ms=700,
            satisfaction=4, retry_count=2, transcription_quality="good",
        )  # fmt: skip
    row = only_row(service, "correction_metrics")
    assert (row["admin_user_id"], row["message_id"], row["correction_type"]) == (901, "77", "factual_correction")
    assert (row["word_edit_rate"], row["original_length"], row["corrected_length"]) == (0.2, 22, 21)
    assert (row["processing_time_ms"], row["voice_transcription_time_ms"], row["ai_correction_time_ms"]) == (
        40000,
        1500,
        700,
    )
    assert (row["admin_satisfaction"], row["retry_count"]) == (4, 2)
    assert row["metadata"] == {"transcription_quality": "good"}
    assert (item.decision, item.text) == ("edited", "The shop opens at ten")
    assert b"The shop" not in service.settings.log_file.read_bytes()
    assert service.answers.oversight(24)["edited"] == 1
    assert service.answers.oversight(24)["decisions_made"] == 1


def test_texts_are_in_the_store_where_content_capture_is_on(tmp_path, clock):
    """Then the correction has both texts and the review the one that was approved."""
    with temporary_service(tmp_path, clock=clock, capture_content=True) as service:
        with made(service, clock, draft="zebra one").review(901) as review:
            review.edit("zebra two")
        row = only_row(service, "correction_metrics")
        assert (row["original_text"], row["corrected_text"]) == ("zebra one", "zebra two")
        assert only_row(service, "processing_metrics", "stage = 'admin_review'")["metadata"]["text"] == "zebra two"


def test_a_rejection_ends_the_session(service, clock):
    """Its reason stands with the correction of type rejection, the session's outcome is rejected, no text may go out."""
    item = made(service, clock)
    with item.review(901) as review:
        review.reject("off_topic", satisfaction=1)
    row = only_row(service, "correction_metrics")
    assert (row["correction_type"], row["metadata"], row["corrected_length"]) == (
        "rejection",
        {"reason": "off_topic"},
        0,
    )
    assert only_row(service, "sessions")["outcome"] == "rejected"
    assert (item.decision, item.text) == ("rejected", None)


def test_leaving_without_a_verdict_decides_nothing(service, clock):
    """The review is there with its time and no decision, the session is open, and the item may be taken again."""
    item = made(service, clock)
    with item.review(901):
        clock.advance(10)
    clock.advance(600)
    assert item.decision is None
    assert service.answers.oversight(24)["decisions_made"] == 0
    (moderator,) = service.answers.moderators(24)["moderators"]
    assert (moderator["reviews"], moderator["undecided"], moderator["approvals"]) == (1, 1, 0)
    with item.review(902) as review:
        clock.advance(20)
        review.approve()
    assert stages(service) == [("moderation_queue", HOURS), ("admin_review", 10), ("admin_review", 20)]
    assert only_row(service, "sessions")["outcome"] is None


def test_an_exception_in_a_review_passes_and_is_recorded(service, clock):
    """It reaches the caller unchanged; the stage is failed with its kind, and nothing is decided."""
    item = made(service, clock)
    error = LookupError("no such draft")
    with pytest.raises(LookupError) as raised, item.review(901):
        raise error
    assert raised.value is error
    row = only_row(service, "processing_metrics", "stage = 'admin_review'")
    assert (row["success"], row["error_type"], row["metadata"].get("decision")) == (0, "LookupError", None)


def test_an_exception_after_the_verdict_leaves_the_verdict(service, clock):
    """The moderator has decided, whatever becomes of the rest of the block."""
    item = made(service, clock)
    with pytest.raises(ConnectionError), item.review(901) as review:
        review.approve()
        raise ConnectionError
    row = only_row(service, "processing_metrics", "stage = 'admin_review'")
    assert (row["success"], row["metadata"]["decision"]) == (1, "approved")


def test_work_on_the_correction_stands_beside_the_review(service, clock):
    """With review.timer the moderator's time ends where the work on the correction begins: no second counts twice."""
    item = made(service, clock)
    with item.review(901) as review:
        clock.advance(30)
        with review.timer("correction_processing", input="voice"):
            clock.advance(5)
            with review.timer("correction_ai"):
                clock.advance(2)
            review.edit("The shop opens at ten")
        clock.advance(100)
        with item.delivery(item.text):
            clock.advance(1)
    assert stages(service) == [
        ("moderation_queue", HOURS), ("admin_review", 30), ("correction_processing", 7), ("correction_ai", 2),
        ("final_response", 0), ("user_delivery", 1),
    ]  # fmt: skip
    found = {row["stage"]: row for row in rows(service, "processing_metrics")}
    top = found["admin_review"]["parent_span_id"]
    assert {stage for stage, row in found.items() if row["parent_span_id"] != top} == {"correction_ai"}
    assert found["correction_ai"]["parent_span_id"] == found["correction_processing"]["span_id"]
    assert [event["name"] for event in found["correction_processing"]["events"]] == ["hitl.correction"]
    assert only_row(service, "correction_metrics")["processing_time_ms"] == 37_000


def test_a_verdict_inside_a_plain_timer_leaves_no_context_behind(service, clock):
    """A plain timer around the verdict is a child of the review, and what comes after the review is not."""
    item = made(service, clock)
    with item.review(901) as review, timer(item.session_id, 1, 2, "correction_processing"):
        review.edit("other")
    with timer(item.session_id, 1, 2, "final_response"):
        pass
    found = {row["stage"]: row for row in rows(service, "processing_metrics")}
    assert found["correction_processing"]["parent_span_id"] == found["admin_review"]["span_id"]
    assert found["final_response"]["parent_span_id"] == found["moderation_queue"]["parent_span_id"]


def test_a_draft_shown_long_before_the_answer_is_reviewed_from_then_on(service, clock):
    """take() ends the wait; the review that some later update brings begins there, also from the string."""
    item = made(service, clock)
    item.take()
    item.take()
    clock.advance(900)
    with ModerationItem.from_string(str(item)).review(901) as review:
        review.approve()
    assert stages(service) == [("moderation_queue", HOURS), ("admin_review", 900)]


def test_an_escalated_item_waits_anew(service, clock):
    """Who passes an item on decides nothing; it waits a second time, for somebody else's verdict."""
    item = made(service, clock)
    with item.review(901) as review:
        clock.advance(30)
        review.escalate("legal")
    clock.advance(3600)
    with ModerationItem.from_string(str(item)).review(902) as review:
        clock.advance(60)
        review.approve()
    assert stages(service) == [
        ("moderation_queue", HOURS),
        ("admin_review", 30),
        ("moderation_queue", 3600),
        ("admin_review", 60),
    ]
    document = service.answers.oversight(24)
    assert (document["approved"], document["decisions_made"]) == (1, 2)
    by_id = {one["moderator_id"]: one for one in service.answers.moderators(24)["moderators"]}
    assert (by_id[901]["undecided"], by_id[902]["approvals"]) == (1, 1)


def test_a_second_verdict_in_one_review_is_refused(lenient, clock):
    """The first verdict stands, and a warning says how to give another one."""
    item = made(lenient, clock)
    with item.review(901) as review:
        review.approve()
        with pytest.warns(RuntimeWarning, match="a verdict 'rejected' after 'approved'; expected one verdict"):
            review.reject()
    assert item.decision == "approved"
    assert count(lenient, "correction_metrics") == 0


def test_a_verdict_outside_of_its_block_is_refused(service, clock):
    """A review that nobody has entered decides nothing; under test it raises."""
    with pytest.raises(ValueError, match="outside of its `with`"):
        made(service, clock).review(901).approve()
    with made(service, clock).review(901) as review:
        pass
    with pytest.raises(ValueError, match="outside of its `with`"):
        review.edit("other")
    assert count(service, "correction_metrics") == 0


@pytest.mark.parametrize("behind_s", [60, HOURS + 3600])
def test_a_clock_that_is_behind_makes_no_negative_wait(service, clock, behind_s):
    """A moderators' machine whose clock is behind the bot's tells a shorter wait, at least none."""
    item = made(service, clock)
    clock.set_time(clock.time_ns() / 1e9 - behind_s)
    with item.review(901) as review:
        clock.advance(3)
        review.approve()
    assert stages(service)[-2:] != []
    wait = only_row(service, "processing_metrics", "stage = 'moderation_queue'")
    assert wait["duration_ms"] == max(0, HOURS - behind_s) * 1000
    assert only_row(service, "processing_metrics", "stage = 'admin_review'")["duration_ms"] == 3000


def test_a_take_later_than_the_review_s_clock_gives_no_negative_review(service, clock):
    """The item was shown by a machine whose clock is ahead: the review begins where this one's clock stands."""
    item = made(service, clock)
    item.take()
    clock.set_time(clock.time_ns() / 1e9 - 60)
    with item.review(901) as review:
        clock.advance(2)
        review.approve()
    assert only_row(service, "processing_metrics", "stage = 'admin_review'")["duration_ms"] == 2000


def test_reviews_in_tasks_and_threads_keep_apart(service, clock):
    """Reviews of many items at once, in tasks and in threads, are each under their own session's root."""
    items = [made(service, clock) for _ in range(20)]

    async def decide(item: ModerationItem) -> None:
        async with item.review(901) as review:
            await asyncio.sleep(0)
            async with review.timer("correction_processing"):
                await asyncio.sleep(0)
                review.edit("other")
        async with item.delivery(item.text):
            await asyncio.sleep(0)

    async def all_of_them() -> None:
        await asyncio.gather(*(decide(item) for item in items[:10]))

    threads = [threading.Thread(target=lambda item=item: asyncio.run(decide(item))) for item in items[10:]]
    for thread in threads:
        thread.start()
    asyncio.run(all_of_them())
    for thread in threads:
        thread.join()
    found = rows(service, "processing_metrics")
    assert len(found) == 20 * 5
    tops: dict[str, set[str]] = {}
    for row in found:
        tops.setdefault(row["session_id"], set()).add(row["parent_span_id"])
    assert all(len(parents) == 1 for parents in tops.values())
    assert len({next(iter(parents)) for parents in tops.values()}) == 20


def test_switched_off_it_decides_and_carries_as_ever(tmp_path):
    """With ENABLE_METRICS=false the bot's own logic goes on: verdict, text and outcome are there, and no file is."""
    with temporary_service(tmp_path, enabled=False):
        item = ModerationItem.create(create_session(1, 2), 1, 2, draft="one")
        without_session = ModerationItem.create(draft="one")
        assert len(without_session.session_id) == 32
        opened = ModerationItem.from_string(str(item))
        opened.take()
        with opened.review(901) as review, review.timer("correction_processing"):
            review.edit("two")
        opened = ModerationItem.from_string(str(opened))
        assert (opened.decision, opened.text) == ("edited", "two")
        with opened.delivery(opened.text) as delivery:
            pass
        assert delivery.outcome == "delivered"
        with item.review(901) as review:
            review.reject("tone")
        assert item.decision == "rejected"
    assert list(tmp_path.iterdir()) == []


def test_the_wait_is_measured_once(service, clock):
    """The histogram of waits gets one value for an item that is opened twice in a process."""
    text = str(made(service, clock))
    measured = []
    service.kit.instruments.wait_duration.record = lambda *values: measured.append(values[0])
    for _ in range(2):
        with ModerationItem.from_string(text).review(901) as review:
            review.approve()
    assert measured == [HOURS]


def test_a_stepping_clock_is_all_that_a_test_needs(tmp_path):
    """The kit takes its times from the service's clock, as everything else does."""
    clock = SteppedClock("2030-01-01T00:00:00Z")
    with temporary_service(tmp_path, clock=clock) as service:
        item = made(service, clock)
        assert '"since":"2030-01-01T00:00:00.000000Z"' in str(item)


@pytest.mark.parametrize("verdict", [("edit", "At ten"), ("reject",)])
def test_metadata_may_be_named_like_a_parameter(service, clock, verdict):
    """What an item was told under the name of a parameter stays metadata; the verdict is recorded all the same."""
    told = {
        "retry_count": 3, "admin_satisfaction": 2, "correction_type": "x", "original_text": "y", "session_id": "s",
        "processing_time_ms": 7, "admin_user_id": 5, "corrected_text": "z",
    }  # fmt: skip
    item = ModerationItem.from_string(json.dumps({**json.loads(str(made(service, clock))), "metadata": told}))
    name, *arguments = verdict
    with item.review(901) as review:
        clock.advance(30)
        getattr(review, name)(*arguments)
    row = only_row(service, "correction_metrics")
    assert (row["admin_user_id"], row["retry_count"], row["processing_time_ms"]) == (901, 0, 30_000)
    assert row["metadata"] == told


def test_a_review_that_is_entered_again_begins_anew(service, clock):
    """A second `with` over one object is another review: its verdict counts, whatever the first one decided."""
    item = made(service, clock)
    review = item.review(901)
    with review:
        review.escalate()
    clock.advance(60)
    with review:
        assert review.decision is None
    with review:
        review.approve()
    assert item.decision == "approved"
    told = [row["metadata"]["decision"] for row in rows(service, "processing_metrics", "stage = 'admin_review'")]
    assert sorted(told) == ["approved", "escalated", "unfinished"]


def test_a_verdict_in_a_task_of_its_own(service, clock, caplog):
    """Who asks under a time limit decides in another task: nothing is logged, and after the `with` the review is over."""
    item = made(service, clock)

    async def ask(review):
        review.approve()

    async def bot():
        before = get_current()
        async with item.review(901) as review:
            await asyncio.create_task(ask(review))
            clock.advance(60)
        assert get_current() is before

    asyncio.run(bot())
    assert caplog.messages == []
    assert stages(service) == [("moderation_queue", HOURS), ("admin_review", 0)]


def test_work_on_a_correction_in_a_task_of_its_own(service, clock, caplog):
    """The moderator's own time ends with the first timer, also in another task; the review is left with its `with`."""
    item = made(service, clock)

    async def work(review):
        async with review.timer("voice_transcription"):
            clock.advance(2)

    async def bot():
        before = get_current()
        async with item.review(901) as review:
            clock.advance(30)
            await asyncio.create_task(work(review))
            review.edit("At ten")
        assert get_current() is before

    asyncio.run(bot())
    assert caplog.messages == []
    assert stages(service) == [("moderation_queue", HOURS), ("admin_review", 30), ("voice_transcription", 2)]


@pytest.mark.parametrize(
    ("since", "taken", "seconds"),
    [("11:00", "09:00", 3600), ("11:00", "11:30", 1800), ("11:00", "13:00", 0), ("13:00", "11:00", 0)],
)
def test_a_review_begins_between_the_items_making_and_now(service, since, taken, seconds):
    """Times that can not be, from another clock or by hand, make no review longer than the item has been there."""
    fields = json.loads(str(ModerationItem.create(service.create_session(1, 2), 1, 2, draft="d")))
    fields |= {"since": f"2026-01-01T{since}:00Z", "taken": f"2026-01-01T{taken}:00Z", "waited": True}
    with ModerationItem.from_string(json.dumps(fields)).review(901) as review:
        review.approve()
    assert stages(service) == [("admin_review", seconds)]
