"""What `replay` sends of a store's past is what live forwarding would have sent: every part of every span."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cli import real
from support.otlp import GrpcReceiver, HttpReceiver
from support.spans import play, whole

import otel_metrics

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
