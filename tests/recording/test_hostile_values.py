"""Metadata made of anything: nothing raises, every line is JSON, every row arrives."""

import json
import math
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.stores import count, lines

from otel_metrics import MetricsService
from otel_metrics.testing import temporary_service

SESSION = "65a1b2c3000000ff0123456789abcdef"


class Mute:
    """Every way to look at it fails."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __hash__ = __eq__ = __len__ = __bool__ = __str__  # type: ignore[assignment]


class Liar(str):
    """A text that is none when asked."""

    __slots__ = ()

    def __str__(self) -> str:
        raise ValueError


class Disguised:
    """Even its class is a trap."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError

    def __str__(self) -> str:
        raise RuntimeError


characters = st.characters(codec=None) | st.sampled_from(["\0", "\ud800", "\udfff", "\n", "\u2028", '"', "\\", "\x7f"])
texts = st.text(characters, max_size=40) | st.builds(
    lambda text, times: text * times, st.text(characters), st.integers(0, 4000)
)
numbers = (
    st.integers()
    | st.integers(min_value=2**62, max_value=2**70)
    | st.just(-(2**63) - 1)
    | st.builds(lambda: 10**5000)
    | st.floats()
    | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324])
)
leaves = (
    st.none() | st.booleans() | numbers | texts | st.binary(max_size=20) | st.datetimes() | st.complex_numbers()
    | st.builds(Mute) | st.builds(Liar, st.text(max_size=5)) | st.builds(Disguised) | st.just(object())
)  # fmt: skip
keys = texts | st.integers() | st.none() | st.just(1.5)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4) | st.tuples(inner, inner),
    max_leaves=12,
)


def endless() -> list[Any]:
    """A list that holds itself."""
    loop: list[Any] = []
    loop.append({"again": loop})
    return loop


def test_any_metadata_is_kept(tmp_path: Path) -> None:
    """Whatever metadata, names, texts and ids are: no call raises, each leaves a line of UTF-8 JSON, and each line a row."""
    with temporary_service(tmp_path, strict=False) as service:

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(metadata=st.dictionaries(keys, values, max_size=5), text=texts, late=values)
        def record(metadata: dict[Any, Any], text: str, late: Any) -> None:
            assert _record_all(service, metadata, text, late) == [
                "begin",
                "stage",
                "system",
                "log",
                "correction",
                "span",
            ]

        record()
        with service.timer(SESSION, 1, 2, "ai_processing", loop=endless(), deep=_nested(500)):
            pass
        service.flush()
        written = lines(service)
        for kind, table in TABLES.items():
            assert count(service, table) == sum(line["kind"] == kind for line in written)
        assert not service.storage.layout.rejected_file.exists()
        assert set(service.losses.snapshot()) <= {"unreadable_value"}


TABLES = {"stage": "processing_metrics", "system": "system_metrics", "log": "logs", "correction": "correction_metrics"}
ARGUMENTS = {
    "session_id", "user_id", "chat_id", "stage", "self", "metric_type", "value", "tags", "event_type", "message",
}  # fmt: skip


def _record_all(service: MetricsService, metadata: dict[Any, Any], text: str, late: Any) -> list[str]:
    """Records something of every kind and gives the kinds of the lines that this wrote."""
    path = service.settings.log_file
    before = path.stat().st_size if path.exists() else 0
    named = {key: value for key, value in metadata.items() if isinstance(key, str) and key not in ARGUMENTS}
    with service.timer(SESSION, 1, 2, "ai_processing", **named) as stage:
        stage.metadata.update(metadata)
        stage.metadata["late"] = late
    service.record_system_metric(text, text, metadata, **named)
    service.get_logger().metric(text, text, **{**named, "late": late})
    service.record_correction(SESSION, text, text, "rejection", text, text, 1, late=late)
    with path.open("rb") as file:
        file.seek(before)
        new = [json.loads(line.decode("utf-8")) for line in file.read().splitlines()]
    return [line["kind"] for line in new if line["kind"] not in {"file", "process"}]


def _nested(depth: int) -> Any:
    value: Any = "bottom"
    for _ in range(depth):
        value = {"deeper": value}
    return value
