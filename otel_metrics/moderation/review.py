"""Owns the review: one moderator's look at a draft, from taking it to the verdict."""

from types import TracebackType
from typing import Self

from otel_metrics.model import names
from otel_metrics.model.identity import as_integer_id
from otel_metrics.model.records import Json
from otel_metrics.model.times import iso, to_ns
from otel_metrics.model.values import text_of
from otel_metrics.model.vocabulary import CorrectionType, ProcessingStage, SessionOutcome
from otel_metrics.moderation.facts import Facts
from otel_metrics.moderation.texts import keep_verdict
from otel_metrics.process import get_metrics_service
from otel_metrics.recording.corrections import record_correction
from otel_metrics.recording.kit import RecordingKit
from otel_metrics.recording.timer import ProcessingTimer
from otel_metrics.recording.waits import record_wait

_ONE_VERDICT = "one verdict inside `with item.review(…)`; for another one open another review"


def take(kit: RecordingKit | None, facts: Facts) -> None:
    """Ends the item's wait: it is told once, whoever else tells it."""
    if not facts.waited:
        facts.waited = True
        if kit is not None:
            record_wait(kit, *facts.ids, to_ns(facts.since), _stage_metadata(facts))


def _stage_metadata(facts: Facts) -> Json:
    return dict(facts.metadata) if facts.message_id is None else {**facts.metadata, "message_id": str(facts.message_id)}


class Review:
    """Opens `admin_review` in `with` or `async with`; the verdict closes it, so that what follows is no part of it.

    Left without a verdict it is unfinished: no decision, and the item may be taken again.
    """

    def __init__(self, facts: Facts, admin_user_id: object, metadata: Json) -> None:
        self._facts = facts
        self._moderator = admin_user_id
        self._metadata = metadata
        self._stage: ProcessingTimer | None = None
        self._is_open = False
        self.decision: str | None = None

    def __enter__(self) -> Self:
        kit = get_metrics_service().kit
        number, _ = as_integer_id(self._moderator)
        facts = self._facts
        self.decision = None
        try:
            take(kit, facts)
        except Exception as error:
            if kit is not None:
                kit.guard.caught("review", error)
        since_ns = facts.taken_ns
        facts.taken = ""
        metadata = {**_stage_metadata(facts), **self._metadata, "admin_user_id": number}
        self._stage = ProcessingTimer(kit, *facts.ids, ProcessingStage.ADMIN_REVIEW, metadata, since_ns)
        self._stage.__enter__()
        self._is_open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stage = self._stage
        self._is_open = False
        if stage is not None:
            if self.decision is None and error is None:
                stage.metadata["decision"] = "unfinished"
            stage.__exit__(kind, error, trace)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def timer(self, stage: ProcessingStage | str, **metadata: object) -> ProcessingTimer:
        """Times a stage of the work on the correction. With the first one the moderator's own time is over."""
        if self._stage is not None:
            self._stage.leave()
        return get_metrics_service().open_timer(*self._facts.ids, stage, metadata)

    def approve(self, text: str | None = None) -> None:
        """The draft may go out as it is, or in the words of `text`."""
        self._decide("approved", None if text is None else text_of(text))

    def edit(
        self, corrected_text: str, correction_type: CorrectionType | str = CorrectionType.TEXT_CORRECTION, *,
        message_id: object = None, processing_time_ms: float | None = None,
        voice_transcription_time_ms: float | None = None, ai_correction_time_ms: float | None = None,
        satisfaction: int | None = None, retry_count: int = 0, **metadata: object,
    ) -> None:  # fmt: skip
        """Another text goes out; recorded as a correction of the draft, see `record_correction`.

        `processing_time_ms` is from taking the draft until now, unless it is given.
        """
        text = text_of(corrected_text)
        if self._may_decide("edited"):
            self._correct(
                correction_type, text, message_id, processing_time_ms, voice_transcription_time_ms,
                ai_correction_time_ms, satisfaction, retry_count, metadata,
            )  # fmt: skip
            self._decide("edited", text)

    def reject(
        self, reason: str | None = None, *, message_id: object = None, processing_time_ms: float | None = None,
        satisfaction: int | None = None, **metadata: object,
    ) -> None:  # fmt: skip
        """Nothing goes out: the session ends as `rejected`. A reason is a short word; it is sent as metadata."""
        if self._may_decide("rejected"):
            told = metadata if reason is None else {**metadata, "reason": reason}
            self._correct(
                CorrectionType.REJECTION, None, message_id, processing_time_ms, None, None, satisfaction, 0, told
            )
            self._decide("rejected", None)
            get_metrics_service().end_session(self._facts.session_id, SessionOutcome.REJECTED)

    def escalate(self, reason: str | None = None) -> None:
        """Somebody else is to decide: put `str(item)` into their queue, it waits anew from now on."""
        if self._stage is not None and reason is not None:
            self._stage.metadata["reason"] = reason
        self._decide("escalated", None)

    def _correct(
        self, correction_type: CorrectionType | str, text: str | None, message_id: object,
        processing_time_ms: float | None, voice_transcription_time_ms: float | None,
        ai_correction_time_ms: float | None, satisfaction: int | None, retry_count: int, metadata: Json,
    ) -> None:  # fmt: skip
        """Records the correction; metadata is one mapping, since its names may be those of parameters."""
        kit, facts = get_metrics_service().kit, self._facts
        if kit is None:
            return
        try:
            record_correction(
                kit, facts.session_id, self._moderator, facts.message_id if message_id is None else message_id,
                correction_type, facts.draft, text, self._worked_ms(processing_time_ms), voice_transcription_time_ms,
                ai_correction_time_ms, satisfaction, retry_count, {**facts.metadata, **metadata},
            )  # fmt: skip
        except Exception as error:
            kit.guard.caught("record_correction", error)

    def _decide(self, decision: str, text: str | None) -> None:
        stage, facts = self._stage, self._facts
        if not self._may_decide(decision) or stage is None:
            return
        kit = get_metrics_service().kit
        self.decision = stage.metadata["decision"] = decision
        if decision == "escalated":
            if kit is not None:
                facts.since, facts.waited = iso(kit.clock.time_ns()), False
        else:
            facts.decision, facts.moderator = decision, as_integer_id(self._moderator)[0]
        if decision in {"approved", "edited"}:
            keep_verdict(kit, facts, text)
            if facts.text is not None:
                stage.text(facts.text)
            elif facts.text_hash:
                stage.metadata |= {"text_hash": facts.text_hash, "length": facts.text_length}
        if stage.span is not None:
            stage.span.set_attribute(names.REVIEW_DECISION, decision)
        stage.close()

    def _may_decide(self, decision: str) -> bool:
        if self._is_open and self.decision is None:
            return True
        kit = get_metrics_service().kit
        if kit is not None:
            found = "outside of its `with`" if self.decision is None else f"after {self.decision!r}"
            kit.guard.complain("verdict", f"a verdict {decision!r} {found}", _ONE_VERDICT)
        return False

    def _worked_ms(self, given: float | None) -> float:
        if given is not None:
            return given
        return 0.0 if self._stage is None else self._stage.elapsed_ns / 1e6
