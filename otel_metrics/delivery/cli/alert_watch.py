"""Owns the command `watch`: it looks at all rules again and again, tells what changes, and sends it to people."""

import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otel_metrics.delivery.cli.desk import Desk, is_there, reading, take_in
from otel_metrics.delivery.cli.options import Database, Form, Printed
from otel_metrics.delivery.cli.streams import json_value, note, output_console
from otel_metrics.errors import SettingError, StoreDamaged, StoreError, StoreNewer

if TYPE_CHECKING:
    from otel_metrics.analytics.alerting.states import Transition

_LEAST_S, _MOST_S = 1.0, 86_400.0
_AGAIN_S = 30.0


def watch(
    database: Database = None,
    interval: Annotated[str, typer.Option(metavar="TIME", help="How long to wait between two looks.")] = "60s",
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    form: Printed = Form.TABLE,
) -> None:  # fmt: skip
    """Evaluate alerts on an interval, print each change, and send it to the targets of the rules file; Ctrl-C ends it."""
    every_s = interval_s(interval)
    with reading(database, local=True) as desk, _ending() as ended:
        evaluator = Evaluator(desk, form)
        evaluator.look(strict=True)
        next_look = time.monotonic() + every_s
        while not ended.wait(0):
            sending_s = evaluator.send()
            if once:
                break
            left_s = max(0.0, next_look - time.monotonic())
            if ended.wait(min(left_s, max(sending_s, _LEAST_S))):
                break
            if time.monotonic() >= next_look:
                evaluator.look(strict=False)
                next_look = time.monotonic() + every_s


def interval_s(text: str) -> float:
    """The seconds of `--interval`; `SettingError` for what is no time from a second to a day."""
    from otel_metrics.analytics.alerting.duration import Duration

    with suppress(ValueError):
        seconds = Duration.parse(text).seconds
        if _LEAST_S <= seconds <= _MOST_S:
            return seconds
    raise SettingError(f"--interval {text!r} is not usable", "a time from 1s to 1d", "for example --interval 60s")


class Evaluator:
    """Looks at a store's rules and prints what changes: for people a line, as JSON one object a line."""

    def __init__(self, desk: Desk, form: Form) -> None:
        from otel_metrics.delivery.notify.watching import Watchman

        self._desk = desk
        self._form = form
        self._watchman = Watchman(desk.storage, desk.answers, desk.settings, tell=note)

    def look(self, *, strict: bool) -> None:
        """One look. Unless `strict`, what can not be done now is said, and tried again at the next one."""
        desk = self._desk
        try:
            desk.exists = desk.exists or is_there(desk.storage)
            if not desk.exists:
                note(desk.absent())
                return
            if not strict:
                take_in(desk.storage)
            told = self._watchman.look()
        except (StoreDamaged, StoreNewer):
            raise
        except (StoreError, OSError) as error:
            if strict:
                raise
            note(f"no look at the alerts this time ({error})")
            return
        for one in told:
            self._tell(one)

    def send(self) -> float:
        """Sends what is due, says what became of it on standard error, and gives after how many seconds there is more to do."""
        from otel_metrics.delivery.notify.watching import said_of

        try:
            sent = self._watchman.send()
        except (StoreDamaged, StoreNewer):
            raise
        except (StoreError, OSError) as error:
            note(f"no messages about alerts this time ({error})")
            return _AGAIN_S
        for one in said_of(sent):
            note(one)
        return math.inf if sent.next_s is None else sent.next_s

    def _tell(self, one: "Transition") -> None:
        if self._form is Form.JSON:
            sys.stdout.write(json.dumps(json_value(transition_record(one)), ensure_ascii=True) + "\n")
        else:
            output_console().print(transition_line(one, self._desk.settings.timezone), soft_wrap=True)
        sys.stdout.flush()


def transition_record(one: "Transition") -> dict[str, Any]:
    """A change of state as one flat object."""
    from otel_metrics.analytics.alerting.told import moment

    alert = asdict(one.alert)
    times = {name: moment(alert[name]) for name in ("pending_at", "fired_at", "below_at", "resolved_at")}
    return {
        "at": moment(one.at), "before": one.before, "after": one.after, "rule": one.alert.rule, "labels": one.alert.labels,
        "severity": one.alert.severity, "message": one.alert.message, "silenced": one.silenced,
        "description": one.description, "link": one.link, **alert, **times,
    }  # fmt: skip


def transition_line(one: "Transition", zone: str) -> Any:
    """A change of state as a line."""
    from rich.text import Text

    from otel_metrics.analytics.alerting.told import moment
    from otel_metrics.delivery.cli.alert_views import labels_said
    from otel_metrics.delivery.cli.numbers import date_and_time
    from otel_metrics.delivery.cli.text import clean

    at = moment(one.at)
    assert at is not None
    style = {"firing": "bad", "resolved": "good", "pending": "warn"}.get(one.after, "quiet")
    who = f"{one.alert.rule}{labels_said(one.alert.labels)}"
    quiet = " (silenced)" if one.silenced else ""
    message = f": {one.alert.message}" if one.after in {"firing", "pending"} else ""
    return Text.assemble(
        (f"{date_and_time(at, zone)}  ", "quiet"), (f"{one.after:<8}", style), f"  {clean(who)}{quiet}{clean(message)}"
    )


class _Ended:
    """Whether a signal has asked for the end; waiting ends with it."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def ask(self, _: int, __: FrameType | None) -> None:
        """What a signal calls."""
        os.write(self._write, b"\0")

    def wait(self, seconds: float) -> bool:
        """Waits for so long, or until the end was asked for; whether it was."""
        import select

        return bool(select.select([self._read], [], [], seconds)[0])

    def close(self) -> None:
        """Lets the pipe go."""
        os.close(self._read)
        os.close(self._write)


@contextmanager
def _ending() -> Iterator[_Ended]:
    """SIGINT and SIGTERM end the watch after the look that is under way."""
    ended = _Ended()
    before = {one: signal.signal(one, ended.ask) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        ended.close()
