"""What tests of instrumentors get: a store under the real clock, and a loopback Bot API."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_metrics import MetricsService
from otel_metrics.testing import temporary_service


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[MetricsService]:
    """A strict service with the machine's clock: bots that talk over HTTP take the time they take."""
    with temporary_service(tmp_path) as made:
        yield made


@pytest.fixture
def telegram_api() -> Iterator[object]:
    """A Bot API server of this test's own."""
    from support.telegram_api import TelegramApi

    with TelegramApi() as api:
        yield api
