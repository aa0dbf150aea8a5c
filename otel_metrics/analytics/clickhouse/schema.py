"""Owns what ClickHouse has to have before it can be asked: tables by the exporter's columns, functions and views, as statements."""

from collections.abc import Iterator
from importlib.resources import files

from otel_metrics.analytics.columns import INTEGER, REAL, TABLES, Fact

VERSION = 1
"""The number of this schema, which the view `otel_metrics_schema` of a database tells; it grows with every change."""
_FOLDER = files("otel_metrics.analytics.clickhouse") / "sql"
_PARTS = ("prelude", "tables", "views")  # columns of tables are made by functions
_MOST_DAYS = 25_000.0  # from 2038 - 1970 years on a DateTime has no room for the sum
_SENT = {"moderator_id"}  # not from metadata, where it is a raw id: a column of its own tells the keyed hash


def statements(retention_days: float) -> Iterator[str]:
    """The statements, in the order in which they are to run; each can run again. Spans and corrections are kept for so many days."""
    for part in _PARTS:
        for script in sorted((_FOLDER / part).iterdir(), key=lambda one: one.name):
            facts = _CORRECTION_FACTS if "corrections" in script.name else _SPAN_FACTS
            yield (
                script.read_text(encoding="utf-8")
                .replace("{ttl_seconds}", str(round(min(retention_days, _MOST_DAYS) * 86_400)))
                .replace("{facts}", facts)
                .strip()
                .removesuffix(";")
            )
    yield f"-- What: the number of this schema.\nCREATE OR REPLACE VIEW otel_metrics_schema AS SELECT {VERSION} AS version"


def _columns(facts: dict[str, Fact], attributes: str) -> str:
    """The columns that are drawn out of attributes when a row is inserted, by the same keys as from local metadata."""
    return ",\n    ".join(
        f"{name} {_type_of(name, fact)} MATERIALIZED {_value(fact, attributes)} CODEC(ZSTD(1))"
        for name, fact in facts.items()
        if name not in _SENT
    )


def _type_of(name: str, fact: Fact) -> str:
    kinds = {INTEGER: "Nullable(Int64)", REAL: "Nullable(Float64)"}
    few = "Nullable(String)" if name == "text_hash" else "LowCardinality(Nullable(String))"
    return kinds.get(fact.kind, few)


def _value(fact: Fact, attributes: str) -> str:
    found = []
    for key in fact.keys:
        column, _, name = key.partition(".")
        full = f"hitl.metadata.{name}" if column == "metadata" else name
        text = f"{attributes}['{full}']"
        found.append(
            f"as_integer({text})" if fact.kind == INTEGER
            else f"toFloat64OrNull({text})" if fact.kind == REAL
            else f"if(mapContains({attributes}, '{full}'), {text}, NULL)"
        )  # fmt: skip
    return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"


_SPAN_FACTS = _columns(TABLES["sessions"].facts | TABLES["processing_metrics"].facts, "SpanAttributes")
_CORRECTION_FACTS = _columns(TABLES["correction_metrics"].facts, "attributes")
