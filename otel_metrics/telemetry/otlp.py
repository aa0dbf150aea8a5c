"""Owns which official OTLP exporter the standard variables ask for, and how much of a collector's answer is read."""

import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otel_metrics.settings import otel_environment

if TYPE_CHECKING:
    import requests
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

_MOST_OF_AN_ANSWER = 65_536


def span_exporter() -> "Callable[[], SpanExporter] | None":
    """What makes the exporter of spans; None where OTLP is not asked for. Its libraries are loaded when it is made."""
    protocol = _protocol("TRACES")
    if protocol is None:
        return None
    return _http_spans if protocol == "http" else _grpc_spans


def span_exporter_to(endpoint: str, protocol: str) -> "SpanExporter":
    """The exporter to one place; `protocol` is `grpc` or `http`. The standard variables give it all the rest: headers, certificates, timeouts."""
    if protocol == "http":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter

        return HttpSpanExporter(endpoint=endpoint, session=_session())
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter

    return GrpcSpanExporter(endpoint=endpoint)


def metric_exporter() -> "MetricExporter | None":
    """The exporter of metrics; None where OTLP is not asked for."""
    protocol = _protocol("METRICS")
    if protocol is None:
        return None
    if protocol == "http":
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter

        return HttpMetricExporter(session=_session())
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter

    return GrpcMetricExporter()


def _http_spans() -> "SpanExporter":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(session=_session())


def _grpc_spans() -> "SpanExporter":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _session() -> "requests.Session | None":
    """A session that reads the first 64 kB of an answer: the exporter would read one of any size into memory.

    None where a credential provider's own session is asked for (`OTEL_PYTHON_EXPORTER_OTLP_HTTP_…`): that one is used.
    """
    if any(name.startswith("OTEL_PYTHON_EXPORTER_OTLP_HTTP_") and "CREDENTIAL_PROVIDER" in name for name in os.environ):
        return None
    import requests
    from requests.adapters import HTTPAdapter

    class BoundedAnswers(HTTPAdapter):
        def send(self, *args: Any, **options: Any) -> requests.Response:
            response = super().send(*args, **{**options, "stream": True})
            with response.raw as whole:
                # Undecoded: a small answer may unpack to any size, and nobody looks at it but for a log line.
                start = whole.read(_MOST_OF_AN_ANSWER, decode_content=False)
            response.headers.pop("Content-Encoding", None)
            response.raw = io.BytesIO(start)
            return response

    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, BoundedAnswers())
    return session


def _protocol(signal: str) -> str | None:
    """`grpc` or `http` for TRACES or METRICS by the standard variables; None where OTLP is not asked for.

    Without a protocol it is gRPC, as in the SDK for Python, but HTTP on HTTP's own port 4318.
    """
    chosen = otel_environment(f"OTEL_{signal}_EXPORTER").lower()
    endpoint = otel_environment(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or otel_environment(
        "OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    if (chosen and "otlp" not in chosen) or (not chosen and not endpoint):
        return None
    protocol = otel_environment(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or otel_environment(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    if "otlp_proto_http" in chosen or protocol.startswith("http"):
        return "http"
    return "http" if not protocol and endpoint.rstrip("/").endswith(":4318") else "grpc"
