"""The link between this machine and the node. The node has no way further: the cluster is closed."""

import json
import socket
from pathlib import Path

from localcluster.commands import run
from localcluster.native.plan import NodePlan

NODE_INTERFACE = "uplink"


def machine_networks() -> list[str]:
    """Return the addresses with prefix of this machine's interfaces."""
    interfaces = json.loads(run("ip", "-json", "address", "show"))
    return [
        f"{address['local']}/{address['prefixlen']}"
        for interface in interfaces
        for address in interface.get("addr_info", [])
    ]


def interface_exists(name: str) -> bool:
    """Tell whether this network namespace has an interface of that name."""
    return name in {found for _, found in socket.if_nameindex()}


def connect(plan: NodePlan, pid: int) -> None:
    """Make the link, seen from this machine.

    Parameters
    ----------
    plan
        The node.
    pid
        A process in the node's network namespace.
    """
    here = plan.host_interface
    run("ip", "link", "add", here, "type", "veth", "peer", "name", NODE_INTERFACE, "netns", str(pid))
    run("ip", "address", "add", f"{plan.host_address}/30", "dev", here)
    run("ip", "link", "set", here, "up")


def disconnect(plan: NodePlan) -> None:
    """Remove the link, if it is there."""
    if interface_exists(plan.host_interface):
        run("ip", "link", "delete", plan.host_interface)


def configure_inside(plan: NodePlan) -> None:
    """Give the node its address, seen from the node."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "add", f"{plan.address}/30", "dev", NODE_INTERFACE)
    run("ip", "link", "set", NODE_INTERFACE, "up")
    # A Service's address is rewritten on its way out, and there has to be a way: the node has no default route.
    run("ip", "route", "add", plan.service_cidr, "dev", NODE_INTERFACE, "src", plan.address)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
