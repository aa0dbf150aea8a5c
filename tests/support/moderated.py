"""Generated sessions of a moderated bot with everything that a bot tells in metadata, and stores of them in every tier."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from otel_metrics.analytics.answers import Answers
from otel_metrics.analytics.compaction import compact
from otel_metrics.model.identity import record_id
from otel_metrics.model.records import CorrectionMetric, ProcessingMetric, SessionBegin, SessionEnd, encode_line
from otel_metrics.model.times import iso, to_ns
from otel_metrics.settings import Settings
from otel_metrics.store.journal import Journal
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage

NOW_US = to_ns("2025-06-04T12:00:00Z") // 1000
HOUR_US = 3_600_000_000
BACK_HOURS = 72
TIERS = ("hot", "cold", "both")
"""Where rows lie: in the tables, in segments, or the second half in the tables, late rows of the first half's sessions."""


class StoppedClock:
    """A clock that stands at NOW_US."""

    def time_ns(self) -> int:
        return NOW_US * 1000

    def perf_counter_ns(self) -> int:
        return 0


@dataclass(frozen=True)
class Begun:
    session: int
    at_us: int
    intent: str | None = None
    prompt: str | None = None
    outcome: str | None = None


@dataclass(frozen=True)
class Step:
    session: int
    stage: str
    end_us: int
    duration_us: int = 0
    success: bool = True
    said: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    session: int
    kind: str
    admin: int
    at_us: int
    message: str = ""
    original: int = 10
    corrected: int = 12
    work_ms: int | None = None
    voice_ms: int | None = None
    rate: float = 0.5
    similarity: float = 0.75
    satisfaction: int | None = None
    said: dict[str, Any] = field(default_factory=dict)


Facts = list[Begun | Step | Made]


def chat_of(session: int) -> int:
    """Two sessions share a chat."""
    return 500 + session // 2


def _lines(number: int, one: Begun | Step | Made) -> Iterator[bytes]:
    span_id = f"{number + 1:016x}"
    if isinstance(one, Step):
        start, end = iso((one.end_us - one.duration_us) * 1000), iso(one.end_us * 1000)
        yield encode_line(
            ProcessingMetric(
                record_id((one.end_us - one.duration_us) * 1000, number + 1), end, "metric", "stage_completed", "",
                f"s{one.session}", 1, chat_of(one.session), one.stage, start, end, round(one.duration_us / 1000), one.success,
                one.said, span_id, "", 1,
            )
        )  # fmt: skip
    elif isinstance(one, Made):
        record = CorrectionMetric(
            record_id(one.at_us * 1000, number + 1), iso(one.at_us * 1000), "metric", "correction_recorded", "",
            f"s{one.session}", one.admin, one.message, one.kind, one.original, one.corrected, one.work_ms, one.rate,
            one.similarity, one.said,
        )  # fmt: skip
        record.admin_satisfaction, record.voice_transcription_time_ms = one.satisfaction, one.voice_ms
        yield encode_line(record)
    else:
        said = {name: value for name, value in (("intent", one.intent), ("prompt_version", one.prompt)) if value}
        at = iso(one.at_us * 1000)
        session = f"s{one.session}"
        yield encode_line(SessionBegin(session, at, "info", "session_created", "", 1, chat_of(one.session), said))
        if one.outcome:
            yield encode_line(
                SessionEnd(
                    f"end{number}", at, "info", "session_ended", "", session, "session", "internal", at, at, 0, True,
                    "otel_metrics", span_id, "", 1, user_id=1, chat_id=chat_of(one.session), outcome=one.outcome,
                )
            )  # fmt: skip


@contextmanager
def answering(facts: Facts, tier: str = "hot", **chosen: Any) -> Iterator[Answers]:
    """Answers over a store of these facts."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            database=Path(folder) / "metrics.db",
            log_file=Path(folder) / "metrics.jsonl",
            retention_days=36_525.0,
            **chosen,
        )
        layout = StoreLayout(settings.database, settings.log_file)
        storage = MetricsStorage(layout, settings)
        half = {"hot": 0, "cold": len(facts), "both": len(facts) // 2}[tier]
        numbered = list(enumerate(facts))
        for part, moves in ((numbered[:half], True), (numbered[half:], False)):
            journal = Journal(layout, max_bytes=10**8)
            for number, one in part:
                for line in _lines(number, one):
                    journal.append(line)
            journal.close()
            storage.drain()
            if moves and part:
                done = compact(storage, settings, wait_s=10.0)
                assert done is not None
                assert done.segments > 0 or all(isinstance(one, Begun) for _, one in part)
        answers = Answers(storage, settings, StoppedClock())
        yield answers
        answers.close()


def inside(at_us: int, hours: float) -> bool:
    """Whether a time lies in the window of the last `hours`."""
    return NOW_US - round(hours * HOUR_US) < at_us <= NOW_US


_SESSIONS = st.integers(0, 9)
_TIMES = st.integers(NOW_US - 110 * HOUR_US, NOW_US + 10) | st.integers(NOW_US - 24 * HOUR_US, NOW_US)
_MODELS = st.sampled_from(["fast", "slow"])
_PROMPTS = st.sampled_from(["v9", "v10"])
_INTENTS = st.sampled_from(["refund", "hours"])
_MODERATORS = st.integers(0, 3)


def _maybe(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=values)


def _unique(facts: Facts) -> Facts:
    """One beginning for each session: it is not written twice."""
    begun: set[int] = set()
    kept: Facts = []
    for one in facts:
        if isinstance(one, Begun):
            if one.session in begun:
                continue
            begun.add(one.session)
        kept.append(one)
    return kept


drafts = st.builds(
    Step, _SESSIONS, st.just("ai_processing"), _TIMES, st.integers(0, 10**8), st.booleans(),
    _maybe(model=_MODELS, prompt_version=_PROMPTS, intent=_INTENTS, output_length=st.integers(0, 3000)),
)  # fmt: skip
reviews = st.builds(
    Step, _SESSIONS, st.just("admin_review"), _TIMES, st.integers(0, 2 * 10**8), st.booleans(),
    _maybe(
        moderator_id=_MODERATORS, decision=st.sampled_from(["approved", "edited", "rejected", "later"]),
        message_id=st.sampled_from(["a", "b"]),
    ),
)  # fmt: skip
answers_given = st.builds(
    Step, _SESSIONS, st.sampled_from(["final_response", "user_delivery", "moderation_queue"]), _TIMES, st.integers(0, 10**8),
    st.booleans(), _maybe(length=st.integers(0, 3000)),
)  # fmt: skip
made = st.builds(
    Made, _SESSIONS, st.sampled_from(["text_correction", "voice_correction", "style_improvement", "rejection"]), _MODERATORS,
    _TIMES, st.sampled_from(["", "a", "b"]), st.integers(0, 3000), st.integers(0, 3000), st.none() | st.integers(0, 10**6),
    st.none() | st.integers(0, 10**5), st.sampled_from([0.0, 0.05, 0.1, 0.3, 0.5, 1.2]), st.floats(0, 1).map(lambda x: round(x, 6)),
    st.none() | st.integers(1, 5),
    _maybe(
        model=_MODELS, prompt_version=_PROMPTS, intent=_INTENTS, rejection_reason=st.sampled_from(["wrong", "rude"]),
        transcription_quality=st.sampled_from(["good", "poor"]),
    ),
)  # fmt: skip
begun = st.builds(
    Begun, _SESSIONS, _TIMES, st.none() | _INTENTS, st.none() | _PROMPTS,
    st.sampled_from([None, "delivered", "delivered", "rejected", "failed"]),
)  # fmt: skip


def _of_session(session: int, found: list[Begun | Step | Made]) -> Facts:
    return [replace(one, session=session) for one in found]


visits = st.builds(
    _of_session, _SESSIONS,
    st.lists(st.one_of(drafts, reviews, answers_given, made, begun), min_size=3, max_size=7),
)  # fmt: skip
"""Several facts of one session, since facts without each other tell little."""
facts = st.lists(visits, max_size=14).map(lambda found: _unique([one for visit in found for one in visit]))


def greatest(values: list[Any]) -> Any:
    """The greatest of the values that are there, None of none."""
    there = [one for one in values if one is not None]
    return max(there) if there else None


@dataclass(frozen=True)
class Draft:
    """The last draft of a session, by the definition of the questions."""

    at_us: int
    model: str | None
    prompt: str | None
    intent: str | None
    length: int | None
    drafted: bool


def last_drafts(found: Facts, hours: float) -> dict[int, Draft]:
    """The last draft of each session within the window and the 72 hours before it."""
    by_session: dict[int, list[Step]] = {}
    for one in found:
        if isinstance(one, Step) and one.stage == "ai_processing" and inside(one.end_us, hours + BACK_HOURS):
            by_session.setdefault(one.session, []).append(one)
    return {session: _last_of(steps) for session, steps in by_session.items()}


def _last_of(steps: list[Step]) -> Draft:
    # Of drafts that end at once the one that began last, then by what is said; nothing said stands behind everything.
    order: Callable[[Step], Any] = lambda one: (  # noqa: E731
        one.end_us, -one.duration_us,
        *((one.said.get(name) is None, one.said.get(name) or "") for name in ("model", "prompt_version", "intent")),
        (one.said.get("output_length") is None, one.said.get("output_length") or 0),
    )  # fmt: skip
    last = max(steps, key=order)
    return Draft(
        last.end_us, last.said.get("model"), last.said.get("prompt_version"), last.said.get("intent"),
        last.said.get("output_length"), any(one.success for one in steps),
    )  # fmt: skip


def begun_of(found: Facts, hours: float) -> dict[int, Begun]:
    """What was said of the sessions that began within the window and the 72 hours before it."""
    return {
        one.session: one for one in found if isinstance(one, Begun) and inside(one.at_us, hours + BACK_HOURS)
    }  # fmt: skip
