"""An operator beside a real control plane, with a kubelet that runs nothing and a namespace per test."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.operator.background import Background
from api.operator.kubelet import Kubelet
from api.operator.kubernetes_api import NAMESPACES, Api, RefusedError, credentials
from api.operator.operator_process import SYSTEM, OperatorProcess
from api.operator.proxy import Proxy
from api.operator.team import Team
from api.operator.waiting import eventually
from localcluster.controlplane import ControlPlane
from sandkeeper.runtime.resource import LEASES, PODS, SERVICE_ACCOUNTS, Resource
from unit.chart.rendering import Helm, objects

StartOperator = Callable[..., OperatorProcess]

INSTALLED = [SERVICE_ACCOUNTS] + [
    Resource(group, "v1", plural, kind, namespaced)
    for group, plural, kind, namespaced in (
        ("rbac.authorization.k8s.io", "clusterroles", "ClusterRole", False),
        ("rbac.authorization.k8s.io", "clusterrolebindings", "ClusterRoleBinding", False),
        ("rbac.authorization.k8s.io", "roles", "Role", True),
        ("rbac.authorization.k8s.io", "rolebindings", "RoleBinding", True),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", False),
        (
            "admissionregistration.k8s.io",
            "validatingadmissionpolicybindings",
            "ValidatingAdmissionPolicyBinding",
            False,
        ),
    )
]
_ACCOUNT = f"system:serviceaccount:{SYSTEM}:sandkeeper-operator"
_UNGUARDED = "example.com/unguarded"
"""Label of namespaces in which no admission policy holds, as before the chart was installed."""
_GUARDED = {"matchExpressions": [{"key": _UNGUARDED, "operator": "DoesNotExist"}]}


@contextmanager
def _operators(api: Api, background: Background, kubeconfig: Path, folder: Path) -> Iterator[StartOperator]:
    """Start operators, and end them with a look at what they said."""
    started: list[OperatorProcess] = []

    def start(identity: str = "operator-0", *, begin: bool = False, **settings: object) -> OperatorProcess:
        proxy = Proxy(background, *credentials(kubeconfig))
        proxy.start()
        started.append(OperatorProcess(proxy, folder, identity, **settings))
        if not begin:
            started[-1].start()
        return started[-1]

    yield start
    for each in started:
        each.proxy.heal()
        each.stop()
        each.proxy.stop()
        print(*each.log, sep="\n")
    # The next operator is not to wait for these to expire.
    api.delete_all(LEASES, SYSTEM)
    assert [each.defects for each in started if each.defects] == []


@pytest.fixture(scope="session")
def api(apiserver: ControlPlane) -> Iterator[Api]:
    """The API as the cluster's administrator."""
    # The garbage collector looks for kinds that are new to it twice a minute, but at its start at once.
    apiserver.restart("kube-controller-manager")
    api = Api(apiserver.kubeconfig)
    yield api
    api.close()


@pytest.fixture(scope="session")
def kubelet(api: Api) -> Iterator[Kubelet]:
    """Makes every pod ready, unless told otherwise."""
    with Kubelet(api) as kubelet:
        yield kubelet


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    """Where the proxies run."""
    with Background() as background:
        yield background


@pytest.fixture(scope="session")
def operator_kubeconfig(apiserver: ControlPlane, api: Api, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Credentials of the chart's ServiceAccount with the chart's RBAC and policies, so that a missing right shows."""
    api.create(NAMESPACES, "", {"metadata": {"name": SYSTEM}})
    rendered = Helm(tmp_path_factory.mktemp("helm")).rendered({"admissionPolicies": {"namespaceSelector": _GUARDED}})
    for resource in INSTALLED:
        for each in objects(rendered, resource.kind):
            api.create(resource, SYSTEM if resource.namespaced else "", each)
    eventually(lambda: _guarded(api), "admission policies in force")
    return apiserver.credentials(_ACCOUNT, ["system:serviceaccounts", f"system:serviceaccounts:{SYSTEM}"])


def _guarded(api: Api) -> bool:
    pod = {"metadata": {"name": "sbx-probe"}, "spec": {"containers": [{"name": "probe", "image": "probe"}]}}
    try:
        api.create(PODS, SYSTEM, pod)
    except RefusedError as error:
        return "ValidatingAdmissionPolicy" in str(error)
    api.delete(PODS, SYSTEM, "sbx-probe", grace=0)
    return False


@pytest.fixture
def unguarded() -> None:
    """Give the test's team a namespace in which nobody is kept from what the admission policies refuse elsewhere."""


@pytest.fixture
def team(api: Api, kubelet: Kubelet, request: pytest.FixtureRequest) -> Iterator[Team]:
    """A namespace of the test's own."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:50].strip("-")
    labels = {_UNGUARDED: "true"} if "unguarded" in request.fixturenames else {}
    metadata = {"generateName": f"{name}-", "labels": labels}
    created = api.create(NAMESPACES, "", {"metadata": metadata})["metadata"]["name"]
    yield Team(api, created)
    kubelet.resume(created)
    api.delete(NAMESPACES, "", created)


@pytest.fixture
def start_operator(
    api: Api, background: Background, operator_kubeconfig: Path, kubelet: Kubelet, tmp_path: Path
) -> Iterator[StartOperator]:
    """Start operators of the test's own, each behind its proxy."""
    with _operators(api, background, operator_kubeconfig, tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def operator(
    api: Api,
    background: Background,
    operator_kubeconfig: Path,
    kubelet: Kubelet,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[OperatorProcess]:
    """One operator for all tests of a module that do it no harm."""
    with _operators(api, background, operator_kubeconfig, tmp_path_factory.mktemp("operator")) as start:
        yield start()
