"""Owns the item: one draft on its way from the bot to a moderator and to delivery, in memory or as a string."""

from collections.abc import Mapping
from typing import Any, Self

from otel_metrics.model.records import Json
from otel_metrics.model.times import SystemClock, iso
from otel_metrics.model.values import clean_mapping, text_of
from otel_metrics.moderation.delivery import Delivery
from otel_metrics.moderation.facts import Facts, from_string, to_string
from otel_metrics.moderation.review import Review, take
from otel_metrics.moderation.texts import give_back_draft, keep_draft
from otel_metrics.process import get_metrics_service
from otel_metrics.recording.current import current_session
from otel_metrics.recording.kit import RecordingKit
from otel_metrics.service import MetricsService

_TEXT_LIMIT = 16_384


class ModerationItem:
    """A draft that waits for a moderator. Make it with `create()`, carry it as `str(item)`, open it with `from_string()`."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    @classmethod
    def create(
        cls, session_id: str | None = None, user_id: object = None, chat_id: object = None, *, message_id: object = None,
        draft: str | None = None, carry_texts: bool = True, **metadata: object,
    ) -> Self:  # fmt: skip
        """Makes an item whose wait begins now; the session stays open until its delivery or rejection.

        The ids may be left out where an instrumented framework handles the update. `metadata` goes to the stages that the
        item records. With `carry_texts=False` the string carries lengths and keyed hashes instead of texts.
        """
        service = get_metrics_service()
        current = current_session()
        if current is not None and session_id in {None, current.session_id}:
            session_id = current.session_id
            user_id = current.user_id if user_id is None else user_id
            chat_id = current.chat_id if chat_id is None else chat_id
            current.hand_over()
        if session_id is None:
            session_id = _own_session(service, user_id, chat_id)
        kit = service.kit
        clock = SystemClock() if kit is None else kit.clock
        facts = Facts(
            session_id=text_of(session_id), user_id=_id(user_id), chat_id=_id(chat_id), message_id=_id(message_id),
            since=iso(clock.time_ns()), metadata=_clean(kit, metadata), carries_texts=bool(carry_texts),
        )  # fmt: skip
        keep_draft(kit, facts, None if draft is None else text_of(draft))
        return cls(facts)

    @classmethod
    def from_string(cls, text: str | bytes, *, draft: str | None = None) -> Self:
        """Opens what `str(item)` gave, in any process; `ItemError` for anything else.

        `draft` gives the text back to an item that was made with `carry_texts=False`; `ItemError` where it is another.
        """
        facts = from_string(text)
        if draft is not None and facts.draft is None:
            give_back_draft(get_metrics_service().kit, facts, text_of(draft))
        return cls(facts)

    def to_string(self) -> str:
        """The item as compact JSON for a queue, with what has become of it so far."""
        return to_string(self._facts)

    __str__ = to_string

    def __repr__(self) -> str:
        """Without texts: it may stand in a log."""
        return f"<{type(self).__name__} session_id={self.session_id!r} decision={self.decision!r}>"

    @property
    def session_id(self) -> str:
        """The session that the draft belongs to."""
        return self._facts.session_id

    @property
    def user_id(self) -> int | str | None:
        """Who asked."""
        return self._facts.user_id

    @property
    def chat_id(self) -> int | str | None:
        """Where the answer goes."""
        return self._facts.chat_id

    @property
    def message_id(self) -> int | str | None:
        """The message that was asked, if it was told."""
        return self._facts.message_id

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What `create()` was given besides."""
        return self._facts.metadata

    @property
    def draft(self) -> str | None:
        """The draft; None where it is not carried."""
        return self._facts.draft

    @property
    def decision(self) -> str | None:
        """The last verdict: approved, edited or rejected; None before it."""
        return self._facts.decision or None

    @property
    def text(self) -> str | None:
        """What may go out: the approved or corrected text; None before a verdict, after a rejection and where texts are not carried."""
        return self._facts.text

    def take(self) -> None:
        """A moderator has it before them from now on: the wait ends, and the next review begins here.

        For who shows a draft long before somebody answers it; `review()` takes the item by itself. Keep `str(item)` where
        the review may be in another process or after a restart.
        """
        kit = get_metrics_service().kit
        if kit is not None and not self._facts.taken:
            try:
                take(kit, self._facts)
                self._facts.taken = iso(kit.clock.time_ns())
            except Exception as error:
                kit.guard.caught("review", error)

    def review(self, admin_user_id: object, **metadata: object) -> Review:
        """A moderator's review in `with` or `async with`; see `Review`."""
        return Review(self._facts, admin_user_id, metadata)

    def delivery(self, text: str | None = None, *, may_retry: bool = False, **metadata: object) -> Delivery:
        """The way to the user in `with` or `async with`; see `Delivery`. With `may_retry` a failure leaves the session open."""
        return Delivery(self._facts, text, metadata, may_retry=may_retry)


def _own_session(service: MetricsService, user_id: object, chat_id: object) -> str:
    """A session for an item that was made outside of any: better a trace that begins here than none."""
    if service.kit is not None:
        service.kit.guard.complain(
            "item_session",
            "ModerationItem.create() without session_id",
            "a session_id, or an update of an instrumented framework",
        )
    return service.create_session(user_id, chat_id)


def _id(value: object) -> int | str | None:
    return value if value is None or (type(value) in {int, str}) else text_of(value)  # type: ignore[return-value]


def _clean(kit: RecordingKit | None, metadata: Json) -> Json:
    return clean_mapping(metadata, _TEXT_LIMIT if kit is None else kit.text_limit)
