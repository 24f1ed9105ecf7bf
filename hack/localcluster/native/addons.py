"""What every node gets once its apiserver answers: rights of its programs, runtime classes and the cluster DNS."""

import json
from pathlib import Path
from typing import Any

import yaml

from localcluster.commands import run
from localcluster.images.catalogue import COREDNS
from localcluster.native.containerd import HANDLERS
from localcluster.native.node import POLICY_USER
from localcluster.native.plan import NodePlan
from localcluster.native.storage import objects as storage
from localcluster.native.storage.offers import OFFERS
from localcluster.process import wait_until
from localcluster.progress import step
from localcluster.tools import tool

# No forward: there is nobody outside to ask.
COREFILE = """\
.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        ttl 5
    }
    prometheus :9153
    cache 5
    loop
    reload
}
"""
LABELS = {"k8s-app": "kube-dns"}
TIMEOUT = "--timeout=120s"


def install(kubeconfig: Path, plan: NodePlan) -> None:
    """Apply the objects and wait until the node is ready and names resolve."""
    kubectl: list[str | Path] = [tool("kubectl"), f"--kubeconfig={kubeconfig}"]
    with step("waiting for the node and the cluster DNS"):
        classes = [*runtime_classes(), *storage.classes(), storage.snapshot_class()]
        objects = yaml.safe_dump_all([*classes, *cluster_dns(plan.dns_address)])
        run(*kubectl, "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=objects)
        run(*kubectl, "wait", "--for=create", f"node/{plan.name}", TIMEOUT)
        run(*kubectl, "wait", "--for=condition=Ready", f"node/{plan.name}", TIMEOUT)
        wanted = {offer.driver for offer in OFFERS}
        wait_until(lambda: registered_drivers(kubectl, plan.name) >= wanted, "registering the drivers", 120)
        run(*kubectl, "-n", "kube-system", "rollout", "status", "deployment/coredns", TIMEOUT)


def registered_drivers(kubectl: list[str | Path], node: str) -> set[str]:
    """Return the names of the CSI drivers that the node's kubelet has registered; nothing while it has none."""
    # Not by "kubectl wait": a filter in its path fails for good on a node that has no list of drivers yet.
    found = run(*kubectl, "get", "csinode", node, "--ignore-not-found", "-o", "json").strip()
    spec = json.loads(found)["spec"] if found else {}
    return {driver["name"] for driver in spec.get("drivers") or [] if driver["nodeID"] == node}


def grant(kubeconfig: Path) -> None:
    """Let the node's own programs read what they live by; who has a stock role needs none of it."""
    rights = yaml.safe_dump_all([*policy_rights(), *storage.rights(), *storage.kinds()])
    apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"]
    run(tool("kubectl"), f"--kubeconfig={kubeconfig}", *apply, stdin=rights)


def policy_rights() -> list[dict[str, Any]]:
    """Return what the program that enforces NetworkPolicies may do: read three kinds, and nothing else."""
    name, verbs = {"name": POLICY_USER}, ["list", "watch"]
    group = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": name,
            "rules": [
                {"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": verbs},
                {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": verbs},
            ],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": name,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", **name},
            "subjects": [{"apiGroup": group, "kind": "User", **name}],
        },
    ]


def runtime_classes() -> list[dict[str, Any]]:
    """Return a RuntimeClass for each handler of the node."""
    return [
        {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": name}
        for name in HANDLERS
    ]


def cluster_dns(address: str) -> list[dict[str, Any]]:
    """Return the objects of the cluster DNS, under the names that clusters have them under."""
    account = {"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"}
    return [
        _object("v1", "ServiceAccount", "coredns"),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "system:coredns"},
            "roleRef": role,
            "subjects": [account],
        },
        _object("v1", "ConfigMap", "coredns", data={"Corefile": COREFILE}),
        _object("apps/v1", "Deployment", "coredns", spec=_deployment()),
        _object("v1", "Service", "kube-dns", labels=LABELS, spec=_service(address)),
    ]


def _object(api: str, kind: str, name: str, labels: dict[str, str] | None = None, **rest: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "kube-system", "labels": labels or {}}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def _service(address: str) -> dict[str, Any]:
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
        {"name": "metrics", "port": 9153, "protocol": "TCP"},
    ]
    return {"clusterIP": address, "selector": LABELS, "ports": ports}


def _deployment() -> dict[str, Any]:
    pod = {
        "serviceAccountName": "coredns",
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "containers": [_container()],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    return {
        "replicas": 1,
        "selector": {"matchLabels": LABELS},
        "template": {"metadata": {"labels": LABELS}, "spec": pod},
    }


def _container() -> dict[str, Any]:
    return {
        "name": "coredns",
        "image": COREDNS,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "170Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "initialDelaySeconds": 30},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
        },
    }
