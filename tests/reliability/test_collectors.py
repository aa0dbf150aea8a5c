"""Collectors that are down, slow, refuse, talk garbage or never stop talking: the bot is unharmed, and all is sent afterwards."""

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.collectors import UNANSWERED, Collector
from support.processes import finish, start
from support.stores import lines, rows

MEMORY_MAY_GROW_BYTES = 20 << 20
BOT = """
    import json, logging, resource, sys, time
    logging.disable()  # what the SDK says of the collector is its own business
    import otel_metrics

    def memory():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def record(count, pause_s):
        slowest = 0.0
        for number in range(count):
            before = time.perf_counter()
            with otel_metrics.timer(session, 1, 2, "ai_processing", number=number):
                pass
            slowest = max(slowest, time.perf_counter() - before)
            time.sleep(pause_s)
        return {"memory": memory(), "slowest_s": slowest}

    def flush(timeout_s):
        otel_metrics.get_metrics_service().flush(timeout_s)

    def fail(name):
        from opentelemetry import trace
        with otel_metrics.timer(session, 1, 2, "ai_processing"):
            trace.get_tracer("test").start_span(name).end()

    def end():
        otel_metrics.end_session(session)

    session = otel_metrics.create_session(1, 2)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(globals()[name](*arguments)), flush=True)
"""


class Bot:
    """A bot's process that does what it is told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, *command: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def bot_in(folder: Path, collector: Collector, **more: str) -> Iterator[Bot]:
    process = start(
        BOT, folder, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_EXPORTER_OTLP_TIMEOUT="1", METRICS_DRAIN_INTERVAL="0.2", **more,
    )  # fmt: skip
    yield Bot(process)
    finish(process)


def span_ids(folder: Path) -> set[str]:
    """Everything that is to arrive: stages, other spans and roots."""
    stages = {row["span_id"] for row in rows(folder / "metrics.db", "processing_metrics")}
    return stages | {row["span_id"] for row in rows(folder / "metrics.db", "spans")}


def seconds(mode: object) -> list[Any]:
    return [pytest.param(mode, 5.0, id=f"{mode}"), pytest.param(mode, 600.0, id=f"{mode}-long", marks=pytest.mark.long)]


@pytest.mark.parametrize(
    ("mode", "lasting_s"), [one for mode in ("down", 503, 429, 401, 400, *UNANSWERED, "giant") for one in seconds(mode)]
)
def test_bot_is_unharmed_and_all_is_sent_afterwards(tmp_path: Path, mode: str | int, lasting_s: float) -> None:
    """While the collector misbehaves the bot records at its pace in steady memory; when it is well again, it gets every span."""
    with Collector() as collector, bot_in(tmp_path, collector) as bot:
        bot("record", 100, 0.0)
        bot("flush", 10.0)
        assert len(collector.taken) == 100
        before = bot("record", 1, 0.0)["memory"]
        if mode == "down":
            collector.down()
        else:
            collector.mode = mode
        until = time.monotonic() + lasting_s
        slowest_s, memory = 0.0, before
        while time.monotonic() < until:
            told = bot("record", 250, 0.002)
            slowest_s, memory = max(slowest_s, told["slowest_s"]), max(memory, told["memory"])
        if mode == "down":
            collector.up()
        collector.mode = "ok"
        bot("end")
        bot("flush", 30.0)
    arrived = Counter(collector.taken)
    expected = span_ids(tmp_path)
    assert set(arrived) == expected
    unsure = set(collector.unsure)
    assert {span for span, count in arrived.items() if count > 1} <= unsure
    assert memory - before < MEMORY_MAY_GROW_BYTES
    twice = sum(count > 1 for count in arrived.values())
    print(
        f"{mode}: {len(expected)} spans, {len(unsure)} of them taken without an answer, {twice} twice, memory "
        f"{(memory - before) / 1e6:+.1f} MB, slowest stage {slowest_s * 1000:.1f} ms, {collector.requests} requests"
    )


def test_spans_of_a_bot_that_never_saw_a_collector_are_sent_by_the_next_process(tmp_path: Path) -> None:
    """A collector that is down for a bot's whole life and up for the next process gets every span of both, once."""
    with Collector() as collector:
        collector.down()
        with bot_in(tmp_path, collector) as first:
            first("record", 1500, 0.0)
            first("end")
        assert rows(tmp_path / "metrics.db", "processing_metrics")
        collector.up()
        with bot_in(tmp_path, collector) as second:
            second("record", 10, 0.0)
            second("flush", 30.0)
        assert Counter(collector.taken) == Counter(span_ids(tmp_path))
        assert len(collector.taken) == 1511


def test_killed_bot_s_spans_are_sent_by_the_next_process(tmp_path: Path) -> None:
    """What a bot had acknowledged when it was killed is sent by whoever comes next, without one span more."""
    with Collector() as collector:
        collector.down()
        process = start(BOT, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, METRICS_DRAIN_INTERVAL="0.2",
                        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf")  # fmt: skip
        Bot(process)("record", 700, 0.0)
        process.kill()
        process.communicate()
        collector.up()
        with bot_in(tmp_path, collector) as second:
            second("flush", 30.0)
        assert Counter(collector.taken) == Counter(span_ids(tmp_path))
        assert len(collector.taken) == 700


def test_span_that_the_collector_refuses_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """A collector that refuses a whole request because of one span gets all the others; the refused one is counted."""
    with Collector() as collector, bot_in(tmp_path, collector) as bot:
        collector.poison = "bad span"
        bot("record", 200, 0.0)
        bot("fail", "bad span")
        bot("record", 200, 0.0)
        for _ in range(
            10
        ):  # two spans chosen by chance may be the bad one and the outage's sign: then it is tried again
            bot("flush", 30.0)
            if len(collector.taken) >= 401:
                break
    bad = {row["span_id"] for row in rows(tmp_path / "metrics.db", "spans", "name = 'bad span'")}
    assert Counter(collector.taken) == Counter(span_ids(tmp_path) - bad)
    assert json.loads((tmp_path / "metrics.forward").read_bytes())["refused"] == 1


def test_session_ended_by_two_processes_has_one_root(tmp_path: Path) -> None:
    """Of several ends of a session the first one in the log is sent, and the others are not."""
    end = """
        import sys, otel_metrics
        otel_metrics.end_session(sys.argv[1], sys.argv[2])
    """
    with Collector() as collector:
        with bot_in(tmp_path, collector) as bot:
            bot("record", 1, 0.0)
            session = rows_of_session(tmp_path, bot)
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        for outcome in ("rejected", "delivered", "failed"):
            finish(start(end, tmp_path, session, outcome, **variables))
        assert rows(tmp_path / "metrics.db", "sessions")[0]["outcome"] == "rejected"
        assert len(lines(tmp_path / "metrics.jsonl", "end")) == 3
        assert len(collector.taken) == len(set(collector.taken)) == 2


def rows_of_session(folder: Path, bot: Bot) -> str:
    bot("flush", 10.0)
    return str(rows(folder / "metrics.db", "sessions")[0]["session_id"])


def test_past_of_a_store_is_not_sent_of_itself(tmp_path: Path) -> None:
    """What was recorded before OTLP was switched on stays local, and so do the spans of processes that do not ask for OTLP."""
    quiet = """
        import otel_metrics
        with otel_metrics.timer("s", 1, 2, "ai_processing"):
            pass
    """
    finish(start(quiet, tmp_path))
    with Collector() as collector:
        with bot_in(tmp_path, collector) as bot:
            bot("record", 3, 0.0)
            finish(start(quiet, tmp_path))
            bot("flush", 10.0)
        assert len(collector.taken) == 3


def test_log_files_that_wait_to_be_sent_are_kept(tmp_path: Path) -> None:
    """Rotated logs beyond the number that is kept stay until they are sent, and go then."""
    with Collector() as collector:
        collector.down()
        with bot_in(tmp_path, collector, METRICS_LOG_MAX_BYTES="20000", METRICS_LOG_BACKUPS="2") as first:
            first("record", 1000, 0.0)
        assert len(list(tmp_path.glob("metrics.jsonl.0*"))) > 10
        collector.up()
        with bot_in(tmp_path, collector, METRICS_LOG_MAX_BYTES="20000", METRICS_LOG_BACKUPS="2") as second:
            for _ in range(10):  # logs go when the next one has been read to its end
                second("flush", 30.0)
                second("record", 30, 0.0)
            second("flush", 30.0)
        assert Counter(collector.taken) == Counter(span_ids(tmp_path))
        assert len(list(tmp_path.glob("metrics.jsonl.0*"))) <= 5
