"""The one way to let sandboxes reach a server of the tests': a network policy that an administrator marks."""

import json

from api.kubectl import Kubectl


def open_to(kubectl: Kubectl, namespace: str, server: str, app: str, port: int) -> None:
    """Let the sandboxes of a namespace reach pods of another, as a platform team widens their fence.

    Parameters
    ----------
    server
        The pods' namespace.
    app
        The pods' label ``app``.
    """
    target = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": server}},
        "podSelector": {"matchLabels": {"app": app}},
    }
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"to-{app}", "annotations": {"sandkeeper.dev/widens-sandboxes": "true"}},
        "spec": {
            "podSelector": {"matchLabels": {"sandkeeper.dev/role": "sandbox"}},
            "policyTypes": ["Egress"],
            "egress": [{"to": [target], "ports": [{"port": port, "protocol": "TCP"}]}],
        },
    }
    kubectl("-n", namespace, "apply", "-f", "-", given=json.dumps(policy))


def close_to(kubectl: Kubectl, namespace: str, app: str) -> None:
    """Take that way away again."""
    kubectl("-n", namespace, "delete", "networkpolicy", f"to-{app}")
