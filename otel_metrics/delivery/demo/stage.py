"""Owns how a planned session is played: the calls that a real bot makes, on a clock that is set by hand."""

from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from random import Random

from opentelemetry import trace

from otel_metrics.delivery.demo.cast import corrected_text
from otel_metrics.delivery.demo.plan import Edit, Visit
from otel_metrics.model.vocabulary import ProcessingStage, SessionOutcome
from otel_metrics.service import MetricsService

S = ProcessingStage
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DemoClock:
    """A clock that stands still until it is moved. Both its times are one, so that a stage takes what is said."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def time_ns(self) -> int:
        """The time of day."""
        return self.now_ns

    def perf_counter_ns(self) -> int:
        """The same time again."""
        return self.now_ns

    def pass_by(self, seconds: float) -> None:
        """Lets time pass."""
        self.now_ns += round(seconds * 1e6) * 1000


class Play:
    """One session on the stage: the bot's side, the moderator's side, and the way back to the user."""

    def __init__(self, service: MetricsService, clock: DemoClock, visit: Visit, random: Random) -> None:
        self._service, self._clock, self._visit, self._random = service, clock, visit, random
        self.session_id = service.create_session(
            visit.user_id, visit.user_id, demo=True, platform="telegram", language=visit.language, intent=visit.draft.intent
        )  # fmt: skip
        self._who = (self.session_id, visit.user_id, visit.user_id)

    def perform(self) -> None:
        """Plays the session to where its plan ends."""
        visit = self._visit
        self._receive()
        if not self._draft():
            self._service.end_session(self.session_id, SessionOutcome.FAILED)
            return
        drafted = _EPOCH + timedelta(microseconds=self._clock.now_ns // 1000)
        if visit.ending == "waiting":
            return
        self._clock.pass_by(visit.wait_s)
        if visit.ending == "abandoned":
            self._service.end_session(self.session_id, SessionOutcome.ABANDONED)
            return
        self._service.record_stage(*self._who, S.MODERATION_QUEUE, start_time=drafted)
        if visit.ending == "in_review":
            self._leave_review_open()
            return
        self._review()
        if visit.ending == "rejected":
            self._service.end_session(self.session_id, SessionOutcome.REJECTED)
            return
        delivered = self._answer()
        self._service.end_session(self.session_id, SessionOutcome.DELIVERED if delivered else SessionOutcome.FAILED)

    def _receive(self) -> None:
        with self._service.timer(
            *self._who, S.QUERY_RECEIVED, platform="telegram", message_length=self._random.randrange(12, 240)
        ):
            self._clock.pass_by(self._random.uniform(0.012, 0.07))

    def _draft(self) -> bool:
        """The model's tries; each but the last runs out of time. Whether there is a draft."""
        visit = self._visit
        for retry, seconds in enumerate(visit.draft_s):
            failed = visit.ending == "model_failed" or retry + 1 < len(visit.draft_s)
            try:
                with self._service.timer(
                    *self._who, S.AI_PROCESSING, model=visit.model.name, provider=visit.model.provider, prompt=visit.prompt,
                    retry_count=retry,
                ) as stage:  # fmt: skip
                    self._call_model(seconds)
                    if failed:
                        raise TimeoutError("the model did not answer within 30 s")
                    stage.text(visit.draft.text)
                    stage.metadata["tokens_used"] = visit.input_tokens + visit.output_tokens
                    self._clock.pass_by(0.02)
            except TimeoutError:
                self._service.get_logger().warning(
                    "model_timeout", "The model did not answer in time", session_id=self.session_id,
                    model=visit.model.name, attempt=retry + 1,
                )  # fmt: skip
        return not failed

    def _call_model(self, seconds: float) -> None:
        """The model call as its own instrumentation would record it: a span inside the stage."""
        visit = self._visit
        span = trace.get_tracer("demo.model").start_span(
            f"chat {visit.model.name}", kind=trace.SpanKind.CLIENT, start_time=self._clock.now_ns + 5_000_000,
            attributes={
                "gen_ai.request.model": visit.model.name, "gen_ai.usage.input_tokens": visit.input_tokens,
                "gen_ai.usage.output_tokens": visit.output_tokens,
            },
        )  # fmt: skip
        self._clock.pass_by(seconds)
        span.end(self._clock.now_ns)

    def _review(self) -> None:
        visit = self._visit
        decision = "rejected" if visit.ending == "rejected" else "edited" if visit.edits else "approved"
        with self._service.timer(
            *self._who,
            S.ADMIN_REVIEW,
            admin_user_id=visit.moderator.user_id,
            moderator=visit.moderator.name,
            decision=decision,
        ) as stage:
            if decision == "approved":
                stage.text(visit.draft.text)
            self._clock.pass_by(visit.review_s + sum(edit.seconds for edit in visit.edits))
            if decision == "rejected":
                self._record(visit.edits[0], 0)
                self._service.get_logger().info(
                    "draft_rejected", "A moderator rejected the draft", moderator=visit.moderator.name
                )
        if decision == "edited":
            for retry, edit in enumerate(visit.edits):
                self._correct(edit, retry)

    def _leave_review_open(self) -> None:
        """Begins a review that does not end: it is running as long as the demo is, and interrupted from then on."""
        timer = self._service.timer(*self._who, S.ADMIN_REVIEW, moderator=self._visit.moderator.name)
        copy_context().run(timer.__enter__)

    def _correct(self, edit: Edit, retry: int) -> None:
        kind = "voice" if edit.transcription_s else "text"
        with self._service.timer(
            *self._who, S.CORRECTION_PROCESSING, kind=kind, moderator=self._visit.moderator.name, retry_count=retry
        ):
            self._clock.pass_by((edit.transcription_s or 0.0) + self._random.uniform(0.1, 0.6))
            if edit.model_s is None:
                self._record(edit, retry)
        if edit.model_s is not None:
            with self._service.timer(
                *self._who, S.CORRECTION_AI, model=self._visit.model.name, provider=self._visit.model.provider
            ):
                self._call_model(edit.model_s)
                self._record(edit, retry)

    def _record(self, edit: Edit, retry: int) -> None:
        visit = self._visit
        more = {"transcription_quality": self._random.choice(("excellent", "good"))} if edit.transcription_s else {}
        self._service.record_correction(
            self.session_id, visit.moderator.user_id, self._random.randrange(1, 10**6), edit.kind, visit.draft.text,
            corrected_text(visit.draft, edit.kind), edit.seconds * 1000,
            voice_transcription_time_ms=None if edit.transcription_s is None else edit.transcription_s * 1000,
            ai_correction_time_ms=None if edit.model_s is None else edit.model_s * 1000,
            admin_satisfaction=edit.satisfaction, retry_count=retry, prompt=visit.prompt, intent=visit.draft.intent, **more,
        )  # fmt: skip

    def _answer(self) -> bool:
        """The answer on its way to the user; one who has blocked the bot does not get it."""
        visit = self._visit
        text = visit.draft.text if not visit.edits else corrected_text(visit.draft, visit.edits[-1].kind)
        with self._service.timer(*self._who, S.FINAL_RESPONSE, length=len(text), language=visit.language):
            self._clock.pass_by(self._random.uniform(0.004, 0.03))
        try:
            with self._service.timer(*self._who, S.USER_DELIVERY, platform="telegram") as stage:
                stage.text(text)
                self._clock.pass_by(self._random.uniform(0.08, 0.4))
                if visit.ending == "undelivered":
                    raise PermissionError("the user has blocked the bot")
        except PermissionError:
            self._service.get_logger().error(
                "delivery_failed", "The answer could not be delivered", session_id=self.session_id
            )
            return False
        return True
