"""How ids are made and derived."""

import random
import uuid

from hypothesis import given
from hypothesis import strategies as st

from otel_metrics.model.identity import (
    IdHasher,
    new_session_id,
    root_span_id_of,
    session_start_ns,
    trace_id_of,
)

MOMENTS = st.integers(1_577_836_800 * 10**9, 4_102_444_800 * 10**9)


@given(time_ns=MOMENTS)
def test_session_id_tells_when_the_session_began(time_ns: int) -> None:
    """Every process can read a session's start from its id, to the microsecond."""
    session_id = new_session_id(time_ns)
    assert session_start_ns(session_id) == time_ns // 1000 * 1000
    assert trace_id_of(session_id) == int(session_id, 16)


def test_session_ids_differ_though_made_in_the_same_moment() -> None:
    """Two thousand ids of one moment are all different."""
    assert len({new_session_id(1_767_268_800 * 10**9) for _ in range(2000)}) == 2000


@given(number=st.uuids(version=4))
def test_uuid_is_a_trace_id_and_tells_no_time(number: uuid.UUID) -> None:
    """A random UUID as session id is the trace id as it is, and is not mistaken for an id of ours."""
    assert trace_id_of(number.hex) == number.int
    assert session_start_ns(number.hex) is None


def test_trace_ids_of_others_are_not_taken_for_sessions() -> None:
    """Of a hundred thousand random trace ids of today's years hardly one looks like a session's."""
    chance = random.Random(3)
    seconds = 1_767_268_800
    strangers = (f"{seconds + chance.randrange(10**8):08x}{chance.getrandbits(96):024x}" for _ in range(100_000))
    assert sum(session_start_ns(one) is not None for one in strangers) <= 10


@given(text=st.text())
def test_any_string_has_a_trace_and_a_root(text: str) -> None:
    """Every string, also one that no text file can hold, has a valid trace id and root span id, always the same."""
    trace_id = trace_id_of(text)
    assert 0 < trace_id < 1 << 128
    assert trace_id == trace_id_of(text)
    assert 0 < root_span_id_of(trace_id) < 1 << 64


def test_derived_ids_never_change() -> None:
    """The derivation is a promise between versions: these ids are what earlier programs made."""
    assert f"{trace_id_of('order 17'):032x}" == "2404113b0760cbea38208f308619a0a3"
    assert f"{root_span_id_of(trace_id_of('order 17')):016x}" == "888fa20c235ec351"
    assert trace_id_of("0" * 32) != 0
    assert trace_id_of("A" * 32) != int("A" * 32, 16)


def test_hash_of_an_id_needs_the_key() -> None:
    """The same id hashes alike with one key, differently with another, and differently as user and as chat."""
    first, second = IdHasher(b"a" * 32), IdHasher(b"b" * 32)
    assert first.hash("user", 12345) == first.hash("user", 12345)
    assert first.hash("user", 12345) != second.hash("user", 12345)
    assert first.hash("user", 12345) != first.hash("chat", 12345)
    assert len(first.hash("user", 12345)) == 16
