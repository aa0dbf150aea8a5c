"""Owns the sentences of the question about cost: what an answer cost, what has no price and what to record so that it gets one."""

from itertools import groupby

from otel_metrics.analytics.questions.document import Document, Record

_MOST_MODELS = 3
_PARTS = (("models", "known_cost"), ("moderators", "moderator_cost"), ("speech", "speech_cost"))
_REMEDIES = {
    "no tokens": "record input_tokens and output_tokens in the metadata of their stage",
    "no model": "record the model in the metadata of their stage",
    "only a total of tokens": "record input_tokens and output_tokens beside it",
    "not all tokens": "record input_tokens and output_tokens",
}


def sentences_of(document: Document, *, has_prices: bool) -> list[str]:
    """What people can do with the figures, the result first."""
    said = [_result(document)] if document["calls"] or document["known_total_cost"] is not None else []
    if not document["calls"]:
        said.append("No call of a model in this window.")
    else:
        if not has_prices and document["unpriced_calls"]:
            said.append(
                "Costs that were recorded are added up; for prices of tokens install the package with its extra `prices`: "
                "pip install '.[prices]' in its copy."
            )
        said += _unpriced(document["unpriced"], has_prices=has_prices)
        if document["foreign_calls"]:
            said.append(
                f"{_number(document['foreign_calls'], 'call')} cost money of another currency than {document['currency']}: "
                "see by currency; nothing is converted."
            )
    if document["moderator_cost"] is None and document["moderator_minutes"]:
        said.append(
            f"Moderators worked {document['moderator_minutes']:,.0f} minutes; what that costs needs a rate: "
            "METRICS_MODERATOR_HOUR_RATE."
        )
    return said


def _result(document: Document) -> str:
    known, calls = document["known_total_cost"], document["calls"]
    if known is None:
        return f"What {_number(calls, 'call')} of models cost is not known."
    money = f"{_money(known)} {document['currency']}"
    each = document["known_delivered_cost"]
    answer = (
        "" if each is None else f", {_money(each)} for each of {_number(document['delivered'], 'delivered answer')}"
    )
    parts = ((name, document[key]) for name, key in _PARTS if document[key])
    made_of = ", ".join(f"{name} {_money(part)}" for name, part in parts)
    of_parts = f" ({made_of})" if document["moderator_cost"] or document["speech_cost"] else ""
    missing = calls - document["priced_calls"]
    if not missing:
        return f"This window cost {money}{of_parts}{answer}."
    bounds = document["least_cost"], document["most_cost"]
    between = "" if None in bounds else f"; the models cost between {_money(bounds[0])} and {_money(bounds[1])}"
    return f"This window cost at least {money}{of_parts}{answer}, without {missing:,} of {_number(calls, 'call')} of models{between}."


def _unpriced(unpriced: list[Record], *, has_prices: bool) -> list[str]:
    """One sentence for each reason, with the models that have the most such calls."""
    said = []
    by_reason = sorted(unpriced, key=lambda one: (one["reason"], -one["calls"]))
    for reason, group in groupby(by_reason, key=lambda one: str(one["reason"])):
        found = list(group)
        if reason == "no price for the model" and not has_prices:
            continue
        models = [str(one["model"]) for one in found if one["model"]][:_MOST_MODELS]
        of_models = f" of {', '.join(models)}" if models else ""
        if reason == "no price for the model":
            remedy = "record their cost, and the provider by its usual name"
        else:
            remedy = _REMEDIES[reason]
        calls = _number(sum(one["calls"] for one in found), "call")
        said.append(f"{calls}{of_models} without a price ({reason}): {remedy}.")
    return said


def _money(amount: float) -> str:
    """Cents where there are some, four digits behind the point below one."""
    return f"{amount:,.2f}" if amount >= 1 or amount == 0 else f"{amount:.4f}"


def _number(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
