"""Owns targets: to whom alerts are sent, as the rules file says it, with secrets filled in from the environment."""

import re
from typing import Annotated, Literal
from urllib.parse import quote

from msgspec import Meta, Struct

from otel_metrics.analytics.alerting.rules import Name, Rule
from otel_metrics.errors import SettingError
from otel_metrics.settings import secret

SEVERITIES = ("info", "warning", "critical")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Target(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Somebody who is told: a URL as Apprise knows it. It may hold secrets, so no message shows it."""

    name: Name
    url: Annotated[str, Meta(min_length=1, max_length=4000)]
    severity: Literal["info", "warning", "critical"] = "info"
    """Alerts below it are not sent there."""

    def __repr__(self) -> str:
        return f"Target(name={self.name!r}, severity={self.severity!r})"

    def takes(self, rule: Rule) -> bool:
        """Whether alerts of a rule are sent there."""
        named = rule.notify is None or self.name in rule.notify
        return named and SEVERITIES.index(rule.severity) >= SEVERITIES.index(self.severity)

    def filled_url(self) -> str:
        """The URL with every `${NAME}` replaced; `SettingError` where the environment has no such variable.

        A variable that is the whole URL is taken as it is. As a part its signs are escaped: a password may hold any.
        """
        whole = _VARIABLE.fullmatch(self.url)
        if whole:
            return self._value(whole[1])
        return _VARIABLE.sub(lambda found: _escaped(self._value(found[1])), self.url)

    def secrets(self) -> list[str]:
        """Texts that must not be shown: the URL, and the values in it, plain and escaped; the longest first."""
        values = [value for name in _VARIABLE.findall(self.url) if (value := secret(name))]
        return sorted({self.url, *values, *map(_escaped, values)}, key=len, reverse=True)

    @property
    def scheme(self) -> str:
        """What kind of target it is, such as `tgram`, as far as that is no secret."""
        scheme, sign, _ = self.url.partition("://")
        return scheme if sign and "$" not in scheme else "…"

    def _value(self, name: str) -> str:
        value = secret(name)
        if value is None:
            raise SettingError(
                f"target {self.name} needs the variable {name}, which is not set", "its value in the environment",
                f"set {name} where this runs",
            )  # fmt: skip
        return value


def _escaped(value: str) -> str:
    return quote(value, safe="", errors="surrogateescape")  # a variable need not be UTF-8
