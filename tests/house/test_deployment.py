"""Checks the files of collector-config/ against each other and, where found, against the real tools."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.gateway import find_collector

from otel_metrics.model import names

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "collector-config"
COMPOSE_FILE = ROOT / "docker-compose.yml"
GATEWAY_FILE = CONFIG / "gateway.yaml"
PROMETHEUS_FILE = CONFIG / "prometheus.yaml"
LAYERS = [
    CONFIG / "clickhouse.yaml",
    CONFIG / "sampling.yaml",
    CONFIG / "sidecar.yaml",
    *sorted((CONFIG / "switches").iterdir()),
]
YAML_FILES = [COMPOSE_FILE, *sorted(CONFIG.rglob("*.yaml"))]

COMPONENT_SECTIONS = ("receivers", "processors", "connectors", "exporters", "extensions")
# Where a component's type is not the last part of its module's path without the kind.
TYPE_OF_MODULE = {"otlpexporter": "otlp_grpc"}
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def passes(*command: str | Path) -> None:
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr


def type_of(component: str) -> str:
    """`otlp_grpc/jaeger` is of the type `otlp_grpc`."""
    return component.partition("/")[0]


def type_of_module(gomod: str, section: str) -> str:
    """`…/connector/spanmetricsconnector v0.159.0` is `spanmetrics`: a type's spelling without its underscores."""
    module = gomod.split(maxsplit=1)[0].rpartition("/")[2]
    return TYPE_OF_MODULE.get(module, module.removesuffix(section.removesuffix("s"))).replace("_", "")


def duration_s(text: str) -> float:
    """`2500ms` is 2.5."""
    amount, unit = re.fullmatch(r"(\d+)(ms|s|m|h)", text).groups()  # type: ignore[union-attr]
    return int(amount) * SECONDS[unit]


def types_in(path: Path) -> dict[str, set[str]]:
    """The types that a file defines, by section; a connector may be named without settings."""
    document = read(path)
    return {section: {type_of(name) for name in document.get(section, {})} for section in COMPONENT_SECTIONS}


def used_components(gateway: dict[str, Any]) -> dict[str, set[str]]:
    """What a collector's service really runs, by section; a connector stands at both ends of a pipeline."""
    used: dict[str, set[str]] = {section: set() for section in COMPONENT_SECTIONS}
    used["extensions"] = set(gateway["service"].get("extensions", ()))
    for pipeline in gateway["service"]["pipelines"].values():
        for section in ("receivers", "processors", "exporters"):
            for component in pipeline.get(section, []):
                used["connectors" if component in gateway.get("connectors", ()) else section].add(component)
    return used


@pytest.fixture(scope="module")
def gateway() -> dict[str, Any]:
    document: dict[str, Any] = read(GATEWAY_FILE)
    return document


@pytest.fixture(scope="module")
def builder() -> dict[str, Any]:
    document: dict[str, Any] = read(CONFIG / "builder.yaml")
    return document


# --- every file --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", YAML_FILES, ids=relative)
def test_every_file_is_yaml_without_a_key_written_twice(path: Path) -> None:
    """PyYAML takes the last of two equal keys in silence, so the nodes are looked at before it does."""
    text = path.read_text(encoding="utf-8")
    nodes = [yaml.compose(text)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"{node.start_mark}: {keys}"
            nodes += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
    assert isinstance(yaml.safe_load(text), dict)


@pytest.mark.parametrize("path", YAML_FILES, ids=relative)
def test_every_file_says_what_it_is_for_and_which_version_it_needs(path: Path) -> None:
    """A file that is opened alone explains itself in its first lines."""
    header = path.read_text(encoding="utf-8").partition("\n\n")[0]
    assert header.startswith("# What: ")
    assert re.search(r"^# Needs: .*\d", header, re.MULTILINE)


# --- against the real tools --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [None, *LAYERS], ids=lambda layer: relative(layer) if layer else "alone")
def test_a_real_collector_accepts_the_gateway(layer: Path | None) -> None:
    """The slim collector, built from builder.yaml, knows every component and every key of gateway.yaml and its layers."""
    over = ["--config", layer] if layer else []
    passes(find_collector(), "validate", "--config", GATEWAY_FILE, *over)


def test_a_real_collector_accepts_layers_together() -> None:
    """ClickHouse, sampling and a switched-off backend may lie over the gateway at once."""
    layers = ["clickhouse.yaml", "sampling.yaml", "switches/no-jaeger.yaml"]
    files = [argument for name in layers for argument in ("--config", CONFIG / name)]
    passes(find_collector(), "validate", "--config", GATEWAY_FILE, *files)


def test_promtool_accepts_the_scrape_configuration() -> None:
    """Prometheus' own checker finds no fault."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on PATH")
    passes(promtool, "check", "config", PROMETHEUS_FILE)


# --- the files against each other --------------------------------------------------------------------------------


def test_gateway_runs_all_that_it_defines(gateway: dict[str, Any]) -> None:
    """A collector ignores a component in silence that no pipeline names."""
    defined = {section: set(gateway[section]) for section in COMPONENT_SECTIONS}
    assert used_components(gateway) == defined


def test_builder_has_exactly_the_components_of_the_files(builder: dict[str, Any]) -> None:
    """The slim collector can do what gateway.yaml, its layers and to-file.yaml ask, and nothing besides."""
    for section in COMPONENT_SECTIONS:
        wanted = {
            kind.replace("_", "")
            for path in (GATEWAY_FILE, CONFIG / "to-file.yaml", *LAYERS)
            for kind in types_in(path)[section]
        }
        assert {type_of_module(part["gomod"], section) for part in builder[section]} == wanted


def test_builder_is_of_one_release(builder: dict[str, Any]) -> None:
    """Components of different releases do not build together, and build.sh takes the builder of the same one."""
    version = builder["dist"]["version"]
    parts = [part["gomod"] for section in COMPONENT_SECTIONS for part in builder[section]]
    assert {gomod.split()[1] for gomod in parts} == {f"v{version}"}
    assert f"version=v{version}\n" in (CONFIG / "build.sh").read_text(encoding="utf-8")


def test_memory_limiter_comes_first_and_redaction_next(gateway: dict[str, Any]) -> None:
    """What comes from outside is refused before anything is done with it, and redacted before anything is made of it."""
    pipelines = gateway["service"]["pipelines"].values()
    outside = [pipeline for pipeline in pipelines if "otlp" in pipeline["receivers"]]
    assert len(outside) == 2
    for pipeline in outside:
        assert pipeline["processors"][:2] == ["memory_limiter", "redaction"]


def test_every_backend_has_a_queue_on_disk(gateway: dict[str, Any]) -> None:
    """A killed collector goes on where it was, and an absent backend is waited for without end."""
    every = (
        gateway["exporters"]
        | read(CONFIG / "clickhouse.yaml")["exporters"]
        | read(CONFIG / "sidecar.yaml")["exporters"]
    )
    exporters = {name: body for name, body in every.items() if type_of(name) not in {"prometheus", "nop"}}
    assert set(exporters) == {"otlp_grpc/jaeger", "otlp_grpc/tempo", "otlp_grpc/gateway", "clickhouse"}
    for name, body in exporters.items():
        assert body["sending_queue"]["storage"] == "file_storage"
        assert (body["sending_queue"]["batch"]["max_size"] <= 1024) is (name != "clickhouse")
        assert body["retry_on_failure"]["max_elapsed_time"] == 0


def test_span_metrics_have_the_bounds_and_names_of_the_package(gateway: dict[str, Any]) -> None:
    """The same stage reads alike in both histograms, and a dimension that nobody writes would stay empty unseen."""
    span_metrics = gateway["connectors"]["span_metrics"]
    bounds = [duration_s(text) for text in span_metrics["histogram"]["explicit"]["buckets"]]
    assert bounds == pytest.approx(names.SECONDS_BOUNDS)
    written = {value for value in vars(names).values() if isinstance(value, str)}
    assert {dimension["name"] for dimension in span_metrics["dimensions"]} <= written


def test_jaeger_reads_the_span_metrics_that_the_gateway_makes(gateway: dict[str, Any]) -> None:
    """Unit and namespace are written in two files, and a difference shows as an empty Monitor page only."""
    backends = read(CONFIG / "jaeger.yaml")["extensions"]["jaeger_storage"]["metric_backends"]
    prometheus = backends["span_metrics"]["prometheus"]
    span_metrics = gateway["connectors"]["span_metrics"]
    assert prometheus["latency_unit"] == span_metrics["histogram"]["unit"]
    assert prometheus["metric_namespace"] == span_metrics.get("namespace", "traces.span.metrics").replace(".", "_")


def test_every_host_in_a_file_is_a_service() -> None:
    """The names that the parts call each other by are those of docker-compose.yml."""
    files = [path for path in CONFIG.rglob("*.yaml") if path.name != "sidecar.yaml"]  # whose gateway is elsewhere
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    hosts = set(re.findall(r"\b([a-z][a-z0-9-]*):(?:3200|4317|8888|8889|9000|9090|16686)\b", text))
    assert hosts == {"jaeger", "tempo", "prometheus", "collector", "clickhouse"}
    assert hosts <= set(read(COMPOSE_FILE)["services"])


def test_prometheus_asks_the_ports_that_the_gateway_opens(gateway: dict[str, Any]) -> None:
    """Both pages of the collector are fetched, and the bots' labels are kept as the bots gave them."""
    jobs = {job["job_name"]: job for job in read(PROMETHEUS_FILE)["scrape_configs"]}
    reader = gateway["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
    for job, opened in (("bots", gateway["exporters"]["prometheus"]["endpoint"]), ("collector", reader["port"])):
        [target] = jobs[job]["static_configs"][0]["targets"]
        assert f":-{target.rpartition(':')[2]}}}" in opened
    assert jobs["bots"]["honor_labels"] is True


def test_grafana_links_lead_to_its_own_data_sources() -> None:
    """From an exemplar to its trace and from a span to its metrics, by ids that exist."""
    text = (CONFIG / "grafana/provisioning/datasources/datasources.yaml").read_text(encoding="utf-8")
    known = {source["uid"] for source in yaml.safe_load(text)["datasources"]}
    assert set(re.findall(r"datasourceUid: (\S+)", text)) <= known == {"prometheus", "tempo", "jaeger", "clickhouse"}
