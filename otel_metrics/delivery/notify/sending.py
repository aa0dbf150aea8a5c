"""Owns sending one message to one target: its URL with the secrets in it, and an answer without them."""

from collections.abc import Sequence
from threading import Event

from otel_metrics.analytics.alerting.targets import Target
from otel_metrics.delivery.notify.posting import apprise_library, post, sender_to
from otel_metrics.errors import SettingError
from otel_metrics.store.notices import FIRING, RESOLVED, Notice

_KINDS = {"critical": "failure", "warning": "warning", "info": "info"}


def check_targets(targets: Sequence[Target]) -> None:
    """Raises `MissingExtra` where Apprise is not there, `SettingError` for a target that can not be used."""
    apprise_library()
    for target in targets:
        if sender_to(target.filled_url()) is None:
            raise SettingError(
                f"target {target.name} has a URL ({target.scheme}://…) that Apprise can not use", "one of Apprise's services",
                "see https://appriseit.com/services",
            )  # fmt: skip


def send(target: Target, notice: Notice, ending: Event | None = None) -> str:
    """Sends a message, within half a minute, or seconds once `ending` is set; what went wrong in a few words without secrets, empty where it has arrived."""
    kind = "success" if notice.change == RESOLVED else _KINDS[notice.severity]
    try:
        url = target.filled_url()
    except SettingError as error:
        return str(error)
    return _without_secrets(post(url, notice.title, notice.body, kind, ending), target)


def send_trial(target: Target) -> str:
    """Sends a message for a try, as `send` does; `SettingError` and `MissingExtra` where the target can not be used."""
    check_targets([target])
    body = f"This is a try. Messages about alerts for {target.name} arrive here."
    return send(target, Notice(0, 0, target.name, FIRING, 0, "info", "A try of otel-metrics", body))


def _without_secrets(text: str, target: Target) -> str:
    for one in target.secrets():
        text = text.replace(one, "…")
    return " ".join(text.encode("utf-8", "replace").decode().split())  # the store takes nothing else
