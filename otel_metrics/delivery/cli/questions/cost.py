"""Owns the command `cost`."""

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed
from otel_metrics.delivery.cli.questions.answering import answer


def cost(database: Database = None, hours: Hours = 24, form: Printed = Form.TABLE) -> None:
    """Tokens and money by session, stage, model and delivered answer."""
    answer(database, form, lambda answers: answers.cost(hours))
