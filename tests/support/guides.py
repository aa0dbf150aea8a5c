"""Running the Python of a page of the documentation as it is written."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def run_blocks(page: str) -> dict[str, Any]:
    """Runs the page's blocks of Python one after the other in one namespace, and gives that."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    assert blocks, page
    namespace: dict[str, Any] = {"__name__": "guide"}
    for block in blocks:
        exec(compile(block, page, "exec"), namespace)
    return namespace
