"""The small parts of what is printed: numbers, texts, ids, bars and axes."""

import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.theme import Theme

from otel_metrics.delivery.cli.axis import Axis
from otel_metrics.delivery.cli.bars import Share, Stretch
from otel_metrics.delivery.cli.numbers import count, duration, hours_in_words, percent, stars, tick
from otel_metrics.delivery.cli.sheet import Column, Sheet
from otel_metrics.delivery.cli.streams import STYLES
from otel_metrics.delivery.cli.text import clean, short_ids, short_path
from otel_metrics.delivery.cli.words import alert_sentence

S, M, H, D = 1e3, 60e3, 3600e3, 86400e3


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (None, "–"), (0, "0ms"), (0.04, "0ms"), (0.4, "0.4ms"), (9.94, "9.9ms"), (9.96, "10ms"), (41.4, "41ms"), (999.4, "999ms"),
        (999.6, "1.00s"), (3210, "3.21s"), (9.996 * S, "10.0s"), (59.94 * S, "59.9s"), (59.96 * S, "1m00s"), (12 * M + 4 * S, "12m04s"),
        (3599.6 * S, "1h00m"), (H + 2 * M, "1h02m"), (23 * H + 59.6 * M, "1d00h"), (3 * D + 4 * H, "3d04h"), (99 * D + 23.6 * H, "100d"),
        (5000 * D, "5,000d"), (-41, "-41ms"),
    ],
)  # fmt: skip
def test_durations_read_as_people_say_them(ms, shown):
    """Each size of a duration has its unit, and rounding never gives sixty seconds or a thousand milliseconds."""
    assert duration(ms) == shown


@given(st.floats(0, 999 * D))
def test_durations_are_short(ms):
    """Below a thousand days a duration has at most six characters."""
    assert len(duration(ms)) <= 6


@pytest.mark.parametrize(
    ("number", "shown"), [(None, "–"), (100, "100%"), (99.97, "99.9%"), (98.44, "98.4%"), (0, "0.0%")]
)
def test_percentages_do_not_round_up_to_all(number, shown):
    """Only what is all is called 100 %."""
    assert percent(number) == shown


def test_other_numbers():
    """Counts have their thousands apart, satisfaction is five stars, ticks are round."""
    assert (count(1234567), count(None)) == ("1,234,567", "–")
    assert (stars(3.6), stars(None)) == ("★★★★☆", "–")
    assert [tick(one) for one in (0, 200, 5 * S, 15 * M, 90 * M, 2 * H)] == ["0", "200ms", "5s", "15m", "1h30m", "2h"]
    assert [hours_in_words(one) for one in (0.5, 1, 24, 168)] == [
        "last 30 minutes",
        "last hour",
        "last 24 hours",
        "last 7 days",
    ]


@given(st.text())
def test_cleaned_texts_are_printable(text):
    """Whatever the text, what is shown of it has no character that a terminal acts on."""
    assert all(one.isprintable() or one == "\u200c" for one in clean(text))


@given(st.lists(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=60), unique=True))
def test_short_ids_fit_and_tell_apart_what_they_can(ids):
    """No short id is longer than its room, and different ids look different where their first 19 characters are."""
    shown = short_ids(ids, least=13, most=20)
    assert all(cell_len(one) <= 20 for one in shown.values())
    if len({one[:19] for one in ids}) == len(ids):
        assert len(set(shown.values())) == len(ids)


def test_paths_keep_their_end():
    """A long path is cut at its front."""
    assert short_path("/a/very/long/way/to/metrics.db", 14) == "…to/metrics.db"


def test_an_unknown_alert_speaks_for_itself():
    """An alert of a type that this version does not know, or without its figures, is shown by its own message."""
    assert alert_sentence({"type": "queue_age", "message": "Old drafts"}) == "Old drafts"
    assert alert_sentence({"type": "slow_processing", "message": "Slow"}) == "Slow"


def drawn(what: object, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, theme=Theme(STYLES))
    console.print(what)
    return console.file.getvalue().rstrip("\n")  # type: ignore[attr-defined]


@given(st.floats(0, 1), st.floats(0, 1), st.integers(4, 120), st.sampled_from(["work", "wait", "running", "failed"]))
def test_a_stretch_is_never_empty_and_never_outside(begin, length, width, kind):
    """A bar on the axis has at least one sign and ends within its room."""
    line = drawn(Stretch(begin, min(1.0, begin + length), kind), width)
    assert line.strip()
    assert cell_len(line) <= width


@given(st.floats(0, 1), st.integers(4, 120), st.sampled_from(["work", "wait"]))
def test_a_share_is_as_long_as_it_is_big(share, width, kind):
    """A share is empty only for nothing, and full for all."""
    line = drawn(Share(share, kind, most=200), width).rstrip()
    assert bool(line) == (share > 0)
    assert cell_len(line) <= width
    assert (cell_len(line) >= width - 1) or share < 1


@given(st.floats(1e-3, 400 * D), st.integers(24, 200))
def test_an_axis_has_ticks_with_room_for_their_labels(length_ms, width):
    """Ticks begin at nothing, are evenly apart, and are no more than the axis has room for."""
    ticks = Axis(datetime(2026, 1, 1, tzinfo=UTC), length_ms).ticks(width)
    assert ticks[0] == 0
    assert len(ticks) <= width // 9 + 1
    assert all(one <= length_ms * 1.000001 for one in ticks)


@given(st.lists(st.tuples(st.text(max_size=40), st.integers(0, 10**12)), max_size=5), st.integers(30, 120))
def test_sheets_cut_texts_and_keep_figures(rows, width):
    """A sheet is never wider than its room, and every figure stands in it whole."""
    sheet = Sheet(
        [Column("name", least=5), Column("figure", right=True)], [[clean(text), str(number)] for text, number in rows]
    )
    lines = drawn(sheet, width).splitlines()
    assert all(cell_len(line) <= width for line in lines)
    for (_, number), line in zip(rows, lines[1:], strict=True):
        assert line.rstrip().endswith(str(number))
