"""Owns the command `safe-to-send`."""

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed
from otel_metrics.delivery.cli.questions.answering import answer


def safe_to_send(database: Database = None, hours: Hours = 24, form: Printed = Form.TABLE) -> None:
    """Which intents could skip review at a chosen risk."""
    answer(database, form, lambda answers: answers.safe_to_send(hours))
