"""A small repository of packages in the cluster, for tests of what installs them."""

import json
from pathlib import Path
from typing import Any

from api.kubectl import Kubectl
from e2e.widening import close_to, open_to

SERVER = Path(__file__).parent / "inside" / "serve.py"
SERVER_IMAGE = "docker.io/library/python:3.13"
PORT = 8080
NAME = "repository"


class Repository:
    """Packages for apt, pip and npm, served by a pod in a namespace of its own.

    For apt there are ``greeter`` (1.0, 2.0; prints ``hello2 from greeter 2.0``, depends on ``greeter-data``, has the
    configuration file ``/etc/greeter.conf``), ``greeter-slow`` (waits before it is unpacked while
    ``/var/tmp/hold-preinst`` exists, before it is configured while ``/var/tmp/hold-postinst`` does, and then writes
    ``/var/tmp/held``), ``greeter-broken`` (never gets configured), ``python3-pip`` and ``npm``; for pip ``greeting``
    (1.0, 2.0; prints ``greeting 2.0``, needs ``greeting-data``); for npm ``greeter-cli`` and ``@team/tool`` (1.0.0,
    2.0.0; print ``greeter-cli 2.0.0`` and ``tool 2.0.0``).

    A sandbox or pod that is to install from it runs ``image`` with ``environment``; a sandbox's namespace has to be
    opened to it by `open_to`::

        repository.open_to(namespace)
        sandboxes.apply("agent", image=repository.image, env=repository.environment, packages={"apt": ["greeter"]})

    Parameters
    ----------
    kubectl
        As the cluster's administrator.
    namespace
        Where it runs.
    image
        The image whose apt has this repository for its only source.
    """

    def __init__(self, kubectl: Kubectl, namespace: str, image: str) -> None:
        self._kubectl = kubectl
        self.namespace = namespace
        self.image = image
        self._address = ""

    def start(self) -> None:
        """Start serving."""
        self._kubectl("create", "namespace", self.namespace)
        for content in self._objects():
            self._kubectl("-n", self.namespace, "apply", "-f", "-", given=json.dumps(content))
        self._kubectl("-n", self.namespace, "wait", "--for=condition=Ready", f"pod/{NAME}", "--timeout=120s")
        service = self._kubectl("-n", self.namespace, "get", "service", NAME, "-o", "jsonpath={.spec.clusterIP}")
        self._address = f"http://{service}:{PORT}"

    def stop(self) -> None:
        """Remove everything."""
        self._kubectl("delete", "namespace", self.namespace, "--wait=false")

    @property
    def environment(self) -> list[dict[str, str]]:
        """Environment variables by which a container's package managers find it, without any DNS."""
        host = self._address.removeprefix("http://").partition(":")[0]
        variables = {
            # apt's source names a host that does not exist; the repository is asked as the proxy.
            "http_proxy": self._address,
            "no_proxy": host,
            "PIP_INDEX_URL": f"{self._address}/simple",
            "PIP_TRUSTED_HOST": host,
            "NPM_CONFIG_REGISTRY": f"{self._address}/npm/",
        }
        return [{"name": name, "value": value} for name, value in variables.items()]

    def open_to(self, namespace: str) -> None:
        """Let the sandboxes of a namespace reach it, as a platform team widens their fence."""
        open_to(self._kubectl, namespace, self.namespace, NAME, PORT)

    def close_to(self, namespace: str) -> None:
        """Take the way to it away again."""
        close_to(self._kubectl, namespace, NAME)

    def _objects(self) -> list[dict[str, Any]]:
        files = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}}
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME},
            "spec": {"selector": {"app": NAME}, "ports": [{"port": PORT}]},
        }
        return [files | {"data": {SERVER.name: SERVER.read_text()}}, service, self._pod()]

    def _pod(self) -> dict[str, Any]:
        container = {
            "name": "main",
            "image": SERVER_IMAGE,
            "command": ["python3", f"/program/{SERVER.name}", str(PORT)],
            "readinessProbe": {"httpGet": {"path": "/apt/Release", "port": PORT}, "periodSeconds": 1},
            "volumeMounts": [{"name": "program", "mountPath": "/program"}],
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": NAME, "labels": {"app": NAME}},
            "spec": {
                "containers": [container],
                "volumes": [{"name": "program", "configMap": {"name": NAME}}],
                "terminationGracePeriodSeconds": 0,
            },
        }
