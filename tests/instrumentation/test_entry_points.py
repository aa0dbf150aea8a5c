"""The instrumentors that wait: nothing is imported before the program does, and then the framework is hooked."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("wrapt")
pytest.importorskip("opentelemetry.instrumentation.instrumentor")

from support.processes import environment

from otel_metrics.instrumentation import entry_points

FRAMEWORKS = [
    ("aiogram", "WaitingAiogramInstrumentor", "aiogram", "Dispatcher.__init__"),
    ("slack", "WaitingSlackInstrumentor", "slack_bolt", "App.__init__"),
    ("telegram", "WaitingTelegramInstrumentor", "telegram.ext", "ApplicationBuilder.build"),
]


def run(code: str, folder: Path) -> list[str]:
    """The lines that a program prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment(folder), cwd=folder,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(("home", "name", "framework", "hooked"), FRAMEWORKS)
def test_the_framework_is_loaded_and_hooked_when_the_program_imports_it(tmp_path, home, name, framework, hooked):
    """After `instrument()` the framework is not loaded; after its import it is hooked; `uninstrument()` takes that out."""
    pytest.importorskip(framework)
    code = f"""if True:
        import sys
        from otel_metrics.instrumentation.entry_points import {name}
        waiting = {name}()
        waiting.instrument(skip_dep_check=True)
        print("{framework}" in sys.modules, "otel_metrics.instrumentation.{home}" in sys.modules)
        import {framework} as framework
        print(hasattr(framework.{hooked}, "__wrapped__"))
        waiting.uninstrument()
        print(hasattr(framework.{hooked}, "__wrapped__"))
    """
    assert run(code, tmp_path) == ["False", "False", "True", "False"]


@pytest.mark.parametrize(("home", "name", "framework", "hooked"), FRAMEWORKS)
def test_a_program_that_imports_our_module_first_is_traced_too(tmp_path, home, name, framework, hooked):
    """Where `traced` is imported before the framework, the hooks are put in once, when our module is whole."""
    pytest.importorskip(framework)
    code = f"""if True:
        from otel_metrics.instrumentation.entry_points import {name}
        {name}().instrument()
        from otel_metrics.instrumentation.{home} import traced
        import {framework} as framework
        print(hasattr(framework.{hooked}, "__wrapped__"), hasattr(framework.{hooked}.__wrapped__, "__wrapped__"))
    """
    assert run(code, tmp_path) == ["True", "False"]


def test_a_framework_that_is_loaded_already_is_hooked_at_once(tmp_path):
    """`instrument()` after the import needs no other import; after `uninstrument()` an import hooks nothing."""
    pytest.importorskip("telegram.ext")
    code = """if True:
        from otel_metrics.instrumentation.entry_points import WaitingTelegramInstrumentor
        waiting = WaitingTelegramInstrumentor()
        waiting.instrument()
        waiting.uninstrument()
        import telegram.ext
        print(hasattr(telegram.ext.ApplicationBuilder.build, "__wrapped__"))
        waiting.instrument()
        print(hasattr(telegram.ext.ApplicationBuilder.build, "__wrapped__"))
    """
    assert run(code, tmp_path) == ["False", "True"]


def test_another_version_is_refused_before_the_framework_runs(monkeypatch):
    """The conflict is raised where `opentelemetry-instrument` looks for it, by the check that it skips itself."""
    from opentelemetry.instrumentation.dependencies import DependencyConflictError

    pytest.importorskip("telegram.ext")
    monkeypatch.setattr(entry_points.WaitingTelegramInstrumentor, "requirements", ("python-telegram-bot >= 1000",))
    with pytest.raises(DependencyConflictError, match="1000"):
        entry_points.WaitingTelegramInstrumentor().instrument(skip_dep_check=True)


def test_a_hook_that_fails_leaves_the_import_alone(tmp_path):
    """What goes wrong in our module is logged, and the program has its framework."""
    pytest.importorskip("telegram.ext")
    code = """if True:
        import logging, sys
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        logging.getLogger("otel_metrics.instrumentation.entry_points").addFilter(lambda one: print(one.getMessage()))
        from otel_metrics.instrumentation import entry_points
        sys.modules["otel_metrics.instrumentation.telegram"] = None
        entry_points.WaitingTelegramInstrumentor().instrument()
        import telegram.ext
        print(telegram.ext.ApplicationBuilder.__name__)
    """
    assert " ".join(run(code, tmp_path)) == (
        "telegram.ext is not traced: otel_metrics.instrumentation.telegram can not be loaded ApplicationBuilder"
    )
