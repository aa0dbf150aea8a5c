"""What `replay` sends of a store's past is what live forwarding would have sent: every part of every span."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.cli import real
from support.collectors import Collector
from support.otlp import GrpcReceiver, HttpReceiver
from support.processes import environment
from support.spans import play, whole

import otel_metrics
from otel_metrics import MetricsService
from otel_metrics.replay import Target
from otel_metrics.settings import load

Receiver = HttpReceiver | GrpcReceiver


def recorded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Plays into a store that forwards, and gives what a collector got live, but for spans of no session."""
    with HttpReceiver() as live:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{live.endpoint}/v1/traces")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=bot,tier=1")
        service = otel_metrics.configure(database=folder / "metrics.db", log_file=folder / "metrics.jsonl")
        play()
        service.flush()
        service.shutdown()
    return {key: one for key, one in all_of(live).items() if one[3].name != "of no session"}


def all_of(receiver: Receiver) -> dict[str, Any]:
    """All spans that a receiver got, by id; each must have come once."""
    found: dict[str, Any] = {}
    for request in receiver.traces:
        part = whole(request)
        assert not part.keys() & found.keys()
        found |= part
    return found


def replayed(folder: Path, receiver: Receiver, *more: object, **variables: str) -> dict[str, Any]:
    """Replays the store and gives the document that is printed."""
    result = real(
        "replay", "--to", receiver.endpoint, "--protocol", receiver.protocol, "--format", "json", *more, folder=folder, **variables
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def parts(spans: dict[str, Any]) -> dict[str, list[str]]:
    return {span_id: [str(part) for part in one] for span_id, one in spans.items()}


@pytest.mark.parametrize("make", [HttpReceiver, GrpcReceiver])
@pytest.mark.parametrize("cold", [False, True])
def test_past_arrives_as_it_was_sent_live(
    make: Callable[[], Receiver], cold: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids, parents, names, kinds, states, times, attributes, events, links, resources and scopes are the same, from tables and from segments, by HTTP and by gRPC."""
    live = recorded(tmp_path, monkeypatch)
    if cold:
        assert real("compact", folder=tmp_path).returncode == 0
        assert list((tmp_path / "metrics.db.segments").glob("processing_metrics*"))
    with make() as receiver:
        document = replayed(tmp_path, receiver)
        again = replayed(tmp_path, receiver)
    assert document["sent"] == len(live) == 6
    assert document["complete"]
    assert (again["sent"], again["sent_before"]) == (0, 6)
    arrived = parts(all_of(receiver))
    assert arrived == parts(live)


def some_sessions(folder: Path, count: int, **settings: Any) -> list[str]:
    """Sessions that have ended, each with two stages, a minute apart and a day ago; gives their ids."""
    begin = time.time() - 86_400
    with MetricsService(
        load({"database": folder / "metrics.db", "log_file": folder / "metrics.jsonl", **settings}, {})
    ) as service:
        ids = []
        for number in range(count):
            session = service.create_session(1000 + number, 1000 + number)
            for stage, at in (("ai_processing", 0), ("final_response", 2)):
                start = begin + 60 * number + at
                service.record_stage(session, 1000 + number, 1000 + number, stage, start_time=start, end_time=start + 1)
            service.end_session(session)
            ids.append(session)
    return ids


def sessions_in(receiver: Receiver) -> list[str]:
    """The sessions as they came, each once."""
    order = [span.trace_id.hex() for request in receiver.traces for resource in request.resource_spans
             for scope in resource.scope_spans for span in scope.spans]  # fmt: skip
    return list(dict.fromkeys(order))


def arrived(receiver: Receiver) -> list[str]:
    return [span.span_id.hex() for span in receiver.spans()]


def test_sessions_come_in_the_order_in_which_they_ended_and_whole(tmp_path: Path) -> None:
    """Each session's spans follow one another, and sessions come by their ends, in whatever order they were begun."""
    ids = some_sessions(tmp_path, 30)
    with HttpReceiver() as receiver:
        assert replayed(tmp_path, receiver, "--rate", 0)["sent"] == 90
    assert sessions_in(receiver) == ids


def test_open_session_waits_until_it_is_over(tmp_path: Path) -> None:
    """Of a session that is not over nothing is sent, and the report says how much waits; when it has ended it is sent whole."""
    some_sessions(tmp_path, 2)
    settings = load({"database": tmp_path / "metrics.db", "log_file": tmp_path / "metrics.jsonl"}, {})
    with HttpReceiver() as receiver:
        with MetricsService(settings) as service:
            session = service.create_session(5, 5)
            with service.timer(session, 5, 5, "ai_processing"):
                pass
        first = replayed(tmp_path, receiver, "--rate", 0)
        assert (first["sent"], first["open"]) == (6, {"sessions": 1, "spans": 1})
        with MetricsService(settings) as service:
            service.end_session(session)
        second = replayed(tmp_path, receiver, "--rate", 0)
    assert (second["sent"], second["open"]["spans"]) == (2, 0)
    assert sessions_in(receiver)[-1] == session


def test_late_rows_of_a_sent_session_follow(tmp_path: Path) -> None:
    """What is recorded of a session after it was sent goes with the next replay, and nothing else does."""
    ids = some_sessions(tmp_path, 3)
    with HttpReceiver() as receiver:
        replayed(tmp_path, receiver, "--rate", 0)
        with MetricsService(
            load({"database": tmp_path / "metrics.db", "log_file": tmp_path / "metrics.jsonl"}, {})
        ) as service:
            service.record_stage(ids[0], 1000, 1000, "user_delivery", start_time=1_700_000_000, end_time=1_700_000_001)
        assert real("compact", folder=tmp_path).returncode == 0
        assert replayed(tmp_path, receiver, "--rate", 0)["sent"] == 1
    assert len(set(arrived(receiver))) == 10


def test_filters_choose_sessions_by_their_ends(tmp_path: Path, cli_times: tuple[str, str]) -> None:
    """`--since`, `--until` and `--last` choose whole sessions; what was left out goes when it is asked for."""
    some_sessions(tmp_path, 4)
    before, after = cli_times
    with HttpReceiver() as receiver:
        assert replayed(tmp_path, receiver, "--until", before)["sent"] == 0
        assert replayed(tmp_path, receiver, "--since", before, "--until", after, "--rate", 0)["sent"] == 12
        again = replayed(tmp_path, receiver, "--last", "7d", "--restart", "--rate", 0)
    assert again["sent"] == 12
    assert len(arrived(receiver)) == 24


@pytest.fixture
def cli_times() -> tuple[str, str]:
    now = datetime.now(UTC)
    return (now - timedelta(days=30)).isoformat(), (now + timedelta(days=1)).isoformat()


def test_killed_replay_goes_on_without_loss(tmp_path: Path) -> None:
    """Kill -9 in the middle, several times: in the end everything has come, and twice at most what was on its way at a kill."""
    some_sessions(tmp_path, 400)
    kills = 3
    with HttpReceiver() as receiver:
        for _ in range(kills):
            seen = len(receiver.traces)
            process = subprocess.Popen(
                [sys.executable, "-m", "otel_metrics", "replay", "--to", receiver.endpoint, "--rate", "50"],
                env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
            wait_until(lambda seen=seen: len(receiver.traces) >= seen + 2, process)
            process.kill()
            process.communicate()
        assert replayed(tmp_path, receiver, "--rate", 0)["left"] == 0
    found = arrived(receiver)
    assert len(set(found)) == 1200
    assert len(found) - len(set(found)) <= kills * 50


def test_interrupted_replay_says_what_it_did(tmp_path: Path) -> None:
    """Ctrl-C ends it with status 130 and with figures, and the next one sends the rest, nothing twice."""
    some_sessions(tmp_path, 200)
    with HttpReceiver() as receiver:
        process = subprocess.Popen(
            [sys.executable, "-m", "otel_metrics", "replay", "--to", receiver.endpoint, "--rate", "50", "--format", "json"],
            env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait_until(lambda: len(receiver.traces) >= 2, process)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 130
        told = json.loads(output)
        rest = replayed(tmp_path, receiver, "--rate", 0)
    assert (told["fault"], told["complete"]) == ("interrupted", False)
    assert told["sent"] + told["left"] == 600
    assert set(arrived(receiver)) and len(set(arrived(receiver))) == 600
    assert len(arrived(receiver)) - 600 <= 50
    assert rest["left"] == 0


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    """Looks often, for a minute at most; the process must live meanwhile."""
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_target_that_is_down_ends_it_with_figures(tmp_path: Path) -> None:
    """Where nobody answers the command ends with status 1, what was heard, and how much is left; later it goes on."""
    some_sessions(tmp_path, 5)
    with HttpReceiver() as receiver:
        endpoint = receiver.endpoint
    result = real("replay", "--to", endpoint, "--patience", 1, folder=tmp_path, OTEL_EXPORTER_OTLP_TIMEOUT="1")
    assert result.returncode == 1
    assert "0 of 15 spans were taken" in result.stderr
    assert "15  left" in result.stdout
    assert "Traceback" not in result.stderr
    with HttpReceiver() as receiver:
        assert replayed(tmp_path, receiver, "--rate", 0)["sent"] == 15


def test_refused_span_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """A span that the target refuses for good is counted, the others go, and the next replay does not try it again."""
    some_sessions(tmp_path, 5)
    with MetricsService(
        load({"database": tmp_path / "metrics.db", "log_file": tmp_path / "metrics.jsonl"}, {})
    ) as service:
        service.record_stage("s", 1, 1, "poison", start_time=1_700_000_000, end_time=1_700_000_001)
    with Collector() as collector:
        collector.poison = "poison"
        result = real("replay", "--to", collector.endpoint, "--rate", 0, "--format", "json", folder=tmp_path)
        document = json.loads(result.stdout)
        again = json.loads(real("replay", "--to", collector.endpoint, "--format", "json", folder=tmp_path).stdout)
    assert (document["sent"], document["refused"], document["left"]) == (15, 1, 0)
    assert len(collector.taken) == 15
    assert (again["sent"], again["refused"]) == (0, 0)


def test_forgotten_person_is_never_sent(tmp_path: Path) -> None:
    """Who was forgotten is in no span that is sent afterwards, neither from tables nor from segments."""
    ids = some_sessions(tmp_path, 4)
    assert real("forget", "--user", 1001, folder=tmp_path).returncode == 0
    assert real("compact", folder=tmp_path).returncode == 0
    assert real("forget", "--user", 1002, folder=tmp_path).returncode == 0
    with HttpReceiver() as receiver:
        assert replayed(tmp_path, receiver, "--rate", 0)["sent"] == 6
    assert sessions_in(receiver) == [ids[0], ids[3]]


def test_forgetting_during_a_replay_is_heeded(tmp_path: Path) -> None:
    """Who is forgotten while a replay runs is not sent any more from the moment when `forget` has returned."""
    some_sessions(tmp_path, 200)
    with HttpReceiver() as receiver:
        process = subprocess.Popen(
            [sys.executable, "-m", "otel_metrics", "replay", "--to", receiver.endpoint, "--rate", "150", "--format", "json"],
            env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait_until(lambda: len(receiver.traces) >= 1, process)
        assert real("forget", "--user", 1199, folder=tmp_path).returncode == 0
        output, complaint = process.communicate(timeout=60)
    assert process.returncode == 0, complaint
    assert json.loads(output)["sent"] == 597
    assert len(set(arrived(receiver))) == 597


@pytest.mark.parametrize(
    ("url", "protocol", "expected"),
    [
        ("http://c:4318", None, ("http://c:4318/v1/traces", "http")),
        ("http://c:4317", None, ("http://c:4317", "grpc")),
        ("grpc://c:9", None, ("http://c:9", "grpc")),
        ("grpcs://c", None, ("https://c", "grpc")),
        ("https://x.example/otlp/v1/traces", None, ("https://x.example/otlp/v1/traces", "http")),
        ("c:4318", "grpc", ("http://c:4318", "grpc")),
    ],
)
def test_url_tells_the_protocol(url: str, protocol: str | None, expected: tuple[str, str]) -> None:
    """The scheme or port of the URL tells between gRPC and HTTP, and `--protocol` overrides it."""
    target = Target.of(url, protocol)
    assert (target.endpoint, target.protocol) == expected


def test_wrong_uses_are_told(tmp_path: Path) -> None:
    """A URL that is none, an unknown protocol and two beginnings end with status 2, and a password is not repeated."""
    some_sessions(tmp_path, 1)
    for options in (
        ["--to", "::"],
        ["--to", "http://c", "--protocol", "x"],
        ["--to", "http://c", "--last", "1h", "--since", "2020-01-01"],
    ):
        result = real("replay", *options, folder=tmp_path)
        assert result.returncode == 2, result
        assert result.stderr.startswith("error: ")
    assert "secret" not in Target.of("http://me:secret@c:4318").name


def test_headers_of_the_standard_variable_are_sent(tmp_path: Path) -> None:
    """OTEL_EXPORTER_OTLP_HEADERS reach the target, as they do live."""
    some_sessions(tmp_path, 1)
    with HttpReceiver() as receiver:
        replayed(tmp_path, receiver, OTEL_EXPORTER_OTLP_HEADERS="x-tenant=7")
        assert receiver.headers["x-tenant"] == "7"
