"""Policy while connections are open, gateways that end, and neighbours that are greedy."""

import json
import re
import subprocess
import time

import pytest

from e2e.conftest import hack_cluster
from e2e.egress.grounds import GRANTED, Grounds
from e2e.egress.internet import ALLOWED
from e2e.operator.sandboxes import eventually
from installation import NAMESPACE

HOLD = """
import socket, ssl, sys, time
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
held = context.wrap_socket(socket.create_connection((sys.argv[1], 443), 10), server_hostname=sys.argv[1])
print("open", flush=True)
began = time.monotonic()
try:
    while True:
        held.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        if not held.recv(4096):
            break
        time.sleep(0.05)
except OSError:
    pass
print("cut", flush=True)
"""
SLOW = """
import socket, time
held = []
for _ in range(300):
    one = socket.create_connection(("allowed.example", 443), 10)
    one.sendall(b"\\x16\\x03\\x01")
    held.append(one)
print("open", flush=True)
time.sleep(100)
"""
MANY = """
import resource, selectors, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
address = socket.gethostbyname("allowed.example")
waiting, refused, held = selectors.DefaultSelector(), 0, []
for _ in range(10000):
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex((address, 443))
    held.append(one)
    if len(held) % 500 == 0:
        time.sleep(0.1)
print("open", flush=True)
time.sleep(30)
"""


EVERY_SECOND = """
import time
from e2e.egress.inside.talk import site
for _ in range(20):
    for name in ("allowed.example", "forbidden.example"):
        try:
            site(name)
            answer = "reached"
        except OSError:
            answer = "refused"
        print(time.time(), name, answer, flush=True)
    time.sleep(1)
"""


SOON = "egress-controllers-are-back"


class Inside:
    """A script that goes on in the attacker's pod."""

    def __init__(self, grounds: Grounds, script: str, *arguments: str) -> None:
        command = ["exec", "sbx-attacker", "--", "env", "PYTHONPATH=/opt", "python3", "-c", script, *arguments]
        self._process = subprocess.Popen(
            [*grounds.kubectl.command, "-n", grounds.sandboxes.namespace, *command], stdout=subprocess.PIPE, text=True
        )

    def says(self) -> str:
        """Return its next line."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def allow(grounds: Grounds, domains: list[str]) -> None:
    """Change what the attacker may reach."""
    grounds.sandboxes.change("attacker", egress={"domains": domains})


def admits_policies(grounds: Grounds) -> bool:
    """Tell whether the apiserver takes NetworkPolicies."""
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "probe"}}
    command = [*grounds.kubectl.command, "-n", "default", "apply", "--dry-run=server", "-f", "-"]
    given = json.dumps({**policy, "spec": {"podSelector": {"matchLabels": {"app": "probe"}}}})
    return subprocess.run(command, input=given, text=True, capture_output=True, check=False).returncode == 0


def test_a_policy_that_is_narrowed_cuts_what_it_no_longer_allows_and_restarts_nothing(grounds: Grounds) -> None:
    before = grounds.sandboxes.pod("attacker")["metadata"]["uid"]
    held, kept = Inside(grounds, HOLD, "allowed.example"), Inside(grounds, HOLD, "b.wild.example")
    try:
        assert (held.says(), kept.says()) == ("open", "open")
        allow(grounds, [each for each in GRANTED if each != "allowed.example"])
        assert held.says() == "cut"
        assert kept._process.poll() is None
        assert grounds.audit(domain="allowed.example", reason="policy-changed")
        allow(grounds, GRANTED)
        eventually(lambda: grounds.site("allowed.example")["address"], lambda found: found == ALLOWED, 30)
    finally:
        held.end()
        kept.end()
    assert grounds.sandboxes.pod("attacker")["metadata"]["uid"] == before


def test_what_was_denied_is_told_to_the_user_and_can_then_be_allowed(grounds: Grounds) -> None:
    grounds.add("curious", [])
    for _ in range(3):
        assert grounds.refused("shared.example", "curious") == "alert unrecognized_name"

    def told() -> list[str]:
        """Say how often, as each replica of the gateway tells it."""
        events = grounds.sandboxes.kubectl("describe", "sandbox", "curious")
        return re.findall(r"Denied shared.example:443 \((\w+).*\): not in spec.egress.domains", events)

    eventually(told, lambda counts: sum(int(each.replace("once", "1")) for each in counts[-2:]) >= 3, 90)
    grounds.sandboxes.change("curious", egress={"domains": ["shared.example"]})
    eventually(lambda: grounds.refused("shared.example", "curious"), lambda said: not said, 30)


def test_a_gateway_that_is_killed_takes_only_its_own_connections_along(grounds: Grounds) -> None:
    pods = grounds.kubectl(
        "-n", NAMESPACE, "get", "pods", "-l", "app.kubernetes.io/component=gateway", "-o", "name"
    ).split()
    assert len(pods) == 2
    grounds.kubectl("-n", NAMESPACE, "delete", pods[0], "--grace-period=0", "--force")

    eventually(lambda: grounds.sandboxes.sh("attacker", "getent hosts allowed.example || true"), bool, 60)
    assert grounds.site("allowed.example")["address"] == ALLOWED
    grounds.kubectl(
        "-n",
        NAMESPACE,
        "rollout",
        "status",
        "deployment",
        "-l",
        "app.kubernetes.io/component=gateway",
        "--timeout=120s",
    )


@pytest.mark.slow
def test_a_gateway_that_cannot_see_the_apiserver_keeps_to_what_it_knew(grounds: Grounds) -> None:
    # kubectl exec needs the apiserver, so whoever asks meanwhile has to have been started before.
    grounds.run(
        "sandbox", "sh", "-c", f"cd /opt; nohup setsid python3 -c '{EVERY_SECOND}' >/tmp/asked 2>&1 </dev/null &"
    )
    hack_cluster("stop", "kube-apiserver")
    began = time.time()
    time.sleep(8)
    ended = time.time()
    hack_cluster("start", "kube-apiserver")
    # For a moment it knows no kinds but its own, and refuses what a policy judges by one of ours; and controllers that
    # lost it are back later still, without whom no namespace gets its account.
    eventually(lambda: admits_policies(grounds), bool, 60)
    grounds.kubectl("create", "namespace", SOON)
    grounds.kubectl("-n", SOON, "wait", "--for=create", "serviceaccount/default", "--timeout=170s")
    grounds.kubectl("delete", "namespace", SOON, "--wait=false")

    lines = eventually(
        lambda: grounds.run("sandbox", "cat", "/tmp/asked").splitlines(), lambda found: len(found) >= 20, 90
    )
    meanwhile = [line.split() for line in lines if began < float(line.split()[0]) < ended]

    assert len(meanwhile) >= 3
    assert {name: answer for _, name, answer in meanwhile} == {
        "allowed.example": "reached", "forbidden.example": "refused",
    }  # fmt: skip


@pytest.mark.slow
def test_hundreds_of_slow_hellos_hold_nobody_up(grounds: Grounds) -> None:
    slow = Inside(grounds, SLOW)
    try:
        assert slow.says() == "open"
        assert grounds.site("neighbour-only.example", "neighbour")["sni"] == "neighbour-only.example"
        eventually(lambda: len(grounds.audit(kind="tls", reason="timeout")), lambda count: count >= 300, 60)
    finally:
        slow.end()


@pytest.mark.slow
def test_ten_thousand_connections_of_one_sandbox_leave_its_neighbour_at_work(grounds: Grounds) -> None:
    greedy = Inside(grounds, MANY)
    try:
        assert greedy.says() == "open"
        for _ in range(10):
            assert grounds.site("neighbour-only.example", "neighbour")["sni"] == "neighbour-only.example"
            time.sleep(0.5)
    finally:
        greedy.end()
