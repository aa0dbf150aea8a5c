"""Owns how charts look: ECharts options whose colours are the page's own, so that dark and light need no new ones."""

import math
from collections.abc import Sequence
from typing import Any

Options = dict[str, Any]
_FONT = "system-ui, sans-serif"  # room is measured with it: one that is inherited can not be measured
_TEXT = {"color": "var(--quiet)", "fontFamily": _FONT, "fontSize": 11}
_DURATION = (
    "v => v == null ? '–' : v < 1000 ? Math.round(v) + 'ms' : v < 60000 ? +(v / 1000).toFixed(1) + 's' : "
    "v < 3600000 ? Math.round(v / 60000) + 'min' : Math.floor(v / 3600000) + 'h' + "
    "(v % 3600000 >= 60000 ? String(Math.floor(v % 3600000 / 60000)).padStart(2, '0') + 'm' : '')"
)
_COUNT = "v => v == null ? '–' : Number(v).toLocaleString('en')"
_PERCENT = "v => v == null ? '–' : +Number(v).toFixed(1) + '%'"
_MONEY = "v => v == null ? '–' : +Number(v).toPrecision(3)"
FORMS = {"ms": _DURATION, "count": _COUNT, "percent": _PERCENT, "money": _MONEY}
_CLOCK_MS = (
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000,
    1_800_000, 3_600_000, 7_200_000, 14_400_000, 21_600_000, 43_200_000, 86_400_000,
)  # fmt: skip
COLORS = ["var(--work)", "var(--wait)", "var(--third)", "var(--fourth)", "var(--fifth)", "var(--sixth)"]


def line(name: str, values: Sequence[float | None], place: int = 0, *, area: bool = False) -> Options:
    """A line of a chart over time; None is a gap."""
    color = COLORS[place % len(COLORS)]
    return {
        "name": name, "type": "line", "data": list(values), "showSymbol": len(values) < 3, "symbolSize": 5, "smooth": 0.15, "smoothMonotone": "x",
        "lineStyle": {"width": 2, "color": color}, "itemStyle": {"color": color}, "connectNulls": True,
        **({"areaStyle": {"color": color, "opacity": 0.12}} if area else {}),
    }  # fmt: skip


def bars(name: str, values: Sequence[float | None], place: int = 0, stack: str | None = None) -> Options:
    """Bars of a chart."""
    color = COLORS[place % len(COLORS)]
    return {
        "name": name, "type": "bar", "data": list(values), "itemStyle": {"color": color, "borderRadius": 2},
        "barMaxWidth": 28, **({"stack": stack} if stack else {}),
    }  # fmt: skip


def _steps(series: Sequence[Options], form: str) -> Options:
    """An axis of durations has steps as clocks do, which an axis of numbers would not find."""
    if form != "ms":
        return {}
    most = max((value for one in series for value in one["data"] if value is not None), default=0)
    step = next((one for one in _CLOCK_MS if most <= 5 * one), None)
    return {} if step is None or not most else {"interval": step, "max": math.ceil(most / step) * step}


def chart(
    categories: Sequence[str], series: Sequence[Options], form: str = "count", *, sideways: bool = False
) -> Options:
    """A chart over categories, such as times. `form` is a key of FORMS. `sideways`: bars that go to the right, with room for names."""
    names = {
        "type": "category", "data": list(categories), "axisLabel": {**_TEXT, "hideOverlap": True},
        "axisLine": {"lineStyle": {"color": "var(--line)"}}, "axisTick": {"show": False}, "inverse": sideways,
    }  # fmt: skip
    values = {
        "type": "value", "axisLabel": {**_TEXT, ":formatter": FORMS[form]}, "splitNumber": 4, **_steps(series, form),
        "splitLine": {"lineStyle": {"color": "var(--line)"}},
    }  # fmt: skip
    return {
        "animation": False, "color": COLORS, "textStyle": {"fontFamily": _FONT},
        "grid": {"left": 6, "right": 14, "top": 34 if len(series) > 1 else 12, "bottom": 4, "containLabel": True},
        "legend": {"show": len(series) > 1, "top": 0, "left": 0, "itemWidth": 14, "itemHeight": 8, "textStyle": _TEXT},
        "tooltip": {
            "trigger": "axis", ":valueFormatter": FORMS[form], "backgroundColor": "var(--card)", "borderColor": "var(--line)",
            "textStyle": {"color": "var(--text)", "fontSize": 12}, "confine": True,
        },
        "xAxis": values if sideways else names, "yAxis": names if sideways else values, "series": list(series),
    }  # fmt: skip
