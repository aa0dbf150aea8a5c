"""Owns every setting of the package: its name, default, meaning and check; it is the only reader of the environment."""

import math
import os
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from otel_metrics.errors import SettingError

LOG_LEVELS = ("debug", "info", "warning", "error", "critical", "metric")
DURABILITY_LEVELS = ("process", "interval", "strict")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one `MetricsService`. Times are in the unit that the name says; `OPTIONS` has the meanings."""

    database: Path = Path("metrics.db")
    log_file: Path = Path("metrics.jsonl")
    retention_days: float = 30.0
    enabled: bool = True
    durability: str = "process"
    capture_content: bool = False
    id_key: str | None = None
    session_timeout_hours: float = 72.0
    timezone: str = "UTC"
    log_level: str = "info"
    log_max_bytes: int = 100_000_000
    log_backups: int = 10
    max_bytes: int = 10_000_000_000
    compact_rows: int = 100_000
    drain_interval_s: float = 1.0
    text_limit: int = 16_384
    strict: bool = False
    slow_stage_ms: float = 10_000.0
    slow_human_stage_ms: float = 1_800_000.0
    slow_min_stages: int = 5
    correction_rate_percent: float = 30.0
    correction_min_sessions: int = 10
    system_metrics: bool = False
    system_interval_s: float = 60.0
    moderator_hour_rate: float | None = None
    speech_minute_rate: float | None = None
    currency: str = "USD"
    rules: Path | None = None
    trace_url: str | None = None
    page_token: str | None = None
    backend: str | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the settings table: the field of `Settings`, its environment variable and how a value is read."""

    field: str
    variable: str
    parse: Callable[[Any], Any]
    expected: str
    meaning: str


def _path(value: object) -> Path:
    if isinstance(value, os.PathLike) or (isinstance(value, str) and value.strip()):
        path = Path(value).expanduser()
        if "\0" not in str(path) and not path.is_dir():
            return path
    raise ValueError


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in {"true", "1", "yes", "on"}:
        return True
    if text in {"false", "0", "no", "off"}:
        return False
    raise ValueError


def _number(low: float, high: float = math.inf) -> Callable[[Any], float]:
    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
        if not low <= number <= high or math.isinf(number):
            raise ValueError
        return number

    return parse


def _integer(low: int) -> Callable[[Any], int]:
    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError
        number = int(value)
        if number < low:
            raise ValueError
        return number

    return parse


def _limit(value: object) -> int:
    number = _integer(0)(value)
    if 0 < number < 1_000_000:
        raise ValueError
    return number


def _backend(value: object) -> str | None:
    text = str(value).strip()
    if text.lower() == "local":
        return None
    parts = urlsplit(text)
    if (
        parts.scheme not in {"clickhouse", "clickhouses"}
        or not parts.hostname
        or parts.port == 0
        or parts.query
        or parts.fragment
    ):
        raise ValueError
    return text


_HUNDRED_YEARS_H = 876_600.0
_HOURS_PER_UNIT = {"s": 1 / 3600, "m": 1 / 60, "h": 1.0, "": 1.0, "d": 24.0}


def hours_of(value: object) -> float:
    """A length of time as hours: a number of them, or text such as 90m, 24h, 7d. `ValueError` for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", str(value))
    hours = 0.0 if not match or isinstance(value, bool) else float(match[1]) * _HOURS_PER_UNIT[match[2]]
    if not 0 < hours <= _HUNDRED_YEARS_H:
        raise ValueError
    return hours


def _one_of(*names: str) -> Callable[[Any], str]:
    def parse(value: object) -> str:
        text = str(value).strip().lower()
        if text not in names:
            raise ValueError
        return text

    return parse


def _zone(value: object) -> str:
    from zoneinfo import ZoneInfo  # a bot that keeps UTC need not load it

    name = str(value).strip()
    try:
        ZoneInfo(name)
    except (OSError, KeyError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError from error
    return name


def _key(value: object) -> str | None:
    if value is None:
        return None
    text = str(value)
    if len(text) < 16:
        raise ValueError
    return text


def _trace_url(value: object) -> str | None:
    if value is None:
        return None
    text = str(value).strip()
    if not re.fullmatch(r"https?://[^\s\"'<>]+", text) or "{trace_id}" not in text:
        raise ValueError
    return text


def _token(value: object) -> str | None:
    if value is None or (isinstance(value, str) and re.fullmatch("[A-Za-z0-9._~-]{16,}", value)):
        return value
    raise ValueError


def _currency(value: object) -> str:
    text = str(value).strip().upper()
    if not re.fullmatch("[A-Z]{3}", text):
        raise ValueError
    return text


OPTIONS: tuple[Option, ...] = (
    Option("database", "METRICS_DATABASE", _path, "the path of a file", "the SQLite file; the key lies beside it"),
    Option("log_file", "METRICS_LOG_FILE", _path, "the path of a file", "the JSONL log, which is the journal too"),
    Option(
        "retention_days", "METRICS_RETENTION_DAYS", _number(0.0, 36_525.0), "a number of days from 0 to 36525",
        "older rows and rotated logs are deleted by the drain and by `prune`; 0 keeps everything",
    ),
    Option("enabled", "ENABLE_METRICS", _flag, "true or false", "false makes every recording call a cheap no-op"),
    Option(
        "durability", "METRICS_DURABILITY", _one_of(*DURABILITY_LEVELS), "process, interval or strict",
        "what an ended stage survives: the death of its process, or also that of the machine (`interval`: but for "
        "the last 100 ms)",
    ),
    Option(
        "capture_content", "METRICS_CAPTURE_CONTENT", _flag, "true or false",
        "keep the texts of corrections in the local store; they are never exported",
    ),
    Option(
        "id_key", "METRICS_ID_KEY", _key, "at least 16 characters",
        "the key for the hashes of user, chat and moderator ids; without it a key file beside the database",
    ),
    Option(
        "session_timeout_hours", "METRICS_SESSION_TIMEOUT", hours_of, "a time such as 72h, 90m or 3d (a bare number: hours)",
        "an open session without activity for so long counts as abandoned",
    ),
    Option("timezone", "METRICS_TIMEZONE", _zone, "an IANA time zone name", "for hours and weekdays in answers"),
    Option("log_level", "METRICS_LOG_LEVEL", _one_of(*LOG_LEVELS), ", ".join(LOG_LEVELS), "the structured logger's level"),
    Option("log_max_bytes", "METRICS_LOG_MAX_BYTES", _integer(4096), "an integer from 4096 on", "the log is rotated at this size"),
    Option("log_backups", "METRICS_LOG_BACKUPS", _integer(1), "an integer from 1 on", "so many rotated logs are kept"),
    Option(
        "max_bytes", "METRICS_MAX_BYTES", _limit, "an integer from 1000000 on, or 0",
        "the size limit of log and tables together: above it sent and stored logs go first, then the oldest rows; 0: none",
    ),
    Option(
        "compact_rows", "METRICS_COMPACT_ROWS", _integer(0), "an integer from 0 on",
        "a reading command moves rows to segments when so many have come since the last time; 0: only `compact` does",
    ),
    Option(
        "drain_interval_s", "METRICS_DRAIN_INTERVAL", _number(0.0, 3600.0), "seconds from 0 to 3600",
        "how often the log is moved into the tables in the background; 0: only when somebody asks",
    ),
    Option("text_limit", "METRICS_TEXT_LIMIT", _integer(64), "an integer from 64 on", "longer texts in metadata are cut, in characters"),
    Option("strict", "METRICS_STRICT", _flag, "true or false", "for tests: what would be warned about and dropped raises"),
    Option("slow_stage_ms", "METRICS_SLOW_STAGE_MS", _number(0.0), "milliseconds", "alert `slow_processing`: a stage's mean above it"),
    Option(
        "slow_human_stage_ms", "METRICS_SLOW_HUMAN_STAGE_MS", _number(0.0), "milliseconds",
        "the same for moderation_queue and admin_review, where people work",
    ),
    Option("slow_min_stages", "METRICS_SLOW_MIN_STAGES", _integer(1), "an integer from 1 on", "`slow_processing` from so many stages on"),
    Option(
        "correction_rate_percent", "METRICS_CORRECTION_RATE", _number(0.0, 100.0), "a percentage",
        "alert `high_correction_rate`: the rate above it",
    ),
    Option(
        "correction_min_sessions", "METRICS_CORRECTION_MIN_SESSIONS", _integer(1), "an integer from 1 on",
        "`high_correction_rate` from so many sessions on",
    ),
    Option(
        "system_metrics", "METRICS_SYSTEM", _flag, "true or false",
        "record memory, processor and the like of the process and its machine; needs the extra `system`",
    ),
    Option("system_interval_s", "METRICS_SYSTEM_INTERVAL", _number(0.1, 86_400.0), "seconds from 0.1 to 86400", "how often these are read"),
    Option(
        "moderator_hour_rate", "METRICS_MODERATOR_HOUR_RATE", _number(0.0), "a number from 0 on",
        "what an hour of a moderator costs; without it their time has no price",
    ),
    Option(
        "speech_minute_rate", "METRICS_SPEECH_MINUTE_RATE", _number(0.0), "a number from 0 on",
        "what a minute of transcribed speech costs; without it speech has no price",
    ),
    Option(
        "currency", "METRICS_CURRENCY", _currency, "three letters, such as USD",
        "the currency of these rates, of costs recorded without one, and of sums; nothing is converted",
    ),
    Option(
        "rules", "METRICS_RULES", _path, "the path of a file",
        "the TOML file of alert rules; without it `metrics.rules.toml` beside the database, if it is there",
    ),
    Option(
        "trace_url", "METRICS_TRACE_URL", _trace_url, "a URL that begins with http:// or https:// and holds {trace_id}",
        "where Jaeger, Tempo or another backend shows a trace: the page links each session to it",
    ),
    Option(
        "page_token", "METRICS_PAGE_TOKEN", _token, "at least 16 letters, digits, -, ., _ or ~",
        "the token of `serve` for other machines; without it each start makes a new one",
    ),
    Option(
        "backend", "METRICS_BACKEND", _backend, "local, or clickhouse://user:password@host:8123/database (clickhouses:// for HTTPS)",
        "where questions are asked: a ClickHouse that the collector writes, or the local store",
    ),
)  # fmt: skip

_SECRET = {"backend", "id_key", "page_token"}
_BY_FIELD = {option.field: option for option in OPTIONS}
assert [option.field for option in OPTIONS] == [field.name for field in fields(Settings)]


def rotate_at_bytes(settings: Settings) -> int:
    """The size at which the log is rotated: small enough that the size limit can be kept by whole files."""
    return (
        min(settings.log_max_bytes, max(4096, settings.max_bytes // 8))
        if settings.max_bytes
        else settings.log_max_bytes
    )


def load(arguments: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings by precedence: argument, then environment, then default.

    An argument of None means "not given". A bad argument raises `SettingError`; a bad environment value raises it
    too, unless no argument was given at all (a bot's first use): then it warns and takes the default.
    """
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    unknown = sorted(set(given) - set(_BY_FIELD))
    if unknown:
        raise SettingError(
            f"unknown setting {', '.join(unknown)}", f"one of {', '.join(_BY_FIELD)}", "correct the call of configure()"
        )
    changes: dict[str, Any] = {}
    environ = os.environ if environ is None else environ
    for option in OPTIONS:
        if option.field in given:
            changes[option.field] = _read(option, given[option.field], option.field)
        elif environ.get(option.variable, "").strip():
            try:
                changes[option.field] = _read(option, environ[option.variable], option.variable)
            except SettingError as error:
                if arguments is not None:
                    raise
                warnings.warn(f"otel_metrics: {error}; the default is taken", RuntimeWarning, stacklevel=2)
    return replace(Settings(), **changes)


def otel_environment(name: str) -> str:
    """The value of a standard `OTEL_*` variable, stripped; empty where it is not set."""
    return os.environ.get(name, "").strip()


def secret(name: str) -> str | None:
    """The value of a variable that a file of the user's names, such as a token; None where it is not set or empty."""
    return os.environ.get(name) or None


def _read(option: Option, value: object, name: str) -> object:
    try:
        return option.parse(value)
    except (ValueError, OverflowError, OSError, RuntimeError) as error:  # RuntimeError: `~` of a user that is not there
        shown = "(hidden)" if option.field in _SECRET else repr(value)
        remedy = f"set {option.variable} or configure({option.field}=…) to such a value"
        raise SettingError(f"{name}={shown} is not usable", option.expected, remedy) from error
