"""Owns how a statement of the package is said to ClickHouse: the same text, with macros of tables put in and parameters typed."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from otel_metrics.analytics.statements import VIEWS

_MACRO = re.compile(r"CREATE MACRO (\w+)\((\w+), (\w+)\) AS TABLE\s+(.*?);?\s*$", re.DOTALL)
_COMMENT = re.compile(r"--[^\n]*")
_PARAMETER = re.compile(r"\$(\w+)")
_ALL = 1 << 62  # no limit: ClickHouse has no LIMIT NULL
_TIME = "DateTime64(6, 'UTC')"


def said(statement: str, parameters: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The statement for ClickHouse, and its parameters as the client binds them."""
    bound: dict[str, Any] = {}

    def typed(match: re.Match[str]) -> str:
        name = match[1]
        value = parameters[name]
        if value is None:
            return "NULL"
        kind = _type_of(value)
        bound[name] = _bound(value)
        return f"{{{name}:{kind}}}"

    text = _PARAMETER.sub(typed, plain(statement))
    return text.replace("LIMIT NULL", f"LIMIT {_ALL}"), bound


@lru_cache(maxsize=256)
def plain(statement: str) -> str:
    """A statement without comments and hints for DuckDB's planner, its macros of tables put in as DuckDB does it itself."""
    text = _COMMENT.sub("", statement).strip().removesuffix(";")
    for name, (since, until, body) in _MACROS.items():
        while (start := re.search(rf"\b{name}\(", text)) is not None:
            arguments, end = _arguments(text, start.end())
            given = dict(zip((since, until), arguments, strict=True))
            inner = re.sub(rf"\b({since}|{until})\b", lambda match: given[match[1]], body)  # noqa: B023 - used at once
            text = f"{text[: start.start()]}(\n{inner}\n){text[end:]}"
    text = text.replace("NOT MATERIALIZED", "")
    return text.replace("AS MATERIALIZED", "AS") if "WITH RECURSIVE" in text else text


def _arguments(text: str, start: int) -> tuple[list[str], int]:
    """The arguments of a call whose parenthesis opens before `start`, and where it is over."""
    found, depth, begin = [], 0, start
    for place in range(start, len(text)):
        sign = text[place]
        if sign == "(":
            depth += 1
        elif sign == ")" and depth:
            depth -= 1
        elif (sign == "," and not depth) or sign == ")":
            found.append(text[begin:place].strip())
            begin = place + 1
            if sign == ")":
                return found, begin
    raise ValueError(text)


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "Bool"
    if isinstance(value, int):
        return "Int64"
    if isinstance(value, float):
        return "Float64"
    if isinstance(value, datetime):
        return _TIME
    if isinstance(value, Sequence) and not isinstance(value, str):
        kinds = {_type_of(one) for one in value if one is not None}
        kind = "Float64" if kinds == {"Int64", "Float64"} else min(kinds, default="String")
        return f"Array(Nullable({kind}))" if None in value else f"Array({kind})"
    return "String"


def _bound(value: Any) -> Any:
    """A value as the client can bind it: it would cut the microseconds of a time."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S.%f}"
    return [_bound(one) for one in value] if isinstance(value, list | tuple) else value


_MACROS = {
    name: (since, until, body)
    for script in VIEWS
    for match in [_MACRO.match(_COMMENT.sub("", script).strip())]
    if match is not None
    for name, since, until, body in [match.groups()]
}
"""The views that have a period: name, its two parameters, and the statement over them."""
