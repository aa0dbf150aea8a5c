"""Owns the package's SQL for DuckDB: every statement is a file, read once and found by its name."""

from importlib.resources import files

_FOLDER = files("otel_metrics.analytics") / "sql"


def _scripts(folder: str) -> dict[str, str]:
    found = [entry for entry in (_FOLDER / folder).iterdir() if entry.name.endswith(".sql")]
    return {
        entry.name.removesuffix(".sql"): entry.read_text(encoding="utf-8")
        for entry in sorted(found, key=lambda e: e.name)
    }


PRELUDE: tuple[str, ...] = tuple(_scripts("prelude").values())
VIEWS: tuple[str, ...] = tuple(_scripts("views").values())
QUERIES: dict[str, str] = _scripts("queries")
