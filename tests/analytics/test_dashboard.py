"""The dashboard's figures against an independent computation over generated stores."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.generated import NOW_NS, Correction, Stage, StoppedClock, expected_figures, make_store

from otel_metrics.analytics.answers import Answers
from otel_metrics.errors import QueryError
from otel_metrics.model.vocabulary import CorrectionType, ProcessingStage
from otel_metrics.settings import Settings
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage

HOUR_US = 3_600_000_000
NOW_US = NOW_NS // 1000

stages = st.builds(
    Stage, st.integers(0, 12), st.sampled_from([*map(str, ProcessingStage), "own_stage"]),
    st.integers(NOW_US - 30 * HOUR_US, NOW_US), st.integers(0, 2 * HOUR_US), st.booleans(),
)  # fmt: skip
corrections = st.builds(
    Correction, st.integers(0, 15), st.sampled_from([*map(str, CorrectionType)]), st.integers(1, 4),
    st.integers(NOW_US - 30 * HOUR_US, NOW_US + 10), st.none() | st.integers(0, 10**6), st.none() | st.integers(1, 5),
)  # fmt: skip


@given(st.lists(stages, max_size=60), st.lists(corrections, max_size=30), st.sampled_from([1, 24, 0.5, 1000]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_figure_equals_an_independent_computation(found_stages, found_corrections, hours):
    """Whatever is in the store, each figure of the document is what plain Python computes from the raw facts."""
    with tempfile.TemporaryDirectory() as folder:
        storage, chosen = make_store(Path(folder), found_stages, found_corrections)
        answers = Answers(storage, chosen, StoppedClock())
        document = answers.dashboard(hours)
        answers.close()
    expected = expected_figures(found_stages, found_corrections, hours)
    for name in ("total_requests", "avg_total_processing_time_ms", "overall_success_rate", "total_corrections"):
        assert document["overview"][name] == pytest.approx(expected[name]), name
    assert set(document["processing_by_stage"]) == set(expected["stages"])
    for stage, figures in expected["stages"].items():
        for name, value in figures.items():
            assert document["processing_by_stage"][stage][name] == pytest.approx(value), (stage, name)
    by_type = {kind: figures["total_count"] for kind, figures in document["corrections"]["by_type"].items()}
    by_admin = {admin: figures["total_corrections"] for admin, figures in document["corrections"]["by_admin"].items()}
    assert by_type == expected["types"]
    assert by_admin == expected["admins"]
    assert document["corrections"]["rate"] == pytest.approx(expected["rate"])


def test_an_empty_store_gives_the_same_shape(tmp_path):
    """Without a database there are zeros and empty objects, never an error."""
    chosen = Settings(database=tmp_path / "no.db", log_file=tmp_path / "no.jsonl")
    storage = MetricsStorage(StoreLayout(chosen.database, chosen.log_file), chosen)
    document = Answers(storage, chosen, StoppedClock()).dashboard(24)
    assert document["overview"] == {
        "total_requests": 0, "avg_total_processing_time_ms": 0.0, "overall_success_rate": 0.0, "total_corrections": 0,
    }  # fmt: skip
    assert document["processing_by_stage"] == {}
    assert document["corrections"]["by_type"] == {}
    assert document["corrections"]["rate"] == 0.0
    assert document["alerts"] == []
    assert not chosen.database.exists()


def test_stages_come_in_their_usual_order(tmp_path):
    """The known stages stand in the order of a session, others behind them."""
    names = ["user_delivery", "zebra", "query_received", "ai_processing"]
    facts = [Stage(1, name, NOW_US - 10, 5, True) for name in names]
    storage, chosen = make_store(tmp_path, facts, [])
    document = Answers(storage, chosen, StoppedClock()).dashboard(1)
    assert list(document["processing_by_stage"]) == ["query_received", "ai_processing", "user_delivery", "zebra"]


@pytest.mark.parametrize("hours", [0, -1, float("nan"), float("inf"), "24", None, True])
def test_a_window_must_be_a_number_above_zero(tmp_path, hours):
    """Anything else is refused with what was expected."""
    storage, chosen = make_store(tmp_path, [], [])
    with pytest.raises(QueryError, match="number above 0"):
        Answers(storage, chosen, StoppedClock()).dashboard(hours)


def test_a_living_reader_sees_what_is_new_and_what_has_gone(tmp_path):
    """A second answer contains rows that came after the first, and none that retention has deleted."""
    storage, chosen = make_store(tmp_path, [Stage(1, "ai_processing", NOW_US - 40 * 24 * HOUR_US, 5, True)], [])
    answers = Answers(storage, chosen, StoppedClock())
    assert answers.dashboard(24 * 50)["overview"]["total_requests"] == 1
    make_store(tmp_path, [Stage(2, "ai_processing", NOW_US - 10, 5, True)], [])
    assert answers.dashboard(24 * 50)["overview"]["total_requests"] == 2
    storage.prune(NOW_NS)
    assert answers.dashboard(24 * 50)["overview"]["total_requests"] == 1
    assert answers.sql("SELECT session_id FROM processing_metrics").rows == [("s2",)]


def test_slow_stages_fire_from_five_on_and_people_have_half_an_hour(tmp_path):
    """`slow_processing` needs five stages above ten seconds; a moderator's stages may take thirty minutes."""
    slow = [Stage(n, "ai_processing", NOW_US - 20_000_000, 12_000_000, True) for n in range(5)]
    review = [Stage(n, "admin_review", NOW_US - 30 * 60_000_000, 29 * 60_000_000, True) for n in range(5)]
    queue = [Stage(n, "moderation_queue", NOW_US - 60 * 60_000_000, 31 * 60_000_000, True) for n in range(5)]
    few = [Stage(n, "final_response", NOW_US - 20_000_000, 12_000_000, True) for n in range(4)]
    storage, chosen = make_store(tmp_path, slow + review + queue + few, [])
    alerts = Answers(storage, chosen, StoppedClock()).alerts(24)
    assert [alert["stage"] for alert in alerts] == ["ai_processing", "moderation_queue"]
    assert alerts[0]["type"] == "slow_processing"
    assert alerts[0]["severity"] == "warning"
    assert alerts[0]["message"] == "Slow processing detected in ai_processing: 12000ms average"


def test_a_high_correction_rate_fires_from_ten_sessions_on(tmp_path):
    """Four of ten sessions corrected is 40 %; rejections do not count, nor does it fire with nine sessions."""
    facts = [Stage(n, "ai_processing", NOW_US - 10, 5, True) for n in range(10)]
    texts = [Correction(n, "text_correction", 1, NOW_US - 5, 10, 5) for n in range(4)]
    rejections = [Correction(n, "rejection", 1, NOW_US - 5, 10, 5) for n in range(4, 10)]
    storage, chosen = make_store(tmp_path / "ten", facts, texts + rejections)
    (alert,) = Answers(storage, chosen, StoppedClock()).alerts(24)
    assert (alert["type"], alert["correction_rate"]) == ("high_correction_rate", 40.0)
    assert alert["message"] == "High correction rate detected: 40.0%"
    storage, chosen = make_store(tmp_path / "nine", facts[:9], texts)
    assert Answers(storage, chosen, StoppedClock()).alerts(24) == []
