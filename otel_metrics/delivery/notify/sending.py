"""Owns sending one message to one target by Apprise, and what is said where that can not be done."""

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

from otel_metrics.analytics.alerting.targets import Target
from otel_metrics.errors import MissingExtra, OtelMetricsError, SettingError
from otel_metrics.store.notices import FIRING, RESOLVED, Notice

_TIMEOUT_S = 20.0
_KINDS = {"critical": "failure", "warning": "warning", "info": "info"}


def check_targets(targets: Sequence[Target]) -> None:
    """Raises `SettingError` for a target that can not be used, `MissingExtra` where there are any and Apprise is not there."""
    for target in targets:
        _sender(target)


def send(target: Target, notice: Notice) -> str:
    """Sends a message, within 20 s; what went wrong in a few words without secrets, empty where it has arrived."""
    try:
        sender = _sender(target)
        kind = "success" if notice.change == RESOLVED else _KINDS[notice.severity]
        sent = sender.notify(
            title=notice.title, body=notice.body, body_format="text", notify_type=kind, timeout=_TIMEOUT_S
        )
        said = [entry.message for entry in sent.logs() if entry.level in {"WARNING", "ERROR", "CRITICAL"}]
    except OtelMetricsError as error:
        return str(error)
    except Exception as error:  # of a service's own code; the message is kept and tried again
        return _without_secrets(f"{type(error).__name__}: {error}", target)
    if sent:
        return ""
    return _without_secrets(said[-1] if said else f"no answer within {_TIMEOUT_S:g} s, or none that says why", target)


def _sender(target: Target) -> Any:
    """Apprise with this one target. It follows no template, keeps nothing on the disk and links to no picture elsewhere."""
    apprise = _apprise()
    asset = apprise.AppriseAsset(
        app_id="otel-metrics", app_desc="alerts", app_url="", image_url_mask="", image_url_logo="", async_mode=False,
        storage_mode="memory", allow_templates=False,
    )  # fmt: skip
    sender = apprise.Apprise(asset=asset)
    if not sender.add(target.filled_url()):
        raise SettingError(
            f"target {target.name} has a URL ({target.scheme}://…) that Apprise can not use", "one of Apprise's services",
            "see https://appriseit.com/services",
        )  # fmt: skip
    return sender


def send_trial(target: Target) -> str:
    """Sends a message for a try, as `send` does; `SettingError` and `MissingExtra` where the target can not be used."""
    check_targets([target])
    body = f"This is a try. Messages about alerts for {target.name} arrive here."
    return send(target, Notice(0, 0, target.name, FIRING, 0, "info", "A try of otel-metrics", body))


@cache
def _apprise() -> Any:
    """The library with its services, whose modules are not free of warnings while they are loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import apprise
        except ImportError as error:
            raise MissingExtra(
                "the rules file has targets and apprise is not installed", "the extra `notify`",
                "pip install 'otel_metrics[notify]'",
            ) from error  # fmt: skip
        apprise.Apprise.instantiate("json://localhost")
    return apprise


def _without_secrets(text: str, target: Target) -> str:
    for one in target.secrets():
        text = text.replace(one, "…")
    return " ".join(text.split())
