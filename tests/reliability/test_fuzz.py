"""Anything in any argument of a recording call, and anything in any variable of the environment."""

import json
import math
import random
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from support.fuzzing import SIZES, Fuzz
from support.stores import count, rows

from otel_metrics import MetricsService
from otel_metrics.analytics.answers import Answers
from otel_metrics.errors import SettingError
from otel_metrics.settings import OPTIONS, Settings, load
from otel_metrics.testing import temporary_service

# --- values in recording calls ----------------------------------------------------------------------------------------


class Mute:
    """Every way to look at it fails."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __hash__ = __eq__ = __len__ = __bool__ = __iter__ = __index__ = __float__ = __str__  # type: ignore[assignment]


class Odd(int):
    """A number that has no text."""

    def __str__(self) -> str:
        raise ValueError

    __repr__ = __str__


HOSTILE_VALUES: list[Any] = [
    None, True, 0, -1, 2**63, -(2**63) - 1, 10**5000, 0.5, math.nan, math.inf, -math.inf, 1e300, b"\xff", object(), Mute(), Odd(7),
    Mute, 1j, {1, 2}, range(3), "", " ", "\0", "\ud800", "\udfff\ud800", "é\u202e\n\x1b[31m", '"}\n{"kind":"stage"', "x" * 20_000, "1e999",
    "2026-01-01T12:00:00+25:00", "9999-12-31T23:59:59Z", -1e18, 253402300800, [[]], {"": {None: Mute()}}, {"a": [1, {"b": "\ud800"}]},
    "ai_processing", "delivered", "text_correction",
]  # fmt: skip


calls = st.tuples(
    st.integers(0, 7), st.binary(min_size=9, max_size=9), st.text(st.characters(codec=None), max_size=12), st.integers(), st.floats(),
    st.booleans(),
)  # fmt: skip
"""The kind of call, the places of nine values, and values that are not in the list."""


def picked(call: tuple[int, bytes, str, int, float, bool]) -> list[Any]:
    """Nine values: Hypothesis can neither hash nor print the hostile ones, and so draws their places."""
    _, places, *own, nested = call
    values = [*HOSTILE_VALUES, *own, *own]
    found = [values[place % len(values)] for place in places]
    return [*found[:7], [found[7]], {own[0]: found[8], "": found[7]}] if nested else found


def record(service: MetricsService, call: tuple[int, bytes, str, int, float, bool]) -> None:
    """One recording call of any kind, all of whose arguments are anything."""
    kind, name = call[0], call[2]
    a, b, c, d, e, f, g, h, i = picked(call)
    more = {f"_{name}": i, "_nested": [h, {name: i}]}
    if kind == 0:
        with service.timer(a, b, c, d, **more) as stage:
            stage.metadata[name] = e
            stage.fail(f)
    elif kind == 1:
        service.record_stage(
            a, b, c, d, start_time=heard(e), end_time=heard(f), success=call[5], error_message=h, **more
        )
    elif kind == 2:
        service.record_correction(a, b, c, d, e, f, g, h, a, b, c, **more)
    elif kind == 3:
        service.record_system_metric(a, b, c, **more)
    elif kind == 4:
        service.end_session(service.create_session(a, b, **more), c)
    elif kind == 5:
        service.end_session(a, b)
    elif kind == 6:
        service.get_logger().warning(a, b, **more)
    else:
        with service.timer("s", 1, 2, "ai_processing") as stage:
            stage.metadata = a  # nobody does, and yet
            assert stage.span is not None
            stage.span.set_attribute(name, b)
            stage.span.add_event(name, {"a": c})


def heard(value: object) -> Any:
    """The value, but for one that `test_value_that_can_not_be_looked_at_costs_itself_alone` has."""
    try:
        repr(value)
    except RuntimeError:
        return None
    except ValueError:
        pass
    return value


def check_new_lines(log_file: Path, offset: int) -> int:
    """Every line behind the offset is whole and UTF-8 JSON; gives the new offset."""
    with log_file.open("rb") as file:
        file.seek(offset)
        data = file.read()
    assert data.endswith(b"\n") or not data
    for line in data.splitlines():
        json.loads(line.decode("utf-8"), parse_constant=_no_json)
    return offset + len(data)


def faults(service: MetricsService) -> dict[str, int]:
    """What was counted beside values that are not what they should be: there should be none."""
    counted = service.losses.snapshot()
    return {reason: times for reason, times in counted.items() if not reason.startswith(("input_", "unreadable_value"))}


def _no_json(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


@SIZES
def test_no_value_raises_and_every_record_can_be_read(tmp_path: Path, total: int) -> None:
    """Whatever stands in whatever argument of a recording call, the bot sees no exception, the log is JSON, and each record becomes a row."""
    fuzz = Fuzz(total)
    for number in fuzz.rounds():
        with temporary_service(tmp_path / str(number), strict=False, log_max_bytes=10**9) as service:
            service.record_system_metric("begin", 1)
            made = record_round(service, fuzz, number)
            service.flush()
            assert not service.storage.layout.rejected_file.exists()
            stored = {table: len(rows(service, table)) for table in TABLES_OF_KINDS}
            assert stored == {table: sum(made[kind] for kind in kinds) for table, kinds in TABLES_OF_KINDS.items()}
            assert service.get_dashboard_data()["overview"]["total_requests"] > 0
            print(f"{stored} stored, counted: {service.losses.snapshot()}")


TABLES_OF_KINDS = {"processing_metrics": (0, 1, 7), "correction_metrics": (2,), "system_metrics": (3, -1), "logs": (6,)}


def record_round(service: MetricsService, fuzz: Fuzz, number: int) -> Counter[int]:
    """One round of calls; how many of each kind there were, and as -1 the one before them."""
    made, offset = Counter({-1: 1}), 0

    def check(call: Any) -> None:
        nonlocal offset
        random.seed(offset)  # Hypothesis begins anew with each example, and ids of spans would repeat
        before = faults(service)
        record(service, call)
        made[call[0]] += 1
        assert faults(service) == before
        offset = check_new_lines(service.settings.log_file, offset)

    fuzz.round(number, calls, check)
    return made


@pytest.mark.parametrize("name", ["success", "start_time", "end_time"])
def test_value_that_can_not_be_looked_at_costs_itself_alone(tmp_path: Path, name: str) -> None:
    """Where an argument of a stage is an array, or anything else that gives no plain answer, the stage is kept all the same."""
    arguments: dict[str, Any] = {"start_time": 1, name: Mute()}
    with temporary_service(tmp_path, strict=False) as service, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        service.record_stage("s", 1, 2, "ai_processing", **arguments)
        assert count(service, "processing_metrics") == 1


# --- texts in settings ------------------------------------------------------------------------------------------------

VARIABLES = [option.variable for option in OPTIONS]
PLAUSIBLE = [
    "0", "1", "-1", "7.5", "1e9", "1e999", "nan", "-inf", "٣", "1_000", "0x10", "9" * 400, "true", "Off", " yes ", "strict", "72h", "0m", "3 d",
    "UTC", "Europe/Paris", "../UTC", "UTC\0", "warning", "~", "~nobody-of-that-name/x", "/", "a/b.db", ":memory:", "a" * 5000, "\udcff" * 20, "\0",
]  # fmt: skip
texts = st.one_of(
    st.sampled_from(PLAUSIBLE),
    st.text(st.characters(codec=None), max_size=20),
    st.builds(lambda text, more: text + more, st.sampled_from(PLAUSIBLE), st.text(max_size=3)),
)


@SIZES
def test_any_text_in_any_variable_is_a_setting_or_refused_in_our_words(total: int) -> None:
    """Whatever stands in the environment, `configure()` takes it or raises a `SettingError` that names it, and a bot's first use never raises."""
    fuzz, outcomes = Fuzz(total), Counter[str]()
    defaults = Settings()

    def check(environ: dict[str, str]) -> None:
        try:
            taken = load({}, environ)
        except SettingError as error:
            outcomes["refused"] += 1
            assert any(variable in str(error) for variable in environ)
        else:
            outcomes["taken"] += 1
            assert {type(getattr(taken, name)) for name in ("retention_days", "drain_interval_s")} == {float}
            assert taken.log_max_bytes >= 4096 <= defaults.log_max_bytes
        load(None, environ)

    for number in fuzz.rounds():
        fuzz.round(number, st.dictionaries(st.sampled_from(VARIABLES), texts, min_size=1, max_size=2), check)
    print(dict(outcomes))
    assert min(outcomes["refused"], outcomes["taken"]) > total // 20


UNUSABLE = {
    "METRICS_DATABASE": ":memory:",
    "METRICS_ID_KEY": "\udcff" * 20,
    "METRICS_RETENTION_DAYS": "1e308",
    "METRICS_SESSION_TIMEOUT": "9" * 20,
}


@pytest.mark.parametrize("variable", UNUSABLE)
def test_setting_that_is_taken_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """What `configure()` takes serves for recording, asking and deleting; else it is refused as a setting."""
    monkeypatch.chdir(tmp_path)
    try:
        taken = load({"drain_interval_s": 0, "strict": True}, {variable: UNUSABLE[variable]})
        with MetricsService(taken) as service:
            with service.timer("s", 1, 2, "ai_processing"):
                pass
            assert service.get_dashboard_data()["overview"]["total_requests"] == 1
            answers = Answers(service.storage, taken)
            assert len(answers.sessions(24, 10)) == 1
            service.storage.prune()
    except SettingError:
        pass
