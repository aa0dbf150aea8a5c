"""Signal handlers that record, or raise, in the middle of recording."""

import itertools
import logging
import signal
import sys
from pathlib import Path

import pytest
from support.nursery import Nursery, keep, reopen, tell

NOBODY = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
"""An endpoint where nobody listens: what counts here is that figures are measured at all."""


def record_under_alarms(name: str, records: int) -> None:
    """Records while a signal comes every millisecond, whose handler records too; a small log rotates all the while."""
    logging.disable()
    handled = itertools.count()
    inside = False

    def handle(*_: object) -> None:
        nonlocal inside
        if not inside:
            inside = True
            keep(f"{name}.handler", next(handled))
            inside = False

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    for number in range(records):
        keep(name, number)
    signal.setitimer(signal.ITIMER_REAL, 0)
    tell("done", name)


class Interrupted(BaseException):
    """What a handler raises, as that of Ctrl-C does."""


def record_under_interrupts(name: str, interrupts: int, records: bool) -> None:
    """Records while a handler raises in the middle of it, and may record before; after each the next name begins."""
    handled = itertools.count()

    def interrupt(*_: object) -> None:
        if records:
            keep(f"{name}.handler", next(handled))
        raise Interrupted

    keep(f"{name}.first", 0)  # what is loaded at the first use takes longer than there is time later
    sys.unraisablehook = lambda _: None  # Python passes over what is raised in a callback of a weak reference
    signal.signal(signal.SIGALRM, interrupt)
    for generation in range(interrupts):
        try:
            for number in itertools.count():
                if number % 1000 == 0:
                    signal.setitimer(signal.ITIMER_REAL, 0.0005 + generation % 97 / 1e5)
                keep(f"{name}.{generation}", number)
        except Interrupted:
            pass
    tell("done", name)


@pytest.mark.parametrize("otlp", [False, True], ids=["local", "otlp"])
def test_handler_that_records_never_waits_for_what_it_interrupted(tmp_path: Path, otlp: bool) -> None:
    """A signal handler that records, whatever line of recording it interrupts, neither hangs nor loses or doubles a record."""
    variables = {"METRICS_DRAIN_INTERVAL": "0.01", "METRICS_LOG_MAX_BYTES": "4096", **(NOBODY if otlp else {})}
    with Nursery(tmp_path, __file__, **variables) as nursery:
        pid = nursery.start("record_under_alarms", 3000, name="storm")
        nursery.wait_for_word("done", "storm", timeout_s=20)
        nursery.wait(pid)
        nursery.hear_out()
        found = reopen(tmp_path, nursery.kept)
        print(f"otlp={otlp}: {nursery.kept}, {found}")
    assert nursery.kept["storm"] == 3000
    assert nursery.kept["storm.handler"] > 50
    assert nursery.total() == found.stages == found.values
    assert (found.rejected, found.running, found.account.dropped) == (0, 0, {})


@pytest.mark.parametrize("records", [False, True], ids=["raises", "records-and-raises"])
def test_exception_that_a_handler_raises_costs_only_the_record_it_interrupts(tmp_path: Path, records: bool) -> None:
    """Ctrl-C or a time limit in the middle of recording passes unchanged; afterwards recording goes on, and no record is missing uncounted."""
    with Nursery(tmp_path, __file__, METRICS_DRAIN_INTERVAL="0.05", METRICS_LOG_MAX_BYTES="100000") as nursery:
        pid = nursery.start("record_under_interrupts", 1500, records, name="storm")
        nursery.wait_for_word("done", "storm", timeout_s=20)
        nursery.wait(pid)
        nursery.hear_out()
        found = reopen(tmp_path, nursery.kept)
        print(f"{len(nursery.kept)} interrupts, {nursery.total()} acknowledged, {found}")
    assert len(nursery.kept) > 1000
    assert found.rejected == 0
