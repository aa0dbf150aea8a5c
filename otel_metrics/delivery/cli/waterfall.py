"""Owns how one session looks in a terminal: its head, its spans on one time axis, its corrections and its log lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from otel_metrics.delivery.cli.axis import Axis, AxisLabels
from otel_metrics.delivery.cli.bars import CALL, RUNNING, WAIT, WORK, Points, Reason, Stretch
from otel_metrics.delivery.cli.dashboard import edited
from otel_metrics.delivery.cli.numbers import count, date_and_time, duration, stars, time_of_day
from otel_metrics.delivery.cli.sheet import Column, Sheet
from otel_metrics.delivery.cli.text import clean
from otel_metrics.delivery.cli.words import state_of, took_ms
from otel_metrics.model.names import CORRECTION_SPAN
from otel_metrics.model.vocabulary import ProcessingStage

Record = dict[str, Any]
_WIDE = 110
_NOT_SHOWN = frozenset({"demo", "text_hash", "text"})
_LEVEL_STYLES = {"warning": "warn", "error": "bad", "critical": "bad", "debug": "quiet"}


@dataclass(frozen=True, slots=True)
class WaterfallView:
    """One session drawn whole."""

    answer: Record
    zone: str
    now: datetime

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.max_width >= _WIDE
        rows = rows_of(self.answer, self.now)
        yield from self._head(rows)
        if rows:
            yield Text("")
            yield self._drawing(rows, wide=wide)
        else:
            yield Text("No stage has been recorded.", "quiet")
        if self.answer["corrections"]:
            yield Text("")
            yield self._corrections(wide=wide)
        if self.answer["logs"]:
            yield Text("")
            yield self._logs()

    def _head(self, rows: list[Record]) -> Iterator[RenderableType]:
        session = self.answer["session"]
        is_waiting = bool(rows) and rows[-1]["is"] == "wait" and rows[-1]["end_time"] is None
        sign, word, style = state_of(session, is_waiting=is_waiting)
        took = duration(took_ms(session, self.now))
        yield Text.assemble(
            ("Session ", "head"), (clean(session["session_id"]), "head"), "  ",
            (f"{sign} {clean(word)}", style), f" {'after' if session['outcome'] else 'for'} {took}",
        )  # fmt: skip
        began = date_and_time(session["started_at"], self.zone)
        until = ", still open" if session["outcome"] is None else ", no end recorded"
        if session["ended_at"]:
            ended = date_and_time(session["ended_at"], self.zone)
            until = f" to {ended.removeprefix(f'{began[:10]} ')}"
        yield Text(f"user {session['user_id']}, chat {session['chat_id']}, {began}{until} ({self.zone})", "quiet")
        if self.answer["trace_id"] != session["session_id"]:
            yield Text(f"trace {self.answer['trace_id']}", "quiet")
        if told := facts(session.get("metadata") or {}):
            yield Text(told, "quiet")
        if rows:
            waiting = sum(row["duration_ms"] for row in rows if row["is"] == "wait")
            working = sum(row["duration_ms"] for row in rows if row["is"] != "wait" and row["top"])
            line = Text.assemble((WORK, "work"), f" work {duration(working)}")
            if waiting:
                line.append("   ").append(WAIT, "wait").append(f" wait {duration(waiting)}")
            if any(row["is"] == "call" for row in rows):
                line.append("   ").append(CALL, "call").append(" model call")
            if any(row["is"] == "running" for row in rows):
                line.append("   ").append(RUNNING, "work").append(" not ended")
            yield line
        if calls := model_calls(self.answer["spans"]):
            yield Text(calls, "quiet")

    def _drawing(self, rows: list[Record], *, wide: bool) -> Sheet:
        axis = Axis.over(rows)
        sheet = Sheet(
            [
                Column(least=14, most=44 if wide else 27),
                *((Column(right=True, style="quiet"),) if wide else ()),
                Column(right=True),
                Column(fill=True, least=24),
                *((Column(style="quiet", least=10, most=56),) if wide else ()),
            ],
            heads=False,
        )
        before = ("", "") if wide else ("",)
        after = ("",) if wide else ()
        sheet.add(*(("", "starts", "took") if wide else ("", "")), AxisLabels(axis), *after)
        for row in rows:
            begin, end = axis.part(row["offset_ms"]), axis.part(row["offset_ms"] + row["duration_ms"])
            told = (Text(facts(row["metadata"] or {}, short=row["kind"] == "span")),) if wide else ()
            starts = (f"+{duration(row['offset_ms'])}",) if wide else ()
            kind = "failed" if row["success"] is False else row["is"]
            sheet.add(_name(row), *starts, _took(row), Stretch(begin, end, kind), *told)
            if row["success"] is False:
                sheet.add("", *before, Reason(_reason(row)), *after)
        if places := axis.places(one["timestamp"] for one in self.answer["corrections"]):
            sheet.add("corrections", *before, Points(places, "◆", "mark"), *after)
        if places := axis.places(one["timestamp"] for one in self.answer["logs"]):
            grave = any(one["level"] in {"error", "critical"} for one in self.answer["logs"])
            sheet.add("log", *before, Points(places, "▾", "bad" if grave else "quiet"), *after)
        return sheet

    def _corrections(self, *, wide: bool) -> Sheet:
        sheet = Sheet(
            [
                Column("◆", style="mark"), Column("at"), Column("correction", least=10, most=32),
                Column("by", right=True, least=6), *(Column(name, right=True) for name in ("edited", "length", "took")),
                Column("satisfied", style="mark", least=5), *((Column(style="quiet", least=10),) if wide else ()),
            ]
        )  # fmt: skip
        for one in self.answer["corrections"]:
            sheet.add(
                "◆", time_of_day(one["timestamp"], self.zone), Text(clean(one["correction_type"])),
                str(one["admin_user_id"]), edited(one["word_edit_rate"]),
                f"{count(one['original_length'])}→{count(one['corrected_length'])}", duration(one["processing_time_ms"]),
                stars(one["admin_satisfaction"]), *((Text(facts(one["metadata"] or {})),) if wide else ()),
            )  # fmt: skip
        return sheet

    def _logs(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="quiet")
        for name in ("log", "at"):
            table.add_column(name, no_wrap=True)
        table.add_column("")
        for one in self.answer["logs"]:
            line = Text(f"{clean(one['event_type'])}: {clean(one['message'])}")
            if told := facts({key: value for key, value in (one["fields"] or {}).items() if key != "session_id"}):
                line.append(f"  {told}", "quiet")
            level = Text(clean(one["level"]), _LEVEL_STYLES.get(one["level"], ""))
            table.add_row(level, time_of_day(one["timestamp"], self.zone), line)
        return table


def rows_of(answer: Record, now: datetime) -> list[Record]:
    """The spans to draw: no root (the head tells it), no correction (a mark), a wait that goes on as a row of its own.

    Each gets `is` (work, wait, call or running), `top` (not inside another one) and `tree`, the lines in front of its name.
    """
    spans = [span for span in answer["spans"] if span["kind"] != "session" and span["name"] != CORRECTION_SPAN]
    least = min((span["depth"] for span in spans), default=0)
    rows = []
    for span in spans:
        running = span["end_time"] is None
        rows.append(
            {
                **span,
                "is": "running" if running else _kind(span),
                "top": span["depth"] == least,
                "level": span["depth"] - least,
                "duration_ms": _since_ms(span["start_time"], now) if running else span["duration_ms"],
            }
        )
    if rows and (since := _waiting_since(answer["session"], rows)):
        last = max(rows, key=lambda row: row["offset_ms"] + row["duration_ms"])
        rows.append(
            {
                **dict.fromkeys(("error_type", "error_message", "process", "end_time", "success")), "kind": "running",
                "name": str(ProcessingStage.MODERATION_QUEUE), "is": "wait", "top": True, "level": 0, "metadata": {},
                "start_time": since, "offset_ms": last["offset_ms"] + last["duration_ms"], "duration_ms": _since_ms(since, now),
            }
        )  # fmt: skip
    for place, row in enumerate(rows):
        row["tree"] = _tree(rows, place)
    return rows


def _kind(span: Record) -> str:
    if span["kind"] == "span" and span["model"]:
        return "call"
    return "wait" if span["name"] == ProcessingStage.MODERATION_QUEUE else "work"


def _waiting_since(session: Record, rows: list[Record]) -> datetime | None:
    """Since when an open session has been waiting for a moderator, if it is: its draft is the last that happened."""
    stages = [row for row in rows if row["kind"] == "stage"]
    if session["outcome"] is not None or not stages or any(row["is"] == "running" for row in rows):
        return None
    last = max(stages, key=lambda row: (row["start_time"], row["end_time"]))
    since: datetime = last["end_time"]
    return since if last["name"] == ProcessingStage.AI_PROCESSING and last["success"] is not False else None


def model_calls(spans: list[Record]) -> str:
    """How often each model was called and with how many tokens: by the calls' own spans, and by stages inside which there are none."""
    calls = [span for span in spans if span["kind"] == "span" and span["model"]]
    parents = {span["span_id"]: span["parent_span_id"] for span in spans if span["span_id"]}
    told: set[str] = set()
    for call in calls:
        above = call["parent_span_id"]
        while above and above not in told:
            told.add(above)
            above = parents.get(above)
    calls += [
        span for span in spans if span["kind"] == "stage" and span["input_tokens"] and span["span_id"] not in told
    ]
    by_model: dict[str, list[Record]] = {}
    for call in calls:
        by_model.setdefault(clean(call["model"] or "unknown model"), []).append(call)
    return "; ".join(_calls_in_words(model, found) for model, found in by_model.items())


def _calls_in_words(model: str, calls: list[Record]) -> str:
    tokens = [
        f"{count(sum(call[key] or 0 for call in calls))} tokens {word}"
        for key, word in (("input_tokens", "in"), ("output_tokens", "out"))
        if any(call[key] is not None for call in calls)
    ]
    times = f"{len(calls)} calls" if len(calls) > 1 else "1 call"
    return f"{model}: {times}{''.join(f', {one}' for one in tokens)}"


def _since_ms(time: datetime, now: datetime) -> float:
    return max(0.0, (now - time).total_seconds() * 1000)


def _tree(rows: list[Record], place: int) -> str:
    """The lines that lead to a row: `├ ` before a sibling, `└ ` at the last, `│ ` where an outer one goes on."""
    level = rows[place]["level"]
    lines = ""
    for outer in range(1, level + 1):
        goes_on = False
        for later in rows[place + 1 :]:
            if later["level"] <= outer:
                goes_on = later["level"] == outer
                break
        lines += ("├ " if goes_on else "└ ") if outer == level else ("│ " if goes_on else "  ")
    return lines


def _name(row: Record) -> Text:
    text = Text().append(row["tree"], "quiet")
    if row["success"] is False:
        text.append("✗ ", "bad")
    return text.append(
        clean(row["name"]), "bad" if row["success"] is False else row["is"] if row["is"] in {"wait", "call"} else ""
    )


def _took(row: Record) -> Text:
    goes_on = row["end_time"] is None
    return Text(f"{duration(row['duration_ms'])}{'…' if goes_on else ''}", "bad" if row["success"] is False else "")


def _reason(row: Record) -> str:
    """Why a span failed; it stands under the axis, where there is room at any width."""
    return ": ".join(clean(part) for part in (row["error_type"], row["error_message"]) if part) or "failed"


def facts(metadata: Record, *, short: bool = False) -> str:
    """Metadata as `key=value` in its own order; `short` leaves the name spaces of attributes out."""
    pairs = [(key, value) for key, value in metadata.items() if key not in _NOT_SHOWN]
    return clean(" ".join(f"{key.rpartition('.')[2] if short else key}={_short(value)}" for key, value in pairs))


def _short(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
