"""The kubelets' pages of measurements that the operator reads, behind TLS, each on a loopback address of its own."""

import ssl
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from aiohttp import web

from localcluster.pki import Authority
from localcluster.ports import free_ports
from sandkeeper.runtime.resource import Json

IDLE_CORES = 0.0002
"""What a pod uses in which a shell waits."""
_RESOURCES = """\
container_cpu_usage_seconds_total{{container="sandbox",namespace="{namespace}",pod="{pod}"}} {cpu} {at}
container_memory_working_set_bytes{{container="sandbox",namespace="{namespace}",pod="{pod}"}} 1.2e+06 {at}
container_start_time_seconds{{container="sandbox",namespace="{namespace}",pod="{pod}"}} 1.7e+09
container_swap_usage_bytes{{container="sandbox",namespace="{namespace}",pod="{pod}"}} 0 {at}
pod_cpu_usage_seconds_total{{namespace="{namespace}",pod="{pod}"}} {cpu} {at}
pod_memory_working_set_bytes{{namespace="{namespace}",pod="{pod}"}} 1.3e+06 {at}
pod_swap_usage_bytes{{namespace="{namespace}",pod="{pod}"}} 0 {at}
"""
_VOLUME = 'kubelet_volume_stats_{name}{{namespace="{namespace}",persistentvolumeclaim="{pod}"}} {value}\n'
_VOLUME_METRICS = {"available_bytes": 9e9, "capacity_bytes": 1e10, "used_bytes": 1e9, "inodes": 1e6, "inodes_free": 9e5,
                   "inodes_used": 1e5}  # fmt: skip
# A real kubelet's page is about this long, mostly histograms that nobody here asks for.
_REST = "".join(f'rest_client_rate_limiter_duration_seconds_bucket{{verb="GET",le="{n}"}} {n}\n' for n in range(3500))


class KubeletStandIns:
    """One for each simulated node.

    Parameters
    ----------
    folder
        For certificates.
    count
        Number of nodes.

    Attributes
    ----------
    port
        The same on all addresses.
    ca
        Who signed their certificate.
    answers
        Pages that were asked for.
    """

    def __init__(self, folder: Path, count: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        authority = Authority.new()
        self._addresses = [f"127.1.{index // 250}.{index % 250 + 1}" for index in range(count)]
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*authority.server("kubelet", self._addresses).write(folder, "kubelet"))
        self.ca = folder / "kubelet-ca.crt"
        self.ca.write_bytes(authority.pair.certificate)
        self.port = free_ports("127.0.0.1").apiserver
        self.answers = 0
        self._pods: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        self._began = time.time()

    async def __aenter__(self) -> Self:
        """Listen."""
        app = web.Application()
        app.router.add_get("/metrics/resource", self._resources)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        for address in self._addresses:
            await web.TCPSite(self._runner, address, self.port, ssl_context=self._context).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Listen no more."""
        await self._runner.cleanup()

    def address(self, index: int) -> str:
        """Return where the n-th node's listens."""
        return self._addresses[index]

    @property
    def busy(self) -> int:
        """Number of nodes that pods run on."""
        return len(self._pods)

    def run(self, pods: Iterable[Json]) -> None:
        """Take pods for those that run, each on its node."""
        self._pods.clear()
        for pod in pods:
            index = int(pod["spec"]["nodeName"].rpartition("-")[2])
            self._pods[self._addresses[index]].append((pod["metadata"]["namespace"], pod["metadata"]["name"]))

    def _asked(self, request: web.Request) -> list[tuple[str, str]]:
        self.answers += 1
        transport = request.transport
        return self._pods.get(transport.get_extra_info("sockname")[0], []) if transport else []

    async def _resources(self, request: web.Request) -> web.Response:
        now = time.time()
        spent = {"cpu": (now - self._began) * IDLE_CORES, "at": round(now * 1000)}
        pods = self._asked(request)
        return web.Response(text="".join(_RESOURCES.format(namespace=ns, pod=pod, **spent) for ns, pod in pods))

    async def _metrics(self, request: web.Request) -> web.Response:
        volumes = (
            _VOLUME.format(name=name, namespace=namespace, pod=pod, value=value)
            for namespace, pod in self._asked(request)
            for name, value in _VOLUME_METRICS.items()
        )
        return web.Response(text=_REST + "".join(volumes))
