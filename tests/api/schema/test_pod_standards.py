"""The namespaces of tenants may enforce a Pod Security Standard: which pods of sandboxes pass it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.kubectl import Kubectl
from sandkeeper.api.diff import SandboxDiff
from sandkeeper.api.resolve import resolve
from sandkeeper.api.sandbox import Sandbox
from sandkeeper.plan.diff_pod import diff_pod
from sandkeeper.plan.observed import Settings
from sandkeeper.plan.pod import sandbox_pod

NO_ROOT = {"root": False}
READ_ONLY = {"writablePaths": ["/srv"]}
GIT = {"repository": "https://git.example.com/app", "credentialsSecret": "login"}


@pytest.fixture(scope="module", params=["baseline", "restricted"])
def standard(request: pytest.FixtureRequest, kubectl: Kubectl) -> Iterator[str]:
    """A standard, enforced in a namespace of its name."""
    kubectl("create", "namespace", request.param)
    kubectl("label", "namespace", request.param, f"pod-security.kubernetes.io/enforce={request.param}")
    kubectl("-n", request.param, "wait", "--for=create", "--timeout=30s", "serviceaccount/default")
    yield request.param
    kubectl("delete", "namespace", request.param, "--wait=false")


def pod(namespace: str, spec: dict[str, Any], *, image_volumes: bool) -> str:
    """Render the pod of a sandbox, without the marks that admission lets only the operator give."""
    metadata = {"name": "agent", "namespace": namespace, "uid": "1234"}
    sandbox = Sandbox.model_validate({"metadata": metadata, "spec": spec})
    rendered = sandbox_pod(sandbox, resolve(sandbox.spec), Settings(), user_namespace=True, image_volumes=image_volumes)
    return json.dumps({**rendered, "metadata": {"name": "unmarked", "namespace": namespace}})


@pytest.mark.parametrize("image_volumes", [True, False], ids=["image volume", "init container"])
@pytest.mark.parametrize("more", [{}, {"git": GIT}], ids=["alone", "with a repository"])
@pytest.mark.parametrize("security", [{}, READ_ONLY, NO_ROOT, NO_ROOT | READ_ONLY], ids=json.dumps)
def test_every_sandbox_meets_baseline_and_one_without_root_restricted(
    kubectl: Kubectl, standard: str, security: dict[str, Any], more: dict[str, Any], image_volumes: bool
) -> None:
    violates = standard == "restricted" and "root" not in security
    ask = kubectl.refused if violates else kubectl

    made = pod(standard, {"security": security, **more}, image_volumes=image_volumes)
    said = ask("-n", standard, "create", "--dry-run=server", "-f", "-", given=made)

    assert ("violates PodSecurity" in said) == violates


@pytest.mark.parametrize("root", [True, False])
def test_what_compares_snapshots_meets_what_their_sandbox_does(kubectl: Kubectl, standard: str, root: bool) -> None:
    metadata = {"name": "d", "namespace": standard, "uid": "1234"}
    diff = SandboxDiff.model_validate({"metadata": metadata, "spec": {"from": {"snapshotRef": {"name": "before"}}}})
    rendered = diff_pod(diff, Settings(), attempt=1, root=root, user_namespace=True)
    violates = standard == "restricted" and root
    ask = kubectl.refused if violates else kubectl

    made = json.dumps({**rendered, "metadata": {"name": "unmarked", "namespace": standard}})
    said = ask("-n", standard, "create", "--dry-run=server", "-f", "-", given=made)

    assert ("violates PodSecurity" in said) == violates
