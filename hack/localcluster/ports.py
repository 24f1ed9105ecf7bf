"""Free ports for a control plane beside others on one machine."""

import random
import socket
from contextlib import ExitStack

from localcluster.components import Ports
from localcluster.errors import ClusterError

# Below what the kernel gives to outgoing connections: a stopped apiserver finds its port free when it comes back.
RANGE = range(20000, 32000)


def free_ports(address: str) -> Ports:
    """Return five different ports that nothing listens at.

    Parameters
    ----------
    address
        Where the apiserver is going to listen; the others listen at 127.0.0.1.
    """
    found: list[int] = []
    with ExitStack() as held:
        for port in random.sample(RANGE, k=500):
            if all(_free(held, host, port) for host in {address, "127.0.0.1"}):
                found.append(port)
            if len(found) == 5:
                return Ports(*found)
    raise ClusterError(f"no five free ports between {RANGE.start} and {RANGE.stop} at {address}")


def _free(held: ExitStack, host: str, port: int) -> bool:
    probe = held.enter_context(socket.socket())
    try:
        probe.bind((host, port))
    except OSError:
        return False
    return True
