"""Times in, times out."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_metrics.model.times import iso, to_ns


@given(moment=st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31, 23, 59, 59), timezones=st.just(UTC)))
def test_text_of_a_time_reads_back(moment: datetime) -> None:
    """Every moment's text has 27 characters, ends in Z and reads back to the same microsecond."""
    text = iso(to_ns(moment))
    assert (len(text), text[-1]) == (27, "Z")
    assert datetime.fromisoformat(text) == moment
    assert to_ns(text) == to_ns(moment)


@given(first=st.integers(0, 4 * 10**18), second=st.integers(0, 4 * 10**18))
def test_texts_sort_as_their_moments(first: int, second: int) -> None:
    """Texts compare as their times do, so that SQL can compare them."""
    assert (iso(first) < iso(second)) == (first // 1000 < second // 1000)


@pytest.mark.parametrize(
    ("time_ns", "text"), [(-1, "1970-01-01T00:00:00.000000Z"), (1 << 80, "9999-12-31T23:59:59.999999Z")]
)
def test_time_out_of_range_keeps_the_width(time_ns: int, text: str) -> None:
    """What no year of four digits holds becomes the first or the last moment."""
    assert iso(time_ns) == text
