"""What enforcement costs: CPU while pods come and go, and the time from ``kubectl apply`` to a closed door."""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import pytest

from api.kubectl import Kubectl
from e2e.cluster.conftest import Pods
from e2e.cluster.policy_lab import Lab
from e2e.conftest import CHECKOUT
from localcluster.paths import SOURCES

pytestmark = pytest.mark.slow
ROUNDS = 5
# Asks two hundred times a second until nobody answers any more, and tells when somebody last did.
ASK_ON = """
import socket, sys, time
asking = socket.socket(type=socket.SOCK_DGRAM)
asking.connect((sys.argv[1], 8080))
asking.settimeout(1)
last = 0.0
try:
    while True:
        asking.send(b"x")
        asking.recv(1)
        last = time.time()
        time.sleep(0.005)
except OSError:
    print(last)
"""


@pytest.fixture(scope="module")
def lab(kubectl: Kubectl) -> Iterator[Lab]:
    """Pods that talk to each other."""
    names = [f"cost-{which}-{uuid.uuid4().hex[:6]}" for which in ("here", "there")]
    for name in names:
        kubectl("create", "namespace", name)
    yield Lab(*(Pods(kubectl, name) for name in names))
    kubectl("delete", "namespace", *names, "--wait=false")


def test_five_hundred_pods_that_come_and_go_cost_little(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["unshare", "--net", sys.executable, "-m", "localcluster.native.policy.measure", "10", "50"]
    done = subprocess.run(
        command, cwd=CHECKOUT, env={"PYTHONPATH": SOURCES, "PATH": "/usr/sbin:/usr/bin:/bin"}, text=True,
        stdout=subprocess.PIPE, check=True, timeout=200,
    )  # fmt: skip
    for figures in map(json.loads, done.stdout.splitlines()):
        with capsys.disabled():
            print(f"\n{figures}")
        # The pods that were replaced did not each have a write of their own, and never had a core.
        assert 0 < figures["syncs"] < figures["replaced_a_second"] * 20
        assert figures["cpu"] < 0.5


def test_a_door_closes_soon_after_apply(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    closed = [after_apply(lab) for _ in range(ROUNDS)]

    with capsys.disabled():
        told = [f"{seconds * 1000:.0f}" for seconds in closed]
        print(f"\nlast answer after `kubectl apply` began, ms: {told}, median {median(closed) * 1000:.0f}")
    assert all(seconds > 0 for seconds in closed)


def after_apply(lab: Lab) -> float:
    """Return how long after the beginning of ``kubectl apply`` the last answer came."""
    with ThreadPoolExecutor(max_workers=1) as beside:
        asking = beside.submit(lab.run, "friend", ASK_ON, lab.address["server"])
        time.sleep(2)
        began = time.time()
        with lab.policy(policyTypes=["Ingress"]):
            last = float(asking.result())
    lab.becomes({("friend",): True})
    return last - began
