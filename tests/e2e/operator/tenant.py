"""A team whose namespace has sandboxes of all sorts; one talks to a site by the egress gateway all the time."""

import json
from typing import Any

from e2e.operator.sandboxes import PERSISTENT, Sandboxes
from e2e.operator.test_tenants import write

PYTHON = "docker.io/library/python:3.13"
SITE = """
import http.server, socketserver, threading
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while said := self.request.recv(4096):
            self.request.sendall(said)
class Page(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass
threading.Thread(target=socketserver.ThreadingTCPServer(("", 8443), Echo).serve_forever).start()
http.server.ThreadingHTTPServer(("", 80), Page).serve_forever()
"""
TRAFFIC = """
import json, socket, sys, threading, time, urllib.request
site = sys.argv[1]
def say(**what):
    print(json.dumps({"at": time.time(), **what}), flush=True)
def requests():
    while True:
        try:
            with urllib.request.urlopen(f"http://{site}/", timeout=10) as answer:
                say(request=answer.status)
        except OSError as words:
            say(request=repr(words))
        time.sleep(0.1)
threading.Thread(target=requests).start()
while True:
    try:
        with socket.create_connection((site, 8443), 10) as held:
            say(connection="open")
            while True:
                held.sendall(b"x")
                if held.recv(1) != b"x":
                    break
                time.sleep(0.1)
        say(connection="cut")
    except OSError as words:
        say(connection=repr(words))
"""
"""A request after the other, each with a question for its name, and one connection that is kept."""
FILES = "cat /workspace/work /opt/tool"
STEADY = ("plain", "worker", "templated", "fork", "reaching")
"""Those that run from first to last."""


class Tenant:
    """The team's namespace.

    Parameters
    ----------
    sandboxes
        Of that namespace.
    """

    def __init__(self, sandboxes: Sandboxes) -> None:
        self.sandboxes = sandboxes

    def build(self) -> None:
        """Make everything, and wait until all run but ``asleep``."""
        write(self.sandboxes, "SandboxPolicy", "default", quota={"running": 20}, allowedImages=["docker.io/library/*"])
        write(self.sandboxes, "SandboxTemplate", "shared", env=[{"name": "STAGE", "value": "one"}])
        self.sandboxes.apply("plain")
        self.sandboxes.apply("templated", templateRef={"name": "shared"})
        for name in ("worker", "asleep"):
            self.sandboxes.apply(name, workspace=PERSISTENT, setup="echo tool > /opt/tool")
        self._reach_out()
        for name in ("worker", "asleep"):
            self.sandboxes.wait(name)
            self.sandboxes.sh(name, "echo work > /workspace/work")
        self.sandboxes.sleep("asleep")
        write(self.sandboxes, "SandboxSnapshot", "copy", sandboxRef={"name": "worker"})
        self.sandboxes.apply("fork", workspace=PERSISTENT, source={"snapshotRef": {"name": "copy"}})
        for name in STEADY:
            self.sandboxes.wait(name, "Running")

    def condition(self, name: str, of_type: str) -> dict[str, str]:
        """Read a condition of a sandbox."""
        conditions = self.sandboxes.get("sandbox", name)["status"]["conditions"]
        return next((each for each in conditions if each["type"] == of_type), {})

    def traffic(self) -> list[dict[str, Any]]:
        """Read what the sandbox that talks to the site has seen."""
        return [json.loads(line) for line in self.sandboxes.kubectl("logs", "sbx-reaching").splitlines()]

    def _reach_out(self) -> None:
        labels = {"app": "site"}
        container = {"name": "site", "image": PYTHON, "command": ["python3", "-c", SITE]}
        pod = {"containers": [container], "terminationGracePeriodSeconds": 0}
        service = {"clusterIP": "None", "selector": labels, "ports": [{"port": 80}]}
        for kind, spec in (("Pod", pod), ("Service", service)):
            manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "site", "labels": labels}, "spec": spec}
            self.sandboxes.kubectl("apply", "-f", "-", given=json.dumps(manifest))
        self.sandboxes.kubectl("wait", "pod/site", "--for=condition=Ready", "--timeout=60s")
        # It is of the cluster, so its address has to be granted beside its name.
        address = self.sandboxes.get("pod", "site")["status"]["podIP"]
        name = f"site.{self.sandboxes.namespace}.svc.cluster.local"
        egress = {"domains": [name, f"{name}:8443"], "cidrs": [{"cidr": f"{address}/32"}]}
        self.sandboxes.apply("reaching", image=PYTHON, command=["python3", "-c", TRAFFIC, name], egress=egress)
