"""Whose a session is: what its own row or line says counts before what its stages say."""

import json

import pytest

from otel_metrics.model.identity import IdHasher
from otel_metrics.store.belongings import Belongings
from otel_metrics.store.scrub import Scrubber

ANNA, BERT, MODERATOR = 7345128961, 6912345678, 8456123971


def line(kind: str, user: object, session: object = "s", chat: object = 0) -> bytes:
    return json.dumps({"kind": kind, "session_id": session, "user_id": user, "chat_id": chat}).encode()


def owned(user: int, *lines: bytes) -> set[str]:
    """The sessions of a user by lines alone."""
    belongings = Belongings(Scrubber.of(user, IdHasher(b"k" * 32)))
    for one in lines:
        belongings.meet(one)
    for one in lines:
        belongings.judge(one)
    return set(belongings.sessions)


@pytest.mark.parametrize("kind", ["session", "end"])
def test_session_says_whose_it_is(kind: str) -> None:
    """A moderator's stage makes no session the moderator's, wherever in the log it stands."""
    lines = line("begin", MODERATOR), line(kind, ANNA), line("stage", MODERATOR)
    assert owned(MODERATOR, *lines) == set()
    assert owned(ANNA, *lines) == {"s"}


def test_first_stage_says_it_where_no_session_was_created() -> None:
    """Of a session that nobody created the first stage that names somebody tells whose it is."""
    lines = line("begin", 0), line("begin", ANNA), line("stage", MODERATOR), line("end", 0)
    assert owned(ANNA, *lines) == {"s"}
    assert owned(MODERATOR, *lines) == set()


def test_private_chat_is_its_users() -> None:
    """A session in the private chat of a user is the user's, whoever is named as its user."""
    assert owned(ANNA, line("session", BERT, chat=ANNA)) == {"s"}


def test_session_named_after_a_user_is_the_users_unless_it_says_otherwise() -> None:
    """An id within a session's own id counts where nothing else says whose the session is."""
    assert owned(ANNA, line("span", 0, f"chat/{ANNA}/7")) == {f"chat/{ANNA}/7"}
    assert owned(ANNA, line("span", 0, f"chat/{ANNA}0")) == set()
    assert owned(ANNA, line("begin", BERT, f"chat/{ANNA}/7")) == set()


def test_fields_of_the_logger_say_nothing_about_the_session() -> None:
    """A log line within another one's session may name anybody."""
    assert owned(ANNA, line("log", ANNA), line("log", ANNA, chat=ANNA)) == set()


@pytest.mark.parametrize(
    "hostile", [b"", b"[]", b"null", b"{", line("stage", ANNA, ["s"]), line("stage", ANNA, None), line("stage", [ANNA])]
)
def test_lines_of_any_shape_can_be_met(hostile: bytes) -> None:
    """What other programs wrote is no reason to fail."""
    assert owned(ANNA, hostile) == set()
