"""Owns handing one message to Apprise, in a child process: a service that hangs would otherwise keep its thread for good."""

import json
import os
import subprocess
import sys
import time
import warnings
from functools import cache
from subprocess import PIPE
from threading import Event
from typing import Any

from otel_metrics.errors import MissingExtra

TIMEOUT_S = 20.0
_LAST_WORDS_S = 5.0
_AT_THE_END_S = 2.0
_LOOK_EVERY_S = 0.1
_LOUD = {"WARNING", "ERROR", "CRITICAL"}


def post(url: str, title: str, body: str, kind: str, ending: Event | None = None) -> str:
    """Hands it over; what went wrong in the service's words, empty where it was taken.

    What lasts longer than 25 s is ended, and what lasts longer than two once `ending` is set.
    """
    message = json.dumps({"url": url, "title": title, "body": body, "kind": kind, "timeout_s": TIMEOUT_S})
    paths = os.pathsep.join(path for path in sys.path if path)
    try:
        child = subprocess.Popen(  # noqa: S603 - ourselves; the URL goes by a pipe, so that nobody sees it among the processes
            [sys.executable, "-P", "-m", __name__], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, encoding="utf-8",
            start_new_session=True, env={**os.environ, "PYTHONPATH": paths, "PYTHONUTF8": "1"},
        )  # fmt: skip
    except OSError as error:
        return f"it could not be sent ({error})"
    with child:
        try:
            answer, complaint = _answer_of(child, message, ending or Event())
        except subprocess.TimeoutExpired:
            child.kill()
            is_ended = ending is not None and ending.is_set()
            return "the program ended while it was being sent" if is_ended else f"no answer within {TIMEOUT_S:g} s"
    try:
        return str(json.loads(answer.rpartition("\n")[2]))
    except ValueError:  # the child has died in it
        return f"it could not be sent ({complaint.strip().rpartition(chr(10))[2] or f'status {child.returncode}'})"


def _answer_of(child: "subprocess.Popen[str]", message: str, ending: Event) -> tuple[str, str]:
    """What the child says on both ways; `TimeoutExpired` where it takes too long."""
    until = time.monotonic() + TIMEOUT_S + _LAST_WORDS_S
    given: str | None = message
    while True:
        try:
            return child.communicate(given, timeout=_LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            given = None  # it has been taken
            if ending.is_set():
                until = min(until, time.monotonic() + _AT_THE_END_S)
                ending = Event()  # once
            if time.monotonic() >= until:
                raise


@cache
def apprise_library() -> Any:
    """The library with its services, whose modules are not free of warnings while they are loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import apprise
        except ImportError as error:
            raise MissingExtra(
                "the rules file has targets and apprise is not installed", "the package with its extra `notify`",
                "pip install '.[notify]' in its copy",
            ) from error  # fmt: skip
        apprise.Apprise.instantiate("json://localhost")
    return apprise


def sender_to(url: str) -> Any | None:
    """Apprise with this one URL, None where it knows none such. It keeps nothing on the disk and links to no pictures."""
    apprise = apprise_library()
    asset = apprise.AppriseAsset(
        app_id="otel-metrics", app_desc="alerts", app_url="", image_url_mask="", image_url_logo="", async_mode=False,
        storage_mode="memory", allow_templates=False,
    )  # fmt: skip
    sender = apprise.Apprise(asset=asset)
    return sender if sender.add(url) else None


def _post_here(url: str, title: str, body: str, kind: str, timeout_s: float) -> str:
    sender = sender_to(url)
    if sender is None:
        return "Apprise can not use its URL"
    sent = sender.notify(title=title, body=body, body_format="text", notify_type=kind, timeout=timeout_s)
    said = [entry.message for entry in sent.logs() if entry.level in _LOUD]
    return "" if sent else said[-1] if said else "the service did not take it and did not say why"


def main() -> None:
    """What the child does: one message from standard input, the answer to standard output, and no wait for threads that hang."""
    try:
        answer = _post_here(**json.load(sys.stdin))
    except Exception as error:  # a service's own code may raise anything; the message is kept and tried again
        answer = f"{type(error).__name__}: {error}"
    sys.stdout.write(f"\n{json.dumps(answer)}")  # a line of its own, whatever a service has printed
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
