"""The code about itself: floors, linters, types, names."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import otel_metrics
from otel_metrics.analytics.columns import TABLES
from otel_metrics.analytics.engine import Engine
from otel_metrics.analytics.statements import QUERIES
from otel_metrics.model import names
from otel_metrics.settings import Settings
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_imports_only_go_down():
    """The floors of ARCHITECTURE.md hold: import-linter finds no broken contract."""
    result = run(str(TOOLS / "lint-imports"), "--no-cache")
    assert result.returncode == 0, result.stdout


def test_recording_stands_on_the_api_alone():
    """No module of recording imports the SDK."""
    guilty = [
        path.name
        for path in (ROOT / "otel_metrics" / "recording").glob("*.py")
        if "opentelemetry.sdk" in path.read_text()
    ]
    assert guilty == []


def test_ruff_is_content():
    """Every rule of ruff that is not excepted aloud in pyproject.toml is kept."""
    result = run(str(TOOLS / "ruff"), "check", "--output-format", "concise", ".")
    assert result.returncode == 0, result.stdout


def test_the_code_is_formatted():
    """The formatter would change nothing."""
    result = run(str(TOOLS / "ruff"), "format", "--check", ".")
    assert result.returncode == 0, result.stdout


def test_the_package_is_typed():
    """Type checking in strict mode finds nothing."""
    result = run(str(TOOLS / "mypy"))
    assert result.returncode == 0, result.stdout


def test_the_namespace_is_what_it_says():
    """Every public name of the package is in `__all__`, and every one of them can be had."""
    assert sorted(otel_metrics.__all__) == otel_metrics.__all__
    for name in otel_metrics.__all__:
        assert getattr(otel_metrics, name) is not None
    with pytest.raises(AttributeError):
        _ = otel_metrics.no_such_name


def test_every_module_says_what_it_owns():
    """Each module begins with a docstring whose first sentence says what it is for."""
    silent = []
    for path in sorted((ROOT / "otel_metrics").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if module != "otel_metrics.__main__" and not (importlib.import_module(module).__doc__ or "").strip():
            silent.append(module)
    assert silent == []


def test_the_import_is_light():
    """`import otel_metrics` loads no desk library, and not even the SDK; recording loads no DuckDB."""
    heavy = "{'duckdb', 'typer', 'rich', 'rapidfuzz', 'grpc', 'sqlite3', 'opentelemetry.sdk'}"
    script = f"import sys, otel_metrics; print({heavy} & set(sys.modules))"
    assert run(sys.executable, "-c", script).stdout.strip() == "set()"


def test_recording_loads_no_desk_library(tmp_path):
    """A bot that records and shuts down never loads DuckDB, typer or rich."""
    script = (
        "import sys, otel_metrics as m\n"
        f"m.configure(database={str(tmp_path / 'm.db')!r}, log_file={str(tmp_path / 'm.jsonl')!r})\n"
        "with m.timer(m.create_session(1, 2), 1, 2, 'ai_processing'): pass\n"
        "m.shutdown(); print({'duckdb', 'typer', 'rich'} & set(sys.modules))"
    )
    assert run(sys.executable, "-c", script).stdout.strip() == "set()"


def test_every_query_is_prepared_on_an_empty_store(tmp_path):
    """Each .sql file of the package is a statement that DuckDB accepts on a fresh schema."""
    settings = Settings(database=tmp_path / "m.db", log_file=tmp_path / "m.jsonl")
    engine = Engine(MetricsStorage(StoreLayout(settings.database, settings.log_file), settings))
    for name, statement in QUERIES.items():
        prepared = engine.connection.extract_statements(statement)
        assert len(prepared) == 1, name
        assert statement.startswith("-- What: "), name
        assert "-- Parameters:" in statement and "Returns:" in statement, name


def test_every_query_is_asked_by_somebody():
    """There is no .sql file that no code names, and no code that names a missing one."""
    code = "".join(path.read_text() for path in (ROOT / "otel_metrics" / "analytics").rglob("*.py"))
    asked = {name for name in QUERIES if f'"{name}"' in code}
    assert asked == set(QUERIES)


def test_the_engine_reads_columns_that_the_store_has(tmp_path):
    """The columns that the engine reads are columns of the store's schema, in its order, and no table is forgotten."""
    from otel_metrics.store.database import writing

    with writing(tmp_path / "m.db") as connection:
        for table in TABLES.values():
            stored = [row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")]
            assert [name for name in stored if name != "seq"] == list(table.columns), table.name


def test_own_names_have_the_prefix():
    """What we invent in OpenTelemetry begins with hitl.; the rest are names of the semantic conventions."""
    conventional = {names.SESSION_ID, names.USER_HASH, names.ERROR_TYPE}
    ours = [value for name, value in vars(names).items() if name.isupper() and isinstance(value, str) and "." in value]
    strangers = [
        value
        for value in ours
        if not value.startswith(("hitl.", "https:", "otel_metrics", "gen_ai.")) and value not in conventional
    ]
    assert strangers == []


def test_no_file_names_this_machine():
    """No tracked file holds a path of somebody's machine or a registry's address."""
    listed = run("git", "ls-files").stdout.split() or [str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py")]
    marks = ("/ho" + "me/", "/ro" + "ot/", "pypi" + ".org/simple", "files.python" + "hosted.org")
    guilty = [
        name for name in listed
        if (ROOT / name).is_file() and any(mark in (ROOT / name).read_text(errors="replace") for mark in marks)
    ]  # fmt: skip
    assert guilty == []
