"""An attacker with a few allowed names, a neighbour with others, pods for comparison, and the world outside."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from api.kubectl import Kubectl
from e2e.egress.internet import ALLOWED, FORBIDDEN, METADATA, OTHERS, RESOLVER, Internet
from e2e.escape.grounds import CLOSED_IN, IMAGE, pod, service
from e2e.escape.inside.kit import Group
from e2e.operator.sandboxes import Sandboxes
from installation import NAMESPACE

TESTS = Path(__file__).parents[2]
PROGRAMS = ("e2e/escape/inside", "e2e/egress/inside")
"""The suite's own, and those of the escape suite, whose kit they are made with."""
UNPACK = """
import json, os, sys
for name, text in json.load(sys.stdin).items():
    os.makedirs(os.path.dirname(f"/opt/{name}"), exist_ok=True)
    open(f"/opt/{name}", "w").write(text)
"""
LISTEN = """
cd /opt
nohup setsid python3 -m e2e.escape.inside.listener bystander sk-bystander 8080 9000 >/tmp/started 2>&1 </dev/null &
"""
HELLO = """
import sys
from e2e.egress.inside.talk import answer_to, hello
from e2e.escape.inside.kit import ClosedError
try:
    answer_to(hello(sys.argv[1]))
except ClosedError as words:
    print(words)
"""
KINDS = {
    "loopback": "127.0.0.1",
    "metadata": METADATA,
    "linklocal": "169.254.7.7",
    "mapped": "::ffff:{bystander}",
    "compatible": "::{bystander}",
    "nat64": "64:ff9b::{bystander}",
    "sixtofour": "2002:0af4:0001::1",
    "zero": "0.0.0.0",
    "carrier": "100.64.0.1",
    "multicast": "224.0.0.1",
    "documentation": "203.0.113.7",
    "uniquelocal": "fd00::1",
    "broadcast": "255.255.255.255",
    "private": "{bystander}",
    "node": "{node}",
    "apiserver": "{kubernetes}",
    "gateway": "{gateway-pod}",
}
"""Addresses that an allowed name may have and that are not dialled all the same, by the name's first label."""
GRANTED = [
    "allowed.example", "*.wild.example", "git.example:22", "db.example:5432", "other.example:22", "rebind.example",
    "mixed.example", *(f"{kind}.example" for kind in KINDS),
]  # fmt: skip
NEIGHBOURS = ["neighbour-only.example"]
OF_IPV6 = {"mapped", "compatible", "nat64", "sixtofour", "uniquelocal"}
"""Kinds that have no address at all where the gateway has no IPv6."""


class Grounds:
    """Where the attempts are made.

    Parameters
    ----------
    kubectl
        As the cluster's administrator.
    namespace
        Everybody's.
    internet
        The world outside.
    """

    def __init__(self, kubectl: Kubectl, namespace: str, internet: Internet) -> None:
        self.kubectl = kubectl
        self.sandboxes = Sandboxes(kubectl, namespace)
        self.internet = internet
        self.outcomes = cache(self._outcomes)
        self._pods = {"sandbox": "sbx-attacker", "neighbour": "sbx-neighbour", "open": "open", "bystander": "bystander"}

    def build(self) -> None:
        """Make everything, and tell the world's name server who is where."""
        self.sandboxes.apply("attacker", image=IMAGE, egress={"domains": GRANTED})
        self.sandboxes.apply("neighbour", image=IMAGE, egress={"domains": NEIGHBOURS})
        for manifest in (service("bystander", self.sandboxes.namespace), pod("open"), pod("bystander")):
            self.sandboxes.kubectl("apply", "-f", "-", given=json.dumps(manifest))
        for name in ("attacker", "neighbour"):
            self.sandboxes.wait(name)
        with ThreadPoolExecutor() as at_once:
            list(at_once.map(self.supply, self._pods))
        self.run("bystander", "sh", "-c", LISTEN)
        self.addresses = self._find_addresses()
        self.internet.names(self.zone())

    def zone(self) -> dict[str, list[Any]]:
        """What each name stands for."""
        public: dict[str, list[Any]] = {
            "allowed.example": [ALLOWED], "shared.example": [ALLOWED], "forbidden.example": [FORBIDDEN],
            "neighbour-only.example": [OTHERS], "*.wild.example": [ALLOWED], "git.example": [ALLOWED],
            "setup.example": [OTHERS], "other.example": [OTHERS], "db.example": [ALLOWED],
            "mixed.example": [self.addresses["bystander"], ALLOWED],
            # Public when it is first asked for, private from then on.
            "rebind.example": [[ALLOWED], [self.addresses["bystander"]]],
        }  # fmt: skip
        odd = {f"{kind}.example": [address.format(**self.addresses)] for kind, address in KINDS.items()}
        return {**public, **odd}

    def supply(self, who: str) -> None:
        """Bring the programs into somebody's pod, once its container runs."""
        self.sandboxes.kubectl("wait", f"pod/{self._pods[who]}", "--for=condition=Ready", "--timeout=55s")
        files = [file for folder in PROGRAMS for file in (TESTS / folder).glob("*.py")]
        programs = {str(file.relative_to(TESTS)): file.read_text() for file in files}
        self.run(who, "python3", "-c", UNPACK, given=json.dumps(programs))

    def run(self, who: str, *command: str, given: str | None = None) -> str:
        """Run a command in somebody's pod."""
        flags = ["-i"] if given else []
        return self.sandboxes.kubectl("exec", *flags, self._pods[who], "--", *command, given=given)

    def python(self, who: str, script: str, *arguments: str) -> str:
        """Run a script that may import the programs, and return what it prints."""
        return self.run(who, "env", "PYTHONPATH=/opt", "python3", "-c", script, *arguments).strip()

    def site(self, name: str, who: str = "sandbox") -> dict[str, Any]:
        """Ask a site by TLS through the gateway."""
        script = "import json, sys; from e2e.egress.inside.talk import site; print(json.dumps(site(sys.argv[1])))"
        found: dict[str, Any] = json.loads(self.python(who, script, name))
        return found

    def refused(self, name: str, who: str = "sandbox") -> str:
        """Say how a hello with a name is refused; empty where it is not."""
        return self.python(who, HELLO, name)

    def add(self, name: str, domains: list[str], **spec: Any) -> None:
        """Make a further sandbox, which is called by its own name."""
        egress = {"domains": domains} | spec.pop("egress", {})
        self.sandboxes.apply(name, image=IMAGE, egress=egress, **spec)
        self.sandboxes.wait(name)
        self._pods[name] = f"sbx-{name}"
        self.supply(name)

    def audit(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return the gateway's records that have such values."""
        lines = self.kubectl(
            "-n", NAMESPACE, "logs", "-l", "app.kubernetes.io/component=gateway", "--tail=-1"
        ).splitlines()
        records = [json.loads(line) for line in lines if line.startswith("{")]
        ours = [each for each in records if each.get("namespace") == self.sandboxes.namespace]
        return [each for each in ours if wanted.items() <= each.items()]

    def _outcomes(self, name: str, who: str) -> dict[str, str]:
        group = group_of(name)
        chosen = [what for what, each in group.attempts.items() if who in ("sandbox", each.control)]
        scene = {"actor": who, "addresses": self.addresses, "attempts": chosen}
        patience = 1 if who in CLOSED_IN else 8
        command = ["sh", "-c", f"cd /opt && ESCAPE_PATIENCE={patience} python3 -m e2e.egress.inside {name}"]
        seen: dict[str, str] = json.loads(self.run(who, *command, given=json.dumps(scene)).splitlines()[-1])
        return seen

    def _find_addresses(self) -> dict[str, str]:
        return {
            **{
                who: self._pod_address(self.sandboxes.namespace, f"metadata.name={name}")
                for who, name in self._pods.items()
            },
            "gateway-pod": self._component("gateway"),
            "operator-pod": self._component("operator"),
            "forbidden": FORBIDDEN,
            "allowed": ALLOWED,
            "metadata": METADATA,
            "resolver": RESOLVER,
            "node": self.kubectl("get", "nodes", "-o", "jsonpath={.items[0].status.addresses[0].address}"),
            "kubernetes": self._service("default", "kubernetes"),
            "dns": self._service("kube-system", "kube-dns"),
            "service": self._service(self.sandboxes.namespace, "bystander"),
        }

    def _pod_address(self, namespace: str, selector: str) -> str:
        return self.kubectl(
            "-n", namespace, "get", "pods", "--field-selector", selector, "-o", "jsonpath={.items[0].status.podIP}"
        )

    def _component(self, name: str) -> str:
        label = f"app.kubernetes.io/component={name}"
        newest = ("--sort-by=.metadata.creationTimestamp", "-o", "jsonpath={.items[-1:].status.podIP}")
        return self.kubectl("-n", NAMESPACE, "get", "pods", "-l", label, *newest)

    def _service(self, namespace: str, name: str) -> str:
        return self.kubectl("-n", namespace, "get", "service", name, "-o", "jsonpath={.spec.clusterIP}")


def group_of(name: str) -> Group:
    """Return a group of attempts."""
    group: Group = import_module(f"e2e.egress.inside.{name}").GROUP
    return group
