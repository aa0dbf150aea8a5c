"""Owns the command `oversight`."""

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed
from otel_metrics.delivery.cli.questions.answering import answer


def oversight(database: Database = None, hours: Hours = 24, form: Printed = Form.TABLE) -> None:
    """Who approved, corrected or rejected what and when, and deliveries that differ from what was approved."""
    answer(database, form, lambda answers: answers.oversight(hours))
