"""A cluster whose network enforces nothing: it is noticed, nothing starts there, and it heals when that changes."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from e2e.conftest import hack_cluster
from e2e.operator.sandboxes import Sandboxes, eventually
from e2e.operator.test_enforcement import egress, record
from installation import NAMESPACE
from localcluster.commands import run
from localcluster.identity import ProcessIdentity
from localcluster.native.driver import NativeDriver
from localcluster.native.policy.table import NAME


def drop_the_table() -> None:
    """Take away what enforces policies in the node."""
    hack_cluster("stop", "network-policy")
    node = ProcessIdentity.load(NativeDriver()._plan().process_record)
    assert node
    run("nsenter", "--net", "--target", str(node.pid), "nft", "delete", "table", *NAME.split())


@pytest.fixture
def enforce(sandboxes: Sandboxes) -> Iterator[Callable[[], object]]:
    """How to let the node enforce policies again; at the end it does."""
    start = partial(hack_cluster, "start", "network-policy")
    yield start
    start()
    eventually(lambda: record(sandboxes).get("result"), lambda seen: seen == "Verified")


def try_again(sandboxes: Sandboxes) -> None:
    """Have the whole cluster tried now."""
    sandboxes._kubectl("-n", NAMESPACE, "delete", "configmap", "sandkeeper-enforcement", "--ignore-not-found")


def test_nothing_starts_until_the_network_enforces(sandboxes: Sandboxes, enforce: Callable[[], object]) -> None:
    sandboxes.apply("early")
    sandboxes.wait("early")
    before = sandboxes.pod("early")["metadata"]["uid"]

    drop_the_table()
    try_again(sandboxes)
    sandboxes.apply("late")

    said = eventually(lambda: sandboxes.ready("late"), lambda seen: seen.get("reason") == "NotEnforced")
    assert "it reached a pod's address" in said["message"]
    assert "Cilium or Calico" in said["message"]
    assert sandboxes.pod("late") == {}
    assert eventually(lambda: egress(sandboxes, "early"), lambda seen: seen["status"] == "False")
    assert sandboxes.pod("early")["metadata"]["uid"] == before
    assert sandboxes.ready("early")["status"] == "True"
    enforce()
    sandboxes.wait("late")
    assert egress(sandboxes, "late")["status"] == "True"
