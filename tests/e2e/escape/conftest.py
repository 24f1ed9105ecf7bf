"""Grounds on which to try to get out, made once; and a table of all attempts at the end."""

import uuid
from collections.abc import Iterator

import pytest

from api.kubectl import Kubectl
from e2e.escape.grounds import Grounds
from e2e.escape.ledger import Ledger
from installation import Installation

LEDGER = Ledger()


@pytest.fixture(scope="session")
def ledger() -> Ledger:
    """The rows of this run."""
    return LEDGER


@pytest.fixture(scope="session")
def grounds(kubectl: Kubectl, installation: Installation) -> Iterator[Grounds]:
    """The attacker, its targets and its controls."""
    names = [f"escape-{uuid.uuid4().hex[:8]}-{which}" for which in ("home", "abroad")]
    for name in names:
        kubectl("create", "namespace", name)
    grounds = Grounds(kubectl, *names)
    try:
        grounds.build()
        yield grounds
    finally:
        grounds.leave()
        kubectl("delete", "namespace", *names, "--wait=false")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the table."""
    if LEDGER.rows:
        terminalreporter.section("the escape suite")
        terminalreporter.write(LEDGER.table())
