"""The page of supported versions: what the local cluster locks was tried, what the chart says is accepted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcluster import tools
from localcluster.kind_storage import VERSION as HOST_PATH
from reference.figures import Figures
from reference.rendering import rendered
from sandkeeper.api import names
from sandkeeper.plan import image_volumes

_SIDECARS: Final = "github.com/kubernetes-csi"


@dataclass(frozen=True)
class Foreign:
    """Software of others that Sandkeeper's objects are given to.

    Attributes
    ----------
    what
        Its name, and the version whose schema is known to the tests; they compare it.
    how
        What was tried with it, as Markdown.
    """

    what: str
    how: str


FOREIGN: Final = (
    Foreign(
        "Argo CD 3.5.7",
        "[health and actions](gitops.md#argo-cd) by a Lua interpreter of the version that it has, on objects of a real "
        "cluster; its Application by schema. Not installed",
    ),
    Foreign(
        "Flux: kustomize-controller 1.9.6, source-controller 1.9.6",
        "its objects by schema, [its expressions](gitops.md#flux) by a CEL interpreter. Not installed",
    ),
    Foreign("Prometheus operator 0.92.1", "ServiceMonitor and PrometheusRule by schema"),
    Foreign("External Secrets 0.16.2", "[its objects](secrets.md#vault-by-external-secrets) by schema; no Vault"),
    Foreign("Cilium 1.20.2", "the [cluster-wide policy](egress.md#cilium) by schema. Never run against a Cilium"),
)


def versions_page(root: Path) -> str:
    """Render docs/versions.md."""
    return rendered(
        "versions.md.j2",
        figures=Figures(root),
        names=names,
        foreign=FOREIGN,
        image_volumes=image_volumes,
        host_path=HOST_PATH,
        provisioner=f"{_SIDECARS}/external-provisioner/v6",
        resizer=f"{_SIDECARS}/external-resizer/v2",
        kubernetes=tools.KUBERNETES,
        kind=tools.KIND,
        containerd=tools.CONTAINERD,
        runc=tools.RUNC,
        cni=tools.CNI,
        coredns=tools.COREDNS,
        storage=tools.STORAGE,
        helm=tools.HELM,
        prometheus=tools.PROMETHEUS,
    )
