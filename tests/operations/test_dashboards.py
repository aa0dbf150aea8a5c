"""The dashboards of collector-config/: what Grafana needs of them, and that each query finds something of a real bot."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.fed import fed
from support.gateway import CONFIG, Gateway, metric_names, wait_for
from support.otlp import GrpcReceiver
from support.prometheus import Prometheus

GRAFANA = CONFIG / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
SOURCES = {
    one["uid"]: one["type"]
    for one in yaml.safe_load((GRAFANA / "provisioning/datasources/datasources.yaml").read_text(encoding="utf-8"))[
        "datasources"
    ]
}
WHOLE_PANEL = {"alertlist"}  # asks by itself, without a query
GRAFANAS_WORDS = {"$__rate_interval": "10s", "$__range": "1h", "$bot": ".*"}
OF_PROMETHEUS = {"up", "ALERTS"}
TRACEQL_INTRINSICS = {"name", "status", "duration", "event:name"}
MADE_WHERE_THERE_IS_TROUBLE = {"alertstate"}


@dataclass(frozen=True)
class Query:
    """One target of a panel."""

    where: str
    source: str
    target: dict[str, Any]

    @property
    def promql(self) -> str:
        """The expression with Grafana's words put in."""
        expression = str(self.target["expr"])
        for word, meaning in GRAFANAS_WORDS.items():
            expression = expression.replace(word, meaning)
        return expression


def dashboards() -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in FILES]


def queries(source: str) -> list[Query]:
    return [
        Query(f"{board['title']}: {panel['title']}", target["datasource"]["uid"], target)
        for board in dashboards()
        for panel in board["panels"]
        for target in panel["targets"]
        if target["datasource"]["uid"] == source
    ]


PROMQL, TRACEQL, SQL = queries("prometheus"), queries("tempo"), queries("clickhouse")


# --- what Grafana needs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_grafana_can_load_a_dashboard(path: Path) -> None:
    """It has an id, a version of the schema, a time range and panels that stand beside and not upon each other."""
    board = json.loads(path.read_text(encoding="utf-8"))
    assert board["uid"] == f"otel-metrics-{path.stem}"
    assert len(board["uid"]) <= 40
    assert board["title"]
    assert board["schemaVersion"] >= 39
    assert "id" not in board
    assert board["time"]["to"] == "now"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids)) >= 6
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_panel_says_what_it_shows_and_asks_a_source_that_is_there(path: Path) -> None:
    """No panel is without words or without a query, and data sources are those that are provisioned, of their types."""
    board = json.loads(path.read_text(encoding="utf-8"))
    for panel in board["panels"]:
        assert panel["title"], panel
        assert panel["description"], panel["title"]
        assert bool(panel["targets"]) is (panel["type"] not in WHOLE_PANEL), panel["title"]
        for one in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
            assert SOURCES[one["uid"]] == one["type"], panel["title"]
        marks = [target["refId"] for target in panel["targets"]]
        assert len(marks) == len(set(marks)), panel["title"]
    for variable in board["templating"]["list"]:
        assert SOURCES[variable["datasource"]["uid"]] == variable["datasource"]["type"]


def test_the_questions_of_the_live_page_are_all_there() -> None:
    """Overview, stages, corrections, the queue, cost, alerts and the package's own health; and SQL."""
    wanted = {"overview", "stages", "corrections", "queue", "cost", "alerts", "health", "clickhouse"}
    assert {path.stem for path in FILES} == wanted
    titles = [board["title"] for board in dashboards()]
    assert len(titles) == len(set(titles))


def test_points_lead_to_traces() -> None:
    """Panels of durations ask for exemplars, and their source says which trace store to open."""
    shown = {query.where.partition(":")[0] for query in PROMQL if query.target.get("exemplar")}
    assert shown >= {"Overview", "Stages", "Corrections", "Moderators' queue"}


# --- the queries -------------------------------------------------------------------------------------------------


def test_promtool_can_read_every_expression(tmp_path: Path) -> None:
    """Prometheus' own parser takes each query of a panel."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on PATH: it comes with Prometheus")
    rules = [{"record": f"panel:{number}", "expr": query.promql} for number, query in enumerate(PROMQL)]
    file = tmp_path / "panels.yaml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(PROMQL)} rules found" in done.stdout


@dataclass(frozen=True)
class Stage:
    """A real bot behind a real gateway: what backends got of it, and what Prometheus finds."""

    page: str
    telemetry: str
    attributes: set[str]
    event_attributes: set[str]
    events: set[str]
    resource: set[str]
    prometheus: Prometheus


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    with GrpcReceiver() as jaeger, GrpcReceiver() as tempo:
        addresses = {"JAEGER_ENDPOINT": jaeger.endpoint, "TEMPO_ENDPOINT": tempo.endpoint}
        with (
            Gateway(folder / "gateway", **addresses) as gateway,
            fed(gateway, folder),
            Prometheus(folder, gateway) as prometheus,
        ):
            wait_for("span metrics", lambda: bool(prometheus.ask("rate(traces_span_metrics_calls_total[10s])")))
            wait_for("a recorded rate", lambda: bool(prometheus.ask("hitl:correction_rate:percent1d")))
            wait_for("the collector's own", lambda: bool(prometheus.ask("rate(otelcol_exporter_sent_spans[10s])")))
            spans = tempo.spans()
            resources = [resource.resource for request in tempo.traces for resource in request.resource_spans]
            yield Stage(
                gateway.page(), gateway.telemetry(), {one.key for span in spans for one in span.attributes},
                {one.key for span in spans for event in span.events for one in event.attributes},
                {event.name for span in spans for event in span.events},
                {one.key for resource in resources for one in resource.attributes}, prometheus,
            )  # fmt: skip


def recorded() -> set[str]:
    """The names that rules of alerts.yaml record."""
    groups = yaml.safe_load((CONFIG / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}


def names_in(promql: str) -> set[str]:
    """The metrics that an expression asks for: words before a `{` or a `[`, or alone between operators."""
    bare = re.sub(r'"[^"]*"', '""', promql)
    bare = re.sub(r"\b(?:by|without)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\{[^}]*\}", "{}", bare)
    words = set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?![a-zA-Z0-9_:]*\s*\()", bare))
    return {word for word in words if ":" in word or "_" in word or word in OF_PROMETHEUS} - {"vector"}


def expressions() -> list[tuple[str, str]]:
    """All PromQL of panels and of rules, with the place where it stands."""
    groups = yaml.safe_load((CONFIG / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    rules = [(rule.get("alert") or rule["record"], rule["expr"]) for group in groups for rule in group["rules"]]
    return [(query.where, query.promql) for query in PROMQL] + rules


def test_every_metric_that_is_asked_for_is_one_that_comes(stage: Stage) -> None:
    """A name in a panel or a rule is on one of the gateway's two pages, or recorded by a rule; each of ours is shown."""
    there = metric_names(stage.page) | metric_names(stage.telemetry) | recorded() | OF_PROMETHEUS
    asked = {name: where for where, expression in expressions() for name in names_in(expression)}
    assert {name: where for name, where in asked.items() if name not in there} == {}
    ours = {re.sub("_(bucket|sum|count)$", "", name) for name in metric_names(stage.page) if name.startswith("hitl_")}
    assert ours <= {re.sub("_(bucket|sum|count)$", "", name) for name in asked}


def test_every_label_that_is_asked_for_is_one_that_comes(stage: Stage) -> None:
    """A label by which a panel or rule chooses or groups is on a series of the gateway, or of Prometheus itself."""
    there = set(re.findall(r'([a-zA-Z_]\w*)="', stage.page + stage.telemetry)) | {"alertname", "alertstate"}
    for where, expression in expressions():
        asked = set(re.findall(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=(?!=))\s*[\"']", expression))
        for group in re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", expression):
            asked |= {label.strip() for label in group.split(",")}
        assert asked <= there, where


def test_every_query_of_metrics_finds_something(stage: Stage) -> None:
    """A real Prometheus, fed by a real bot that has had it all, answers every panel's query with data."""
    silent = {"ALERTS"}  # nothing is wrong yet
    empty = [
        (query.where, query.promql)
        for query in PROMQL
        if not names_in(query.promql) & silent and not stage.prometheus.ask(query.promql)
    ]
    assert empty == []


def test_points_of_durations_carry_their_traces(stage: Stage) -> None:
    """Prometheus has exemplars with trace ids of the package's own histograms and of span metrics."""
    for name in ("hitl_stage_duration_seconds_bucket", "traces_span_metrics_duration_seconds_bucket"):
        found = stage.prometheus.exemplars(name)
        assert found, name
        assert all(len(one["labels"]["trace_id"]) == 32 for one in found)


def test_the_gateway_finds_nothing_to_redact_in_the_packages_own_spans(stage: Stage) -> None:
    """Hashes, versions and figures do not look like secrets; what is masked is counted on its span."""
    every = stage.attributes | stage.event_attributes | stage.resource
    assert not [name for name in every if name.startswith("redaction.")]


def test_every_attribute_that_traceql_asks_for_is_on_spans(stage: Stage) -> None:
    """What searches choose by, select and add up is on spans, events or resources that a backend really got."""
    for query in TRACEQL:
        text = re.sub(r'"[^"]*"', '""', query.target["query"])
        for scope, there in (
            ("span", stage.attributes),
            ("event", stage.event_attributes),
            ("resource", stage.resource),
        ):
            asked = set(re.findall(rf"\b{scope}\.([a-z_.]+)", text))
            assert asked <= there, query.where
        bare = re.sub(r"\b(?:span|event|resource)\.[a-z_.]+", "", text)
        compared = set(re.findall(r"([a-z:]+)\s*(?:!=|>=|<=|=|>|<)", bare))
        assert compared <= TRACEQL_INTRINSICS, query.where
        named = set(re.findall(r'event:name = "([^"]+)"', query.target["query"]))
        assert named <= stage.events, query.where


def test_every_attribute_that_sql_asks_for_is_on_spans(stage: Stage) -> None:
    """The keys that SQL takes out of attributes are such as a backend really got."""
    for query in SQL:
        text = query.target["rawSql"]
        assert set(re.findall(r"SpanAttributes\['([^']+)'\]", text)) <= stage.attributes, query.where
        assert set(re.findall(r"\battributes\['([^']+)'\]", text)) <= stage.event_attributes, query.where
