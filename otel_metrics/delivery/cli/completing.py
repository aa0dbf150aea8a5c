"""Owns what a shell proposes for a word that is begun: names and ids of the store at hand; nothing where it can not be read."""

import sqlite3
from collections.abc import Callable

import typer

from otel_metrics.delivery.cli.desk import settings_for, storage_of
from otel_metrics.errors import OtelMetricsError
from otel_metrics.settings import Settings

_MOST = 50


def rule_names(context: typer.Context, incomplete: str) -> list[str]:
    """The names of rules."""
    from otel_metrics.analytics.alerting.rules_file import load_rules

    return _begun(context, incomplete, lambda settings: [rule.name for rule in load_rules(settings)])


def target_names(context: typer.Context, incomplete: str) -> list[str]:
    """The names of targets."""
    from otel_metrics.analytics.alerting.rules_file import load_rules_file

    return _begun(context, incomplete, lambda settings: [target.name for target in load_rules_file(settings).targets])


def session_ids(context: typer.Context, incomplete: str) -> list[str]:
    """The ids of the newest sessions that are not in segments yet."""

    def ids(settings: Settings) -> list[str]:
        storage = storage_of(settings)
        if not storage.exists():
            return []
        with storage.reading() as connection:
            rows = connection.execute(
                "SELECT session_id FROM sessions WHERE substr(session_id, 1, length(:begun)) = :begun "
                "ORDER BY started_at DESC LIMIT :most",
                {"begun": incomplete, "most": _MOST},
            )
            return [row[0] for row in rows]

    return _begun(context, incomplete, ids)


def _begun(context: typer.Context, incomplete: str, found: Callable[[Settings], list[str]]) -> list[str]:
    database = context.params.get("database") or (context.parent.params.get("database") if context.parent else None)
    try:
        names = found(settings_for(database))
    except (OtelMetricsError, OSError, sqlite3.Error):
        return []
    return [name for name in names if name.startswith(incomplete) and name.isprintable() and " " not in name]
