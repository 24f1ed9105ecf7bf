"""Records go to a collector as logs of OpenTelemetry, and nobody waits for it."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from sandkeeper.gateway.otlp import REQUEST_SECONDS, OtlpExport
from unit.gateway.records import MOMENT, allowed, refused


class Collector(ThreadingHTTPServer):
    """Takes what is posted to it."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, ExportLogsServiceRequest]] = []
        super().__init__(("127.0.0.1", 0), _Post)


class _Post(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, ExportLogsServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_record_is_a_log_with_its_fields_as_attributes(collector: Collector) -> None:
    export = OtlpExport(f"http://127.0.0.1:{collector.server_port}/v1/logs", "gateway-0")

    export(allowed(), 1)
    export(refused(), 3)
    export.close()

    ((path, request),) = collector.requests
    assert path == "/v1/logs"
    (resource,) = request.resource_logs
    about = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert (about["service.name"], about["service.instance.id"]) == ("sandkeeper-gateway", "gateway-0")
    first, second = resource.scope_logs[0].log_records
    assert (first.severity_text, second.severity_text) == ("INFO", "WARN")
    assert first.time_unix_nano == int(MOMENT * 1e9)
    attributes = {each.key: each.value for each in second.attributes}
    assert attributes["domain"].string_value == "evil.example"
    assert attributes["port"].int_value == 443
    assert attributes["count"].int_value == 3
    assert attributes["verdict"].string_value == "denied"


def test_a_collector_that_does_not_answer_holds_nobody_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        export = OtlpExport(f"http://127.0.0.1:{silent.getsockname()[1]}/v1/logs", "gateway-0")

        # Many more than are kept: each returns although nothing is taken.
        for _ in range(20_000):
            export(allowed(), 1)
        ending = time.monotonic()
        export.close(0.1)

        # Not even a single answer was waited for.
        assert time.monotonic() - ending < REQUEST_SECONDS
