"""Owns the delivery of an item: the last two stages, the session's end, and the mark where another text goes out than was approved."""

from types import TracebackType
from typing import Self

from otel_metrics.model import names
from otel_metrics.model.records import Json
from otel_metrics.model.values import text_of
from otel_metrics.model.vocabulary import ProcessingStage, SessionOutcome
from otel_metrics.moderation.facts import Facts
from otel_metrics.moderation.texts import approval_of
from otel_metrics.process import get_metrics_service
from otel_metrics.recording.current import current_session
from otel_metrics.recording.kit import RecordingKit
from otel_metrics.recording.timer import ProcessingTimer, type_of

_MESSAGES = {
    "differs": "Another text was delivered than a moderator approved",
    "after_rejection": "A text was delivered although a moderator rejected the draft",
    "not_known": "It is not known what a moderator approved: deliver from str(item) as it is after the review",
}


class Delivery:
    """Records `final_response` and `user_delivery` in `with` or `async with`, then ends the session.

    With a text the delivery begins at once. Without one the `with` begins with `final_response`, and `sending(text)`
    begins the delivery. An exception or `fail(reason)` ends the session as failed, unless another try may follow. Of an
    exception only its type is kept, since a platform's message may quote the text.
    """

    def __init__(self, facts: Facts, text: str | None, metadata: Json, *, may_retry: bool) -> None:
        self._facts = facts
        self._text = None if text is None else text_of(text)
        self._metadata = metadata
        self._may_retry = may_retry
        self._preparing: ProcessingTimer | None = None
        self._stage: ProcessingTimer | None = None
        self._failed = False
        self.outcome: str | None = None

    def __enter__(self) -> Self:
        self._preparing = self._open(ProcessingStage.FINAL_RESPONSE)
        if self._text is not None:
            self.sending(self._text)
        return self

    def sending(self, text: str) -> None:
        """The answer is made and goes out now. Called again it tells the text that really went out."""
        self._text = text_of(text)
        if self._preparing is not None and self._stage is None:
            self._preparing.text(self._text)
            self._preparing.close()
            self._stage = self._open(ProcessingStage.USER_DELIVERY)

    def fail(self, reason: object) -> None:
        """Marks the delivery failed without an exception."""
        self._failed = True
        stage = self._stage or self._preparing
        if stage is not None:
            stage.fail(reason)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        service = get_metrics_service()
        kit = service.kit
        failed = self._failed or error is not None
        going_down = error is not None and not isinstance(error, Exception)
        if self._stage is None and not failed:
            failed = True
            if self._preparing is not None:
                self._preparing.fail("nothing was sent")
            if kit is not None:
                kit.guard.noticed("delivery_without_text")
        if kit is not None and self._stage is not None and self._text is not None:
            try:
                self._compare(kit, self._stage, self._text, delivered=not failed)
            except Exception as fault:
                kit.guard.caught("delivery", fault, dropped=False)
        stages = [stage for stage in (self._stage, self._preparing) if stage is not None]
        if error is not None and stages:
            stages[0].fail(type_of(error), type_of(error))
            current = current_session()
            if current is not None and current.session_id == self._facts.session_id:
                current.stage_failed(error)
        for stage in stages:
            stage.__exit__(None, None, None)
        self.outcome = (SessionOutcome.FAILED if failed else SessionOutcome.DELIVERED).value
        if not (failed and (self._may_retry or going_down)):
            service.end_session(self._facts.session_id, self.outcome)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _open(self, stage: ProcessingStage) -> ProcessingTimer:
        metadata = {**self._facts.metadata, **self._metadata}
        return get_metrics_service().open_timer(*self._facts.ids, stage, metadata).__enter__()

    def _compare(self, kit: RecordingKit, stage: ProcessingTimer, text: str, *, delivered: bool) -> None:
        """Marks the stage with how it stands to the verdict; what is not as approved is an event, a line and a count."""
        facts = self._facts
        approval = approval_of(kit, facts, text)
        stage.text(text)
        stage.metadata["approval"] = approval
        if not delivered:
            return
        kit.instruments.measure(kit.instruments.deliveries.add, 1, {names.APPROVAL: approval})
        if approval == "as_approved":
            return
        hashes = {"approved_hash": facts.text_hash, "delivered_hash": kit.hasher.text(text)}
        if stage.span is not None:
            told = {names.APPROVAL: approval, **{names.METADATA_PREFIX + key: value for key, value in hashes.items()}}
            stage.span.add_event(names.DELIVERY_EVENT, told, kit.clock.time_ns())
        get_metrics_service().get_logger().warning(
            f"delivery_{approval}", _MESSAGES[approval], session_id=facts.session_id, admin_user_id=facts.moderator,
            **hashes,
        )  # fmt: skip
