"""Stores to open in a browser: a hundred thousand sessions, none at all, and one in which every text is hostile."""

import contextlib
import fcntl
import importlib
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from otel_metrics import MetricsService
from otel_metrics.analytics.alerting.duration import Duration
from otel_metrics.analytics.alerting.evaluation import evaluate_alerts
from otel_metrics.analytics.alerting.silencing import silence_alerts
from otel_metrics.analytics.answers import Answers
from otel_metrics.model.vocabulary import ProcessingStage
from otel_metrics.settings import Settings, load
from otel_metrics.store.layout import StoreLayout
from support.tiers import begin

WHOLE_H = 1000
"""Hours that hold all of a store, so that its figures are the same a moment later."""
SESSIONS = 100_000
_DAYS = 30
_SPARE = 1.003
"""The generator leaves sessions out that would end later than now."""
_WAITING, _RUNNING = 60, 3

SCRIPT = "window.owned=(window.owned||0)+1"
HOSTILE = {
    "image": f'<img src=x onerror="{SCRIPT}">',
    "script": f"</script></textarea></style></title><script>{SCRIPT}</script><svg onload={SCRIPT}>",
    "quotes": f'" onfocus="{SCRIPT}" autofocus x=\'"`><a href="javascript:{SCRIPT}">',
    "template": f"{{{{constructor.constructor('{SCRIPT}')()}}}} ${{{SCRIPT}}} {{% raw %}} <b>&lt;&amp;&#0;",
    "directions": "\u202egnp.exe\u202c \u2066\u200f\u05d0\u05d1 \u0627\u0644\u2069 \ufeff\u2028\u2029",
    "controls": "nul\0 bell\x07 escape\x1b[2J\x1b]0;owned\x07 \x9b31m \x7f lines\r\n\ttab \ud800",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈" + "z" + "\u0301" * 60 + " 日本語 ＜script＞",
    "endless": "endless" * 1430,
    "prototype": "__proto__",
    "backticks": "`code` | **bold** [red]x[/] %s {0} {name} -- '; DROP TABLE sessions",
}
"""Texts that have broken pages, by what they are; the endless one has 10 kB."""


def make_large(folder: Path) -> Path:
    """100,000 sessions of 30 days in segments, and as many rows in the tables as people wait now. Gives the database.

    Made once for all processes of a test run: who comes second waits and finds it made.
    """
    settings = _settings_in(folder)
    with _one_at_a_time(folder):
        if not (folder / "made").exists():
            _generate(settings)
            _record_now(settings)
            (folder / "made").touch()
    return settings.database


def make_empty(folder: Path) -> Path:
    """A store whose tables are there and hold nothing. Gives the database."""
    settings = _settings_in(folder)
    with MetricsService(settings) as service:
        service.flush()
    return settings.database


def make_hostile(folder: Path) -> Path:
    """Every text of HOSTILE in every place where a user, a moderator, a model or a bot's author writes. Gives the database."""
    settings = _settings_in(folder)
    (folder / "metrics.rules.toml").write_text(_RULES, encoding="utf-8")
    with MetricsService(settings) as service:
        with warnings.catch_warnings(action="ignore"):  # a bot is told which of these names were not kept as they are
            for name, text in HOSTILE.items():
                _record_hostile(service, name, text)
        service.flush()
        answers: Answers = service.answers
        answers.refresh()
        rules = answers.rules()
        evaluate_alerts(service.storage, answers, rules, time.time())
        for text in HOSTILE.values():
            silence_alerts(service.storage, rules, "slow", {"stage": text[:60]}, text[:500], Duration(3600))
    return settings.database


def _record_hostile(service: MetricsService, which: str, text: str) -> None:
    """One session with that text in all its places, another that waits, and one whose own name it is, in which a stage runs."""
    facts = {
        "model": text,
        "prompt": text,
        "intent": text,
        "provider": text,
        "currency": text,
        "cost": 0.5,
        "tokens_used": 7,
    }
    error = type(text.replace("\0", "").encode("utf-8", "replace").decode(), (Exception,), {})
    session = service.create_session(
        text, text, which=which, name=text, platform=text, **{text: text, "deep": {text: [text]}}
    )
    for stage in ("ai_processing", "moderation_queue", "admin_review", text[:60]):
        with contextlib.suppress(error), service.timer(session, text, text, stage, admin_user_id=text, **facts):
            service.get_logger().warning(text, text, session_id=session, **{text: text})
            raise error(text)
    service.record_correction(
        session, text, text, "text_correction", "a", "b", 5, admin_satisfaction=3, reason=text, **facts
    )
    service.record_correction(session, text, text, "rejection", "a", "b", 5, reason=text, **facts)
    service.record_system_metric(text, text, {text: text})
    service.end_session(session, "failed")
    waiting = service.create_session(text, text)
    with service.timer(waiting, text, text, "ai_processing", **facts):
        pass
    with service.timer(text[:256], text, text, "query_received"):
        pass
    begin(service.timer(text[:256], text, text, text[:60]))


_RULES = """
[[rule]]
name = "slow"
kind = "slow_stage"
threshold = "0s"
least = 1
description = "<img src=x onerror=window.owned=1>"
labels = { team = "<img src=x onerror=window.owned=1>" }
"""


def _settings_in(folder: Path) -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    files = {"database": folder / "metrics.db", "log_file": folder / "metrics.jsonl"}
    return load({**files, "drain_interval_s": 0, "retention_days": 36500}, {})


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _generate(settings: Settings) -> None:
    """By the benchmarks' own generator, which is no part of the package."""
    benchmarks = str(Path(__file__).parents[2] / "benchmarks")
    sys.path.insert(0, benchmarks)
    try:
        generator = importlib.import_module("generator")
    finally:
        sys.path.remove(benchmarks)
    with contextlib.closing(generator.generate(round(SESSIONS * _SPARE * generator.STAGES_PER_SESSION), _DAYS)) as made:
        generator.write_cold(made, StoreLayout(settings.database, settings.log_file))


def _record_now(settings: Settings) -> None:
    """Drafts that wait since some minutes, and stages that run."""
    now_s = time.time()
    with MetricsService(settings) as service:
        for number in range(_WAITING):
            session = service.create_session(number, number, intent="order")
            began_s = now_s - 60 * number - 30
            service.record_stage(
                session,
                number,
                number,
                ProcessingStage.AI_PROCESSING,
                start_time=began_s,
                end_time=began_s + 2,
                model="gpt-4o",
            )
        for number in range(_RUNNING):
            begin(service.timer(service.create_session(number, number), number, number, ProcessingStage.AI_PROCESSING))
