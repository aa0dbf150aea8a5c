"""docker-compose.yml: what a real Compose makes of it in each profile, and what can be told of it without an engine."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.gateway import CONFIG, ROOT, find_collector

FILE = ROOT / "docker-compose.yml"
ALWAYS = {"volumes", "collector", "prometheus", "grafana"}
JOBS = {"volumes", "with-jaeger", "with-tempo", "with-clickhouse"}
SERVICES: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]


def find_compose() -> list[str]:
    """The command of a Compose of version 2 or newer: 1.x does not know the specification. Without it a test is skipped."""
    built = ROOT / ".cache" / "compose" / "docker-compose"
    for command in (["docker", "compose"], ["docker-compose"], [str(built)]):
        if shutil.which(command[0]):
            done = subprocess.run(
                [*command, "version", "--short"], capture_output=True, text=True, check=False, timeout=60
            )
            if done.returncode == 0 and not done.stdout.startswith("1."):
                return command
    pytest.skip("no Compose of version 2: install it, or sh tests/build_compose.sh")


def config(*profiles: str, **environment: str) -> dict[str, Any]:
    """The file as Compose resolves it, with these profiles; without any with those of .env."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
    chosen = [argument for profile in profiles for argument in ("--profile", profile)]
    done = subprocess.run(
        [*find_compose(), "--file", str(FILE), *chosen, "config", "--format", "json"],
        env=kept | environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# --- a real Compose ----------------------------------------------------------------------------------------------


def test_one_command_starts_everything_but_clickhouse() -> None:
    """`docker compose up -d` means collector, Jaeger, Tempo, Prometheus, Grafana and a bot that plays."""
    services = set(config()["services"]) - JOBS
    assert services == {"collector", "jaeger", "tempo", "prometheus", "grafana", "bot"}


@pytest.mark.parametrize("profile", ["jaeger", "tempo", "clickhouse"])
def test_a_profile_is_one_backend_with_all_that_it_needs(profile: str) -> None:
    """Each profile by itself has the collector, Prometheus, Grafana and its own backend, and waits for no other."""
    services = config(profile)["services"]
    assert set(services) == ALWAYS | {profile, f"with-{profile}"}
    for name, service in services.items():
        waits_for = {other for other, how in service.get("depends_on", {}).items() if how["required"]}
        assert waits_for <= set(services), name


def test_profiles_of_the_environment_come_before_the_file() -> None:
    """COMPOSE_PROFILES chooses too: who has a bot leaves the playing one out."""
    assert "bot" not in config(COMPOSE_PROFILES="jaeger,tempo")["services"]


@pytest.mark.parametrize("profiles", [["jaeger"], ["tempo"], ["clickhouse"], ["jaeger", "tempo", "clickhouse"], []])
def test_the_collector_sends_to_the_chosen_backends_alone(tmp_path: Path, profiles: list[str]) -> None:
    """The jobs' own commands, run in a folder, leave files with which a real collector has these exporters and no others."""
    (tmp_path / "volumes").mkdir()
    (tmp_path / "switches").mkdir()
    shutil.copytree(CONFIG, tmp_path / "config")
    for job in ("volumes", *(f"with-{profile}" for profile in profiles)):
        command = [
            re.sub(r"(?<![\w.])/(config|switches|volumes)\b", rf"{tmp_path}/\1", part)
            for part in SERVICES[job]["entrypoint"]
        ]
        subprocess.run(command, check=True, timeout=60)
    files = [part.partition("=")[2] for part in SERVICES["collector"]["command"]]
    layers = [str(tmp_path / "switches" / Path(file).name) for file in files[1:]]
    arguments = [argument for file in (str(CONFIG / "gateway.yaml"), *layers) for argument in ("--config", file)]
    done = subprocess.run(
        [find_collector(), "print-config", *arguments],
        env={"PATH": os.environ["PATH"], "CLICKHOUSE_PASSWORD": "secret"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pipelines = yaml.safe_load(done.stdout)["service"]["pipelines"]
    used = {name for name, one in pipelines.items() if name.startswith("traces/") and one["exporters"] != ["nop"]}
    assert used == {f"traces/{profile}" for profile in profiles}


def test_compose_file_follows_the_specification() -> None:
    """The Compose specification's own schema finds no fault."""
    if not importlib.util.find_spec("check_jsonschema"):
        pytest.skip("check-jsonschema is not installed")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", FILE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# --- without an engine -------------------------------------------------------------------------------------------


def test_every_image_is_pinned() -> None:
    """An image is named with a version, so that today's stack is also next year's."""
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[a-z0-9./_-]+:v?\d+\.\d+(\.\d+)?(-slim)?", service["image"]), name


def test_every_published_port_is_on_loopback() -> None:
    """Hardly any of the parts asks for a password, so none may be reached from another machine."""
    for name, service in SERVICES.items():
        assert service.get("network_mode") in (None, "none"), name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), (name, port)


def test_every_health_check_can_pass() -> None:
    """A check names its command without a shell; the collector, whose image has no command to ask with, has none."""
    for name, service in SERVICES.items():
        if name in JOBS | {"collector"}:
            assert "healthcheck" not in service
        else:
            assert service["healthcheck"]["test"][0] == "CMD", name


def test_every_volume_of_user_10001_is_handed_over_first() -> None:
    """A new volume belongs to root, and these three images do not run as root."""
    handed = {mount.partition(":")[0] for mount in SERVICES["volumes"]["volumes"]}
    assert "chown -R 10001:10001 /volumes\n" in SERVICES["volumes"]["entrypoint"][-1]
    for name in ("collector", "jaeger", "tempo"):
        service = SERVICES[name]
        mounted = {mount.partition(":")[0] for mount in service["volumes"] if not mount.startswith("./")}
        assert mounted, name
        assert mounted <= handed, name
        assert service["depends_on"]["volumes"]["condition"] == "service_completed_successfully", name


def test_every_mounted_file_exists() -> None:
    """Docker makes an empty folder of a missing file, and every named volume must be declared."""
    volumes = yaml.safe_load(FILE.read_text(encoding="utf-8"))["volumes"]
    for name, service in SERVICES.items():
        for mount in service["volumes"]:
            source = mount.partition(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in volumes, (name, mount)


def test_what_grafana_shows_first_is_there() -> None:
    """The home page is one of the dashboards, in the folder that the provider reads."""
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (CONFIG / "grafana" / "dashboards" / home.name).exists()
    provider = yaml.safe_load((CONFIG / "grafana/provisioning/dashboards/dashboards.yaml").read_text(encoding="utf-8"))
    assert provider["providers"][0]["options"]["path"] == str(home.parent)
    assert f"./collector-config/grafana/dashboards:{home.parent}:ro" in SERVICES["grafana"]["volumes"]
