"""Makes stores of any size: sessions of a moderated bot with arrivals by hour and weekday, and durations as people and models have them.

Rows are made by one SQL statement for each table, the same for the same numbers, and written where they are wanted:
as hot rows into SQLite, or as segments by the package's own writer.
"""

import sqlite3
import time
from collections.abc import Sequence

import duckdb

from otel_metrics.analytics.cold import MOVING
from otel_metrics.analytics.columns import TABLES, TIME
from otel_metrics.analytics.hot import create_tables, with_facts
from otel_metrics.analytics.segment_files import SegmentWriter
from otel_metrics.store.archive import archive
from otel_metrics.store.database import next_seq, writing
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.segments import enter

STAGES_PER_SESSION = 6.6
_BLOCK = 10_000

_PRELUDE = """
-- A number between 0 and 1 for every pair of numbers, and one that is spread as durations are.
CREATE MACRO chance(i, salt) AS (hash(i, salt) % 1000003) / 1000003.0;
CREATE MACRO skewed_us(i, salt, typical_s, sigma) AS CAST(1e6 * typical_s * exp(
    sigma * sqrt(-2 * ln(greatest(chance(i, salt), 1e-9))) * cos(2 * pi() * chance(i, salt + 1))
) AS BIGINT);
"""
_ARRIVALS = """
-- Sessions arrive as people write: little at night, most before noon and in the evening, half as many on a Sunday.
CREATE TEMP TABLE hours AS
WITH every AS (SELECT h, ($until_us - $days * 86400000000) + h * 3600000000 AS begins_us FROM range($days * 24) t(h)),
weighed AS (
    SELECT h, begins_us,
        (0.15 + exp(-power((h % 24 - 11) / 3.0, 2)) + 0.8 * exp(-power((h % 24 - 19) / 2.5, 2)))
        * CASE (h // 24) % 7 WHEN 6 THEN 0.5 WHEN 5 THEN 0.7 ELSE 1 END AS weight
    FROM every
)
SELECT h, begins_us, weight, sum(weight) OVER (ORDER BY h) - weight AS before, sum(weight) OVER () AS whole FROM weighed;

CREATE TEMP TABLE visits AS
WITH placed AS (
    SELECT i, (i + chance(i, 1)) / $sessions * (SELECT any_value(whole) FROM hours) AS place FROM range($sessions) t(i)
)
SELECT
    p.i, CAST(h.begins_us + (p.place - h.before) / h.weight * 3.6e9 AS BIGINT) AS began_us,
    CAST(1000 + power(chance(p.i, 2), 3) * $sessions / 4 AS BIGINT) AS user_id,
    ['refund', 'order', 'delivery', 'opening_hours', 'medical', 'other'][1 + CAST(floor(6 * power(chance(p.i, 3), 1.5)) AS INT)] AS intent,
    ['gpt-4o-mini', 'gpt-4o', 'claude-sonnet-4-5'][1 + CAST(floor(3 * chance(p.i, 4)) AS INT)] AS model,
    CASE WHEN p.i < $sessions * 0.6 THEN 'v7' ELSE 'v8' END AS prompt,
    9001 + CAST(floor(8 * chance(p.i, 5)) AS BIGINT) AS moderator,
    CASE WHEN chance(p.i, 6) < 0.02 THEN 'failed' WHEN chance(p.i, 6) < 0.06 THEN 'rejected' ELSE 'delivered' END AS outcome,
    chance(p.i, 7) < CASE WHEN p.i < $sessions * 0.6 THEN 0.32 ELSE 0.22 END AS corrected,
    CAST(60 + 400 * chance(p.i, 8) AS BIGINT) AS input_tokens, CAST(30 + 300 * chance(p.i, 9) AS BIGINT) AS output_tokens
FROM placed AS p ASOF JOIN hours AS h ON p.place >= h.before;

CREATE TEMP TABLE lines AS
WITH kinds(n, stage, typical_s, sigma) AS (VALUES
    (0, 'query_received', 0.02, 0.5), (1, 'ai_processing', 2.5, 0.6), (2, 'moderation_queue', 240.0, 1.1),
    (3, 'admin_review', 45.0, 0.8), (4, 'correction_processing', 4.0, 0.6), (5, 'correction_ai', 1.5, 0.4),
    (6, 'final_response', 0.02, 0.4), (7, 'user_delivery', 0.3, 0.5)
),
chosen AS (
    SELECT v.*, k.n, k.stage, skewed_us(v.i * 8 + k.n, 20, k.typical_s, k.sigma) AS took_us
    FROM visits AS v CROSS JOIN kinds AS k
    WHERE CASE
        WHEN v.outcome = 'failed' THEN k.n < 2
        WHEN v.outcome = 'rejected' THEN k.n < 4
        WHEN k.n IN (4, 5) THEN v.corrected
        ELSE true
    END
)
SELECT *, began_us + sum(took_us) OVER (PARTITION BY i ORDER BY n) - took_us AS start_us,
    lower(printf('%08x%05x', began_us // 1000000, began_us % 1000000)) || left(md5('s' || i), 19) AS session_id,
    lower(printf('%016x', hash(i * 8 + n, 30))) AS span_id
FROM chosen;

-- What would end later than now has not been recorded yet.
DELETE FROM lines WHERE i IN (SELECT i FROM lines GROUP BY i HAVING max(start_us + took_us) > $until_us);
"""
_ROWS = {
    "processing_metrics": """
        SELECT lower(printf('%014x', start_us)) || span_id AS metric_id, session_id, user_id, user_id AS chat_id, stage,
            make_timestamp(CAST(start_us AS BIGINT)) AS start_time, make_timestamp(CAST(start_us + took_us AS BIGINT)) AS end_time,
            CAST(round(took_us / 1000) AS BIGINT) AS duration_ms, outcome <> 'failed' OR n <> 1 AS success, NULL AS error_message,
            CASE n
                WHEN 0 THEN '{"platform":"telegram","message_length":' || CAST(12 + 200 * chance(i, 11) AS INT) || '}'
                WHEN 1 THEN '{"model":"' || model || '","provider":"openai","prompt":"' || prompt || '","intent":"' || intent
                    || '","retry_count":0,"input_tokens":' || input_tokens || ',"output_tokens":' || output_tokens
                    || ',"tokens_used":' || input_tokens + output_tokens || '}'
                WHEN 3 THEN '{"text_hash":"' || left(md5(CASE WHEN corrected THEN 'c' ELSE 'd' END || i), 16) || '","admin_user_id":' || moderator || ',"decision":"'
                    || CASE WHEN outcome = 'rejected' THEN 'rejected' WHEN corrected THEN 'edited' ELSE 'approved' END || '"}'
                WHEN 7 THEN '{"text_hash":"' || left(md5(CASE WHEN corrected THEN 'c' ELSE 'd' END || i), 16) || '"}'
                WHEN 6 THEN '{"length":' || CAST(40 + 500 * chance(i, 12) AS INT) || '}'
                ELSE '{}'
            END AS metadata,
            CASE WHEN outcome = 'failed' AND n = 1 THEN 'TimeoutError' END AS error_type, span_id,
            left(md5('r' || i), 16) AS parent_span_id, '4711-' || (i // 50000) AS process, NULL AS attributes, NULL AS events,
            1 AS flags, NULL AS links
        FROM lines""",
    "correction_metrics": """
        SELECT lower(printf('%014x', start_us + took_us)) || lower(printf('%016x', hash(i, 31))) AS correction_id, session_id,
            moderator AS admin_user_id, CAST(i AS VARCHAR) AS message_id,
            CASE WHEN outcome = 'rejected' THEN 'rejection'
                ELSE ['text_correction', 'style_improvement', 'factual_correction', 'voice_correction'][1 + CAST(floor(4 * chance(i, 13)) AS INT)]
            END AS correction_type,
            CAST(40 + 500 * chance(i, 12) AS BIGINT) AS original_length, CAST(40 + 500 * chance(i, 14) AS BIGINT) AS corrected_length,
            CAST(round(took_us / 1000) AS BIGINT) AS processing_time_ms, NULL AS voice_transcription_time_ms,
            NULL AS ai_correction_time_ms, make_timestamp(CAST(start_us + took_us AS BIGINT)) AS timestamp,
            1 + CAST(floor(5 * sqrt(chance(i, 15))) AS BIGINT) AS admin_satisfaction, 0 AS retry_count,
            '{"prompt":"' || prompt || '","intent":"' || intent || '"}' AS metadata, round(power(chance(i, 16), 2), 6) AS word_edit_rate,
            round(1 - power(chance(i, 16), 2), 6) AS similarity, NULL AS original_text, NULL AS corrected_text,
            '4711-' || (i // 50000) AS process, left(md5('d' || i), 16) AS original_hash, left(md5('c' || i), 16) AS corrected_hash
        FROM lines WHERE n = 3 AND (outcome = 'rejected' OR corrected)""",
    "sessions": """
        SELECT session_id, any_value(user_id) AS user_id, any_value(user_id) AS chat_id,
            make_timestamp(any_value(began_us)) AS started_at, make_timestamp(CAST(max(start_us + took_us) AS BIGINT)) AS ended_at,
            any_value(outcome) AS outcome,
            '{"platform":"telegram","language":"en","intent":"' || any_value(intent) || '"}' AS metadata
        FROM lines GROUP BY session_id""",
}


def generate(stages: int, days: int, until_ns: int | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB whose tables `made_<table>` hold about `stages` stage rows of the last `days`, with corrections and sessions."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET preserve_insertion_order = false")
    for statement in connection.extract_statements(_PRELUDE):
        connection.execute(statement)
    values = {
        "until_us": (until_ns or time.time_ns()) // 1000, "days": days, "sessions": max(1, round(stages / STAGES_PER_SESSION)),
    }  # fmt: skip
    for statement in connection.extract_statements(_ARRIVALS):
        connection.execute(statement, {name: value for name, value in values.items() if f"${name}" in statement.query})
    for table, rows in _ROWS.items():
        connection.execute(f"CREATE TABLE made_{table} AS {rows}")
    connection.execute("DROP TABLE lines")
    return connection


def write_cold(made: duckdb.DuckDBPyConnection, layout: StoreLayout) -> int:
    """Writes what was made as segments of a new store, one a day and table; gives the number of stage rows."""
    layout.prepare()
    create_tables(made)
    with writing(layout.database) as target:
        writer = SegmentWriter(made, target, layout)
        layout.segments_folder.mkdir(mode=0o700)
        for table in MOVING:
            if table.name in _ROWS:
                made.execute(f"INSERT INTO hot.{table.name} {with_facts(table, f'made_{table.name}')}")
                segments = list(writer.write_days(table))
                target.execute("BEGIN IMMEDIATE")
                enter(target, segments)
                target.execute("COMMIT")
        made.execute("DROP SCHEMA hot CASCADE")
        target.execute("BEGIN IMMEDIATE")
        ended = made.execute("SELECT session_id, CAST(CAST(ended_at AS DATE) AS VARCHAR), NULL FROM made_sessions")
        archive(target, ended.fetchall())
        target.execute("COMMIT")
    return _count(made)


def write_hot(made: duckdb.DuckDBPyConnection, layout: StoreLayout) -> int:
    """Writes what was made as rows of a new store's tables; gives the number of stage rows."""
    layout.prepare()
    with writing(layout.database) as target:
        for name in _ROWS:
            columns = TABLES[name].columns
            texts = ", ".join(
                f"strftime({column}, '%Y-%m-%dT%H:%M:%S.%fZ')" if kind == TIME else column
                for column, kind in columns.items()
            )
            key = next(iter(columns))
            cursor = made.cursor().execute(f"SELECT {texts} FROM made_{name} ORDER BY {key}")
            target.execute("BEGIN IMMEDIATE")
            while rows := cursor.fetchmany(_BLOCK):
                _insert(target, name, tuple(columns), rows)
            target.execute("COMMIT")
    return _count(made)


def _insert(target: sqlite3.Connection, name: str, columns: Sequence[str], rows: list[tuple[object, ...]]) -> None:
    base = next_seq(target, len(rows))
    marks = ", ".join("?" * (len(columns) + 1))
    target.executemany(
        f"INSERT INTO {name} ({', '.join(columns)}, seq) VALUES ({marks})",
        [(*row, base + place) for place, row in enumerate(rows, 1)],
    )


def _count(made: duckdb.DuckDBPyConnection) -> int:
    return int(made.execute("SELECT count(*) FROM made_processing_metrics").fetchall()[0][0])
