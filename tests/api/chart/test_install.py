"""The chart on a real apiserver: installed where only restricted pods run, used by tenants, removed and back again."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.kubectl import Kubectl
from localcluster.controlplane import ControlPlane
from localcluster.process import wait_until
from sandkeeper.api.crd import KINDS
from sandkeeper.api.names import GROUP
from unit.chart.rendering import CHART, Helm

NAMESPACE = "sandkeeper-system"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:sandkeeper-operator"
SANDBOX = '{"apiVersion": "sandkeeper.dev/v1alpha1", "kind": "Sandbox", "metadata": {"name": "hello"}, "spec": {}}'


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Run a control plane that has never heard of sandboxes."""
    with ControlPlane(tmp_path_factory.mktemp("chart") / "control-plane") as control_plane:
        kubectl = Kubectl(control_plane.kubeconfig, tmp_path_factory.mktemp("kubectl"))
        kubectl("create", "namespace", NAMESPACE)
        kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        yield control_plane


@pytest.fixture
def kubectl(cluster: ControlPlane, tmp_path: Path) -> Kubectl:
    return Kubectl(cluster.kubeconfig, tmp_path / "kubectl")


@pytest.fixture
def helm(cluster: ControlPlane, tmp_path: Path) -> Helm:
    return Helm(tmp_path, cluster.kubeconfig)


def install(helm: Helm, name: str = "sandkeeper") -> None:
    done = helm("install", name, CHART, "--namespace", NAMESPACE)
    assert done.returncode == 0, done.stderr


def uninstall(helm: Helm, name: str = "sandkeeper") -> str:
    done = helm("uninstall", name, "--namespace", NAMESPACE, "--wait")
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_served(kubectl: Kubectl, kind: str) -> bool:
    """Whether objects of a kind can be listed."""
    try:
        kubectl("get", kind, "--all-namespaces")
    except AssertionError:
        return False
    return True


@pytest.fixture
def installed(helm: Helm, kubectl: Kubectl) -> Iterator[None]:
    """Install the chart, and remove every trace of it after."""
    install(helm)
    kinds = [f"{kind.plural}.{GROUP}" for kind in KINDS]
    # One that is deleted while its storage is being set up goes minutes later.
    wait_until(lambda: all(is_served(kubectl, kind) for kind in kinds), "storage of all kinds", seconds=30)
    yield
    uninstall(helm)
    kubectl("delete", "crd", *kinds)


def allowed(kubectl: Kubectl, user: str, verb: str, resource: str, namespace: str = "default") -> bool:
    """Ask the apiserver whether a user may do something; ``resource`` is as in ``sandboxes.sandkeeper.dev/status``."""
    name, _, subresource = resource.partition("/")
    plural, _, group = name.partition(".")
    asked = {"namespace": namespace, "verb": verb, "group": group, "resource": plural, "subresource": subresource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": asked},
    }
    answer = json.loads(kubectl("create", "-f", "-", "-o", "json", given=json.dumps(review)))
    return bool(answer["status"]["allowed"])


@pytest.mark.usefixtures("installed")
def test_all_replicas_pass_the_restricted_pod_security_standard(kubectl: Kubectl) -> None:
    deployments = f"--namespace={NAMESPACE}", "deployment/sandkeeper-operator", "deployment/sandkeeper-gateway"

    kubectl("wait", *deployments, "--for=jsonpath={.status.replicas}=2", "--timeout=30s")

    pods = json.loads(kubectl("get", "pods", f"--namespace={NAMESPACE}", "-o", "json"))["items"]
    mounts = [mount["mountPath"] for pod in pods for mount in pod["spec"]["containers"][0]["volumeMounts"]]
    assert mounts == ["/var/run/secrets/kubernetes.io/serviceaccount"] * 4


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("role", "writes"), [("view", False), ("edit", True), ("admin", True)])
def test_tenants_use_sandboxes_by_the_roles_they_have(kubectl: Kubectl, role: str, writes: bool) -> None:
    user = f"{role}er"
    kubectl("create", "rolebinding", user, f"--clusterrole={role}", f"--user={user}", "--namespace=default")

    wait_until(lambda: allowed(kubectl, user, "list", "sandboxes.sandkeeper.dev"), "aggregation of roles", seconds=30)

    for verb in ("create", "update", "patch", "delete", "deletecollection"):
        assert allowed(kubectl, user, verb, "sandboxes.sandkeeper.dev") is writes, verb
    for subresource in ("status", "finalizers"):
        assert not allowed(kubectl, user, "update", f"sandboxes.sandkeeper.dev/{subresource}")
        assert not allowed(kubectl, user, "patch", f"sandboxes.sandkeeper.dev/{subresource}")
    assert not allowed(kubectl, user, "list", "sandboxes.sandkeeper.dev", namespace="kube-system")


@pytest.mark.usefixtures("installed")
def test_the_operator_may_do_its_work_and_reads_no_secret(kubectl: Kubectl) -> None:
    assert allowed(kubectl, OPERATOR, "create", "pods")
    assert allowed(kubectl, OPERATOR, "patch", "pods/resize")
    assert allowed(kubectl, OPERATOR, "create", "pods/exec")
    assert allowed(kubectl, OPERATOR, "patch", "sandboxes.sandkeeper.dev/status")
    assert allowed(kubectl, OPERATOR, "create", "fences.sandkeeper.dev")
    assert allowed(kubectl, OPERATOR, "create", "leases.coordination.k8s.io", namespace=NAMESPACE)

    assert not allowed(kubectl, OPERATOR, "create", "leases.coordination.k8s.io", namespace="kube-system")
    assert not allowed(kubectl, OPERATOR, "patch", "sandboxes.sandkeeper.dev")
    assert not allowed(kubectl, OPERATOR, "get", "secrets")
    assert not allowed(kubectl, OPERATOR, "create", "pods/attach")


@pytest.mark.usefixtures("installed")
def test_sandboxes_outlive_the_release_and_the_next_one_takes_them_over(helm: Helm, kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", given=SANDBOX)

    said = uninstall(helm)
    install(helm)

    assert "[CustomResourceDefinition] sandboxes.sandkeeper.dev" in said
    assert kubectl("get", "sandboxes", "-o", "name") == "sandbox.sandkeeper.dev/hello\n"


FENCE = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "sandkeeper-fence", "labels": {"sandkeeper.dev/managed": "true"}},
    "spec": {"podSelector": {"matchLabels": {"sandkeeper.dev/role": "sandbox"}}, "policyTypes": ["Ingress", "Egress"]},
}


def policies(kubectl: Kubectl) -> list[str]:
    """Return the names of admission policies and bindings."""
    return kubectl("get", "validatingadmissionpolicies,validatingadmissionpolicybindings", "-o", "name").split()


def fence_is_guarded(kubectl: Kubectl, namespace: str = "default") -> bool:
    """Whether the administrator is kept from deleting a fence, in a dry run."""
    try:
        kubectl("delete", "networkpolicy", "sandkeeper-fence", "--dry-run=server", f"--namespace={namespace}")
    except AssertionError as refused:
        return "denied request: NetworkPolicy sandkeeper-fence closes the sandboxes" in str(refused)
    return False


@pytest.mark.usefixtures("installed")
def test_what_the_policies_guard_is_held_up_by_nothing_once_the_release_is_gone(helm: Helm, kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", f"--as={OPERATOR}", given=json.dumps(FENCE))
    wait_until(lambda: fence_is_guarded(kubectl), "policies in force", seconds=30)

    uninstall(helm)

    assert policies(kubectl) == []
    wait_until(lambda: not fence_is_guarded(kubectl), "end of the policies", seconds=30)
    kubectl("delete", "networkpolicy", "sandkeeper-fence")
    install(helm)


@pytest.mark.usefixtures("installed")
def test_an_upgrade_goes_through_where_a_sandbox_is_beside_the_operator(helm: Helm, kubectl: Kubectl) -> None:
    system = f"--namespace={NAMESPACE}"
    kubectl("create", "-f", "-", f"--as={OPERATOR}", system, given=json.dumps(FENCE))
    wait_until(lambda: fence_is_guarded(kubectl, NAMESPACE), "policies in force", seconds=30)

    done = helm("upgrade", "sandkeeper", CHART, system, "--set", "networkPolicy.apiServerPorts={6443}")

    assert done.returncode == 0, done.stderr
    kubectl("delete", "networkpolicy", "sandkeeper-fence", f"--as={OPERATOR}", system)


@pytest.mark.usefixtures("installed")
def test_an_upgrade_takes_the_policies_away_and_brings_them_back(helm: Helm, kubectl: Kubectl) -> None:
    upgrade = ("upgrade", "sandkeeper", CHART, "--namespace", NAMESPACE, "--set")
    installed = policies(kubectl)

    off = helm(*upgrade, "admissionPolicies.enabled=false")

    assert (off.returncode, policies(kubectl)) == (0, [])
    on = helm(*upgrade, "admissionPolicies.enabled=true")
    assert (on.returncode, policies(kubectl)) == (0, installed)
    assert len(installed) == 18


@pytest.mark.usefixtures("installed")
def test_an_upgrade_with_other_values_goes_through(helm: Helm, kubectl: Kubectl) -> None:
    changed = ("--set", "replicaCount=1,workers=4", "--reset-then-reuse-values")

    done = helm("upgrade", "sandkeeper", CHART, "--namespace", NAMESPACE, *changed)

    assert done.returncode == 0, done.stderr
    budgets = kubectl("get", "poddisruptionbudgets", f"--namespace={NAMESPACE}", "-o", "name")
    assert budgets.split() == ["poddisruptionbudget.policy/sandkeeper-gateway"]
