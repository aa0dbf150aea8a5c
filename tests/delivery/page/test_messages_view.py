"""Messages about alerts on the page: each with what became of it, to whom, and why, in a browser and on a phone too."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.browser import browser, complaints, needs_browser, until
from support.notified import RULES, fire, titles
from support.page import serving, shown, wait_for, watching_page
from support.post import Letterbox, http_server
from support.stores import rows

from otel_metrics.store.database import writing

pytest.importorskip("apprise", reason="apprise is not installed: pip install '.[notify]'")

SECRET = "a-password-of-theirs"
ON_CALL = """
[[target]]
name = "on_call"
url = "{url}/${{HOOK_PASSWORD}}"
"""


@pytest.fixture
def box() -> Iterator[Letterbox]:
    with http_server() as one:
        yield one


def test_it_can_leave_the_alerts_to_others(tmp_path: Path, box: Letterbox):
    """With --no-alerts it looks at no rule and says so; what another one sends is shown."""
    fire(tmp_path, box)
    with serving(tmp_path / "metrics.db", "--no-alerts", alerts=True) as page:
        text = shown(page)
        assert "Nobody has looked at the rules." in text and "leaves that to <code>otel-metrics watch</code>" in text
    with watching_page(tmp_path) as other:
        wait_for(lambda: titles(box), other.process)
    with serving(tmp_path / "metrics.db", "--no-alerts", alerts=True) as page:
        text = shown(page)
    assert ">sent<" in text and "The rules were looked at" in text


def test_undelivered_messages_say_what_to_do(tmp_path: Path, box: Letterbox):
    """One that was given up shows its target, why, and the command that lets it be tried anew."""
    fire(tmp_path, box)
    with watching_page(tmp_path) as page:
        wait_for(lambda: titles(box), page.process)
    with writing(tmp_path / "metrics.db") as connection:
        connection.execute("UPDATE notices SET state = 'undelivered', tries = 30, error = '<b>no</b> such host'")
    with serving(tmp_path / "metrics.db") as page:
        text = shown(page)
    assert ">undelivered<" in text and "&lt;b&gt;no&lt;/b&gt; such host" in text
    assert "alerts messages --again" in text


@needs_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_messages_can_be_read_at_every_width(tmp_path: Path, box: Letterbox, width: int):
    """Sent, to be retried and undelivered: what and why is in sight on a phone too, and no secret is anywhere."""
    fire(tmp_path, box)
    rules = tmp_path / "metrics.rules.toml"
    rules.write_text(RULES.format(url=box.url()) + ON_CALL.format(url=box.url()))
    with watching_page(tmp_path, HOOK_PASSWORD=SECRET) as page:
        wait_for(lambda: [row for row in rows(tmp_path / "metrics.db", "notices") if row["error"]], page.process)
    with writing(tmp_path / "metrics.db") as connection:
        columns = "alert_id, change, decided_at, severity, title, body, tried_at, error, target, state, tries"
        connection.execute(
            f"INSERT INTO notices ({columns}) SELECT {columns.removesuffix('target, state, tries')} 'gone', 'undelivered', 30 "
            "FROM notices WHERE target = 'on_call'"
        )
    with serving(tmp_path / "metrics.db", HOOK_PASSWORD=SECRET) as page, browser(width) as driver:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        driver.get(f"{page.base}/alerts")
        until(driver, "return window.socket?.connected && document.querySelector('#table-messages') !== null")
        cells = driver.execute_script(
            "return [...document.querySelectorAll('#table-messages tbody tr')].map(row => [...row.cells].slice(0, 4).map(one => one.innerText))"
        )
        text = driver.execute_script("return document.documentElement.outerHTML")
        reach = driver.execute_script(
            "return Math.max(...[...document.querySelectorAll('#table-messages tr > :nth-child(-n+2)')].map(one => one.getBoundingClientRect().right))"
        )
        wide = driver.execute_script("return document.documentElement.scrollWidth")
        assert complaints(driver) == []
    by_target = {target.splitlines()[0]: (message, state, target, tries) for message, state, target, tries in cells}
    assert {name: one[1].splitlines()[0] for name, one in by_target.items()} == {
        "hook": "sent", "on_call": "to be retried", "gone": "undelivered"
    }  # fmt: skip
    assert by_target["hook"][0] == "FIRING warning: cpu (type=cpu)"
    assert "error=404" in by_target["on_call"][0] and "error=404" in by_target["gone"][0]
    assert by_target["on_call"][2] == "on_call\njson://…"
    assert by_target["gone"][2:] == ("gone\nnot in the rules file", "30")
    assert SECRET not in text and str(box.port) not in text
    assert wide <= width and reach <= width
