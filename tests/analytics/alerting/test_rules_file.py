"""The file of rules: what it changes, and what is said of one that is not as it should be."""

import os
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.alerting import played, readings

from otel_metrics.analytics.alerting.duration import Duration, said
from otel_metrics.analytics.alerting.rules import KINDS
from otel_metrics.analytics.alerting.rules_file import load_rules, load_rules_file
from otel_metrics.errors import SettingError
from otel_metrics.settings import load

DOCS = Path(__file__).parents[3] / "docs" / "alerts.md"
MEAN = '[[rule]]\nname = "r"\nkind = "slow_stage"\nthreshold = "5s"\n'
LONG = '[[rule]]\nname = "r"\nkind = "queue_length"\nthreshold = 5\n'
METRIC = '[[rule]]\nname = "r"\nkind = "system_metric"\ntype = "cpu"\n'
SURGE = '[[rule]]\nname = "r"\nkind = "token_surge"\n'
ODD = '[[rule]]\nname = "r"\nkind = "deviation"\n'


def rules_in(folder: Path, text: str | bytes, **more):
    path = folder / "rules.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return {rule.name: rule for rule in load_rules(load({"rules": path, **more}, {}))}


def test_without_a_file_there_are_the_two_of_the_contract():
    """Their thresholds are those of the settings."""
    chosen = load(
        {
            "database": "/nowhere/m.db",
            "slow_stage_ms": 7000,
            "slow_human_stage_ms": 60_000,
            "slow_min_stages": 3,
            "correction_rate_percent": 12,
            "correction_min_sessions": 4,
        },
        {},
    )
    slow, corrected = load_rules(chosen)
    assert (slow.name, slow.threshold, slow.people_threshold, slow.least) == (
        "slow_processing",
        Duration(7),
        Duration(60),
        3,
    )
    assert (corrected.name, corrected.threshold, corrected.least) == ("high_correction_rate", 12, 4)
    assert slow.enabled and corrected.enabled


def test_the_file_changes_the_two_and_keeps_what_it_does_not_say(tmp_path):
    """A rule of the contract can be changed or switched off under its name; the settings go on to be its defaults."""
    text = '[[rule]]\nname = "slow_processing"\nthreshold = "1m30s"\n[[rule]]\nname = "high_correction_rate"\nenabled = false\n'
    found = rules_in(tmp_path, text, slow_min_stages=2)
    assert found["slow_processing"].threshold == Duration(90)
    assert (found["slow_processing"].people_threshold, found["slow_processing"].least) == (Duration(1800), 2)
    assert not found["high_correction_rate"].enabled


def test_the_file_of_the_usual_name_lies_beside_the_database(tmp_path):
    """It is read without a setting, and a setting that names another one wins."""
    (tmp_path / "metrics.rules.toml").write_text(LONG)
    chosen = load({"database": tmp_path / "m.db"}, {})
    assert [rule.name for rule in load_rules(chosen)][2:] == ["r"]
    (tmp_path / "other.toml").write_text("")
    assert len(load_rules(load({"database": tmp_path / "m.db"}, {"METRICS_RULES": str(tmp_path / "other.toml")}))) == 2


def test_the_example_of_the_docs_has_every_kind_and_runs(tmp_path):
    """docs/alerts.md shows a whole file: it is loaded, each rule is measured, and no kind is missing."""
    example_file = re.search(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert example_file
    found = rules_in(tmp_path, example_file[1])
    assert {rule.kind for rule in found.values()} == set(KINDS)
    assert found["slow_drafts"].hold == Duration(300)
    assert found["slow_drafts"].labels == {"team": "models"}
    with played(tmp_path, []) as service:
        for rule in found.values():
            readings(service, rule)


def test_the_docs_name_every_kind_and_every_common_key():
    """The reference of rules leaves nothing out."""
    text = DOCS.read_text(encoding="utf-8")
    keys = {key for kind in KINDS.values() for key in kind.__struct_encode_fields__}
    assert [one for one in (*KINDS, *keys) if f"`{one}`" not in text and f"\n{one} = " not in text] == []


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        (MEAN + "speed = 5\n", "rule r has 'speed'", "for slow_stage one of name"),
        (MEAN + "stage = 7\n", "rule r has stage = 7", "`str"),
        (MEAN + 'for = "soon"\n', "rule r has for = 'soon'", "a duration such as 90s"),
        (MEAN + "window = 60\n", "rule r has window = 60", "a duration such as 90s"),
        (MEAN + 'window = "0"\n', "rule r", "a `window` above 0"),
        (MEAN + 'window = "-5m"\n', "rule r has window = '-5m'", "a duration"),
        (MEAN + 'window = "99999d"\n', "rule r has window = '99999d'", "ten years at most"),
        (MEAN + 'statistic = "p100.5"\n', "rule r has statistic = 'p100.5'", "matching"),
        (MEAN + "least = 0\n", "rule r has least = 0", ">= 1"),
        (MEAN + 'severity = "loud"\n', "rule r has severity = 'loud'", ""),
        (MEAN + 'link = "javascript:x"\n', "rule r has link = 'javascript:x'", "matching"),
        (MEAN + "labels = { a = 1 }\n", "rule r has labels = {'a': 1}", "`str"),
        (MEAN + MEAN, "rule r stands there twice", "each name once"),
        (LONG + 'window = "5m"\n', "rule r", "no `window`: queue_length is of now"),
        (LONG.replace("5", "nan"), "rule r has threshold = nan", ">= 0"),
        (LONG.replace("5", "inf"), "rule r", "finite"),
        (LONG.replace("threshold = 5", ""), "rule r has no threshold", "a value for it"),
        (LONG.replace("5", "true"), "rule r has threshold = True", "`float`"),
        ('[[rule]]\nname = "r"\n', "rule r has no kind", "one of slow_stage, success_rate"),
        ('[[rule]]\nname = "r"\nkind = "magic"\n', "rule r has kind = 'magic'", "one of slow_stage"),
        ('[[rule]]\nkind = "slow_stage"\n', "rule 1 has no name", "such as name"),
        (MEAN.replace('"r"', '"a b"'), "rule a b has name = 'a b'", "matching"),
        ('[[rule]]\nname = "slow_processing"\nkind = "no_data"\n', "has kind = 'no_data'", "slow_stage, or no kind"),
        ("[rule]\nname = 'r'\n", "has one [rule]", "two pairs of brackets"),
        ("rule = 5\n", "has one [rule]", "two pairs of brackets"),
        ("rule = [5]\n", "rule 1 has no name", "a text"),
        ("[[rules]]\nname = 'r'\n", "has rules", "nothing but [[rule]], [[target]] and page"),
        ("[[rule]\n", "is no TOML", "tables [[rule]]"),
        (b"\xff\xfe", "is no TOML", "tables [[rule]]"),
        (METRIC, "rule r", "either `above` or `below`"),
        (METRIC + "above = 1\nbelow = 2\n", "rule r", "either `above` or `below`"),
        (SURGE + 'baseline = "3h"\n', "rule r", "at least `least` windows"),
        (ODD + 'figure = "mood"\n', "rule r has figure = 'mood'", ""),
        (ODD + 'figure = "arrivals"\nstage = "x"\n', "rule r", "no `stage`"),
        (ODD + 'figure = "arrivals"\nweeks = 3\n', "rule r", "`least_weeks` to be at most"),
        (ODD + 'figure = "arrivals"\nwindow = "8d"\n', "rule r", "a week at most"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_file_rule_found_and_expected(tmp_path, text, found, expected):
    """Each mistake raises with the file, the rule, what was found, what was expected and what to do."""
    with pytest.raises(SettingError) as caught:
        rules_in(tmp_path, text)
    message = str(caught.value)
    assert str(tmp_path / "rules.toml") in message
    assert found in message
    assert expected in caught.value.expected
    assert caught.value.expected
    assert "docs/alerts.md" in caught.value.remedy


def test_a_file_that_is_named_and_not_there_is_a_mistake(tmp_path):
    """No file under the name that METRICS_RULES says raises; none beside the database does not."""
    with pytest.raises(SettingError, match="can not be read"):
        load_rules(load({"rules": tmp_path / "none.toml"}, {}))
    assert len(load_rules(load({"database": tmp_path / "m.db"}, {}))) == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("1w", 604_800), ("500ms", 0.5), ("1.5h", 5400), (" 2 h ", 7200), ("0", 0), ("0s", 0)],
)  # fmt: skip
def test_durations_have_units(text, seconds):
    """A number and a unit, or several."""
    assert Duration.parse(text).seconds == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "5x", "-5m", "5 m m", "1e3s", "٣s", "nan", "5,5h", None, 5, True])
def test_anything_else_is_no_duration(text):
    """There is no guessing."""
    with pytest.raises(ValueError, match="a duration such as"):
        Duration.parse(text)


@given(st.floats(0, 3e8))
def test_durations_are_said_within_a_hundredth_or_so(seconds):
    """What a message says can be read back, and is near."""
    ms = 1000 * seconds
    assert Duration.parse(said(ms)).ms == pytest.approx(ms, rel=0.06, abs=0.5)


keys = st.sampled_from(
    [*sorted({key for kind in KINDS.values() for key in ("kind", *kind.__struct_encode_fields__)}), "x", "rule"]
)
texts = st.sampled_from(
    [
        "5m",
        "0",
        "",
        "mean",
        "p95",
        "arrivals",
        "slow_processing",
        "r",
        "\u0000",
        "日本",
        "both",
        "critical",
        "9" * 400 + "d",
        *KINDS,
    ]
) | st.text(max_size=8)
values = st.recursive(
    texts | st.integers() | st.floats() | st.booleans() | st.just(10**400), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2), max_leaves=4
)  # fmt: skip


def toml(value) -> str:
    """A value as TOML writes it."""
    import json

    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value).replace("\\u007f", "?").replace("\x7f", "?")
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, int) and abs(value) > 10**300:
        return "1" + "0" * 5000
    return repr(value)


tables = st.builds(
    lambda name, kind, more: {**({"name": name} if name else {}), **({"kind": kind} if kind else {}), **more},
    st.sampled_from(["r", "slow_processing", "high_correction_rate", ""]), st.sampled_from(["", *KINDS]), st.dictionaries(keys, values, max_size=4),
)  # fmt: skip
files = st.lists(tables, max_size=3).map(
    lambda several: "".join("[[rule]]\n" + "".join(f"{toml(key)} = {toml(one)}\n" for key, one in table.items()) for table in several)
)  # fmt: skip


@given(files | st.text(max_size=60) | st.binary(max_size=60))
@example("a = " + "[" * 5000)
@example("[[rule]]\nname = 1979-05-27T07:32:00Z\n")
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_file_is_taken_or_refused_in_our_words(tmp_path, text):
    """Whatever stands in the file, there are rules or a `SettingError` that says found, expected and remedy."""
    try:
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        found = rules_in(tmp_path, data)
    except SettingError as error:
        assert error.found and error.expected and error.remedy
    else:
        assert {"slow_processing", "high_correction_rate"} <= set(found)


secrets = st.text(st.characters(exclude_characters="\0"), max_size=30).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)
urls = st.lists(
    st.sampled_from(["json://", "${SECRET}", "$", "{", "}", "${", "host/", "@", ":", "ü", "%"]), max_size=6
).map("".join)


@given(
    urls,
    secrets | st.binary(max_size=30).map(lambda data: data.replace(b"\0", b"")),
    st.dictionaries(keys, values, max_size=2),
)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_target_is_taken_or_refused_and_tells_no_secret(tmp_path, monkeypatch, url, secret, more):
    """Whatever stands in a URL and in the environment: a URL with the value in it, or a `SettingError` without."""
    monkeypatch.setitem(os.environb, b"SECRET", secret)
    table = {"name": "t", "url": url, **{key: value for key, value in more.items() if key not in {"name", "url"}}}
    path = tmp_path / "rules.toml"
    path.write_text(
        "[[target]]\n" + "".join(f"{toml(key)} = {toml(one)}\n" for key, one in table.items()), encoding="utf-8"
    )
    try:
        (target,) = load_rules_file(load({"rules": path}, {})).targets
        assert "url" not in repr(target)
        filled = target.filled_url()
    except SettingError as error:
        assert error.found and error.expected and error.remedy
    else:
        assert "${SECRET}" not in filled or secret.find(b"${SECRET}") >= 0
        if secret and "${SECRET}" in url and url != "${SECRET}":
            assert unquote_to_bytes(filled.encode()).count(secret) >= 1
