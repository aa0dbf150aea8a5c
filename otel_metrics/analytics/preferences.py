"""Owns the export of drafts and corrections as preference pairs, the form that a model is trained on to draft as moderators write."""

import hashlib
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.export import whole_file
from otel_metrics.analytics.questions.document import Document
from otel_metrics.analytics.statements import QUERIES
from otel_metrics.analytics.window import time_of
from otel_metrics.errors import QueryError
from otel_metrics.model.times import TimeInput

_COLUMNS = ("kind", "prompt", "chosen", "rejected", "session_id", "correction_type", "model", "prompt_version")
_EVER = (datetime.min, datetime.max)  # noqa: DTZ901 - no zone: DuckDB's TIMESTAMP has none
_CUT = re.compile(r"… \[cut, \d+ characters\]\Z")
_SWITCH = (
    "Switch it on with METRICS_CAPTURE_CONTENT=true where moderators' corrections are recorded and questions come in, and "
    "tell the question by `stage.text(text)` in query_received: texts then stay in the store, and are still not sent."
)
_encode = msgspec.json.Encoder().encode


def write_preferences(engine: Asking, path: Path, since: TimeInput | None, until: TimeInput | None) -> Document:
    """Writes the corrections in (since, until] to `path` as JSON Lines in the standard form of DPO datasets (TRL: prompt, chosen, rejected).

    A line: `prompt` (the question's text, as query_received told it before; null where it was not captured), `chosen`
    (the corrected text), `rejected` (the draft), `session_id`, `correction_type`, `model`, `prompt_version`. Needs texts
    that were captured (METRICS_CAPTURE_CONTENT). The file is private (0600) and appears whole or, where there is no
    pair, not at all.

    Gives counts: `corrections` in the period = `pairs` written + `rejections` (nothing was chosen) + `not_captured` +
    `unchanged` (both texts equal) + `cut` (longer than METRICS_TEXT_LIMIT) + `duplicates` of a pair that is written;
    `without_prompt` of the pairs.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise QueryError(f"{path} can not be written", "a file in a folder that exists", "give another path")
    begin = _EVER[0] if since is None else time_of("since", since)
    end = _EVER[1] if until is None else time_of("until", until)
    if begin >= end:
        raise QueryError(f"a period from {begin} to {end} UTC", "a beginning before the end", "give other times")
    counts = dict.fromkeys(
        ("corrections", "pairs", "without_prompt", "rejections", "not_captured", "unchanged", "cut", "duplicates"), 0
    )
    with whole_file(path) as draft:
        _write(engine, {"since": begin, "until": end}, draft, counts)
        if not counts["pairs"]:
            draft.unlink()
    return {"sentences": _sentences(counts, path), **counts}


def _write(engine: Asking, parameters: dict[str, Any], draft: Path, counts: dict[str, int]) -> None:
    written: set[bytes] = set()
    with draft.open("wb") as file:
        for batch in engine.stream(QUERIES["preferences"], parameters):
            for values in batch:
                pair = dict(zip(_COLUMNS, values, strict=True))
                counts["corrections"] += 1
                fate = _fate(pair, written)
                counts[fate] += 1
                if fate == "pairs":
                    counts["without_prompt"] += pair["prompt"] is None
                    file.write(_encode(pair) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _fate(pair: dict[str, Any], written: set[bytes]) -> str:
    """Under which count a correction goes; of one that is written the digest is kept."""
    kind = str(pair.pop("kind"))
    if kind != "pairs":
        return kind
    chosen, rejected = pair["chosen"], pair["rejected"]
    if chosen == rejected:
        return "unchanged"
    if any(_CUT.search(text) for text in (chosen, rejected, pair["prompt"] or "")):
        return "cut"
    digest = hashlib.sha256(_encode([pair["prompt"], chosen, rejected])).digest()
    if digest in written:
        return "duplicates"
    written.add(digest)
    return "pairs"


def _sentences(counts: dict[str, int], path: Path) -> list[str]:
    if not counts["corrections"]:
        return ["There is no correction in this time, so no file was written."]
    said = []
    if count := counts["pairs"]:
        said.append(f"{count:,} pair{'' if count == 1 else 's'} of {counts['corrections']:,} corrections in {path}.")
    else:
        said.append(f"None of the {counts['corrections']:,} corrections gives a pair, so no file was written.")
    if count := counts["without_prompt"]:
        said.append(
            f"{count:,} of the pairs have no prompt, since the question was not captured: tell it by `stage.text(text)` in "
            "query_received, with METRICS_CAPTURE_CONTENT=true."
        )
    if count := counts["not_captured"]:
        said.append(f"Of {count:,} corrections the texts were not captured. {_SWITCH}")
    if count := counts["rejections"]:
        said.append(f"{count:,} rejections are left out: nothing was written in place of the draft.")
    if count := counts["cut"]:
        said.append(f"{count:,} pairs with a text beyond METRICS_TEXT_LIMIT are left out: their end is missing.")
    if count := counts["unchanged"]:
        said.append(f"{count:,} corrections that changed nothing are left out.")
    if count := counts["duplicates"]:
        said.append(f"{count:,} repetitions of the same pair are left out.")
    return said
