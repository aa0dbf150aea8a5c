"""Owns what will happen in the demo: every session decided from the seed alone, in seconds relative to now."""

import math
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random
from typing import TypeVar

from otel_metrics.delivery.demo.cast import DRAFTS, LANGUAGES, MODELS, MODERATORS, PROMPTS, Draft, Model, Moderator
from otel_metrics.model.vocabulary import CorrectionType

_Choice = TypeVar("_Choice")
SPAN_S = 23.5 * 3600
_FULL_DAY = (8, 8, 9, 9, 8, 7, 8, 10, 12, 11, 7, 4, 2, 1, 1, 1, 1, 2, 4, 7, 9, 10, 9, 8)
"""How busy each of the 24 hours before now is, the last one first. Now is always an early afternoon: so a seed always
gives the same figures, and the night with its few messages lies in the middle."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One correction: the kind, how long it took, and what the moderator thought of the draft."""

    kind: CorrectionType
    seconds: float
    transcription_s: float | None
    model_s: float | None
    satisfaction: int | None


@dataclass(frozen=True, slots=True)
class Visit:
    """One session. `ending` is delivered, rejected, abandoned, model_failed, undelivered, or where it stands: waiting, in_review."""

    asked_s: float
    user_id: int
    language: str
    draft: Draft
    model: Model
    prompt: str
    draft_s: tuple[float, ...]
    input_tokens: int
    output_tokens: int
    wait_s: float
    moderator: Moderator
    review_s: float
    edits: tuple[Edit, ...]
    ending: str

    @property
    def length_s(self) -> float:
        """A little more than the session takes."""
        edits = sum(edit.seconds + (edit.transcription_s or 0) + (edit.model_s or 0) for edit in self.edits)
        return sum(self.draft_s) + self.wait_s + self.review_s + edits + 15


def plan(sessions: int, seed: int) -> list[Visit]:
    """The sessions in the order in which they begin. The newest few still wait, and one of them is being reviewed."""
    random = Random(seed)  # noqa: S311 - a play, not a secret
    visits = [_visit(random) for _ in range(sessions)]
    arrivals = sorted(_arrival(random) for _ in visits)
    open_ones = min(len(visits), 1 + len(visits) // 40)
    planned = []
    for place, (visit, asked_s) in enumerate(zip(visits, arrivals, strict=True)):
        left = len(visits) - place
        if left <= open_ones:
            # The open ones came lately, the oldest of them some twenty minutes ago; the moderator has taken it up.
            ending = "in_review" if left == open_ones and open_ones > 1 else "waiting"
            when_s = -60.0 - 1200.0 * left / open_ones * random.uniform(0.7, 1.0)
            wait_s = -when_s - sum(visit.draft_s) - 45 if ending == "in_review" else visit.wait_s
            planned.append(replace(visit, asked_s=when_s, ending=ending, wait_s=wait_s, draft_s=visit.draft_s[-1:]))
        else:
            planned.append(replace(visit, asked_s=min(asked_s, -visit.length_s - 60)))
    return sorted(planned, key=lambda visit: visit.asked_s)


def _visit(random: Random) -> Visit:
    draft = _one_of(random, DRAFTS, [one.share for one in DRAFTS])
    model = _one_of(random, MODELS, [one.share for one in MODELS])
    prompt, _, factor = _one_of(random, PROMPTS, [one[1] for one in PROMPTS])
    moderator = _one_of(random, MODERATORS, [one.share for one in MODERATORS])
    draft_s, ending = _drafting(random, model)
    edits: tuple[Edit, ...] = ()
    if ending == "delivered":
        edits, ending = _decision(random, moderator, factor)
    return Visit(
        0.0, _user(random.randrange(100_000, 999_999)), _one_of(random, LANGUAGES, [one[1] for one in LANGUAGES])[0], draft, model,
        prompt, draft_s, random.randrange(350, 1600), max(20, round(random.gauss(model.output_tokens, 60))),
        _lognormal(random, 420, 1.15, most=9000), moderator, _lognormal(random, moderator.review_s, 0.7), edits, ending,
    )  # fmt: skip


def _drafting(random: Random, model: Model) -> tuple[tuple[float, ...], str]:
    """Seconds of each try of the model; a failed try takes until the time runs out at 30 s."""
    chance = random.random()
    last = _lognormal(random, model.seconds, 0.5)
    if chance < 0.01:
        return (30.0, 30.0), "model_failed"
    return ((30.0, last) if chance < 0.035 else (last,)), "delivered"


def _decision(random: Random, moderator: Moderator, factor: float) -> tuple[tuple[Edit, ...], str]:
    chance = random.random()
    if chance < moderator.rejects:
        rejection = Edit(CorrectionType.REJECTION, random.uniform(5, 25), None, None, random.choice((1, 1, 2)))
        return (rejection,), "rejected"
    edits: tuple[Edit, ...] = ()
    if chance < moderator.rejects + moderator.edits * factor:
        edits = tuple(_edit(random, moderator) for _ in range(2 if random.random() < 0.08 else 1))
    ending = random.random()
    return edits, "undelivered" if ending < 0.012 else "abandoned" if ending < 0.02 else "delivered"


def _edit(random: Random, moderator: Moderator) -> Edit:
    kind = _one_of(random, list(moderator.types), list(moderator.types.values()))
    spoken = kind is CorrectionType.VOICE_CORRECTION
    rewritten = spoken or kind is CorrectionType.CONTENT_MODIFICATION
    return Edit(
        kind, _lognormal(random, 14 if spoken else 40, 0.6), _lognormal(random, 2.2, 0.4) if spoken else None,
        _lognormal(random, 3.1, 0.5) if rewritten else None,
        max(1, min(5, round(random.gauss(moderator.satisfaction, 0.8)))),
    )  # fmt: skip


def _arrival(random: Random) -> float:
    """Seconds before now at which somebody asks, by how busy the hours are."""
    sums = list(accumulate(_FULL_DAY))
    hour = bisect(sums, random.random() * sums[-1])
    return -(hour + random.random()) / 24 * SPAN_S


def _lognormal(random: Random, median: float, sigma: float, most: float = 1e9) -> float:
    return min(most, random.lognormvariate(math.log(median), sigma))


def _user(number: int) -> int:
    """One of some hundred users: most of them write more than once."""
    return 100_000 + number % 149 * 6007


def _one_of(random: Random, choices: Sequence[_Choice], weights: Sequence[float]) -> _Choice:
    return random.choices(choices, weights)[0]


def worth_a_look(visits: list[Visit]) -> Visit:
    """The session that shows most when it is drawn: corrected by voice, and its wait does not outweigh all the rest."""
    spoken = [one for one in visits if one.ending == "delivered" and any(edit.transcription_s for edit in one.edits)]
    return min(spoken or visits, key=lambda one: one.wait_s)
