"""The kit between real processes: one trace and one wait, whoever is killed when, and whoever opens the item."""

import os
import signal

import pytest
from support.otlp import HttpReceiver
from support.processes import finish, run, start
from support.stores import count, only_row, rows

from otel_metrics.model.identity import root_span_id_of

BOT = """
import otel_metrics as m
session = m.create_session(1, 2)
with m.timer(session, 1, 2, "ai_processing") as stage:
    stage.text("The shop opens at nine")
print(m.ModerationItem.create(session, 1, 2, draft="The shop opens at nine"))
"""

REVIEW = """
import sys
from otel_metrics import ModerationItem
item = ModerationItem.from_string(sys.argv[1])
with item.review(int(sys.argv[2])) as review:
    print("open", flush=True)
    sys.stdin.readline()
    review.edit("The shop opens at ten")
print(item)
"""

DELIVERY = """
import sys
from otel_metrics import ModerationItem
with ModerationItem.from_string(sys.argv[1]).delivery(sys.argv[2]):
    pass
"""


def stages(folder) -> list[str]:
    return [
        row["stage"] for row in rows(folder / "metrics.db", "processing_metrics", "true ORDER BY start_time, end_time")
    ]


def last_line(output: str) -> str:
    return output.strip().splitlines()[-1]


@pytest.mark.parametrize("answer", ["The shop opens at ten", "The shop opens at nine"])
def test_three_processes_make_one_trace(tmp_path, answer):
    """Bot, moderators and delivery each have a process; the delivery of the third is compared with the second's verdict."""
    text = run(BOT, tmp_path).strip()
    reviewer = start(REVIEW, tmp_path, text, "901")
    reviewed = last_line(finish_with_line(reviewer))
    run(DELIVERY, tmp_path, reviewed, answer)
    assert stages(tmp_path) == ["ai_processing", "moderation_queue", "admin_review", "final_response", "user_delivery"]
    found = rows(tmp_path / "metrics.db", "processing_metrics")
    assert len({row["process"] for row in found}) == 3
    session = found[0]["session_id"]
    assert {row["parent_span_id"] for row in found} == {f"{root_span_id_of(int(session, 16)):016x}"}
    told = {row["stage"]: row["metadata"] for row in found}["user_delivery"]["approval"]
    assert told == ("as_approved" if answer == "The shop opens at ten" else "differs")
    assert only_row(tmp_path / "metrics.db", "sessions")["outcome"] == "delivered"


def finish_with_line(process) -> str:
    """Lets a process that waits for a line go on to its end."""
    process.stdin.write("\n")
    process.stdin.flush()
    return finish(process)


def test_a_killed_moderators_process_loses_no_wait_and_doubles_none(tmp_path):
    """Kill -9 in the middle of a review: the wait is there, the review is not, and the next process takes the item again."""
    text = run(BOT, tmp_path).strip()
    killed = start(REVIEW, tmp_path, text, "901")
    assert killed.stdout.readline() == "open\n"
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    reviewed = last_line(finish_with_line(start(REVIEW, tmp_path, text, "902")))
    run(DELIVERY, tmp_path, reviewed, "The shop opens at ten")
    assert stages(tmp_path) == ["ai_processing", "moderation_queue", "admin_review", "final_response", "user_delivery"]
    wait, review = (
        only_row(tmp_path / "metrics.db", "processing_metrics", f"stage = '{name}'")
        for name in ("moderation_queue", "admin_review")
    )
    assert wait["process"] != review["process"]  # the first telling counts
    assert count(tmp_path / "metrics.db", "running") == 1  # the review that its process did not live to end


def test_two_moderators_at_once_make_two_reviews_and_one_wait(tmp_path):
    """Both have the item open at the same time: both verdicts are kept, the wait is one, locally and at the collector."""
    with HttpReceiver() as receiver:
        otlp = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        text = run(BOT, tmp_path, **otlp).strip()
        both = [start(REVIEW, tmp_path, text, moderator, **otlp) for moderator in ("901", "902")]
        assert [one.stdout.readline() for one in both] == ["open\n"] * 2
        for one in both:
            finish_with_line(one)
    assert sorted(stages(tmp_path)) == ["admin_review", "admin_review", "ai_processing", "moderation_queue"]
    assert count(tmp_path / "metrics.db", "correction_metrics") == 2
    names = sorted(span.name for span in receiver.spans())
    assert names == ["admin_review", "admin_review", "ai_processing", "moderation_queue"]
    assert len({span.trace_id for span in receiver.spans()}) == 1


def test_take_in_a_process_that_dies_is_not_lost(tmp_path):
    """Who has stored str(item) after take() has the review begin there, in whatever process it is given."""
    text = run(BOT, tmp_path).strip()
    taken = run(
        """
        import os, sys
        from otel_metrics import ModerationItem
        item = ModerationItem.from_string(sys.argv[1])
        item.take()
        print(item, flush=True)
        """,
        tmp_path,
        text,
    ).strip()
    finish_with_line(start(REVIEW, tmp_path, taken, "901"))
    wait, review = (
        only_row(tmp_path / "metrics.db", "processing_metrics", f"stage = '{name}'")
        for name in ("moderation_queue", "admin_review")
    )
    assert wait["process"] != review["process"]
    assert wait["end_time"] <= review["start_time"] < review["end_time"]


OWN_PROVIDER = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
provider, kept = TracerProvider(), InMemorySpanExporter()
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
from otel_metrics import ModerationItem
for _ in range(2):
    item = ModerationItem.from_string(sys.argv[1])
    with item.review(901) as review, review.timer("correction_processing"):
        review.edit("The shop opens at ten")
with item.delivery("another text"):
    pass
for span in kept.get_finished_spans():
    print(span.name, f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}", ",".join(event.name for event in span.events))
"""


def test_the_users_own_provider_gets_the_same_spans(tmp_path):
    """In somebody else's provider the spans are theirs, in the session's one trace, and the wait has the derived id."""
    text = run(BOT, tmp_path).strip()
    spans = [line.split(" ") for line in run(OWN_PROVIDER, tmp_path, text).splitlines()]
    run(OWN_PROVIDER, tmp_path, text)
    found = rows(tmp_path / "metrics.db", "processing_metrics")
    assert [row["stage"] for row in found].count("moderation_queue") == 1
    assert [row["stage"] for row in found].count("admin_review") == 4
    assert sorted(name for name, *_ in spans) == [
        "admin_review", "admin_review", "correction_processing", "correction_processing", "final_response",
        "moderation_queue", "session", "user_delivery",
    ]  # fmt: skip
    assert {trace_id for _, trace_id, *_ in spans} == {found[0]["session_id"]}
    (wait,) = [row for row in found if row["stage"] == "moderation_queue"]
    assert wait["span_id"] == spans[0][2]
    assert [events for name, _, _, events in spans if name == "user_delivery"] == ["hitl.delivery.not_as_approved"]
