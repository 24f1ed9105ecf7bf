"""Which driver a checkout's cluster is by: the one that it was brought up by, else what the machine has."""

import json

from localcluster.docker import engine_answers
from localcluster.driver import Driver
from localcluster.errors import ClusterError
from localcluster.existing import ExistingCluster
from localcluster.kind import KindDriver
from localcluster.native.driver import NativeDriver
from localcluster.paths import state_home

RECORD = "driver.json"


def choose(wanted: str = "auto", context: str | None = None) -> Driver:
    """Return the driver to use.

    Parameters
    ----------
    wanted
        ``kind``, ``native``, or ``auto``: the one in use, else what the machine has.
    context
        A context of the user's kubeconfig; it decides alone.
    """
    recorded = read_record()
    if context:
        return ExistingCluster(context)
    if wanted == "auto" and recorded.get("driver") == "context":
        return ExistingCluster(recorded["context"])
    name = recorded.get("driver", "auto") if wanted == "auto" else wanted
    if name == "auto":
        name = "kind" if engine_answers() else "native"
    if name not in ("kind", "native"):
        raise ClusterError(f"--driver is {name!r}; it can be kind, native or auto")
    return KindDriver() if name == "kind" else NativeDriver()


def read_record() -> dict[str, str]:
    """Return which driver this checkout's cluster was brought up by, nothing where there is none."""
    try:
        content = json.loads((state_home() / RECORD).read_text())
        return {str(key): str(value) for key, value in content.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def write_record(driver: Driver, context: str | None = None) -> None:
    """Remember the driver, so that later commands need no flag."""
    driver.state.mkdir(parents=True, exist_ok=True)
    content = {"driver": driver.name, **({"context": context} if context else {})}
    (driver.state / RECORD).write_text(json.dumps(content))
