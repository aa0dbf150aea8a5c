"""Owns the rules file: which one counts, and what is said of one that is not as it should be."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from otel_metrics.analytics.alerting.duration import Duration
from otel_metrics.analytics.alerting.rules import KINDS, Rule, built_in_rules
from otel_metrics.errors import SettingError
from otel_metrics.settings import Settings

FILE_NAME = "metrics.rules.toml"
_REMEDY = "correct the file; docs/alerts.md shows a whole one"
_MOST_BYTES = 1_000_000
Raw = dict[str, Any]


def rules_path(settings: Settings) -> Path | None:
    """The file that the settings name; without one the file of the usual name beside the database, if it is there."""
    if settings.rules is not None:
        return settings.rules
    usual = settings.database.parent / FILE_NAME
    return usual if usual.exists() else None


def load_rules(settings: Settings) -> list[Rule]:
    """Every rule, the two of the contract first; those that are switched off too. `SettingError` names file and rule."""
    rules = built_in_rules(settings)
    path = rules_path(settings)
    given: set[str] = set()
    for number, raw in enumerate(_tables_in(path) if path is not None else (), 1):
        assert path is not None
        name = raw.get("name") if isinstance(raw, dict) else None
        where = f"{path}: rule {name if isinstance(name, str) else number!s}"
        if not isinstance(raw, dict) or not isinstance(name, str):
            raise SettingError(f"{path}: rule {number} has no name", 'a text, such as name = "slow_drafts"', _REMEDY)
        if name in given:
            raise SettingError(f"{where} stands there twice", "each name once", _REMEDY)
        given.add(name)
        rules[name] = _read(where, _completed(where, raw, rules.get(name)))
    return list(rules.values())


def _tables_in(path: Path) -> list[Any]:
    """The tables `[[rule]]` of a file."""
    try:
        if path.is_file() and path.stat().st_size > _MOST_BYTES:
            raise SettingError(f"{path} has {path.stat().st_size} bytes", f"at most {_MOST_BYTES}", _REMEDY)
        content = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SettingError(
            f"{path} can not be read ({error.strerror or error})", "a TOML file of rules", "correct METRICS_RULES, or make it"
        ) from error  # fmt: skip
    except (ValueError, RecursionError) as error:
        raise SettingError(f"{path} is no TOML ({error})", "tables [[rule]]", _REMEDY) from error
    unknown = sorted(set(content) - {"rule"})
    if unknown:
        raise SettingError(f"{path} has {', '.join(unknown)}", "nothing but tables [[rule]]", _REMEDY)
    tables = content.get("rule", [])
    if not isinstance(tables, list):
        raise SettingError(f"{path} has one [rule]", "tables [[rule]], in two pairs of brackets", _REMEDY)
    return tables


def _completed(where: str, raw: Raw, before: Rule | None) -> Raw:
    """What the file says of a rule that is there already, upon what that rule says."""
    if before is None:
        return raw
    if raw.get("kind", before.kind) != before.kind:
        raise SettingError(f"{where} has kind = {raw['kind']!r}", f"{before.kind}, or no kind", _REMEDY)
    known = {
        key: getattr(before, field)
        for key, field in zip(before.__struct_encode_fields__, before.__struct_fields__, strict=True)
    }
    return {"kind": before.kind, **known, **raw}


def _read(where: str, raw: Raw) -> Rule:
    kind = raw.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        found = "has no kind" if kind is None else f"has kind = {kind!r}"
        raise SettingError(f"{where} {found}", f"one of {', '.join(KINDS)}", _REMEDY)
    chosen = KINDS[kind]
    unknown = sorted(set(raw) - {"kind", *chosen.__struct_encode_fields__})
    if unknown:
        known = ", ".join(chosen.__struct_encode_fields__)
        raise SettingError(f"{where} has {', '.join(map(repr, unknown))}", f"for {kind} one of {known}", _REMEDY)
    try:
        return msgspec.convert(raw, chosen, dec_hook=_duration)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:  # msgspec's own is a ValueError
        raise _wrong(where, raw, str(error)) from error


def _duration(kind: type, value: object) -> object:
    if kind is not Duration:
        raise TypeError
    return value if isinstance(value, Duration) else Duration.parse(value)


def _wrong(where: str, raw: Raw, message: str) -> SettingError:
    """What msgspec says of a value, with its key and what stands there."""
    text, _, place = message.partition(" - at `$")
    missing = re.search(r"missing required field `(.+?)`", text)
    if missing:
        return SettingError(f"{where} has no {missing[1]}", "a value for it", _REMEDY)
    key = re.match(r"\.([\w-]+)", place)
    expected = text.removeprefix("Expected ").removeprefix("expected ")
    if key is None:
        return SettingError(f"{where} is not usable", expected, _REMEDY)
    return SettingError(f"{where} has {key[1]} = {raw.get(key[1])!r}", expected, _REMEDY)
