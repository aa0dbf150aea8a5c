"""Plays the whole example on one machine: the pretend Telegram, both bots as processes, and eight conversations.

`python -m examples.moderated_bot.play [FOLDER] [--keep-on SECONDS]`
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import signal
import sys
import time
from pathlib import Path

from .bot_api import BotApi
from .people import MODERATOR_BOT, USER_BOT, Case, act, prepare
from .processes import Bots
from .settings import Settings

TOKENS = {USER_BOT: "1001:users", MODERATOR_BOT: "1002:moderators"}
MODERATORS_CHAT = -5000
FIRST, SECOND = 901, 902

CASES = [
    Case("When do you open?", "We open at nine.", "approve", 11, 11, FIRST),
    Case("Do you ship abroad?", "No.", "text", 12, 12, FIRST, "Yes, to every country in Europe."),
    Case("How long is the warranty?", "One year.", "text", 13, 13, SECOND, "Two years.", "#factual"),
    Case("Can I pay later?", "u can pay l8r", "text", 14, 14, SECOND, "You can pay within 30 days.", "#style"),
    Case("Is there parking?", "Yes.", "text", 15, -70, FIRST, "Yes, behind the house, free of charge.", "#content"),
    Case("Where is my parcel?", "It is lost.", "voice", 16, 16, SECOND, "It is on its way and arrives tomorrow."),
    Case("Which shares should I buy?", "All of them.", "reject", 17, 17, FIRST),
    Case("What is the meaning of life?", None, "approve", 18, 18, FIRST),
]


def main() -> None:
    """Play, then say how to look at what was measured."""
    parser = argparse.ArgumentParser(description="Play eight conversations with a moderated bot.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("moderated_bot_run"))
    parser.add_argument(
        "--keep-on", type=float, metavar="SECONDS", help="play on until stopped; a verdict takes up to so long"
    )
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    database = os.environ.get("METRICS_DATABASE", str(folder / "metrics.db"))
    log_file = os.environ.get("METRICS_LOG_FILE", str(folder / "metrics.jsonl"))

    with BotApi(TOKENS) as api:
        settings = Settings(TOKENS[USER_BOT], TOKENS[MODERATOR_BOT], MODERATORS_CHAT, folder, api.url)
        prepare(settings, CASES)
        with Bots(settings, {"METRICS_DATABASE": database, "METRICS_LOG_FILE": log_file}):
            act(api.chats, MODERATORS_CHAT, CASES)
            signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # the bots are stopped on the way out
            while arguments.keep_on is not None:
                act(api.chats, MODERATORS_CHAT, random.sample(CASES, 3), think=lambda: take_time(arguments.keep_on))
        for case in CASES:
            answers = [message["text"] for message in api.chats.sent(case.chat_id)]
            verdict = case.verdict if case.draft else "no draft"
            print(f"{case.question:<30} {verdict:<8} {answers[-1] if answers else '(no answer)'}")

    print(f"\n{len(CASES)} conversations, two processes, one store. Look at it:\n")
    for command in ("dashboard", "sessions", "sql 'SELECT stage, count(*) FROM processing_metrics GROUP BY stage'"):
        print(f"    otel-metrics {command} --database {shlex.quote(database)}")


def take_time(most_s: float) -> None:
    """A moderator reads, and has other things to do."""
    time.sleep(random.uniform(0, most_s))


if __name__ == "__main__":
    main()
