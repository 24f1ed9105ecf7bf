"""Grounds and a world outside, made once; the gateway is told to ask that world's name server."""

import uuid
from collections.abc import Iterator

import pytest

from api.kubectl import Kubectl
from e2e.egress.grounds import Grounds
from e2e.egress.internet import RESOLVER, Internet
from e2e.escape.ledger import Ledger
from installation import Installation
from localcluster.native.driver import NativeDriver
from localcluster.selection import choose

# No other cluster's node can be linked to a network namespace of the tests' own.
collect_ignore_glob = [] if isinstance(choose(), NativeDriver) else ["test_*.py"]
LEDGER = Ledger()


@pytest.fixture(scope="session")
def ledger() -> Ledger:
    """The rows of this run."""
    return LEDGER


@pytest.fixture(scope="session")
def internet(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    """The world outside, with a gateway that asks its name server."""
    internet = Internet(tmp_path_factory.mktemp("internet"))
    try:
        internet.start()
        installation.install(f"gateway.resolvers={{{RESOLVER}}}", "gateway.setupDomains={setup.example}")
        yield internet
    finally:
        internet.stop()
        installation.install()


@pytest.fixture(scope="session")
def grounds(kubectl: Kubectl, internet: Internet) -> Iterator[Grounds]:
    """Attacker, neighbour and ordinary pods."""
    namespace = f"egress-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", namespace)
    grounds = Grounds(kubectl, namespace, internet)
    try:
        grounds.build()
        yield grounds
    finally:
        kubectl("delete", "namespace", namespace, "--wait=false")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the table."""
    if LEDGER.rows:
        terminalreporter.section("attempts to get past the egress gateway")
        terminalreporter.write(LEDGER.table())
