"""A gateway beside a real apiserver, sandboxes at addresses of loopback, and servers outside."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.gateway.gateway_process import GatewayProcess
from api.gateway.sandboxes import NODE, Sandboxes
from api.gateway.site import RAW_PORT, Site, site
from api.operator.background import Background
from api.operator.kubernetes_api import NAMESPACES, Api, credentials
from api.operator.proxy import Proxy
from localcluster.controlplane import ControlPlane
from sandkeeper.api.names import GATEWAY_SLOT_LABEL
from sandkeeper.runtime.resource import NODES, SERVICES

HOME = "gateway-home"
UNGUARDED = {"example.com/unguarded": "true"}
"""Where the operator's tests have installed admission policies, these namespaces are exempt."""

StartGateway = Callable[..., GatewayProcess]


@pytest.fixture(scope="module")
def api(apiserver: ControlPlane) -> Iterator[Api]:
    """The API as the cluster's administrator."""
    api = Api(apiserver.kubeconfig)
    api.create(NODES, "", {"metadata": {"name": NODE}})
    yield api
    # Whoever comes after goes by what all nodes offer, and this one offers nothing.
    api.delete(NODES, "", NODE)
    api.close()


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    """Where proxies and servers run."""
    with Background() as background:
        yield background


@pytest.fixture(scope="session")
def outside(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Servers outside."""
    serving = site(tmp_path_factory.mktemp("site"))
    yield background.run(serving.__aenter__())
    background.run(serving.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def slots(api: Api) -> dict[int, str]:
    """Addresses of the gateway's Services, by slot."""
    api.create(NAMESPACES, "", {"metadata": {"name": HOME}})
    found = {}
    for slot in (0, 1):
        metadata = {"name": f"gateway-{slot}", "labels": {GATEWAY_SLOT_LABEL: str(slot)}}
        service = api.create(SERVICES, HOME, {"metadata": metadata, "spec": {"ports": [{"port": 443}]}})
        found[slot] = service["spec"]["clusterIP"]
    return found


@contextmanager
def _gateways(background: Background, apiserver: ControlPlane, folder: Path, outside: Site) -> Iterator[StartGateway]:
    started: list[GatewayProcess] = []

    def start(*, begin: bool = True, **settings: object) -> GatewayProcess:
        proxy = Proxy(background, *credentials(apiserver.kubeconfig))
        proxy.start()
        resolver = {"resolvers": [outside.names.server[0]], "resolvers_port": outside.names.port}
        given = {"namespace": HOME, "ports": [22, RAW_PORT]} | resolver | settings
        started.append(GatewayProcess(proxy, folder, **given))
        return started[-1].start() if begin else started[-1]

    yield start
    for each in started:
        each.proxy.heal()
        each.stop()
        each.proxy.stop()
        print(*each.log, sep="\n")
    assert [each.defects for each in started if each.defects] == []


@pytest.fixture
def start_gateway(
    background: Background, apiserver: ControlPlane, slots: dict[int, str], tmp_path: Path, outside: Site
) -> Iterator[StartGateway]:
    """Start a gateway of the test's own; there can be one at a time."""
    with _gateways(background, apiserver, tmp_path, outside) as start:
        yield start


@pytest.fixture
def sandboxes(api: Api, outside: Site, request: pytest.FixtureRequest) -> Iterator[Sandboxes]:
    """Sandboxes in a namespace of the test's own."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:50].strip("-")
    created = api.create(NAMESPACES, "", {"metadata": {"generateName": f"{name}-", "labels": UNGUARDED}})
    yield Sandboxes(api, created["metadata"]["name"], outside.address, outside.trusted)
    api.delete(NAMESPACES, "", created["metadata"]["name"])
