"""What bad input gets: the fact is kept, one warning, a count; under test a `ValueError`."""

import warnings
from collections.abc import Callable

import pytest
from support.stores import only_row, rows

from otel_metrics import MetricsService

SESSION = "65a1b2c3000000ff0123456789abcdef"


class Mute:
    """Its own text fails."""

    def __str__(self) -> str:
        raise RuntimeError("mute")

    __repr__ = __str__


BAD_CALLS: dict[str, Callable[[MetricsService], None]] = {
    "empty session": lambda service: service.end_session(""),
    "no session": lambda service: service.end_session(None),  # type: ignore[arg-type]
    "outcome": lambda service: service.end_session(SESSION, "gone"),
    "long stage": lambda service: service.timer(SESSION, 1, 2, "x" * 65).__enter__().__exit__(None, None, None),
    "empty stage": lambda service: service.record_stage(SESSION, 1, 2, "", start_time=1),
    "time": lambda service: service.record_stage(SESSION, 1, 2, "s", start_time="soon"),
    "type": lambda service: service.record_correction(SESSION, 1, 2, "emoji", "", "", 1),
    "satisfaction": lambda service: service.record_correction(
        SESSION, 1, 2, "rejection", "", "", 1, admin_satisfaction=6
    ),
    "processing": lambda service: service.record_correction(SESSION, 1, 2, "rejection", "", "", -1),
    "retries": lambda service: service.record_correction(SESSION, 1, 2, "rejection", "", "", 1, retry_count=-1),
    "mute type": lambda service: service.record_correction(SESSION, 1, 2, Mute(), "", "", 1),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("call", BAD_CALLS.values(), ids=BAD_CALLS.keys())
def test_strict_service_raises(service: MetricsService, call: Callable[[MetricsService], None]) -> None:
    """With `strict`, which the test kit sets, each bad argument raises `ValueError` with what was expected."""
    with pytest.raises(ValueError, match="expected"):
        call(service)


@pytest.mark.parametrize("call", BAD_CALLS.values(), ids=BAD_CALLS.keys())
def test_bot_gets_one_warning_and_an_exact_count(
    lenient: MetricsService, call: Callable[[MetricsService], None]
) -> None:
    """In a bot the same warns once, however often it happens, counts each time and never raises."""
    with pytest.warns(
        RuntimeWarning, match="otel_metrics: .*; expected .*; it is kept as given in the metadata"
    ) as caught:
        call(lenient)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(lenient)
        call(lenient)
    ((reason, times),) = lenient.losses.snapshot().items()
    assert reason.startswith("input_")
    assert times in {1, 3}  # a session ends once


def test_stage_of_an_empty_session_is_kept(lenient: MetricsService) -> None:
    """A stage without a session id is kept under `unknown`, with what was given."""
    with pytest.warns(RuntimeWarning, match="session_id"), lenient.timer("", 1, 2, "ai_processing"):
        pass
    row = only_row(lenient, "processing_metrics")
    assert (row["session_id"], row["metadata"]) == ("unknown", {"session_id": ""})


def test_stage_with_an_impossible_name_is_kept(lenient: MetricsService) -> None:
    """A stage whose name is too long is kept under its beginning, with the whole name in the metadata."""
    with pytest.warns(RuntimeWarning, match="stage"), lenient.timer(SESSION, 1, 2, "y" * 100, model="m"):
        pass
    row = only_row(lenient, "processing_metrics")
    assert row["stage"].startswith("y" * 64)
    assert row["metadata"] == {"stage": "y" * 100, "model": "m"}


def test_values_that_can_not_be_read_are_counted(lenient: MetricsService) -> None:
    """A value whose text fails becomes a placeholder, is counted once, and the stage is kept."""
    with lenient.timer(SESSION, 1, 2, "ai_processing", answer=Mute(), deep=[1, {"x": Mute()}]):
        pass
    lenient.record_system_metric("m", 1, {"t": Mute()}, more=Mute())
    assert only_row(lenient, "processing_metrics")["metadata"] == {
        "answer": "<unreadable>", "deep": [1, {"x": "<unreadable>"}],
    }  # fmt: skip
    assert lenient.losses.snapshot() == {"unreadable_value": 4}


def test_exception_whose_text_fails_marks_the_stage(lenient: MetricsService) -> None:
    """An exception whose `str` raises still passes unchanged and still marks its stage."""

    class MuteError(Mute, Exception):
        pass

    with pytest.raises(MuteError), lenient.timer(SESSION, 1, 2, "ai_processing"):
        raise MuteError
    row = only_row(lenient, "processing_metrics")
    assert (row["success"], row["error_message"]) == (0, "<unreadable>")


def test_long_texts_are_cut_and_marked(lenient: MetricsService) -> None:
    """A text over its limit is cut and ends with its original length; ids and error messages too."""
    long = "ä" * 100_000
    with pytest.raises(RuntimeError), lenient.timer(SESSION, 1, 2, "ai_processing", prompt=long):
        raise RuntimeError(long)
    lenient.create_session(long, 2)
    row = only_row(lenient, "processing_metrics")
    cut = "ä" * 16_384 + "… [cut, 100000 characters]"
    assert (row["metadata"]["prompt"], row["error_message"]) == (cut, cut)
    created = next(row for row in rows(lenient, "sessions") if row["session_id"] != SESSION)
    assert created["metadata"]["user_id"] == "ä" * 256 + "… [cut, 100000 characters]"


def test_fault_of_ours_does_not_reach_the_bot(lenient: MetricsService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should recording itself fail, the bot's code runs, with one warning and a count."""
    assert lenient.kit is not None
    monkeypatch.setattr(lenient.kit, "stages", None)
    with pytest.warns(RuntimeWarning, match="timer failed with AttributeError"):
        for number in range(3):
            with lenient.timer(SESSION, 1, 2, "ai_processing"):
                done = number
    assert done == 2
    assert lenient.losses.snapshot() == {"fault_in_timer": 3}
