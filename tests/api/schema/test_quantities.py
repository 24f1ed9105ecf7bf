"""Quantities come out of ``resolve`` as the apiserver keeps them in a pod, so that their texts can be compared."""

import json

from api.kubectl import Kubectl
from sandkeeper.api.quantities import canonical

WRITTEN = (
    *("1", "2000m", "0.5", ".5", "1.5", "100", "1000", "1e3", "12e6", "1k", "1000k", "1M", "1500M", "1E", "2n"),
    *("1Ki", "0.5Ki", "0.1Ki", "1024Ki", "1000Ki", "1024Mi", "1.5Gi", "10Gi", "10240Mi", "1Ti", "1Pi", "1Ei", "1024"),
)


def test_quantities_are_written_as_the_apiserver_keeps_them(kubectl: Kubectl) -> None:
    kubectl("wait", "--for=create", "--timeout=30s", "serviceaccount/default")
    containers = [
        {"name": f"c{number}", "image": "image", "resources": {"limits": {"cpu": quantity}}}
        for number, quantity in enumerate(WRITTEN)
    ]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "quantities"}, "spec": {"containers": containers}}

    kept = json.loads(kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", given=json.dumps(pod)))

    limits = [container["resources"]["limits"]["cpu"] for container in kept["spec"]["containers"]]
    assert dict(zip(WRITTEN, limits, strict=True)) == {quantity: canonical(quantity) for quantity in WRITTEN}
