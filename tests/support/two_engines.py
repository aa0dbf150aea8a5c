"""What the comparison of two engines needs: parameters for any query by their names, and rows in a form that can be compared."""

import itertools
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from otel_metrics.analytics.asking import Rows
from otel_metrics.analytics.statements import DRAWN, parameters_of
from otel_metrics.model.vocabulary import ProcessingStage
from support.recorded import NOW_NS

NOW = datetime.fromtimestamp(NOW_NS // 10**9, UTC).replace(tzinfo=None)
_WINDOWS = ((24.0, 0.0), (5.5, 3.25), (1.0, 2000.0))
"""Windows by their hours and by how long ago they ended: all, some and none of what is recorded."""
_ORDER = [str(stage) for stage in ProcessingStage]
VALUES: dict[str, list[Any]] = {
    "stage": [None, "ai_processing"], "order": [_ORDER], "quantile": [0.5, 0.95], "type": ["memory_mb"], "intent": [None, "refund"],
    "model": [None, "gpt-4o"], "prompt": [None, "v9"], "currency": ["EUR", None], "timeout_h": [72.0, 0.5], "piece_us": [3_600_000_000],
    "target_ms": [240_000.0], "zone": ["UTC", "Asia/Kolkata", "America/New_York"], "light": [0.1], "medium": [0.4], "most": [5],
    "pieces": [12], "waiting": [[], [NOW - timedelta(minutes=90, microseconds=7), NOW - timedelta(minutes=3)]], "beginning": [3],
    "ms_per_character": [30.0], "step_s": [900, 604_800], "limit": [None, 7], "prefix": ["6", "order", "nobody"],
    "state": ["as_approved", "differs", "not_known", "after_rejection", "not_reviewed"],
    "session": ["two", "order 17/ü", "nobody"], "shift_us": [0, 1_800_000_000], "metric": [None], "within_h": [24.0, 0.4],
    "limits_ms": [[60_000.0, 600_000.0, 7_200_000.0]], "chat": [None], "user": [None], "corrected": [None, True],
    "error": [None, "TimeoutError"], "failed": [None, False], "outcome": [None, "open", "delivered"], "longer_ms": [None, 120_000.0],
    "shorter_ms": [None, 600_000.0],
}  # fmt: skip
_OF_QUERY: dict[str, dict[str, list[Any]]] = {
    "sessions": {"session": [None, "two"], "limit": [7, 1000], "waiting": [None, True], "stage": [None, "own_stage"]},
    "cost_calls": {"currency": ["EUR", "USD"]},
    "stages_times": {"zone": ["UTC", "Asia/Kolkata"]},
}
_RATES = {
    "model": [["gpt-4o", "m-1", "gpt-4o-mini"], []], "provider": [["openai", "", ""], []], "since": [[datetime(2020, 1, 1)] * 3, []],
    "until": [[datetime(2100, 1, 1)] * 3, []], "over": [[-1, -1, -1], []], "up_to": [[10**9] * 3, []], "request": [[0.0, 0.001, 0.0], []],
    "input": [[1e-6, None, 2e-6], []], "output": [[3e-6, 1e-6, None], []], "least": [[1e-6, None, 1e-6], []], "most": [[3e-6, None, 2e-6], []],
}  # fmt: skip


def cases(name: str, statement: str) -> Iterator[dict[str, Any]]:
    """Parameters for a query in every window: each value that a name has once, beside the first ones of the others."""
    wanted = set(parameters_of(statement))
    wanted |= {key for drawn in DRAWN if drawn in statement for key in parameters_of(DRAWN[drawn])}
    chosen = {key: _OF_QUERY.get(name, {}).get(key) or VALUES[key] for key in wanted if key in VALUES}
    for hours, ago in _WINDOWS:
        until = NOW - timedelta(hours=ago)
        since = until - timedelta(hours=hours)
        times = {
            "since": since, "until": until, "now": until, "history": since - timedelta(hours=9), "back": since - timedelta(hours=6),
            "before_since": since - timedelta(hours=12), "reach": since - timedelta(hours=1),
        }  # fmt: skip
        for rates in (0, 1):
            base = {key: value for key, value in times.items() if key in wanted}
            base |= {f"rate_{key}": values[rates] for key, values in _RATES.items() if f"rate_{key}" in wanted}
            base |= {key: values[0] for key, values in chosen.items()}
            yield base
            for key, values in chosen.items():
                for value in values[1:]:
                    yield base | {key: value}
            if "rate_model" not in wanted:
                break


def differences(one: Rows, other: Rows) -> list[tuple[Any, Any]]:
    """The first rows that differ, and the columns where they do; an answer without rows need not tell its columns."""
    if other.rows and one.columns != other.columns:
        return [(one.columns, other.columns)]
    pairs = itertools.zip_longest(_rows(one), _rows(other))
    return [pair for pair in pairs if not alike(*pair)][:3]


def _rows(found: Rows) -> list[tuple[Any, ...]]:
    return [tuple(_value(name, value) for name, value in zip(found.columns, row, strict=True)) for row in found.rows]


def alike(one: Any, other: Any) -> bool:
    """Whether two values are the same to nine digits: sums of floats depend on their order."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)


_JSON = {"metadata", "attributes", "events", "fields"}
_ONLY_LOCAL = {"admin_user_id", "moderator_id"}


def _value(name: str, value: Any) -> Any:
    """A value with JSON decoded to what OTLP keeps of it: texts; a struct of DuckDB as the tuple that ClickHouse gives."""
    if isinstance(value, list):
        return [tuple(one.values()) if isinstance(one, dict) else one for one in value]
    if name in _JSON and isinstance(value, str):
        return {key: _text(one) for key, one in json.loads(value).items() if key not in _ONLY_LOCAL}
    return value


def _text(value: Any) -> str:
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
