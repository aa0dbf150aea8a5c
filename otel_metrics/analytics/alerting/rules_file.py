"""Owns the rules file: which one counts, its rules and targets, and what is said of one that is not as it should be."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from otel_metrics.analytics.alerting.duration import Duration
from otel_metrics.analytics.alerting.rules import KINDS, Rule, built_in_rules
from otel_metrics.analytics.alerting.targets import Target
from otel_metrics.errors import SettingError
from otel_metrics.settings import Settings

FILE_NAME = "metrics.rules.toml"
_REMEDY = "correct the file; docs/alerts.md shows a whole one"
_MOST_BYTES = 1_000_000
Raw = dict[str, Any]
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class RulesFile:
    """What a file says: every rule, who is told, and the address of the page to which messages link (empty: none)."""

    rules: list[Rule]
    targets: list[Target]
    page: str = ""


def rules_path(settings: Settings) -> Path | None:
    """The file that the settings name; without one the file of the usual name beside the database, if it is there."""
    if settings.rules is not None:
        return settings.rules
    usual = settings.database.parent / FILE_NAME
    return usual if usual.exists() else None


def load_rules(settings: Settings) -> list[Rule]:
    """Every rule, the two of the contract first; those that are switched off too. `SettingError` names file and rule."""
    return load_rules_file(settings).rules


def load_rules_file(settings: Settings) -> RulesFile:
    """The whole file, or what counts without one. The secrets of its targets are not looked for yet."""
    rules = built_in_rules(settings)
    path = rules_path(settings)
    if path is None:
        return RulesFile(list(rules.values()), [])
    content = _content_of(path)
    for where, name, raw in _named(path, content, "rule", "slow_drafts"):
        rules[name] = _read_rule(where, _completed(where, raw, rules.get(name)))
    targets = []
    for where, _, raw in _named(path, content, "target", "team"):
        _refuse_unknown(where, raw, "a target", Target.__struct_encode_fields__)
        targets.append(_read(where, raw, Target))
    known = {target.name for target in targets}
    for rule in rules.values():
        if unknown := sorted(set(rule.notify or ()) - known):
            expected = f"one of {', '.join(sorted(known))}" if known else "a table [[target]] of that name"
            raise SettingError(f"{path}: rule {rule.name} has notify = {unknown[0]!r}", expected, _REMEDY)
    return RulesFile(list(rules.values()), targets, _page(path, content))


def _named(path: Path, content: Raw, kind: str, example: str) -> Iterator[tuple[str, str, Raw]]:
    """The tables of a kind: how a message calls each one, its name, what it says."""
    tables = content.get(kind, [])
    if not isinstance(tables, list):
        raise SettingError(f"{path} has one [{kind}]", f"tables [[{kind}]], in two pairs of brackets", _REMEDY)
    given: set[str] = set()
    for number, raw in enumerate(tables, 1):
        name = raw.get("name") if isinstance(raw, dict) else None
        where = f"{path}: {kind} {name if isinstance(name, str) else number!s}"
        if not isinstance(raw, dict) or not isinstance(name, str):
            raise SettingError(f"{path}: {kind} {number} has no name", f'a text, such as name = "{example}"', _REMEDY)
        if name in given:
            raise SettingError(f"{where} stands there twice", "each name once", _REMEDY)
        given.add(name)
        yield where, name, raw


def _page(path: Path, content: Raw) -> str:
    page = content.get("page", "")
    if not isinstance(page, str) or not re.fullmatch(r"(https?://[^\s?#]+)?", page):
        expected = 'the address of the page, such as page = "https://metrics.example.org"'
        raise SettingError(f"{path} has page = {page!r}", expected, _REMEDY)
    return page.rstrip("/")


def _content_of(path: Path) -> Raw:
    """The keys of a file, which must be known."""
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
    unknown = sorted(set(content) - {"rule", "target", "page"})
    if unknown:
        raise SettingError(f"{path} has {', '.join(unknown)}", "nothing but [[rule]], [[target]] and page", _REMEDY)
    return content


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


def _read_rule(where: str, raw: Raw) -> Rule:
    kind = raw.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        found = "has no kind" if kind is None else f"has kind = {kind!r}"
        raise SettingError(f"{where} {found}", f"one of {', '.join(KINDS)}", _REMEDY)
    chosen = KINDS[kind]
    _refuse_unknown(
        where, {key: value for key, value in raw.items() if key != "kind"}, kind, chosen.__struct_encode_fields__
    )
    return _read(where, raw, chosen)


def _refuse_unknown(where: str, raw: Raw, kind: str, known: tuple[str, ...]) -> None:
    unknown = sorted(set(raw) - set(known))
    if unknown:
        raise SettingError(
            f"{where} has {', '.join(map(repr, unknown))}", f"for {kind} one of {', '.join(known)}", _REMEDY
        )


def _read(where: str, raw: Raw, kind: type[_Read]) -> _Read:
    try:
        return msgspec.convert(raw, kind, dec_hook=_duration)
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
    shown = "(hidden)" if key[1] == "url" else repr(raw.get(key[1]))
    return SettingError(f"{where} has {key[1]} = {shown}", expected, _REMEDY)
