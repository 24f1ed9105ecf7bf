"""Kubeconfig files that carry their certificates inside, so that one file is enough anywhere."""

import base64
import os
from pathlib import Path

import yaml

from localcluster.pki import Pair


def write_kubeconfig(path: Path, *, server: str, ca: bytes, client: Pair, name: str = "sandkeeper-local") -> Path:
    """Write a kubeconfig with one context.

    Parameters
    ----------
    path
        The file; it is replaced at once, and only the owner may read it.
    server
        The apiserver's address, ``https://…``.
    ca
        Certificate of the authority that signed the server's, PEM.
    client
        Who the bearer is.
    name
        Name of cluster, user and context.
    """
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": _base64(ca)}}],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": _base64(client.certificate),
                    "client-key-data": _base64(client.key),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.touch(mode=0o600)
    unfinished.write_text(yaml.safe_dump(content, sort_keys=False))
    unfinished.rename(path)
    return path


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
