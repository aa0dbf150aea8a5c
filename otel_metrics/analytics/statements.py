"""Owns the package's SQL for DuckDB: every statement is a file, read once and found by its name."""

import re
from functools import lru_cache
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
DRAWN: dict[str, str] = _scripts("drawn")
"""What several questions want of a window: temporary tables, by their names."""
QUERIES: dict[str, str] = _scripts("queries")


@lru_cache(maxsize=256)
def parameters_of(statement: str) -> tuple[str, ...]:
    """The names of a statement's parameters."""
    return tuple(sorted(set(re.findall(r"\$(\w+)", re.sub(r"--.*", "", statement)))))
