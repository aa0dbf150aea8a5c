"""Owns the way of an answer into a data frame: by DuckDB's own hand, column by column, without Python objects in between."""

from typing import TYPE_CHECKING

from otel_metrics.analytics.engine import Engine
from otel_metrics.analytics.freesql import handing_over
from otel_metrics.errors import MissingExtra

if TYPE_CHECKING:
    import pandas  # noqa: ICN001 - names say more than initials
    import polars  # noqa: ICN001

    from otel_metrics.analytics.clickhouse.engine import ClickHouseEngine


def pandas_frame(engine: "Engine | ClickHouseEngine", query: str) -> "pandas.DataFrame":
    """The rows of one reading statement as a frame of pandas; times are UTC without a zone."""
    try:
        import pandas  # noqa: ICN001 - DuckDB makes the frame, and says less clearly what is missing
    except ImportError as error:
        raise MissingExtra("pandas is not installed", "it, for a frame of pandas", "pip install pandas") from error
    if not isinstance(engine, Engine):
        found = engine.run_free(query)
        return pandas.DataFrame(found.rows, columns=found.columns)
    frame: pandas.DataFrame = handing_over(engine, query, lambda relation: relation.df())
    return frame


def polars_frame(engine: "Engine | ClickHouseEngine", query: str) -> "polars.DataFrame":
    """The rows of one reading statement as a frame of Polars; times are UTC without a zone."""
    try:
        import polars  # noqa: ICN001 - its name says more than its initials
    except ImportError as error:
        raise MissingExtra("polars is not installed", "it, for a frame of Polars", "pip install polars") from error
    if not isinstance(engine, Engine):
        found = engine.run_free(query)
        return polars.DataFrame(found.rows, schema=found.columns, orient="row")
    # Through Arrow's C interface, which Polars reads by itself: DuckDB's own `pl()` would need pyarrow.
    frame: polars.DataFrame = handing_over(engine, query, polars.DataFrame)
    return frame
