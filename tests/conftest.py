"""What every test gets: an environment without anybody's settings, OpenTelemetry as at the start of a process, a store of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import context, trace
from opentelemetry.context import Context
from support.opentelemetry import forget_providers

import otel_metrics
from otel_metrics import MetricsService
from otel_metrics.testing import SteppedClock, temporary_service


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests reaches them."""
    for name in [name for name in os.environ if name.startswith(("METRICS_", "OTEL_", "ENABLE_METRICS"))]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def fresh_opentelemetry() -> Iterator[None]:
    """No provider, no service and no current span of one test reaches the next one."""
    forget_providers()
    yield
    otel_metrics.shutdown()
    forget_providers()
    left = trace.get_current_span()
    if left is not trace.INVALID_SPAN:
        context.attach(Context())
        pytest.fail(f"the test left {left} as the current span of its thread, where every later test would find it")


@pytest.fixture
def clock() -> SteppedClock:
    """A clock that stands at noon of the first day of 2026."""
    return SteppedClock()


@pytest.fixture
def service(tmp_path: Path, clock: SteppedClock) -> Iterator[MetricsService]:
    """A strict service with a store of its own and the clock of `clock`."""
    with temporary_service(tmp_path, clock=clock) as made:
        yield made


@pytest.fixture
def lenient(tmp_path: Path, clock: SteppedClock) -> Iterator[MetricsService]:
    """The same as a bot has it: it warns, counts and goes on."""
    with temporary_service(tmp_path, clock=clock, strict=False) as made:
        yield made
