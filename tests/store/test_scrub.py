"""Finding one person in values: as a whole, in every form, and never within another number or word."""

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from otel_metrics.model.identity import IdHasher, as_integer_id
from otel_metrics.store.scrub import MARK, ROW, Scrubber

HASHER = IdHasher(b"k" * 32)
LONG = st.integers(min_value=10**8, max_value=2**62)
ANY_ID = st.one_of(st.integers(min_value=10_000, max_value=2**62), st.integers(max_value=-10_000, min_value=-(2**62)))
DIGITS = st.text("0123456789", min_size=1, max_size=12)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="0123456789-."), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
SLACK = "U04ABCDEF99"


def scrubber(user: object) -> Scrubber:
    return Scrubber.of(user, HASHER)


@given(ANY_ID, DIGITS, DIGITS, WORDS)
def test_id_within_another_number_is_none(number: int, before: str, behind: str, words: str) -> None:
    """Digits before or behind, a sign or a fraction make another number of it, which stays."""
    digits = str(abs(number))
    other = [
        f"{before}{digits}",
        f"{digits}{behind}",
        f"{before}{digits}{behind}",
        f"{before}.{digits}",
        f"{digits}.{behind}1",
    ]
    if number > 0:
        other += [f"-{digits}", f"({words}: -{digits})" if not words[-1:].isalnum() else f"-{digits}"]
    assume(str(number) not in before + behind)
    for text in other:
        if not re.fullmatch(rf"{digits}\.0*", text):
            assert scrubber(number).text(f"{words} {text} {words}") == f"{words} {text} {words}"
            assert scrubber(number).value([f"{text}"]) == [text]


@given(LONG, WORDS, WORDS)
def test_id_as_a_whole_is_found_in_any_text(number: int, before: str, behind: str) -> None:
    """A number of nine digits or more is found whatever letters or signs surround it, and the rest of the text stays."""
    assert scrubber(number).text(f"{before}{number}{behind}") == f"{before}{MARK}{behind}"


@pytest.mark.parametrize(
    ("user", "text", "expected"),
    [
        (12345, "user 12345 and 12345, (12345)", f"user {MARK} and {MARK}, ({MARK})"),
        (12345, "admin_12345", f"admin_{MARK}"),
        (12345, "span a12345b0, 12345b", "span a12345b0, 12345b"),
        (12345, "12345.0 but 12345.05 and 2.12345", f"{MARK} but 12345.05 and 2.12345"),
        (12345, "5-12345 but =-12345 and -12345", f"5-{MARK} but =-12345 and -12345"),
        (-10012345, "chat -10012345 but -100123456 and 10012345", f"chat {MARK} but -100123456 and 10012345"),
        (1234, "user 1234", "user 1234"),
        (SLACK, f"{SLACK} joined_{SLACK}, <@{SLACK}>", f"{MARK} joined_{MARK}, <@{MARK}>"),
        (SLACK, f"{SLACK}0 X{SLACK} {SLACK}x é{SLACK}", f"{SLACK}0 X{SLACK} {SLACK}x é{SLACK}"),
        (SLACK, str(as_integer_id(SLACK)[0]), MARK),
        ('Zoë "Z"', 'by Zoë "Z".', f"by {MARK}."),
        ("ab", "ab and ab", "ab and ab"),
    ],
)  # fmt: skip
def test_ids_in_texts(user: object, text: str, expected: str) -> None:
    """In a longer text an id of five characters or more is taken out where it stands as a whole."""
    assert scrubber(user).text(text) == expected


@pytest.mark.parametrize("kind", ["user", "chat", "moderator"])
def test_keyed_hashes_are_found(kind: str) -> None:
    """A hash that was sent as a span attribute is found in values and within texts."""
    digest = HASHER.hash(kind, 5)
    assert scrubber(5).value({"user.hash": digest, "note": f"by {digest}."}) == {
        "user.hash": MARK,
        "note": f"by {MARK}.",
    }


@given(JSON, ANY_ID)
def test_values_of_others_stay_as_they_are(value: Any, number: int) -> None:
    """A value that does not hold the id comes back equal, to the byte."""
    assume(str(abs(number)) not in msgspec.json.encode(value).decode())
    assert msgspec.json.encode(scrubber(number).value(value)) == msgspec.json.encode(value)


@given(st.lists(JSON, max_size=3), ANY_ID)
def test_no_form_of_the_id_is_left_in_a_value(values: list[Any], number: int) -> None:
    """As number, text, key, and within texts and JSON in texts the id goes from a value; numbers become 0."""
    forms = [number, float(number), str(number), {str(number): number}, f"by {number}.", json.dumps({"id": number})]
    found = scrubber(number).value([*values, *forms])
    left = json.dumps(found)
    assert not re.search(rf"(?<![0-9-]){number}(?![0-9])", left)
    assert found[len(values) :][0] == 0
    assert scrubber(number).value(found) == found


@pytest.mark.parametrize("user", [7, "ab"])
def test_short_ids_are_found_where_they_are_all_of_a_value(user: object) -> None:
    """An id of fewer than five characters is taken out of JSON values that are equal to it, and left within texts."""
    found = scrubber(user).value({"by": str(user), "id": user, "n": 70, "text": f"{user} of {user}", "on": True})
    assert found == {"by": MARK, "id": 0 if user == 7 else MARK, "n": 70, "text": f"{user} of {user}", "on": True}


def test_rows_lose_ids_and_nothing_else() -> None:
    """In a row ids become 0 and texts lose them; times, durations, ids of records and of processes stay even if equal."""
    row = {
        "metric_id": "12345", "session_id": "s/12345", "user_id": 12345, "chat_id": 5, "duration_ms": 12345,
        "start_time": "12345", "process": "12345-ab", "error_message": "no 12345", "metadata": '{"a": 12345, "b":1.50}',
        "attributes": '{"a" : "1"}', "events": None,
    }  # fmt: skip
    assert scrubber(12345).record(row, ROW) == {
        **row, "session_id": f"s/{MARK}", "user_id": 0, "error_message": f"no {MARK}", "metadata": '{"a":0,"b":1.5}'
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "held"),
    [
        (b'{"user_id":7,"broken', True), (b'{"user_id": "7","x', True), (b'{"chat_id":70,"x', False),
        (b'{"number":7,"x', False), (b'{"nth":17', False),
    ],
)  # fmt: skip
def test_short_ids_in_broken_lines(line: bytes, held: bool) -> None:
    """In a line that can not be decoded a short id is found behind a key that ends with id."""
    assert scrubber(7).is_in_raw(line) is held


@pytest.mark.parametrize(
    ("line", "held"),
    [
        (b'{"note":"by 7345128961', True), (b'{"user_id":734512', True), (b'{"user_id":7345', False),
        (b'{"user_id":734513', False), (b"\xff 7345128961 \xfe", True), (b'{"user_id":73451289610,', False),
    ],
)  # fmt: skip
def test_ids_in_broken_lines(line: bytes, held: bool) -> None:
    """A broken line holds an id also where it ends within it."""
    assert scrubber(7345128961).is_in_raw(line) is held
