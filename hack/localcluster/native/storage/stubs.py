"""Python code for the messages of the CSI specification and of the kubelet's registration, generated from their source.

The sources come with the modules of the programs that speak the same, so that versions cannot part.
"""

import sys
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from localcluster.commands import run
from localcluster.gobuild import built
from localcluster.locking import made_once
from localcluster.paths import cache_home
from localcluster.tools import STORAGE

SOURCES = ("csi.proto", "registration.proto")


def stubs() -> Path:
    """Return a folder for Python's path with the modules ``csi_pb2`` and ``registration_pb2``."""
    folder = built(STORAGE)
    key = sha256(f"{folder.name} {version('grpcio-tools')} {version('protobuf')}".encode()).hexdigest()[:16]
    return made_once(cache_home() / "stubs" / key, lambda target: _generate(folder, target))


def _generate(folder: Path, target: Path) -> None:
    run(sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"--python_out={target}", *SOURCES)
