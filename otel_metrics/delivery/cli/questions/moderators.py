"""Owns the command `moderators`."""

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed
from otel_metrics.delivery.cli.questions.answering import answer


def moderators(database: Database = None, hours: Hours = 24, form: Printed = Form.TABLE) -> None:
    """What each moderator does, how long it takes and how far it can be relied on."""
    answer(database, form, lambda answers: answers.moderators(hours))
