"""Owns what is told of the messages about alerts: each one with what became of it, and the targets that are not reached."""

from collections.abc import Iterable
from dataclasses import asdict

from otel_metrics.analytics.alerting.targets import Target
from otel_metrics.analytics.alerting.told import Kept, moment
from otel_metrics.analytics.questions.document import Record
from otel_metrics.store.notices import recent_notices
from otel_metrics.store.tables import MetricsStorage


def undelivered(targets: Iterable[Target], store: Kept) -> list[Record]:
    """The targets of the rules file that messages do not reach: some were given up, and none has arrived since."""
    names = {target.name for target in targets}
    return [
        {
            "type": "undelivered", "severity": "critical",
            "message": f"{one.count:,} message{'s' if one.count > 1 else ''} about alerts did not reach {one.target}: {one.error}",
            "target": one.target, "count": one.count, "since": moment(one.since),
        }
        for one in store.unreached if one.target in names
    ]  # fmt: skip


def messages(storage: MetricsStorage | None, limit: int) -> list[Record]:
    """The messages of a store, the newest first; none where there is no store yet."""
    if storage is None or not storage.exists():
        return []
    with storage.reading() as connection:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            return []
        found = recent_notices(connection, limit)
    times = ("decided_at", "tried_at")
    return [{**asdict(one), **{name: moment(getattr(one, name)) for name in times}} for one in found]
