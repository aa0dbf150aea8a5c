"""Owns who and what the demo plays with: moderators and their habits, models, prompts, questions and drafts."""

from dataclasses import dataclass, field

from otel_metrics.model.vocabulary import CorrectionType

T = CorrectionType


@dataclass(frozen=True, slots=True)
class Moderator:
    """One of the people who review. Rates are of the drafts that they see; `types` are weights."""

    user_id: int
    name: str
    share: float
    review_s: float
    edits: float
    rejects: float
    satisfaction: float
    types: dict[CorrectionType, float] = field(hash=False)


MODERATORS = (
    Moderator(
        7001, "Anna", 0.45, 65, 0.30, 0.03, 4.1,
        {T.TEXT_CORRECTION: 5, T.FACTUAL_CORRECTION: 3, T.STYLE_IMPROVEMENT: 1, T.CONTENT_MODIFICATION: 2},
    ),
    Moderator(7002, "Ben", 0.35, 22, 0.24, 0.02, 4.6, {T.TEXT_CORRECTION: 3, T.STYLE_IMPROVEMENT: 4, T.CONTENT_MODIFICATION: 1}),
    Moderator(
        7003, "Chika", 0.20, 110, 0.40, 0.13, 3.4,
        {T.VOICE_CORRECTION: 6, T.FACTUAL_CORRECTION: 2, T.CONTENT_MODIFICATION: 2},
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Model:
    """A model that drafts: `seconds` is the median of its time, tokens are means."""

    name: str
    provider: str
    share: float
    seconds: float
    output_tokens: int


MODELS = (
    Model("gpt-4o-mini", "openai", 0.7, 2.4, 180),
    Model("claude-sonnet-4-5", "anthropic", 0.3, 4.8, 260),
)
PROMPTS = (("v7", 0.6, 1.35), ("v8", 0.4, 0.7))
"""Prompt versions: name, share of the sessions, and how much more often than usual their drafts need a correction."""

LANGUAGES = (("en", 0.6), ("de", 0.25), ("tr", 0.15))


@dataclass(frozen=True, slots=True)
class Draft:
    """What an AI wrote for an intent, and what became of it under each kind of correction."""

    intent: str
    share: float
    text: str
    facts: str
    style: str
    more: str
    spoken: str


DRAFTS = (
    Draft(
        "opening_hours", 0.30, "We are open from 9 to 17 on weekdays. On weekends the office are closed.",
        "We are open from 8 to 18 on weekdays. On weekends the office is closed.",
        "Thanks for asking! We are open from 9 to 17 on weekdays; on weekends the office is closed.",
        "We are open from 9 to 17 on weekdays. On weekends the office is closed, but you can always write to us here.",
        "Tell them eight to six, Monday to Friday, and that on public holidays nobody is there, they should call ahead.",
    ),
    Draft(
        "refund", 0.25, "Your refund was approved. The money arrive in 3 to 5 days on your account.",
        "Your refund was approved. The money arrives in 5 to 10 working days on your account.",
        "Good news: your refund was approved, and the money will be on your account in 3 to 5 days.",
        "Your refund was approved. The money arrives in 3 to 5 days on your account. You will get a mail with the receipt.",
        "The refund is through, it takes up to ten working days, and if it was paid by card the bank may need longer.",
    ),
    Draft(
        "delivery_status", 0.25, "Your parcel left our house yesterday and is with the carier now.",
        "Your parcel left our house today and is with the carrier now.",
        "Your parcel is on its way: it left our house yesterday and is with the carrier now.",
        "Your parcel left our house yesterday and is with the carrier now. The tracking number is in your mail.",
        "It went out this morning, they can follow it with the number in the mail, and Friday is realistic.",
    ),
    Draft(
        "medical", 0.20, "Take the tablets twice a day with water, best after an meal.",
        "Take one tablet a day with water, best after a meal, as your doctor prescribed.",
        "Please take the tablets twice a day with some water, best after a meal.",
        "Take the tablets twice a day with water, best after a meal. If you feel dizzy, please call your doctor.",
        "We must not tell doses here, please send them to their doctor or to the pharmacy, kindly.",
    ),
)  # fmt: skip


def corrected_text(draft: Draft, kind: CorrectionType) -> str:
    """The text that a correction of this kind leaves behind."""
    return {
        T.TEXT_CORRECTION: draft.text.replace("are closed", "is closed").replace("arrive in", "arrives in")
        .replace("carier", "carrier").replace("an meal", "a meal"),
        T.FACTUAL_CORRECTION: draft.facts,
        T.STYLE_IMPROVEMENT: draft.style,
        T.CONTENT_MODIFICATION: draft.more,
        T.VOICE_CORRECTION: draft.spoken,
        T.REJECTION: "",
    }[kind]  # fmt: skip
