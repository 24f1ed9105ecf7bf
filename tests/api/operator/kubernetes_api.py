"""The Kubernetes API as tests see it: raw JSON, and independent of the client that is tested."""

import base64
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import urllib3
import yaml

from sandkeeper.runtime.resource import Resource

Json = dict[str, Any]

NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")


class RefusedError(Exception):
    """The apiserver refused a request."""

    def __init__(self, status: int, body: Json) -> None:
        self.status = status
        super().__init__(f"{status}: {body.get('message', body)}")


def credentials(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """Return where a kubeconfig leads, and the TLS context that carries its client certificate."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(base64.b64decode(user["client-certificate-data"]))
        pair.write(base64.b64decode(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    return cluster["server"], context


class Api:
    """Creates, reads, patches and deletes objects as the user of a kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        self._server, context = credentials(kubeconfig)
        self._pool = urllib3.PoolManager(ssl_context=context, maxsize=8, timeout=urllib3.Timeout(connect=5, read=60))

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def create(self, resource: Resource, namespace: str, obj: Json, *, name: str = "", sub: str = "") -> Json:
        """POST an object, or with a name to its subresource."""
        full = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        return self._call("POST", resource.path(namespace, name, sub), full)

    def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """GET an object that has to be there."""
        return self._call("GET", resource.path(namespace, name))

    def find(self, resource: Resource, namespace: str, name: str) -> Json | None:
        """GET an object, or None where it is absent."""
        try:
            return self.get(resource, namespace, name)
        except RefusedError as error:
            if error.status == 404:
                return None
            raise

    def list(self, resource: Resource, namespace: str = "", query: str = "") -> Json:
        """GET a collection."""
        return self._call("GET", resource.path(namespace) + query)

    def merge(self, resource: Resource, namespace: str, name: str, patch: Json, *, sub: str = "") -> Json:
        """PATCH an object by a merge patch."""
        return self._call("PATCH", resource.path(namespace, name, sub), patch, "application/merge-patch+json")

    def delete(
        self, resource: Resource, namespace: str, name: str, *, grace: int | None = None, uid: str | None = None
    ) -> None:
        """DELETE an object, only that of a uid where one is given; one that is gone already is as good."""
        options: Json = {} if grace is None else {"gracePeriodSeconds": grace}
        options |= {} if uid is None else {"preconditions": {"uid": uid}}
        try:
            self._call("DELETE", resource.path(namespace, name), options)
        except RefusedError as error:
            if error.status != 404:
                raise

    def delete_all(self, resource: Resource, namespace: str) -> None:
        """DELETE a whole collection."""
        self._call("DELETE", resource.path(namespace))

    def watch(self, resource: Resource, version: str, seconds: int) -> Iterator[Json]:
        """Stream events for some seconds."""
        path = f"{resource.path()}?watch=1&resourceVersion={version}&timeoutSeconds={seconds}"
        response = self._pool.request("GET", self._server + path, preload_content=False)
        try:
            for line in response:
                yield orjson.loads(line)
        finally:
            response.close()

    def _call(self, method: str, path: str, body: Json | None = None, content_type: str = "application/json") -> Json:
        data = None if body is None else orjson.dumps(body)
        response = self._pool.request(method, self._server + path, body=data, headers={"Content-Type": content_type})
        answer: Json = (
            orjson.loads(response.data) if response.data.startswith(b"{") else {"message": str(response.data)}
        )
        if response.status >= 400:
            raise RefusedError(response.status, answer)
        return answer
