"""Sandboxes of a namespace, in a cluster with the operator."""

import pytest

from api.kubectl import Kubectl
from e2e.operator.sandboxes import Sandboxes
from localcluster.native.driver import NativeDriver
from localcluster.selection import choose

# No other cluster's network and kubelet can be told to stop, and kind's kubelets sign their certificates themselves.
_NATIVE_ONLY = [
    "test_without_enforcement.py",
    "test_idle.py",
    "test_life_faults.py",
    "test_snapshots.py",
    "test_rollback.py",
    "test_copies_killed.py",
    "test_copies_faults.py",
    "test_copies_backup.py",
    "test_monitoring.py",
]
collect_ignore = [] if isinstance(choose(), NativeDriver) else _NATIVE_ONLY


@pytest.fixture
def sandboxes(kubectl: Kubectl, namespace: str) -> Sandboxes:
    """The sandboxes of the test's namespace."""
    return Sandboxes(kubectl, namespace)
