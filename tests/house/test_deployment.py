"""Checks docker-compose.yml and collector-config/ against each other and, where found, against the real tools."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_metrics.model import names

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "collector-config"
COMPOSE_FILE = ROOT / "docker-compose.yml"
GATEWAY_FILE = CONFIG / "gateway.yaml"
PROMETHEUS_FILE = CONFIG / "prometheus.yaml"
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


def find_compose() -> list[str]:
    """The command of a Compose of version 2 or newer, or nothing: 1.x does not know the specification."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            done = run(*command, "version", "--short")
            if done.returncode == 0 and not done.stdout.startswith("1."):
                return command
    return []


def find_collector() -> str | Path | None:
    """The slim collector, from PATH or from the cache that collector-config/build.sh fills."""
    built = ROOT / ".cache" / "collector" / "otelcol-otel-metrics"
    return shutil.which("otelcol-otel-metrics") or (built if built.exists() else None)


def find_schema_checker() -> list[str]:
    if importlib.util.find_spec("check_jsonschema"):
        return [sys.executable, "-m", "check_jsonschema"]
    found = shutil.which("check-jsonschema")
    return [found] if found else []


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
def compose() -> dict[str, Any]:
    document: dict[str, Any] = read(COMPOSE_FILE)
    return document


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


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


def test_compose_accepts_the_file() -> None:
    """A real Compose reads the file and resolves it; no engine is needed for that."""
    command = find_compose()
    if not command:
        pytest.skip("neither `docker compose` nor a docker-compose of version 2 or newer is installed")
    passes(*command, "--file", COMPOSE_FILE, "config", "--quiet")


def test_compose_file_follows_the_specification() -> None:
    """The Compose specification's own schema finds no fault."""
    command = find_schema_checker()
    if not command:
        pytest.skip("check-jsonschema is not installed")
    passes(*command, "--builtin-schema", "vendor.compose-spec", COMPOSE_FILE)


def test_a_real_collector_accepts_the_gateway() -> None:
    """The slim collector, built from builder.yaml, knows every component and every key of gateway.yaml."""
    collector = find_collector()
    if collector is None:
        pytest.skip("otelcol-otel-metrics is neither on PATH nor in .cache/collector: sh collector-config/build.sh")
    passes(collector, "validate", "--config", GATEWAY_FILE)


def test_promtool_accepts_the_scrape_configuration() -> None:
    """Prometheus' own checker finds no fault."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on PATH")
    passes(promtool, "check", "config", PROMETHEUS_FILE)


# --- docker-compose.yml ------------------------------------------------------------------------------------------


def test_every_image_is_pinned(services: dict[str, Any]) -> None:
    """An image is named with a whole version, so that today's stack is also next year's."""
    for name, service in services.items():
        assert re.fullmatch(r"[a-z0-9./_-]+:v?\d+\.\d+\.\d+", service["image"]), name


def test_every_published_port_is_on_loopback(services: dict[str, Any]) -> None:
    """None of the parts asks for a password, so none may be reached from another machine."""
    for name, service in services.items():
        assert service.get("network_mode") in (None, "none"), name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), (name, port)


def test_every_health_check_can_pass(services: dict[str, Any]) -> None:
    """A check names its command without a shell; the collector, whose image has no command to ask with, has none."""
    for name, service in services.items():
        if name == "volumes":  # a job that ends
            continue
        if name == "collector":
            assert "healthcheck" not in service
        else:
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_every_volume_of_user_10001_is_handed_over_first(services: dict[str, Any]) -> None:
    """A new volume belongs to root, and these three images do not run as root."""
    handed = {mount.partition(":")[0] for mount in services["volumes"]["volumes"]}
    assert "10001:10001" in services["volumes"]["entrypoint"]
    for name in ("collector", "jaeger", "tempo"):
        service = services[name]
        mounted = {mount.partition(":")[0] for mount in service["volumes"] if not mount.startswith("./")}
        assert mounted, name
        assert mounted <= handed, name
        assert service["depends_on"]["volumes"]["condition"] == "service_completed_successfully", name


def test_every_mounted_file_exists(compose: dict[str, Any]) -> None:
    """Docker makes an empty folder of a missing file, and every named volume must be declared."""
    for name, service in compose["services"].items():
        for mount in service["volumes"]:
            source = mount.partition(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in compose["volumes"], (name, mount)


# --- the files against each other --------------------------------------------------------------------------------


def test_gateway_runs_all_that_it_defines(gateway: dict[str, Any]) -> None:
    """A collector ignores a component in silence that no pipeline names."""
    defined = {section: set(gateway[section]) for section in COMPONENT_SECTIONS}
    assert used_components(gateway) == defined


def test_builder_has_exactly_the_components_of_the_gateway(gateway: dict[str, Any], builder: dict[str, Any]) -> None:
    """The slim collector can do what gateway.yaml and to-file.yaml ask, and nothing besides."""
    to_file = used_components(read(CONFIG / "to-file.yaml"))
    for section, components in used_components(gateway).items():
        wanted = {type_of(component).replace("_", "") for component in components | to_file[section]}
        assert {type_of_module(part["gomod"], section) for part in builder[section]} == wanted


def test_builder_is_of_one_release(builder: dict[str, Any]) -> None:
    """Components of different releases do not build together, and build.sh takes the builder of the same one."""
    version = builder["dist"]["version"]
    parts = [part["gomod"] for section in COMPONENT_SECTIONS for part in builder[section]]
    assert {gomod.split()[1] for gomod in parts} == {f"v{version}"}
    assert f"version=v{version}\n" in (CONFIG / "build.sh").read_text(encoding="utf-8")


def test_memory_limiter_comes_first(gateway: dict[str, Any]) -> None:
    """What comes from outside is refused before anything is done with it."""
    pipelines = gateway["service"]["pipelines"].values()
    outside = [pipeline for pipeline in pipelines if "otlp" in pipeline["receivers"]]
    assert outside
    assert {pipeline["processors"][0] for pipeline in outside} == {"memory_limiter"}


def test_every_backend_has_a_queue_on_disk(gateway: dict[str, Any]) -> None:
    """A killed collector goes on where it was, and an absent backend is waited for without end."""
    exporters = {name: body for name, body in gateway["exporters"].items() if type_of(name) == "otlp_grpc"}
    assert set(exporters) == {"otlp_grpc/jaeger", "otlp_grpc/tempo"}
    for body in exporters.values():
        assert body["sending_queue"]["storage"] == "file_storage"
        assert body["sending_queue"]["batch"]["max_size"] <= 1024
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


def test_every_host_in_a_file_is_a_service(services: dict[str, Any]) -> None:
    """The names that the parts call each other by are those of docker-compose.yml."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in CONFIG.rglob("*.yaml"))
    hosts = set(re.findall(r"\b([a-z][a-z0-9-]*):(?:3200|4317|8888|8889|9090|16686)\b", text))
    assert hosts == {"jaeger", "tempo", "prometheus", "collector"}
    assert hosts <= set(services)


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
    assert set(re.findall(r"datasourceUid: (\S+)", text)) <= known == {"prometheus", "tempo", "jaeger"}
