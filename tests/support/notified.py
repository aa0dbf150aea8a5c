"""A store with a rule whose messages go to a letterbox, on a stepped clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from otel_metrics import MetricsService
from otel_metrics.delivery.notify.courier import Sent
from otel_metrics.delivery.notify.watching import Watchman
from otel_metrics.testing import SteppedClock, temporary_service
from support.alerting import NOW
from support.post import Letterbox
from support.stores import rows

RULES = """
page = "https://metrics.example.org/"
[[target]]
name = "hook"
url = "{url}"
[[rule]]
name = "cpu"
kind = "system_metric"
type = "cpu"
aggregate = "last"
above = 80
labels = {{ team = "ops" }}
description = "The machine is busy."
link = "https://example.org/cpu"
"""


class Bench:
    """A store with a rule over a value that the test sets, and who watches it."""

    def __init__(self, service: MetricsService, clock: SteppedClock) -> None:
        self.service, self.clock = service, clock
        self.notes: list[str] = []
        self.watchman = self.another()

    def another(self) -> Watchman:
        """Another process's, as far as the store can tell."""
        return Watchman(
            self.service.storage, self.service.answers, self.service.settings, self.notes.append, self.clock
        )

    def look(self, value: float | None = None, after_s: float = 60.0) -> Sent:
        """Lets time pass, sets the value, looks and sends."""
        self.clock.advance(after_s)
        if value is not None:
            self.service.record_system_metric("cpu", value)
        self.service.flush()
        self.watchman.look()
        return self.watchman.send()

    def stored(self) -> list[dict[str, Any]]:
        return rows(self.service.settings.database, "notices")


@contextmanager
def bench(folder: Path, rules: str) -> Iterator[Bench]:
    (folder / "metrics.rules.toml").write_text(rules)
    clock = SteppedClock(NOW)
    with temporary_service(folder, clock=clock) as service:
        yield Bench(service, clock)


def titles(box: Letterbox) -> list[str]:
    return [one["title"] for one in box.arrived]


def fire(folder: Path, box: Letterbox) -> None:
    """Makes a store in which the rule fires and nobody has looked."""
    (folder / "metrics.rules.toml").write_text(RULES.format(url=box.url()))
    with temporary_service(folder) as service:
        service.record_system_metric("cpu", 90)
        service.flush()
