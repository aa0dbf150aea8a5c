"""Owns the command `alerts` and those below it: what is wrong, why, what was, what is silenced, and which rules there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from otel_metrics.delivery.cli.completing import rule_names, target_names
from otel_metrics.delivery.cli.desk import Desk, reading
from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed, PrintedRows, RowForm
from otel_metrics.delivery.cli.printing import as_json, is_there, rows_as
from otel_metrics.delivery.cli.streams import note, output_console, print_json, show
from otel_metrics.delivery.cli.text import clean
from otel_metrics.errors import SettingError

alerts_app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]}
)
RuleName = Annotated[
    str, typer.Argument(metavar="RULE", help="The name of a rule.", show_default=False, autocompletion=rule_names)
]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=VALUE", help="Only alerts with it, such as stage=ai_processing; repeatable."),
]


@alerts_app.callback(invoke_without_command=True)
def alerts(
    context: typer.Context, database: Database = None, hours: Hours = 24, form: PrintedRows = RowForm.TABLE,
    fail_on: Annotated[bool, typer.Option("--fail-on", help="End with status 1 when something is firing.")] = False,
) -> None:  # fmt: skip
    """What is wrong now; `alerts explain RULE` says why."""
    if context.invoked_subcommand is not None:
        context.obj = database
        if (hours, form, fail_on) != (24, RowForm.TABLE, False):
            raise typer.BadParameter(
                f"--hours, --format and --fail-on belong behind {context.invoked_subcommand}, where it has them"
            )
        return
    from otel_metrics.delivery.cli.dashboard import alert_lines

    with reading(database) as desk:
        firing = desk.answers.alerts(hours)
        if left_out := desk.answers.rules_not_looked_at():
            note(f"not looked at, for want of what they rest on: {', '.join(left_out)}")
        if form is not RowForm.TABLE:
            rows_as(form, desk, firing, ["type", "severity", "message"])
        elif is_there(desk):
            show(alert_lines(firing))
    if fail_on and any(not alert.get("silenced") for alert in firing):
        raise typer.Exit(1)


@contextmanager
def _desk(context: typer.Context, database: Path | None) -> Iterator[Desk]:
    """The store that is named before or behind the subcommand."""
    with reading(database or context.obj) as desk:
        yield desk


@alerts_app.command()
def explain(context: typer.Context, rule: RuleName, database: Database = None, form: Printed = Form.TABLE) -> None:
    """The figures behind a rule: what it finds now and found before, how it stands, when it fired."""
    from otel_metrics.delivery.cli.alert_views import explained
    from otel_metrics.delivery.cli.sections import SectionsView

    with _desk(context, database) as desk:
        document = desk.answers.explain_alert(rule)
        if form is Form.JSON:
            as_json(desk, document)
        elif is_there(desk):
            show(SectionsView(explained(document), desk.settings.timezone))


@alerts_app.command()
def history(
    context: typer.Context,
    rule: Annotated[str | None, typer.Argument(metavar="[RULE]", help="Of one rule.", show_default=False, autocompletion=rule_names)] = None,
    limit: Annotated[int, typer.Option(metavar="N", help="How many at most.")] = 50,
    database: Database = None, form: PrintedRows = RowForm.TABLE,
) -> None:  # fmt: skip
    """What fires and has fired, the newest first, as `watch` or `serve` has found it."""
    from otel_metrics.delivery.cli.alert_views import HISTORY_COLUMNS, HistoryView

    with _desk(context, database) as desk:
        found = desk.answers.alert_history(rule, limit)
        if form is not RowForm.TABLE:
            rows_as(form, desk, found, HISTORY_COLUMNS)
        elif is_there(desk):
            show(
                HistoryView(found, desk.settings.timezone)
                if found
                else "No alert has fired yet, as far as `otel-metrics watch` or `serve` has looked."
            )


@alerts_app.command()
def rules(context: typer.Context, database: Database = None, form: PrintedRows = RowForm.TABLE) -> None:
    """Which rules there are, with their thresholds; checks the file of rules."""
    from otel_metrics.analytics.alerting.rules_file import load_rules_file, rules_path
    from otel_metrics.delivery.cli.alert_views import RULE_COLUMNS, RulesView, rule_row
    from otel_metrics.delivery.cli.desk import settings_for
    from otel_metrics.delivery.cli.streams import print_csv

    settings = settings_for(database or context.obj)
    file, path = load_rules_file(settings), rules_path(settings)
    rows = [rule_row(rule) for rule in file.rules]
    if form is RowForm.JSON:
        print_json(rows)
    elif form is RowForm.CSV:
        print_csv(RULE_COLUMNS, ([row[name] for name in RULE_COLUMNS] for row in rows))
    else:
        show(RulesView(file.rules, file.targets))
        beside = settings.database.with_name("metrics.rules.toml")
        said = (
            f"{path} is as it should be."
            if path
            else f"There is no file of rules; {beside} would be read, or METRICS_RULES."
        )
        output_console().print(said, soft_wrap=True, markup=False)


@alerts_app.command()
def messages(
    context: typer.Context,
    limit: Annotated[int, typer.Option(metavar="N", help="How many at most.")] = 50,
    again: Annotated[
        bool, typer.Option("--again", help="Let those that were given up be tried anew by `watch` or `serve`.")
    ] = False,
    database: Database = None, form: PrintedRows = RowForm.TABLE,
) -> None:  # fmt: skip
    """What was sent about alerts to whom, what waits to be sent, and what was given up; the newest first."""
    from otel_metrics.delivery.cli.alert_views import MESSAGE_COLUMNS, MessagesView

    with _desk(context, database) as desk:
        if again and is_there(desk):
            from otel_metrics.analytics.alerting.evaluation import writing_alerts
            from otel_metrics.store.notices import send_again

            with writing_alerts(desk.storage) as connection:
                count = send_again(connection)
            note(f"{count} will be tried anew by `otel-metrics watch` or `serve`")
        found = desk.answers.alert_messages(limit)
        if form is not RowForm.TABLE:
            rows_as(form, desk, found, MESSAGE_COLUMNS)
        elif is_there(desk):
            show(MessagesView(found, desk.settings.timezone) if found else "Nothing has been sent, and nothing waits.")


@alerts_app.command("test")
def try_targets(
    context: typer.Context,
    target: Annotated[str | None, typer.Argument(metavar="[TARGET]", help="To one target.", show_default=False, autocompletion=target_names)] = None,
    database: Database = None,
) -> None:  # fmt: skip
    """Send a message for a try to each target of the rules file, or to one; status 1 where one does not arrive."""
    from otel_metrics.analytics.alerting.rules_file import load_rules_file, rules_path
    from otel_metrics.delivery.cli.desk import settings_for
    from otel_metrics.delivery.notify.sending import send_trial

    settings = settings_for(database or context.obj)
    targets = load_rules_file(settings).targets
    chosen = [one for one in targets if target in {None, one.name}]
    if not chosen:
        names = ", ".join(one.name for one in targets)
        found = f"no target {target!r}" if target else f"no target in {rules_path(settings) or 'a rules file'}"
        raise SettingError(found, f"one of {names}" if names else "a table [[target]]", "docs/alerts.md shows one")
    failed = False
    for one in chosen:
        why = send_trial(one)
        failed = failed or bool(why)
        show(Text(f"✗ {one.name}: {clean(why)}" if why else f"✓ {one.name}: sent", "bad" if why else "good"))
    if failed:
        raise typer.Exit(1)


@alerts_app.command()
def silence(
    context: typer.Context, rule: RuleName,
    lasting: Annotated[str, typer.Option("--for", metavar="TIME", help="For how long, such as 2h or 3d.", show_default=False)],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is shown.", show_default=False)],
    label: Labels = None, database: Database = None,
) -> None:  # fmt: skip
    """Keep a rule's alerts from counting for a while: they are evaluated and shown as silenced."""
    from otel_metrics.analytics.alerting.duration import EXPECTED, Duration
    from otel_metrics.analytics.alerting.silencing import silence_alerts

    labels = _labels(label)
    try:
        length = Duration.parse(lasting)
    except ValueError as error:
        raise SettingError(f"--for {lasting!r} is not usable", EXPECTED, "for example --for 2h") from error
    with _desk(context, database) as desk:
        if not is_there(desk):
            raise typer.Exit(1)
        until = silence_alerts(desk.storage, desk.answers.rules(), rule, labels, reason, length)
        from otel_metrics.delivery.cli.numbers import date_and_time

        zone = desk.settings.timezone
        output_console().print(
            f"{rule} is silenced until {date_and_time(until, zone)} {zone}.", soft_wrap=True, markup=False
        )


@alerts_app.command()
def unsilence(context: typer.Context, rule: RuleName, label: Labels = None, database: Database = None) -> None:
    """End the silences over a rule, or those over these labels."""
    from otel_metrics.analytics.alerting.silencing import unsilence_alerts

    labels = _labels(label) or None
    with _desk(context, database) as desk:
        if not is_there(desk):
            raise typer.Exit(1)
        ended = unsilence_alerts(desk.storage, rule, labels)
    told = f"{rule} is no longer silenced." if ended else f"{rule} was not silenced."
    output_console().print(told, soft_wrap=True, markup=False)


def _labels(given: list[str] | None) -> dict[str, str]:
    labels: dict[str, str] = {}
    for one in given or ():
        name, sign, value = one.partition("=")
        if not (name and sign and value):
            raise SettingError(
                f"--label {one!r} is not usable", "NAME=VALUE", "for example --label stage=ai_processing"
            )
        labels[name] = value
    return labels
