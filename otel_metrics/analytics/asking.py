"""Owns what questions need of an engine, whichever database it asks, and the form of an answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from otel_metrics.store.accounts import Account


@dataclass(slots=True)
class Rows:
    """The answer to a question: column names and rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    def as_dicts(self) -> list[dict[str, Any]]:
        """One dict for each row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Asking(Protocol):
    """An engine: it runs the package's statements over the views. `lacks` are views that it can tell nothing of."""

    lacks: frozenset[str]

    def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Rows:
        """Runs one statement of ours; `$name` are its parameters."""

    def stream(self, statement: str, parameters: Mapping[str, Any]) -> Iterator[Sequence[tuple[Any, ...]]]:
        """The rows of one statement of ours, block by block."""

    def account(self) -> Account | None:
        """Where every record is that was ever emitted; None where that is not known."""
