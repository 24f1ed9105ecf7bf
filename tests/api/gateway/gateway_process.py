"""The gateway as a process of its own, and sandboxes' ways to it: each comes from an address of loopback."""

import os
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import orjson
import psutil
from prometheus_client.parser import text_string_to_metric_families

from api.operator.operator_process import fetched, proxied
from api.operator.proxy import Proxy
from api.operator.waiting import eventually
from localcluster.ports import free_ports
from localcluster.process import Program
from sandkeeper.gateway.places import DNS_PORT, FIRST_NAMELESS_PORT, HTTP_PORT, PROXY_PORT, TLS_PORT

ROOT = Path(__file__).parents[3] / "operator"
GATEWAY = "127.0.0.1"
OFFSET = 2_000
"""Below the ports that other tests choose from."""
Json = dict[str, Any]


class GatewayProcess:
    """``python -m sandkeeper gateway``, which reaches the apiserver through a proxy.

    Parameters
    ----------
    folder
        For its kubeconfig and its log.
    settings
        Variables without their prefix, in lower case.
    """

    def __init__(self, proxy: Proxy, folder: Path, **settings: object) -> None:
        self.proxy = proxy
        ports = astuple(free_ports("127.0.0.1"))
        names = ("metrics_port", "probes_port", "activity_port")
        self._ports = dict(zip(names, ports, strict=False))
        given = self._ports | {"workers": 2, "port_offset": OFFSET, "drain_delay_seconds": 0.5} | settings
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SANDKEEPER_", "KUBE"))}
        variables = {f"SANDKEEPER_GATEWAY_{name.upper()}": _text(value) for name, value in given.items()}
        kubeconfig = proxied(folder / "gateway.kubeconfig", proxy.url)
        environment = {**kept, **variables, "KUBECONFIG": str(kubeconfig), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "sandkeeper", "gateway"]
        self._program = Program("gateway", command, folder / "gateway.log", environment)

    def start(self) -> "GatewayProcess":
        """Start it and wait until it is ready."""
        self._program.start()
        eventually(lambda: self.ready or not self._program.running, "answer that the gateway is ready")
        assert self._program.running, self._program.last_words(20)
        return self

    def begin(self) -> None:
        """Start it and wait for nothing."""
        self._program.start()

    def terminate(self) -> None:
        """Ask it to end, as Kubernetes does, and do not wait."""
        if self._program.running:
            os.kill(self._program.pid, signal.SIGTERM)

    def stop(self) -> int | None:
        """Ask it to end, and return its exit status."""
        self.terminate()
        eventually(lambda: not self._program.running, "end of the gateway")
        return self._program.exit_status

    @property
    def workers(self) -> list[psutil.Process]:
        """Its worker processes."""
        return psutil.Process(self._program.pid).children()

    @property
    def memory(self) -> list[int]:
        """Bytes that belong to the parent alone, and to each worker (USS)."""
        parent = psutil.Process(self._program.pid)
        return [int(each.memory_full_info().uss) for each in (parent, *parent.children())]

    @property
    def ready(self) -> bool:
        """Whether it says that connections may be sent to it."""
        return self.probe("readyz")[0] == 200

    def probe(self, name: str) -> tuple[int, str]:
        """Ask a probe; status 0 where nobody listens."""
        return fetched(f"http://127.0.0.1:{self._ports['probes_port']}/{name}")

    def activity(self) -> dict[str, float]:
        """When pods last had traffic, by uid."""
        told: Json = orjson.loads(fetched(f"http://127.0.0.1:{self._ports['activity_port']}/activity")[1])
        return dict(told["traffic"])

    def metric(self, name: str, **labels: str) -> float:
        """Sum of all samples of a name that carry some labels."""
        text = fetched(f"http://127.0.0.1:{self._ports['metrics_port']}/metrics")[1]
        samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
        return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())

    @property
    def log(self) -> list[Json]:
        """Every line that it wrote."""
        lines = self._program.log.read_text().splitlines() if self._program.log.exists() else []
        return [orjson.loads(line) if line.startswith("{") else {"event": line} for line in lines]

    def records(self, **fields: object) -> list[Json]:
        """Audit records that have some fields."""
        return [line for line in self.log if line["event"] == "egress" and fields.items() <= line.items()]

    @property
    def defects(self) -> list[Json]:
        """Lines of the log that must never be there."""
        unexpected = ("background task ended", "Traceback", "a record could not be told", "Exception", "Task exception")
        return [line for line in self.log if line["event"].startswith(unexpected)]


class Client:
    """What a sandbox does, from its address."""

    def __init__(self, address: str, trusted: ssl.SSLContext) -> None:
        self.address = address
        self._trusted = trusted

    def connect(self, port: int) -> socket.socket:
        """Connect to a port of the gateway's pod."""
        return socket.create_connection((GATEWAY, port + OFFSET), timeout=20, source_address=(self.address, 0))

    @contextmanager
    def tls(self, name: str) -> Iterator[ssl.SSLSocket]:
        """Connect to a name by TLS, which fails where the gateway or the server's certificate does not let it."""
        with self.connect(TLS_PORT) as plain, self._trusted.wrap_socket(plain, server_hostname=name) as secured:
            yield secured

    def says(self, name: str) -> str:
        """Greeting of the server behind a name, or the alert that came instead."""
        try:
            with self.tls(name) as secured:
                return secured.recv(100).decode()
        except ssl.SSLError as error:
            return error.reason or str(error)
        except OSError:
            return "closed"

    def get(self, host: str, path: str = "/") -> tuple[int, str]:
        """Ask a host for a page by plain HTTP."""
        with self.connect(HTTP_PORT) as plain:
            plain.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return _response(plain)

    def tunnel(self, host: str, port: int) -> tuple[int, str]:
        """Ask the proxy for a tunnel, and speak TLS through it."""
        with self.connect(PROXY_PORT) as plain:
            plain.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            answer = plain.recv(4096)
            status = int(answer.split()[1])
            if status != 200:
                return status, answer.decode()
            with self._trusted.wrap_socket(plain, server_hostname=host) as secured:
                return status, secured.recv(100).decode()

    def nameless(self, slot: int, index: int) -> socket.socket:
        """Connect to one of the ports behind which hosts are told apart by slot."""
        return self.connect(FIRST_NAMELESS_PORT + 100 * slot + index)

    def resolve(self, name: str, kind: str = "A", *, tcp: bool = False) -> tuple[str, list[str]]:
        """Ask for a name: the code of the answer, and its addresses."""
        ask = dns.query.tcp if tcp else dns.query.udp
        question = dns.message.make_query(name, kind)
        answer = ask(question, GATEWAY, timeout=20, port=DNS_PORT + OFFSET, source=self.address)
        return dns.rcode.to_text(answer.rcode()), [str(each) for part in answer.answer for each in part]


def _response(plain: socket.socket) -> tuple[int, str]:
    text = b""
    while part := plain.recv(4096):
        text += part
    head, _, body = text.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


def _text(value: object) -> str:
    return orjson.dumps(value).decode() if isinstance(value, list | tuple | bool) else str(value)
