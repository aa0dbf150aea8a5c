"""The settings: what they accept, where they come from, what a bad one gets."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import otel_metrics
from otel_metrics.errors import SettingError
from otel_metrics.settings import OPTIONS, Settings, load

GOOD: dict[str, tuple[Any, Any]] = {
    "database": ("~/m.db", Path("~/m.db").expanduser()),
    "log_file": (Path("m.jsonl"), Path("m.jsonl")),
    "retention_days": ("7.5", 7.5),
    "enabled": (" Off ", False),
    "durability": ("STRICT", "strict"),
    "capture_content": ("yes", True),
    "id_key": ("k" * 16, "k" * 16),
    "session_timeout_hours": ("90m", 1.5),
    "timezone": ("Europe/Paris", "Europe/Paris"),
    "log_level": ("Warning", "warning"),
    "log_max_bytes": ("4096", 4096),
    "log_backups": (1, 1),
    "max_bytes": ("1000000", 1_000_000),
    "compact_rows": ("5000", 5000),
    "drain_interval_s": (0, 0.0),
    "text_limit": ("64", 64),
    "strict": ("1", True),
    "slow_stage_ms": (0.5, 0.5),
    "slow_human_stage_ms": ("60000", 60000.0),
    "slow_min_stages": (1, 1),
    "correction_rate_percent": ("100", 100.0),
    "correction_min_sessions": ("2", 2),
    "system_metrics": ("true", True),
    "system_interval_s": ("15", 15.0),
    "moderator_hour_rate": ("25.5", 25.5),
    "speech_minute_rate": (0, 0.0),
    "currency": (" eur ", "EUR"),
    "rules": ("my.rules.toml", Path("my.rules.toml")),
    "trace_url": (" http://localhost:16686/trace/{trace_id} ", "http://localhost:16686/trace/{trace_id}"),
    "page_token": ("a-token-of-mine-that-is-long", "a-token-of-mine-that-is-long"),
    "backend": (" clickhouse://me:word@host:8123/bots ", "clickhouse://me:word@host:8123/bots"),
}
BAD: dict[str, list[Any]] = {
    "database": ["", "  ", "/", 5, b"m.db", "a\0b", "a" * 5000],
    "log_file": ["", "/tmp"],
    "retention_days": [-1, "soon", "nan", "inf", True],
    "enabled": ["maybe", 2, ""],
    "durability": ["paranoid"],
    "capture_content": ["perhaps"],
    "id_key": ["short"],
    "session_timeout_hours": ["0", "-3h", "3 weeks", True],
    "timezone": ["Mars/Olympus", "../etc/passwd", ""],
    "log_level": ["loud"],
    "log_max_bytes": [4095, "1e6", 5000.5, True],
    "log_backups": [0, -1],
    "max_bytes": [999_999, -1, "10GB"],
    "compact_rows": [-1, 1.5, "many"],
    "drain_interval_s": [-0.1, 3601],
    "text_limit": [63],
    "strict": ["?"],
    "slow_stage_ms": [-1],
    "slow_human_stage_ms": ["x"],
    "slow_min_stages": [0],
    "correction_rate_percent": [-1, 101],
    "correction_min_sessions": [0],
    "system_metrics": ["maybe", 2],
    "system_interval_s": [0, -1, 100_000, "often"],
    "moderator_hour_rate": [-1, "dear", "inf"],
    "speech_minute_rate": [-0.01, "nan", True],
    "currency": ["$", "EURO", "E1R"],
    "rules": ["", "/"],
    "trace_url": ["", "http://localhost:16686/", "javascript:{trace_id}", 'http://x/{trace_id}"onclick=', 5],
    "page_token": ["", "short", "a token with spaces in it", "a;token;that;ends;a;cookie"],
    "backend": [
        "",
        "clickhouse",
        "clickhouse://",
        "http://host:8123",
        "clickhouse://host:0",
        "clickhouse://host:http",
        "clickhouse://host?x=1",
        5,
    ],
}
VARIABLES = {option.field: option.variable for option in OPTIONS}
assert set(GOOD) == set(BAD) == set(VARIABLES) == {field.name for field in fields(Settings)}


@pytest.mark.parametrize("name", GOOD)
def test_argument_wins_over_environment_and_environment_over_default(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Precedence is argument, then environment, then default, for every setting."""
    given_value, expected = GOOD[name]
    assert getattr(load({name: given_value}), name) == expected
    default = getattr(Settings(), name)
    assert getattr(load({name: None}), name) == default
    monkeypatch.setenv(VARIABLES[name], str(given_value))
    assert getattr(load(), name) == expected
    assert getattr(load({name: given_value}), name) == expected
    monkeypatch.setenv(VARIABLES[name], "  ")
    assert getattr(load(), name) == default


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_configure_refuses_a_bad_value(name: str, value: Any) -> None:
    """`configure()` raises with the setting's name, the value and what was expected."""
    with pytest.raises(SettingError) as caught:
        otel_metrics.configure(**{name: value})
    message = str(caught.value)
    assert name in message
    assert "expected" in message
    assert VARIABLES[name] in message
    assert (repr(value) in message) is (name not in {"backend", "id_key", "page_token"})
    assert isinstance(caught.value, ValueError)


def test_configure_refuses_an_unknown_setting() -> None:
    """A name that is no setting raises and lists those there are."""
    with pytest.raises(SettingError, match=r"unknown setting databse; expected one of database, log_file"):
        otel_metrics.configure(databse="x.db")


def test_bad_environment_value_at_first_use_warns_and_takes_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A bot that never called `configure()` starts in spite of a bad variable, with a warning that names it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METRICS_RETENTION_DAYS", "a month")
    monkeypatch.setenv("METRICS_LOG_LEVEL", "debug")
    with pytest.warns(
        RuntimeWarning, match="METRICS_RETENTION_DAYS='a month' is not usable; expected a number of days"
    ):
        service = otel_metrics.get_metrics_service()
    assert (service.settings.retention_days, service.settings.log_level) == (30.0, "debug")


def test_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad key is refused without being printed."""
    monkeypatch.setenv("METRICS_ID_KEY", "hunter2")
    with pytest.raises(SettingError) as caught:
        otel_metrics.configure()
    assert "hunter2" not in str(caught.value)
    assert "(hidden)" in str(caught.value)


@example(name="log_file", value="~0")
@given(
    name=st.sampled_from(sorted(BAD)),
    value=st.text() | st.integers() | st.floats() | st.binary() | st.booleans() | st.lists(st.integers()),
)
def test_any_value_is_taken_or_refused_in_our_words(name: str, value: Any) -> None:
    """No value of any setting gets another answer than a setting or a `SettingError`."""
    try:
        load({name: value}, environ={})
    except SettingError as error:
        assert name in str(error)
