"""The grounds of the suite: an attacker, those who are not to be reached, and those who show that they can be."""

import contextlib
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from api.kubectl import Kubectl
from e2e.escape.inside import namespaces, services, watchtower
from e2e.escape.inside.kit import THROUGH, Group
from e2e.operator.sandboxes import Sandboxes, eventually

IMAGE = "docker.io/library/python:3.13"
PROGRAMS = Path(__file__).parent / "inside"
UNPACK = """
import json, os, sys
os.makedirs("/opt/inside", exist_ok=True)
for name, text in json.load(sys.stdin).items():
    open(f"/opt/inside/{name}", "w").write(text)
"""
EXCHANGE = """
import socket
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.bind(("", 40404))
out.settimeout(3)
out.sendto(b"how do you do", ("203.0.113.7", 9000))
out.recv(100)
"""
"""An exchange that two others have, for whoever wants to meddle in it."""
FIND = """
import os, sys
def words(pid):
    try:
        return open(f"/proc/{pid}/cmdline").read().split("\\0")
    except OSError:
        return []
print(next(pid for pid in os.listdir("/proc") if pid.isdigit() and {"inside.listener", sys.argv[1]} <= set(words(pid))))
"""
START = "cd /opt && nohup setsid python3 -m inside.{} >/tmp/started 2>/tmp/failed </dev/null &"
ROOMY = {"limits": {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "1Gi"}, "requests": {"cpu": "20m"}}
LISTENERS = {"neighbour": namespaces.MARK, "stranger": "sk-escape-stranger", "bystander": "sk-escape-bystander",
             "outsider": "sk-escape-outsider", "open": "sk-escape-open"}  # fmt: skip
GATEWAY = "sandkeeper-system/sandkeeper-gateway"
"""How Services of the egress gateway begin, which is there to be reached: what it lets through, its own suite tries."""
CLOSED_IN = ("sandbox", "caged", "bystander", "outsider", "greedy")
"""Those who are to get nowhere; everybody else shows that one could."""
CLOSED_POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "caged"},
    "spec": {
        # Whoever writes a policy has to say that it selects no sandbox.
        "podSelector": {
            "matchLabels": {"app": "caged"},
            "matchExpressions": [{"key": "sandkeeper.dev/role", "operator": "DoesNotExist"}],
        },
        "policyTypes": ["Ingress", "Egress"],
    },
}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    """Write an ordinary pod down."""
    security = spec.pop("security", {})
    mounts = [{"name": volume["name"], "mountPath": f"/{volume['name']}"} for volume in spec.get("volumes", [])]
    container = {"name": "main", "image": IMAGE, "command": ["sleep", "100000"], "securityContext": security,
                 "volumeMounts": mounts}  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, **spec},
    }


class Grounds:
    """Two namespaces with sandboxes and ordinary pods in each, and a tower over the node.

    Parameters
    ----------
    kubectl
        As the cluster's administrator.
    home, abroad
        The namespaces: the attacker's own, and one of others.
    """

    def __init__(self, kubectl: Kubectl, home: str, abroad: str) -> None:
        self.home, self.abroad = Sandboxes(kubectl, home), Sandboxes(kubectl, abroad)
        self._places = {
            "sandbox": (self.home, "sbx-attacker"),
            "neighbour": (self.home, "sbx-neighbour"),
            "stranger": (self.abroad, "sbx-stranger"),
            "open": (self.home, "open"),
            "bystander": (self.home, "bystander"),
            "outsider": (self.abroad, "outsider"),
            "caged": (self.abroad, "caged"),
            "watchtower": (self.abroad, "watchtower"),
        }
        self.outcomes = cache(self._outcomes)
        self._here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._arrived_here: list[dict[str, str]] = []

    def build(self) -> None:
        """Make everything and start what listens and watches."""
        self._create()
        with ThreadPoolExecutor() as at_once:
            list(at_once.map(self.supply, self._places))
            list(at_once.map(self._start_listener, LISTENERS))
        places = " ".join(f"{who}={self.listener(who)}" for who in LISTENERS)
        self._start("watchtower", f"watchtower {places}")
        self._addresses = self._find_addresses()

    def leave(self) -> None:
        """Listen no longer."""
        self._here.close()

    def listener(self, who: str) -> str:
        """Return what tells somebody's listener apart from all others on the node."""
        sandboxes, name = self._places[who]
        return f"{sandboxes.namespace}/{name}"

    def supply(self, who: str) -> None:
        """Bring the programs into somebody's pod, once its container runs."""
        sandboxes, name = self._places[who]
        sandboxes.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=55s")
        programs = json.dumps({file.name: file.read_text() for file in PROGRAMS.glob("*.py")})
        self.run(who, "python3", "-c", UNPACK, given=programs)

    def add_sandbox(self, name: str, **spec: Any) -> None:
        """Make a further sandbox, which nobody depends on."""
        self.abroad.apply(name, image=IMAGE, **spec)
        self.abroad.wait(name)
        self._places[name] = (self.abroad, f"sbx-{name}")

    def run(self, who: str, *command: str, given: str | None = None) -> str:
        """Run a command in somebody's pod."""
        sandboxes, name = self._places[who]
        return sandboxes.kubectl("exec", *(["-i"] if given else []), name, "--", *command, given=given)

    def program(self, who: str, module: str, *arguments: str, **scene: Any) -> Any:
        """Run one of the programs in somebody's pod, and return what it says as JSON."""
        words = f"inside{module} {' '.join(arguments)}"
        patience = 1 if who in CLOSED_IN else 8
        command = ["sh", "-c", f"cd /opt && ESCAPE_PATIENCE={patience} python3 -m {words}"]
        return json.loads(self.run(who, *command, given=json.dumps(self._scene(who) | scene)).splitlines()[-1])

    def address(self, who: str) -> str:
        """Return the address of somebody's pod."""
        sandboxes, name = self._places[who]
        return str(sandboxes.get("pod", name)["status"]["podIP"])

    def attempt(self, group: str, who: str, attempts: list[str]) -> dict[str, str]:
        """Make attempts from a pod, and tell what was seen there, or by those who watch the targets."""
        self.run("bystander", "python3", "-c", EXCHANGE)
        seen: dict[str, str] = self.program(who, "", group, attempts=attempts)
        # What a control sends may take a moment to be seen; what is closed is looked at again in the end.
        patience = 0.0 if who in CLOSED_IN else 30.0
        end = time.monotonic() + patience
        while True:
            self._add_arrivals(who, seen)
            if time.monotonic() >= end or all(words.startswith(THROUGH) for words in seen.values()):
                return seen
            time.sleep(0.5)

    def _add_arrivals(self, who: str, seen: dict[str, str]) -> None:
        for arrival in self.arrivals():
            actor, _, what = arrival["token"].rstrip(";").removeprefix("sk-escape/").partition("/")
            if actor == who and what in seen and not seen[what].startswith(THROUGH):
                seen[what] = f"{THROUGH}: arrived at {arrival['place']}"

    def arrivals(self) -> list[dict[str, str]]:
        """Return what arrived at the targets so far, this machine among them."""
        with contextlib.suppress(BlockingIOError):
            while True:
                token, (source, _) = self._here.recvfrom(2000)
                self._arrived_here.append({"place": "this machine", "source": source, "token": token.decode()})
        seen = self.run("watchtower", "cat", str(watchtower.SEEN)).splitlines()
        return [*(json.loads(line) for line in seen if line.endswith("}")), *self._arrived_here]

    def _listen_here(self, node: str) -> str:
        """Listen on this machine's address towards the node; nothing is answered, since no way leads back to a pod."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect((node, services.MACHINE_PORT))
            address: str = asking.getsockname()[0]
        self._here.bind((address, services.MACHINE_PORT))
        self._here.setblocking(False)
        return address

    def _outcomes(self, name: str, who: str) -> dict[str, str]:
        group = group_of(name)
        chosen = [what for what, each in group.attempts.items()
                  if who in ("sandbox", each.control) or (who == "caged" and each.caged)]  # fmt: skip
        return self.attempt(name, who, chosen)

    def _create(self) -> None:
        self.home.kubectl("apply", "-f", "-", given=json.dumps(service("bystander", self.home.namespace)))
        port = [{"name": "web", "port": 8080}]
        secret = [{"name": "DATABASE_PASSWORD", "value": namespaces.MARK}]
        self.home.apply("attacker", image=IMAGE, resources=ROOMY, ports=port)
        self.home.apply("neighbour", image=IMAGE, resources=ROOMY, ports=port, env=secret)
        self.abroad.apply("stranger", image=IMAGE, resources=ROOMY)
        self._create_pods()
        for sandboxes, name in [(self.home, "attacker"), (self.home, "neighbour"), (self.abroad, "stranger")]:
            sandboxes.wait(name)

    def _create_pods(self) -> None:
        link = {"capabilities": {"add": ["NET_RAW", "NET_ADMIN"]}}
        host = [{"name": "host", "hostPath": {"path": "/var/lib"}}]
        everything = {"privileged": True}
        self.abroad.kubectl("apply", "-f", "-", given=json.dumps(CLOSED_POLICY))
        for sandboxes, manifest in [
            (self.home, pod("open", security=everything, volumes=host)),
            (self.home, pod("bystander")),
            (self.abroad, pod("outsider")),
            (self.abroad, pod("caged", security=link)),
            (self.abroad, pod("watchtower", security=everything, hostPID=True, hostNetwork=True)),
        ]:
            sandboxes.kubectl("apply", "-f", "-", given=json.dumps(manifest))

    def _start_listener(self, who: str) -> None:
        self._start(who, f"listener {self.listener(who)} {LISTENERS[who]} 8080 9000")

    def _start(self, who: str, program: str) -> None:
        self.run(who, "sh", "-c", START.format(program))
        started = eventually(lambda: self.run(who, "cat", "/tmp/started", "/tmp/failed"), bool, 30)
        assert "ing" in started.splitlines()[0], f"{who}: {started}"

    def _scene(self, who: str) -> dict[str, Any]:
        own = {"own": self.address(who)}
        root = {"root": "/proc/1/root"} if who == "watchtower" else {}
        return {"actor": who, **root, **self._addresses, "addresses": self._addresses["addresses"] | own}

    def _find_addresses(self) -> dict[str, Any]:
        of = self._services()
        own = f"{self.home.namespace}/attacker"
        return {
            "addresses": {who: self.address(who) for who in self._places} | watchtower.OUTSIDE | self._others(of),
            "node-port": of[f"{self.home.namespace}/bystander"]["ports"][0]["nodePort"],
            "services": [(spec["clusterIP"], port["port"]) for name, spec in of.items() for port in spec["ports"]
                         if port["protocol"] == "TCP" and spec["clusterIP"] != "None" and name != own
                         and not name.startswith(GATEWAY)],
            "nodes": self.run("watchtower", "sh", "-c", "hostname -I | tr ' ' '\\n' | grep -F . | sort -u").split(),
            "node_ports": self._ports_of_the_node(),
            "host_pid": int(self.run("watchtower", "python3", "-c", FIND, self.listener("outsider"))),
        }  # fmt: skip

    def _services(self) -> dict[str, Any]:
        found = json.loads(self.home.kubectl("get", "services", "--all-namespaces", "-o", "json"))["items"]
        return {f"{each['metadata']['namespace']}/{each['metadata']['name']}": each["spec"] for each in found}

    def _others(self, of: dict[str, Any]) -> dict[str, str]:
        resolvers = ["get", "pods", "-n", "kube-system", "-l", "k8s-app=kube-dns"]
        return {
            "node": self.address("watchtower"),
            "machine": self._listen_here(self.address("watchtower")),
            "gateway": self._gateway(),
            "bystander-mac": self.run("bystander", "cat", "/sys/class/net/eth0/address").strip(),
            "dns": of["kube-system/kube-dns"]["clusterIP"],
            "coredns": self.home._kubectl(*resolvers, "-o", "jsonpath={.items[0].status.podIP}"),
            "kubernetes": of["default/kubernetes"]["clusterIP"],
            "service": of[f"{self.home.namespace}/bystander"]["clusterIP"],
            "neighbour-service": of[f"{self.home.namespace}/neighbour"]["clusterIP"],
        }

    def _gateway(self) -> str:
        routes = [line.split() for line in self.run("bystander", "cat", "/proc/net/route").splitlines()[1:]]
        gateway = next(int(route[2], 16) for route in routes if route[1] == "00000000")
        return socket.inet_ntoa(gateway.to_bytes(4, "little"))

    def _ports_of_the_node(self) -> list[int]:
        lines = self.run("watchtower", "cat", "/proc/net/tcp", "/proc/net/tcp6").splitlines()
        ends = [line.split()[1].split(":") for line in lines if line.split()[3] == "0A"]
        return sorted({int(port, 16) for address, port in ends if not address.endswith("0100007F")})


def service(name: str, namespace: str) -> dict[str, Any]:
    """Write down a Service of a pod, at a port of the node too."""
    port = {"port": 80, "targetPort": 9000}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "NodePort", "selector": {"app": name}, "ports": [port]},
    }


def group_of(name: str) -> Group:
    """Return a group of attempts."""
    from importlib import import_module

    group: Group = import_module(f"e2e.escape.inside.{name}").GROUP
    return group
