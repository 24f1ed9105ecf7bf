"""Sandboxes of a namespace, in a cluster with the operator."""

import pytest

from api.kubectl import Kubectl
from e2e.operator.sandboxes import Sandboxes


@pytest.fixture
def sandboxes(kubectl: Kubectl, namespace: str) -> Sandboxes:
    """The sandboxes of the test's namespace."""
    return Sandboxes(kubectl, namespace)
