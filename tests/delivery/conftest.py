"""What tests of the command line get: a way to run it, a demo's store, and a store whose every text is hostile."""

import contextlib
import shutil
from pathlib import Path

import pytest
from support.cli import HOSTILE, Cli, Result, real

from otel_metrics import MetricsService
from otel_metrics.delivery.cli.program import run
from otel_metrics.settings import load


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command in an empty folder, in this process; `columns` is how wide the terminal is."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: object, columns: int = 80) -> Result:
        monkeypatch.setenv("COLUMNS", str(columns))
        capsys.readouterr()
        status = run([str(one) for one in arguments])
        return Result(status, *capsys.readouterr())

    return invoke


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a demo's store, to read."""
    folder = tmp_path_factory.mktemp("demo")
    result = real("demo", "--sessions", 60, folder=folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def demo(demo_folder: Path) -> Path:
    """The database of a demo, to read."""
    return demo_folder / "metrics.db"


@pytest.fixture
def own_demo(demo_folder: Path, tmp_path: Path) -> Path:
    """The database of a demo, to change."""
    shutil.copytree(demo_folder, tmp_path / "own")
    return tmp_path / "own" / "metrics.db"


@pytest.fixture(scope="session")
def steering(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which users, moderators and errors wrote what could steer a terminal; its failed session is the first."""
    folder = tmp_path_factory.mktemp("hostile")
    settings = load({"database": folder / "h.db", "log_file": folder / "h.jsonl", "drain_interval_s": 0}, {})
    with MetricsService(settings) as service:
        session = service.create_session(HOSTILE, 2**62, name=HOSTILE, **{HOSTILE: HOSTILE})
        for stage in ("query_received", "[red]x[/red]", "ai_processing"):
            with contextlib.suppress(ValueError), service.timer(session, HOSTILE, 2**62, stage, note=HOSTILE):
                service.get_logger().warning("hostile", HOSTILE, who=HOSTILE)
                raise ValueError(HOSTILE)
        service.record_correction(session, HOSTILE, HOSTILE, "text_correction", "a", HOSTILE, 1, admin_satisfaction=5)
        service.end_session(session, "failed")
        for number in range(3):
            with service.timer(f"[bold]order-{'0' * 50}{number}", -(2**62), 1, "ai_processing"):
                pass
    return settings.database
