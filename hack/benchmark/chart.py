"""What the chart gives the operator: its rights, its settings and the classes that its pods name.

The operator is measured as it would be installed, though it runs as a plain process.
"""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from benchmark.errors import BenchmarkError
from localcluster.paths import CHECKOUT
from localcluster.tools import tool

RELEASE = "sandkeeper"
NAMESPACE = "sandkeeper-system"
# What would run or guard pods of the chart's own; here the operator is a process. Services of the gateway are applied:
# their addresses stand in every sandbox pod.
_OF_PODS = {"Deployment", "NetworkPolicy", "PodDisruptionBudget", "ServiceMonitor"}
_COMPONENT = "app.kubernetes.io/component"

Document = dict[str, Any]


@dataclass(frozen=True)
class Installation:
    """The rendered chart, divided.

    Parameters
    ----------
    objects
        What is applied to the cluster.
    settings
        The operator's environment variables, those with a fixed value.
    account
        The operator's service account.
    """

    objects: list[Document]
    settings: dict[str, str]
    account: str

    @property
    def bindings(self) -> list[Document]:
        """Return what puts the admission policies in force."""
        return [each for each in self.objects if each["kind"] == "ValidatingAdmissionPolicyBinding"]

    @property
    def user(self) -> str:
        """Return the user name that the apiserver knows the operator by."""
        return f"system:serviceaccount:{NAMESPACE}:{self.account}"


def installation() -> Installation:
    """Render the chart with its default values, but no canary: simulated nodes run no process that could try anything.

    Raises
    ------
    BenchmarkError
        If Helm refuses it.
    """
    command = [str(tool("helm")), "template", RELEASE, str(CHECKOUT / "charts" / "sandkeeper")]
    options = ["--namespace", NAMESPACE, "--set", "crds.enabled=false,requireEnforcement=false,canary.enabled=false"]
    # What nodes of today have; the simulated ones say nothing of themselves.
    options += ["--set", "guest.delivery=ImageVolume"]
    rendered = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if rendered.returncode:
        raise BenchmarkError(f"helm could not render the chart: {rendered.stderr.strip()}")
    return divided(document for document in yaml.safe_load_all(rendered.stdout) if document)


def divided(documents: Iterable[Document]) -> Installation:
    """Tell what is applied from what only says how the operator is started."""
    every = list(documents)
    deployments = (document for document in every if document["kind"] == "Deployment")
    deployment = next(each for each in deployments if each["metadata"]["labels"][_COMPONENT] == "operator")
    pod = deployment["spec"]["template"]["spec"]
    return Installation(
        objects=[document for document in every if document["kind"] not in _OF_PODS],
        settings={entry["name"]: entry["value"] for entry in pod["containers"][0]["env"] if "value" in entry},
        account=pod["serviceAccountName"],
    )
