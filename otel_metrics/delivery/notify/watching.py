"""Owns a look at the alerts as `watch` and the page make it: the rules as they are now, the states, and the messages."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from otel_metrics.analytics.alerting.evaluation import evaluate_alerts
from otel_metrics.analytics.alerting.rules_file import RulesFile, load_rules_file
from otel_metrics.delivery.notify.courier import Courier, Sent
from otel_metrics.errors import OtelMetricsError
from otel_metrics.model.times import Clock, SystemClock
from otel_metrics.settings import Settings
from otel_metrics.store.tables import MetricsStorage

if TYPE_CHECKING:
    from otel_metrics.analytics.alerting.states import Transition
    from otel_metrics.analytics.answers import Answers


class Watchman:
    """Looks at the rules of a store and sends what follows. Any number of processes may have one; each message goes out once.

        watchman = Watchman(storage, answers, settings, tell=print)   # SettingError, MissingExtra: what can not be used
        for change in watchman.look():                                # every minute or so
            ...
        sent = watchman.send()                                        # after each look, and again after `sent.next_s`

    Moving what the journal holds into the tables is the caller's, before each look. `tell` gets a sentence when the file has become unusable:
    until it is mended, what it said before counts.
    """

    def __init__(
        self, storage: MetricsStorage, answers: "Answers", settings: Settings, tell: Callable[[str], object],
        clock: Clock | None = None,
    ) -> None:  # fmt: skip
        self._storage, self._answers, self._settings, self._tell = storage, answers, settings, tell
        self._clock = clock or SystemClock()
        self._courier = Courier(storage, self._clock)
        self._file = _read(settings)

    def look(self) -> "list[Transition]":
        """One look: what has changed, in the order of the rules. Messages that follow are in the store afterwards."""
        self._read_again()
        now_s = self._clock.time_ns() / 1e9
        return evaluate_alerts(self._storage, self._answers, self._file.rules, now_s, notify=self._file)

    def send(self) -> Sent:
        """Sends the messages that are due, of this process and of others. Not on an event loop: it takes a minute where services hang."""
        return self._courier.send_due(self._file.targets)

    def end(self) -> None:
        """Lets a `send` that is under way, and any later one, end soon; from any thread."""
        self._courier.end()

    def _read_again(self) -> None:
        try:
            self._file = _read(self._settings)
        except OtelMetricsError as error:
            self._tell(f"the rules stay as they were: {error}")


def said_of(sent: Sent) -> Iterator[str]:
    """What became of messages, in sentences for a log."""
    for one in sent.delivered:
        yield f"sent to {one.target}: {one.title}"
    for one, why in sent.failed:
        yield f"not sent to {one.target} yet: {one.title} ({why})"
    for one, why in sent.given_up:
        yield f"given up for {one.target}: {one.title} ({why}); see `otel-metrics alerts messages`"


def _read(settings: Settings) -> RulesFile:
    file = load_rules_file(settings)
    if file.targets:  # Apprise is loaded where there is somebody to tell
        from otel_metrics.delivery.notify.sending import check_targets

        check_targets(file.targets)
    return file
