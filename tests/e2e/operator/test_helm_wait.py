"""Helm waits for the sandboxes of a release, as long as they take and no longer."""

import json
import subprocess
from pathlib import Path

import pytest

from e2e.operator.sandboxes import Sandboxes
from unit.chart.rendering import Helm

CHART = {"apiVersion": "v2", "name": "agents", "version": "0.1.0"}


class Release:
    """A release of a chart that holds one sandbox."""

    def __init__(self, helm: Helm, folder: Path, sandboxes: Sandboxes) -> None:
        self._helm, self._folder, self._sandboxes = helm, folder, sandboxes
        (folder / "templates").mkdir(parents=True)
        (folder / "Chart.yaml").write_text(json.dumps(CHART))

    def upgrade(self, timeout: str, **spec: object) -> subprocess.CompletedProcess[str]:
        """Give the sandbox a spec, and wait until Helm says how that went."""
        manifest = json.dumps(self._sandboxes.manifest("released", **spec))
        (self._folder / "templates" / "sandbox.yaml").write_text(manifest)
        where = ("--namespace", self._sandboxes.namespace, "--install", "--wait", "--timeout", timeout)
        return self._helm("upgrade", "agents", self._folder, *where)


@pytest.fixture
def release(kubeconfig: Path, sandboxes: Sandboxes, tmp_path: Path) -> Release:
    """Give a release that is not installed yet."""
    return Release(Helm(tmp_path, kubeconfig), tmp_path / "agents", sandboxes)


def test_it_waits_until_a_sandbox_runs_or_sleeps_and_no_longer(release: Release, sandboxes: Sandboxes) -> None:
    installed = release.upgrade("60s")
    assert installed.returncode == 0, installed.stderr
    assert sandboxes.ready("released")["reason"] == "Running"

    asleep = release.upgrade("60s", lifecycle={"state": "Sleeping"})
    assert asleep.returncode == 0, asleep.stderr
    assert sandboxes.ready("released")["reason"] == "Sleeping"


def test_it_fails_at_once_on_a_sandbox_that_no_retry_heals(release: Release, sandboxes: Sandboxes) -> None:
    stalled = release.upgrade("100s", egress={"domains": ["example.com:9999"]})

    assert stalled.returncode != 0
    # One whose time is over would be in progress.
    assert f"resource Sandbox/{sandboxes.namespace}/released not ready. status: Failed" in stalled.stderr
    assert sandboxes.ready("released")["reason"] == "EgressUnavailable"
