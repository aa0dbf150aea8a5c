"""The course of a window: equal pieces with what began, ended, failed and waited."""

import pytest
from support.told import NOW, TIERS, Ran, Told, telling

from otel_metrics.errors import QueryError

MINUTE = 60_000


def _course(folder, sessions, tier="hot", pieces=6):
    with telling(folder, sessions, tier) as service:
        return service.answers.course(1, pieces)


@pytest.mark.parametrize("tier", TIERS)
def test_each_piece_has_what_happened_in_it(tmp_path, tier):
    """Of ten minutes each: beginnings, failures, and the queue at the end of each, in tables and in segments."""
    waited = Ran("moderation_queue", 25 * MINUTE, 20 * MINUTE)  # from 45 to 25 minutes ago
    failed = Ran("user_delivery", 5 * MINUTE, 10, success=False)
    sessions = [Told(45 * MINUTE, stages=(waited,)), Told(5 * MINUTE, stages=(failed,)), Told(90 * MINUTE, stages=())]
    found = _course(tmp_path, sessions, tier)
    assert found["begun"] == [0, 1, 0, 0, 0, 1]
    assert found["ended"] == [0, 0, 0, 0, 0, 3]
    assert found["failed"] == [0, 0, 0, 0, 0, 1]
    assert found["waiting"] == [0, 1, 1, 0, 0, 0]
    assert (found["piece_ms"], found["until"]) == (10 * MINUTE, NOW)


def test_what_waits_now_and_has_waited_for_long_is_in_every_piece(tmp_path):
    """A draft that came before the window, and one that came in it and still waits."""
    sessions = [Told(ago * MINUTE, outcome=None, stages=(Ran("ai_processing", ago * MINUTE, 10),)) for ago in (120, 15)]
    assert _course(tmp_path, sessions)["waiting"] == [1, 1, 1, 1, 2, 2]


def test_the_last_piece_agrees_with_the_queue(tmp_path):
    """What waits at the end is what `queue` says."""
    sessions = [
        Told(ago * MINUTE, outcome=None, stages=(Ran("ai_processing", ago * MINUTE, 10),)) for ago in range(1, 9)
    ]
    with telling(tmp_path, sessions) as service:
        assert service.answers.course(1)["waiting"][-1] == len(service.answers.queue()["waiting"]) == 8


def test_an_empty_store_has_an_empty_course(tmp_path):
    """Zeros, as many as were asked for; a number of pieces that is none is refused."""
    assert _course(tmp_path, [])["begun"] == [0] * 6
    for pieces in (0, 2.5, True, 10_001):
        with pytest.raises(QueryError):
            _course(tmp_path / "more", [], pieces=pieces)
