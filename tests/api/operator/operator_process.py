"""The operator as a process of its own, with the chart's rights and nothing more."""

import os
import signal
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Any

import orjson
import urllib3
import yaml
from prometheus_client.parser import text_string_to_metric_families

from api.operator.proxy import Proxy
from api.operator.waiting import eventually
from localcluster.ports import free_ports
from localcluster.process import Program

ROOT = Path(__file__).parents[3] / "operator"
SYSTEM = "sandkeeper-system"


class OperatorProcess:
    """``python -m sandkeeper operator``, which reaches the apiserver through a proxy.

    Parameters
    ----------
    folder
        For its kubeconfig and its log.
    settings
        Variables without their prefix, in lower case.
    """

    def __init__(self, proxy: Proxy, folder: Path, identity: str = "operator-0", **settings: object) -> None:
        self.proxy = proxy
        self.identity = identity
        metrics, probes, *_ = astuple(free_ports("127.0.0.1"))
        self._metrics, self._probes = f"http://127.0.0.1:{metrics}", f"http://127.0.0.1:{probes}"
        listening = {"metrics_port": metrics, "probes_port": probes}
        # No pod runs here that could try anything; tests of the canary play its part.
        given = {"namespace": SYSTEM, "pod_name": identity, "require_enforcement": False} | listening | settings
        self._program = Program(
            identity,
            [sys.executable, "-m", "sandkeeper", "operator"],
            folder / f"{identity}.log",
            environment(proxied(folder / f"{identity}.kubeconfig", proxy.url), given),
        )

    def start(self) -> "OperatorProcess":
        """Start it and wait until it is ready."""
        self.begin()
        eventually(lambda: self.ready or not self._program.running, "answer that the operator is ready")
        assert self._program.running, self._program.last_words(20)
        return self

    def begin(self) -> None:
        """Start it and wait for nothing."""
        self._program.start()

    def stop(self) -> int | None:
        """Ask it to end, as Kubernetes does, and return its exit status."""
        self.signal(signal.SIGTERM)
        # One that a test froze would never hear of it.
        self.signal(signal.SIGCONT)
        eventually(lambda: not self.running, "end of the operator")
        return self._program.exit_status

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self.signal(signal.SIGKILL)

    def signal(self, sent: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.running:
            os.kill(self._program.pid, sent)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._program.running

    @property
    def ready(self) -> bool:
        """Whether it says that it can be relied on."""
        return self.probe("readyz")[0] == 200

    def probe(self, name: str) -> tuple[int, str]:
        """Ask a probe; status 0 where nobody listens."""
        return fetched(f"{self._probes}/{name}")

    def metrics(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Scrape: of each sample's name, its labels and value."""
        samples: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families(fetched(f"{self._metrics}/metrics")[1]):
            for sample in family.samples:
                samples.setdefault(sample.name, []).append((sample.labels, sample.value))
        return samples

    @property
    def passes(self) -> float:
        """How many passes it has made over sandboxes."""
        return sum(value for _, value in self.metrics().get("sandkeeper_pass_seconds_count", ()))

    def await_passes(self, count: float) -> None:
        """Wait until it has made so many passes."""
        eventually(lambda: self.passes >= count, lambda: f"{count:.0f} passes, but {self.passes:.0f}")

    @property
    def log(self) -> list[dict[str, Any]]:
        """Every line of its log."""
        lines = self._program.log.read_text().splitlines() if self._program.log.exists() else []
        return [orjson.loads(line) if line.startswith("{") else {"event": line} for line in lines]

    @property
    def defects(self) -> list[dict[str, Any]]:
        """Lines of the log that must never be there."""
        unexpected = ("pass failed unexpectedly", "background task ended", "Traceback")
        return [line for line in self.log if line["event"].startswith(unexpected)]


def environment(kubeconfig: Path, settings: dict[str, object]) -> dict[str, str]:
    """Environment of the operator's process: nothing of the developer's own settings and clusters."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SANDKEEPER_", "KUBE"))}
    variables = {f"SANDKEEPER_{name.upper()}": str(value) for name, value in settings.items()}
    return {**kept, **variables, "KUBECONFIG": str(kubeconfig), "PYTHONPATH": str(ROOT)}


def proxied(path: Path, server: str) -> Path:
    """Write a kubeconfig for a server that asks for no credentials."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "proxy", "cluster": {"server": server}}],
        "users": [{"name": "proxy", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        "current-context": "proxy",
    }
    path.write_text(yaml.safe_dump(content))
    return path


def fetched(url: str) -> tuple[int, str]:
    """Status and body of what is at a URL; 0 and why where nothing answers."""
    try:
        response = urllib3.request("GET", url, retries=False, timeout=10)
    except urllib3.exceptions.HTTPError as error:
        return 0, str(error)
    return response.status, response.data.decode()
