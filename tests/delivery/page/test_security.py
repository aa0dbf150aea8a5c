"""The live page against who should not see or steer it, over real HTTP."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.page import Served, serving

from otel_metrics.delivery.page.sql_process import Limits, SqlAnswer, run_limited
from otel_metrics.errors import QueryError
from otel_metrics.settings import Settings, load

_SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
_UPGRADE = {
    "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip
_NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.fixture(scope="module")
def local(demo_folder: Path) -> Iterator[Served]:
    """A page for this machine alone."""
    with serving(demo_folder / "metrics.db") as served:
        yield served


@pytest.fixture(scope="module")
def public(demo_folder: Path) -> Iterator[Served]:
    """A page that other machines could reach."""
    with serving(demo_folder / "metrics.db", "--host", "0.0.0.0") as served:
        yield served


def test_by_itself_it_listens_to_this_machine_only(local: Served):
    """Without a flag the page is at 127.0.0.1, opens without a token, and its link has none."""
    assert local.link == f"http://127.0.0.1:{local.port}/"
    assert local.ask("/").status == 200


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_names_of_this_machine_are_let_in(local: Served, name: str):
    """The page opens under every name of the loopback address, with its port."""
    assert local.ask("/now", host=f"{name}:{local.port}").status == 200


@pytest.mark.parametrize(
    "name", ["evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", ""]
)
def test_another_host_is_refused(local: Served, name: str):
    """A name that an attacker points at this machine gets no page, no script and no socket: DNS rebinding ends here."""
    host = name.format(port=local.port)
    for path in ("/", "/_nicegui_ws/socket.io/?EIO=4&transport=polling"):
        answer = local.ask(path, host=host)
        assert answer.status == 421
        assert "demo" not in answer.text
    assert local.ask(_SOCKET, **(_UPGRADE | {"host": host, "origin": f"http://{host}"})).status == 403


def test_unsafe_methods_come_from_the_page_itself(local: Served):
    """What could change something is refused where it comes from another site or does not say where it comes from."""
    own = f"http://127.0.0.1:{local.port}"
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=polling&sid=none"
    for origin in (
        "http://evil.example",
        "null",
        f"http://localhost.evil.example:{local.port}",
        f"http://localhost:{local.port}",
    ):
        assert local.ask(path, "POST", "40", origin=origin).status == 403
    assert local.ask(path, "POST", "40").status == 403
    for method in ("PUT", "DELETE", "PATCH"):
        assert local.ask("/", method, "x", origin="http://evil.example").status == 403
    assert (
        local.ask(path, "POST", "40", origin=own).status == 400
    )  # it came as far as the socket, which knows no such session


def test_another_site_can_not_read_or_open_a_socket(local: Served):
    """A script of another site gets nothing to read, and no socket; the page's own script does."""
    evil = "http://evil.example"
    assert local.ask("/_nicegui_ws/socket.io/?EIO=4&transport=polling", origin=evil).status == 403
    assert local.ask("/", origin=evil).status == 403
    assert local.ask(_SOCKET, **(_UPGRADE | {"origin": evil})).status == 403
    assert local.ask(_SOCKET, **_UPGRADE).status == 403
    assert local.ask(_SOCKET, **(_UPGRADE | {"origin": f"http://127.0.0.1:{local.port}"})).status == 101


def test_another_address_needs_the_token(public: Served):
    """Served to others, nothing is shown without the token: no page, no script, no socket."""
    assert len(public.token) >= 24
    for path in ("/", "/sessions", "/_nicegui/x/libraries/vue", "/metrics"):
        answer = public.ask(path)
        assert answer.status == 401
        assert public.token not in answer.text
    assert public.ask("/?token=wrong").status == 401
    assert public.ask("/", cookie="otel_metrics_token=wrong").status == 401
    assert public.ask("/", authorization="Bearer wrong").status == 401
    assert public.ask(_SOCKET, **(_UPGRADE | {"origin": f"http://127.0.0.1:{public.port}"})).status == 403


def test_the_link_gives_a_cookie_that_scripts_and_other_sites_do_not_get(public: Served):
    """The printed link sets the token as an HttpOnly, SameSite=Strict cookie and leads on without it in the address."""
    welcome = public.ask(f"/overview?hours=6&token={public.token}")
    cookie = welcome.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert 'content="0;url=/overview?hours=6"' in welcome.text
    assert public.token not in welcome.text
    assert welcome.headers["referrer-policy"] == "no-referrer"
    assert public.ask("/overview?hours=6", cookie=cookie.partition(";")[0]).status == 200
    assert public.ask("/", authorization=f"Bearer {public.token}").status == 200


def test_a_link_from_elsewhere_takes_one_step_more(public: Served):
    """Who follows a link from a chat, and has the cookie, gets to the page: the browser leaves a strict cookie out at first."""
    stepping = public.ask("/alerts?rule=x", **(_NAVIGATION | {"sec-fetch-site": "cross-site"}))
    assert 'content="0;url=/alerts?rule=x"' in stepping.text
    assert public.ask("/alerts?rule=x", **(_NAVIGATION | {"sec-fetch-site": "same-origin"})).status == 401
    outside = public.ask("//evil.example/x", **(_NAVIGATION | {"sec-fetch-site": "cross-site"}))
    assert 'url=/evil.example/x"' in outside.text


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/_nicegui/3.18.0/static/../../../../etc/passwd",
        "/_nicegui/3.18.0/static/%2e%2e/%2e%2e/ui.py", "/_nicegui/3.18.0/resources/x/..%2f..%2f..%2fetc%2fpasswd",
        "/_nicegui/3.18.0/esm/nicegui-echart/../../echart.py", "/..%5c..%5cmetrics.db", "/metrics.db", "/metrics.jsonl", "/.nicegui/",
    ],
)  # fmt: skip
def test_no_path_leads_to_files(local: Served, path: str):
    """However a path is written, it leads to no file that is not the page's own."""
    answer = local.ask(path)
    assert answer.status in {400, 403, 404}
    assert "root:" not in answer.text
    assert "SQLite" not in answer.text


def test_browsers_are_told_what_to_forbid(local: Served):
    """The page may not be framed, takes nothing from another host, and its types are not guessed."""
    headers = local.ask("/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


def test_the_page_names_no_other_host(local: Served):
    """Nothing in the page is loaded from anywhere else: it works without a network."""
    text = local.ask("/").text.replace("http://www.w3.org", "")
    assert "https://" not in text
    assert "http://" not in text.replace(f"http://127.0.0.1:{local.port}", "")


@pytest.fixture(scope="module")
def store(demo_folder: Path) -> Settings:
    """The store that queries go to."""
    return load({"database": demo_folder / "metrics.db", "log_file": demo_folder / "metrics.jsonl"}, {})


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM sessions", "COPY sessions TO 'stolen.csv'", "ATTACH 'metrics.db' AS other", "CREATE TABLE mine (a INT)",
        "SET memory_limit = '9GB'", "PRAGMA enable_profiling", "INSTALL httpfs", "EXPORT DATABASE 'stolen'", "SELECT 1; SELECT 2",
        "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_text('/etc/passwd')", "FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')", "SELECT * FROM read_blob('metrics.db')", "SELECT getenv('METRICS_ID_KEY')",
        "SELECT * FROM read_csv('http://127.0.0.1:1/x')",
    ],
)  # fmt: skip
def test_sql_neither_writes_nor_reads_files(store: Settings, query: str):
    """A query that writes, changes settings, reads a file or talks to a network is refused."""
    before = sorted(store.database.parent.iterdir())
    with pytest.raises(QueryError) as refused:
        run_limited(store, query)
    assert "root:" not in str(refused.value)
    assert sorted(store.database.parent.iterdir()) == before


@pytest.mark.parametrize(
    "query",
    [
        "SELECT repeat('x', 2000000000)", "SELECT list(range) FROM range(1000000000)",
        "SELECT string_agg(repeat('x', 1000000), '') FROM range(10000)",
        "SELECT count(DISTINCT a.range * b.range) FROM range(100000) AS a, range(100000) AS b",
    ],
)  # fmt: skip
def test_sql_gets_no_more_memory_than_it_may_have(store: Settings, query: str):
    """A query that would fill the memory ends with a word about it, and nothing is written to the disk instead."""
    with pytest.raises(QueryError, match=r"(?i)memory"):
        run_limited(store, query)


def test_sql_ends_in_time(store: Settings):
    """A query that would run for hours is ended with its process."""
    with pytest.raises(QueryError, match="longer than 2 s"):
        run_limited(store, "SELECT count(*) FROM range(1000000000000)", Limits(seconds=2.0))


def test_sql_gives_a_bounded_answer(store: Settings):
    """Of many rows, and of long texts, only so much comes to the page, and it is said that there is more."""
    answer = run_limited(store, "SELECT repeat('x', 100000) FROM range(5000)")
    assert len(answer.rows) == 1000
    assert answer.more
    assert all(len(row[0]) == 2000 for row in answer.rows)
    assert run_limited(store, "SELECT 42 AS answer") == SqlAnswer(["answer"], [True], [["42"]], more=False)


def test_the_query_s_process_knows_no_key(store: Settings, monkeypatch: pytest.MonkeyPatch):
    """Keys and tokens in the environment of `serve` do not reach the process that runs strangers' queries."""
    given: list[dict[str, str]] = []
    real = subprocess.run

    def noted(*arguments: Any, **more: Any) -> Any:
        given.append(more["env"])
        return real(*arguments, **more)

    monkeypatch.setenv("METRICS_ID_KEY", "a key that nobody may see")
    monkeypatch.setattr(subprocess, "run", noted)
    run_limited(store, "SELECT 1")
    assert given
    assert not [name for name in given[0] if name.startswith(("METRICS_", "OTEL_"))]
