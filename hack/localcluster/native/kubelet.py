"""The kubelet's and kube-proxy's configuration."""

from pathlib import Path

import yaml

from localcluster.native.containerd import SOCKET
from localcluster.native.plan import NodePlan

KUBELET_CONFIGURATION = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}
MAX_PODS = 250
# No pod can limit its own processes. And in the minute between two looks at volumes, the default, much can be written.
LIMITS_ON_PODS: dict[str, object] = {"podPidsLimit": 1024, "volumeStatsAggPeriod": "10s"}
# What the kubelet insists on. It would set them for the whole machine and for good, so it is shown files that say that
# they are set.
TUNABLES = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}
# The images came from files and cannot be pulled again; a full disk is the machine's concern.
DISK_IS_NOT_OURS: dict[str, object] = {
    "imageGCHighThresholdPercent": 100,
    "evictionHard": {
        "memory.available": "200Mi",
        "nodefs.available": "0%",
        "nodefs.inodesFree": "0%",
        "imagefs.available": "0%",
    },
}


def kubelet_configuration(plan: NodePlan, *, pki: Path, resolver: Path) -> str:
    """Return the KubeletConfiguration.

    Parameters
    ----------
    plan
        The node.
    pki
        Folder with the authority's and the kubelet's certificates.
    resolver
        A resolv.conf for pods that ask for the node's.
    """
    content = {
        **KUBELET_CONFIGURATION,
        "address": plan.address,
        **_access(pki),
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": plan.cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [plan.dns_address],
        "clusterDomain": "cluster.local",
        "resolvConf": str(resolver),
        "maxPods": MAX_PODS,
        **LIMITS_ON_PODS,
        "serializeImagePulls": False,
        **DISK_IS_NOT_OURS,
    }
    return yaml.safe_dump(content, sort_keys=False)


def _access(pki: Path) -> dict[str, object]:
    return {
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet-server.key"),
    }


def kube_proxy_configuration(plan: NodePlan, kubeconfig: Path) -> str:
    """Return the KubeProxyConfiguration."""
    content = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "hostnameOverride": plan.name,
        # Equal to the pods' range, or a pod is masqueraded on its way to a Service and policies see the node's address.
        "clusterCIDR": plan.pod_cidr,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        # These are the machine's, not the node's; zero leaves them alone.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }
    return yaml.safe_dump(content, sort_keys=False)


def wrapper(folder: Path) -> str:
    """Return a shell script that runs its arguments where the machine's tunables look as the kubelet wants them.

    Parameters
    ----------
    folder
        Where :func:`write_tunables` put the files.

    Notes
    -----
    The files are laid over in a mount namespace of the kubelet's own: below a changed /proc the kernel lets no pod with
    a user namespace mount one.
    """
    binds = "\n".join(f"mount --bind '{folder / name}' '/proc/sys/{name}'" for name in TUNABLES)
    return f'#!/bin/sh\nset -e\nmount --make-rprivate /proc\n{binds}\nexec "$@"\n'


def write_tunables(folder: Path) -> None:
    """Write the files that the wrapper lays over the machine's."""
    for name, value in TUNABLES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
