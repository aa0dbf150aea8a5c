"""Owns what the model calls of one stage used: sums that calls in any thread add to until the stage ends."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from otel_metrics.model import names
from otel_metrics.model.records import Json

Price = Callable[[str, str, datetime, int | None, int | None], float | None]
"""What a call cost in USD by model, provider, time (UTC), input and output tokens; None where nobody knows."""

PRICE_LIST = "genai-prices"
_TOKENS_BY_HAND = frozenset({"input_tokens", "output_tokens", "tokens_used", "tokens", "total_tokens"})
_MONEY_BY_HAND = frozenset({"cost", "currency"})
_MOST_TOKENS = 1 << 53


class PriceList:
    """Prices of model calls, of a list that takes a tenth of a second to load: a thread does it while the first call waits."""

    def __init__(self, load: Callable[[], Price | None]) -> None:
        self._load = load
        self._price: Price | None = None
        self._loading: threading.Thread | None = None
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Begins to load the list, once."""
        if self._loading is None:
            with self._lock:
                if self._loading is None:
                    thread = threading.Thread(target=self._fetch, name="otel_metrics prices", daemon=True)
                    thread.start()
                    self._loading = thread

    def price(self, model: str, provider: str, at_ns: int, into: int | None, out: int | None) -> float | None:
        """What a call cost in USD; None where the list is not installed or does not tell."""
        self.prepare()
        assert self._loading is not None
        self._loading.join()
        if self._price is None:
            return None
        return self._price(model, provider, datetime.fromtimestamp(at_ns / 1e9, UTC).replace(tzinfo=None), into, out)

    def _fetch(self) -> None:
        with suppress(Exception):  # the list may be of any version; without it costs stay unknown
            self._price = self._load()


class Usage:
    """The sums of one stage. What a call does not tell stays unknown: an unknown price makes the stage's cost unknown."""

    __slots__ = ("_calls", "_cost", "_input", "_is_unpriced", "_lock", "_output", "_words")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._input: int | None = None
        self._output: int | None = None
        self._cost: float | None = None
        self._is_unpriced = False
        self._words: dict[str, str] = {}

    def add(self, call: Mapping[str, Any], began_ns: int, prices: PriceList, *, failed: bool) -> None:
        """Adds a call by the attributes of its span. One that failed and told no tokens is taken as free."""
        into, out = tokens_of(call)
        words = _words_of(call)
        has_tokens = into is not None or out is not None
        cost = None
        model = words.get(names.USAGE_RESPONSE_MODEL) or words.get(names.USAGE_REQUEST_MODEL)
        if model and has_tokens:
            cost = prices.price(model, words.get(names.USAGE_PROVIDER, ""), began_ns, into, out)
        with self._lock:
            self._calls += 1
            self._words = {**self._words, **words} if failed else words
            if into is not None:
                self._input = (self._input or 0) + into
            if out is not None:
                self._output = (self._output or 0) + out
            if cost is not None:
                self._cost = (self._cost or 0.0) + cost
            elif has_tokens or not failed:
                self._is_unpriced = True

    def attributes(self, metadata: Json) -> Json:
        """The sums as attributes; what the user recorded by hand is left out, so that it counts alone."""
        with self._lock:
            if not self._calls:
                return {}
            found: Json = {names.USAGE_CALLS: self._calls, **self._words}
            if metadata.keys().isdisjoint(_TOKENS_BY_HAND):
                sums = {names.USAGE_INPUT: self._input, names.USAGE_OUTPUT: self._output}
                found |= {name: tokens for name, tokens in sums.items() if tokens is not None}
            if "model" in metadata:
                found.pop(names.USAGE_REQUEST_MODEL, None)
                found.pop(names.USAGE_RESPONSE_MODEL, None)
            if "provider" in metadata:
                found.pop(names.USAGE_PROVIDER, None)
            if self._cost is not None and not self._is_unpriced and metadata.keys().isdisjoint(_MONEY_BY_HAND):
                found |= {
                    names.COST: round(self._cost, 12), names.COST_CURRENCY: "USD", names.COST_SOURCE: PRICE_LIST
                }  # fmt: skip
            return found


def tokens_of(call: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Input and output tokens of a call; what is no plausible number is unknown."""
    return _tokens(call.get(names.GEN_AI_INPUT)), _tokens(call.get(names.GEN_AI_OUTPUT))


def _tokens(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < _MOST_TOKENS else None


def _words_of(call: Mapping[str, Any]) -> dict[str, str]:
    said = {
        names.USAGE_PROVIDER: call.get(names.GEN_AI_PROVIDER) or call.get(names.GEN_AI_SYSTEM),
        names.USAGE_REQUEST_MODEL: call.get(names.GEN_AI_REQUEST_MODEL),
        names.USAGE_RESPONSE_MODEL: call.get(names.GEN_AI_RESPONSE_MODEL),
    }
    return {name: value for name, value in said.items() if isinstance(value, str) and value}
