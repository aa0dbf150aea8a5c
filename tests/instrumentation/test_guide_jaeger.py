"""The guide "Send it to Jaeger or Tempo", run as it is written; a receiver on loopback stands in for the backend."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.openai_api import API_KEY, ModelApi
from support.otlp import HttpReceiver
from support.processes import environment

pytest.importorskip("openai")
pytest.importorskip("opentelemetry.instrumentation.genai.openai")
TOOLS = Path(sys.executable).parent
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "send_to_jaeger.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(not shutil.which("opentelemetry-instrument", path=str(TOOLS)), reason="no opentelemetry-distro")
def test_guide_as_written(tmp_path: Path) -> None:
    """The bot of the guide, started by its commands, is the trace that the guide draws, at the backend and in the files."""
    blocks = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    (bot,) = [text for kind, text in blocks if kind == "py"]
    (tree,) = [text for kind, text in blocks if kind == "text"]
    docker, install, start, look = [text for kind, text in blocks if kind == "sh"]
    assert docker.startswith("docker run")
    assert install.startswith("pip install '.[openai,prices]'")
    (tmp_path / "bot.py").write_text(bot, encoding="utf-8")
    with HttpReceiver() as receiver, ModelApi() as api:
        assert "http://127.0.0.1:4318" in start
        commands = start.replace("http://127.0.0.1:4318", receiver.endpoint) + look
        variables = {
            **environment(tmp_path), "PATH": f"{TOOLS}:/usr/bin:/bin", "OPENAI_BASE_URL": api.url, "OPENAI_API_KEY": API_KEY,
            "PYTHONPATH": str(GUIDE.parents[2]), "COLUMNS": "200",
        }  # fmt: skip
        done = subprocess.run(
            ["sh", "-ec", commands],
            env=variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    spans = {span.name: span for span in receiver.spans()}
    assert len(receiver.spans()) == len(spans) == 4
    drawn = [(len(line) - len(line.lstrip("│├└─ ")), line.lstrip("│├└─ ")) for line in tree.splitlines()]
    assert {name for _, name in drawn} == set(spans)
    above: dict[int, bytes] = {0: b""}
    for depth, name in drawn:
        assert spans[name].parent_span_id == above[depth], name
        above[depth + 3] = spans[name].span_id
    assert len({span.trace_id for span in spans.values()}) == 1
    sums = {one.key: one.value for one in spans["ai_processing"].attributes}
    assert sums["hitl.usage.input_tokens"].int_value == 120
    assert sums["hitl.usage.cost.amount"].double_value > 0
    (resource,) = {one.value.string_value for one in _resource(receiver) if one.key == "service.name"}
    assert resource == "my-bot"
    assert spans["session"].trace_id.hex()[:8] in done.stdout
    assert "150 tokens" in done.stdout or "120" in done.stdout


def _resource(receiver: HttpReceiver) -> list:
    return [one for request in receiver.traces for part in request.resource_spans for one in part.resource.attributes]
