"""Owns the address of a ClickHouse: what a URL says, what the client needs of it, and how it is shown, never with its password."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from otel_metrics.settings import Settings

_SCHEMES = {"clickhouse": (False, 8123), "clickhouses": (True, 8443)}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens for HTTP, who asks, and the database that holds the tables."""

    host: str
    port: int
    user: str
    password: str
    database: str
    is_secure: bool

    @classmethod
    def of(cls, url: str) -> Self:
        """The address in `clickhouse://user:password@host:8123/database`; `clickhouses://` is HTTPS. Settings have checked it."""
        parts = urlsplit(url)
        is_secure, port = _SCHEMES[parts.scheme]
        return cls(
            parts.hostname or "", parts.port or port, unquote(parts.username or "default"), unquote(parts.password or ""),
            unquote(parts.path.strip("/")) or "default", is_secure,
        )  # fmt: skip

    def arguments(self) -> dict[str, Any]:
        """What `clickhouse_connect.get_client` takes."""
        return {
            "host": self.host, "port": self.port, "username": self.user, "password": self.password,
            "database": self.database, "interface": "https" if self.is_secure else "http", "query_retries": 0,
        }  # fmt: skip

    def __str__(self) -> str:
        return f"ClickHouse at {self.host}:{self.port}/{self.database}"


def asked_place(settings: "Settings") -> str:
    """Where questions are asked, for people: the database's path, or the server without its password."""
    return str(settings.database) if settings.backend is None else str(Address.of(settings.backend))
