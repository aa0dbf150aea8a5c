"""What Prometheus gets from the page: the dashboard's own numbers, in a form that it accepts, for whom they are meant."""

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml
from support.cli import HOSTILE, real
from support.page import Served, serving
from support.processes import run
from support.stores import rows

from otel_metrics import MetricsService
from otel_metrics.analytics.answers import Answers
from otel_metrics.delivery.cli.desk import settings_for, storage_of
from otel_metrics.delivery.page.place import RANGES
from otel_metrics.settings import load

parser = pytest.importorskip("prometheus_client.parser", reason="pip install '.[dashboard]'")

PAGE = Path(__file__).parents[3] / "docs" / "page.md"
BREAKING = 'x"} 1 owned{a="b'
MONTH = "/metrics?hours=720"
"""A window out of which nothing slides while a test runs."""

Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def served(demo_folder: Path) -> Iterator[Served]:
    with serving(demo_folder / "metrics.db") as page:
        yield page


def numbers_in(text: str) -> Numbers:
    """Every sample; the parser refuses what Prometheus would refuse."""
    samples = [one for family in parser.text_string_to_metric_families(text) for one in family.samples]
    found = {(one.name, tuple(sorted(one.labels.items()))): one.value for one in samples}
    assert len(found) == len(samples)  # a series that is there twice makes Prometheus refuse all of them
    return found


def number(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted(labels.items()))


def expected_of(document: Mapping[str, Any], queue: Mapping[str, Any]) -> Numbers:
    """What the document and the queue say, under the names of the documentation."""
    overview, corrections, whole = document["overview"], document["corrections"], document["stages"]
    cost, system = document["cost"], document["system"]
    numbers: dict[Any, float | None] = {
        number("hitl_window_seconds"): 720 * 3600,
        number("hitl_window_sessions"): overview["total_requests"],
        number("hitl_window_success_ratio"): overview["overall_success_rate"] / 100,
        number("hitl_window_correction_ratio"): corrections["rate"] / 100,
        number("hitl_window_corrected_sessions"): corrections["corrected_sessions"],
        number("hitl_window_end_to_end_mean_seconds"): overview["avg_total_processing_time_ms"] / 1000,
        number("hitl_window_end_to_end_p50_seconds"): whole["end_to_end_p50_ms"] / 1000,
        number("hitl_window_end_to_end_p95_seconds"): whole["end_to_end_p95_ms"] / 1000,
        number("hitl_window_stage_names_left_out"): 0,
        number("hitl_queue_length"): document["capacity"]["waiting"],
        number("hitl_alert_messages_undelivered"): 0,
        number("hitl_window_model_calls"): cost["calls"],
        number("hitl_window_model_calls_unpriced"): cost["unpriced_calls"],
        number("hitl_window_model_tokens", direction="input"): cost["input_tokens"],
        number("hitl_window_model_tokens", direction="output"): cost["output_tokens"],
        number("hitl_window_cost", currency=cost["currency"]): cost["known_total_cost"],
        number("hitl_store_records_emitted_total"): system["emitted"],
        number("hitl_store_records_stored_total"): system["stored"],
        number("hitl_store_records_waiting"): system["in_journal"],
        number("hitl_store_records_missing"): system["missing"],
    }
    for name, one in document["processing_by_stage"].items():
        numbers[number("hitl_window_stages", stage=name)] = one["count"]
        numbers[number("hitl_window_stage_success_ratio", stage=name)] = one["success_rate"] / 100
        for statistic in ("p50", "p95", "p99"):
            numbers[number(f"hitl_window_stage_duration_{statistic}_seconds", stage=name)] = (
                one[f"{statistic}_ms"] / 1000
            )
        numbers[number("hitl_window_stage_duration_mean_seconds", stage=name)] = one["avg_duration_ms"] / 1000
        for state in ("running", "interrupted"):
            running = sum((row["stage"], row["state"]) == (name, state) for row in queue["running"])
            numbers[number("hitl_running_stages", stage=name, state=state)] = running
    for name, one in corrections["by_type"].items():
        numbers[number("hitl_window_corrections", type=name)] = one["total_count"]
        numbers[number("hitl_window_correction_processing_mean_seconds", type=name)] = (
            one["avg_processing_time_ms"] / 1000
        )
    for one in cost["by_currency"]:
        numbers[number("hitl_window_model_cost", currency=one["currency"])] = one["known_cost"]
    for one in system["dropped_records"]:
        numbers[number("hitl_store_records_dropped_total", reason=one["reason"])] = one["count"]
    firing = {one["rule"] for one in document["alerts"]}
    for rule in ("slow_processing", "high_correction_rate"):
        numbers[number("hitl_alert_firing", rule=rule, severity="warning")] = int(rule in firing)
        numbers[number("hitl_alert_silenced", rule=rule, severity="warning")] = 0
    return {name: value for name, value in numbers.items() if value is not None}


def test_every_number_is_the_dashboards(served: Served, demo_folder: Path):
    """Each sample is a figure of the document, the queue or the alerts, in seconds and shares, and none of theirs is missing."""
    settings = settings_for(demo_folder / "metrics.db")
    answers = Answers(storage_of(settings), settings)
    before = answers.queue()
    reply = served.ask(MONTH)
    document, queue = answers.dashboard(720), answers.queue()
    answers.close()
    assert (reply.status, reply.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found = numbers_in(reply.text)
    age_s = found.pop(number("hitl_queue_oldest_age_seconds"))
    assert before["waiting"][0]["age_ms"] / 1000 <= age_s <= queue["waiting"][0]["age_ms"] / 1000
    assert found.pop(number("hitl_window_end_timestamp_seconds")) > 0
    assert [one for one in found if one[0] == "otel_metrics_build_info"]
    told = {name: value for name, value in found.items() if name[0] != "otel_metrics_build_info"}
    expected = expected_of(document, queue)
    assert document["overview"]["total_corrections"] == sum(
        value for (name, _), value in told.items() if name == "hitl_window_corrections"
    )
    assert told.keys() == expected.keys()
    assert told == pytest.approx(expected)


_KILLED = """
import os
import otel_metrics as m
session = m.create_session(1, 1)
with m.timer(session, 1, 1, "ai_processing"):
    pass
os._exit(0)
"""


def test_what_only_the_log_has_yet_is_in_it(own_demo: Path):
    """A session of a bot that was killed before it could move its log into the tables counts, though nobody looks at the page."""
    with serving(own_demo) as page:
        before = numbers_in(page.ask(MONTH).text)
        run(_KILLED, own_demo.parent)
        after = numbers_in(page.ask("/metrics?hours=719").text)  # another window: figures of this one may rest
        assert after[number("hitl_store_records_waiting")] == 0
    name = number("hitl_window_sessions")
    assert after[name] == before[name] + 1


def test_silences_and_evaluators_are_told(own_demo: Path):
    """A silenced rule fires and is marked; the moment of the last look is `watch`'s or `serve`'s, and absent before any."""
    firing, silenced, looked = (
        number("hitl_alert_firing", rule="high_correction_rate", severity="warning"),
        number("hitl_alert_silenced", rule="high_correction_rate", severity="warning"),
        number("hitl_alert_last_look_timestamp_seconds"),
    )
    with serving(own_demo) as page:
        before = numbers_in(page.ask(MONTH).text)
        assert (before[firing], before[silenced], looked in before) == (1, 0, False)
        for command in (
            ("alerts", "silence", "high_correction_rate", "--for", "2h", "--reason", "known"),
            ("watch", "--once"),
        ):
            done = real(*command, "--database", own_demo, folder=own_demo.parent)
            assert done.returncode == 0, done.stderr
        after = numbers_in(page.ask("/metrics?hours=719").text)
    assert (after[firing], after[silenced]) == (1, 1)
    (row,) = (one for one in rows(own_demo, "counters") if one["name"] == "alerts_looked_us")
    assert after[looked] == pytest.approx(int(row["value"]) / 1e6, abs=1e-3)


def _many(folder: Path) -> Path:
    """A store whose stages have many names, hostile ones among them."""
    settings = load({"database": folder / "m.db", "log_file": folder / "m.jsonl", "drain_interval_s": 0}, {})
    hostile = ['quote"s', "back\\slash", "back\\nslash", BREAKING, "日本語", "ends\\"]
    with MetricsService(settings) as service:
        session = service.create_session("user-with-a-name", -1001234567890)
        service.record_stage(session, 1, 1, "ai_processing", start_time=time.time(), cost=1.5, currency='X"\nY', input_tokens=3, output_tokens=4)  # fmt: skip
        for stage in [*hostile * 2, *(f"stage_{number}" for number in range(80)), "ai_processing"]:
            with service.timer(session, "user-with-a-name", -1001234567890, stage):
                pass
        service.record_correction(session, "moderator-with-a-name", "1", "text_correction", "a", "b", 1)
    return settings.database


def test_names_from_a_store_can_not_break_out(tmp_path: Path, steering: Path):
    """Quotes, line ends and the like stay inside of their label; Prometheus' own checker finds no fault."""
    for database in (_many(tmp_path), steering):
        with serving(database) as page:
            text = page.ask("/metrics").text
        found = numbers_in(text)
        assert "owned" not in {name for name, _ in found}
        stages = {dict(labels).get("stage") for name, labels in found if name == "hitl_window_stages"}
        assert (BREAKING in stages) is (database != steering)
        assert ("[red]x[/red]" in stages) is (database == steering)
        checked(text)
        currency = number("hitl_window_model_cost", currency='X"\nY')
        assert found.get(currency) == (None if database == steering else 1.5)


def test_labels_are_few_and_name_nobody(tmp_path: Path):
    """Of a hundred names of stages fifty are told, the known and the frequent first; no label is an id of anybody."""
    database = _many(tmp_path)
    settings = settings_for(database)
    with serving(database) as page:
        text = page.ask("/metrics").text
    found = numbers_in(text)
    stages = {dict(labels)["stage"] for name, labels in found if name == "hitl_window_stages"}
    assert len(stages) == 50
    assert {"ai_processing", 'quote"s'} <= stages
    assert found[number("hitl_window_stage_names_left_out")] == 37
    answers = Answers(storage_of(settings), settings)
    (session,) = answers.sessions(24)
    answers.close()
    for secret in (session["session_id"], str(session["user_id"]), str(session["chat_id"]), HOSTILE):
        assert secret not in text
    assert {name for _, labels in found for name, _ in labels} == {
        "currency", "direction", "rule", "severity", "stage", "state", "type", "version"
    }  # fmt: skip


def test_without_a_store_there_are_zeros(tmp_path: Path):
    """Before a bot has recorded anything the page answers: nothing waits and no rule fires."""
    with serving(tmp_path / "metrics.db") as page:
        reply = page.ask("/metrics")
    assert reply.status == 200
    found = numbers_in(reply.text)
    assert found[number("hitl_window_sessions")] == 0
    assert found[number("hitl_queue_oldest_age_seconds")] == 0
    checked(reply.text)


def test_what_can_not_be_told_is_a_line_and_a_status(own_demo: Path):
    """A window that is none gets 400; a file of rules with a mistake and a damaged store get 503, each with its reason."""
    with serving(own_demo) as page:
        for hours in ("0", "-1", "nan", "x"):
            reply = page.ask(f"/metrics?hours={hours}")
            assert (reply.status, reply.headers["content-type"]) == (400, "text/plain; charset=utf-8")
        own_demo.with_name("metrics.rules.toml").write_text("[[rule]]\nname = 7\n")
        reply = page.ask("/metrics?hours=5")
        assert reply.status == 503 and "metrics.rules.toml" in reply.text
    own_demo.write_bytes(b"no database" * 1000)
    with serving(own_demo) as page:
        reply = page.ask("/metrics")
        assert reply.status == 503 and len(reply.text.splitlines()) == 1


def test_openmetrics_where_it_is_asked_for(served: Served):
    """A Prometheus that prefers OpenMetrics gets it."""
    reply = served.ask(MONTH, accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert reply.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert reply.text.endswith("# EOF\n")


def test_it_is_guarded_as_the_page_is(demo: Path, served: Served):
    """A foreign name or site gets nothing; where the page needs its token, so do the metrics, as a bearer's."""
    assert served.ask("/metrics", host="metrics.example.org").status == 421
    assert served.ask("/metrics", origin="http://example.org").status == 403
    with serving(demo, "--name", "metrics.example.org") as page:
        assert page.ask("/metrics").status == 401
        assert page.ask("/metrics", authorization="Bearer wrong").status == 401
        reply = page.ask("/metrics", authorization=f"Bearer {page.token}", host="metrics.example.org")
        assert reply.status == 200 and "hitl_queue_length" in reply.text


def test_every_metric_is_in_the_documentation(served: Served):
    """The table of the documentation names what there is, and nothing else."""
    told = set(re.findall(r"^# TYPE (\S+)", served.ask(MONTH).text, re.MULTILINE))
    table = PAGE.read_text(encoding="utf-8").partition("## Prometheus\n")[2].partition("```yaml")[0]
    said: set[str] = set()
    for row in [line for line in table.splitlines() if line.startswith("| `")]:
        for name in re.findall(r"`([^`]+)`", row.split("|")[1]):
            said |= {one for one in told if re.fullmatch(name.replace("…", ".*"), one)} or {f"{name} is not there"}
    assert said == told


def checked(text: str) -> None:
    """Prometheus' own checker accepts it and its names."""
    promtool = shutil.which("promtool")
    if promtool is None:
        return
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_promtool_accepts_the_metrics(served: Served):
    """Prometheus' own checker finds no fault in names, units and types."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not on PATH")
    checked(served.ask(MONTH).text)


def _documented() -> dict[str, Any]:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    whole: dict[str, Any] = yaml.safe_load(block)
    return whole


def test_the_documented_scrape_configuration_asks_for_what_there_is(served: Served):
    """Its path, window and port are the page's own."""
    (job,) = _documented()["scrape_configs"]
    (hours,) = job["params"]["hours"]
    assert float(hours) in RANGES
    assert job.get("metrics_path", "/metrics") == "/metrics"
    assert job["static_configs"] == [{"targets": ["127.0.0.1:8321"]}]
    assert served.ask(f"/metrics?hours={hours}").status == 200


def test_promtool_accepts_the_documented_configuration(tmp_path: Path):
    """Prometheus' own checker finds no fault in it."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on PATH")
    whole = _documented()
    (tmp_path / "token").write_text("x" * 16)
    whole["scrape_configs"][0]["authorization"]["credentials_file"] = str(tmp_path / "token")
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(whole))
    done = subprocess.run(
        [promtool, "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_real_prometheus_takes_them_in(demo: Path, tmp_path: Path):
    """The documented configuration makes Prometheus ask with the token, and its own query gives the page's number."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not on PATH")
    with serving(demo, "--name", "metrics.example.org") as page:
        whole = _documented()
        (job,) = whole["scrape_configs"]
        (tmp_path / "token").write_text(page.token)
        job["authorization"]["credentials_file"] = str(tmp_path / "token")
        job |= {
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "static_configs": [{"targets": [f"127.0.0.1:{page.port}"]}],
        }
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(whole))
        with asking(program, tmp_path) as query:
            assert query('up{job="otel-metrics"}') == 1
            now = numbers_in(page.ask("/metrics?hours=1", authorization=f"Bearer {page.token}").text)
            assert query("hitl_queue_length") == now[number("hitl_queue_length")]
            assert query("count(hitl_alert_firing)") == 2
            assert query('scrape_samples_scraped{job="otel-metrics"}') > 30


@contextmanager
def asking(program: str, folder: Path) -> Iterator[Callable[[str], float]]:
    """A Prometheus of its own, and the way to its queries; each is asked until there is an answer."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [program, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={address}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def query(text: str) -> float:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with suppress(OSError), urlopen(f"http://{address}/api/v1/query?{urlencode({'query': text})}") as reply:
                found = json.load(reply)["data"]["result"]
                if found:
                    return float(found[0]["value"][1])
            assert process.poll() is None
            time.sleep(0.1)
        raise AssertionError(f"Prometheus has no answer to {text}")

    try:
        yield query
    finally:
        process.terminate()
        process.wait(20)
