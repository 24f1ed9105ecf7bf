"""What is delivered: the package of the chart, and the image whose version it installs."""

import re
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

from unit.chart.rendering import CHART, CHECKOUT, Helm


def test_the_package_holds_the_definitions_and_no_tests(helm: Helm, tmp_path: Path) -> None:
    done = helm("package", CHART, "--destination", tmp_path)

    assert done.returncode == 0, done.stderr
    with tarfile.open(next(tmp_path.glob("sandkeeper-*.tgz"))) as package:
        names = package.getnames()
    assert "sandkeeper/files/crds/sandkeeper.dev_sandboxes.yaml" in names
    assert "sandkeeper/values.schema.json" in names
    assert [name for name in names if "/tests/" in name] == []


@pytest.mark.parametrize(
    ("version", "accepted"), [("1.32.9", False), ("1.33.0", True), ("1.33.5-gke.100", True), ("1.36.3", True)]
)
def test_a_cluster_without_resize_is_refused(helm: Helm, version: str, accepted: bool) -> None:
    done = helm.template({}, "--kube-version", version)

    assert (done.returncode == 0) is accepted, done.stderr
    assert accepted or "requires kubeVersion: >=1.33.0-0" in done.stderr


def test_the_chart_installs_the_version_that_it_comes_with() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]

    assert chart["appVersion"] == project["version"]


def test_the_image_is_made_from_what_is_pinned_and_runs_as_the_chart_says(helm: Helm) -> None:
    dockerfile = (CHECKOUT / "Dockerfile").read_text()
    deployment = next(d for d in yaml.safe_load_all(helm.rendered({})) if d and d["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]

    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", dockerfile, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${BASE}"}
    assert "--require-hashes" in dockerfile
    user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert re.findall(r"^USER (\S+)", dockerfile, re.MULTILINE) == [user]
    ports = " ".join(str(port["containerPort"]) for port in pod["containers"][0]["ports"])
    assert re.findall(r"^EXPOSE (.+)", dockerfile, re.MULTILINE) == [ports]
