"""Real OTLP receivers on loopback: gRPC built from opentelemetry-proto and grpcio, HTTP from the standard library."""

import gzip
import threading
import zlib
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


class Received:
    """What a receiver got: requests as they came, in bytes too."""

    def __init__(self) -> None:
        self.traces: list[Any] = []
        self.metrics: list[Any] = []
        self.raw = b""
        self.headers: dict[str, str] = {}

    def take(self, request: Any, kind: str) -> None:
        """Keeps one request."""
        self.raw += request.SerializeToString()
        (self.traces if kind == "traces" else self.metrics).append(request)

    def spans(self) -> list[Any]:
        """All spans, in order of start."""
        found = [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    def metric(self, name: str) -> list[Any]:
        """All metrics of a name."""
        return [
            metric
            for request in self.metrics
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
        ]

    def metric_names(self) -> set[str]:
        """The names of all metrics."""
        return {
            metric.name
            for request in self.metrics
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


class GrpcReceiver(Received):
    """An OTLP/gRPC server; use it in `with`."""

    protocol = "grpc"

    def __enter__(self) -> Self:
        receiver = self

        class Traces(trace_service_pb2_grpc.TraceServiceServicer):
            def Export(self, request: Any, context: Any) -> Any:
                receiver.take(request, "traces")
                return trace_service_pb2.ExportTraceServiceResponse()

        class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
            def Export(self, request: Any, context: Any) -> Any:
                receiver.take(request, "metrics")
                return metrics_service_pb2.ExportMetricsServiceResponse()

        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(), self._server)
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Metrics(), self._server)
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.stop(None).wait(5)


class HttpReceiver(Received):
    """An OTLP/HTTP server that takes protobuf; use it in `with`."""

    protocol = "http/protobuf"

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.headers = dict(self.headers)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                encoding = self.headers.get("Content-Encoding", "")
                body = (
                    gzip.decompress(body)
                    if encoding == "gzip"
                    else zlib.decompress(body)
                    if encoding == "deflate"
                    else body
                )
                if self.path == "/v1/traces":
                    receiver.take(trace_service_pb2.ExportTraceServiceRequest.FromString(body), "traces")
                else:
                    receiver.take(metrics_service_pb2.ExportMetricsServiceRequest.FromString(body), "metrics")
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
