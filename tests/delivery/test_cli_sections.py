"""How a question's document looks where it is wider than the terminal."""

from rich.console import Console
from rich.theme import Theme

from otel_metrics.delivery.cli.sections import SectionsView
from otel_metrics.delivery.cli.streams import STYLES


def printed(document: dict, width: int) -> str:
    console = Console(width=width, theme=Theme(STYLES))
    with console.capture() as capture:
        console.print(SectionsView(document, "UTC"))
    return capture.get()


def test_a_table_that_is_too_wide_is_continued_below_with_its_first_column():
    """No figure is cut: columns without room stand in a further table, whose rows begin with the same name."""
    row = {"name": "a_moderator", **{f"figure_{place}_ms": 1000.0 * place for place in range(1, 9)}}
    shown = printed({"rows": [row]}, 50)
    assert "…" not in shown
    assert shown.count("a_moderator") == 3
    assert all(f"figure {place}" in shown for place in range(1, 9))
    assert printed({"rows": [row]}, 200).count("a_moderator") == 1


def test_the_first_column_stays_where_nobody_knows_its_values():
    """Rejections without a reason show that no reason was given; other columns without values are left out."""
    shown = printed({"reasons": [{"reason": None, "count": 3, "nothing": None}], "rate": 35.0}, 60)
    assert "reason" in shown
    assert "–" in shown
    assert "nothing" not in shown
    assert "35.0%" in shown
