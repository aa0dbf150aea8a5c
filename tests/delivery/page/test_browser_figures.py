"""The numbers on the page are those of `otel-metrics dashboard --format json`: over 100,000 sessions, in every view."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.browser import look, needs_browser, opened, text_of
from support.cli import real
from support.page import Served
from support.page_stores import SESSIONS, WHOLE_H

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = needs_browser
Document = dict[str, Any]
Rows = dict[str, list[str]]
_ROWS = (
    "return [...document.querySelectorAll(arguments[0] + ' tbody tr')].map((row) =>"
    " [...row.children].map((cell) => cell.textContent.trim()))"
)


@pytest.fixture(scope="module")
def document(large_store: Path) -> Document:
    """The dashboard document over the whole store, which says the same a moment later."""
    result = real("dashboard", "--hours", WHOLE_H, "--format", "json", folder=large_store.parent)
    assert result.returncode == 0, result.stderr
    made: Document = json.loads(result.stdout)
    assert made["overview"]["total_requests"] > SESSIONS
    return made


def _seen(driver: "Chrome", served: Served, view: str) -> None:
    look(driver)
    opened(driver, f"{served.base}/{view}?hours={WHOLE_H}")


def _figure(driver: "Chrome", name: str) -> str:
    return text_of(driver, f"#figure-{name}")


def _rows(driver: "Chrome", table: str) -> Rows:
    """The cells of each row of a table, by the row's name."""
    found: list[list[str]] = driver.execute_script(_ROWS, f"#table-{table}")
    return {cells[0]: cells[1:] for cells in found}


def _count(number: float | None) -> str:
    return "–" if number is None else f"{number:,.0f}"


def _percent(number: float) -> str:
    return "100%" if number == 100 else f"{min(number, 99.9):.1f}%" if number >= 99.95 else f"{number:.1f}%"


def _minutes(ms: float) -> str:
    seconds = round(ms / 1000)
    return f"{seconds // 60}m{seconds % 60:02d}s"


def test_now(chrome: "Chrome", large: Served, document: Document):
    """Now: drafts that wait, sessions of the range, alerts, and a row for each of the first fifty that wait."""
    _seen(chrome, large, "now")
    assert _figure(chrome, "waiting") == _count(document["capacity"]["waiting"])
    assert _figure(chrome, "alerts") == _count(len(document["alerts"]))
    assert _figure(chrome, "throughput") == f"{document['overview']['total_requests'] / WHOLE_H:,.1f}/h"
    assert len(_rows(chrome, "queue")) == min(50, document["capacity"]["waiting"])


def test_overview(chrome: "Chrome", large: Served, document: Document):
    """Overview: the six headline figures, and count, percentiles and success of every stage."""
    _seen(chrome, large, "overview")
    told = document["overview"]
    assert _figure(chrome, "total_requests") == _count(told["total_requests"])
    assert _figure(chrome, "avg_total_processing_time_ms") == _minutes(told["avg_total_processing_time_ms"])
    assert _figure(chrome, "overall_success_rate") == _percent(told["overall_success_rate"])
    assert _figure(chrome, "total_corrections") == _count(told["total_corrections"])
    assert _figure(chrome, "correction_rate") == _percent(document["corrections"]["rate"])
    assert _figure(chrome, "end_to_end_p95_ms") == _minutes(document["stages"]["end_to_end_p95_ms"])
    shown = _rows(chrome, "stages")
    assert {name: (cells[0], cells[-1]) for name, cells in shown.items()} == {
        name: (_count(one["count"]), _percent(one["success_rate"]))
        for name, one in document["processing_by_stage"].items()
    }
    queue = document["processing_by_stage"]["moderation_queue"]
    assert shown["moderation_queue"][1:5] == [
        _minutes(queue[key]) for key in ("avg_duration_ms", "p50_ms", "p95_ms", "p99_ms")
    ]


def test_corrections(chrome: "Chrome", large: Served, document: Document):
    """Corrections: the rate, counts by type and moderator, rates by model, prompt version and intent."""
    _seen(chrome, large, "corrections")
    told = document["corrections"]
    assert _figure(chrome, "correction_rate") == _percent(told["rate"])
    assert _figure(chrome, "total_corrections") == _count(document["overview"]["total_corrections"])
    assert {name: cells[0] for name, cells in _rows(chrome, "by-type").items()} == {
        name: _count(one["total_count"]) for name, one in told["by_type"].items()
    }
    assert {name: cells[:2] for name, cells in _rows(chrome, "by-moderator").items()} == {
        name.removeprefix("admin_"): [_count(one["total_corrections"]), _count(one["rejections"])]
        for name, one in told["by_admin"].items()
    }
    for table, part, key in (
        ("model", "by_model", "model"), ("prompt", "by_prompt_version", "prompt_version"), ("intent", "by_intent", "intent"),
    ):  # fmt: skip
        assert {name: cells[:2] for name, cells in _rows(chrome, f"by-{table}").items()} == {
            one[key] or "–": [_count(one["sessions"]), _percent(one["rate_percent"])] for one in told[part]
        }


def test_moderators(chrome: "Chrome", large: Served, document: Document):
    """Moderators: reviews in all, and what each moderator decided."""
    _seen(chrome, large, "moderators")
    told = document["moderators"]
    assert _figure(chrome, "reviews") == _count(told["reviews"])
    assert _figure(chrome, "moderators") == _count(len(told["moderators"]))
    assert {name: cells[:4] for name, cells in _rows(chrome, "by-moderator").items()} == {
        str(one["moderator_id"]): [_count(one[key]) for key in ("reviews", "approvals", "corrections", "rejections")]
        for one in told["moderators"]
    }


def test_capacity(chrome: "Chrome", large: Served, document: Document):
    """Capacity: who waits, the share picked up in time, waiting times, and moderators needed in each hour of the week."""
    _seen(chrome, large, "capacity")
    told = document["capacity"]
    assert _figure(chrome, "waiting") == _count(told["waiting"])
    assert _figure(chrome, "in_time") == _percent(100 * told["in_time_share"])
    assert _figure(chrome, "wait_p50") == _minutes(told["wait_p50_ms"])
    assert _figure(chrome, "peak") == told["peak_hour"]
    needed = chrome.execute_script(_ROWS, "#heat-needed")
    assert [row[1:] for row in needed] == [[str(one) for one in day] for day in told["week"]["needed"]]


def test_cost(chrome: "Chrome", large: Served, document: Document):
    """Cost: money and tokens in all, and calls and tokens by model and prompt version."""
    _seen(chrome, large, "cost")
    told = document["cost"]
    assert _figure(chrome, "cost") == f"{told['known_cost']:,.2f} {told['currency']}"
    assert _figure(chrome, "tokens") == _count(told["total_tokens"])
    for table, part, key in (("model", "by_model", "model"), ("prompt", "by_prompt", "prompt_version")):
        assert {name: cells[:3] for name, cells in _rows(chrome, f"by-{table}").items()} == {
            one[key] or "–": [_count(one[name]) for name in ("calls", "input_tokens", "output_tokens")]
            for one in told[part]
        }


def test_sessions(chrome: "Chrome", large: Served, document: Document):
    """Sessions: a search for those that wait finds as many as wait, and the newest that was reviewed shows who reviewed it."""
    look(chrome)
    opened(chrome, f"{large.base}/sessions?hours={WHOLE_H}&waiting=yes")
    assert len(chrome.execute_script(_ROWS, "#table-sessions")) == document["capacity"]["waiting"]
    decided = document["oversight"]["decisions"][0]
    opened(chrome, f"{large.base}/sessions?id={decided['session_id']}")
    assert text_of(chrome, "#session-id") == decided["session_id"]
    assert "admin_review" in {cells[0] for cells in chrome.execute_script(_ROWS, "#table-waterfall")}


def test_alerts(chrome: "Chrome", hostile: Served, hostile_store: Path):
    """Alerts: as many are wrong now as the document of that store lists, in its order and of its severities."""
    result = real("dashboard", "--hours", WHOLE_H, "--format", "json", folder=hostile_store.parent)
    told = json.loads(result.stdout)["alerts"]
    _seen(chrome, hostile, "alerts")
    shown = chrome.execute_script(
        "return [...document.querySelectorAll('#alerts-firing li')].map((one) => one.querySelector('a').textContent)"
    )
    assert len(shown) > 10
    assert shown == [one["rule"] for one in told]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT count(DISTINCT session_id) FROM processing_metrics", lambda told: told["overview"]["total_requests"]),
        ("SELECT count(*) FROM correction_metrics", lambda told: told["overview"]["total_corrections"]),
        ("SELECT sum(output_tokens)::BIGINT FROM processing_metrics", lambda told: told["cost"]["output_tokens"]),
    ],
)
def test_sql(chrome: "Chrome", large: Served, document: Document, query: str, expected: Callable[[Document], int]):
    """SQL: what a query over the views counts is what the document says."""
    _seen(chrome, large, "sql")
    chrome.execute_script(
        "const form = document.querySelector('#card-query form'); form.elements.q.value = arguments[0]; form.requestSubmit()",
        query,
    )
    assert text_of(chrome, "#table-answer tbody") == str(expected(document))
