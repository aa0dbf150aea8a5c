"""Owns the command `replay`: where to and how fast, how far it is, and what there is to tell when it ends."""

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Self

import typer

from otel_metrics.delivery.cli.desk import is_there, make_fast, settings_for, storage_of, take_in
from otel_metrics.delivery.cli.options import Database, Form, Printed, Since, Until, time_given
from otel_metrics.delivery.cli.progress import Work
from otel_metrics.delivery.cli.streams import note, note_console, output_console, print_json
from otel_metrics.errors import DeliveryError, SettingError, StoreError

if TYPE_CHECKING:
    from otel_metrics.analytics.window import Window
    from otel_metrics.replay import ReplayReport, Wishes

_LINE_EVERY_S = 10.0
_RATE, _PATIENCE_S = 1_000.0, 60.0


def replay(
    to: Annotated[str, typer.Option(metavar="URL", help="Such as http://localhost:4318 or grpc://localhost:4317.", show_default=False)],
    protocol: Annotated[
        str | None, typer.Option(metavar="P", help="grpc or http/protobuf; without it the URL tells.", show_default=False)
    ] = None,
    since: Since = None,
    until: Until = None,
    last: Annotated[str | None, typer.Option(metavar="T", help="Only the last 90m, 24h, 7d …", show_default=False)] = None,
    rate: Annotated[float, typer.Option(metavar="N", min=0, help="At most so many spans a second; 0: as fast as it goes.")] = _RATE,
    patience: Annotated[float, typer.Option(metavar="S", min=0, help="Give up when nothing is taken for so many seconds.")] = _PATIENCE_S,
    restart: Annotated[bool, typer.Option("--restart", help="Send again what this target has taken before.")] = False,
    unsampled: Annotated[bool, typer.Option("--unsampled", help="Also what the sampler left out when it was recorded.")] = False,
    database: Database = None,
    form: Printed = Form.TABLE,
) -> None:  # fmt: skip
    """Send the store's past to any OTLP backend. Run it again and it goes on where it was."""
    from otel_metrics.replay import Replay, Target, Wishes

    target = Target.of(to, protocol)
    wishes = Wishes(_window(since, until, last), rate, patience, restart, unsampled)
    settings = settings_for(database)
    storage = storage_of(settings)
    if not is_there(storage):
        raise StoreError(
            f"there is no store at {settings.database}", "one in which something was recorded", "check --database"
        )
    take_in(storage)
    make_fast(storage, settings)
    with _Telling(f"Sending to {target.name}") as telling:
        report = Replay(storage, settings, target, wishes, progress=telling.progress, on_wait=telling.waits).run()
    if form is Form.JSON:
        print_json(_document(report))
    else:
        _print(report, wishes)
    if report.is_interrupted:
        raise KeyboardInterrupt
    if report.fault:
        raise DeliveryError(
            f"{target.name}: {report.fault}; {report.sent:,} of {report.past.spans:,} spans were taken",
            "a collector that answers", "run the same command again: it goes on where it was",
        )  # fmt: skip


def _window(since: str | None, until: str | None, last: str | None) -> "Window":
    from otel_metrics.analytics.window import Window, time_of
    from otel_metrics.replay import EVER
    from otel_metrics.settings import hours_of

    if last is not None and since is not None:
        raise SettingError("--last and --since", "one of them", "leave one out")
    end = EVER.until if until is None else time_of("until", time_given(until) or 0)
    begin = EVER.since if since is None else time_of("since", time_given(since) or 0)
    if last is not None:
        now = datetime.now(UTC).replace(tzinfo=None) if until is None else end
        try:
            begin = now - timedelta(hours=hours_of(last))
        except (ValueError, OverflowError) as error:
            raise SettingError(f"--last {last}", "a time such as 90m, 24h or 7d", "give another one") from error
    if begin >= end:
        raise SettingError(f"a period from {begin} to {end} UTC", "a beginning before the end", "give other times")
    return Window(begin, end)


class _Telling:
    """A bar on a terminal; elsewhere a line now and then, and one for every wait."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._work = Work(what)
        self._is_terminal = note_console().is_terminal
        self._told = time.monotonic()

    def progress(self, done: int, total: int) -> None:
        self._work.update(done, total)
        now = time.monotonic()
        if not self._is_terminal and now - self._told >= _LINE_EVERY_S:
            self._told = now
            note(f"{self._what}: {done:,} of {total:,} spans")

    def waits(self, pause_s: float, said: str) -> None:
        note(f"{said}; the next try is in {pause_s:.0f} s")

    def __enter__(self) -> Self:
        self._work.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._work.__exit__(None, None, None)


def _document(report: "ReplayReport") -> dict[str, object]:
    past = report.past
    return {
        "target": report.target, "sent": report.sent, "refused": report.refused, "sent_before": past.sent_before,
        "left": past.spans - report.sent - report.refused, "open": {"sessions": past.open_sessions, "spans": past.open_spans},
        "not_sampled": past.not_sampled, "without_ids": past.without_ids, "seconds": round(report.seconds, 3),
        "complete": not report.fault, "fault": report.fault or None,
    }  # fmt: skip


def _print(report: "ReplayReport", wishes: "Wishes") -> None:
    past = report.past
    speed = f" in {report.seconds:,.1f} s" if report.sent else ""
    lines = [(report.sent, f"spans sent to {report.target}{speed}")]
    lines += [(report.refused, "refused by it for good")] if report.refused else []
    lines += [(past.sent_before, "sent before (--restart sends them again)")] if past.sent_before else []
    if left := past.spans - report.sent - report.refused:
        lines.append((left, "left: run the same command again"))
    if past.open_spans:
        lines.append((past.open_spans, f"not sent yet: their {past.open_sessions:,} sessions are not over"))
    if past.not_sampled and not wishes.unsampled:
        lines.append((past.not_sampled, "not sent: the sampler left them out (--unsampled sends them)"))
    if past.without_ids:
        lines.append((past.without_ids, "not sent: rows of before, which have no span ids"))
    for count, words in lines:
        output_console().print(f"{count:>12,}  {words}", soft_wrap=True)
