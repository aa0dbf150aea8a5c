"""The item as a string: what it carries through a queue, and what is said of a string that is none."""

import json

import pytest
from opentelemetry.context import Context, attach, detach, get_current

from otel_metrics import ModerationItem
from otel_metrics.errors import ItemError
from otel_metrics.model import names

HARD = 'Ünïcödé \u05e9\u05dc\u05d5\u05dd 🦓 "quotes" \n \0 \ud800'


def test_an_item_comes_out_of_the_string_as_it_went_in(service):
    """Ids, draft, message and metadata are the same on the other side, and so is the string."""
    session = service.create_session(1, -2)
    item = ModerationItem.create(session, 1, -2, message_id=77, draft=HARD, platform="telegram")
    opened = ModerationItem.from_string(str(item))
    assert (opened.session_id, opened.user_id, opened.chat_id, opened.message_id) == (session, 1, -2, 77)
    assert (opened.draft, opened.metadata, opened.decision, opened.text) == (HARD, {"platform": "telegram"}, None, None)
    assert str(opened) == str(item)
    str(item).encode()  # any queue can store it


def test_ids_that_are_no_numbers_stay_as_they_are(service):
    """Slack's ids travel as text; what is neither number nor text becomes one."""
    item = ModerationItem.create(service.create_session("U1", "C2"), "U1", "C2", message_id=17.25)
    assert (item.user_id, item.chat_id, item.message_id) == ("U1", "C2", "17.25")
    assert ModerationItem.from_string(str(item)).user_id == "U1"


def test_bytes_from_a_queue_are_opened_too(service):
    """Redis and the like give bytes."""
    item = ModerationItem.create(service.create_session(1, 2), 1, 2, draft="ß")
    assert ModerationItem.from_string(str(item).encode()).draft == "ß"


def test_texts_can_be_left_out(service):
    """With carry_texts=False neither draft nor answer is in the string, and the draft can be given back."""
    item = ModerationItem.create(service.create_session(1, 2), 1, 2, draft="zebra draft", carry_texts=False)
    assert item.draft == "zebra draft"
    assert "zebra" not in str(item)
    assert ModerationItem.from_string(str(item)).draft is None
    with ModerationItem.from_string(str(item), draft="zebra draft").review(9) as review:
        review.edit("zebra answer")
    assert "zebra" not in str(item)


def test_unknown_fields_of_a_newer_program_are_kept(service):
    """What this version does not know goes through it unchanged."""
    fields = json.loads(str(ModerationItem.create(service.create_session(1, 2), 1, 2)))
    text = json.dumps({**fields, "urgency": {"level": 3}})
    assert json.loads(str(ModerationItem.from_string(text)))["urgency"] == {"level": 3}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "0 characters that are not JSON"),
        ('{"v":1,"session_id":"zebra', "that are not JSON"),
        ("[1]", "JSON that is no object but list"),
        ("{}", "JSON without an item's version"),
        ('{"v":2,"session_id":"zebra"}', "an item of version 2"),
        ('{"v":1,"session_id":"zebra"}', "missing required field `since`"),
        ('{"v":1,"session_id":["zebra"],"since":"2026-01-01"}', "Expected `str`, got `array`"),
        ('{"v":1,"session_id":"zebra","since":"yesterday"}', "a time that can not be read"),
        ('{"v":1,"session_id":"","since":"2026-01-01"}', "an empty session_id"),
        (b"\xff\xfe", "2 bytes that are not UTF-8"),
        (None, "NoneType instead of an item's text"),
        ("[" * 100_000, "that are not JSON"),
    ],
)
def test_what_is_no_item_is_refused_with_a_remedy(text, found):
    """The error says what was found, what was expected and what to do, and holds nothing of the string."""
    with pytest.raises(ItemError) as refused:
        ModerationItem.from_string(text)
    assert found in str(refused.value)
    assert refused.value.expected
    assert refused.value.remedy
    assert "zebra" not in str(refused.value)


def test_an_item_in_a_log_shows_no_text(service):
    """`repr` has the session and the decision."""
    item = ModerationItem.create(service.create_session(1, 2), 1, 2, draft="zebra")
    assert "zebra" not in repr(item)
    assert item.session_id in repr(item)


class Handled:
    """The update of an instrumented framework."""

    session_id, user_id, chat_id = "a-session", 5, 6
    platform = ""
    handed_over = ended = False

    def hand_over(self):
        self.handed_over = True

    def stage_began(self, start_ns):
        pass

    def stage_failed(self, error):
        pass


@pytest.fixture
def handled():
    one = Handled()
    token = attach(Context({**get_current(), names.HANDLING_CONTEXT: one}))
    yield one
    detach(token)


def test_inside_a_traced_update_the_ids_may_be_left_out(service, handled):
    """The item takes the update's session, and the session is handed over: the item ends it."""
    item = ModerationItem.create(draft="d")
    assert (item.session_id, item.user_id, item.chat_id) == ("a-session", 5, 6)
    assert handled.handed_over


def test_an_item_of_another_session_leaves_the_update_alone(service, handled):
    """Who names another session inside a traced update gets that, and the update ends its own."""
    assert ModerationItem.create("another", 1, 2).session_id == "another"
    assert not handled.handed_over


def test_an_update_that_is_over_gives_no_session(lenient, handled):
    """Work that outlives its update does not belong to the session, which has ended."""
    handled.ended = True
    with pytest.warns(RuntimeWarning, match="without session_id"):
        assert ModerationItem.create(draft="d").session_id != "a-session"
    assert not handled.handed_over


def test_without_any_session_the_item_begins_one(lenient):
    """Outside of a traced update an item without ids warns once and gets a session of its own."""
    with pytest.warns(RuntimeWarning, match="without session_id; expected a session_id"):
        item = ModerationItem.create(draft="d")
    assert lenient.sql("SELECT session_id FROM sessions") == [{"session_id": item.session_id}]


def test_another_draft_is_not_taken(service):
    """A text that the item was not made with is refused, without either text in the error; under another key nobody knows."""
    item = ModerationItem.create(service.create_session(1, 2), 1, 2, draft="zebra draft", carry_texts=False)
    with pytest.raises(ItemError, match="a draft of 11 characters that is not the item's") as raised:
        ModerationItem.from_string(str(item), draft="other draft")
    assert "other" not in str(raised.value)
    elsewhere = str(item).replace(service.kit.hasher.text(""), "0" * 16)
    assert ModerationItem.from_string(elsewhere, draft="other draft").draft == "other draft"
