"""Which conversations are played, and what one play leaves behind for the tests to look at."""

import csv
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.moderated_bot.bot_api import BotApi
from examples.moderated_bot.chats import Chats
from examples.moderated_bot.people import MODERATOR_BOT, USER_BOT, Case, Verdict, act, prepare
from examples.moderated_bot.play import MODERATORS_CHAT, TOKENS
from examples.moderated_bot.processes import Bots
from examples.moderated_bot.settings import Settings

ROOT = Path(__file__).parents[2]
PAIRS = ROOT.parent / "shared" / "data" / "draft_corrections.tsv.gz"

Json = dict[str, Any]

APPROVE: tuple[Verdict, str] = ("approve", "")
VERDICTS: list[tuple[Verdict, str]] = [
    ("text", ""),
    ("text", ""),
    ("text", ""),
    ("text", ""),
    ("text", "#factual"),
    ("text", "#style"),
    ("text", "#content"),
    ("voice", ""),
    ("voice", ""),
    ("reject", ""),
]


@dataclass(frozen=True)
class Journey:
    """What one play left behind: its cases, the bots' own notes, the chats, the processes, and the store."""

    cases: list[Case]
    yardsticks: dict[str, float]
    notes: list[Json]
    answers: dict[int, list[str]]
    refusals: list[str]
    pids: dict[str, int]
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead to the store."""
        return store_environment(self.folder)

    def noted(self, what: str) -> list[Json]:
        """The notes of one kind; a stage whose begin and end are two notes of the bots is made of them."""
        return [note for note in (*self.notes, *between_marks(self.notes)) if note["what"] == what]

    @property
    def sessions(self) -> dict[str, Case]:
        """Which session was which conversation."""
        by_question = {case.question: case for case in self.cases}
        return {note["session"]: by_question[note["question"]] for note in self.noted("session")}

    def lines(self, event_type: str) -> list[Json]:
        """The lines of one type in the JSONL log."""
        logs = sorted(self.folder.glob("metrics*.jsonl*"))
        lines = [json.loads(line) for log in logs for line in log.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line["event_type"] == event_type]

    def run(self, *command: str) -> str:
        """What a command prints that finds the store by its environment."""
        environment = {**os.environ, **self.environment, "COLUMNS": "160"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, encoding="utf-8", check=False, timeout=60
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def ask(self, *arguments: str) -> str:
        """What `otel-metrics` prints, run as a person runs it."""
        return self.run(sys.executable, "-m", "otel_metrics", *arguments)

    def rows(self, query: str) -> list[Json]:
        """The rows of a free query."""
        rows: list[Json] = json.loads(self.ask("sql", query, "--format", "json"))
        return rows

    def dashboard(self) -> Json:
        """The dashboard document."""
        document: Json = json.loads(self.ask("dashboard", "--format", "json"))
        return document


MARKED = (
    ("moderation_queue", "enqueued", "shown"),
    ("admin_review", "shown", "decided"),
    ("final_response", "user_delivery", "user_delivery"),
)


def between_marks(notes: list[Json]) -> Iterator[Json]:
    """The waits, from mark to mark, and the final response, which takes no time of its own before the delivery."""
    marks = {(note["what"], note["session"]): note["at"] for note in notes if "session" in note}
    reviewed = {note["session"] for note in notes if note["what"] == "decided"}
    marks |= {
        (n["stage"], n["session"]): n["started"]
        for n in notes
        if n.get("stage") == "user_delivery" and n["session"] in reviewed
    }
    for stage, begin, end in MARKED:
        for (what, session), at in marks.items():
            if what == begin and (end, session) in marks:
                ended = marks[end, session]
                yield {
                    "what": "stage", "session": session, "stage": stage, "started": at, "ended": ended, "success": True
                }  # fmt: skip


def store_environment(folder: Path) -> dict[str, str]:
    """A store of its own for each play."""
    return {"METRICS_DATABASE": str(folder / "metrics.db"), "METRICS_LOG_FILE": str(folder / "metrics.jsonl")}


def case(number: int, question: str, draft: str | None, corrected: str, verdict: Verdict, hashtag: str = "") -> Case:
    """A case whose people follow from its number: every tenth asks in a group, every fiftieth blocks the bot."""
    blocks = number % 50 == 7
    user_id = 9000 + number if blocks else 1000 + number % 40
    chat_id = -2000 - number % 3 if number % 10 == 0 else user_id
    return Case(question, draft, verdict, user_id, chat_id, 901 + number % 3, corrected, hashtag, blocks)


def synthetic_cases() -> tuple[list[Case], dict[str, float]]:
    """Twenty-one made-up conversations: ten approved, each verdict once, and one question without an answer."""
    judged = [
        case(
            number,
            f"Question {number} ?",
            f"The answer is number {number} .",
            f"The answer is {number} , indeed .",
            *verdict,
        )
        for number, verdict in enumerate([APPROVE] * 10 + VERDICTS)
    ]
    return [*judged, case(29, "Question without an answer ?", None, "", "approve")], {}


def real_cases() -> tuple[list[Case], dict[str, float]]:
    """200 real pairs: 40 drafts that their editor left as they were, approved, and 160 corrected or rejected."""
    with gzip.open(PAIRS, "rt", encoding="utf-8", newline="") as file:
        pairs = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    left_alone = [pair for pair in pairs if float(pair["hter"]) == 0 and pair["draft"] == pair["corrected"]][:40]
    edited = [pair for pair in pairs if float(pair["hter"]) > 0][:160]
    verdicts = [APPROVE] * len(left_alone) + [VERDICTS[i % len(VERDICTS)] for i in range(len(edited))]
    cases = [
        case(number, pair["source"], pair["draft"], pair["corrected"], *verdict)
        for number, (pair, verdict) in enumerate(zip([*left_alone, *edited], verdicts, strict=True))
    ]
    return cases, {pair["source"]: float(pair["hter"]) for pair in edited}


def play(
    cases: list[Case],
    yardsticks: dict[str, float],
    folder: Path,
    halfway: Callable[[], object] = lambda: None,
    at_the_end: Callable[[], object] = lambda: None,
    **variables: str,
) -> Journey:
    """Play every case through both bots, stop them, and keep what there is to see.

    `halfway` is called between two halves of the cases, `at_the_end` before the bots are stopped; `variables` are theirs.
    """
    with BotApi(TOKENS) as api:
        settings = Settings(TOKENS[USER_BOT], TOKENS[MODERATOR_BOT], MODERATORS_CHAT, folder, api.url)
        prepare(settings, cases)
        with Bots(settings, store_environment(folder) | {"PYTHONPATH": str(ROOT)} | variables) as bots:
            act(api.chats, MODERATORS_CHAT, cases[: len(cases) // 2])
            halfway()
            act(api.chats, MODERATORS_CHAT, cases[len(cases) // 2 :])
            at_the_end()
            refusals = reply_late(api.chats)
        answers = {c.chat_id: [sent["text"] for sent in api.chats.sent(c.chat_id)] for c in cases}
    notes = [json.loads(line) for line in settings.notes.read_text(encoding="utf-8").splitlines()]
    return Journey(cases, yardsticks, notes, answers, refusals, bots.pids, folder)


def reply_late(chats: Chats) -> list[str]:
    """A second moderator corrects three drafts that are decided already; gives what the bot replies."""
    cards = [card["message_id"] for card in chats.sent(MODERATORS_CHAT)]
    for card_id in cards[:3]:
        chats.say(MODERATOR_BOT, MODERATORS_CHAT, 999, "Another answer", reply_to=card_id)

    def replies() -> list[str]:
        return [sent["text"] for sent in chats.sent(MODERATORS_CHAT) if sent["message_id"] > max(cards)]

    chats.wait_until(lambda: len(replies()) == 3, 30, "late moderators got no reply")
    return replies()
