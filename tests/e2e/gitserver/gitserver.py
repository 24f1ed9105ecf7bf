"""A Git server over HTTPS in the cluster, with a login and an authority of its own."""

import json
from pathlib import Path
from typing import Any

from api.kubectl import Kubectl
from e2e.widening import close_to, open_to
from localcluster.pki import Authority

SERVER = Path(__file__).parent / "inside" / "serve.py"
SERVER_IMAGE = "docker.io/library/python:3.13"
PORT = 8443
NAME = "git"


class GitServer:
    """Two repositories of the same content, served by a pod in a namespace of its own.

    Both have the branch ``main`` with two commits, ``one`` and ``two``, and the tag ``v1`` at the first; in them are
    ``README`` and the program ``run.sh``. ``public`` can be read by everybody, ``private`` be read and pushed to with
    the login.

    Parameters
    ----------
    kubectl
        As the cluster's administrator.
    namespace
        Where it runs.
    """

    username = "agent-7"
    password = "pa55-w0rd-of-the-tests"

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl = kubectl
        self.namespace = namespace
        self._authority = Authority.new("git-tests")
        self._host = ""

    @property
    def public(self) -> str:
        """Address of the repository that everybody may read."""
        return f"https://{self._host}:{PORT}/public/app.git"

    @property
    def private(self) -> str:
        """Address of the repository that the login is for."""
        return f"https://{self._host}:{PORT}/private/app.git"

    def start(self) -> None:
        """Start serving."""
        self._kubectl("create", "namespace", self.namespace)
        self._apply(self._service())
        self._host = self._run("get", "service", NAME, "-o", "jsonpath={.spec.clusterIP}")
        pair = self._authority.server(NAME, [self._host])
        self._apply({"kind": "ConfigMap", "data": {SERVER.name: SERVER.read_text()}})
        certificate = {"tls.crt": pair.certificate.decode(), "tls.key": pair.key.decode()}
        self._apply({"kind": "Secret", "stringData": certificate})
        self._apply(_secret("login", {"username": self.username, "password": self.password}))
        self._apply(self._pod())
        self._run("wait", "--for=condition=Ready", f"pod/{NAME}", "--timeout=120s")

    def stop(self) -> None:
        """Remove everything."""
        self._kubectl("delete", "namespace", self.namespace, "--wait=false")

    def give_login(self, namespace: str, name: str, **keys: str) -> None:
        """Make a Secret that a sandbox names: with the authority, and the login or what is given in its place."""
        login = keys or {"username": self.username, "password": self.password}
        content = _secret(name, {"ca.crt": self._authority.pair.certificate.decode(), **login})
        self._kubectl("-n", namespace, "apply", "-f", "-", given=json.dumps(content))

    def branches(self) -> dict[str, str]:
        """Commit of each branch of the private repository, by its name."""
        command = ("git", "-C", "/srv/private/app.git", "for-each-ref", "--format=%(refname:short) %(objectname)")
        lines = self._run("exec", NAME, "--", *command, "refs/heads").splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def open_to(self, namespace: str) -> None:
        """Let the sandboxes of a namespace reach it, as a platform team widens their fence."""
        open_to(self._kubectl, namespace, self.namespace, NAME, PORT)

    def close_to(self, namespace: str) -> None:
        """Take the way to it away again."""
        close_to(self._kubectl, namespace, NAME)

    def _run(self, *arguments: str) -> str:
        return self._kubectl("-n", self.namespace, *arguments)

    def _apply(self, content: dict[str, Any]) -> None:
        full = {"apiVersion": "v1", "metadata": {"name": NAME}} | content
        self._kubectl("-n", self.namespace, "apply", "-f", "-", given=json.dumps(full))

    def _service(self) -> dict[str, Any]:
        return {"kind": "Service", "spec": {"selector": {"app": NAME}, "ports": [{"port": PORT}]}}

    def _pod(self) -> dict[str, Any]:
        container = {
            "name": "main",
            "image": SERVER_IMAGE,
            "command": ["python3", f"/program/{SERVER.name}", str(PORT)],
            "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
            "volumeMounts": [
                {"name": "program", "mountPath": "/program"},
                {"name": "certificate", "mountPath": "/certificate"},
                {"name": "login", "mountPath": "/login"},
            ],
        }
        volumes = [
            {"name": "program", "configMap": {"name": NAME}},
            {"name": "certificate", "secret": {"secretName": NAME}},
            {"name": "login", "secret": {"secretName": "login"}},
        ]
        spec = {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 0}
        return {"kind": "Pod", "metadata": {"name": NAME, "labels": {"app": NAME}}, "spec": spec}


def _secret(name: str, keys: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": keys}
