"""Alerts reach people: by a webhook, Telegram and mail, once each on firing and on recovery, through outages and deaths."""

import json
import threading
from collections.abc import Iterator

import pytest
from support.alerting import NOW
from support.notified import RULES, bench, titles
from support.post import TOKEN, Letterbox, http_server, mail_server, text_of

from otel_metrics.analytics.alerting.duration import Duration
from otel_metrics.analytics.alerting.evaluation import evaluate_alerts
from otel_metrics.analytics.alerting.silencing import silence_alerts, unsilence_alerts
from otel_metrics.delivery.notify.courier import MOST_TRIES, pause_s
from otel_metrics.errors import SettingError
from otel_metrics.model.times import to_ns
from otel_metrics.store.database import writing

pytest.importorskip("apprise", reason="apprise is not installed: pip install '.[notify]'")

NOW_S = to_ns(NOW) / 1e9


@pytest.fixture
def box() -> Iterator[Letterbox]:
    with http_server() as one:
        yield one


def test_a_webhook_hears_of_firing_and_of_recovery_once(tmp_path, box):
    """However often it is looked at: two messages, with the figures, the times and both links."""
    with bench(tmp_path, RULES.format(url=box.url())) as one:
        for value in (50, 90, 99, 99, 20, 20):
            one.look(value)
    fired, over = box.arrived
    assert (fired["title"], fired["type"]) == ("FIRING warning: cpu (type=cpu)", "warning")
    assert fired["message"].splitlines() == [
        "cpu is 90 (last of 2 values in the last 1h); the upper limit is 80.", "", "Figures: 90, limit 80, 2 samples",
        "Firing since: 2026-03-10 15:02:00 UTC", "Labels: team=ops", "The machine is busy.",
        "What to do: https://example.org/cpu", "More: https://metrics.example.org/alerts?rule=cpu",
    ]  # fmt: skip
    assert (over["title"], over["type"]) == ("RESOLVED: cpu (type=cpu)", "success")
    assert "Fired: 2026-03-10 15:02:00 UTC, for 3m" in over["message"]


def test_telegram_hears_of_it_and_markup_in_names_is_text(tmp_path, box, monkeypatch):
    """The Bot API gets the chat and the text, with the token from the environment and every sign of it escaped."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import warnings\nwarnings.simplefilter('ignore')\nfrom apprise.plugins.telegram import NotifyTelegram\n"
        f"NotifyTelegram.notify_url = 'http://127.0.0.1:{box.port}/bot'\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("TELEGRAM_TOKEN", TOKEN)
    rules = RULES.format(url="tgram://${TELEGRAM_TOKEN}/4242").replace("The machine", "The <b>machine</b> & all")
    with bench(tmp_path, rules) as one:
        box.failures = 1
        assert [why for _, why in one.look(90).failed] == [
            "Failed to send Telegram notification to 4242: Internal Server Error: secret of theirs, error=500."
        ]
        assert len(one.look(90).delivered) == 1
    (message,) = box.arrived
    assert message["chat_id"] == 4242
    assert "FIRING warning: cpu" in message["text"] and "The &lt;b&gt;machine&lt;/b&gt; &amp; all" in message["text"]


def test_a_mail_server_that_says_later_gets_it_later(tmp_path, monkeypatch):
    """The mail arrives once the server takes it; a name with a line end does not begin a header."""
    monkeypatch.setenv("MAIL_PASSWORD", "p@ss/w:rd?")
    with mail_server() as post:
        url = f"mailto://127.0.0.1:{post.port}/?from=bot@example.org&to=ops@example.org&mode=insecure"
        rules = RULES.format(url=url).replace('type = "cpu"', 'type = "cpu\\r\\nBcc: thief@example.org"')
        with bench(tmp_path, rules) as one:
            post.failures = 1
            one.service.record_system_metric("cpu\r\nBcc: thief@example.org", 90)
            assert len(one.look().failed) == 1
            assert len(one.look().delivered) == 1
        (mail,) = post.arrived
    assert mail["To"] == "ops@example.org"
    assert mail["Bcc"] is None
    assert mail["Subject"] == "FIRING warning: cpu (type=cpu Bcc: thief@example.org)"
    assert "https://metrics.example.org/alerts?rule=cpu" in text_of(mail)


def test_a_failed_message_is_tried_again_later_and_later_by_whoever_watches_then(tmp_path, box):
    """After 30 s, a minute, two and so on, over restarts; a look before that does not try."""
    with bench(tmp_path, RULES.format(url=box.url())) as one:
        box.failures = 3
        one.look(90, 0)
        for pause in (30, 60, 120):
            asked = box.asked
            assert one.look(None, pause - 1).next_s == 1.0
            assert box.asked == asked
            one.watchman = one.another()
            one.look(None, 1)
            assert box.asked == asked + 1
        assert titles(box) == ["FIRING warning: cpu (type=cpu)"]
        assert one.stored()[0]["tries"] == 4
        assert one.look(None, 3600).next_s is None


def test_what_finally_fails_is_kept_and_shown_until_something_arrives(tmp_path, box):
    """After thirty tries it is undelivered in the store, `get_alerts` says so, and no longer when a later one arrives."""
    with bench(tmp_path, RULES.format(url=box.url())) as one:
        box.failures = 3
        assert len(one.look(90, 0).failed) == 1
        with writing(one.service.settings.database) as connection:  # as after a day of them
            connection.execute("UPDATE notices SET tries = ?", (MOST_TRIES - 2,))
        assert len(one.look(90, pause_s(MOST_TRIES - 2)).failed) == 1
        assert len(one.look(90, pause_s(MOST_TRIES - 1)).given_up) == 1
        assert 20 < sum(map(pause_s, range(1, MOST_TRIES))) / 3600 < 28
        assert one.look(90, 3600).next_s is None
        (row,) = one.stored()
        assert (row["state"], row["tries"]) == ("undelivered", MOST_TRIES)
        (alert,) = [alert for alert in one.service.get_alerts() if alert["type"] == "undelivered"]
        assert (alert["target"], alert["count"], alert["severity"]) == ("hook", 1, "critical")
        assert "error=500" in alert["message"]
        one.look(20)
        assert titles(box) == ["RESOLVED: cpu (type=cpu)"]
        assert [alert for alert in one.service.get_alerts() if alert["type"] == "undelivered"] == []


def test_no_answer_is_a_failure_and_stops_nobody_else(tmp_path, box, monkeypatch):
    """A server that hangs is given up for this time, and the others have their message at once."""
    monkeypatch.setattr("otel_metrics.delivery.notify.posting.TIMEOUT_S", 0.5)
    with (
        http_server() as deaf,
        bench(tmp_path, RULES.format(url=deaf.url()) + f'[[target]]\nname = "b"\nurl = "{box.url()}"\n') as one,
    ):
        deaf.held = threading.Event()
        sent = one.look(90)
        assert ([notice.target for notice in sent.delivered], [notice.target for notice, _ in sent.failed]) == (
            ["b"],
            ["hook"],
        )
    assert len(box.arrived) == 1


def test_an_answer_without_an_end_is_ended(tmp_path, box, monkeypatch):
    """A server that goes on answering for good costs the time limit, leaves nothing running, and is a failed try."""
    monkeypatch.setattr("otel_metrics.delivery.notify.posting.TIMEOUT_S", 0.5)
    monkeypatch.setattr("otel_metrics.delivery.notify.posting._LAST_WORDS_S", 1.0)
    box.endless = True
    with bench(tmp_path, RULES.format(url=box.url())) as one:
        (failed,) = one.look(90).failed
    assert "did not finish within 0." in failed[1] or "no answer" in failed[1]
    assert box.gone.wait(10)


def test_a_silenced_alert_is_told_when_the_silence_is_over(tmp_path, box):
    """Not before; and who was told that it fires hears that it is over, silenced or not."""
    with bench(tmp_path, RULES.format(url=box.url())) as one:
        storage, rules = one.service.storage, one.service.answers.rules()
        silence_alerts(storage, rules, "cpu", {"team": "ops"}, "known", Duration(600), one.clock.time_ns())
        one.look(90)
        one.look(90)
        assert box.arrived == []
        one.look(90, 600)
        silence_alerts(storage, rules, "cpu", {}, "known", Duration(600), one.clock.time_ns())
        one.look(20)
        assert [title.split()[0] for title in titles(box)] == ["FIRING", "RESOLVED:"]
        one.look(90)
        one.look(20)
        assert len(box.arrived) == 2
        unsilence_alerts(storage, "cpu", now_ns=one.clock.time_ns())
        one.look(20)
        assert len(box.arrived) == 2


def test_each_target_gets_what_it_is_for(tmp_path, box):
    """By the names in `notify` and by severity; a target that comes later hears of what still fires."""
    targets = "".join(
        f'[[target]]\nname = "{name}"\nurl = "{box.url()}/"\nseverity = "{severity}"\n'
        for name, severity in (("all", "info"), ("grave", "critical"))
    )
    rule = '[[rule]]\nname = "{0}"\nkind = "system_metric"\ntype = "cpu"\nabove = 80\nseverity = "{1}"\n'
    rules = (
        targets
        + rule.format("a", "critical")
        + 'notify = ["grave"]\n'
        + rule.format("b", "info")
        + rule.format("c", "critical")
        + "notify = []\n"
    )
    with bench(tmp_path, rules) as one:
        one.look(90)
        assert [(row["target"], row["title"].split()[2]) for row in one.stored()] == [("grave", "a"), ("all", "b")]
        (tmp_path / "metrics.rules.toml").write_text(rules + f'[[target]]\nname = "late"\nurl = "{box.url()}"\n')
        one.look(90)
        assert [row["target"] for row in one.stored()[2:]] == ["late"]
    assert len(box.arrived) == 3


def test_what_somebody_else_has_evaluated_is_told(tmp_path, box):
    """An evaluator without targets changes the states first, and people hear of it all the same."""
    with bench(tmp_path, RULES.format(url=box.url())) as one:
        for value in (90, 20):
            one.service.record_system_metric("cpu", value)
            assert evaluate_alerts(
                one.service.storage, one.service.answers, one.service.answers.rules(), one.clock.time_ns() / 1e9
            )
            one.look()
    assert len(box.arrived) == 2


def test_retention_does_not_make_old_news_new(tmp_path, box):
    """What has fired for longer than rows are kept is not told again; what is over goes with its alert."""
    with bench(tmp_path, RULES.format(url=box.url())) as one:
        one.look(90)
        one.service.storage.prune(one.clock.time_ns() + 31 * 86_400 * 10**9)
        one.look(90)
        assert len(box.arrived) == 1
        one.look(20)
        one.service.storage.prune(one.clock.time_ns() + 31 * 86_400 * 10**9)
        assert one.stored() == []


def test_who_is_forgotten_is_not_in_the_messages_either(tmp_path, box):
    """An id that stood in a name, and so in a title and a text, is taken out of the rows."""
    with bench(tmp_path, RULES.format(url=box.url()).replace('type = "cpu"', 'type = "cpu.7345128961"')) as one:
        one.service.record_system_metric("cpu.7345128961", 90)
        one.look()
        assert "7345128961" in one.stored()[0]["title"]
        one.service.storage.forget(7345128961)
        assert "7345128961" not in json.dumps(one.stored())


def test_a_clock_that_goes_back_does_not_put_a_message_off(tmp_path, box):
    """Tried at a time that is not yet, it is tried again at once."""
    with bench(tmp_path, RULES.format(url=box.url())) as one:
        box.failures = 1
        one.look(90, 10 * 365 * 86_400)
        one.clock.set_time(NOW_S)
        assert len(one.watchman.send().delivered) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('url = "nonsense://x"', "a URL (nonsense://…) that Apprise can not use"),
        ('url = "json://${NO_SUCH_VARIABLE}"', "needs the variable NO_SUCH_VARIABLE, which is not set"),
        ("url = 5", "has url = (hidden)"), ("", "has no url"), ('url = "json://x"\nspeed = 1', "has 'speed'"),
        ('url = "json://x"\nseverity = "loud"', "has severity = 'loud'"),
        ('url = "json://x"\n[[target]]\nname = "a"\nurl = "json://y"', "stands there twice"),
        ('url = "json://x"\n[[rule]]\nname = "r"\nkind = "queue_length"\nthreshold = 1\nnotify = ["b"]', "notify = 'b'"),
    ],
)  # fmt: skip
def test_a_wrong_target_is_refused_at_the_start(tmp_path, cli, line, said):
    """In one line, status 2, with the target and without its URL."""
    (tmp_path / "metrics.rules.toml").write_text(f'[[target]]\nname = "a"\n{line}\n')
    result = cli("watch", "--once")
    assert (result.status, result.notes.count("\n")) == (2, 1)
    assert said in result.notes


def test_secrets_are_told_nobody(tmp_path, box, monkeypatch):
    """What goes wrong is said without the URL and without what stands in it."""
    monkeypatch.setenv("HOOK", f"json://user:hunter2%40@127.0.0.1:{box.port}/?x=1")
    rules = RULES.format(url="${HOOK}")
    with bench(tmp_path, rules) as one:
        box.failures = 1
        one.look(90)
        assert "hunter2" not in json.dumps(one.stored())
        monkeypatch.delenv("HOOK")
        one.look(90)
        assert "HOOK, which is not set" in one.notes[-1]
        with pytest.raises(SettingError):
            one.another()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('Sending now!')", ""), ("raise ValueError('odd \\udc80')", "ValueError: odd"),
        ("import os; os._exit(3)", "it could not be sent (status 3)"), ("import sys; sys.exit('no more')", "no more"),
    ],
)  # fmt: skip
def test_whatever_a_service_does_is_an_answer(tmp_path, box, monkeypatch, code, said):
    """It prints, raises, dies or ends: the message has arrived, or is a failed try with a reason."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import warnings\nwarnings.simplefilter('ignore')\nfrom apprise.plugins.custom_json import NotifyJSON\n"
        f"before = NotifyJSON.send\ndef send(*given, **more):\n    {code}\n    return before(*given, **more)\nNotifyJSON.send = send\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    with bench(tmp_path, RULES.format(url=box.url())) as one:
        sent = one.look(90)
        (row,) = one.stored()
    assert row["state"] == ("waiting" if said else "delivered")
    assert len(sent.delivered) == len(box.arrived) == (0 if said else 1)
    assert bool(row["error"]) is bool(said)
