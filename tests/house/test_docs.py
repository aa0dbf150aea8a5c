"""The documents say what the code does: tables are checked against it, and shown code is run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from otel_metrics.settings import OPTIONS, Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
PLATFORMS = ROOT / "docs" / "instrumentation"  # their code needs a platform to talk to: tests/instrumentation runs it
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
RULES = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.parent != PLATFORMS], ids=lambda page: str(page.relative_to(ROOT))
)
def test_shown_python_runs(page, tmp_path):
    """The Python blocks of a page, run in their order as one program beside the rules that it shows, do not fail."""
    text = page.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    if not blocks:
        return
    (tmp_path / "metrics.rules.toml").write_text("\n".join(RULES.findall(text)), encoding="utf-8")
    program = "\n".join(blocks)
    result = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", program], cwd=tmp_path, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Every relative link of a page leads to a file that is there."""
    local = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in target]
    broken = [target for target in local if not (page.parent / target).exists()]
    assert broken == []


def test_the_reference_has_every_setting():
    """The settings table of the reference is the one in the code: name, argument, default and meaning."""
    text = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    defaults = Settings()
    for option in OPTIONS:
        default = getattr(defaults, option.field)
        shown = "" if default is None else str(default).lower() if isinstance(default, bool) else f"{default}"
        shown = shown.removesuffix(".0")
        assert (
            f"| `{option.variable}` | `{option.field}` | {f'`{shown}`' if shown else ''} | {option.meaning} |" in text
        )


def test_quickstart_runs(tmp_path):
    """examples/quickstart.py records one delivered session that the dashboard command then shows."""
    result = subprocess.run([sys.executable, str(ROOT / "examples" / "quickstart.py")], cwd=tmp_path, capture_output=True, text=True, check=False)  # fmt: skip
    assert result.returncode == 0, result.stderr
    shown = subprocess.run([sys.executable, "-m", "otel_metrics", "sessions", "--format", "json"], cwd=tmp_path, capture_output=True, text=True, check=False)  # fmt: skip
    assert '"delivered"' in shown.stdout
    assert '"corrections": 1' in shown.stdout or '"corrections":1' in shown.stdout
