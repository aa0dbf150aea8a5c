"""The SQL of the ClickHouse dashboard, in a ClickHouse in a process of its own, over the spans of a real bot."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from support.fed import fed
from support.gateway import CONFIG, Gateway, wait_for
from support.otlp import GrpcReceiver

INIT = sorted((CONFIG / "clickhouse").glob("*.sql"))
PANELS = {
    panel["title"]: panel["targets"][0]["rawSql"]
    for panel in json.loads((CONFIG / "grafana/dashboards/clickhouse.json").read_text(encoding="utf-8"))["panels"]
}
MACROS = {
    "$__timeFilter(Timestamp)": "Timestamp > '2000-01-01'",
    "$__timeInterval(Timestamp)": "toStartOfHour(Timestamp)",
}
STATUS = ("Unset", "Ok", "Error")
CLICKHOUSE = """
    import json, sys
    from chdb.session import Session
    session = Session()
    for statement in json.load(sys.stdin):
        found = session.query(statement, "JSON").bytes()
        print(json.dumps(json.loads(found)["data"] if found.strip() else []), flush=True)
"""


def texts(attributes: Any) -> dict[str, str]:
    """Attributes as the exporter's maps have them: each value as text."""
    found = {one.key: (one.value, one.value.WhichOneof("value")) for one in attributes}
    return {key: str(getattr(value, kind)) for key, (value, kind) in found.items() if kind}


def moment(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%Y-%m-%d %H:%M:%S}.{time_ns % 10**9:09d}"


def row_of(span: Any) -> dict[str, Any]:
    """A span in the columns that the collector's exporter writes."""
    return {
        "Timestamp": moment(span.start_time_unix_nano), "TraceId": span.trace_id.hex(), "SpanId": span.span_id.hex(),
        "ParentSpanId": span.parent_span_id.hex(), "SpanName": span.name, "ServiceName": "fed-bot",
        "SpanAttributes": texts(span.attributes), "Duration": span.end_time_unix_nano - span.start_time_unix_nano,
        "StatusCode": STATUS[span.status.code], "Events.Timestamp": [moment(one.time_unix_nano) for one in span.events],
        "Events.Name": [one.name for one in span.events], "Events.Attributes": [texts(one.attributes) for one in span.events],
    }  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """What each panel shows after a bot's day."""
    if not importlib.util.find_spec("chdb"):
        pytest.skip("chdb is not installed: pip install chdb (534 MB) has a ClickHouse in it")
    folder = tmp_path_factory.mktemp("panels")
    with GrpcReceiver() as backend:
        addresses = dict.fromkeys(("JAEGER_ENDPOINT", "TEMPO_ENDPOINT"), backend.endpoint)
        with Gateway(folder / "gateway", **addresses) as gateway:
            with fed(gateway, folder):
                pass
            wait_for("all spans, for both", lambda: len(backend.spans()) == 2 * gateway.accepted_spans())
        rows = {span.span_id: row_of(span) for span in backend.spans()}
    script = "\n".join(path.read_text(encoding="utf-8") for path in INIT)
    made = [statement for statement in script.split(";\n") if statement.strip()]
    inserted = "INSERT INTO otel_traces FORMAT JSONEachRow\n" + "\n".join(json.dumps(row) for row in rows.values())
    asked = list(PANELS.values())
    for macro, meaning in MACROS.items():
        asked = [sql.replace(macro, meaning) for sql in asked]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(line[4:] for line in CLICKHOUSE.splitlines())],
        input=json.dumps([*made, inserted, *asked]), capture_output=True, text=True, timeout=120, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    yield dict(zip(PANELS, found[len(made) + 1 :], strict=True))


def test_every_panel_finds_something(answers: dict[str, list[dict[str, Any]]]) -> None:
    """Each SQL is one that ClickHouse takes over the tables of collector-config/clickhouse, and has rows."""
    assert [title for title, rows in answers.items() if not rows] == []


def test_panels_tell_what_the_bot_did(answers: dict[str, list[dict[str, Any]]]) -> None:
    """Of fifteen ended sessions four were corrected; one draft waits; each model call is counted once."""
    assert answers["Sessions ended"] == [{"sessions": 15}]
    [corrected] = answers["Sessions corrected"]
    assert corrected["percent"] == pytest.approx(100 * 4 / 16)
    assert answers["Waiting now"] == [{"waiting": 1}]
    assert {one["type"]: one["corrections"] for one in answers["Corrections by type"]} == {
        "text_correction": 1, "voice_correction": 1, "style_improvement": 1, "factual_correction": 1, "rejection": 1
    }  # fmt: skip
    [model] = answers["Cost by model"]
    assert (model["calls"], model["tokens_in"], model["tokens_out"]) == (14, 14 * 1200, 14 * 300)
    [moderator] = answers["Moderators"]
    assert (moderator["approved"], moderator["edited"], moderator["rejected"]) == (9, 4, 1)


def test_the_schema_is_the_packages_own() -> None:
    """What the server makes at its first start are the statements by which the package asks it."""
    schema = pytest.importorskip("otel_metrics.analytics.clickhouse.schema", reason="the package has no ClickHouse yet")
    [script] = [path.read_text(encoding="utf-8") for path in INIT]
    assert script.partition("\n\n")[2] == ";\n\n".join(schema.statements(30)) + ";\n"
