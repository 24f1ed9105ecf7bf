"""Names, addresses and folders of one checkout's node."""

import ipaddress
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from localcluster.errors import ClusterError

# One link of four addresses per node: its address, this machine's address, and the range's two ends.
LINKS = ipaddress.ip_network("10.231.0.0/16")
LINK_PREFIX = 30


@dataclass(frozen=True)
class NodePlan:
    """One node, as both sides of its namespaces see it.

    Parameters
    ----------
    id
        Eight hexadecimal digits that keep checkouts on one machine apart.
    state
        The folder of everything that it writes.
    link
        The range of the link between this machine and the node.
    release
        The builds that it runs, to tell when a checkout has moved on.
    service_cidr, pod_cidr
        Ranges that are known inside the node alone, so that every checkout has the same.
    """

    id: str
    state: Path
    link: str
    release: str
    name: str = "sandkeeper-node"
    service_cidr: str = "10.96.0.0/16"
    pod_cidr: str = "10.244.0.0/22"

    @property
    def host_address(self) -> str:
        """Return this machine's address on the link."""
        return str(ipaddress.ip_network(self.link)[1])

    @property
    def address(self) -> str:
        """Return the node's address: the apiserver, the kubelet and the node's pods answer there."""
        return str(ipaddress.ip_network(self.link)[2])

    @property
    def host_interface(self) -> str:
        """Return the link's end on this machine; pods' interfaces are called ``veth…``, so this one is not."""
        return f"skn-{self.id}"

    @property
    def cgroup(self) -> str:
        """Return the cgroup under which all pods are."""
        return f"/sandkeeper-{self.id}"

    @property
    def dns_address(self) -> str:
        """Return the cluster DNS's address."""
        return str(ipaddress.ip_network(self.service_cidr)[10])

    @property
    def logs(self) -> Path:
        """Return the folder of logs."""
        return self.state / "logs"

    @property
    def images(self) -> Path:
        """Return the folder of images that were loaded, imported again by every start."""
        return self.state / "images"

    @property
    def control_plane(self) -> Path:
        """Return the control plane's folder."""
        return self.state / "control-plane"

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig."""
        return self.state / "kubeconfig"

    @property
    def process_record(self) -> Path:
        """Return the file that names the node's first process."""
        return self.state / "node-process.json"

    @property
    def file(self) -> Path:
        """Return the file that holds this plan."""
        return self.state / "node.json"

    def save(self) -> None:
        """Write the plan for the other side."""
        self.file.write_text(json.dumps({**asdict(self), "state": str(self.state)}))

    @classmethod
    def load(cls, file: Path) -> "NodePlan":
        """Read a plan.

        Raises
        ------
        ClusterError
            If the file is not a whole plan.
        """
        try:
            content = json.loads(file.read_text())
            return cls(**{**content, "state": Path(content["state"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ClusterError(f"{file} is not readable as the plan of a node: {error}") from error


def choose_link(node_id: str, taken: Iterable[str]) -> str:
    """Return a range for a node's link that overlaps none of this machine's networks.

    Parameters
    ----------
    node_id
        Hexadecimal digits; two checkouts start at different ranges.
    taken
        Networks of this machine's interfaces, as ``10.0.0.1/24``.
    """
    used = [ipaddress.ip_interface(address).network for address in taken]
    count = 2 ** (LINK_PREFIX - LINKS.prefixlen)
    first = int(node_id, 16) % count
    for offset in range(count):
        start = int(LINKS.network_address) + (first + offset) % count * 2 ** (32 - LINK_PREFIX)
        link = ipaddress.ip_network((start, LINK_PREFIX))
        if not any(network.version == link.version and network.overlaps(link) for network in used):
            return str(link)
    raise ClusterError(f"every range of {LINKS} is in use on this machine")
